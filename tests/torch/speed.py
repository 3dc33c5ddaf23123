"""Single operators and whole networks on "mps" and on the CPU device, in turns: the least time of each, its ratio,
and the time of the first call. Threads: as many as OMP_NUM_THREADS and ARCBOX_CPUS say; with one each, other work
on the machine disturbs little.

    speed.py [table | PART OF A NAME...]

`table`: four networks and the twenty operators that networks are made of, which is what is compared from one
release to the next.
"""
import copy
import math
import sys
import time
import warnings

import torch
from torch import nn
from torch.nn import functional as F

import networks

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
    "add bf16": (lambda a, b: a + b, R(1<<20).bfloat16(), R(1<<20).bfloat16()),
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


# ---- networks, without derivatives

class Generator(networks.Transformer):
    """As GPT-2 writes: a token at a time, with what attention has seen kept."""
    def forward(self, ids):
        kept = [[None, None] for _ in self.blocks]
        for place in range(16):
            x = self.words(ids) + self.places.weight[place]
            for block, seen in zip(self.blocks, kept):
                a = block.attention
                q, k, v = (t.unflatten(-1, (a.heads, -1)).transpose(1, 2) for t in a.into(block.one(x)).chunk(3, -1))
                seen[0] = k if seen[0] is None else torch.cat([seen[0], k], 2)
                seen[1] = v if seen[1] is None else torch.cat([seen[1], v], 2)
                y = F.scaled_dot_product_attention(q, *seen)
                x = x + a.out(y.transpose(1, 2).flatten(2))
                x = x + block.after(block.two(x))
            ids = self.head(self.last(x)).argmax(-1)
        return ids


class Residual(nn.Module):
    def __init__(self, inside, out, time):
        super().__init__()
        self.one, self.two = nn.GroupNorm(32, inside), nn.GroupNorm(32, out)
        self.first, self.second = nn.Conv2d(inside, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)
        self.time, self.beside = nn.Linear(time, out), nn.Conv2d(inside, out, 1) if inside != out else nn.Identity()

    def forward(self, x, time):
        y = self.first(F.silu(self.one(x))) + self.time(F.silu(time))[:, :, None, None]
        return self.beside(x) + self.second(F.silu(self.two(y)))


class Looking(nn.Module):
    """At the picture itself and at words, with gates behind."""
    def __init__(self, width, context):
        super().__init__()
        self.norm = nn.GroupNorm(32, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.q = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(2))
        self.kv = nn.ModuleList(nn.Linear(c, 2 * width, bias=False) for c in (width, context))
        self.out = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.gates, self.last = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def forward(self, picture, words):
        x = self.norm(picture).flatten(2).transpose(1, 2)
        for n in range(2):
            y = self.norms[n](x)
            parts = (self.q[n](y), *self.kv[n](words if n else y).chunk(2, -1))
            y = F.scaled_dot_product_attention(*(t.unflatten(-1, (8, -1)).transpose(1, 2) for t in parts))
            x = x + self.out[n](y.transpose(1, 2).flatten(2))
        y, gate = self.gates(self.norms[2](x)).chunk(2, -1)
        x = x + self.last(y * F.gelu(gate))
        return picture + x.transpose(1, 2).unflatten(2, picture.shape[2:])


class UNet(nn.Module):
    """A step of Stable Diffusion's, with a block where that has two."""
    def __init__(self, widths=(320, 640, 1280), context=768, time=1280):
        super().__init__()
        self.into, self.out = nn.Conv2d(4, widths[0], 3, padding=1), nn.Conv2d(widths[0], 4, 3, padding=1)
        self.down, self.up, self.smaller, self.larger = (nn.ModuleList() for _ in range(4))
        inside = widths[0]
        for width in widths:
            self.down.append(nn.ModuleList([Residual(inside, width, time), Looking(width, context)]))
            self.smaller.append(nn.Conv2d(width, width, 3, 2, 1))
            self.larger.append(nn.Conv2d(width, width, 3, padding=1))
            self.up.append(nn.ModuleList([Residual(2 * width, inside, time), Looking(inside, context)]))
            inside = width
        self.middle = Residual(inside, inside, time)

    def forward(self, x, words, time):
        kept, x = [], self.into(x)
        for (residual, looking), smaller in zip(self.down, self.smaller):
            kept.append(looking(residual(x, time), words))
            x = smaller(kept[-1])
        x = self.middle(x, time)
        for (residual, looking), larger in zip(reversed(self.up), reversed(self.larger)):
            x = larger(F.interpolate(x, scale_factor=2.0))
            x = looking(residual(torch.cat([x, kept.pop()], 1), time), words)
        return self.out(x)


# Made when asked for; then as an operator, of which the network is the first operand.
NETWORKS = {
    "net ResNet-50": lambda: (networks.resnet50(), R(1, 3, 224, 224)),
    "net BERT": lambda: (networks.Transformer(False, depth=12, words=30000, out=2), torch.randint(0, 30000, (1, 128))),
    "net GPT-2 writes": lambda: (Generator(True, depth=12, words=30000, out=30000), torch.randint(0, 30000, (1, 1))),
    "net UNet step": lambda: (UNet(), R(1, 4, 32, 32), R(1, 77, 768), R(1, 1280)),
}
TABLE = ["add 1M", "mul bcast", "gelu 1M", "silu", "softmax", "layer_norm", "batch_norm", "group_norm", "mm 1024",
         "linear 8x128", "bmm", "sdpa", "conv 3x3", "conv 1x1", "conv depthw", "max_pool", "avg_pool", "embedding",
         "cat", "cross_ent"]


def forward(network, *operands):
    with torch.no_grad():
        return network(*operands)


def chosen(wanted):
    if wanted == ["table"]:
        yield from ((name, CASES[name]) for name in TABLE)
        yield from ((name, (forward, *make())) for name, make in NETWORKS.items())
        return
    for name, case in CASES.items():
        if not wanted or any(part in name for part in wanted):
            yield name, case
    for name, make in NETWORKS.items():
        if any(part in name for part in wanted):
            yield name, (forward, *make())


def there_of(operand):
    return copy.deepcopy(operand).to("mps") if isinstance(operand, nn.Module) else operand.to("mps")


def seconds(f, operands, times):
    start = time.perf_counter()
    for _ in range(times):
        f(*operands)
    if operands[-1].device.type == "mps":
        torch.mps.synchronize()
    return (time.perf_counter() - start) / times


def main():
    logarithms = []
    for name, (f, *operands) in chosen(sys.argv[1:]):
        there = [there_of(t) for t in operands]
        first = seconds(f, there, 1)
        seconds(f, operands, 1)
        times = max(1, min(200, int(0.002 / max(seconds(f, operands, 1), seconds(f, there, 1)))))
        cpu = mps = math.inf
        end, turns = time.perf_counter() + SECONDS, 0
        while time.perf_counter() < end or turns < 3:
            turns += 1
            cpu = min(cpu, seconds(f, operands, times))
            mps = min(mps, seconds(f, there, times))
        logarithms.append(math.log(cpu / mps))
        print(f"{name:18} mps {mps * 1e3:8.3f} ms  cpu {cpu * 1e3:8.3f} ms  ratio {cpu / mps:6.2f}"
              f"  first {first:.2f} s", flush=True)
    print(f"geometric mean of {len(logarithms)}: {math.exp(sum(logarithms) / len(logarithms)):.2f}; "
          f"{torch.get_num_threads()} threads, torch {torch.__version__}")


main()
