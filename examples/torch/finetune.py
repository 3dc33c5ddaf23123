"""Fine-tunes a ResNet on a folder of pictures, on PyTorch's device "mps".

    finetune.py [FOLDER]

FOLDER has a folder for each class, with PNG files; where it is missing it is drawn. The network first learns to see
how far pictures were turned, for which nobody has to name them; with the body that it has from that, and a new head,
it learns the classes. Leaves confusion.png in the folder: rows are what pictures show, columns what they were taken for.
"""
import math
import pathlib
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

import pictures

SIZE, A_CLASS = 32, 60
CLASSES = ("arrow", "bolt", "cup", "flag", "house", "tree")
device = torch.device("mps")


# ---- the pictures

def inside(name, x, y):
    """Where the shape is, on a square from -1 to 1 with y downwards."""
    if name == "arrow":
        return ((x.abs() < 0.18) & (y > -0.2) & (y < 0.85)) | ((y > -0.85) & (y <= -0.1) & (x.abs() < (y + 0.85) * 0.8))
    if name == "bolt":
        return ((x - 0.25 + y * 0.5).abs() < 0.22) & (y < 0.05) & (y > -0.85) | ((x + 0.1 + (y - 0.4) * 0.5).abs() < 0.2) & (y >= -0.05) & (y < 0.85)
    if name == "cup":
        body = (x > -0.65) & (x < 0.35) & (y > -0.35) & (y < 0.6)
        ring = ((x - 0.4).square() + (y - 0.1).square()).sqrt()
        return body | ((ring < 0.35) & (ring > 0.18) & (x > 0.3))
    if name == "flag":
        return ((x > -0.6) & (x < -0.42) & (y.abs() < 0.85)) | ((x >= -0.42) & (x < 0.7) & (y > -0.8) & (y < -0.05 + 0.12 * torch.sin(6 * x)))
    if name == "house":
        return ((x.abs() < 0.55) & (y > -0.1) & (y < 0.7)) | ((y > -0.8) & (y <= -0.1) & (x.abs() < (y + 0.8) * 1.1))
    crown = x.square() + (y + 0.3).square() < 0.28
    return crown | ((x.abs() < 0.13) & (y > 0.1) & (y < 0.85))


def draw(name, generator):
    def some(low, high):
        return low + (high - low) * torch.rand((), generator=generator).item()
    line = torch.linspace(-1.2, 1.2, 2 * SIZE)
    y, x = torch.meshgrid(line, line, indexing="ij")
    turn, scale = some(-0.5, 0.5), some(0.65, 1.1)
    x, y = (x - some(-0.2, 0.2)) / scale, (y - some(-0.2, 0.2)) / scale
    x, y = math.cos(turn) * x + math.sin(turn) * y, math.cos(turn) * y - math.sin(turn) * x
    shape = F.avg_pool2d(inside(name, x, y).float()[None], 2)  # softer edges
    front, back = 0.45 + 0.55 * torch.rand(3, 1, 1, generator=generator), 0.35 * torch.rand(3, 1, 1, generator=generator)
    noise = torch.randn(3, SIZE, SIZE, generator=generator) * 0.08
    return (shape * front + (1 - shape) * back + noise).clamp(0, 1)


def draw_all(folder):
    generator = torch.Generator().manual_seed(3)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for n in range(A_CLASS):
            pictures.save(draw(name, generator), folder / name / f"{n:03}.png")


def read_all(folder):
    """Pictures, labels, and the classes' names."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir())
    files = [(path, n) for n, name in enumerate(names) for path in sorted((folder / name).glob("*.png"))]
    return torch.stack([pictures.load(p) for p, _ in files]), torch.tensor([n for _, n in files]), names


# ---- the network

class Block(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside))
        self.beside = nn.Identity() if stride == 1 and inside == outside else nn.Sequential(
            nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x):
        return F.relu(self.body(x) + self.beside(x))


def resnet(classes, width=16):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
        Block(width, width, 1), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes))


def bar(done, of, text):
    filled = round(28 * done / of)
    print(f"\r{'#' * filled}{'.' * (28 - filled)} {done:3}/{of} {text}", end="" if done < of else "\n", flush=True)


def train(network, optimiser, batch_of, steps, what):
    network.train()
    start, shown = time.time(), None
    for step in range(1, steps + 1):
        x, y = batch_of()
        loss = F.cross_entropy(network(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 10 == 0 or step == steps:  # .item() waits for the device
            shown = loss.item()
            bar(step, steps, f"{what}: loss {shown:.3f}, {step / (time.time() - start):.0f} steps a second")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/tmp/pictures")
    torch.manual_seed(7)
    if not folder.exists() or not any(p.is_dir() for p in folder.iterdir()):
        print(f"drawing {len(CLASSES)} x {A_CLASS} pictures into {folder}")
        draw_all(folder)
    x, y, names = read_all(folder)
    held_out = torch.arange(len(y)) % 4 == 3
    seen, labels = x[~held_out].to(device), y[~held_out].to(device)
    print(f"{len(y)} pictures of {len(names)} classes, {int(held_out.sum())} of them held out")
    network = resnet(4).to(device)

    def turned():
        chosen = torch.randint(0, len(seen), (64,), device=device)
        turn = torch.randint(0, 4, (64,))
        batch = seen[chosen]
        return torch.stack([torch.rot90(p, int(k), (1, 2)) for p, k in zip(batch, turn)]), turn.to(device)

    def labelled():
        chosen = torch.randint(0, len(seen), (64,), device=device)
        shift = torch.randint(-3, 4, (2,)).tolist()
        return torch.roll(seen[chosen], shift, (2, 3)), labels[chosen]
    train(network, torch.optim.AdamW(network.parameters(), lr=3e-3), turned, 60, "how far turned")
    network[-1] = nn.Linear(network[-1].in_features, len(names)).to(device)
    body = [p for part in network[:-1] for p in part.parameters()]
    train(network, torch.optim.AdamW([{"params": body, "lr": 1e-3}, {"params": network[-1].parameters(), "lr": 1e-2}]),
          labelled, 60, "the classes")
    network.eval()
    with torch.no_grad():
        found = network(x[held_out].to(device)).argmax(1).cpu()
    shown = y[held_out]
    counts = torch.zeros(len(names), len(names), dtype=torch.long)
    counts.index_put_((shown, found), torch.ones_like(shown), accumulate=True)
    icons = [x[(y == n).nonzero()[0, 0]] for n in range(len(names))]
    pictures.save(pictures.larger(pictures.confusion(counts, icons), 2), folder / "confusion.png")
    print(f"{(found == shown).float().mean().item():.1%} of the held-out pictures right; {folder / 'confusion.png'}")


if __name__ == "__main__":
    main()
