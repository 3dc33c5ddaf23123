// torch: products of matrices and what is made of them.
#include "shim.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linear_backward_ops.h>
#include <ATen/ops/linear_ops.h>
#include <ATen/ops/view_as_real.h>
#include <ATen/ops/vdot_ops.h>
#include <ATen/ops/add.h>
#include <ATen/ops/dot_ops.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/mul.h>

namespace arcbox {
using at::Scalar;
using at::Tensor;

abx_torch_matrix matrix_of(const Tensor &t)
{
    int64_t n = t.dim();
    return {operand_of(t), n > 2 ? t.stride(n - 3) : 0, t.stride(n - 2), t.stride(n - 1)};
}

// The device's library takes matrices whose rows or columns lie without gaps; others, as gradients of sums
// are, are copied where the product costs more.
static Tensor lying_whole(const Tensor &t)
{
    int64_t n = t.dim(), rows = t.size(n - 2), columns = t.size(n - 1), row = t.stride(n - 2), column = t.stride(n - 1);
    bool whole = (column == 1 && row >= columns) || (row == 1 && column >= rows) || rows < 8 || columns < 8;
    return whole || !t.is_floating_point() ? t : t.contiguous();
}

static bool can_multiply(const Tensor &left, const Tensor &right)
{
    return knows(left.scalar_type()) && left.scalar_type() != at::kBool && left.scalar_type() == right.scalar_type() &&
        left.numel() < INT_MAX && right.numel() < INT_MAX;
}

static bool multiply(const Tensor &to, const Tensor &given_left, const Tensor &given_right,
    const Tensor *added = nullptr, const Scalar &beta = 0, const Scalar &alpha = 1)
{
    if (!can_multiply(given_left, given_right) || to.numel() >= INT_MAX)
        return false;
    if (to.numel() == 0)
        return true;
    Tensor left = lying_whole(given_left), right = lying_whole(given_right);
    int64_t n = to.dim();
    abx_torch_product product = {};
    product.type = product.to_type = static_cast<int>(to.scalar_type());
    product.batches = static_cast<uint32_t>(n > 2 ? to.size(n - 3) : 1);
    product.rows = static_cast<uint32_t>(to.size(n - 2));
    product.columns = static_cast<uint32_t>(to.size(n - 1));
    product.inner = static_cast<uint32_t>(left.size(n - 1));
    product.to = matrix_of(to);
    product.left = matrix_of(left);
    product.right = matrix_of(right);
    product.alpha = number_of(alpha);
    product.beta = number_of(beta);
    Tensor expanded = added ? added->expand(to.sizes()) : to;
    product.added = matrix_of(expanded);
    check(abx_torch_multiply(&product));
    return true;
}

// Of complex matrices by products of their parts; `added` comes last.
static bool multiply_complex(const Tensor &to, const Tensor &left, const Tensor &right, const Tensor *added = nullptr,
    const Scalar &beta = 0, const Scalar &alpha = 1)
{
    if (left.scalar_type() != at::kComplexFloat || right.scalar_type() != at::kComplexFloat || to.scalar_type() != at::kComplexFloat)
        return multiply(to, left, right, added, beta, alpha);
    auto part = [](const Tensor &t, int64_t n) { return at::view_as_real(t.resolve_conj()).select(-1, n).contiguous(); };
    Tensor a = part(left, 0), b = part(left, 1), c = part(right, 0), d = part(right, 1);
    Tensor made = empty_like_sizes(to.sizes(), at::kComplexFloat), parts = at::view_as_real(made);
    Tensor x = empty_like_sizes(to.sizes(), at::kFloat), y = empty_like_sizes(to.sizes(), at::kFloat);
    if (left.size(-1) == 0) {
        x.zero_();
        y.zero_();
    } else if (!multiply(x, a, c) || !multiply(y, a, d) || !multiply(x, b, d, &x, 1, -1) || !multiply(y, b, c, &y, 1, 1))
        return false;
    parts.select(-1, 0).copy_(x);
    parts.select(-1, 1).copy_(y);
    if (!alpha.equal(1.0))
        made.mul_(alpha);
    if (added && !beta.equal(0.0))
        made.add_(added->expand(to.sizes()), beta);
    Tensor out = to;
    out.copy_(made);
    return true;
}

bool mm_out(const Tensor &self, const Tensor &other, const Tensor &out)
{
    return multiply_complex(out, self, other);
}

bool bmm_out(const Tensor &self, const Tensor &other, const Tensor &out)
{
    return multiply_complex(out, self, other);
}

bool addmm_out(const Tensor &self, const Tensor &left, const Tensor &right, const Scalar &beta, const Scalar &alpha,
    const Tensor &out)
{
    return self.scalar_type() == out.scalar_type() && multiply_complex(out, left, right, &self, beta, alpha);
}

bool baddbmm_out(const Tensor &self, const Tensor &left, const Tensor &right, const Scalar &beta, const Scalar &alpha,
    const Tensor &out)
{
    return self.scalar_type() == out.scalar_type() && multiply_complex(out, left, right, &self, beta, alpha);
}

bool addmv_out(const Tensor &self, const Tensor &matrix, const Tensor &vector, const Scalar &beta, const Scalar &alpha,
    const Tensor &out)
{
    Tensor column = out.unsqueeze(1), added = self.expand(out.sizes()).unsqueeze(1);
    return self.scalar_type() == out.scalar_type() &&
        multiply_complex(column, matrix, vector.unsqueeze(1), &added, beta, alpha);
}

Tensor dot(const Tensor &self, const Tensor &other);

Tensor vdot(const Tensor &self, const Tensor &other)
{
    TORCH_CHECK(self.device() == other.device(), "Expected all tensors to be on the same device. Found: ", self.device(), ", ",
        other.device());
    return dot(self.is_complex() ? self.conj() : self, other);
}

Tensor dot(const Tensor &self, const Tensor &other)
{
    TORCH_CHECK(self.dim() == 1 && other.dim() == 1, "1D tensors expected, but got ", self.dim(), "D and ",
        other.dim(), "D tensors");
    TORCH_CHECK(self.scalar_type() == other.scalar_type(), "dot : expected both vectors to have same dtype, but found ",
        self.scalar_type(), " and ", other.scalar_type());
    TORCH_CHECK(self.numel() == other.numel(), "inconsistent tensor size, expected tensor [", self.numel(),
        "] and src [", other.numel(), "] to have the same number of elements, but got ", self.numel(), " and ",
        other.numel(), " elements respectively");
    Tensor made = empty_like_sizes({1, 1}, self.scalar_type());
    if (!multiply_complex(made, self.unsqueeze(0), other.unsqueeze(1)))
        return OnProcessor<at::_ops::dot>::call(self, other);
    count_native("aten::dot");
    return made.view(at::IntArrayRef());
}

// ---- linear

static Tensor as_rows(const Tensor &t)
{
    return t.dim() == 2 ? t : t.reshape({-1, t.size(-1)});
}

Tensor linear(const Tensor &input, const Tensor &weight, const std::optional<Tensor> &bias)
{
    bool has_bias = bias && bias->defined();
    TORCH_CHECK(input.is_mps(), "Tensor for argument input is on ", input.device(), " but expected on mps");
    TORCH_CHECK(weight.is_mps(), "Tensor for argument weight is on ", weight.device(), " but expected on mps");
    TORCH_CHECK(weight.is_floating_point() || weight.is_complex(), "MPS device does not support linear for non-float weights");
    if (has_bias && bias->dim() != 1 && weight.dim() == 2)
        return at::add(linear(input, weight, std::nullopt), *bias);
    TORCH_CHECK(weight.dim() == 2 || weight.dim() == 1, "weight must be a matrix or a vector");
    Tensor matrix = weight.dim() == 1 ? weight.unsqueeze(0) : weight;
    TORCH_CHECK(input.dim() > 0 && input.size(-1) == matrix.size(1), "linear(): input and weight.T shapes cannot be "
        "multiplied (", input.dim() > 1 ? input.numel() / std::max<int64_t>(input.size(-1), 1) : 1, "x",
        input.dim() ? input.size(-1) : 0, " and ", matrix.size(1), "x", matrix.size(0), ")");
    TORCH_CHECK(input.scalar_type() == weight.scalar_type(), "expected m1 and m2 to have the same dtype, but got: ",
        input.dtype(), " != ", weight.dtype());
    std::vector<int64_t> sizes(input.sizes().begin(), input.sizes().end());
    sizes.back() = matrix.size(0);
    if (!can_multiply(input, weight) || (has_bias && bias->scalar_type() != input.scalar_type()))
        return OnProcessor<at::_ops::linear>::call(input, weight, bias);
    Tensor made = empty_like_sizes(sizes, input.scalar_type());
    if (made.numel() == 0)
        return weight.dim() == 1 ? made.squeeze(-1) : made;
    count_native("aten::linear");
    Tensor rows = input.size(-1) == 0 ? input.new_empty({made.numel() / matrix.size(0), 0}) : as_rows(input);
    multiply(made.view({-1, matrix.size(0)}), rows, matrix.t(), has_bias ? &*bias : nullptr, has_bias ? 1 : 0);
    return weight.dim() == 1 ? made.squeeze(-1) : made;
}

std::tuple<Tensor, Tensor, Tensor> linear_backward(const Tensor &input, const Tensor &gradient, const Tensor &weight,
    std::array<bool, 3> wanted)
{
    count_native("aten::linear_backward");
    Tensor of_input, of_weight, of_bias;
    Tensor rows = as_rows(gradient);
    if (wanted[0]) {
        of_input = empty_like_sizes(input.sizes(), input.scalar_type());
        if (of_input.numel())
            multiply(as_rows(of_input), rows, weight);
    }
    if (wanted[1]) {
        of_weight = empty_like_sizes(weight.sizes(), weight.scalar_type());
        multiply(of_weight, rows.t(), as_rows(input));
    }
    if (wanted[2])
        of_bias = rows.sum(0);
    return {of_input, of_weight, of_bias};
}

} // namespace arcbox
