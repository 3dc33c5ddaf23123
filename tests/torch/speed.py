"""Single operators on "mps" and on the CPU device, in turns: the least time of each, its ratio, and the time
of the first call. Threads: as many as OMP_NUM_THREADS and ARCBOX_CPUS say; with one each, other work on the
machine disturbs little.

    speed.py [PART OF A NAME...]
"""
import math
import sys
import time
import warnings

import torch
from torch.nn import functional as F

warnings.simplefilter("ignore")
SECONDS = 1  # for each operator


def R(*sizes):
    return torch.randn(*sizes)


def adam(weights, slope, mean, square):
    with torch.no_grad():
        torch._fused_adamw_([weights], [slope], [mean], [square], [], [torch.ones((), device=weights.device)], lr=1e-3,
                            beta1=0.9, beta2=0.999, weight_decay=0.01, eps=1e-8, amsgrad=False, maximize=False)


CASES = {
    "add 1M": (lambda a, b: a + b, R(1<<20), R(1<<20)),
    "mul bcast": (lambda a, b: a * b, R(1024, 1024), R(1024)),
    "add transposed": (lambda a, b: a + b.t(), R(1024, 1024), R(1024, 1024)),
    "gelu 1M": (F.gelu, R(1<<20)),
    "exp 1M": (torch.exp, R(1<<20)),
    "bias slope": (lambda a: a.sum(0), R(1024, 3072)),
    "sum 1M": (torch.sum, R(1<<20)),
    "sum dim0": (lambda a: a.sum(0), R(1024, 1024)),
    "max dim1": (lambda a: a.max(1), R(1024, 1024)),
    "softmax": (lambda a: a.softmax(-1), R(1024, 1024)),
    "log_softmax": (lambda a: a.log_softmax(-1), R(64, 32000)),
    "layer_norm": (lambda a: F.layer_norm(a, (768,)), R(2000, 768)),
    "batch_norm": (lambda a: F.batch_norm(a, None, None, training=True), R(8, 64, 56, 56)),
    "mm 512": (torch.mm, R(512, 512), R(512, 512)),
    "mm 1024": (torch.mm, R(1024, 1024), R(1024, 1024)),
    "mm 511": (torch.mm, R(511, 511), R(511, 511)),
    "mm half": (torch.mm, R(512, 512).half(), R(512, 512).half()),
    "mm bf16": (torch.mm, R(512, 512).bfloat16(), R(512, 512).bfloat16()),
    "mv 4096": (lambda w, x: F.linear(x, w), R(4096, 2048), R(1, 2048)),
    "linear 8x128": (lambda x, w, b: F.linear(x, w, b), R(8, 128, 768), R(3072, 768), R(3072)),
    "bmm": (torch.bmm, R(96, 128, 64), R(96, 64, 128)),
    "sdpa": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v), R(8, 12, 128, 64), R(8, 12, 128, 64), R(8, 12, 128, 64)),
    "conv 3x3": (lambda x, w: F.conv2d(x, w, padding=1), R(4, 64, 56, 56), R(64, 64, 3, 3)),
    "conv 1x1": (lambda x, w: F.conv2d(x, w), R(4, 256, 28, 28), R(128, 256, 1, 1)),
    "conv 7x7 s2": (lambda x, w: F.conv2d(x, w, stride=2, padding=3), R(4, 3, 224, 224), R(64, 3, 7, 7)),
    "conv depthw": (lambda x, w: F.conv2d(x, w, padding=1, groups=128), R(4, 128, 28, 28), R(128, 1, 3, 3)),
    "conv depthw 7x7": (lambda x, w: F.conv2d(x, w, padding=3, groups=96), R(2, 96, 28, 28), R(96, 1, 7, 7)),
    "conv depthw s2": (lambda x, w: F.conv2d(x, w, stride=2, padding=1, groups=96), R(2, 96, 56, 56), R(96, 1, 3, 3)),
    "conv depthw 14": (lambda x, w: F.conv2d(x, w, padding=1, groups=384), R(2, 384, 14, 14), R(384, 1, 3, 3)),
    "conv depthw 7": (lambda x, w: F.conv2d(x, w, padding=2, groups=960), R(2, 960, 7, 7), R(960, 1, 5, 5)),
    "conv_tr 2x2": (lambda x, w: F.conv_transpose2d(x, w, stride=2), R(4, 64, 28, 28), R(64, 64, 2, 2)),
    "max_pool": (lambda x: F.max_pool2d(x, 3, 2, 1), R(4, 64, 112, 112)),
    "avg_pool": (lambda x: F.adaptive_avg_pool2d(x, 1), R(8, 512, 14, 14)),
    "embedding": (lambda w, i: F.embedding(i, w), R(30000, 768), torch.randint(0, 30000, (8, 128))),
    "gather": (lambda a, i: a.gather(1, i), R(1024, 1024), torch.randint(0, 1024, (1024, 1024))),
    "cat": (lambda a, b: torch.cat([a, b], 1), R(1024, 512), R(1024, 512)),
    "contiguous": (lambda a: a.transpose(1, 2).contiguous(), R(8, 128, 12*64).view(8, 128, 12, 64)),
    "transpose 2d": (lambda a: a.t().contiguous(), R(1024, 1024)),
    "cumsum": (lambda a: a.cumsum(1), R(1024, 1024)),
    "where": (lambda a, b: torch.where(a > 0, a, b), R(1024, 1024), R(1024, 1024)),
    "cast half": (lambda a: a.half(), R(1<<20)),
    "sort": (lambda a: a.sort(-1), R(256, 1024)),
    "topk": (lambda a: a.topk(50, -1), R(16, 32000)),
    "nearest2x": (lambda a: F.interpolate(a, scale_factor=2), R(1, 320, 32, 32)),
    "group_norm": (lambda a: F.group_norm(a, 32), R(2, 320, 32, 32)),
    "silu": (F.silu, R(2, 320, 64, 64)),
    "cross_ent": (lambda a, t: F.cross_entropy(a, t), R(512, 10000), torch.randint(0, 10000, (512,))),
    "randn": (lambda a: torch.randn(a.shape, device=a.device), R(1<<20)),
    "dropout": (lambda a: F.dropout(a, 0.1, True), R(1<<20)),
    "fft 1024": (torch.fft.fft, R(512, 1024)),
    "rfft2 512": (torch.fft.rfft2, R(4, 512, 512)),
    "fft 1009": (torch.fft.fft, R(512, 1009)),
    "mul complex": (lambda a, b: a * b, torch.complex(R(1<<19), R(1<<19)), torch.complex(R(1<<19), R(1<<19))),
    "solve 256": (lambda a, b: torch.linalg.solve(a, b), R(256, 256) + 20 * torch.eye(256), R(256, 16)),
    "inverse 32": (torch.linalg.inv, R(64, 32, 32) + 6 * torch.eye(32)),
    "cholesky 512": (torch.linalg.cholesky, 600 * torch.eye(512) + 1),
    "grid_sample": (lambda x, g: F.grid_sample(x, g, align_corners=False), R(4, 16, 64, 64), torch.rand(4, 64, 64, 2) * 2 - 1),
    "max_pool3d": (lambda x: F.max_pool3d(x, 2), R(2, 16, 16, 32, 32)),
    "unfold": (lambda x: F.unfold(x, 3, padding=1), R(4, 32, 56, 56)),
    "median": (lambda a: a.median(-1), R(256, 1024)),
    "cummax": (lambda a: a.cummax(1), R(1024, 1024)),
    "lgamma": (torch.lgamma, torch.rand(1<<20) * 10),
    "adam fused": (adam, R(1<<20), R(1<<20), R(1<<20), torch.rand(1<<20)),
    "tiny add": (lambda a: a + 1, R(16)),
    "fill": (lambda a: torch.zeros_like(a), R(1<<20)),
}


