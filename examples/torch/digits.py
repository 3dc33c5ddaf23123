"""Digits to learn, drawn here: 8 x 8 pictures of the ten figures, each shifted, scaled in brightness and
noisy. No file, no package but torch."""
import torch

FIGURES = """
.###. ..#.. .###. .###. ...#. ##### ..##. ##### .###. .###.
#...# .##.. #...# #...# ..##. #.... .#... ....# #...# #...#
#..## ..#.. ....# ....# .#.#. ####. #.... ...#. #...# #...#
#.#.# ..#.. ...#. ..##. #..#. ....# ####. ..#.. .###. .####
##..# ..#.. ..#.. ....# ##### ....# #...# .#... #...# ....#
#...# ..#.. .#... #...# ...#. #...# #...# .#... #...# ...#.
.###. .###. ##### .###. ...#. .###. .###. .#... .###. .##..
"""


def figures():
    rows = [line.split() for line in FIGURES.split("\n") if line]
    return torch.tensor([[[float(c == "#") for c in row[n]] for row in rows] for n in range(10)])


def draw(count, seed):
    """Pictures of shape (count, 1, 8, 8), and their labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 10, (count,), generator=generator)
    across = torch.randint(0, 4, (count,), generator=generator).tolist()
    down = torch.randint(0, 2, (count,), generator=generator).tolist()
    pictures = torch.randn(count, 1, 8, 8, generator=generator) * 0.2
    bright = torch.rand(count, generator=generator) * 0.5 + 0.5
    known = figures()
    for n, label in enumerate(labels.tolist()):
        pictures[n, 0, down[n]:down[n] + 7, across[n]:across[n] + 5] += known[label] * bright[n]
    return pictures, labels
