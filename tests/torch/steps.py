"""Networks train on "mps" and on the processor from the same weights with the same data: their losses
agree step by step."""
import sys

import torch
from torch import nn

sys.path.insert(0, "/examples")
from digits import draw  # noqa: E402
from train import make_network  # noqa: E402

NETWORKS = {
    "perceptron": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10)),
    "convolutions": make_network,
}
OPTIMISERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-2),
}


def losses(device, make, optimiser, steps):
    torch.manual_seed(7)
    network = make().to(device)
    optimiser = optimiser(network.parameters())
    pictures, labels = draw(steps * 32, seed=1)
    found = []
    for n in range(0, steps * 32, 32):
        x, y = pictures[n:n + 32].to(device), labels[n:n + 32].to(device)
        loss = nn.functional.cross_entropy(network(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(loss.item())
    return found


def main():
    failed = 0
    for name, make in NETWORKS.items():
        for rule, optimiser in OPTIMISERS.items():
            ours, theirs = (losses(d, make, optimiser, 20) for d in ("mps", "cpu"))
            worst = max(abs(a - b) / (abs(b) + 1e-3) for a, b in zip(ours, theirs))
            good = worst < 1e-3 and ours[-1] < ours[0]
            failed += not good
            print(f"{name}, {rule}: loss {ours[0]:.4f} to {ours[-1]:.4f}, worst difference from the processor's "
                  f"{worst:.1e}: {'equal' if good else 'DIFFERS'}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
