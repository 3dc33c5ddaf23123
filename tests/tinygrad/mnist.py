"""The network and the training step of tinygrad's examples/beautiful_mnist.py, on made pictures.

Ends with an error when the loss does not fall, or the pictures are not told apart.
"""
import numpy as np
from tinygrad import Context, Device, Tensor, TinyJit, nn

BATCH, STEPS, CLASSES = 32, 25, 10


def pictures(count, rng):
    """Noise of 28x28 with a bright square a class, in one of ten places."""
    labels = rng.integers(0, CLASSES, count)
    images = rng.random((count, 1, 28, 28), dtype=np.float32) * 0.5
    for image, label in zip(images, labels):
        y, x = label // 5 * 14 + 2, label % 5 * 5 + 1
        image[0, y:y + 8, x:x + 5] += 1.0
    return Tensor(images), Tensor(labels.astype(np.int32))


class Model:
    def __init__(self):
        self.layers = [
            nn.Conv2d(1, 32, 5), Tensor.relu, nn.Conv2d(32, 32, 5), Tensor.relu,
            nn.BatchNorm(32), Tensor.max_pool2d,
            nn.Conv2d(32, 64, 3), Tensor.relu, nn.Conv2d(64, 64, 3), Tensor.relu,
            nn.BatchNorm(64), Tensor.max_pool2d,
            lambda x: x.flatten(1), nn.Linear(576, CLASSES)]

    def __call__(self, x):
        return x.sequential(self.layers)


Tensor.manual_seed(1)
rng = np.random.default_rng(1)
images, labels = pictures(512, rng)
test_images, test_labels = pictures(128, rng)
model = Model()
optimizer = nn.optim.Adam(nn.state.get_parameters(model))


@TinyJit
def train_step():
    with Context(TRAINING=1):
        optimizer.zero_grad()
        samples = Tensor.randint(BATCH, high=images.shape[0])
        loss = model(images[samples]).sparse_categorical_crossentropy(labels[samples]).backward()
        return loss.realize(*optimizer.schedule_step())


losses = [train_step().item() for _ in range(STEPS)]
accuracy = (model(test_images).argmax(axis=1) == test_labels).mean().item()
print(f"{Device.DEFAULT}: loss {losses[0]:.3f} to {losses[-1]:.3f}, {accuracy:.0%} of the held out pictures")
assert Device.DEFAULT == "METAL" and np.isfinite(losses).all()
assert losses[-1] < losses[0] / 2 and accuracy > 0.5
