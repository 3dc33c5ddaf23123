"""Larger networks, forward and one training step, on "mps" against the CPU device; what they launch, wait
for and leave to the processor.

    networks.py [resnet50 | bert | gpt2 | conformer ...]
"""
import sys
import time
import warnings

import torch
from torch import nn
from torch.nn import functional as F

import arcbox_mps


class Bottleneck(nn.Module):
    def __init__(self, inside, planes, stride):
        super().__init__()
        out = planes * 4
        self.body = nn.Sequential(
            nn.Conv2d(inside, planes, 1, bias=False), nn.BatchNorm2d(planes), nn.ReLU(inplace=True),
            nn.Conv2d(planes, planes, 3, stride, 1, bias=False), nn.BatchNorm2d(planes), nn.ReLU(inplace=True),
            nn.Conv2d(planes, out, 1, bias=False), nn.BatchNorm2d(out))
        self.beside = nn.Identity() if inside == out and stride == 1 else nn.Sequential(
            nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        return F.relu(self.body(x) + self.beside(x), inplace=True)


def resnet50():
    layers, inside = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
                      nn.MaxPool2d(3, 2, 1)], 64
    for planes, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for n in range(count):
            layers.append(Bottleneck(inside, planes, stride if n == 0 else 1))
            inside = planes * 4
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 1000))


class Attention(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.into, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.into(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.one, self.two = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, causal)
        self.after = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.one(x))
        return x + self.after(self.two(x))


class Transformer(nn.Module):
    def __init__(self, causal, width=768, heads=12, depth=4, words=2000, out=2000):
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(512, width)
        self.blocks = nn.Sequential(*(Block(width, heads, causal) for _ in range(depth)))
        self.last, self.head = nn.LayerNorm(width), nn.Linear(width, out)

    def forward(self, ids):
        x = self.words(ids) + self.places(torch.arange(ids.shape[1], device=ids.device))
        return self.head(self.last(self.blocks(x)))


def feed_forward(width):
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))


class Convolutions(nn.Module):
    """Along the time: gated, then each channel for itself."""
    def __init__(self, width, window):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.body = nn.Sequential(nn.Conv1d(width, 2 * width, 1), nn.GLU(1),
                                  nn.Conv1d(width, width, window, padding=window // 2, groups=width),
                                  nn.BatchNorm1d(width), nn.SiLU(), nn.Conv1d(width, width, 1))

    def forward(self, x):
        return self.body(self.norm(x).transpose(1, 2)).transpose(1, 2)


class Conformer(nn.Module):
    """What recognises speech: attention between convolutions."""
    def __init__(self, width=80, heads=4, depth=2, window=31, out=100):
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleList((
            feed_forward(width), nn.LayerNorm(width), nn.MultiheadAttention(width, heads, batch_first=True),
            Convolutions(width, window), feed_forward(width), nn.LayerNorm(width))) for _ in range(depth))
        self.head = nn.Linear(width, out)

    def forward(self, x):
        hidden = torch.arange(x.shape[1], device=x.device) >= torch.tensor([[x.shape[1]], [x.shape[1] // 2]], device=x.device)
        for before, norm, attention, convolutions, after, last in self.layers:
            x = x + before(x) / 2
            y = norm(x)
            x = x + attention(y, y, y, key_padding_mask=hidden, need_weights=False)[0]
            x = x + convolutions(x)
            x = last(x + after(x) / 2)
        return self.head(x)


def words(batch, length):
    return torch.randint(0, 2000, (batch, length), generator=torch.Generator().manual_seed(3))


NETWORKS = {
    "resnet50": (resnet50, lambda: torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3)), 1000),
    "bert": (lambda: Transformer(False), lambda: words(2, 32), 2000),
    "gpt2": (lambda: Transformer(True), lambda: words(2, 32), 2000),
    "conformer": (Conformer, lambda: torch.randn(2, 120, 80, generator=torch.Generator().manual_seed(3)), 100),
}


def run(device, make, data, classes, dtype=None):
    """The output, the losses before and after a step, seconds of a second forward pass, what it takes, and the first
    step's gradients."""
    torch.manual_seed(7)
    network, x = make(), data()
    network, x = network.to(device, dtype).eval(), x.to(device, dtype if x.is_floating_point() else None)
    with torch.no_grad():
        out = network(x).cpu()
        arcbox_mps.forget_calls()
        before, start = arcbox_mps.statistics(), time.perf_counter()
        network(x).cpu()
        seconds = time.perf_counter() - start
    after, fallen = arcbox_mps.statistics(), arcbox_mps.calls()[1]
    taken = {k: after[k] - before[k] for k in ("launches", "batches", "waits")}
    network.train()
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    losses, gradients = [], None
    for _ in range(2):
        y = network(x).flatten(0, -2)
        loss = F.cross_entropy(y, torch.arange(len(y), device=device) % classes)
        optimiser.zero_grad()
        loss.backward()
        if gradients is None:
            gradients = torch.cat([p.grad.flatten().cpu().double() for p in network.parameters()])
        optimiser.step()
        losses.append(loss.item())
    return out, losses, seconds, taken, fallen | arcbox_mps.calls()[1], gradients


def main():
    warnings.simplefilter("ignore")
    failed = 0
    for name in sys.argv[1:] or NETWORKS:
        make, data, classes = NETWORKS[name]
        ours, theirs = (run(d, make, data, classes) for d in ("mps", "cpu"))
        exact = run("cpu", make, data, classes, torch.float64)
        error = (ours[0] - exact[0]).abs().max().item() / exact[0].abs().max().item()
        # Few pictures make batch norms, and so a step, sensitive: as far off as the processor may be.
        worst, allowed = (max(abs(a - b) / abs(b) for a, b in zip(x[1], exact[1])) for x in (ours, theirs))
        # All gradients together: one that is 0 but for rounding, as a bias's before a batch norm, says nothing.
        slope, slope_allowed = (((x[5] - exact[5]).norm() / exact[5].norm()).item() for x in (ours, theirs))
        good = error < 1e-4 and worst < 1e-4 + 4 * allowed and slope < 1e-4 + 4 * slope_allowed and ours[3]["waits"] <= 1
        failed += not good
        print(f"{name}: output {error:.1e}, losses {worst:.1e} from float64's (the processor's {allowed:.1e}), gradients {slope:.1e} ({slope_allowed:.1e}); forward {ours[2] * 1e3:.0f} ms "
              f"(the processor's own: {theirs[2] * 1e3:.0f} ms), {ours[3]['launches']} launches in {ours[3]['batches']} "
              f"batches, {ours[3]['waits']} waits; run by the processor: {ours[4] or 'nothing'}: "
              f"{'equal' if good else 'DIFFERS'}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
