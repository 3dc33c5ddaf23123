"""Convolutions of sizes that torch's own samples do not have, forward and derivatives, on "mps" against the
CPU device: images large enough not to be merged, strides and dilations, groups, one row and several.

    convolutions.py [N]     of the first kind each N-th, and all of the others
"""
import itertools
import sys

import torch
from torch.nn import functional as F

torch.manual_seed(5)
failed = 0
every = int(sys.argv[1]) if len(sys.argv) > 1 else 1


def close(name, a, b):
    global failed
    error = (a.detach().cpu() - b.detach()).abs().max().item() / max(b.detach().abs().max().item(), 1e-6)
    if not error < 2e-5:
        print(f"{name}: wrong by {error:.1e}")
        failed += 1


def run(device, x, w, b, arguments, transposed):
    x, w, b = (t.detach().to(device).requires_grad_() for t in (x, w, b))
    y = (F.conv_transpose2d if transposed else F.conv2d)(x, w, b, **arguments)
    y.backward(torch.linspace(-1, 1, y.numel(), device="cpu").view(y.shape).to(device))
    return y, x.grad, w.grad, b.grad


count = 0
for batch, side, window, stride, padding, dilation, (groups, filters), transposed in itertools.islice(itertools.product(
        (1, 3), (7, 21), ((3, 3), (1, 5), (4, 1)), (1, 2, (3, 1)), (0, 2), (1, 2), ((1, 16), (2, 16), (8, 16), (8, 8)), (False, True)),
        0, None, every):
    channels = 8
    shape = (channels, filters // groups, *window) if transposed else (filters, channels // groups, *window)
    x, w, b = torch.randn(batch, channels, side, side + 2), torch.randn(shape), torch.randn(filters)
    arguments = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    try:
        right = run("cpu", x, w, b, arguments, transposed)
    except RuntimeError:
        continue  # the window is larger than the image
    name = f"{batch} x {side}, window {window}, {arguments}{', transposed' if transposed else ''}"
    for what, a, c in zip(("output", "input's", "weight's", "bias's"), run("mps", x, w, b, arguments, transposed), right):
        close(f"{name}: {what}", a, c)
    count += 1
# Each channel for itself, wider than a SIMD-group, with the windows of networks.
for side, window, stride, dilation in ((40, 3, 1, 1), (67, 7, 1, 1), (45, 5, 2, 1), (40, 3, 1, 3)):
    x, w, b = torch.randn(2, 12, side, side - 3), torch.randn(12, 1, window, window), torch.randn(12)
    arguments = dict(stride=stride, padding=window // 2, dilation=dilation, groups=12)
    for what, a, c in zip(("output", "input's", "weight's", "bias's"), run("mps", x, w, b, arguments, False),
                          run("cpu", x, w, b, arguments, False)):
        close(f"{side}, {window}, {arguments}: {what}", a, c)
    count += 1
# Of groups with several channels and filters, and transposed with windows side by side.
for side, channels, filters, window, stride, padding in ((14, 4, 8, 3, 1, 1), (33, 2, 4, 3, 2, 1), (9, 3, 4, 5, 1, 2), (40, 4, 12, 1, 1, 0)):
    x, w, b = torch.randn(2, 8 * channels, side, side + 3), torch.randn(8 * filters, channels, window, window), torch.randn(8 * filters)
    arguments = dict(stride=stride, padding=padding, groups=8)
    for what, a, c in zip(("output", "input's", "weight's", "bias's"), run("mps", x, w, b, arguments, False),
                          run("cpu", x, w, b, arguments, False)):
        close(f"{side}, {window}, {arguments}: {what}", a, c)
    count += 1
for batch, (high, wide), rest in ((2, (2, 2), 0), (1, (3, 2), 0), (3, (2, 4), 0), (2, (2, 2), 1)):
    x, w, b = torch.randn(batch, 8, 19, 23), torch.randn(8, 6, high, wide), torch.randn(6)
    arguments = dict(stride=(high, wide), output_padding=rest)
    for what, a, c in zip(("output", "input's", "weight's", "bias's"), run("mps", x, w, b, arguments, True),
                          run("cpu", x, w, b, arguments, True)):
        close(f"apart, {batch}, {high} x {wide}, {rest}: {what}", a, c)
    count += 1
print(f"{count} convolutions, {failed} wrong")
sys.exit(failed != 0 or count < 700 // every)
