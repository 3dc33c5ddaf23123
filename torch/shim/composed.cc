// torch: operators that are made of others that have kernels, where torch itself would go to the processor.
#include "shim.h"
#include "index.h"

#include <ATen/WrapDimUtils.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/_adaptive_avg_pool2d_backward_ops.h>
#include <ATen/ops/_adaptive_avg_pool2d_ops.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/angle.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/avg_pool2d_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_fill_ops.h>
#include <ATen/ops/frexp_ops.h>
#include <ATen/ops/linspace_ops.h>
#include <ATen/ops/log_sigmoid_backward_ops.h>
#include <ATen/ops/log_sigmoid_forward_ops.h>
#include <ATen/ops/logspace_ops.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mse_loss_backward_ops.h>
#include <ATen/ops/mse_loss_ops.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/nll_loss2d_backward_ops.h>
#include <ATen/ops/nll_loss2d_forward_ops.h>
#include <ATen/ops/nll_loss_backward.h>
#include <ATen/ops/nll_loss_forward.h>
#include <ATen/ops/smooth_l1_loss_backward_ops.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ScalarOps.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_cdist_backward_ops.h>
#include <ATen/ops/_cdist_forward_ops.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/bitwise_left_shift.h>
#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/norm_except_dim.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/remainder.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

