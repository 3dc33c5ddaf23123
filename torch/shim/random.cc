// torch: numbers drawn by chance. The generator is one of torch's for the processor in our device's name:
// its state is saved and restored as any other's. Each launch draws a key from it, and a kernel the numbers.
#include "shim.h"
#include "random.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/bernoulli_ops.h>
#include <ATen/ops/cauchy_ops.h>
#include <ATen/ops/exponential_ops.h>
#include <ATen/ops/geometric_ops.h>
#include <ATen/ops/log_normal_ops.h>
#include <ATen/ops/poisson_ops.h>
#include <ATen/ops/normal_ops.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/native_dropout_backward_ops.h>
#include <ATen/ops/native_dropout_ops.h>
#include <ATen/ops/random_ops.h>
#include <ATen/ops/uniform_ops.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/randperm_ops.h>
#include <ATen/ops/sort.h>
#include <ATen/ExpandUtils.h>
#include <ATen/ScalarOps.h>
#include <ATen/native/Resize.h>
#include <mutex>

namespace arcbox {
using at::Tensor;
using MaybeGenerator = std::optional<at::Generator>;

static uint64_t key_of(const MaybeGenerator &generator)
{
    at::Generator source = generator && generator->defined() ? *generator : default_generator();
    TORCH_CHECK(source.device().is_mps(), "Expected a 'mps' device type for generator but found '",
        source.device().type(), "'");
    std::lock_guard<std::mutex> hold(source.mutex());
    return static_cast<at::CPUGeneratorImpl *>(source.unsafeGetGeneratorImpl())->random64();
}

static void draw(Tensor &self, const MaybeGenerator &generator, abx_torch_chance kind, double a, double b, int64_t from = 0,
    uint64_t range = 0)
{
    if (self.numel() == 0)
        return;
    Tensor to = self.is_non_overlapping_and_dense() ? self : empty_like_sizes(self.sizes(), self.scalar_type());
    abx_torch_draw d = {operand_of(to), static_cast<int>(to.scalar_type()), static_cast<uint64_t>(to.numel()),
        key_of(generator), kind, a, b, from, range};
    check(abx_torch_draw_numbers(&d));
    if (!to.is_same(self))
        self.copy_(to);
}

Tensor &uniform(Tensor &self, double from, double to, MaybeGenerator generator)
{
    if (!is_float(self))
        return OnProcessor<at::_ops::uniform_>::call(self, from, to, generator);
    TORCH_CHECK(from <= to, "uniform_ expects to return a [from, to) range, but found from=", from, " > to=", to);
    count_native("aten::uniform_");
    draw(self, generator, ABX_TORCH_UNIFORM, from, to);
    return self;
}

Tensor &normal(Tensor &self, double mean, double deviation, MaybeGenerator generator)
{
    if (!is_float(self))
        return OnProcessor<at::_ops::normal_>::call(self, mean, deviation, generator);
    TORCH_CHECK(deviation >= 0.0, "normal expects std >= 0.0, but found std ", deviation);
    count_native("aten::normal_");
    draw(self, generator, ABX_TORCH_NORMAL, mean, deviation);
    return self;
}

Tensor &bernoulli(Tensor &self, double chance, MaybeGenerator generator)
{
    if (!knows(self.scalar_type()))
        return OnProcessor<at::_ops::bernoulli__float>::call(self, chance, generator);
    TORCH_CHECK(0 <= chance && chance <= 1, "bernoulli_ expects p to be in [0, 1], but got p=", chance);
    count_native("aten::bernoulli_");
    draw(self, generator, ABX_TORCH_BERNOULLI, chance, 0);
    return self;
}

Tensor &exponential(Tensor &self, double rate, MaybeGenerator generator)
{
    if (!is_float(self))
        return OnProcessor<at::_ops::exponential_>::call(self, rate, generator);
    TORCH_CHECK(rate > 0.0, "exponential_ expects lambda > 0.0, but found lambda=", rate);
    count_native("aten::exponential_");
    draw(self, generator, ABX_TORCH_EXPONENTIAL, rate, 0);
    return self;
}

Tensor &cauchy(Tensor &self, double median, double sigma, MaybeGenerator generator)
{
    if (!is_float(self))
        return OnProcessor<at::_ops::cauchy_>::call(self, median, sigma, generator);
    TORCH_CHECK(sigma > 0.0, "cauchy_ expects sigma > 0.0, but found sigma=", sigma);
    count_native("aten::cauchy_");
    draw(self, generator, ABX_TORCH_CAUCHY, median, sigma);
    return self;
}

Tensor &log_normal(Tensor &self, double mean, double deviation, MaybeGenerator generator)
{
    if (!is_float(self))
        return OnProcessor<at::_ops::log_normal_>::call(self, mean, deviation, generator);
    TORCH_CHECK(deviation > 0.0, "log_normal_ expects std > 0.0, but found std=", deviation);
    count_native("aten::log_normal_");
    draw(self, generator, ABX_TORCH_LOG_NORMAL, mean, deviation);
    return self;
}

Tensor &geometric(Tensor &self, double chance, MaybeGenerator generator)
{
    if (!knows(self.scalar_type()) || self.scalar_type() == at::kBool)
        return OnProcessor<at::_ops::geometric_>::call(self, chance, generator);
    TORCH_CHECK(0 < chance && chance < 1, "geometric_ expects p to be in (0, 1), but got p=", chance);
    count_native("aten::geometric_");
    draw(self, generator, ABX_TORCH_GEOMETRIC, chance, std::log1p(-chance));
    return self;
}

Tensor poisson(const Tensor &self, MaybeGenerator generator)
{
    if (!is_float(self) || self.numel() >= INT_MAX)
        return OnProcessor<at::_ops::poisson>::call(self, generator);
    count_native("aten::poisson");
    Tensor rates = self.contiguous(), to = empty_like_sizes(self.sizes(), self.scalar_type());
    abx_torch_draw d = {};
    d.to = operand_of(to);
    d.type = static_cast<int>(to.scalar_type());
    d.count = static_cast<uint64_t>(to.numel());
    d.key = key_of(generator);
    if (d.count)
        check(abx_torch_draw_counts(&d, operand_of(rates)));
    return to;
}

Tensor &random_from_to(Tensor &self, int64_t from, std::optional<int64_t> to, MaybeGenerator generator)
{
    if (!knows(self.scalar_type()) || !to)
        return OnProcessor<at::_ops::random__from>::call(self, from, to, generator);
    TORCH_CHECK(from < *to, "random_ expects 'from' to be less than 'to', but got from=", from, " >= to=", *to);
    count_native("aten::random_");
    Tensor drawn = is_float(self) ? empty_like_sizes(self.sizes(), at::kLong) : self;
    draw(drawn, generator, ABX_TORCH_INTEGERS, 0, 0, from, static_cast<uint64_t>(*to) - static_cast<uint64_t>(from));
    return drawn.is_same(self) ? self : self.copy_(drawn);
}

Tensor &random_to(Tensor &self, int64_t to, MaybeGenerator generator)
{
    return random_from_to(self, 0, to, generator);
}

// What torch asks for since 2.15, where it multiplied by draws of its own.
std::tuple<Tensor, Tensor> dropout(const Tensor &input, double chance, std::optional<bool> train)
{
    if (!is_float(input))
        return OnProcessor<at::_ops::native_dropout>::call(input, chance, train);
    count_native("aten::native_dropout");
    Tensor kept = at::empty_like(input, input.options().dtype(at::kBool));
    if (!train.value_or(true))
        return {input.clone(), kept.fill_(true)};
    kept.bernoulli_(1 - chance);
    return {at::mul(input, kept).mul_(chance == 1 ? 0 : 1 / (1 - chance)), kept};
}

Tensor dropout_backward(const Tensor &gradient, const Tensor &kept, double scale)
{
    if (!is_float(gradient))
        return OnProcessor<at::_ops::native_dropout_backward>::call(gradient, kept, scale);
    count_native("aten::native_dropout_backward");
    return at::mul(gradient, kept).mul_(scale);
}

// As many as the type counts one by one.
static uint64_t values_of(at::ScalarType type)
{
    switch (type) {
    case at::kLong: return uint64_t{1} << 63;
    case at::kInt: return uint64_t{1} << 31;
    case at::kShort: return uint64_t{1} << 15;
    case at::kChar: return uint64_t{1} << 7;
    case at::kByte: return uint64_t{1} << 8;
    case at::kBool: return 2;
    case at::kHalf: return (uint64_t{1} << 11) + 1;
    case at::kBFloat16: return (uint64_t{1} << 8) + 1;
    default: return (uint64_t{1} << 24) + 1;
    }
}

Tensor &random_any(Tensor &self, MaybeGenerator generator)
{
    if (!knows(self.scalar_type()))
        return OnProcessor<at::_ops::random_>::call(self, generator);
    count_native("aten::random_");
    Tensor to = is_float(self) ? empty_like_sizes(self.sizes(), at::kLong) : self;
    draw(to, generator, ABX_TORCH_INTEGERS, 0, 0, 0, values_of(self.scalar_type()));
    return to.is_same(self) ? self : self.copy_(to);
}

Tensor &permutation_out(int64_t count, MaybeGenerator generator, Tensor &out)
{
    TORCH_CHECK(count >= 0, "n must be non-negative, got", count);
    if (!knows(out.scalar_type()))
        return OnProcessor<at::_ops::randperm_generator_out>::call(count, generator, out);
    count_native("aten::randperm");
    at::native::resize_output(out, {count});
    Tensor keys = empty_like_sizes({count}, at::kLong);
    random_any(keys, generator);
    return out.copy_(std::get<1>(at::sort(keys)));
}

// ---- of chances, means and deviations that are tensors

static Tensor uniform_like(const Tensor &self, const MaybeGenerator &generator)
{
    Tensor draws = empty_like_sizes(self.sizes(), at::kFloat);
    return uniform(draws, 0, 1, generator);
}

Tensor &bernoulli_out(const Tensor &self, MaybeGenerator generator, Tensor &out)
{
    if (!knows(self.scalar_type()) || !knows(out.scalar_type()))
        return OnProcessor<at::_ops::bernoulli_out>::call(self, generator, out);
    count_native("aten::bernoulli");
    return into(out, uniform_like(self, generator).lt(self));
}

Tensor &bernoulli_by(Tensor &self, const Tensor &chances, MaybeGenerator generator)
{
    if (!knows(self.scalar_type()) || !is_float(chances))
        return OnProcessor<at::_ops::bernoulli__Tensor>::call(self, chances, generator);
    count_native("aten::bernoulli_");
    return self.copy_(uniform_like(self, generator).lt(chances.to(self.device())));
}

static Tensor &normal_by(Tensor &out, const Tensor &mean, const Tensor &deviation, const MaybeGenerator &generator)
{
    TORCH_CHECK(!mean.is_complex() && !deviation.is_complex(), "normal expects standard deviation to be non-complex");
    count_native("aten::normal");
    at::native::resize_output(out, at::infer_size(mean.sizes(), deviation.sizes()));
    Tensor draws = empty_like_sizes(out.sizes(), out.scalar_type());
    normal(draws, 0, 1, generator);
    return out.copy_(draws.mul_(deviation).add_(mean));
}

Tensor &normal_both_out(const Tensor &mean, const Tensor &deviation, MaybeGenerator generator, Tensor &out)
{
    return normal_by(out, mean, deviation, generator);
}

Tensor normal_both(const Tensor &mean, const Tensor &deviation, MaybeGenerator generator)
{
    Tensor out = empty_like_sizes({0}, mean.scalar_type());
    return normal_by(out, mean, deviation, generator);
}

Tensor &normal_mean_out(const Tensor &mean, double deviation, MaybeGenerator generator, Tensor &out)
{
    TORCH_CHECK(deviation >= 0.0, "normal expects std >= 0.0, but found std ", deviation);
    return normal_by(out, mean, at::native::wrapped_scalar_tensor(deviation), generator);
}

Tensor normal_mean(const Tensor &mean, double deviation, MaybeGenerator generator)
{
    Tensor out = empty_like_sizes({0}, mean.scalar_type());
    return normal_mean_out(mean, deviation, generator, out);
}

Tensor &normal_deviation_out(double mean, const Tensor &deviation, MaybeGenerator generator, Tensor &out)
{
    return normal_by(out, at::native::wrapped_scalar_tensor(mean), deviation, generator);
}

Tensor normal_deviation(double mean, const Tensor &deviation, MaybeGenerator generator)
{
    Tensor out = empty_like_sizes({0}, deviation.scalar_type());
    return normal_by(out, at::native::wrapped_scalar_tensor(mean), deviation, generator);
}

} // namespace arcbox
