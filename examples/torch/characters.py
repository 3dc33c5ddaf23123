"""A GPT of characters that learns a text and goes on writing it, on PyTorch's device "mps".

    characters.py [FILE]

Without a file it reads what Python's help() has to say about Python.
"""
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

LENGTH, WIDTH, HEADS, DEPTH = 64, 96, 4, 3
device = torch.device("mps")


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.into, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.after = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in self.into(self.one(x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.after(self.two(x))


class Writer(nn.Module):
    def __init__(self, letters):
        super().__init__()
        self.letters, self.places = nn.Embedding(letters, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks, self.last = nn.Sequential(*(Block() for _ in range(DEPTH))), nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, letters)

    def forward(self, ids):
        return self.head(self.last(self.blocks(self.letters(ids) + self.places.weight[:ids.shape[1]])))

    @torch.no_grad()
    def write(self, ids, count):
        for _ in range(count):
            scores = self(ids[:, -LENGTH:])[:, -1] / 0.7
            ids = torch.cat([ids, torch.multinomial(scores.softmax(-1), 1)], 1)
        return ids


def read():
    if len(sys.argv) > 1:
        with open(sys.argv[1], encoding="utf-8") as file:
            return file.read()
    from pydoc_data.topics import topics
    return "\n".join(topics.values())


def main():
    torch.manual_seed(7)
    text = read()
    letters = sorted(set(text))
    number = {c: n for n, c in enumerate(letters)}
    ids = torch.tensor([number[c] for c in text]).to(device)
    network = Writer(len(letters)).to(device)
    count = sum(p.numel() for p in network.parameters())
    print(f"{len(text)} characters, {len(letters)} of them different; {count} weights")
    steps, start = 400, time.time()
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
    slower = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    window = torch.arange(LENGTH + 1, device=device)
    for step in range(1, steps + 1):
        part = ids[torch.randint(0, len(ids) - LENGTH - 1, (24, 1), device=device) + window]
        loss = F.cross_entropy(network(part[:, :-1]).flatten(0, 1), part[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        slower.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.3f}, {step / (time.time() - start):.1f} steps a second", flush=True)
    network.eval()
    written = network.write(ids[:8].view(1, -1), 300)[0].cpu().tolist()
    print("it writes:\n" + "".join(letters[n] for n in written))


if __name__ == "__main__":
    main()
