// torch: operators that torchvision's library registers, which on a Mac has kernels of its own: `nms` and `roi_align`
// with its derivative. They are registered before torchvision is imported, if it ever is, and so without a schema; what
// is not as they expect runs on the processor, whose complaints are torchvision's.
#include "shim.h"
#include "vision.h"

#include <ATen/ops/zeros.h>
#include <torch/library.h>

namespace arcbox {
using at::Tensor;
using torch::jit::Stack;

// Whether the operator has these arguments; else it is one of another version of torchvision.
static bool has(const c10::OperatorHandle &op, size_t count)
{
    return op.schema().arguments().size() == count && op.schema().returns().size() == 1;
}

static int64_t whole(const c10::IValue &v)
{
    return v.isInt() ? v.toInt() : v.toSymInt().guard_int(__FILE__, __LINE__);
}

static void give(Stack *stack, size_t count, const c10::OperatorHandle &op, Tensor made)
{
    count_native(c10::toString(op.operator_name()).c_str());
    torch::jit::drop(*stack, count);
    stack->emplace_back(std::move(made));
}

static void nms(const c10::OperatorHandle &op, Stack *stack)
{
    if (!has(op, 3))
        return fall_back(op, stack);
    Tensor boxes = torch::jit::peek(*stack, 0, 3).toTensor(), scores = torch::jit::peek(*stack, 1, 3).toTensor();
    double least = torch::jit::peek(*stack, 2, 3).toDouble();
    bool fits = boxes.dim() == 2 && boxes.size(1) == 4 && scores.dim() == 1 && scores.size(0) == boxes.size(0) &&
        is_float(boxes) && scores.scalar_type() == boxes.scalar_type() && scores.is_mps() && boxes.is_mps() &&
        boxes.size(0) <= ABX_TORCH_BOXES;
    if (!fits)
        return fall_back(op, stack);
    if (boxes.size(0) == 0)
        return give(stack, 3, op, empty_like_sizes({0}, at::kLong));
    Tensor order = std::get<1>(scores.sort(/*stable=*/true, 0, /*descending=*/true));
    Tensor sorted = boxes.index_select(0, order), kept = empty_like_sizes({boxes.size(0)}, at::kBool);
    check(abx_torch_keep_boxes(operand_of(kept), operand_of(sorted), static_cast<int>(boxes.scalar_type()),
        static_cast<uint32_t>(boxes.size(0)), static_cast<float>(least)));
    give(stack, 3, op, order.masked_select(kept));
}

// The arguments from `first` on: scale and windows; `samples` and `aligned` are the last two.
static abx_torch_regions regions_of(Stack *stack, size_t count, const Tensor &rois)
{
    auto argument = [&](size_t i) { return torch::jit::peek(*stack, i, count); };
    abx_torch_regions r = {};
    r.type = static_cast<int>(rois.scalar_type());
    r.count = static_cast<uint32_t>(rois.size(0));
    r.scale = static_cast<float>(argument(2).toDouble());
    r.down = static_cast<int32_t>(whole(argument(3)));
    r.across = static_cast<int32_t>(whole(argument(4)));
    r.samples = static_cast<int32_t>(whole(argument(count - 2)));
    r.aligned = argument(count - 1).toBool();
    r.rois = operand_of(rois);
    return r;
}

static void set_picture(abx_torch_regions &r, std::array<int64_t, 4> sizes)
{
    r.images = static_cast<int32_t>(sizes[0]);
    r.channels = static_cast<int32_t>(sizes[1]);
    r.height = static_cast<int32_t>(sizes[2]);
    r.width = static_cast<int32_t>(sizes[3]);
}

static bool can_align(const Tensor &given, const Tensor &rois, int64_t down, int64_t across)
{
    return given.dim() == 4 && rois.dim() == 2 && rois.size(1) == 5 && is_float(given) && given.is_mps() && rois.is_mps() &&
        rois.scalar_type() == given.scalar_type() && given.size(1) && given.numel() < INT_MAX && down > 0 && across > 0 &&
        (rois.size(0) == 0 || (given.numel() && down < INT_MAX / across / given.size(1) / rois.size(0)));
}

static void roi_align(const c10::OperatorHandle &op, Stack *stack)
{
    if (!has(op, 7))
        return fall_back(op, stack);
    Tensor input = torch::jit::peek(*stack, 0, 7).toTensor(), rois = torch::jit::peek(*stack, 1, 7).toTensor();
    if (!can_align(input, rois, whole(torch::jit::peek(*stack, 3, 7)), whole(torch::jit::peek(*stack, 4, 7))))
        return fall_back(op, stack);
    Tensor from = input.permute({0, 2, 3, 1}).contiguous(), regions = rois.contiguous();
    abx_torch_regions r = regions_of(stack, 7, regions);
    set_picture(r, {input.size(0), input.size(1), input.size(2), input.size(3)});
    Tensor to = empty_like_sizes({rois.size(0), r.down, r.across, input.size(1)}, input.scalar_type());
    r.from = operand_of(from);
    r.to = operand_of(to);
    if (to.numel())
        check(abx_torch_align(&r, false));
    give(stack, 7, op, to.permute({0, 3, 1, 2}).contiguous());
}

// grad, rois, scale, windows, the picture's sizes, samples, aligned.
static void roi_align_backward(const c10::OperatorHandle &op, Stack *stack)
{
    if (!has(op, 11))
        return fall_back(op, stack);
    Tensor gradient = torch::jit::peek(*stack, 0, 11).toTensor(), rois = torch::jit::peek(*stack, 1, 11).toTensor();
    std::array<int64_t, 4> sizes;
    for (size_t i = 0; i < 4; i++)
        sizes[i] = whole(torch::jit::peek(*stack, 5 + i, 11));
    bool fits = can_align(gradient, rois, whole(torch::jit::peek(*stack, 3, 11)), whole(torch::jit::peek(*stack, 4, 11))) &&
        sizes[0] > 0 && sizes[1] == gradient.size(1) && sizes[2] > 0 && sizes[3] > 0 &&
        gradient.size(0) == rois.size(0) && sizes[2] < INT_MAX / sizes[3];
    if (!fits)
        return fall_back(op, stack);
    Tensor from = gradient.permute({0, 2, 3, 1}).contiguous(), regions = rois.contiguous();
    abx_torch_regions r = regions_of(stack, 11, regions);
    set_picture(r, sizes);
    Tensor to = at::zeros({sizes[0], sizes[2], sizes[3], sizes[1]}, gradient.options().dtype(at::kFloat));
    r.from = operand_of(from);
    r.to = operand_of(to);
    if (to.numel() && from.numel())
        check(abx_torch_align(&r, true));
    give(stack, 11, op, to.permute({0, 3, 1, 2}).to(gradient.scalar_type(), false, false, at::MemoryFormat::Contiguous));
}

TORCH_LIBRARY_IMPL(torchvision, MPS, m)
{
    m.impl("nms", torch::CppFunction::makeFromBoxedFunction<&nms>());
    m.impl("roi_align", torch::CppFunction::makeFromBoxedFunction<&roi_align>());
    m.impl("_roi_align_backward", torch::CppFunction::makeFromBoxedFunction<&roi_align_backward>());
}

} // namespace arcbox
