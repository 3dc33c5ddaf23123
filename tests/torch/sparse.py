"""Sparse tensors in coordinates, bags of rows of a table, and places that are copied and reduced to: against the CPU
device, by kernels alone."""
import warnings

import torch
from torch.nn import functional as F

import arcbox_mps
from checking import check, run

PLACES = torch.tensor([[0, 2, 0, 3, 2], [1, 0, 1, 2, 0]])  # two of them twice
NUMBERS = torch.tensor([0.5, -1.25, 2.0, 3.5, -0.75])
DENSE = torch.linspace(-2, 2, 12).view(4, 3)
WIDE = torch.linspace(-1, 3, 15).view(3, 5)


def sparse(device, numbers=NUMBERS, places=PLACES, sizes=(4, 3)):
    return torch.sparse_coo_tensor(places, numbers, sizes).to(device)


def plain(result):
    results = result if isinstance(result, (tuple, list)) else [result]
    return [(r.to_dense() if r.is_sparse else r).detach().cpu() for r in results]


def same(name, f, by_kernels=True):
    theirs = plain(f("cpu"))
    arcbox_mps.forget_calls()
    ours = plain(f("mps"))
    fallen = arcbox_mps.calls()[1]
    check(name, len(ours) == len(theirs) and all(
        a.shape == b.shape and a.dtype == b.dtype and torch.allclose(a.double(), b.double(), rtol=1e-5, atol=1e-5)
        for a, b in zip(ours, theirs)))
    if by_kernels:
        check(f"{name}: not on the processor {fallen or ''}", not fallen)


def test_layout():
    same("to the device", sparse)
    same("made there", lambda d: torch.sparse_coo_tensor(PLACES.to(d), NUMBERS.to(d), (4, 3)))
    same("coalesced", lambda d: (sparse(d).coalesce().indices(), sparse(d).coalesce().values()))
    same("with a dense dimension", lambda d: sparse(d, WIDE.t()[:, :2], PLACES[:1], (4, 2)).coalesce().values())
    same("any of bools", lambda d: sparse(d, NUMBERS > 0).coalesce().values())
    same("whole numbers", lambda d: sparse(d, torch.arange(5)).coalesce().values())
    same("from a dense one", lambda d: DENSE.relu().to(d).to_sparse())
    same("moved", lambda d: (torch.cat([sparse(d), sparse(d)], 1), torch.stack([sparse(d), sparse(d)]), sparse(d).t(),
                             sparse(d).unsqueeze(1), sparse(d).coalesce()[2], sparse(d).half()))
    x = sparse("mps")
    check("its device, and back", x.device.type == "mps" and x.is_sparse and x.cpu().to_dense().equal(sparse("cpu").to_dense())
          and "mps" in repr(x))


def test_arithmetic():
    dense, wide = DENSE.to, WIDE.to
    same("sums", lambda d: (sparse(d) + sparse(d) * 2, dense(d) + sparse(d), torch.add(dense(d), sparse(d), alpha=-0.5),
                            sparse(d).coalesce() - sparse(d).coalesce() / 3, dense(d).clone().add_(sparse(d))))
    same("products", lambda d: (sparse(d).coalesce() * dense(d), sparse(d) * DENSE.relu().to(d).to_sparse()))
    same("of matrices", lambda d: (sparse(d) @ wide(d), torch.sparse.mm(sparse(d), wide(d)), sparse(d).t() @ dense(d),
                                   torch.addmm(torch.ones(4, 5, device=d), sparse(d), wide(d), beta=2, alpha=0.5),
                                   sparse(d) @ wide(d)[:, 0]))
    same("summed", lambda d: (sparse(d).sum(), torch.sparse.sum(sparse(d), 0), sparse(d).sum(1)))
    same("each", lambda d: [getattr(sparse(d).coalesce(), f)() for f in ("abs", "neg", "sin", "tanh", "relu")])
    same("masked", lambda d: (dense(d).sparse_mask(sparse(d).coalesce()),
                              DENSE.relu().to(d).to_sparse().sparse_mask(sparse(d).coalesce())))
    for a, b in ((sparse("mps"), DENSE.to("mps")), (sparse("mps"), sparse("mps", sizes=(5, 3)))):
        try:
            a + b
            check("a sum that torch refuses", False)
        except RuntimeError:
            check("a sum that torch refuses", True)


