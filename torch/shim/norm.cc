// torch: variance, and what is normalised by it: batches, layers, groups.
#include "shim.h"
#include "norm.h"

#include <ATen/ops/native_batch_norm_backward_ops.h>
#include <ATen/ops/native_batch_norm_ops.h>
#include <ATen/ops/native_group_norm_backward_ops.h>
#include <ATen/ops/native_group_norm_ops.h>
#include <ATen/ops/native_layer_norm_backward_ops.h>
#include <ATen/ops/native_layer_norm_ops.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/std_ops.h>
#include <ATen/ops/var_mean_ops.h>
#include <ATen/ops/var_ops.h>
#include <ATen/ops/std_mean_ops.h>
#include <ATen/WrapDimUtils.h>

namespace arcbox {
using at::IntArrayRef;
using at::Tensor;
using Maybe = std::optional<Tensor>;
using Three = std::tuple<Tensor, Tensor, Tensor>;

static Tensor given(const Maybe &t)
{
    return t && t->defined() ? t->contiguous() : Tensor();
}

static abx_torch_operand operand_or_none(const Tensor &t)
{
    return t.defined() ? operand_of(t) : abx_torch_operand{};
}

static bool is_float_or_none(const Tensor &t)
{
    return !t.defined() || is_float(t);
}

static int type_of(const Tensor &t, const Tensor &otherwise)
{
    return static_cast<int>((t.defined() ? t : otherwise).scalar_type());
}

// A kind of rows, and the tensors that go with it.
struct Rows {
    abx_torch_norm n = {};
    void weights(const Tensor &x, const Tensor &weight, const Tensor &bias, const Tensor &mean = {})
    {
        n.type = static_cast<int>(x.scalar_type());
        n.weight = operand_or_none(weight);
        n.bias = operand_or_none(bias);
        const Tensor &some = weight.defined() ? weight : bias.defined() ? bias : mean;
        n.weight_type = type_of(some, x);
    }
};

static Rows batch_rows(const Tensor &x, double epsilon)
{
    Rows r;
    int64_t channels = x.size(1), inner = x.numel() / std::max<int64_t>(1, x.size(0) * channels);
    r.n.rows = static_cast<uint32_t>(channels);
    r.n.count = static_cast<uint32_t>(x.size(0) * inner);
    r.n.inner = static_cast<uint32_t>(inner);
    r.n.row = inner;
    r.n.outer = channels * inner;
    r.n.weight_rows = r.n.weights = r.n.rows;
    r.n.weight_step = 1;
    r.n.weight_inner = r.n.count;
    r.n.epsilon = static_cast<float>(epsilon);
    return r;
}

static Rows layer_rows(int64_t rows, int64_t count, double epsilon)
{
    Rows r;
    r.n.rows = static_cast<uint32_t>(rows);
    r.n.count = r.n.inner = r.n.weights = static_cast<uint32_t>(count);
    r.n.row = count;
    r.n.weight_rows = r.n.weight_inner = 1;
    r.n.epsilon = static_cast<float>(epsilon);
    return r;
}

static Rows group_rows(int64_t images, int64_t channels, int64_t inner, int64_t groups, double epsilon)
{
    Rows r = layer_rows(images * groups, channels / groups * inner, epsilon);
    r.n.weights = static_cast<uint32_t>(channels);
    r.n.weight_rows = static_cast<uint32_t>(groups);
    r.n.weight_step = static_cast<uint32_t>(channels / groups);
    r.n.weight_inner = static_cast<uint32_t>(inner);
    return r;
}

static bool can_normalise(const Tensor &x, const Tensor &weight, const Tensor &bias)
{
    return is_float(x) && is_float_or_none(weight) && is_float_or_none(bias) && x.numel() < INT_MAX &&
        (!weight.defined() || !bias.defined() || weight.scalar_type() == bias.scalar_type());
}

// The forward direction of layers and groups.
static Three normalise(Rows &r, const Tensor &input, IntArrayRef mean_sizes, const Tensor &weight, const Tensor &bias)
{
    Tensor x = input.contiguous(), out = empty_like_sizes(input.sizes(), input.scalar_type());
    Tensor mean = empty_like_sizes(mean_sizes, input.scalar_type()), deviation = at::empty_like(mean);
    r.weights(x, weight, bias);
    r.n.mean_type = type_of(mean, x);
    r.n.to = operand_of(out);
    r.n.from = operand_of(x);
    r.n.mean = operand_of(mean);
    r.n.deviation = operand_of(deviation);
    if (out.numel())
        check(abx_torch_normalise(&r.n));
    return {out, mean, deviation};
}

static Three differentiate(Rows &r, const Tensor &gradient, const Tensor &input, const Tensor &mean,
    const Tensor &deviation, const Tensor &weight, const Tensor &like_weight, const Tensor &like_bias,
    std::array<bool, 3> wanted)
{
    Tensor g = gradient.contiguous(), x = input.contiguous(), of_input, of_weight, of_bias;
    r.n.gradient = operand_of(g);
    r.n.from = operand_of(x);
    r.n.mean = operand_of(mean);
    r.n.deviation = operand_of(deviation);
    r.n.mean_type = type_of(mean, x);
    if (wanted[0]) {
        of_input = empty_like_sizes(input.sizes(), input.scalar_type());
        r.weights(x, weight, Tensor());
        r.n.to = operand_of(of_input);
        if (of_input.numel())
            check(abx_torch_normalise_input(&r.n));
    }
    if (wanted[1] && like_weight.defined())
        of_weight = empty_like_sizes(like_weight.sizes(), like_weight.scalar_type());
    if (wanted[2] && (like_bias.defined() || like_weight.defined())) {
        const Tensor &like = like_bias.defined() ? like_bias : like_weight;
        of_bias = empty_like_sizes(like.sizes(), like.scalar_type());
    }
    if (of_weight.defined() || of_bias.defined()) {
        r.weights(x, of_weight, of_bias);
        r.n.given = false;
        if (r.n.weights)
            check(abx_torch_normalise_weight(&r.n));
    }
    return {of_input, of_weight, of_bias};
}

// ---- batches

Three batch_norm(const Tensor &input, const Maybe &weight_, const Maybe &bias_, const Maybe &mean_, const Maybe &var_,
    bool training, double momentum, double epsilon)
{
    Tensor weight = given(weight_), bias = given(bias_);
    Tensor running_mean = mean_ && mean_->defined() ? *mean_ : Tensor(), running_var = var_ && var_->defined() ? *var_ : Tensor();
    bool same = !running_mean.defined() || !weight.defined() || running_mean.scalar_type() == weight.scalar_type();
    if (!can_normalise(input, weight, bias) || !same || input.numel() == 0 ||
        (running_mean.defined() && !(running_mean.is_contiguous() && running_var.is_contiguous())))
        return OnProcessor<at::_ops::native_batch_norm>::call(input, weight_, bias_, mean_, var_, training, momentum, epsilon);
    count_native("aten::native_batch_norm");
    Rows r = batch_rows(input, epsilon);
    Tensor x = input.contiguous(), out = empty_like_sizes(input.sizes(), input.scalar_type());
    at::ScalarType kept = weight.defined() ? weight.scalar_type() : input.scalar_type();
    Tensor mean = empty_like_sizes({training ? input.size(1) : 0}, kept), deviation = at::empty_like(mean);
    r.weights(x, weight, bias, running_mean);
    r.n.mean_type = static_cast<int>(kept);
    r.n.given = !training;
    r.n.momentum = static_cast<float>(momentum);
    r.n.to = operand_of(out);
    r.n.from = operand_of(x);
    r.n.mean = training ? operand_of(mean) : abx_torch_operand{};
    r.n.deviation = training ? operand_of(deviation) : abx_torch_operand{};
    r.n.running_mean = operand_or_none(running_mean);
    r.n.running_variance = operand_or_none(running_var);
    check(abx_torch_normalise(&r.n));
    return {out, mean, deviation};
}

Three batch_norm_backward(const Tensor &gradient, const Tensor &input, const Maybe &weight_, const Maybe &mean_,
    const Maybe &var_, const Maybe &saved_mean, const Maybe &saved_deviation, bool training, double epsilon,
    std::array<bool, 3> wanted)
{
    Tensor weight = given(weight_);
    if (!can_normalise(input, weight, Tensor()) || input.numel() == 0)
        return OnProcessor<at::_ops::native_batch_norm_backward>::call(gradient, input, weight_, mean_, var_, saved_mean,
            saved_deviation, training, epsilon, wanted);
    count_native("aten::native_batch_norm_backward");
    Rows r = batch_rows(input, epsilon);
    r.n.given = !training;
    Tensor mean = training ? given(saved_mean) : given(mean_);
    Tensor deviation = training ? given(saved_deviation) : at::rsqrt(given(var_).add(epsilon));
    Tensor like = weight.defined() ? weight : empty_like_sizes({input.size(1)}, input.scalar_type());
    return differentiate(r, gradient, input, mean, deviation, weight, like, like, wanted);
}

// ---- layers and groups

Three layer_norm(const Tensor &input, IntArrayRef shape, const Maybe &weight_, const Maybe &bias_, double epsilon)
{
    Tensor weight = given(weight_), bias = given(bias_);
    int64_t count = c10::multiply_integers(shape), rows = count ? input.numel() / count : 0;
    bool fits = static_cast<int64_t>(shape.size()) <= input.dim() && !shape.empty() &&
        input.sizes().slice(static_cast<size_t>(input.dim()) - shape.size()) == shape &&
        (!weight.defined() || weight.sizes() == shape) && (!bias.defined() || bias.sizes() == shape);
    if (!can_normalise(input, weight, bias) || !fits || input.numel() == 0)
        return OnProcessor<at::_ops::native_layer_norm>::call(input, shape, weight_, bias_, epsilon);
    count_native("aten::native_layer_norm");
    std::vector<int64_t> sizes(input.sizes().begin(), input.sizes().end());
    std::fill(sizes.end() - static_cast<int64_t>(shape.size()), sizes.end(), 1);
    Rows r = layer_rows(rows, count, epsilon);
    return normalise(r, input, sizes, weight, bias);
}

Three layer_norm_backward(const Tensor &gradient, const Tensor &input, IntArrayRef shape, const Tensor &mean,
    const Tensor &deviation, const Maybe &weight_, const Maybe &bias_, std::array<bool, 3> wanted)
{
    Tensor weight = given(weight_), bias = given(bias_);
    if (!can_normalise(input, weight, bias) || input.numel() == 0)
        return OnProcessor<at::_ops::native_layer_norm_backward>::call(gradient, input, shape, mean, deviation, weight_,
            bias_, wanted);
    count_native("aten::native_layer_norm_backward");
    int64_t count = c10::multiply_integers(shape);
    Rows r = layer_rows(input.numel() / count, count, 0);
    return differentiate(r, gradient, input, mean.contiguous(), deviation.contiguous(), weight, weight, bias, wanted);
}

Three group_norm(const Tensor &input, const Maybe &weight_, const Maybe &bias_, int64_t images, int64_t channels,
    int64_t inner, int64_t groups, double epsilon)
{
    Tensor weight = given(weight_), bias = given(bias_);
    if (!can_normalise(input, weight, bias) || input.numel() == 0)
        return OnProcessor<at::_ops::native_group_norm>::call(input, weight_, bias_, images, channels, inner, groups, epsilon);
    count_native("aten::native_group_norm");
    Rows r = group_rows(images, channels, inner, groups, epsilon);
    return normalise(r, input, {images, groups}, weight, bias);
}

Three group_norm_backward(const Tensor &gradient, const Tensor &input, const Tensor &mean, const Tensor &deviation,
    const Maybe &weight_, int64_t images, int64_t channels, int64_t inner, int64_t groups, std::array<bool, 3> wanted)
{
    Tensor weight = given(weight_);
    if (!can_normalise(input, weight, Tensor()) || input.numel() == 0)
        return OnProcessor<at::_ops::native_group_norm_backward>::call(gradient, input, mean, deviation, weight_, images,
            channels, inner, groups, wanted);
    count_native("aten::native_group_norm_backward");
    Rows r = group_rows(images, channels, inner, groups, 0);
    Tensor like = weight.defined() ? weight : empty_like_sizes({channels}, input.scalar_type());
    return differentiate(r, gradient, input, mean.contiguous(), deviation.contiguous(), weight, like, like, wanted);
}

// ---- variance

// The dimensions that are reduced last, without gaps; their number of elements.
static Tensor as_rows(const Tensor &self, at::OptionalIntArrayRef dim, bool keepdim, std::vector<int64_t> &sizes,
    int64_t &count)
{
    std::vector<int64_t> order, last;
    uint32_t reduced = 0;
    if (!dim || dim->empty())
        reduced = ~0u;
    else
        for (int64_t d : *dim)
            reduced |= 1u << at::maybe_wrap_dim(d, self.dim());
    count = 1;
    for (int64_t d = 0; d < self.dim(); d++) {
        bool gone = reduced >> d & 1;
        (gone ? last : order).push_back(d);
        if (gone)
            count *= self.size(d);
        if (!gone || keepdim)
            sizes.push_back(gone ? 1 : self.size(d));
    }
    order.insert(order.end(), last.begin(), last.end());
    return self.permute(order).contiguous();
}

static std::tuple<Tensor, Tensor> spread(const Tensor &self, at::OptionalIntArrayRef dim,
    const std::optional<at::Scalar> &correction, bool keepdim, bool root)
{
    std::vector<int64_t> sizes;
    int64_t count;
    Tensor x = as_rows(self, dim, keepdim, sizes, count);
    Tensor out = empty_like_sizes(sizes, self.scalar_type()), mean = at::empty_like(out);
    if (out.numel() == 0)
        return {out, mean};
    Rows r = layer_rows(out.numel(), count, 0);
    r.weights(x, Tensor(), Tensor());
    r.n.mean_type = type_of(out, x);
    r.n.root = root;
    r.n.correction = static_cast<float>(correction ? correction->toDouble() : 1);
    r.n.to = operand_of(out);
    r.n.mean = operand_of(mean);
    r.n.from = count ? operand_of(x) : operand_of(out);
    check(abx_torch_spread(&r.n));
    return {out, mean};
}

static bool can_spread(const Tensor &self)
{
    return abx_torch_is_float(static_cast<int>(self.scalar_type())) && self.dim() <= 31 && self.numel() < INT_MAX;
}

Tensor var(const Tensor &self, at::OptionalIntArrayRef dim, const std::optional<at::Scalar> &correction, bool keepdim)
{
    if (!can_spread(self))
        return OnProcessor<at::_ops::var_correction>::call(self, dim, correction, keepdim);
    count_native("aten::var");
    return std::get<0>(spread(self, dim, correction, keepdim, false));
}

Tensor deviation(const Tensor &self, at::OptionalIntArrayRef dim, const std::optional<at::Scalar> &correction, bool keepdim)
{
    if (!can_spread(self))
        return OnProcessor<at::_ops::std_correction>::call(self, dim, correction, keepdim);
    count_native("aten::std");
    return std::get<0>(spread(self, dim, correction, keepdim, true));
}

std::tuple<Tensor, Tensor> var_mean(const Tensor &self, at::OptionalIntArrayRef dim,
    const std::optional<at::Scalar> &correction, bool keepdim)
{
    if (!can_spread(self))
        return OnProcessor<at::_ops::var_mean_correction>::call(self, dim, correction, keepdim);
    count_native("aten::var_mean");
    return spread(self, dim, correction, keepdim, false);
}

std::tuple<Tensor, Tensor> deviation_mean(const Tensor &self, at::OptionalIntArrayRef dim,
    const std::optional<at::Scalar> &correction, bool keepdim)
{
    if (!can_spread(self))
        return OnProcessor<at::_ops::std_mean_correction>::call(self, dim, correction, keepdim);
    count_native("aten::std_mean");
    return spread(self, dim, correction, keepdim, true);
}

// ---- batch norm by other names

Three batch_norm_legit(const Tensor &input, const Maybe &weight, const Maybe &bias, Tensor &mean, Tensor &var,
    bool training, double momentum, double epsilon)
{
    return batch_norm(input, weight, bias, mean, var, training, momentum, epsilon);
}

Three batch_norm_of_batch(const Tensor &input, const Maybe &weight, const Maybe &bias, bool training, double momentum,
    double epsilon)
{
    return batch_norm(input, weight, bias, Maybe(), Maybe(), training, momentum, epsilon);
}

static std::tuple<Tensor &, Tensor &, Tensor &> three_into(const Three &made, Tensor &out, Tensor &mean, Tensor &deviation)
{
    into(out, std::get<0>(made));
    into(mean, std::get<1>(made));
    into(deviation, std::get<2>(made));
    return {out, mean, deviation};
}

std::tuple<Tensor &, Tensor &, Tensor &> batch_norm_out(const Tensor &input, const Maybe &weight, const Maybe &bias,
    const Maybe &running_mean, const Maybe &running_var, bool training, double momentum, double epsilon, Tensor &out,
    Tensor &mean, Tensor &deviation)
{
    return three_into(batch_norm(input, weight, bias, running_mean, running_var, training, momentum, epsilon), out, mean, deviation);
}

std::tuple<Tensor &, Tensor &, Tensor &> batch_norm_legit_out(const Tensor &input, const Maybe &weight, const Maybe &bias,
    Tensor &running_mean, Tensor &running_var, bool training, double momentum, double epsilon, Tensor &out, Tensor &mean,
    Tensor &deviation)
{
    return three_into(batch_norm(input, weight, bias, running_mean, running_var, training, momentum, epsilon), out, mean, deviation);
}

std::tuple<Tensor &, Tensor &, Tensor &> batch_norm_of_batch_out(const Tensor &input, const Maybe &weight,
    const Maybe &bias, bool training, double momentum, double epsilon, Tensor &out, Tensor &mean, Tensor &deviation)
{
    return three_into(batch_norm(input, weight, bias, Maybe(), Maybe(), training, momentum, epsilon), out, mean, deviation);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> batch_norm_with_update(const Tensor &input, const Maybe &weight,
    const Maybe &bias, Tensor &running_mean, Tensor &running_var, double momentum, double epsilon)
{
    auto [out, mean, deviation] = batch_norm(input, weight, bias, running_mean, running_var, true, momentum, epsilon);
    return {out, mean, deviation, empty_like_sizes({0}, at::kByte)};
}

Three batch_norm_update_backward(const Tensor &gradient, const Tensor &input, const Tensor &weight, const Maybe &mean,
    const Maybe &var, const Maybe &saved_mean, const Maybe &saved_deviation, bool update, double epsilon,
    std::array<bool, 3> wanted, const Tensor &)
{
    return batch_norm_backward(gradient, input, weight, mean, var, saved_mean, saved_deviation, update, epsilon, wanted);
}

} // namespace arcbox
