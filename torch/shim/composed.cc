// torch: operators that are made of others that have kernels, where torch itself would go to the processor.
#include "shim.h"
#include "index.h"

#include <ATen/WrapDimUtils.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/_adaptive_avg_pool2d_backward_ops.h>
#include <ATen/ops/_adaptive_avg_pool2d_ops.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/avg_pool2d_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_fill_ops.h>
#include <ATen/ops/linspace_ops.h>
#include <ATen/ops/log_sigmoid_backward_ops.h>
#include <ATen/ops/log_sigmoid_forward_ops.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mse_loss_backward_ops.h>
#include <ATen/ops/mse_loss_ops.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/smooth_l1_loss_backward_ops.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>

namespace arcbox {
using at::IntArrayRef;
using at::Scalar;
using at::Tensor;

// reduce.cc
bool vector_norm_out(const Tensor &self, const Scalar &order, at::OptionalIntArrayRef dim, bool keepdim,
    std::optional<at::ScalarType> type, const Tensor &out);

// ---- losses of differences

static double share(const Tensor &t, int64_t reduction)
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

// ---- pooling to a size: where it divides the input's

static bool divides(const Tensor &in, int64_t height, int64_t width)
{
    return in.dim() >= 3 && in.numel() && height > 0 && width > 0 && in.size(-2) % height == 0 && in.size(-1) % width == 0;
}

Tensor adaptive_avg_pool2d(const Tensor &self, IntArrayRef size)
{
    if (!is_float(self) || size.size() != 2 || !divides(self, size[0], size[1]))
        return OnProcessor<at::_ops::_adaptive_avg_pool2d>::call(self, size);
    count_native("aten::_adaptive_avg_pool2d");
    return at::avg_pool2d(self, {self.size(-2) / size[0], self.size(-1) / size[1]});
}

Tensor adaptive_avg_pool2d_backward(const Tensor &gradient, const Tensor &self)
{
    if (!is_float(self) || !divides(self, gradient.size(-2), gradient.size(-1)))
        return OnProcessor<at::_ops::_adaptive_avg_pool2d_backward>::call(gradient, self);
    count_native("aten::_adaptive_avg_pool2d_backward");
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
    bool fits = knows(self.scalar_type()) && self.dim() && self.dim() <= 8 && index.dim() <= 1 && self.numel() < INT_MAX &&
        self.scalar_type() != at::kBool && index.scalar_type() == at::kLong && index.device() == self.device();
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
    if (!is_float(out) || start.isComplex() || end.isComplex() || steps < 2)
        return OnProcessor<at::_ops::linspace_out>::call(start, end, steps, out);
    count_native("aten::linspace");
    if (out.numel() != steps)
        out.resize_({steps});
    double from = start.toDouble(), to = end.toDouble(), step = (to - from) / static_cast<double>(steps - 1);
    at::TensorIterator iter = at::TensorIteratorConfig().check_all_same_dtype(false).add_output(out).resize_outputs(false).build();
    iterate(iter, "e_linspace", {number_of(from), number_of(step), number_of(to), number_of(steps)});
    return out;
}

// ---- the nearest of fewer or more pictures' elements

static Tensor nearest(int64_t in, int64_t out, std::optional<double> scale, const Tensor &like)
{
    std::vector<int64_t> places(static_cast<size_t>(out));
    float ratio = scale && *scale > 0 ? static_cast<float>(1.0 / *scale) : static_cast<float>(in) / static_cast<float>(out);
    for (int64_t n = 0; n < out; n++)
        places[static_cast<size_t>(n)] =
            out == in ? n : std::min(static_cast<int64_t>(std::floor(static_cast<float>(n) * ratio)), in - 1);
    return at::from_blob(places.data(), {out}, at::TensorOptions().dtype(at::kLong)).to(like.device());
}

bool upsample_nearest2d_out(const Tensor &self, IntArrayRef, std::optional<double> scale_h,
    std::optional<double> scale_w, const Tensor &out)
{
    if (!knows(self.scalar_type()))
        return false;
    Tensor rows = self.index_select(2, nearest(self.size(2), out.size(2), scale_h, self));
    out.copy_(rows.index_select(3, nearest(self.size(3), out.size(3), scale_w, self)));
    return true;
}

bool upsample_nearest2d_backward_out(const Tensor &gradient, IntArrayRef, IntArrayRef size,
    std::optional<double> scale_h, std::optional<double> scale_w, const Tensor &out)
{
    if (!is_float(gradient))
        return false;
    Tensor columns = at::empty({size[0], size[1], gradient.size(2), size[3]}, gradient.options()).zero_();
    columns.index_add_(3, nearest(size[3], gradient.size(3), scale_w, gradient), gradient);
    out.zero_();
    out.index_add_(2, nearest(size[2], gradient.size(2), scale_h, gradient), columns);
    return true;
}

} // namespace arcbox
