"""The device itself: what a program asks of it, what it refuses, and in which words."""
import io
import itertools
import os
import subprocess
import sys
import warnings

import torch

import arcbox_mps
from checking import check, run


def refuses(what, words, function):
    try:
        function()
        check(f"{what} is refused", False)
    except Exception as e:
        good = words in str(e)
        check(f"{what} is refused{'' if good else f': {type(e).__name__}: {e}'}", good)


def test_presence():
    check("available", torch.backends.mps.is_available() and torch.backends.mps.is_built())
    check("one device", torch.mps.device_count() == 1 and torch.ones(1, device="mps").is_mps)
    check("accelerator", not hasattr(torch, "accelerator") or torch.accelerator.current_accelerator().type == "mps")
    torch.mps.synchronize()
    kept = torch.empty(1 << 20, device="mps")
    check("memory is counted", torch.mps.current_allocated_memory() >= kept.nbytes and
          torch.mps.driver_allocated_memory() >= torch.mps.current_allocated_memory() and
          torch.mps.recommended_max_memory() > 1 << 30)


def test_accelerator():
    """The same, by the name that is no device's."""
    accelerator = getattr(torch, "accelerator", None)
    if accelerator is None or not hasattr(accelerator, "memory_allocated"):
        return
    accelerator.empty_cache()
    accelerator.reset_peak_memory_stats()
    before = accelerator.memory_allocated()
    kept = torch.empty(1 << 20, device="mps")
    more = torch.empty(1 << 20, device="mps")
    del more
    now = accelerator.memory_allocated()
    check("what is allocated", before + kept.nbytes <= now < before + 2 * kept.nbytes)
    check("the most that was", before + 2 * kept.nbytes <= accelerator.max_memory_allocated() <=
          accelerator.max_memory_reserved())
    if hasattr(accelerator, "get_memory_info"):
        free, total = accelerator.get_memory_info()
        check("what is free", 0 < free < total)
    (torch.ones(3, device="mps") + 1).sum().item()
    check("a stream has ended", all(torch.Stream(device="mps").query() for _ in range(100)))
    if hasattr(accelerator, "get_device_capability"):
        types = accelerator.get_device_capability()["supported_dtypes"]
        check("types", torch.float32 in types and torch.float64 not in types)
    if hasattr(torch.mps, "_host_alias_storage"):
        try:
            alias = torch.empty(0).set_(torch.mps._host_alias_storage(kept.untyped_storage()))
            torch.mps.synchronize()
            alias[5] = 7
            check("memory as the processor sees it", kept[5].item() == 7)
        except RuntimeError as e:  # a discrete GPU
            check("memory that the processor does not see", "memory of its own" in str(e))


def test_copies():
    x = torch.arange(24.).view(2, 3, 4)
    for name, view in (("plain", x), ("turned", x.permute(2, 0, 1)), ("stepped", x[:, ::2, 1:]), ("none", x[:0])):
        check(f"there and back: {name}", torch.equal(view.to("mps").cpu(), view))
        there = torch.zeros(view.shape, device="mps")
        there.copy_(view)
        check(f"copied into: {name}", torch.equal(there.cpu(), view))
    for kind in (torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
                 torch.bool, torch.complex64):
        values = torch.tensor([0, 1, 2, 100]).to(kind)
        check(f"{kind}", torch.equal(values.to("mps").cpu(), values))
        check(f"{kind} from float", torch.equal(torch.tensor([0, 0.5, 2.7, 100.], device="mps").to(kind).cpu(),
                                                torch.tensor([0, 0.5, 2.7, 100.]).to(kind)))
    large = torch.randn(2, 3 << 20)  # more than goes at once
    there = large.to("mps")
    check("large, there and back", torch.equal(there.cpu(), large) and torch.equal(there[:, ::7].cpu(), large[:, ::7]))
    check("odd places", all(torch.equal(there[1, n:n + 999].cpu(), large[1, n:n + 999]) for n in range(5)))
    turned = torch.view_as_complex(torch.randn(5, 4, 2)).t()
    there = torch.zeros(8, 5, dtype=torch.complex64, device="mps")
    there[::2] = turned.to("mps")  # between other elements
    check("complex, with gaps", torch.equal(there[::2].cpu(), turned) and not there[1::2].cpu().any())
    y = torch.zeros(4, device="mps")
    for n in range(100):  # each copy is of its own moment
        y.copy_(torch.full((4,), float(n)))
        z = y + 1
    check("copies into memory in use", z.cpu().tolist() == [100.0] * 4)


