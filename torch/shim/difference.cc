// torch: losses of elements, one by one, and what the reduction makes of them.
#include "shim.h"

#include <ATen/core/Reduction.h>
#include <ATen/ops/binary_cross_entropy_backward_ops.h>
#include <ATen/ops/binary_cross_entropy_ops.h>
#include <ATen/ops/huber_loss_backward_ops.h>
#include <ATen/ops/huber_loss_ops.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/sum.h>
#include <ATen/native/Resize.h>

namespace arcbox {
using at::Tensor;
using Maybe = std::optional<Tensor>;

// A formula of up to three inputs, of a type together.
static Tensor each(const char *library, Numbers numbers, std::initializer_list<Tensor> inputs)
{
    at::TensorIteratorConfig config;
    Tensor made;
    config.add_output(made);
    for (const Tensor &t : inputs)
        config.add_const_input(t);
    at::TensorIterator iter = config.promote_inputs_to_common_dtype(true).cast_common_dtype_to_outputs(true)
                                  .enforce_safe_casting_to_output(true).build();
    iterate(iter, library, numbers);
    return iter.output();
}

static Tensor reduced(const Tensor &losses, int64_t reduction)
{
    return reduction == at::Reduction::Mean ? losses.mean() : reduction == at::Reduction::Sum ? losses.sum() : losses;
}

bool smooth_l1_loss_out(const Tensor &self, const Tensor &target, int64_t reduction, double beta, const Tensor &out)
{
    if (!is_float(self) || !is_float(target))
        return false;
    Tensor to = out;
    into(to, reduced(each("e_smooth_l1", {number_of(beta)}, {self, target}), reduction));
    return true;
}

// ---- Huber's

Tensor huber_loss(const Tensor &self, const Tensor &target, int64_t reduction, double delta)
{
    TORCH_CHECK(delta > 0, "huber_loss does not support non-positive values for delta.");
    if (!is_float(self) || !is_float(target))
        return OnProcessor<at::_ops::huber_loss>::call(self, target, reduction, delta);
    count_native("aten::huber_loss");
    return reduced(each("e_huber", {number_of(delta)}, {self, target}), reduction);
}

Tensor &huber_loss_out(const Tensor &self, const Tensor &target, int64_t reduction, double delta, Tensor &out)
{
    return into(out, huber_loss(self, target, reduction, delta));
}

Tensor &huber_loss_backward_out(const Tensor &gradient, const Tensor &self, const Tensor &target, int64_t reduction,
    double delta, Tensor &out)
{
    if (!is_float(self) || !is_float(target))
        return OnProcessor<at::_ops::huber_loss_backward_out>::call(gradient, self, target, reduction, delta, out);
    count_native("aten::huber_loss_backward");
    return into(out, each("e_huber_slope", {number_of(delta), number_of(share(self, reduction))}, {self, target, gradient}));
}

// ---- of probabilities

Tensor binary_cross_entropy(const Tensor &self, const Tensor &target, const Maybe &weight, int64_t reduction)
{
    if (!is_float(self) || !is_float(target) || self.sizes() != target.sizes())
        return OnProcessor<at::_ops::binary_cross_entropy>::call(self, target, weight, reduction);
    count_native("aten::binary_cross_entropy");
    Tensor losses = each("e_cross_entropy", {}, {self, target});
    return reduced(weight && weight->defined() ? losses.mul_(*weight) : losses, reduction);
}

Tensor &binary_cross_entropy_out(const Tensor &self, const Tensor &target, const Maybe &weight, int64_t reduction,
    Tensor &out)
{
    return into(out, binary_cross_entropy(self, target, weight, reduction));
}

Tensor binary_cross_entropy_backward(const Tensor &gradient, const Tensor &self, const Tensor &target,
    const Maybe &weight, int64_t reduction)
{
    if (!is_float(self) || !is_float(target))
        return OnProcessor<at::_ops::binary_cross_entropy_backward>::call(gradient, self, target, weight, reduction);
    count_native("aten::binary_cross_entropy_backward");
    Tensor slope = each("e_cross_entropy_slope", {}, {self, target, gradient});
    if (weight && weight->defined())
        slope.mul_(*weight);
    return reduction == at::Reduction::Mean ? slope.div_(static_cast<double>(self.numel())) : slope;
}

Tensor &binary_cross_entropy_backward_out(const Tensor &gradient, const Tensor &self, const Tensor &target,
    const Maybe &weight, int64_t reduction, Tensor &out)
{
    return into(out, binary_cross_entropy_backward(gradient, self, target, weight, reduction));
}

// ---- activations that have more than a formula

// Of halves that live here: torch's meta function has an iterator over tensors that are gone when it returns.
bool glu_out(const Tensor &self, int64_t dim, const Tensor &out)
{
    if (!is_float(self))
        return false;
    int64_t half = out.size(dim);
    Tensor to = out, first = self.narrow(dim, 0, half), second = self.narrow(dim, half, half);
    at::TensorIterator iter = at::TensorIterator::borrowing_binary_op(to, first, second);
    iterate(iter, "e_glu");
    return true;
}

Tensor glu_backward(const Tensor &gradient, const Tensor &self, int64_t dim)
{
    count_native("aten::glu_backward");
    int64_t half = self.size(dim) / 2;
    Tensor out = empty_like_sizes(self.sizes(), self.scalar_type());
    Tensor first = self.narrow(dim, 0, half), second = self.narrow(dim, half, half);
    out.narrow(dim, 0, half).copy_(gradient.mul(second.sigmoid()));
    out.narrow(dim, half, half).copy_(each("e_glu_slope", {}, {gradient, second, first}));
    return out;
}

Tensor &glu_backward_out(const Tensor &gradient, const Tensor &self, int64_t dim, Tensor &out)
{
    return into(out, glu_backward(gradient, self, dim));
}

std::tuple<Tensor, Tensor> prelu_backward(const Tensor &gradient, const Tensor &self, const Tensor &weight)
{
    count_native("aten::_prelu_kernel_backward");
    return {each("e_prelu_slope", {}, {gradient, self, weight}), each("e_prelu_weight_slope", {}, {gradient, self})};
}

static double most_of(at::ScalarType type)
{
    return type == at::kHalf ? 65504.0 : type == at::kBFloat16 ? 3.3895313892515355e38 : std::numeric_limits<float>::max();
}

Tensor &nan_to_num_out(const Tensor &self, std::optional<double> nan, std::optional<double> high,
    std::optional<double> low, Tensor &out)
{
    TORCH_CHECK(self.scalar_type() == out.scalar_type(), "nan_to_num: dtype of out: ", out.scalar_type(),
        " should be same as input: ", self.scalar_type());
    count_native("aten::nan_to_num");
    if (!is_float(self))
        return into(out, self);
    double most = most_of(self.scalar_type());
    at::TensorIterator iter = at::TensorIterator::unary_op(out, self);
    iterate(iter, "e_nan_to_num", {number_of(nan.value_or(0)), number_of(high.value_or(most)), number_of(low.value_or(-most))});
    return out;
}

Tensor &logit_out(const Tensor &self, std::optional<double> least, Tensor &out)
{
    count_native("aten::logit");
    at::TensorIterator iter = at::TensorIterator::unary_float_op(out, self);
    bool bounded = least && *least >= 0;
    iterate(iter, bounded ? "e_logit_between" : "e_logit", {number_of(bounded ? *least : 0)});
    return out;
}

Tensor logit(const Tensor &self, std::optional<double> least)
{
    Tensor out = empty_like_sizes({0}, is_float(self) ? self.scalar_type() : at::kFloat);
    return logit_out(self, least, out);
}

bool logit_backward_out(const Tensor &gradient, const Tensor &self, std::optional<double> least, const Tensor &out)
{
    if (!is_float(self))
        return false;
    bool bounded = least && *least >= 0;
    Tensor to = out;
    at::TensorIterator iter = at::TensorIterator::binary_op(to, gradient, self);
    iterate(iter, "e_logit_slope", {number_of(bounded ? *least : 0), number_of(bounded ? 0.0 : NAN)});
    return true;
}

} // namespace arcbox
