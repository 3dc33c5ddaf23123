"""Trains a small convolutional network on digits, on PyTorch's device "mps".

Ordinary PyTorch: nothing here knows where the device really is.
"""
import time

import torch
from torch import nn

from digits import draw

device = torch.device("mps")


def make_network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def main():
    torch.manual_seed(7)
    pictures, labels = draw(2048, seed=1)
    held_out, answers = draw(512, seed=2)
    network = make_network().to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for epoch in range(4):
        start, total = time.time(), 0.0
        for n in range(0, len(labels), 64):
            x, y = pictures[n:n + 64].to(device), labels[n:n + 64].to(device)
            loss = nn.functional.cross_entropy(network(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
        with torch.no_grad():
            right = (network(held_out.to(device)).argmax(1).cpu() == answers).float().mean().item()
        print(f"epoch {epoch + 1}: loss {total / (len(labels) // 64):.4f}, {right:.1%} of the held-out digits right, "
              f"{time.time() - start:.2f} s")
    torch.save(network.state_dict(), "/tmp/digits.pt")


if __name__ == "__main__":
    main()
