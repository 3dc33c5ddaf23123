"""Mixed work on "mps" for some seconds, each round's result against the processor's: for machines that have
other tenants at the same time.

    soak.py SEED SECONDS
"""
import sys
import time

import torch
from torch.nn import functional as F


def work(seed):
    """Operands on the processor, and what is made of them."""
    g = torch.Generator().manual_seed(seed)

    def numbers(*shape):
        return torch.randn(*shape, generator=g)
    n = 16 << seed % 5
    return [
        (lambda a, b: a @ b, numbers(n, 3 * n), numbers(3 * n, n)),
        (lambda x, w: F.conv2d(x, w, padding=1), numbers(2, 8, n, 24), numbers(12, 8, 3, 3)),
        (lambda x: x.softmax(-1).cumsum(0), numbers(n, 257)),
        (lambda x, y: F.layer_norm(x * y, (n,)).sum(0), numbers(128, n), numbers(128, n)),
    ][seed % 4]


def main():
    seed, end, rounds = int(sys.argv[1]) * 1000003, time.monotonic() + float(sys.argv[2]), 0
    while time.monotonic() < end:
        for _ in range(20):
            seed += 1
            f, *operands = work(seed)
            ours = f(*(t.to("mps") for t in operands)).cpu().double()
            exact = f(*(t.double() for t in operands))
            error = ((ours - exact).abs().max() / exact.abs().max()).item()
            if not error < 1e-4:
                sys.exit(f"seed {seed}: {error:.1e} from float64's")
        rounds += 1
    print(f"{rounds} rounds of 20, all right")


if __name__ == "__main__":
    main()
