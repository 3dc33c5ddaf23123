"""tinygrad's search for fast kernels (BEAM): it tries many forms of each kernel, of which some do not
run. The search must come to its end, and what it chose must be right."""
import numpy as np
from tinygrad import Device, Tensor
from tinygrad.helpers import BEAM

rng = np.random.default_rng(1)
a = rng.standard_normal((128, 96), dtype=np.float32)
b = rng.standard_normal((96, 64), dtype=np.float32)
got = (Tensor(a).realize() @ Tensor(b).realize()).relu().sum(1).numpy()
error = np.abs(got - np.maximum(a @ b, 0).sum(1)).max()
print(f"{Device.DEFAULT}, BEAM={BEAM.value}: largest error {error:.2g}")
assert Device.DEFAULT == "METAL" and BEAM.value == 2 and error < 1e-3
