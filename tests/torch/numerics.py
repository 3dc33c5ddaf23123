"""Linear systems, Fourier transforms, complex numbers, grids, attention and fused optimisers: sizes beyond a block and a pass,
which torch's own samples do not have, by kernels alone."""

import os

import torch
from torch.nn import functional as F

import arcbox_mps
from checking import check, run


def close(ours, theirs, tolerance=2e-4):
    ours = ours.cpu()
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance * theirs.abs().max().item())


def by_kernels(name):
    fallen = arcbox_mps.calls()[1]
    arcbox_mps.forget_calls()
    check(f"{name}: not on the processor {fallen or ''}", not fallen)


def test_unpooling():
    for dims in (2, 3):
        pool, back = (getattr(F, f"max_{name}pool{dims}d") for name in ("", "un"))
        for batch in ((2, 3), (3,)):
            x = torch.randn(*batch, *range(6, 6 + dims), generator=torch.Generator().manual_seed(1))

            def both(device):
                t = x.to(device).requires_grad_()
                largest, places = pool(t, 2, return_indices=True)
                made = back(largest, places, 2, output_size=t.shape[-dims:])
                made.square().sum().backward()
                return made.detach(), t.grad
            arcbox_mps.forget_calls()
            ours = both("mps")
            by_kernels(f"unpooling, {dims} dimensions, {len(batch)} before them")
            check(f"unpooling, {dims} dimensions, {len(batch)} before them", all(close(p, q) for p, q in zip(ours, both("cpu"))))


def test_paths():
    """CTC: paths that repeat, that are empty, that do not fit, of lengths of their own; targets side by side, and one behind another."""
    torch.manual_seed(6)
    times, classes = 37, 7
    logs = torch.randn(times, 5, classes).log_softmax(2)
    lengths, sizes = (37, 20, 37, 3, 0), (11, 5, 0, 9, 0)
    targets = torch.randint(1, classes, (5, 12))
    targets[1, :5] = 3
    behind = torch.cat([t[:n] for t, n in zip(targets, sizes)])
    for what, given in (("side by side", targets), ("one behind another", behind), ("of 32 bits", targets.int())):
        for blank in (0, 2):
            for reduction in ("none", "mean", "sum"):
                for zero in (False, True):
                    def both(device):
                        x = logs.clone().to(device).requires_grad_()
                        made = F.ctc_loss(x, given.to(device), lengths, sizes, blank, reduction, zero)
                        made.sum().backward()
                        return made.detach(), x.grad
                    expected = both("cpu")
                    arcbox_mps.forget_calls()
                    ours = both("mps")
                    name = f"paths {what}, blank {blank}, {reduction}, {'0 for none' if zero else 'none is infinite'}"
                    by_kernels(name)
                    check(name, all(torch.allclose(p.cpu(), q, 1e-4, 1e-5, equal_nan=True) for p, q in zip(ours, expected)))
    try:
        F.ctc_loss(logs.to("mps"), targets.to("mps"), (38, 1, 1, 1, 1), sizes)
        check("more times than there are are refused", False)
    except RuntimeError as e:
        check("more times than there are are refused", "input_lengths" in str(e))


def test_gamma():
    """The incomplete gamma functions, where they are about 1/2, in their tails and at their ends; beside float64."""
    a = torch.tensor([0.0, 1e-3, 0.3, 1.0, 2.5, 7.9, 8.1, 30.0, 150.0, 199.0, 201.0, 1e3, 1e5, float("inf")])
    x = torch.cat([a.unsqueeze(1) * torch.tensor([0.0, 0.5, 0.9, 0.97, 1.0, 1.03, 1.1, 1.5, 3.0]), a.expand(14, 14)], 1)
    a = a.unsqueeze(1).expand_as(x).contiguous()
    arcbox_mps.forget_calls()
    for name in ("gammainc", "gammaincc"):
        f = getattr(torch.special, name)
        ours, theirs = f(a.to("mps"), x.to("mps")).cpu().double(), f(a.double(), x.double())
        check(f"{name}", torch.allclose(ours, theirs, 1e-4, 2e-6, equal_nan=True))
    by_kernels("incomplete gamma functions")


