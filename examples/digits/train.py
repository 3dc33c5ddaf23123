"""Trains a small convolutional network on scikit-learn's handwritten digits with tinygrad.

Ordinary tinygrad: nothing here knows where its METAL device really is. The data is exported to the
data folder (/data in a container, else ./data) on the first run and read back from there; the
trained weights are written beside it.
"""
import ctypes
import ctypes.util
import os
import pathlib
import sys
import time

os.environ.setdefault("DEV", "METAL")  # tinygrad's own way to choose a device
import numpy as np
from tinygrad import Context, Device, Tensor, TinyJit, nn
from tinygrad.nn.state import get_parameters, get_state_dict

EPOCHS = int(os.environ.get("EPOCHS", "12"))
BATCH = 64
DATA = pathlib.Path("/data") if os.access("/data", os.W_OK) else pathlib.Path("data")


def load():
    """1,797 real scans of digits, 8x8: exported once, then read from the data folder."""
    file = DATA / "digits.npz"
    if not file.exists():
        from sklearn.datasets import load_digits
        DATA.mkdir(exist_ok=True)
        digits = load_digits()
        order = np.random.default_rng(7).permutation(len(digits.target))
        np.savez(file, images=digits.images[order].astype(np.float32), labels=digits.target[order].astype(np.int32))
        print(f"exported {len(order)} digits to {file}")
    with np.load(file) as f:
        images, labels = f["images"].reshape(-1, 1, 8, 8) / 16.0, f["labels"]
    held_out = 360
    print(f"read {len(labels)} digits from {file}, {held_out} of them held out for the test")
    return images[held_out:], labels[held_out:], images[:held_out], labels[:held_out]


class Net:
    def __init__(self):
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.fc = nn.Linear(64 * 4 * 4, 10)

    def __call__(self, x):
        x = self.conv1(x).relu()
        x = self.conv2(x).relu().max_pool2d()
        return self.fc(x.flatten(1))


def bar(epoch, done, steps, loss, accuracy):
    width = 28
    filled = width * done // steps
    text = f"epoch {epoch:2}/{EPOCHS} [{'#' * filled}{'.' * (width - filled)}] loss {loss:.4f}  test accuracy {accuracy:6.2%}"
    if sys.stdout.isatty():
        print(f"\r{text}", end="" if done < steps else "\n", flush=True)
    elif done == steps:
        print(text, flush=True)


def report():
    """What really executed, in the words of the library behind Metal, where it can say so."""
    name = ctypes.util.find_library("Metal")
    try:
        line = ctypes.CDLL(name).abx_report_line if name else None
    except (OSError, AttributeError):
        line = None
    if line:
        text = ctypes.create_string_buffer(1024)
        line(text, ctypes.c_size_t(len(text)))
        print(text.value.decode())


def main():
    Tensor.manual_seed(7)
    images, labels, test_images, test_labels = load()
    images, labels, test_images, test_labels = (Tensor(t).realize() for t in (images, labels, test_images, test_labels))
    net = Net()
    optimizer = nn.optim.Adam(get_parameters(net), lr=0.002)

    @TinyJit
    @Context(TRAINING=1)
    def step(rows):
        optimizer.zero_grad()
        loss = net(images[rows]).sparse_categorical_crossentropy(labels[rows]).backward()
        return loss.realize(*optimizer.schedule_step())

    @TinyJit
    def test():
        return (net(test_images).argmax(axis=1) == test_labels).mean().realize()

    shuffle = np.random.default_rng(7)
    steps = int(labels.shape[0]) // BATCH
    accuracy, begin, first = 0.0, time.monotonic(), None
    for epoch in range(1, EPOCHS + 1):
        order = shuffle.permutation(int(labels.shape[0])).astype(np.int32)
        for i in range(steps):
            loss = step(Tensor(order[i * BATCH:(i + 1) * BATCH]).realize())
            if i % 8 == 7 and i + 1 < steps:
                bar(epoch, i + 1, steps, loss.item(), accuracy)
        accuracy = test().item()
        bar(epoch, steps, steps, loss.item(), accuracy)
        first = first or time.monotonic()
    seconds = time.monotonic() - begin
    steady = (time.monotonic() - first) / max(EPOCHS - 1, 1)
    weights = {name: tensor.numpy() for name, tensor in get_state_dict(net).items()}
    np.savez(DATA / "weights.npz", **weights)
    print(f"trained on {Device.DEFAULT} in {seconds:.1f} s ({steady:.2f} s an epoch after the first), weights in {DATA}/weights.npz")
    report()
    return 0 if accuracy > 0.97 else 1


if __name__ == "__main__":
    sys.exit(main())
