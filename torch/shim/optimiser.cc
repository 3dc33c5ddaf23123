// torch: fused optimisers, one launch a tensor: torch's numbers of steps, of scales and of what was found stay on the
// device, and nothing waits.
#include "shim.h"
#include "optimiser.h"

#include <ATen/ops/_fused_adam_ops.h>
#include <ATen/ops/_fused_adamw_ops.h>
#include <ATen/ops/_fused_sgd_ops.h>

namespace arcbox {
using at::Tensor;
using at::TensorList;
using Maybe = std::optional<Tensor>;

// The memory of a single float, and the tensor that holds it meanwhile.
static abx_torch_operand single(const Maybe &t, const Tensor &like, std::vector<Tensor> &held)
{
    if (!t || !t->defined())
        return {};
    held.push_back(t->to(like.device(), at::kFloat));
    return operand_of(held.back());
}

// A tensor that lies as `like` does, or a copy that does.
static Tensor alike(const Tensor &t, const Tensor &like)
{
    if (t.strides() == like.strides())
        return t;
    Tensor made = at::detail::empty_strided_generic(like.sizes(), like.strides(), allocator(),
        c10::DispatchKeySet(c10::DispatchKey::MPS), t.scalar_type());
    return made.copy_(t);
}

// One after the other. `kept` are the lists that go with the weights; what had to be copied goes back.
static void step(abx_torch_optimiser o, TensorList weights, TensorList gradients, std::array<TensorList, 3> kept,
    TensorList steps, const Tensor &rate, const Maybe &scale, const Maybe &found)
{
    for (size_t i = 0; i < weights.size(); i++) {
        const Tensor &given = weights[i];
        TORCH_CHECK(is_float(given) && given.numel() < INT_MAX, "fused optimisers take floating-point numbers");
        if (!given.numel())
            continue;
        std::vector<Tensor> held;
        held.reserve(8);
        Tensor w = given.is_non_overlapping_and_dense() ? given : given.contiguous(), gradient = alike(gradients[i], w);
        o.count = static_cast<uint32_t>(w.numel());
        o.type = static_cast<int>(w.scalar_type());
        o.gradient_type = static_cast<int>(gradient.scalar_type());
        o.weights = operand_of(w);
        o.gradient = operand_of(gradient);
        abx_torch_operand *places[] = {&o.first, &o.second, &o.most};
        std::array<Tensor, 3> lists;
        for (size_t n = 0; n < 3; n++) {
            *places[n] = {};
            if (kept[n].size() <= i || !kept[n][i].defined())
                continue;
            TORCH_CHECK(kept[n][i].scalar_type() == w.scalar_type(), "fused optimisers keep numbers of the weights' type");
            lists[n] = alike(kept[n][i], w);
            *places[n] = operand_of(lists[n]);
        }
        o.steps = steps.size() > i ? single(steps[i], w, held) : abx_torch_operand{};
        o.rate = single(rate.defined() ? Maybe(rate) : Maybe(), w, held);
        o.scale = single(scale, w, held);
        o.found = single(found, w, held);
        check(abx_torch_optimise(&o));
        for (size_t n = 0; n < 3; n++)
            if (lists[n].defined() && !lists[n].is_same(kept[n][i]))
                kept[n][i].copy_(lists[n]);
        if (!w.is_same(given))
            given.copy_(w);
        if (o.scale.block && !gradient.is_same(gradients[i]))
            gradients[i].copy_(gradient);
    }
}

static abx_torch_optimiser adam_of(double lr, double beta1, double beta2, double decay, double epsilon, bool amsgrad,
    bool maximize, bool decoupled)
{
    abx_torch_optimiser o = {};
    o.is_adam = true;
    o.lr = static_cast<float>(lr);
    o.decay = static_cast<float>(decay);
    o.beta1 = static_cast<float>(beta1);
    o.beta2 = static_cast<float>(beta2);
    o.epsilon = static_cast<float>(epsilon);
    o.amsgrad = amsgrad;
    o.maximizes = maximize;
    o.decoupled = decoupled;
    return o;
}

#define ABX_ADAM(NAME, RATE, NUMBER, TENSOR, DECOUPLED)                                                                 \
    void NAME(TensorList weights, TensorList gradients, TensorList means, TensorList squares, TensorList most,          \
        TensorList steps, RATE lr, double beta1, double beta2, double decay, double epsilon, bool amsgrad, bool maximize, \
        const Maybe &scale, const Maybe &found)                                                                         \
    {                                                                                                                   \
        count_native("aten::_fused_adam_");                                                                             \
        step(adam_of(NUMBER, beta1, beta2, decay, epsilon, amsgrad, maximize, DECOUPLED), weights, gradients,           \
            {means, squares, amsgrad ? most : TensorList()}, steps, TENSOR, scale, found);                              \
    }
ABX_ADAM(fused_adam, double, lr, Tensor(), false)
ABX_ADAM(fused_adam_by, const Tensor &, 0, lr, false)
ABX_ADAM(fused_adamw, double, lr, Tensor(), true)
ABX_ADAM(fused_adamw_by, const Tensor &, 0, lr, true)

static void descend(TensorList weights, TensorList gradients, TensorList buffers, double decay, double momentum, double lr,
    const Tensor &rate, double dampening, bool nesterov, bool maximize, bool first, const Maybe &scale, const Maybe &found)
{
    count_native("aten::_fused_sgd_");
    abx_torch_optimiser o = {};
    o.lr = static_cast<float>(lr);
    o.decay = static_cast<float>(decay);
    o.momentum = static_cast<float>(momentum);
    o.dampening = static_cast<float>(dampening);
    o.nesterov = nesterov;
    o.maximizes = maximize;
    o.is_first = first;
    step(o, weights, gradients, {momentum != 0 ? buffers : TensorList(), TensorList(), TensorList()}, TensorList(), rate, scale, found);
}

void fused_sgd(TensorList weights, TensorList gradients, TensorList buffers, double decay, double momentum, double lr,
    double dampening, bool nesterov, bool maximize, bool first, const Maybe &scale, const Maybe &found)
{
    descend(weights, gradients, buffers, decay, momentum, lr, Tensor(), dampening, nesterov, maximize, first, scale, found);
}

void fused_sgd_by(TensorList weights, TensorList gradients, TensorList buffers, double decay, double momentum,
    const Tensor &lr, double dampening, bool nesterov, bool maximize, bool first, const Maybe &scale, const Maybe &found)
{
    descend(weights, gradients, buffers, decay, momentum, 0, lr, dampening, nesterov, maximize, first, scale, found);
}

// ---- gradients of a loss that was scaled: whether all are finite stays on the device, too

static void check_single(const Tensor &t, const char *name)
{
    TORCH_CHECK(t.is_mps() && t.numel() == 1 && t.scalar_type() == at::kFloat, name, " must be a 1-element float tensor on mps.");
}

void unscale(TensorList gradients, Tensor &found, const Tensor &by)
{
    check_single(found, "found_inf");
    check_single(by, "inv_scale");
    count_native("aten::_amp_foreach_non_finite_check_and_unscale_");
    for (const Tensor &t : gradients) {
        TORCH_CHECK(is_float(t) && t.numel() < INT_MAX, "gradients that are unscaled are floating-point numbers");
        if (!t.numel())
            continue;
        Tensor g = t.is_non_overlapping_and_dense() ? t : t.contiguous();
        check(abx_torch_unscale(operand_of(g), static_cast<int>(g.scalar_type()), static_cast<uint32_t>(g.numel()),
            operand_of(found), operand_of(by)));
        if (!g.is_same(t))
            t.copy_(g);
    }
}

Tensor &rescale(Tensor &scale, Tensor &tracker, const Tensor &found, double growth, double backoff, int64_t interval)
{
    check_single(scale, "current_scale");
    check_single(found, "found_inf");
    TORCH_CHECK(tracker.is_mps() && tracker.numel() == 1 && tracker.scalar_type() == at::kInt,
        "growth_tracker must be a 1-element int tensor on mps.");
    count_native("aten::_amp_update_scale_");
    check(abx_torch_rescale(operand_of(scale), operand_of(tracker), operand_of(found), growth, backoff,
        static_cast<int32_t>(interval)));
    return scale;
}

} // namespace arcbox
