// torch: operators that are made of others that have kernels, where torch itself would go to the processor.
#include "shim.h"
#include "index.h"

#include <ATen/WrapDimUtils.h>
#include <ATen/core/Reduction.h>
#include <ATen/ops/_adaptive_avg_pool2d_backward_ops.h>
#include <ATen/ops/_adaptive_avg_pool2d_ops.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
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
#include <ATen/ops/nll_loss2d_backward_ops.h>
#include <ATen/ops/nll_loss2d_forward_ops.h>
#include <ATen/ops/nll_loss_backward.h>
#include <ATen/ops/nll_loss_forward.h>
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

} // namespace arcbox