def test_waits():
    x = torch.ones(1000, device="mps")
    torch.mps.synchronize()
    before = arcbox_mps.statistics()
    for _ in range(1000):
        x = x * 1.0001 + 0.1
    x.sum().item()
    taken = {k: v - before[k] for k, v in arcbox_mps.statistics().items()}
    check(f"2001 launches, one wait ({taken['launches']}, {taken['waits']})",
          taken["launches"] >= 2001 and taken["waits"] <= 1)
    check(f"memory is used again ({taken['held']})", taken["held"] <= 8 * 4096)


def turned(x):
    """The same matrices, their columns without gaps."""
    return x.transpose(-2, -1).contiguous().transpose(-2, -1)


def test_products():
    """Sizes on both sides of tiles (32) and steps (8), and both ways in which a matrix lies."""
    torch.manual_seed(0)
    wrong = []
    for m, k, n in itertools.product((1, 31, 32, 70), (1, 7, 8, 41, 64), (1, 32, 45, 64)):
        a, b, c = torch.randn(2, m, k), torch.randn(2, k, n), torch.randn(m, n)
        for x, y in itertools.product((a, turned(a)), (b, turned(b))):
            added = torch.addmm(c.to("mps"), x[0].to("mps"), y[0].to("mps"), beta=0.5, alpha=2)
            good = torch.allclose((x.to("mps") @ y.to("mps")).cpu(), x @ y, rtol=1e-4, atol=1e-4) and \
                torch.allclose(added.cpu(), torch.addmm(c, x[0], y[0], beta=0.5, alpha=2), rtol=1e-4, atol=1e-4)
            if not good:
                wrong.append((m, k, n))
    check(f"products of matrices {wrong or ''}", not wrong)


def attended(query, key, value, mask, causal):
    """In float64, on the processor."""
    query, key, value = (t.double() for t in (query, key, value))
    scores = query @ key.transpose(2, 3) / query.shape[3] ** 0.5
    if mask is not None:
        scores = scores + mask.double()
    if causal:
        scores = scores.masked_fill(~torch.ones(scores.shape[2:], dtype=torch.bool).tril(), -torch.inf)
    return scores.softmax(-1).nan_to_num(0) @ value