def test_derivatives():
    def product(d):
        numbers, wide = NUMBERS.clone().to(d).requires_grad_(), WIDE.clone().to(d).requires_grad_()
        made = torch.sparse_coo_tensor(PLACES.to(d), numbers, (4, 3))
        torch.sparse.mm(made, wide).square().sum().backward()
        return numbers.grad, wide.grad
    same("a product's", product)

    def table(d):
        rows = torch.nn.Embedding(6, 3, sparse=True)
        rows.weight.data = torch.linspace(-1, 1, 18).view(6, 3)
        rows = rows.to(d)
        # 2.6's SparseAdam makes tensors by a name of their type that it does not know of sparse ones here.
        own = torch.optim.SGD if torch.__version__.startswith("2.6") else torch.optim.SparseAdam
        optimiser = own(rows.parameters(), lr=0.1)
        for _ in range(2):
            optimiser.zero_grad()
            rows(torch.tensor([1, 2, 1], device=d)).square().sum().backward()
            slope = rows.weight.grad
            optimiser.step()
        torch.optim.SGD(rows.parameters(), lr=0.1).step()
        return rows.weight, slope
    same("a table's, and its optimisers", table)


def test_bags():
    def bag(d, mode, padding=None, factors=False):
        weight = torch.linspace(-2, 2, 36).view(9, 4).to(d).requires_grad_()
        each = torch.linspace(0, 1, 8).to(d).requires_grad_() if factors else None
        made = F.embedding_bag(torch.tensor([1, 2, 4, 5, 4, 3, 2, 8], device=d), weight, torch.tensor([0, 4, 4, 6], device=d),
                               mode=mode, padding_idx=padding, per_sample_weights=each)
        made.square().sum().backward()
        return [made, weight.grad] + ([each.grad] if factors else [])
    for mode in ("sum", "mean"):
        for padding in (None, 4):
            same(f"{mode}, padding {padding}", lambda d: bag(d, mode, padding))
    for padding in (None, 2):
        same(f"with factors, padding {padding}", lambda d: bag(d, "sum", padding, True))
    numbers = torch.rand(9, 4, generator=torch.Generator().manual_seed(1)).add(1).to(torch.bfloat16)
    factors = torch.linspace(1, 2, 8).to(torch.bfloat16)
    rows = torch.tensor([1, 2, 4, 5, 4, 3, 2, 8])
    exact = (numbers.double()[rows] * factors.double().unsqueeze(1)).sum(0)
    made = F.embedding_bag(rows.to("mps"), numbers.to("mps"), torch.tensor([0], device="mps"), mode="sum",
                           per_sample_weights=factors.to("mps"))
    check("with factors, of 16 bits: rounded once", torch.equal(made.cpu()[0], exact.to(torch.bfloat16)))
    same("the largest", lambda d: bag(d, "max"), by_kernels=False)
    with torch.no_grad():
        same("lines", lambda d: F.embedding_bag(torch.tensor([[1, 2], [3, 4]], device=d), DENSE.view(6, 2).to(d)))
        same("with the end", lambda d: F.embedding_bag(torch.tensor([1, 2, 3], device=d), DENSE.to(d), torch.tensor([0, 1, 3], device=d),
                                                       include_last_offset=True))


def test_places():
    rows, columns = torch.tensor([2, 0]), torch.tensor([2, 0, 2])
    same("copied", lambda d: (DENSE.to(d).index_copy(0, rows.to(d), WIDE[:2, :3].to(d)),
                              DENSE.half().to(d).index_copy(1, rows[:1].to(d), WIDE.half().view(5, 3)[:4, :1].to(d)),
                              torch.tensor(1.0, device=d).index_copy(0, torch.tensor([0], device=d), torch.tensor([3.0], device=d))))
    for rule in ("prod", "mean", "amax", "amin"):
        same(f"reduced, {rule}", lambda d: (DENSE.to(d).index_reduce(0, columns.to(d), WIDE[:, :3].to(d), rule),
                                            DENSE.to(d).index_reduce(1, columns.to(d), DENSE.to(d), rule, include_self=False)))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    run(globals())
