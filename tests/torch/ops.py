"""torch's own samples of its operators (OpInfo, torch.testing), on "mps" against the CPU device: results
and, where there is one, the derivative. Prints each operator that fails, and closes with counts.

Counts apart the samples of operators that a Mac has on its GPU: those of which torch's own table names a kernel for
MPS for every operator that runs.

    ops.py [--all] [--samples N] [--types float32,int64,...] [--list FILE] [OPERATOR ...]

Without operators the fixed selection of sample.txt; --all takes every one. What is expected to fail
stands in known-failures.txt: anything else that fails fails the test, and so does what passes now.
"""
import argparse
import collections
import pathlib
import re
import signal
import sys
import warnings

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._pytree import tree_leaves, tree_map

import arcbox_mps

HERE = pathlib.Path(__file__).parent
TOLERANCE = {torch.float32: 2e-4, torch.float16: 4e-3, torch.bfloat16: 3e-2, torch.complex64: 2e-4}
# Their results are drawn by chance, or are memory as it was: only sizes and types are compared.
BY_CHANCE = ("bernoulli", "cauchy", "dropout", "empty", "exponential", "geometric", "log_normal", "multinomial",
             "new_empty", "normal", "rand", "rrelu", "uniform", "svd_lowrank", "pca_lowrank",
             "fractional_max_pool", "scaled_dot_product_attention_dropout", "nn.functional.multi_head_attention_forward")
# Which of equal elements comes first is not said: their places stand for what is there. By the argument that has
# the dimension.
BY_TIES = {"sort": 0, "argsort": 0, "topk": 1, "median": 0, "nanmedian": 0, "kthvalue": 1, "mode": 0}
SECONDS = 60  # of one operator and type


class TooSlow(Exception):
    pass


def on_mps(x):
    def one(v):
        if isinstance(v, torch.Tensor):
            # From the storage as it is: strides, too, are a sample's point.
            moved = v.detach().to("mps")
            whole = v.layout == torch.strided and storage_elements(v) == v.numel() and moved.stride() == v.stride()
            if v.layout == torch.strided and v.numel() and not whole:
                base = torch.as_strided(v.detach(), (storage_elements(v),), (1,), 0).to("mps")
                moved = torch.as_strided(base, v.size(), v.stride(), v.storage_offset())
            return moved.requires_grad_(v.requires_grad)
        if isinstance(v, torch.device) or v == "cpu":
            return torch.device("mps")
        return v
    return tree_map(one, x)


def storage_elements(v):
    return v.untyped_storage().nbytes() // v.element_size()


def tensors(x):
    return [t for t in tree_leaves(x) if isinstance(t, torch.Tensor)]


def differs(expected, got, chance):
    """What is wrong with the result, or None."""
    expected, got = tensors(expected), tensors(got)
    if len(expected) != len(got):
        return f"{len(got)} results instead of {len(expected)}"
    for a, b in zip(expected, got):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"a result of {tuple(b.shape)} {b.dtype} instead of {tuple(a.shape)} {a.dtype}"
        if chance or a.layout != torch.strided:
            continue
        a, b = a.detach(), b.detach().cpu()
        tolerance = TOLERANCE.get(a.dtype, 0)
        if a.dtype in (torch.float16, torch.bfloat16):
            a, b = a.float(), b.float()
        if not torch.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True):
            wrong = ~torch.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
            at = tuple(wrong.nonzero()[0].tolist())
            return f"{b[at].item()} instead of {a[at].item()} at {at} of {tuple(a.shape)} {a.dtype}"
    return None


def at_places(op, sample, results):
    """What lies at the places that are results."""
    if op.name not in BY_TIES or len(tensors(results)) + (op.name == "argsort") < 2:
        return results
    n = BY_TIES[op.name]
    dim = sample.kwargs.get("dim", sample.args[n] if len(sample.args) > n else -1)
    x = sample.input.detach()
    return [x.to(r.device).gather(dim, r if r.dim() == x.dim() else r.unsqueeze(dim)) if r.dtype == torch.int64 and x.dim()
            else r for r in tensors(results)[-1:]]