namespace arcbox {
using at::IntArrayRef;
using at::Scalar;
using at::Tensor;

// reduce.cc
bool vector_norm_out(const Tensor &self, const Scalar &order, at::OptionalIntArrayRef dim, bool keepdim,
    std::optional<at::ScalarType> type, const Tensor &out);

Tensor &into(Tensor &out, const Tensor &made)
{
    at::native::resize_output(out, made.sizes());
    return out.copy_(made);
}

// ---- losses of differences

double share(const Tensor &t, int64_t reduction)
{
    return reduction == at::Reduction::Mean ? 1.0 / static_cast<double>(t.numel()) : 1.0;
}

Tensor &mse_loss_out(const Tensor &self, const Tensor &target, int64_t reduction, Tensor &out)
{
    if (!is_float(self) || !is_float(target))
        return OnProcessor<at::_ops::mse_loss_out>::call(self, target, reduction, out);
    count_native("aten::mse_loss.out");
    Tensor difference = at::sub(self, target);
    if (reduction == at::Reduction::None)
        return at::mul_out(out, difference, difference);
    Tensor squares = at::mul(difference, difference);
    return reduction == at::Reduction::Mean ? at::mean_out(out, squares, IntArrayRef()) : at::sum_out(out, squares, IntArrayRef());
}

Tensor &mse_loss_backward_out(const Tensor &gradient, const Tensor &self, const Tensor &target, int64_t reduction,
    Tensor &out)
{
    if (!is_float(self) || !is_float(target))
        return OnProcessor<at::_ops::mse_loss_backward_grad_input>::call(gradient, self, target, reduction, out);
    count_native("aten::mse_loss_backward");
    return at::mul_out(out, at::sub(self, target).mul_(2 * share(self, reduction)), gradient);
}

Tensor mse_loss_backward(const Tensor &gradient, const Tensor &self, const Tensor &target, int64_t reduction)
{
    if (!is_float(self) || !is_float(target))
        return OnProcessor<at::_ops::mse_loss_backward>::call(gradient, self, target, reduction);
    count_native("aten::mse_loss_backward");
    return at::sub(self, target).mul_(2 * share(self, reduction)).mul(gradient);
}

Tensor &smooth_l1_loss_backward_out(const Tensor &gradient, const Tensor &self, const Tensor &target,
    int64_t reduction, double beta, Tensor &out)
{
    if (!is_float(self) || !is_float(target))
        return OnProcessor<at::_ops::smooth_l1_loss_backward_grad_input>::call(gradient, self, target, reduction, beta, out);
    count_native("aten::smooth_l1_loss_backward");
    at::TensorIterator iter = at::TensorIteratorConfig()
                                  .add_output(out)
                                  .add_const_input(self)
                                  .add_const_input(target)
                                  .add_const_input(gradient)
                                  .promote_inputs_to_common_dtype(true)
                                  .cast_common_dtype_to_outputs(true)
                                  .enforce_safe_casting_to_output(true)
                                  .build();
    iterate(iter, "e_smooth_l1_slope", {number_of(beta), number_of(share(self, reduction))});
    return out;
}

// ---- the logarithm of the sigmoid

std::tuple<Tensor, Tensor> log_sigmoid(const Tensor &self)
{
    if (!is_float(self))
        return OnProcessor<at::_ops::log_sigmoid_forward>::call(self);
    count_native("aten::log_sigmoid_forward");
    Tensor out;
    at::TensorIterator iter = at::TensorIterator::unary_op(out, self);
    iterate(iter, "e_log_sigmoid");
    return {iter.output(), empty_like_sizes({0}, self.scalar_type())};
}

Tensor log_sigmoid_backward(const Tensor &gradient, const Tensor &self, const Tensor &buffer)
{
    if (!is_float(self))
        return OnProcessor<at::_ops::log_sigmoid_backward>::call(gradient, self, buffer);
    count_native("aten::log_sigmoid_backward");
    Tensor out;
    at::TensorIterator iter = at::TensorIterator::binary_op(out, gradient, self);
    iterate(iter, "e_log_sigmoid_slope");
    return iter.output();
}

// ---- pooling to a size: plainly where it divides the input's

// resample.cc
bool average_to(const Tensor &self, const Tensor &out);
bool average_to_backward(const Tensor &gradient, const Tensor &out);

static bool divides(const Tensor &in, int64_t height, int64_t width)
{
    return in.dim() >= 3 && in.numel() && height > 0 && width > 0 && in.size(-2) % height == 0 && in.size(-1) % width == 0;
}

Tensor adaptive_avg_pool2d(const Tensor &self, IntArrayRef size)
{
    if (!is_float(self) || size.size() != 2 || self.dim() < 3 || !self.numel() || size[0] < 1 || size[1] < 1)
        return OnProcessor<at::_ops::_adaptive_avg_pool2d>::call(self, size);
    count_native("aten::_adaptive_avg_pool2d");
    if (!divides(self, size[0], size[1])) {
        std::vector<int64_t> sizes(self.sizes().begin(), self.sizes().end());
        std::copy(size.begin(), size.end(), sizes.end() - 2);
        Tensor out = empty_like_sizes(sizes, self.scalar_type());
        TORCH_CHECK(average_to(self, out), "a picture of this size is too large to be averaged");
        return out;
    }
    return at::avg_pool2d(self, {self.size(-2) / size[0], self.size(-1) / size[1]});
}

Tensor adaptive_avg_pool2d_backward(const Tensor &gradient, const Tensor &self)
{
    if (!is_float(self) || !gradient.numel())
        return OnProcessor<at::_ops::_adaptive_avg_pool2d_backward>::call(gradient, self);
    count_native("aten::_adaptive_avg_pool2d_backward");
    if (!divides(self, gradient.size(-2), gradient.size(-1))) {
        Tensor out = empty_like_sizes(self.sizes(), self.scalar_type());
        TORCH_CHECK(average_to_backward(gradient, out), "a picture of this size is too large to be averaged");
        return out;
    }
    int64_t kernel[] = {self.size(-2) / gradient.size(-2), self.size(-1) / gradient.size(-1)};
    return at::avg_pool2d_backward(gradient, self, kernel, kernel, {0, 0}, false, true, std::nullopt);
}

// ---- along a dimension

bool norm_out(const Tensor &self, at::OptionalScalarRef order, IntArrayRef dim, bool keepdim, const Tensor &out)
{
    return vector_norm_out(self, order.has_value() ? order.get() : Scalar(2), dim, keepdim, std::nullopt, out);
}

Tensor &index_fill(Tensor &self, int64_t dim, const Tensor &index, const Scalar &value)
{
    if (self.dim() == 0) {
        Tensor line = self.unsqueeze(0);
        index_fill(line, dim, index, value);
        return self;
    }
    bool fits = knows(self.scalar_type()) && self.dim() <= 8 && index.dim() <= 1 && self.numel() < INT_MAX &&
        index.scalar_type() == at::kLong && index.device() == self.device();
    if (!fits)
        return OnProcessor<at::_ops::index_fill__int_Scalar>::call(self, dim, index, value);
    count_native("aten::index_fill_");
    int64_t d = at::maybe_wrap_dim(dim, self.dim());
    if (self.numel() == 0 || index.numel() == 0)
        return self;
    abx_torch_tensor to = tensor_of(self), places = to, given = tensor_of(index);
    places.at = given.at;
    places.type = given.type;
    std::fill(places.stride, places.stride + places.dims, 0);
    places.size[d] = index.numel();
    places.stride[d] = given.dims ? given.stride[0] : 0;
    check(abx_torch_run_scatter(&to, nullptr, &places, static_cast<unsigned>(d), ABX_TORCH_SET_NUMBER,
        number_of(value), number_of(1.0)));
    return self;
}

Tensor &linspace_out(const Scalar &start, const Scalar &end, int64_t steps, Tensor &out)
{
    constexpr double most = 1 << 24; // of integers that floats count one by one
    bool fits = is_float(out) || (knows(out.scalar_type()) && out.scalar_type() != at::kBool &&
        !start.isComplex() && !end.isComplex() && std::fabs(start.toDouble()) < most && std::fabs(end.toDouble()) < most);
    if (!fits || start.isComplex() || end.isComplex() || steps < 0)
        return OnProcessor<at::_ops::linspace_out>::call(start, end, steps, out);
    count_native("aten::linspace");
    if (out.numel() != steps)
        out.resize_({steps});
    if (steps < 2)
        return out.fill_(start);
    double from = start.toDouble(), to = end.toDouble(), step = (to - from) / static_cast<double>(steps - 1);
    at::TensorIterator iter = result_iterator(out);
    iterate(iter, "e_linspace", {number_of(from), number_of(step), number_of(to), number_of(steps)}, at::kFloat);
    return out;
}

Tensor &logspace_out(const Scalar &start, const Scalar &end, int64_t steps, double base, Tensor &out)
{
    // Integers are powers of integers on the processor, which rounds what it is given first.
    if (!is_float(out) || start.isComplex() || end.isComplex() || steps < 0)
        return OnProcessor<at::_ops::logspace_out>::call(start, end, steps, base, out);
    count_native("aten::logspace");
    if (out.numel() != steps)
        out.resize_({steps});
    if (steps < 2)
        return out.fill_(std::pow(base, start.toDouble()));
    double from = start.toDouble(), step = (end.toDouble() - from) / static_cast<double>(steps - 1);
    at::TensorIterator iter = result_iterator(out);
    iterate(iter, "e_logspace", {number_of(from), number_of(step), number_of(steps), number_of(base)}, at::kFloat);
    return out;
}

// ---- a number's parts

std::tuple<Tensor &, Tensor &> frexp_out(const Tensor &self, Tensor &mantissa, Tensor &exponent)
{
    if (!is_float(self) || mantissa.scalar_type() != self.scalar_type() || exponent.scalar_type() != at::kInt)
        return OnProcessor<at::_ops::frexp_Tensor_out>::call(self, mantissa, exponent);
    count_native("aten::frexp");
    Tensor given = mantissa.is_same(self) ? self.clone() : self;
    at::TensorIterator first = at::TensorIterator::unary_op(mantissa, given);
    iterate(first, "e_mantissa");
    at::TensorIterator second = at::TensorIteratorConfig().check_all_same_dtype(false).add_output(exponent).add_const_input(given).build();
    iterate(second, "e_exponent", {}, self.scalar_type());
    return {mantissa, exponent};
}

std::tuple<Tensor, Tensor> frexp(const Tensor &self)
{
    if (!is_float(self))
        return OnProcessor<at::_ops::frexp_Tensor>::call(self);
    Tensor mantissa = empty_like_sizes({0}, self.scalar_type()), exponent = empty_like_sizes({0}, at::kInt);
    frexp_out(self, mantissa, exponent);
    return {mantissa, exponent};
}

// ---- losses of pictures: those of their elements

static Tensor by_element(const Tensor &self)
{
    return self.permute({0, 2, 3, 1}).reshape({-1, self.size(1)});
}

static bool is_picture_loss(const Tensor &self, const Tensor &target)
{
    return is_float(self) && self.dim() == 4 && target.dim() == 3 && self.numel() && target.scalar_type() == at::kLong &&
        self.size(0) == target.size(0) && self.size(2) == target.size(1) && self.size(3) == target.size(2);
}

std::tuple<Tensor, Tensor> nll_loss2d(const Tensor &self, const Tensor &target, const std::optional<Tensor> &weight,
    int64_t reduction, int64_t ignored)
{
    if (!is_picture_loss(self, target))
        return OnProcessor<at::_ops::nll_loss2d_forward>::call(self, target, weight, reduction, ignored);
    count_native("aten::nll_loss2d_forward");
    auto [loss, total] = at::nll_loss_forward(by_element(self), target.reshape({-1}), weight, reduction, ignored);
    return {reduction == at::Reduction::None ? loss.view(target.sizes()) : loss, total};
}

Tensor nll_loss2d_backward(const Tensor &gradient, const Tensor &self, const Tensor &target,
    const std::optional<Tensor> &weight, int64_t reduction, int64_t ignored, const Tensor &total)
{
    if (!is_picture_loss(self, target))
        return OnProcessor<at::_ops::nll_loss2d_backward>::call(gradient, self, target, weight, reduction, ignored, total);
    count_native("aten::nll_loss2d_backward");
    Tensor flat = reduction == at::Reduction::None ? gradient.reshape({-1}) : gradient;
    Tensor made = at::nll_loss_backward(flat, by_element(self), target.reshape({-1}), weight, reduction, ignored, total);
    return made.view({self.size(0), self.size(2), self.size(3), self.size(1)}).permute({0, 3, 1, 2}).contiguous();
}

bool aminmax_out(const Tensor &self, std::optional<int64_t> dim, bool keepdim, const Tensor &least, const Tensor &most)
{
    if (!knows(self.scalar_type()) || (!dim && keepdim && self.dim()))
        return false;
    Tensor low = least, high = most;
    if (dim && self.dim()) {
        at::amin_out(low, self, *dim, keepdim);
        at::amax_out(high, self, *dim, keepdim);
    } else {
        low.copy_(at::amin(self));
        high.copy_(at::amax(self));
    }
    return true;
}

Tensor &index_fill_tensor(Tensor &self, int64_t dim, const Tensor &index, const Tensor &value)
{
    TORCH_CHECK(value.dim() == 0, "index_fill_ only supports a 0-dimensional value tensor, but got tensor with ",
        value.dim(), " dimension(s).");
    return index_fill(self, dim, index, value.item());
}

// ---- with a number on one side

Tensor shift_left_number(const Tensor &self, const Scalar &by)
{
    return at::bitwise_left_shift(self, at::native::wrapped_scalar_tensor(by));
}

Tensor shift_right_number(const Tensor &self, const Scalar &by)
{
    return at::bitwise_right_shift(self, at::native::wrapped_scalar_tensor(by));
}

Tensor &shift_left_number_(Tensor &self, const Scalar &by)
{
    return self.bitwise_left_shift_(at::native::wrapped_scalar_tensor(by));
}

Tensor &shift_right_number_(Tensor &self, const Scalar &by)
{
    return self.bitwise_right_shift_(at::native::wrapped_scalar_tensor(by));
}

Tensor angle(const Tensor &self)
{
    Tensor out = empty_like_sizes({0}, is_float(self) ? self.scalar_type() : at::kFloat);
    return at::angle_out(out, self);
}

Tensor remainder_of_number(const Scalar &self, const Tensor &other)
{
    return at::remainder(at::native::wrapped_scalar_tensor(self), other);
}

// ---- results that are given

Tensor &log_sigmoid_backward_out(const Tensor &gradient, const Tensor &self, const Tensor &buffer, Tensor &out)
{
    return into(out, log_sigmoid_backward(gradient, self, buffer));
}

std::tuple<Tensor &, Tensor &> log_sigmoid_out(const Tensor &self, Tensor &out, Tensor &buffer)
{
    into(out, std::get<0>(log_sigmoid(self)));
    return {out, buffer};
}

Tensor &nll_loss2d_backward_out(const Tensor &gradient, const Tensor &self, const Tensor &target,
    const std::optional<Tensor> &weight, int64_t reduction, int64_t ignored, const Tensor &total, Tensor &out)
{
    return into(out, nll_loss2d_backward(gradient, self, target, weight, reduction, ignored, total));
}

std::tuple<Tensor &, Tensor &> nll_loss2d_out(const Tensor &self, const Tensor &target,
    const std::optional<Tensor> &weight, int64_t reduction, int64_t ignored, Tensor &out, Tensor &total)
{
    auto [loss, sum] = nll_loss2d(self, target, weight, reduction, ignored);
    into(out, loss);
    into(total, sum);
    return {out, total};
}

Tensor &adaptive_avg_pool2d_out(const Tensor &self, IntArrayRef size, Tensor &out)
{
    return into(out, adaptive_avg_pool2d(self, size));
}

// ---- sums of products

Tensor addbmm(const Tensor &self, const Tensor &left, const Tensor &right, const Scalar &beta, const Scalar &alpha)
{
    TORCH_CHECK(left.dim() == 3 && right.dim() == 3, "batch1 must be a 3D tensor");
    TORCH_CHECK(left.size(0) == right.size(0), "batch1 and batch2 must have same number of batches, got ", left.size(0),
        " and ", right.size(0));
    TORCH_CHECK(left.size(2) == right.size(1), "Incompatible matrix sizes for bmm (", left.size(1), "x", left.size(2),
        " and ", right.size(1), "x", right.size(2), ")");
    count_native("aten::addbmm");
    return at::addmm(self, left.permute({1, 0, 2}).reshape({left.size(1), -1}), right.reshape({-1, right.size(2)}), beta, alpha);
}

Tensor &addbmm_out(const Tensor &self, const Tensor &left, const Tensor &right, const Scalar &beta, const Scalar &alpha,
    Tensor &out)
{
    return into(out, addbmm(self, left, right, beta, alpha));
}

Tensor &addbmm_(Tensor &self, const Tensor &left, const Tensor &right, const Scalar &beta, const Scalar &alpha)
{
    return self.copy_(addbmm(self, left, right, beta, alpha));
}

// ---- each row to its norm

bool renorm_out(const Tensor &self, const Scalar &order, int64_t dim, const Scalar &most, const Tensor &out)
{
    if (!is_float(self))
        return false;
    int64_t d = at::maybe_wrap_dim(dim, self.dim());
    std::vector<int64_t> others;
    for (int64_t i = 0; i < self.dim(); i++)
        if (i != d)
            others.push_back(i);
    Tensor norms = at::linalg_vector_norm(self, order, others, true, at::kFloat), to = out;
    Tensor factors = at::where(norms.gt(most), norms.add(1e-7).reciprocal_().mul_(most), at::ones({}, norms.options()));
    at::mul_out(to, self, factors.to(self.scalar_type()));
    return true;
}

std::tuple<Tensor, Tensor> weight_norm(const Tensor &v, const Tensor &g, int64_t dim)
{
    count_native("aten::_weight_norm_interface");
    Tensor norms = at::norm_except_dim(v, 2, dim);
    return {v.mul(g.div(norms)), norms};
}

std::tuple<Tensor, Tensor> weight_norm_backward(const Tensor &gradient, const Tensor &v, const Tensor &g,
    const Tensor &norms, int64_t)
{
    count_native("aten::_weight_norm_interface_backward");
    std::vector<int64_t> others;
    for (int64_t i = 0; i < v.dim(); i++)
        if (norms.dim() != v.dim() || norms.size(i) != v.size(i) || norms.dim() == 0)
            others.push_back(i);
    Tensor along = others.empty() ? gradient.mul(v) : gradient.mul(v).sum(others, norms.dim() == v.dim());
    Tensor of_v = gradient.sub(v.mul(along.div(norms.mul(norms)))).mul_(g.div(norms));
    return {of_v, along.div(norms)};
}

// ---- distances of rows to rows

static constexpr int64_t MOST_DIFFERENCES = 1 << 26;

Tensor distances(const Tensor &a, const Tensor &b, double p, std::optional<int64_t> mode)
{
    if (!is_float(a) || !is_float(b) || a.numel() * b.size(-2) > MOST_DIFFERENCES || p < 0)
        return OnProcessor<at::_ops::_cdist_forward>::call(a, b, p, mode);
    count_native("aten::_cdist_forward");
    return at::linalg_vector_norm(a.unsqueeze(-2).sub(b.unsqueeze(-3)), p, -1);
}

Tensor distances_backward(const Tensor &gradient, const Tensor &a, const Tensor &b, double p, const Tensor &distances)
{
    if (!is_float(a) || !is_float(b) || a.numel() * b.size(-2) > MOST_DIFFERENCES || p < 0)
        return OnProcessor<at::_ops::_cdist_backward>::call(gradient, a, b, p, distances);
    count_native("aten::_cdist_backward");
    if (p == 0 || a.numel() == 0 || b.numel() == 0)
        return at::zeros(a.sizes(), a.options());
    Tensor difference = a.unsqueeze(-2).sub(b.unsqueeze(-3)), far = distances.unsqueeze(-1), slope;
    if (p == 1)
        slope = difference.sgn();
    else if (std::isinf(p))
        slope = difference.sgn().mul_(difference.abs().eq(far));
    else if (p == 2)
        slope = difference.div(far);
    else
        slope = difference.sgn().mul_(difference.abs().pow_(p - 1)).mul_(far.pow(1 - p));
    return slope.masked_fill_(far.eq(0), 0).mul_(gradient.unsqueeze(-1)).sum(-2);
}

} // namespace arcbox
