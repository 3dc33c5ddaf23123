// torch: softmax and the loss of classes.
#include "shim.h"
#include "layers.h"

#include <ATen/WrapDimUtils.h>

namespace arcbox {
using at::OptionalTensorRef;
using at::Tensor;

static abx_torch_softmax softmax_of(const Tensor &out, const Tensor &from, int64_t dim, bool is_log)
{
    abx_torch_softmax s = {};
    int64_t d = at::maybe_wrap_dim(dim, from.dim());
    s.outer = s.inner = s.count = 1;
    for (int64_t i = 0; i < from.dim(); i++)
        (i < d ? s.outer : i == d ? s.count : s.inner) *= static_cast<uint32_t>(from.size(i));
    s.is_log = is_log;
    s.to = operand_of(out);
    s.from = operand_of(from);
    s.to_type = static_cast<int>(out.scalar_type());
    s.from_type = static_cast<int>(from.scalar_type());
    return s;
}

static bool softmax(const Tensor &self, int64_t dim, const Tensor &out, bool is_log)
{
    if (!is_float(self) || !is_float(out) || !out.is_contiguous() || self.numel() >= INT_MAX)
        return false;
    if (self.numel() == 0)
        return true;
    Tensor from = self.contiguous();
    abx_torch_softmax s = softmax_of(out, from, dim, is_log);
    check(abx_torch_run_softmax(&s));
    return true;
}

bool softmax_out(const Tensor &self, int64_t dim, bool, const Tensor &out)
{
    return softmax(self, dim, out, false);
}

bool log_softmax_out(const Tensor &self, int64_t dim, bool, const Tensor &out)
{
    return softmax(self, dim, out, true);
}

static bool softmax_backward(const Tensor &gradient, const Tensor &output, int64_t dim, const Tensor &to, bool is_log)
{
    bool same = gradient.scalar_type() == output.scalar_type();
    if (!same || !is_float(output) || !is_float(to) || !to.is_contiguous() || output.numel() >= INT_MAX)
        return false;
    if (output.numel() == 0)
        return true;
    Tensor from = output.contiguous(), slope = gradient.contiguous();
    abx_torch_softmax s = softmax_of(to, from, dim, is_log);
    s.gradient = operand_of(slope);
    check(abx_torch_run_softmax_backward(&s));
    return true;
}

bool softmax_backward_out(const Tensor &gradient, const Tensor &output, int64_t dim, at::ScalarType, const Tensor &to)
{
    return softmax_backward(gradient, output, dim, to, false);
}

bool log_softmax_backward_out(const Tensor &gradient, const Tensor &output, int64_t dim, at::ScalarType,
    const Tensor &to)
{
    return softmax_backward(gradient, output, dim, to, true);
}

// ---- the negative log-likelihood

// What the tensors that are passed live on while they are used.
struct held {
    Tensor target, weight;
};

static abx_torch_loss loss_of(const Tensor &self, held &h, const Tensor &target, OptionalTensorRef weight,
    int64_t reduction, int64_t ignored)
{
    abx_torch_loss loss = {};
    h.target = target.contiguous();
    loss.count = static_cast<uint32_t>(self.dim() == 1 ? 1 : self.size(0));
    loss.classes = static_cast<uint32_t>(self.size(-1));
    loss.ignored = ignored;
    loss.reduction = static_cast<int>(reduction);
    loss.type = static_cast<int>(self.scalar_type());
    loss.target_type = static_cast<int>(target.scalar_type());
    loss.target = operand_of(h.target);
    if (weight.has_value() && weight->defined()) {
        h.weight = weight->contiguous();
        loss.weight = operand_of(h.weight);
    }
    return loss;
}

bool nll_loss_out(const Tensor &self, const Tensor &target, OptionalTensorRef weight, int64_t reduction,
    int64_t ignored, const Tensor &output, const Tensor &total)
{
    if (!is_float(self) || !knows(target.scalar_type()) || self.numel() >= INT_MAX)
        return false;
    held h;
    abx_torch_loss loss = loss_of(self, h, target, weight, reduction, ignored);
    if (self.dim() == 1 && reduction == 0)
        loss.count = 1;
    loss.strides[0] = self.dim() == 2 ? self.stride(0) : 0;
    loss.strides[1] = self.stride(-1);
    loss.to = operand_of(output);
    loss.total = operand_of(total);
    loss.from = operand_of(self);
    if (self.numel() == 0) { // torch's own answers: nothing, 0, or 0 / 0
        total.zero_();
        if (output.numel())
            output.fill_(reduction == 1 ? NAN : 0.0);
        return true;
    }
    check(abx_torch_run_loss(&loss));
    return true;
}

bool nll_loss_backward_out(const Tensor &gradient, const Tensor &self, const Tensor &target, OptionalTensorRef weight,
    int64_t reduction, int64_t ignored, const Tensor &total, const Tensor &to)
{
    if (!is_float(self) || !knows(target.scalar_type()) || !to.is_contiguous() || self.numel() >= INT_MAX)
        return false;
    if (self.numel() == 0)
        return true;
    held h;
    abx_torch_loss loss = loss_of(self, h, target, weight, reduction, ignored);
    loss.strides[0] = gradient.dim() ? gradient.stride(0) : 0;
    loss.to = operand_of(to);
    loss.total = operand_of(total);
    loss.from = operand_of(gradient);
    check(abx_torch_run_loss_backward(&loss));
    return true;
}

} // namespace arcbox