def closer_to_float32(op, sample, expected, got):
    """Of 16-bit types, whether our results are no farther from float32's than the processor's are."""
    def error(results):
        pairs = zip(tensors(results), tensors(exact))
        return max(((a.cpu().float() - b.float()).abs().nan_to_num(0).max().item() for a, b in pairs if a.numel()), default=0)
    exact = run(op, sample.transform(
        lambda v: v.float() if isinstance(v, torch.Tensor) and v.is_floating_point() else v))
    return error(got) <= 1.01 * error(expected)


def wanting_gradients(sample):
    return [t for t in tensors((sample.input, sample.args, sample.kwargs)) if t.requires_grad]


def derivative(inputs, output):
    results = [t for t in tensors(output) if t.requires_grad]
    if not results or not inputs:
        return None
    generator = torch.Generator().manual_seed(3)
    slopes = [torch.rand(t.shape, generator=generator).to(t.dtype).to(t.device) for t in results]
    return torch.autograd.grad(results, inputs, slopes, allow_unused=True)


def run(op, sample):
    return op(sample.input, *sample.args, **sample.kwargs)


def check(op, sample, chance, backward):
    """None, or what is wrong; 'skipped' when the processor's torch refuses the sample."""
    try:
        expected = run(op, sample)
        inputs = wanting_gradients(sample) if backward else []
        slopes = derivative(inputs, expected) if inputs else None
    except Exception:
        return "skipped"
    ours = sample.transform(lambda v: v)
    ours.input, ours.args, ours.kwargs = on_mps(sample.input), on_mps(sample.args), on_mps(dict(sample.kwargs))
    got = run(op, ours)
    wrong = differs(at_places(op, sample, expected), at_places(op, ours, got), chance)
    if wrong and any(t.dtype in (torch.float16, torch.bfloat16) for t in tensors(expected)):
        wrong = None if closer_to_float32(op, sample, expected, got) else wrong
    if wrong or slopes is None:
        return wrong
    wrong = differs(slopes, derivative(wanting_gradients(ours), got), chance)
    return wrong and f"derivative: {wrong}"


class OfAMac:
    """What the table of this torch's operators, native_functions.yaml, says of MPS."""
    def __init__(self):
        file = pathlib.Path(torch.__file__).parent.parent / "torchgen/packaged/ATen/native/native_functions.yaml"
        self.kernels, delegates, composite = set(), {}, set()
        for block in file.read_text().split("\n- func: ")[1:]:
            name = re.match(r"[\w.]+", block)[0]
            keys = set(re.findall(r"\w+", " ".join(re.findall(r"^    ([\w, ]+):", block, re.M))))
            if delegate := re.search(r"^  structured_delegate: ([\w.]+)", block, re.M):
                delegates[name] = delegate[1]
            elif "MPS" in keys:
                self.kernels.add(name)
            elif not keys or any(k.startswith("Composite") for k in keys):
                composite.add(name)
        self.kernels |= {name for name, to in delegates.items() if to in self.kernels}
        self.runs = {name.split(".")[0] for name in self.kernels | composite}
        self.known = self.runs | {name.split(".")[0] for name in delegates}

    def has(self, native, fallen):
        """Whether a Mac runs all these operators: ours by their names without overloads, as they are counted."""
        names = {n.removeprefix("aten::").split(".")[0] for n, count in native.items() if count > 0}
        return {n.removeprefix("aten::") for n in fallen} <= self.kernels and not (names & self.known) - self.runs


class Counts:
    def __init__(self):
        self.native = self.fallback = self.failed = 0
        self.known = set(names_of("known-failures.txt"))
        self.mac, self.of_a_mac = OfAMac(), collections.Counter()
        self.samples = collections.Counter()  # by an operator that ran on the processor and a Mac has
        self.failures, self.fallbacks = {}, collections.Counter()
        self.operators = collections.defaultdict(set)  # how each operator went, in any sample


