// torch: connectionist temporal classification. What torch refuses goes to the processor, whose words it is then refused in.
#include "shim.h"
#include "ctc.h"

#include <ATen/ops/_ctc_loss_backward_ops.h>
#include <ATen/ops/_ctc_loss_ops.h>
#include <ATen/ops/tensor.h>

namespace arcbox {
using at::IntArrayRef;
using at::Tensor;

// Tensors that are the launch's until it is made.
struct ctc_operands {
    abx_torch_ctc c = {};
    Tensor logs, targets, lengths;
};

static int64_t longest(IntArrayRef lengths)
{
    return lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
}

// Whether the numbers are within the tensors, so that kernels may trust them.
static bool fits(const Tensor &logs, const Tensor &targets, IntArrayRef times, IntArrayRef lengths, int64_t blank)
{
    if (logs.scalar_type() != at::kFloat || logs.dim() != 3 || !logs.numel() || logs.numel() >= INT_MAX)
        return false;
    size_t batch = static_cast<size_t>(logs.size(1));
    bool typed = targets.scalar_type() == at::kLong || targets.scalar_type() == at::kInt;
    if (!typed || targets.device() != logs.device() || times.size() != batch || lengths.size() != batch ||
        blank < 0 || blank >= logs.size(2))
        return false;
    int64_t total = 0, least = 0;
    for (size_t n = 0; n < batch; n++) {
        least = std::min({least, times[n], lengths[n]});
        total += lengths[n];
    }
    bool inside = targets.dim() == 1 ? total <= targets.numel()
                                     : targets.dim() == 2 && targets.size(0) == logs.size(1) && longest(lengths) <= targets.size(1);
    return least >= 0 && inside && longest(times) <= logs.size(0) &&
        logs.size(0) * logs.size(1) * (2 * longest(lengths) + 1) < INT_MAX;
}

static ctc_operands operands_of(const Tensor &logs, const Tensor &targets, IntArrayRef times, IntArrayRef lengths,
    int64_t blank, bool zero_infinity)
{
    std::vector<int64_t> numbers;
    int64_t begin = 0;
    for (size_t n = 0; n < times.size(); n++) {
        int64_t at = targets.dim() == 2 ? static_cast<int64_t>(n) * targets.size(1) : begin;
        numbers.insert(numbers.end(), {times[n], lengths[n], at});
        begin += lengths[n];
    }
    ctc_operands o;
    o.logs = logs.contiguous();
    o.targets = targets.contiguous();
    o.lengths = at::tensor(numbers, at::kLong).to(logs.device());
    o.c.times = static_cast<uint32_t>(logs.size(0));
    o.c.batch = static_cast<uint32_t>(logs.size(1));
    o.c.classes = static_cast<uint32_t>(logs.size(2));
    o.c.width = static_cast<uint32_t>(2 * longest(lengths) + 1);
    o.c.blank = static_cast<int32_t>(blank);
    o.c.zero_infinity = zero_infinity;
    o.c.target_type = static_cast<int>(targets.scalar_type());
    o.c.logs = operand_of(o.logs);
    // Where all targets are empty none is read.
    o.c.targets = o.targets.numel() ? operand_of(o.targets) : o.c.logs;
    o.c.lengths = operand_of(o.lengths);
    return o;
}

std::tuple<Tensor, Tensor> ctc_loss(const Tensor &logs, const Tensor &targets, IntArrayRef times, IntArrayRef lengths,
    int64_t blank, bool zero_infinity)
{
    if (!fits(logs, targets, times, lengths, blank))
        return OnProcessor<at::_ops::_ctc_loss>::call(logs, targets, times, lengths, blank, zero_infinity);
    count_native("aten::_ctc_loss");
    ctc_operands o = operands_of(logs, targets, times, lengths, blank, zero_infinity);
    Tensor loss = empty_like_sizes({logs.size(1)}, at::kFloat);
    Tensor alpha = empty_like_sizes({logs.size(1), logs.size(0), o.c.width}, at::kFloat);
    o.c.loss = operand_of(loss);
    o.c.alpha = operand_of(alpha);
    check(abx_torch_run_ctc(&o.c));
    return {loss, alpha};
}

Tensor ctc_loss_backward(const Tensor &gradient, const Tensor &logs, const Tensor &targets, IntArrayRef times,
    IntArrayRef lengths, const Tensor &loss, const Tensor &alpha, int64_t blank, bool zero_infinity)
{
    bool same = gradient.sizes() == loss.sizes() && loss.dim() == 1 && logs.dim() == 3 && loss.size(0) == logs.size(1) &&
        alpha.sizes() == IntArrayRef{logs.size(1), logs.size(0), 2 * longest(lengths) + 1};
    for (const Tensor *t : {&gradient, &loss, &alpha})
        same = same && t->scalar_type() == at::kFloat && t->device() == logs.device();
    if (!same || !fits(logs, targets, times, lengths, blank))
        return OnProcessor<at::_ops::_ctc_loss_backward>::call(gradient, logs, targets, times, lengths, loss, alpha, blank, zero_infinity);
    count_native("aten::_ctc_loss_backward");
    ctc_operands o = operands_of(logs, targets, times, lengths, blank, zero_infinity);
    Tensor to = empty_like_sizes(logs.sizes(), at::kFloat), slopes = gradient.contiguous();
    Tensor losses = loss.contiguous(), alphas = alpha.contiguous();
    Tensor beta = empty_like_sizes({logs.size(1), 2, o.c.width}, at::kFloat);
    Tensor links = empty_like_sizes({logs.size(1), o.c.width}, at::kInt);
    o.c.to = operand_of(to);
    o.c.beta = operand_of(beta);
    o.c.links = operand_of(links);
    o.c.loss = operand_of(losses);
    o.c.alpha = operand_of(alphas);
    o.c.gradient = operand_of(slopes);
    check(abx_torch_run_ctc_backward(&o.c));
    return to;
}

// Lengths in tensors are needed by the launch itself: they are waited for where they are the device's.
static std::vector<int64_t> numbers_of(const Tensor &lengths)
{
    Tensor here = lengths.to(at::kCPU, at::kLong).contiguous();
    return {here.const_data_ptr<int64_t>(), here.const_data_ptr<int64_t>() + here.numel()};
}

std::tuple<Tensor, Tensor> ctc_loss_by(const Tensor &logs, const Tensor &targets, const Tensor &times,
    const Tensor &lengths, int64_t blank, bool zero_infinity)
{
    return ctc_loss(logs, targets, numbers_of(times), numbers_of(lengths), blank, zero_infinity);
}

Tensor ctc_loss_backward_by(const Tensor &gradient, const Tensor &logs, const Tensor &targets, const Tensor &times,
    const Tensor &lengths, const Tensor &loss, const Tensor &alpha, int64_t blank, bool zero_infinity)
{
    return ctc_loss_backward(gradient, logs, targets, numbers_of(times), numbers_of(lengths), loss, alpha, blank, zero_infinity);
}

} // namespace arcbox