def test_parts():
    """Numbers' parts, denormal ones among them; powers side by side."""
    x = torch.tensor([0.0, -0.0, 1.0, -1.0, 0.75, 3e38, -1e-38, 1e-40, -1e-45, float("inf"), float("-inf"), float("nan")])
    arcbox_mps.forget_calls()
    for t in (x, x.half(), x.bfloat16()):
        ours, theirs = torch.frexp(t.to("mps")), torch.frexp(t)
        whole = t.isfinite()
        check(f"parts of {t.dtype}", torch.equal(ours[0].cpu()[whole], theirs[0][whole]) and torch.equal(ours[1].cpu()[whole], theirs[1][whole]) and
              torch.equal(ours[0].cpu()[~whole].nan_to_num(7), theirs[0][~whole].nan_to_num(7)))
        for to in (float("inf"), float("-inf"), 0.0) if t.dtype != torch.half else ():  # torch has none of halves
            towards = torch.full_like(t, to)
            check(f"next of {t.dtype} to {to}", torch.equal(torch.nextafter(t.to("mps"), towards.to("mps")).cpu().nan_to_num(7),
                  torch.nextafter(t, towards).nan_to_num(7)))
    for given in ((0, 3, 50), (-2, 2, 7, 2.0), (1, 1, 1), (3, -3, 0), (0, 4, 5, 0.5)):
        check(f"powers {given}", close(torch.logspace(*given, device="mps"), torch.logspace(*given)) if given[2] else
              torch.logspace(*given, device="mps").shape == (0,))
    by_kernels("parts and powers")

def test_equations():
    """Of one block (64), of some, and with what is left over."""
    torch.manual_seed(0)
    for n, batch in ((1, ()), (5, (2, 3)), (33, (3,)), (64, ()), (97, (2,)), (200, ())):
        a = torch.randn(*batch, n, n) + 2 * n ** 0.5 * torch.eye(n)
        b = torch.randn(*batch, n, 3)
        x, y, s = a.to("mps"), b.to("mps"), a @ a.mT
        arcbox_mps.forget_calls()
        check(f"solve {n}", close(torch.linalg.solve(x, y), torch.linalg.solve(a, b)))
        check(f"solve from the right {n}", close(torch.linalg.solve(x, y.mT, left=False), torch.linalg.solve(a, b.mT, left=False)))
        check(f"inverse {n}", close(torch.linalg.inv(x), torch.linalg.inv(a)))
        p, l, u = torch.linalg.lu(x)
        check(f"LU {n}", close(p @ l @ u, a))
        check(f"logarithm of the determinant {n}", close(torch.linalg.slogdet(x)[1], torch.linalg.slogdet(a)[1]))
        check(f"Cholesky {n}", close(torch.linalg.cholesky(s.to("mps")), torch.linalg.cholesky(s)))
        for upper in (False, True):
            t, given = (a.triu() if upper else a.tril()), (x.triu() if upper else x.tril())
            check(f"triangle {n}", close(torch.linalg.solve_triangular(given, y, upper=upper), torch.linalg.solve_triangular(t, b, upper=upper)))
        by_kernels(f"equations of {n}")
    try:
        torch.linalg.cholesky(torch.tensor([[1.0, 2.0], [2.0, 1.0]], device="mps"))
        check("what has no factor is refused", False)
    except torch.linalg.LinAlgError as e:
        check("what has no factor is refused", "leading minor of order 2" in str(e))


def test_spectrum():
    """Small factors, large primes, along any dimension."""
    torch.manual_seed(1)
    for n in (1, 2, 13, 60, 127, 243, 256, 1000, 2 * 1009, 2048, 5000):
        x = torch.randn(3, n, 2)
        y, c = x.to("mps"), torch.complex(x, x.flip(0))
        arcbox_mps.forget_calls()
        check(f"transform of {n}", close(torch.fft.fft(y, dim=1), torch.fft.fft(x, dim=1)))
        check(f"and back {n}", close(torch.fft.ifft(torch.fft.fft(c.to("mps"), dim=1), dim=1), c))
        check(f"real {n}", close(torch.fft.irfft(torch.fft.rfft(y, dim=1), n=n, dim=1), x))
        x = x.mT.contiguous() # lines without others between their elements
        y, c = x.to("mps"), c.mT.contiguous()
        check(f"a line of {n}", close(torch.fft.fft(c.to("mps")), torch.fft.fft(c)) and close(torch.fft.fft(y), torch.fft.fft(x)))
        check(f"a real line of {n}", close(torch.fft.rfft(y), torch.fft.rfft(x)) and close(torch.fft.irfft(torch.fft.rfft(y), n=n), x))
        by_kernels(f"transforms of {n}")
    x = torch.randn(6, 10, 14)
    check("of three dimensions", close(torch.fft.rfftn(x.to("mps"), norm="ortho"), torch.fft.rfftn(x, norm="ortho")))


