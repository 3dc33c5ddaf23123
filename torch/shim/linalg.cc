// torch: systems of linear equations. Matrices are factored and solved a block at a time, by kernels; what lies between
// blocks is products of the device's library. QR, singular values and eigenvalues run on the processor, as on a Mac.
#include "shim.h"
#include "solve.h"

#include <ATen/ExpandUtils.h>
#include <ATen/WrapDimUtils.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_cholesky_solve_helper_ops.h>
#include <ATen/ops/_linalg_check_errors.h>
#include <ATen/ops/_linalg_det.h>
#include <ATen/ops/_linalg_slogdet.h>
#include <ATen/ops/_linalg_solve_ex.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cholesky_inverse_ops.h>
#if __has_include(<ATen/ops/cholesky_ops.h>) // not from 2.15 on
#include <ATen/ops/cholesky_ops.h>
#define ABX_HAS_CHOLESKY 1
#endif
#include <ATen/ops/linalg_solve_triangular_ops.h>

namespace arcbox {
using at::Tensor;

static constexpr int64_t BLOCK = 64, PANEL = 32;

static bool can_solve(const Tensor &a)
{
    return a.scalar_type() == at::kFloat && a.dim() >= 2 && a.numel() < INT_MAX;
}

static int64_t count_of(const Tensor &a)
{
    return c10::multiply_integers(a.sizes().slice(0, static_cast<size_t>(a.dim()) - 2));
}

// Three dimensions, without gaps: what is there is kept.
static Tensor batched(const Tensor &a)
{
    return a.contiguous().view({count_of(a), a.size(-2), a.size(-1)});
}

static Tensor copied(const Tensor &a)
{
    Tensor made = empty_like_sizes(a.sizes(), a.scalar_type());
    return made.copy_(a).view({count_of(a), a.size(-2), a.size(-1)});
}

// b becomes the inverse of the triangle times b.
static void solve_in_place(const Tensor &a, const Tensor &b, bool upper, bool unit)
{
    int64_t n = a.size(1);
    if (b.numel() == 0 || n == 0)
        return;
    if (n <= BLOCK) {
        abx_torch_solve s = {static_cast<uint32_t>(b.size(0)), static_cast<uint32_t>(n), static_cast<uint32_t>(b.size(2)),
            upper, unit, matrix_of(a), matrix_of(b)};
        check(abx_torch_run_solve(&s));
        return;
    }
    int64_t half = (n / 2 + BLOCK - 1) / BLOCK * BLOCK, rest = n - half;
    Tensor top = b.narrow(1, 0, half), bottom = b.narrow(1, half, rest);
    Tensor first = a.narrow(1, 0, half).narrow(2, 0, half), last = a.narrow(1, half, rest).narrow(2, half, rest);
    if (upper) {
        solve_in_place(last, bottom, upper, unit);
        top.baddbmm_(a.narrow(1, 0, half).narrow(2, half, rest), bottom, 1, -1);
        solve_in_place(first, top, upper, unit);
    } else {
        solve_in_place(first, top, upper, unit);
        bottom.baddbmm_(a.narrow(1, half, rest).narrow(2, 0, half), top, 1, -1);
        solve_in_place(last, bottom, upper, unit);
    }
}

// Of b's own sizes; from the left, or from the right.
static void solve_triangle(const Tensor &a, const Tensor &b, bool upper, bool left, bool unit)
{
    left ? solve_in_place(a, b, upper, unit) : solve_in_place(a.transpose(1, 2), b.transpose(1, 2), !upper, unit);
}

// ---- with rows exchanged

static void factor_in_place(const Tensor &a, const Tensor &pivots, const Tensor &info)
{
    int64_t rows = a.size(1), columns = a.size(2), n = a.size(0) ? std::min(rows, columns) : 0;
    for (int64_t k = 0; k < n; k += PANEL) {
        int64_t end = std::min(n, k + PANEL), wide = end - k;
        abx_torch_factor f = {static_cast<uint32_t>(a.size(0)), static_cast<uint32_t>(rows), static_cast<uint32_t>(columns),
            static_cast<uint32_t>(k), static_cast<uint32_t>(end), matrix_of(a), operand_of(pivots), operand_of(info), 0};
        check(abx_torch_run_factor(&f));
        if (end == columns)
            break;
        Tensor panel = a.narrow(2, k, wide), right = a.narrow(2, end, columns - end);
        Tensor beside = right.narrow(1, k, wide);
        solve_in_place(panel.narrow(1, k, wide), beside, false, true);
        if (end < rows)
            right.narrow(1, end, rows - end).baddbmm_(panel.narrow(1, end, rows - end), beside, 1, -1);
    }
}

struct Factors {
    Tensor lu, pivots, info; // lu of three dimensions
};

static Factors factored(const Tensor &a)
{
    Tensor lu = copied(a);
    int64_t n = std::min(a.size(-2), a.size(-1));
    Factors f = {lu, empty_like_sizes({lu.size(0), n}, at::kInt), empty_like_sizes({lu.size(0)}, at::kInt).zero_()};
    factor_in_place(f.lu, f.pivots, f.info);
    return f;
}

// Where a matrix lies without gaps some of torch's own keep the factors of the turned one, and derivatives count on it:
// determinants', and up to some version solve's. The processor's is asked: of {{2, 1}, {4, 3}} the second row comes
// first, turned the first.
static bool turns(Tensor (*pivots)(const Tensor &))
{
    Tensor numbers = at::arange(1, 5, at::TensorOptions(at::kCPU).dtype(at::kFloat)).view({2, 2}).flip(1);
    return pivots(numbers).data_ptr<int>()[0] == 1;
}

static bool solve_keeps_turned(const Tensor &a)
{
    static const bool does = turns([](const Tensor &t) { return std::get<2>(at::_linalg_solve_ex(t, t)); });
    return does && a.is_contiguous();
}

static bool det_keeps_turned(const Tensor &a)
{
    static const bool does = turns([](const Tensor &t) { return std::get<2>(at::_linalg_det(t)); });
    return does && a.is_contiguous();
}

static bool slogdet_keeps_turned(const Tensor &a)
{
    static const bool does = turns([](const Tensor &t) { return std::get<3>(at::_linalg_slogdet(t)); });
    return does && a.is_contiguous();
}

// As torch keeps them: pivots and `info` have the sizes of its batches.
static void keep(const Factors &f, const Tensor &lu, const Tensor &pivots)
{
    lu.copy_(f.lu.view(lu.sizes()));
    pivots.copy_(f.pivots.view(pivots.sizes()));
}

static void keep(const Factors &f, const Tensor &info, bool check_errors, const char *name, bool is_one)
{
    info.copy_(f.info.view(info.sizes()));
    if (check_errors)
        at::_linalg_check_errors(info, name, is_one);
}

static Factors factored_as_kept(const Tensor &a, bool turned)
{
    return factored(turned ? a.transpose(-2, -1) : a);
}

static void exchange(const Tensor &b, const Tensor &pivots, bool back)
{
    abx_torch_solve s = {};
    s.batches = static_cast<uint32_t>(b.size(0));
    s.rows = static_cast<uint32_t>(b.size(1));
    s.columns = static_cast<uint32_t>(b.size(2));
    s.b = matrix_of(b);
    if (b.numel() && pivots.numel())
        check(abx_torch_exchange(&s, operand_of(pivots), static_cast<uint32_t>(pivots.size(-1)), back));
}

// b becomes the solution of a x = b, or with `turned` of a's rows as columns.
static void solve_factored(const Tensor &lu, const Tensor &pivots, const Tensor &b, bool turned)
{
    if (!turned) {
        exchange(b, pivots, false);
        solve_in_place(lu, b, false, true);
        solve_in_place(lu, b, true, false);
        return;
    }
    Tensor other = lu.transpose(1, 2);
    solve_in_place(other, b, false, false);
    solve_in_place(other, b, true, true);
    exchange(b, pivots, true);
}

bool lu_factor_out(const Tensor &a, bool pivot, bool check_errors, const Tensor &lu, const Tensor &pivots, const Tensor &info)
{
    if (!can_solve(a) || !pivot)
        return false;
    Factors f = factored(a);
    keep(f, lu, pivots);
    keep(f, info, check_errors, "torch.linalg.lu_factor_ex", a.dim() == 2);
    return true;
}

static Tensor identity(const Tensor &like, int64_t n)
{
    Tensor made = empty_like_sizes({like.size(0), n, n}, at::kFloat).zero_();
    made.diagonal(0, 1, 2).fill_(1);
    return made;
}

bool inverse_out(const Tensor &a, bool check_errors, const Tensor &inverse, const Tensor &info)
{
    if (!can_solve(a))
        return false;
    int64_t n = a.size(-1);
    if (n && n <= ABX_TORCH_SMALL_MATRIX && a.numel()) {
        Factors f = {copied(a), {}, empty_like_sizes({count_of(a)}, at::kInt).zero_()};
        abx_torch_factor all = {};
        all.batches = static_cast<uint32_t>(f.lu.size(0));
        all.rows = static_cast<uint32_t>(n);
        all.a = matrix_of(f.lu);
        all.info = operand_of(f.info);
        check(abx_torch_run_invert(&all));
        inverse.copy_(f.lu.view(a.sizes()));
        keep(f, info, check_errors, "linalg.inv_ex", a.dim() == 2);
        return true;
    }
    Factors f = factored(a);
    Tensor b = identity(f.lu, a.size(-1));
    solve_factored(f.lu, f.pivots, b, false);
    inverse.copy_(b.view(a.sizes()));
    keep(f, info, check_errors, "linalg.inv_ex", a.dim() == 2);
    return true;
}

// b in the sizes of the result, as one batch of matrices; from the right, turned.
static Tensor right_side(const Tensor &b, at::IntArrayRef sizes)
{
    return copied(b.expand(sizes));
}

static Tensor spread_over(const Tensor &t, at::IntArrayRef batch, int64_t kept)
{
    std::vector<int64_t> sizes(batch.begin(), batch.end());
    sizes.insert(sizes.end(), t.sizes().end() - kept, t.sizes().end());
    return t.expand(sizes);
}

bool lu_solve_out(const Tensor &lu, const Tensor &pivots, const Tensor &b, bool left, bool adjoint, const Tensor &out)
{
    if (!can_solve(lu))
        return false;
    if (out.numel() == 0)
        return true;
    at::IntArrayRef batch = out.sizes().slice(0, static_cast<size_t>(out.dim()) - 2);
    Tensor x = right_side(b, out.sizes()), factors = batched(spread_over(lu, batch, 2));
    Tensor places = spread_over(pivots, batch, 1).contiguous().view({factors.size(0), pivots.size(-1)});
    solve_factored(factors, places, left ? x : x.transpose(1, 2), left == adjoint);
    out.copy_(x.view(out.sizes()));
    return true;
}

bool solve_out(const Tensor &a, const Tensor &b, bool left, bool check_errors, const Tensor &result, const Tensor &lu,
    const Tensor &pivots, const Tensor &info)
{
    if (!can_solve(a))
        return false;
    bool turned = solve_keeps_turned(a);
    Factors f = factored_as_kept(a, turned);
    bool vector = result.dim() == a.dim() - 1 || (result.dim() == 1);
    at::IntArrayRef batch = result.sizes().slice(0, static_cast<size_t>(result.dim()) - (vector ? 1 : 2));
    Tensor x = vector ? copied(b.expand(result.sizes()).unsqueeze(-1)) : right_side(b, result.sizes());
    Tensor factors = batched(spread_over(f.lu.view(a.sizes()), batch, 2));
    std::vector<int64_t> sizes(a.sizes().begin(), a.sizes().end() - 1);
    Tensor places = spread_over(f.pivots.view(sizes), batch, 1).contiguous().view({factors.size(0), a.size(-1)});
    solve_factored(factors, places, left || vector ? x : x.transpose(1, 2), (left || vector) == turned);
    result.copy_(x.view(result.sizes()));
    keep(f, lu, pivots);
    keep(f, info, check_errors, "torch.linalg.solve_ex", a.dim() == 2);
    return true;
}

// 1, or -1 where an odd number of rows was exchanged.
static Tensor sign_of(const Tensor &pivots)
{
    Tensor line = at::arange(1, pivots.size(-1) + 1, pivots.options());
    Tensor exchanged = pivots.ne(line).sum(-1);
    return exchanged.remainder(2).mul(-2).add(1).to(at::kFloat);
}

bool det_out(const Tensor &a, const Tensor &result, const Tensor &lu, const Tensor &pivots)
{
    if (!can_solve(a))
        return false;
    Factors f = factored_as_kept(a, det_keeps_turned(a));
    Tensor product = f.lu.diagonal(0, 1, 2).prod(-1).mul_(sign_of(f.pivots));
    result.copy_(product.view(result.sizes()));
    keep(f, lu, pivots);
    return true;
}

bool slogdet_out(const Tensor &a, const Tensor &sign, const Tensor &logarithm, const Tensor &lu, const Tensor &pivots)
{
    if (!can_solve(a))
        return false;
    Factors f = factored_as_kept(a, slogdet_keeps_turned(a));
    Tensor diagonal = f.lu.diagonal(0, 1, 2);
    sign.copy_(diagonal.sgn().prod(-1).mul_(sign_of(f.pivots)).view(sign.sizes()));
    logarithm.copy_(diagonal.abs().log_().sum(-1).view(logarithm.sizes()));
    keep(f, lu, pivots);
    return true;
}

bool lu_unpack_out(const Tensor &data, const Tensor &places, bool unpack_data, bool unpack_pivots, const Tensor &p,
    const Tensor &l, const Tensor &u)
{
    if (!can_solve(data))
        return false;
    int64_t rows = data.size(-2), columns = data.size(-1), n = std::min(rows, columns);
    if (unpack_data) {
        Tensor lower = l, upper = u;
        lower.copy_(data.narrow(-1, 0, n).tril(-1));
        lower.diagonal(0, -2, -1).fill_(1);
        upper.copy_(data.narrow(-2, 0, n).triu());
    }
    if (unpack_pivots) {
        Tensor made = identity(batched(data), rows);
        exchange(made, places.contiguous().view({made.size(0), n}), true);
        p.copy_(made.view(p.sizes()));
    }
    return true;
}

bool lu_out(const Tensor &a, bool pivot, const Tensor &p, const Tensor &l, const Tensor &u)
{
    if (!can_solve(a) || !pivot)
        return false;
    Factors f = factored(a);
    return lu_unpack_out(f.lu.view(a.sizes()), f.pivots, true, true, p, l, u);
}

// ---- triangles

Tensor &solve_triangular_out(const Tensor &a, const Tensor &b, bool upper, bool left, bool unit, Tensor &out)
{
    if (!can_solve(a) || b.scalar_type() != at::kFloat || b.dim() < 2 || a.size(-1) != a.size(-2) ||
        a.size(-1) != b.size(left ? -2 : -1))
        return OnProcessor<at::_ops::linalg_solve_triangular_out>::call(a, b, upper, left, unit, out);
    count_native("aten::linalg_solve_triangular");
    auto batch = at::infer_size(a.sizes().slice(0, static_cast<size_t>(a.dim()) - 2), b.sizes().slice(0, static_cast<size_t>(b.dim()) - 2));
    Tensor x = copied(spread_over(b, batch, 2)), matrix = batched(spread_over(a, batch, 2));
    solve_triangle(matrix, x, upper, left, unit);
    batch.push_back(b.size(-2));
    batch.push_back(b.size(-1));
    // A result of its own has its columns in a piece, as torch's meta function says and compiled code asserts.
    if (at::native::resize_output_check(out, batch)) {
        std::swap(batch[batch.size() - 2], batch[batch.size() - 1]);
        out.resize_(batch);
        out.transpose_(-2, -1);
        return out.copy_(x.view(out.sizes()));
    }
    return into(out, x.view(batch));
}

Tensor solve_triangular(const Tensor &a, const Tensor &b, bool upper, bool left, bool unit)
{
    Tensor out = empty_like_sizes({0}, b.scalar_type());
    return solve_triangular_out(a, b, upper, left, unit, out);
}

bool old_solve_triangular_out(const Tensor &b, const Tensor &a, bool upper, bool turned, bool unit, const Tensor &out,
    const Tensor &copy)
{
    if (!can_solve(a))
        return false;
    at::IntArrayRef batch = out.sizes().slice(0, static_cast<size_t>(out.dim()) - 2);
    Tensor x = right_side(b, out.sizes()), matrix = batched(spread_over(a, batch, 2));
    solve_in_place(turned ? matrix.transpose(1, 2) : matrix, x, upper != turned, unit);
    out.copy_(x.view(out.sizes()));
    copy.copy_(a.expand(copy.sizes()));
    return true;
}

// ---- of symmetric matrices

// The lower half, and nothing else of it, is right afterwards.
static void factor_symmetric(const Tensor &a, const Tensor &info, int64_t offset)
{
    int64_t n = a.size(1);
    if (a.numel() == 0)
        return;
    if (n <= BLOCK) {
        abx_torch_factor f = {};
        f.batches = static_cast<uint32_t>(a.size(0));
        f.rows = f.columns = static_cast<uint32_t>(n);
        f.a = matrix_of(a);
        f.info = operand_of(info);
        f.offset = static_cast<uint32_t>(offset);
        check(abx_torch_run_factor_symmetric(&f));
        return;
    }
    int64_t half = (n / 2 + BLOCK - 1) / BLOCK * BLOCK, rest = n - half;
    Tensor first = a.narrow(1, 0, half).narrow(2, 0, half), below = a.narrow(1, half, rest).narrow(2, 0, half);
    Tensor last = a.narrow(1, half, rest).narrow(2, half, rest);
    factor_symmetric(first, info, offset);
    solve_triangle(first.transpose(1, 2), below, true, false, false);
    last.baddbmm_(below, below.transpose(1, 2), 1, -1);
    factor_symmetric(last, info, offset + half);
}

// The lower triangle of what the upper one of `a` mirrors, or the lower.
static Tensor symmetric_factor(const Tensor &a, bool upper, const Tensor &info)
{
    Tensor x = copied(upper ? a.transpose(-2, -1) : a);
    factor_symmetric(x, info, 0);
    return x.tril_();
}

static void put_factor(const Tensor &x, bool upper, const Tensor &out)
{
    Tensor shaped = x.view(out.sizes());
    out.copy_(upper ? shaped.transpose(-2, -1) : shaped);
}

bool cholesky_out(const Tensor &a, bool upper, bool check_errors, const Tensor &out, const Tensor &info)
{
    if (!can_solve(a))
        return false;
    Tensor said = empty_like_sizes({c10::multiply_integers(info.sizes())}, at::kInt).zero_();
    put_factor(symmetric_factor(a, upper, said), upper, out);
    info.copy_(said.view(info.sizes()));
    if (check_errors)
        at::_linalg_check_errors(info, "torch.linalg.cholesky_ex", a.dim() == 2);
    return true;
}

#ifdef ABX_HAS_CHOLESKY
Tensor cholesky(const Tensor &a, bool upper)
{
    if (!can_solve(a) || a.size(-1) != a.size(-2))
        return OnProcessor<at::_ops::cholesky>::call(a, upper);
    count_native("aten::cholesky");
    Tensor info = empty_like_sizes(a.sizes().slice(0, static_cast<size_t>(a.dim()) - 2), at::kInt).zero_();
    Tensor out = empty_like_sizes(a.sizes(), a.scalar_type());
    put_factor(symmetric_factor(a, upper, info), upper, out);
    at::_linalg_check_errors(info, "cholesky", a.dim() == 2);
    return out;
}
#endif

// With the factor of a, the inverse of a times b.
static void solve_symmetric(const Tensor &factor, const Tensor &b, bool upper)
{
    Tensor lower = upper ? factor.transpose(1, 2) : factor;
    solve_in_place(lower, b, false, false);
    solve_in_place(lower.transpose(1, 2), b, true, false);
}

Tensor cholesky_solve(const Tensor &b, const Tensor &factor, bool upper)
{
    if (!can_solve(factor))
        return OnProcessor<at::_ops::_cholesky_solve_helper>::call(b, factor, upper);
    count_native("aten::_cholesky_solve_helper");
    Tensor x = copied(b);
    solve_symmetric(batched(factor), x, upper);
    return x.view(b.sizes()).mT().contiguous().mT(); // as meta functions have it: see solve_triangular_out
}

Tensor cholesky_inverse(const Tensor &factor, bool upper)
{
    if (!can_solve(factor) || factor.size(-1) != factor.size(-2))
        return OnProcessor<at::_ops::cholesky_inverse>::call(factor, upper);
    count_native("aten::cholesky_inverse");
    Tensor f = batched(factor), x = identity(f, factor.size(-1));
    solve_symmetric(f, x, upper);
    return x.view(factor.sizes()).mT(); // symmetric
}

// ---- of three numbers

bool cross_out(const Tensor &self, const Tensor &other, int64_t dim, const Tensor &out)
{
    if (!knows_complex(self.scalar_type()) || self.scalar_type() == at::kBool)
        return false;
    Tensor a = self.expand(out.sizes()), b = other.expand(out.sizes()), to = out;
    for (int64_t i = 0; i < 3; i++) {
        int64_t j = (i + 1) % 3, k = (i + 2) % 3;
        Tensor first = a.select(dim, j).mul(b.select(dim, k));
        to.select(dim, i).copy_(first.sub_(a.select(dim, k).mul(b.select(dim, j))));
    }
    return true;
}

} // namespace arcbox