def train(f):
    def step(*operands):
        operands = [t.detach().requires_grad_() if t.is_floating_point() else t for t in operands]
        f(*operands).sum().backward()
    return step


for name in ("grid_sample", "conv depthw", "conv 3x3", "linear 8x128", "layer_norm", "batch_norm", "sdpa", "embedding"):
    CASES["train " + name] = (train(CASES[name][0]),) + CASES[name][1:]


def seconds(f, operands, times):
    start = time.perf_counter()
    for _ in range(times):
        f(*operands)
    if operands[0].device.type == "mps":
        torch.mps.synchronize()
    return (time.perf_counter() - start) / times


def main():
    logarithms = []
    for name, (f, *operands) in CASES.items():
        if sys.argv[1:] and not any(part in name for part in sys.argv[1:]):
            continue
        there = [t.to("mps") for t in operands]
        first = seconds(f, there, 1)
        seconds(f, operands, 1)
        times = max(1, min(200, int(0.002 / max(seconds(f, operands, 1), seconds(f, there, 1)))))
        cpu = mps = math.inf
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            cpu = min(cpu, seconds(f, operands, times))
            mps = min(mps, seconds(f, there, times))
        logarithms.append(math.log(cpu / mps))
        print(f"{name:18} mps {mps * 1e3:8.3f} ms  cpu {cpu * 1e3:8.3f} ms  ratio {cpu / mps:6.2f}"
              f"  first {first:.2f} s", flush=True)
    print(f"geometric mean of {len(logarithms)}: {math.exp(sum(logarithms) / len(logarithms)):.2f}; "
          f"{torch.get_num_threads()} threads, torch {torch.__version__}")


main()