def sweep(op, name, dtype, limit, counts):
    chance = any(part in name for part in BY_CHANCE)
    backward = op.supports_autograd and dtype in (torch.float32,) and not chance
    key = f"{name} {str(dtype).removeprefix('torch.')}"
    samples = op.sample_inputs("cpu", dtype, requires_grad=backward)
    for n, sample in enumerate(samples):
        if n >= limit:
            break
        arcbox_mps.forget_calls()
        try:
            wrong = check(op, sample, chance or sample.kwargs.get("dropout_p", 0) > 0, backward)
        except TooSlow:
            raise
        except Exception as e:
            if "float64" in str(e) or "complex128" in str(e):
                continue  # refused in torch's own words, as on a Mac
            wrong = f"{type(e).__name__}: {str(e).splitlines()[0][:160] if str(e) else ''}"
        if wrong == "skipped":
            continue
        native, fallen = arcbox_mps.calls()
        counts.fallbacks.update(fallen)
        # What a Mac refuses, too, is among the known failures.
        if counts.mac.has(native, fallen) and not (wrong and key in counts.known):
            counts.of_a_mac["failed" if wrong else "fallback" if fallen else "native"] += 1
            counts.samples.update(n.removeprefix("aten::") for n in fallen)
        if wrong:
            counts.failed += 1
            counts.failures.setdefault(key, f"sample {n}: {wrong}")
            counts.operators[name].add("failed")
        elif fallen:
            counts.fallback += 1
            counts.operators[name].add("fallback")
        else:
            counts.native += 1
            counts.operators[name].add("native")


def slow(*_):
    raise TooSlow


def names_of(file):
    path = HERE / file
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def chosen(wanted):
    for op in op_db:
        name = op.name + ("." + op.variant_test_name if op.variant_test_name else "")
        if wanted is None or name in wanted or op.name in wanted:
            yield op, name


def report(counts, arguments):
    known = counts.known
    for key, why in counts.failures.items():
        print(f"{'known' if key in known else 'FAILED'}: {key}: {why}")
    most = ", ".join(f"{n.removeprefix('aten::')} {c}" for n, c in counts.fallbacks.most_common(arguments.most))
    print(f"run by the processor: {most or 'nothing'}")
    kinds = collections.Counter("failed" if "failed" in k else "fallback" if "fallback" in k else "native"
                                for k in counts.operators.values())
    print(f"operators: {kinds['native']} native, {kinds['fallback']} with fallback, {kinds['failed']} failed")
    mac, all_of_mac = counts.of_a_mac, sum(counts.of_a_mac.values())
    most = ", ".join(f"{n} {c}" for n, c in counts.samples.most_common(arguments.most))
    print(f"of what a Mac has, samples with the processor: {most or 'none'}")
    print(f"of what a Mac has: {100 * mac['native'] / max(all_of_mac, 1):.1f} % of {all_of_mac} samples native "
          f"({mac['fallback']} with the processor, {mac['failed']} fail)")
    print(f"samples: {counts.native} native, {counts.fallback} with fallback, {counts.failed} failed; "
          f"torch {torch.__version__}")
    return [key for key in counts.failures if key not in known]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--all", action="store_true")
    p.add_argument("--samples", type=int, default=8)
    p.add_argument("--types", default="float32,float16,int64,int32,uint8,bool")
    p.add_argument("--most", type=int, default=12)
    p.add_argument("--verbose", action="store_true", help="name each operator before it runs")
    p.add_argument("operators", nargs="*")
    a = p.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, slow)
    wanted = None if a.all else set(a.operators or names_of("sample.txt"))
    counts = Counts()
    for op, name in chosen(wanted):
        for dtype in (getattr(torch, t) for t in a.types.split(",")):
            if dtype not in op.dtypes:
                continue
            torch.manual_seed(5)
            if a.verbose:
                print(name, dtype, file=sys.stderr, flush=True)
            signal.alarm(SECONDS)
            try:
                sweep(op, name, dtype, a.samples, counts)
            except TooSlow:
                counts.failed += 1
                counts.failures[f"{name} {str(dtype).removeprefix('torch.')}"] = f"took more than {SECONDS} s"
            finally:
                signal.alarm(0)
            sys.stdout.flush()
    sys.exit(1 if report(counts, a) else 0)


if __name__ == "__main__":
    main()
