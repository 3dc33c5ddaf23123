"""ResNet-50's forward pass with random weights, captured by TinyJit: how long it takes on one of tinygrad's
devices, and whether its results are right.

    resnet.py DEVICE [BATCHES [PIXELS [SECONDS]]]      resnet.py METAL 1,64 224 3

A line for each batch, after a second of passes that do not count: the median of the passes of SECONDS, each
waited for, in milliseconds; the same of passes that follow one another, ten for one wait; the largest error
of the first and the last picture beside float64, of the largest result. Ends with an error where that is
not what float's rounding makes.
"""
import statistics
import sys
import time

import numpy as np
from tinygrad import Device, Tensor, TinyJit, nn
from tinygrad.nn.state import get_state_dict

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride
CLASSES, LIMIT = 1000, 1e-4


class Convolution:
    """With its normalisation."""

    def __init__(self, inside, out, size, stride=1):
        self.conv = nn.Conv2d(inside, out, size, stride, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm(out)

    def __call__(self, x):
        return self.norm(self.conv(x))


class Bottleneck:
    def __init__(self, inside, width, stride):
        out = width * 4
        self.one, self.two, self.three = Convolution(inside, width, 1), Convolution(width, width, 3, stride), Convolution(width, out, 1)
        self.beside = None if inside == out and stride == 1 else Convolution(inside, out, 1, stride)

    def __call__(self, x):
        y = self.three(self.two(self.one(x).relu()).relu())
        return (y + (self.beside(x) if self.beside else x)).relu()


class ResNet50:
    def __init__(self):
        self.first, self.blocks, inside = Convolution(3, 64, 7, 2), [], 64
        for width, count, stride in STAGES:
            for n in range(count):
                self.blocks.append(Bottleneck(inside, width, stride if n == 0 else 1))
                inside = width * 4
        self.last = nn.Linear(inside, CLASSES)

    def __call__(self, x):
        x = self.first(x).relu().max_pool2d(3, 2, padding=1)
        for block in self.blocks:
            x = block(x)
        return self.last(x.mean((2, 3)))


def random_weights(shapes):
    """Such that what goes through the network neither fades nor grows without end."""
    random, values = np.random.default_rng(1), {}
    for name, shape in shapes.items():
        if "num_batches" in name:
            continue
        if len(shape) > 1:
            value = random.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5
        elif name.endswith("running_var"):
            value = random.uniform(0.5, 1.5, shape)
        elif name.endswith("norm.weight"):
            value = random.uniform(0.8, 1.2, shape) * (0.4 if "three" in name else 1)
        else:
            value = random.standard_normal(shape) * 0.1
        values[name] = value.astype(np.float32)
    return values


class Reference:
    """The same in numpy, float64."""

    def __init__(self, weights):
        self.weights = {name: value.astype(np.float64) for name, value in weights.items()}

    def windows(self, x, size, stride, fill):
        edge = size // 2
        x = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)), constant_values=fill)
        return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]

    def convolution(self, name, x, stride=1):
        w = self.weights
        kernel = w[name + ".conv.weight"]
        y = np.tensordot(self.windows(x, kernel.shape[2], stride, 0), kernel, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
        scale = w[name + ".norm.weight"] / np.sqrt(w[name + ".norm.running_var"] + 1e-5)
        shift = w[name + ".norm.bias"] - w[name + ".norm.running_mean"] * scale
        return y * scale[:, None, None] + shift[:, None, None]

    def __call__(self, x):
        x = np.maximum(self.convolution("first", x, 2), 0)
        x = self.windows(x, 3, 2, -np.inf).max((4, 5))
        number = 0
        for _, count, stride in STAGES:
            for n in range(count):
                name, step = f"blocks.{number}", stride if n == 0 else 1
                y = np.maximum(self.convolution(name + ".one", x), 0)
                y = np.maximum(self.convolution(name + ".two", y, step), 0)
                y = self.convolution(name + ".three", y)
                x = np.maximum(y + (self.convolution(name + ".beside", x, step) if n == 0 else x), 0)
                number += 1
        return x.mean((2, 3)) @ self.weights["last.weight"].T + self.weights["last.bias"]


def captured(device, weights, pictures):
    """A function that runs one pass, and its result."""
    network = ResNet50()
    for name, tensor in get_state_dict(network).items():
        tensor.replace(Tensor(weights[name], device=device) if name in weights else tensor.to(device)).realize()
    x = Tensor(pictures, device=device).realize()
    run = TinyJit(lambda x: network(x).realize())
    for _ in range(3):
        result = run(x)
    return (lambda: run(x)), result.numpy()


def milliseconds(device, run, passes, seconds):
    """Of one pass: the median of as many times `passes` as there are in `seconds`."""
    taken, end = [], time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(passes):
            run()
        Device[device].synchronize()
        taken.append((time.perf_counter() - start) * 1e3 / passes)
    return statistics.median(taken)


def main():
    device, batches, pixels, seconds = (sys.argv[n] if len(sys.argv) > n else default
                                        for n, default in ((1, "METAL"), (2, "1,64"), (3, "224"), (4, "3")))
    weights = random_weights({name: tensor.shape for name, tensor in get_state_dict(ResNet50()).items()})
    reference, right = Reference(weights), True
    for batch in map(int, batches.split(",")):
        pictures = np.random.default_rng(2).standard_normal((batch, 3, int(pixels), int(pixels)), dtype=np.float32)
        some = [0, batch - 1]
        expected = reference(pictures[some].astype(np.float64))
        run, result = captured(device, weights, pictures)
        error = np.abs(result[some] - expected).max() / np.abs(expected).max()
        right &= bool(error < LIMIT)
        milliseconds(device, run, 1, min(1, float(seconds)))
        alone, followed = (milliseconds(device, run, passes, float(seconds)) for passes in (1, 10))
        print(f"ResNet-50 {batch} x {pixels} {device}: {alone:.3f} ms, {followed:.3f} ms in a row, error {error:.1e}", flush=True)
    sys.exit(0 if right else "resnet.py: wrong results")


main()