def test_complex():
    torch.manual_seed(2)
    a, b = torch.randn(33, 20, dtype=torch.complex64), torch.randn(20, 33, dtype=torch.complex64)
    x, y = a.to("mps"), b.to("mps")
    arcbox_mps.forget_calls()
    check("conjugates", close(x.conj() * y.t(), a.conj() * b.t()) and close(x.mH.contiguous(), a.mH.contiguous()))
    check("between other elements", close(x[:, ::3].exp().abs().sum(0), a[:, ::3].exp().abs().sum(0)))
    check("products", close(x @ y, a @ b))
    check("moved", close(torch.cat([x, x.roll(2, 1)])[:, torch.tensor([3, 1], device="mps")], torch.cat([a, a.roll(2, 1)])[:, [3, 1]]))
    by_kernels("complex numbers")


def test_grid():
    torch.manual_seed(3)
    picture, grid = torch.randn(2, 3, 9, 11), torch.rand(2, 5, 6, 2) * 2.6 - 1.3
    arcbox_mps.forget_calls()
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            found = []
            for device in ("mps", "cpu"):
                p, g = (t.clone().to(device).requires_grad_() for t in (picture, grid))
                y = F.grid_sample(p, g, mode=mode, padding_mode=padding, align_corners=False)
                (y * y).sum().backward()
                found.append((y.detach(), p.grad, g.grad))
            check(f"{mode}, {padding}", all(close(a, b) for a, b in zip(*found)))
    # Of many channels, and of a volume. Where memory is shared all places are added up in one order.
    for channels, inside, outside in ((33, (9, 11), (40, 30)), (5, (6, 5, 7), (8, 9, 10))):
        picture, grid = torch.randn(2, channels, *inside), torch.rand(2, *outside, len(inside)) * 2.2 - 1.1
        found = []
        for device in ("mps", "mps", "cpu"):
            p = picture.clone().to(device).requires_grad_()
            F.grid_sample(p, grid.to(device), align_corners=False).cos().sum().backward()
            found.append(p.grad.cpu())
        check(f"the derivative of {channels} channels", close(found[0], found[2]))
        check("the same again", torch.equal(found[0], found[1]) or os.environ.get("ARCBOX_TEST_DEVICE") != "cpu")
    by_kernels("grids")


def test_lines():
    """Matrices turned, in all widths of elements, and summed along their lines and across: whole squares of what a
    SIMD-group takes, and what is left over."""
    torch.manual_seed(7)
    for high, wide in ((32, 64), (33, 47), (128, 31), (100, 257)):
        given = torch.randint(-100, 100, (3, high, wide))
        for dtype in (torch.int8, torch.float16, torch.float32, torch.int64, torch.bool, torch.complex64):
            a = given.to(dtype)
            x = a.to("mps")
            check(f"turned {high} x {wide}, {dtype}", x.mT.contiguous().cpu().equal(a.mT.contiguous()) and
                  x.permute(2, 0, 1).contiguous().cpu().equal(a.permute(2, 0, 1).contiguous()) and
                  x[:, 1:, :-2].mT.contiguous().cpu().equal(a[:, 1:, :-2].mT.contiguous()))
    for high, wide in ((5, 128), (700, 130), (1000, 4096), (513, 300), (40, 33), (31, 196)):
        a = torch.randn(high, wide)
        x = a.to("mps")
        check(f"sums of {high} x {wide}", close(x.sum(0), a.sum(0), 1e-5) and close(x.sum(1), a.sum(1), 1e-5) and
              close(x.amax(0), a.amax(0)) and close(x.long().sum(0), a.long().sum(0)) and close(x.mean((0, 1)), a.mean((0, 1))))
        i = torch.randint(0, wide, (high, 77))
        check(f"gathered of {high} x {wide}", close(x.gather(1, i.to("mps")), a.gather(1, i)))
    # Halves step by their own bits; bfloats that are no normal numbers become 0 where they are stored.
    a, b = torch.tensor([1, -1, 2, -2, 0, 0.0]), torch.tensor([2, -2, -3, 3, -1, 1.0])
    for dtype, count in ((torch.float16, 6), (torch.bfloat16, 4)):
        x, y = a[:count].to(dtype), b[:count].to(dtype)
        expected = torch.where(x != 0, x.view(torch.int16) + torch.tensor([1, 1, -1, -1, 0, 0])[:count],
                               torch.tensor([0, 0, 0, 0, -32767, 1])[:count]).to(torch.int16)
        check(f"the next number, {dtype}", torch.nextafter(x.to("mps"), y.to("mps")).cpu().view(torch.int16).equal(expected))


