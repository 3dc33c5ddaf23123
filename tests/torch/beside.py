"""Forward passes on "mps" beside PyTorch's own "cuda" on the same GPU, in turns: median milliseconds, eager, without
gradients. Neither rounds products of floats to TF32.

    beside.py [PART OF A NAME...]
"""
import statistics
import sys
import time

import torch

from networks import Transformer, resnet50

ROUNDS = 25
# What makes the network, its data, and of how many samples: BERT's is BERT-base's shape.
CASES = {
    "resnet50": (resnet50, lambda n: torch.randn(n, 3, 224, 224), (1, 64)),
    "bert": (lambda: Transformer(False, depth=12, words=30522), lambda n: torch.randint(0, 30522, (n, 128)), (1, 32)),
}


def milliseconds(device, network, x):
    start = time.perf_counter()
    with torch.no_grad():
        network(x)
    (torch.mps if device == "mps" else torch.cuda).synchronize()
    return (time.perf_counter() - start) * 1e3


def main():
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    for name, (make, data, counts) in CASES.items():
        for count in counts:
            for dtype in (torch.float32, torch.float16, torch.bfloat16):
                title = f"{name} {count} {str(dtype).split('.')[1]}"
                if sys.argv[1:] and not any(part in title for part in sys.argv[1:]):
                    continue
                torch.manual_seed(1)
                x, taken = data(count), {}
                networks = {}
                for device in ("mps", "cuda"):
                    torch.manual_seed(1)
                    networks[device] = (make().eval().to(device, dtype),
                                        x.to(device, dtype) if x.is_floating_point() else x.to(device))
                    for _ in range(5):
                        milliseconds(device, *networks[device])
                    taken[device] = []
                for _ in range(ROUNDS):
                    for device in taken:
                        taken[device].append(milliseconds(device, *networks[device]))
                ours, theirs = (statistics.median(taken[d]) for d in ("mps", "cuda"))
                print(f"{title}: mps {ours:.2f} ms, cuda {theirs:.2f} ms, cuda / mps {theirs / ours:.2f}", flush=True)


if __name__ == "__main__":
    main()
