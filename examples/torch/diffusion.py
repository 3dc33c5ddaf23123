"""A small diffusion model that learns digits and draws new ones, on PyTorch's device "mps".

    diffusion.py [FILE]

Trains on the figures of digits.py, and leaves ten of each in FILE (digits.png).
"""
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

import pictures
from digits import figures

STEPS, WIDTH = 50, 48
device = torch.device("mps")


def draw(count):
    """Digits somewhere in pictures of 8 x 8, from -1 to 1, brighter and darker; and which they are."""
    known, labels = figures(), torch.arange(count) % 10
    pictures = torch.zeros(count, 1, 8, 8)
    for n, label in enumerate(labels.tolist()):
        across, down = torch.randint(0, 4, ()).item(), torch.randint(0, 2, ()).item()
        pictures[n, 0, down:down + 7, across:across + 5] = known[label] * (0.6 + 0.4 * torch.rand(()))
    return pictures * 2 - 1, labels


class Block(nn.Module):
    """Convolutions that are told the time and the digit."""

    def __init__(self, inside, outside, told):
        super().__init__()
        self.one, self.two = nn.Conv2d(inside, outside, 3, padding=1), nn.Conv2d(outside, outside, 3, padding=1)
        self.tell, self.norm = nn.Linear(told, 2 * outside), nn.GroupNorm(8, outside)
        self.beside = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x, told):
        scale, shift = self.tell(told)[:, :, None, None].chunk(2, 1)
        y = self.norm(self.one(x)) * (1 + scale) + shift
        return self.beside(x) + self.two(F.silu(y))


class Network(nn.Module):
    """Says which noise was added: two sizes of the picture, with what the larger one saw passed beside."""

    def __init__(self):
        super().__init__()
        self.when, self.digit = nn.Embedding(STEPS, 64), nn.Embedding(10, 64)
        self.into = nn.Conv2d(1, WIDTH, 3, padding=1)
        self.down, self.middle = Block(WIDTH, WIDTH, 64), Block(WIDTH, 2 * WIDTH, 64)
        self.deep, self.up = Block(2 * WIDTH, WIDTH, 64), Block(2 * WIDTH, WIDTH, 64)
        self.out = nn.Conv2d(WIDTH, 1, 3, padding=1)

    def forward(self, x, when, digit):
        told = F.silu(self.when(when) + self.digit(digit))
        large = self.down(self.into(x), told)
        small = self.deep(self.middle(F.avg_pool2d(large, 2), told), told)
        return self.out(F.silu(self.up(torch.cat([F.interpolate(small, scale_factor=2), large], 1), told)))


def schedule():
    """How much of the picture is left at each time."""
    return torch.cumprod(1 - torch.linspace(1e-3, 0.18, STEPS), 0).to(device)


def sample(network, left, digits):
    """From noise, step by step, to a picture of each."""
    x = torch.randn(len(digits), 1, 8, 8, device=device)
    for t in range(STEPS - 1, -1, -1):
        when = torch.full((len(digits),), t, device=device)
        noise = network(x, when, digits)
        clean = ((x - (1 - left[t]).sqrt() * noise) / left[t].sqrt()).clamp(-1, 1)
        before = left[t - 1] if t else torch.ones((), device=device)
        spread = ((1 - before) / (1 - left[t]) * (1 - left[t] / before)).clamp(min=0).sqrt() * 0.5
        x = before.sqrt() * clean + (1 - before - spread ** 2).clamp(min=0).sqrt() * noise
        if t:
            x = x + spread * torch.randn_like(x)
    return x


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "/tmp/digits.png"
    torch.manual_seed(7)
    x, labels = draw(2048)
    x, labels = x.to(device), labels.to(device)
    network, left = Network().to(device), schedule()
    steps, start = 500, time.time()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    slower = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for step in range(1, steps + 1):
        chosen, when = torch.randint(0, len(x), (96,), device=device), torch.randint(0, STEPS, (96,), device=device)
        noise, share = torch.randn(96, 1, 8, 8, device=device), left[when].view(-1, 1, 1, 1)
        mixed = share.sqrt() * x[chosen] + (1 - share).sqrt() * noise
        loss = F.mse_loss(network(mixed, when, labels[chosen]), noise)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        slower.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.4f}, {step / (time.time() - start):.1f} steps a second", flush=True)
    network.eval()
    with torch.no_grad():
        drawn = sample(network, left, torch.arange(10, device=device).repeat(10)).cpu()
    shades = ((drawn + 1) / 2).clamp(0, 1).expand(-1, 3, -1, -1)
    pictures.save(pictures.grid([pictures.larger(p, 4) for p in shades], 10), path)
    print(f"a hundred digits, ten of each: {path}; {time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
