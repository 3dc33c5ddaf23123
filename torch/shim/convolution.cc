// torch: convolutions, transposed ones too, and their derivatives. A transposed convolution is the
// derivative of one that is not: what is its input is that one's output.
#include "shim.h"
#include "layers.h"

#include <ATen/ops/convolution_backward_overrideable_ops.h>
#include <ATen/ops/convolution_overrideable_ops.h>
#include <ATen/ops/sum.h>

namespace arcbox {
using at::IntArrayRef;
using at::Tensor;

struct Windows {
    IntArrayRef stride, padding, dilation;
    int64_t groups;
};

static void spread(int32_t *to, IntArrayRef values, size_t dims, int32_t front)
{
    for (size_t d = 0; d < 3; d++)
        to[d] = front;
    for (size_t d = 0; d < dims; d++)
        to[3 - dims + d] = static_cast<int32_t>(values[values.size() == 1 ? 0 : d]);
}

// As three-dimensional: sizes of 1 come after the first two.
static abx_torch_tensor in_three(const Tensor &t)
{
    Tensor view = t;
    while (view.dim() < 5)
        view = view.unsqueeze(2);
    return tensor_of(view);
}

static abx_torch_convolution convolution_of(const Tensor &input, const Tensor &weight, const Tensor &output,
    const Windows &w)
{
    abx_torch_convolution c = {};
    size_t dims = static_cast<size_t>(input.dim() - 2);
    c.type = static_cast<int>(input.scalar_type());
    c.groups = static_cast<uint32_t>(w.groups);
    spread(c.stride, w.stride, dims, 1);
    spread(c.padding, w.padding, dims, 0);
    spread(c.dilation, w.dilation, dims, 1);
    c.input = in_three(input);
    c.weight = in_three(weight);
    c.output = in_three(output);
    return c;
}

static std::vector<int64_t> output_sizes(const Tensor &input, const Tensor &weight, const Windows &w, bool transposed,
    IntArrayRef output_padding)
{
    std::vector<int64_t> sizes{input.size(0), transposed ? weight.size(1) * w.groups : weight.size(0)};
    for (int64_t d = 2; d < input.dim(); d++) {
        auto at = [d](IntArrayRef v) { return v[v.size() == 1 ? 0 : d - 2]; };
        int64_t reach = at(w.dilation) * (weight.size(d) - 1);
        sizes.push_back(transposed
                ? (input.size(d) - 1) * at(w.stride) - 2 * at(w.padding) + reach + at(output_padding) + 1
                : (input.size(d) + 2 * at(w.padding) - reach - 1) / at(w.stride) + 1);
    }
    return sizes;
}

static bool can_convolve(const Tensor &a, const Tensor &b)
{
    return abx_torch_is_float(static_cast<int>(a.scalar_type())) && a.scalar_type() == b.scalar_type() &&
        a.dim() <= 5 && a.numel() < INT_MAX;
}

static void run(int (*function)(const abx_torch_convolution *), const Tensor &input, const Tensor &weight,
    const Tensor &output, const Windows &w, const Tensor &bias = {})
{
    abx_torch_convolution c = convolution_of(input, weight, output, w);
    if (bias.defined())
        c.bias = tensor_of(bias);
    check(function(&c));
}

Tensor convolution(const Tensor &input, const Tensor &weight, const std::optional<Tensor> &bias, IntArrayRef stride,
    IntArrayRef padding, IntArrayRef dilation, bool transposed, IntArrayRef output_padding, int64_t groups)
{
    TORCH_CHECK(input.is_mps() && weight.is_mps(), "Input type (", input.toString(), ") and weight type (", weight.toString(),
        ") should be the same: input and weight must be on the same device");
    TORCH_CHECK(!bias || !bias->defined() || bias->is_mps(), "Input type (", input.toString(), ") and bias type (",
        bias->toString(), ") should be the same: input and bias must be on the same device");
    TORCH_CHECK_NOT_IMPLEMENTED(can_convolve(input, weight), "convolution of ", input.dtype(), " and ", weight.dtype(),
        " is not implemented on the mps device");
    count_native("aten::convolution_overrideable");
    Windows w{stride, padding, dilation, groups};
    Tensor out = empty_like_sizes(output_sizes(input, weight, w, transposed, output_padding), input.scalar_type());
    if (out.numel() == 0)
        return out;
    Tensor filters = weight.contiguous(), added = bias && bias->defined() ? bias->contiguous() : Tensor();
    if (input.numel() == 0 || !transposed) {
        run(abx_torch_convolve, input, filters, out, w, added);
        return out;
    }
    run(abx_torch_convolve_input, out, filters, input.contiguous(), w);
    if (added.defined()) {
        std::vector<int64_t> sizes(static_cast<size_t>(out.dim()), 1);
        sizes[1] = added.size(0);
        out.add_(added.view(sizes));
    }
    return out;
}

std::tuple<Tensor, Tensor, Tensor> convolution_backward(const Tensor &gradient, const Tensor &input,
    const Tensor &weight, IntArrayRef stride, IntArrayRef padding, IntArrayRef dilation, bool transposed, IntArrayRef,
    int64_t groups, std::array<bool, 3> wanted)
{
    TORCH_CHECK_NOT_IMPLEMENTED(can_convolve(input, weight), "the derivative of a convolution of ", input.dtype(),
        " is not implemented on the mps device");
    count_native("aten::convolution_backward_overrideable");
    Windows w{stride, padding, dilation, groups};
    Tensor slope = gradient.contiguous(), filters = weight.contiguous(), of_input, of_weight, of_bias;
    bool nothing = gradient.numel() == 0 || input.numel() == 0;
    if (wanted[0]) {
        of_input = empty_like_sizes(input.sizes(), input.scalar_type());
        if (nothing)
            of_input.zero_();
        else if (transposed)
            run(abx_torch_convolve, slope, filters, of_input, w);
        else
            run(abx_torch_convolve_input, of_input, filters, slope, w);
    }
    if (wanted[1]) {
        of_weight = empty_like_sizes(weight.sizes(), weight.scalar_type());
        if (nothing)
            of_weight.zero_();
        else if (transposed)
            run(abx_torch_convolve_weight, slope, of_weight, input.contiguous(), w);
        else
            run(abx_torch_convolve_weight, input, of_weight, slope, w);
    }
    if (wanted[2]) {
        std::vector<int64_t> dims{0};
        for (int64_t d = 2; d < gradient.dim(); d++)
            dims.push_back(d);
        of_bias = slope.sum(dims);
    }
    return {of_input, of_weight, of_bias};
}

} // namespace arcbox