def test_attention():
    """Of 16 bits, which a GPU with memory of its own does in one launch: sizes that fill no threadgroup, rows that
    lie apart, masks, a row of which nothing is left."""
    generator = torch.Generator().manual_seed(7)
    shapes = {"wide": (2, 3, 3, 70, 70, 64, 64), "groups": (1, 4, 2, 17, 33, 80, 80), "many rows": (1, 2, 2, 260, 300, 72, 40)}
    cases = [("wide", torch.half, False, None), ("wide", torch.half, True, None), ("wide", torch.half, False, "rows"),
             ("groups", torch.bfloat16, False, "all"), ("groups", torch.bfloat16, True, None),
             ("many rows", torch.half, False, None)]
    for name, dtype, causal, masked in cases:
        images, heads, key_heads, rows, count, width, value_width = shapes[name]
        query = torch.randn(images, rows, heads, width, generator=generator).to(dtype).transpose(1, 2)
        key = torch.randn(images, count, key_heads, width, generator=generator).to(dtype).transpose(1, 2)
        value = torch.randn(images, count, key_heads, value_width, generator=generator).to(dtype).transpose(1, 2)
        mask = None
        if masked:
            mask = torch.randn(images, 1 if masked == "rows" else heads, rows, count, generator=generator).to(dtype)
            mask[:, :, :, count // 2:] = -torch.inf
            mask[:, :, 3] = -torch.inf
        group = heads // key_heads
        there = [t.to("mps") for t in (query, key, value)]
        made = torch.nn.functional.scaled_dot_product_attention(
            *there, attn_mask=None if mask is None else mask.to("mps"), is_causal=causal, enable_gqa=group > 1)
        right = attended(query, key.repeat_interleave(group, 1), value.repeat_interleave(group, 1), mask, causal)
        difference = (made.cpu().double() - right).abs().max().item()
        most = 2e-3 if dtype == torch.half else 1.6e-2
        check(f"attention {heads} x {rows} x {count} x {width}, {value_width}, {dtype}, causal {causal}, mask {masked}: "
              f"{difference:.2g}", difference < most)


def test_saved():
    buffer = io.BytesIO()
    torch.save({"w": torch.arange(6., device="mps").view(2, 3)}, buffer)
    for where in (None, "cpu", "mps"):
        buffer.seek(0)
        got = torch.load(buffer, map_location=where)["w"]
        check(f"loaded to {where}", got.device.type == (where or "mps") and got.cpu().flatten().tolist() == list(range(6)))


def test_chance():
    torch.manual_seed(5)
    state = torch.mps.get_rng_state()
    a = torch.randn(50000, device="mps")
    b = torch.rand(50000, device="mps")
    torch.mps.set_rng_state(state)
    check("the state is restored", torch.equal(a, torch.randn(50000, device="mps")))
    check("normal", abs(a.mean().item()) < 0.03 and abs(a.std().item() - 1) < 0.03)
    check("uniform", 0 <= b.min().item() and b.max().item() < 1 and abs(b.mean().item() - 0.5) < 0.01)
    g = torch.Generator(device="mps").manual_seed(1)
    c = torch.rand(8, device="mps", generator=g)
    g.manual_seed(1)
    check("a generator of its own", torch.equal(c, torch.rand(8, device="mps", generator=g)))
    x = torch.ones(20000, device="mps", requires_grad=True)
    arcbox_mps.forget_calls()
    for y in (torch.nn.functional.dropout(x, 0.25), torch.native_dropout(x, 0.25, True)[0]):
        x.grad = None
        y.sum().backward()
        check("dropout, and its slope", abs(y.mean().item() - 1) < 0.05 and torch.equal(x.grad, y))
    # By what share of them lies below some places: the deviation of such a share is 0.003 at most.
    def of(share, values, places, wanted):
        return all(abs((values <= p).float().mean().item() - w) < 0.015 for p, w in zip(places, wanted)) or print(share)
    e = torch.empty(30000, device="mps")
    check("Cauchy", of("Cauchy", e.cauchy_(1, 2), (-1, 1, 3), (0.25, 0.5, 0.75)))
    check("log-normal", of("log-normal", e.log_normal_(0.5, 0.25), (1.392888, 1.648721, 1.951542), (0.25, 0.5, 0.75)))
    check("geometric", of("geometric", e.geometric_(0.3), (0, 1, 2, 5), (0, 0.3, 0.51, 0.83193)) and
          of("of integers", torch.empty(30000, dtype=torch.int32, device="mps").geometric_(0.3), (0, 1, 2), (0, 0.3, 0.51)))
    for rate in (0.0, 0.7, 6.0, 12.5, 400.0):
        places = [round(rate + d * rate ** 0.5) for d in (-1, 0, 1)]
        exact = torch.distributions.Poisson(torch.tensor(rate, dtype=torch.float64))
        wanted = [exact.log_prob(torch.arange(p + 1).double()).exp().sum().item() if p >= 0 else 0 for p in places]
        drawn = torch.poisson(e.fill_(rate))
        check(f"Poisson {rate}", of(f"Poisson {rate}", drawn, places, wanted if rate else (1, 1, 1)) and torch.equal(drawn, drawn.round()))
    check(f"not on the processor {arcbox_mps.calls()[1]}", not arcbox_mps.calls()[1])


def test_found():
    x = torch.randint(0, 3, (301, 17))
    y = x.to("mps")
    arcbox_mps.forget_calls()
    check("what is not 0", torch.equal(y.nonzero().cpu(), x.nonzero()))
    check("what a mask names", torch.equal(y[y > 1].cpu(), x[x > 1]))
    check("the order", torch.equal(y.sort(stable=True, dim=0)[1].cpu(), x.sort(stable=True, dim=0)[1]))
    check("what is there", torch.equal(torch.unique(y).cpu(), torch.unique(x)))
    check(f"not on the processor {arcbox_mps.calls()[1]}", not arcbox_mps.calls()[1])


def test_refused():
    refuses("float64", "doesn't support float64", lambda: torch.zeros(2, dtype=torch.float64, device="mps"))
    refuses("a tensor of the processor", "two devices", lambda: torch.ones(2, device="mps") + torch.ones(2))
    refuses("a matrix of the processor", "two devices", lambda: torch.ones(2, 2, device="mps") @ torch.ones(2, 2))
    refuses("numpy()", "can't convert mps:0 device type tensor to numpy", lambda: torch.ones(2, device="mps").numpy())
    refuses("too much memory", "MPS backend out of memory", lambda: torch.empty(1 << 45, device="mps"))
    check("memory is usable after that", torch.ones(3, device="mps").sum().item() == 3)
    refuses("shapes that do not fit", "must match the size", lambda: torch.ones(2, device="mps") + torch.ones(3, device="mps"))
    for what, expected in (("is said", True), ("is said once", False)):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            torch.linalg.svd(torch.eye(3, device="mps"))
        check(f"what the processor runs {what}",
              any("will fall back to run on the CPU" in str(w.message) for w in said) == expected)


def test_unknown_version():
    got = subprocess.run([sys.executable, "-c", "import torch; torch.__version__ = '9.9.1+cpu'; import arcbox_mps; "
                          "arcbox_mps.autoload(); print(torch.ones(2).sum().item(), torch.backends.mps.is_available())"],
                         env={**os.environ, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}, capture_output=True, text=True)
    said = [line for line in got.stderr.splitlines() if line.startswith("arcbox:")]
    check("an unknown version of torch is left as it was", got.stdout == "2.0 False\n" and
          said == ['arcbox: torch 9.9.1+cpu is not known here: no device "mps"'])


def test_import():
    """Some versions have a kernel under this device's key, and warn of another in its place."""
    got = subprocess.run([sys.executable, "-c", "import torch; torch.ones(2, device='mps').sum().item()"], capture_output=True,
                         text=True)
    check("nothing is said at import", got.returncode == 0 and got.stdout + got.stderr == "")


def test_systems():
    """Derivatives count on the factors as this version's own operators keep them; compiled code on how results lie."""
    generator = torch.Generator().manual_seed(2)
    a = torch.rand(2, 4, 4, generator=generator) + 2 * torch.eye(4).flip(0)
    b = torch.rand(2, 4, 3, generator=generator)

    def slopes(function, device, turned):
        x, y = (t.to(device).requires_grad_() for t in ((a.mT.contiguous().mT if turned else a), b))
        return [t.cpu() for t in torch.autograd.grad(function(x, y).square().sum(), (x, y), allow_unused=True) if t is not None]
    uses = {"solve": torch.linalg.solve, "solve from the right": lambda x, y: torch.linalg.solve(x, y.mT, left=False),
            "solve a vector": lambda x, y: torch.linalg.solve(x, y[..., :1]), "inv": lambda x, y: torch.linalg.inv(x),
            "det": lambda x, y: torch.linalg.det(x), "slogdet": lambda x, y: torch.linalg.slogdet(x)[1]}
    for (name, function), turned in itertools.product(uses.items(), (False, True)):
        theirs, ours = slopes(function, "cpu", turned), slopes(function, "mps", turned)
        check(f"the derivative of {name}{', turned' if turned else ''}",
              all(torch.allclose(p, q, rtol=1e-3, atol=1e-3) for p, q in zip(theirs, ours, strict=True)))
    factor = torch.linalg.cholesky(a @ a.mT)
    results = {f"a triangle's solution, left={left}": lambda d, left=left: torch.linalg.solve_triangular(
        a.to(d), (b if left else b.mT).to(d), upper=True, left=left) for left in (True, False)}
    results |= {"cholesky_solve": lambda d: torch.cholesky_solve(b.to(d), factor.to(d)),
                "cholesky_inverse": lambda d: torch.cholesky_inverse(factor.to(d))}
    for name, function in results.items():
        theirs, ours = function("cpu"), function("mps")
        check(f"how {name} lies", theirs.stride() == ours.stride() and torch.allclose(theirs, ours.cpu(), rtol=1e-3, atol=1e-3))


def test_fork():
    x = torch.ones(3, device="mps").sum()
    pid = os.fork()
    if pid == 0:
        try:
            (torch.ones(3, device="mps") + 1).sum().item()
            os._exit(1)
        except RuntimeError as e:
            os._exit(0 if "forked" in str(e) else 2)
    check("a forked child is refused", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0)
    check("its parent goes on", x.item() == 3)


if __name__ == "__main__":
    run(globals())