def test_choice():
    """The first of many, the one in the middle: among equals the places that sorting would give, NaN, all widths."""
    torch.manual_seed(8)
    for shape, dim in (((3, 1000), 1), ((300, 5), 0), ((2, 200, 3), 1), ((1, 40000), 1)):
        n = shape[dim]
        for dtype in (torch.float32, torch.float16, torch.int64, torch.uint8):
            a = torch.randint(0, 100, shape).to(dtype)
            if dtype.is_floating_point:
                a = a - 50
                a[torch.rand(shape) < 0.1] = -0.0
            x = a.to("mps")
            arcbox_mps.forget_calls()
            for k in (1, 33, n // 2):
                for largest in (False, True):
                    values, places = x.topk(k, dim, largest)
                    order = a.double().mul(-1 if largest else 1).sort(dim=dim, stable=True)[1].narrow(dim, 0, k)
                    check(f"{k} of {shape}, {dtype}", places.cpu().equal(order) and values.cpu().equal(a.gather(dim, order)))
                value, place = x.kthvalue(k, dim, True)
                check(f"number {k}", place.cpu().equal(order := a.double().sort(dim=dim, stable=True)[1].narrow(dim, k - 1, 1)) and
                      value.cpu().equal(a.gather(dim, order)))
            check("the middle", x.median(dim)[0].cpu().equal(a.median(dim)[0]) and x.median().cpu().equal(a.median()))
            by_kernels(f"choices of {shape}")
        a = torch.randn(shape)
        a[torch.rand(shape) < 0.3] = float("nan")
        a[0] = float("nan") if dim else a[0]
        x = a.to("mps")
        for name in ("median", "nanmedian"):
            (value, place), (wanted, _) = getattr(x, name)(dim), getattr(a, name)(dim)
            chosen = a.gather(dim, place.cpu().unsqueeze(dim)).squeeze(dim)
            check(f"{name} with NaN", value.cpu().allclose(wanted, 0, 0, True) and chosen.allclose(wanted, 0, 0, True))
        check("NaN is the largest", x.topk(n // 3, dim)[0].cpu().allclose(a.topk(n // 3, dim)[0], 0, 0, True))


def attend(device, tensors, dtype, **options):
    """The result and the derivatives of all that have one; and launches."""
    there = [t.to(device, t.dtype if t.dtype == torch.bool else dtype).requires_grad_(t.dtype != torch.bool) for t in tensors]
    before = arcbox_mps.statistics()["launches"]
    y = F.scaled_dot_product_attention(*there, **options)
    y.backward(torch.linspace(0, 1, y.numel(), device=device).view(y.shape).to(dtype))
    launches = arcbox_mps.statistics()["launches"] - before
    return [y.detach().float()] + [t.grad.float() for t in there if t.grad is not None], launches


def test_attention():
    """Derivatives, of masks too; what dropout keeps; derivatives of derivatives."""
    torch.manual_seed(5)

    def heads(count, rows, width):
        return torch.randn(2, rows, count, width).transpose(1, 2)
    cases = {"plain": (4, 17, 16, (), {}), "causal": (4, 33, 16, (), {"is_causal": True}),
             "a mask": (4, 33, 24, (torch.randn(1, 4, 17, 33),), {}),
             "what is hidden": (4, 33, 24, (torch.rand(2, 1, 17, 33) > 0.3,), {"scale": 0.3}),
             "groups": (2, 17, 16, (), {"enable_gqa": True, "is_causal": True})}
    arcbox_mps.forget_calls()
    for name, (others, count, width, mask, options) in cases.items():
        tensors = [heads(4, 17, 16), heads(others, count, 16), heads(others, count, width), *mask]
        for dtype, tolerance in ((torch.float32, 2e-5), (torch.bfloat16, 2e-2)):
            (ours, launches), (theirs, _) = (attend(d, tensors, dtype, **options) for d in ("mps", "cpu"))
            check(f"attention, {name}, {dtype}", all(close(a, b, tolerance) for a, b in zip(ours, theirs, strict=True)))
            check(f"in few launches ({launches})", launches < 22)
    q, k, v = (torch.randn(2, 4, 64, 16, device="mps", requires_grad=True) for _ in range(3))
    w, d = torch.randn(2, 2, 4, 64, 16, device="mps")

    def kept(query):
        torch.manual_seed(6)
        return (F.scaled_dot_product_attention(query, k, v, dropout_p=0.3) * w).sum()
    slope, of_value = torch.autograd.grad(kept(q), (q, v))
    step = 0.01
    check("dropout, the query", close((slope * d).sum(), (kept(q + step * d) - kept(q - step * d)).detach().cpu() / (2 * step), 1e-3))
    check("dropout, the value", close((of_value * v).sum().detach(), kept(q).detach().cpu(), 1e-3))
    found = []
    for device in ("mps", "cpu"):
        t = [x[:, :, :7].detach().to(device).requires_grad_() for x in (q, k, v)]
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH if device == "cpu" else
                                            torch.nn.attention.SDPBackend.EFFICIENT_ATTENTION):
            first = torch.autograd.grad(F.scaled_dot_product_attention(*t, is_causal=True).square().sum(), t, create_graph=True)
        found.append(torch.autograd.grad(sum(g.square().sum() for g in first), t))
    check("derivatives of derivatives", all(close(a, b, 1e-5) for a, b in zip(*found)))
    t = torch.randn(2, 4, 5, 8)
    hidden = torch.rand(5, 5) > 0.3
    ours = torch.ops.aten._scaled_dot_product_attention_math_for_mps(t.to("mps"), t.to("mps"), t.to("mps"), hidden.to("mps"))[0]
    check("a Mac's own operator", close(ours, F.scaled_dot_product_attention(t, t, t, hidden), 1e-5))
    by_kernels("attention")


def test_optimisers():
    """Each rule, with a rate that is a number or a tensor, and a gradient that is not finite."""
    torch.manual_seed(4)
    adam, adamw, sgd = torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD
    rules = ((adam, {}), (adam, {"weight_decay": 0.1, "amsgrad": True}), (adamw, {"weight_decay": 0.1}),
             (adamw, {"maximize": True}), (sgd, {}), (sgd, {"momentum": 0.9, "nesterov": True}),
             (sgd, {"momentum": 0.5, "dampening": 0.1, "weight_decay": 0.01}))
    for rule, options in rules:
        for rate in (0.01, torch.tensor(0.01)):
            start = [torch.randn(5, 3), torch.randn(7), torch.randn(4, 6).t()]
            ours, theirs = ([p.clone().to(d).requires_grad_() for p in start] for d in ("mps", "cpu"))
            steps = [rule(p, lr=rate, fused=True, **options) for p in (ours, theirs)]
            arcbox_mps.forget_calls()
            for _ in range(4):
                for a, b in zip(ours, theirs):
                    b.grad = torch.empty_like(b).normal_()
                    a.grad = b.grad.to("mps")
                for s in steps:
                    s.step()
            check(f"{rule.__name__} {options}", all(close(a.detach(), b.detach(), 1e-5) for a, b in zip(ours, theirs)))
            by_kernels(rule.__name__)


def test_scales():
    """A loss that is scaled: what is found, and what comes of it. (GradScaler of 2.6 asks for float64 here.)"""
    arcbox_mps.forget_calls()
    scale, tracker = torch.full((1,), 8.0, device="mps"), torch.zeros(1, dtype=torch.int32, device="mps")
    for factor, expected in ((float("inf"), 4), (float("nan"), 2), (0.5, 4)):
        found, slopes = torch.zeros(1, device="mps"), [torch.ones(5, 3, device="mps").t(), torch.full((3,), factor, device="mps").half()]
        torch._amp_foreach_non_finite_check_and_unscale_(slopes, found, scale.reciprocal())
        torch._amp_update_scale_(scale, tracker, found, 2.0, 0.5, 1)
        check(f"a gradient of {factor}", (found.item() == 0) == (factor == 0.5) and scale.item() == expected and
              slopes[0].eq(slopes[0][0, 0]).all().item())
    found = torch.ones(1, device="mps")
    for name in ("_fused_adam_", "_fused_adamw_"):
        lists = [[torch.ones(3, device="mps")] for _ in range(4)]
        getattr(torch, name)(*lists, [], [torch.ones(1, device="mps")], lr=1, beta1=0.9, beta2=0.9, weight_decay=0, eps=1e-8,
                             amsgrad=False, maximize=False, grad_scale=None, found_inf=found)
        check(f"{name} of what is not finite changes nothing", all(x[0].tolist() == [1, 1, 1] for x in lists))
    by_kernels("scales")


if __name__ == "__main__":
    run(globals())
