"""How long the first pass through a network takes on "mps", all its kernels compiled or found and loaded, and how
long the ones after it."""
import time

import torch

from networks import Transformer, resnet50

CASES = {
    "resnet50": (resnet50, lambda: torch.randn(1, 3, 224, 224)),
    "bert": (lambda: Transformer(False, depth=12, words=30522), lambda: torch.randint(0, 30522, (1, 128))),
}


def milliseconds(network, x):
    start = time.perf_counter()
    with torch.no_grad():
        network(x)
    torch.mps.synchronize()
    return (time.perf_counter() - start) * 1e3


said = []
for name, (make, data) in CASES.items():
    torch.manual_seed(1)
    network, x = make().eval().to("mps"), data().to("mps")
    torch.mps.synchronize()
    passes = [milliseconds(network, x) for _ in range(11)]
    said.append(f"{name} {passes[0]:.0f} ms, then {sorted(passes[1:])[5]:.2f}")
print("; ".join(said))
