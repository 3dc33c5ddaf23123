// torch: pooling over two dimensions.
#include "shim.h"
#include "layers.h"

namespace arcbox {
using at::IntArrayRef;
using at::Tensor;

static void set_pair(int32_t *to, IntArrayRef values, IntArrayRef otherwise)
{
    IntArrayRef v = values.empty() ? otherwise : values;
    to[0] = static_cast<int32_t>(v[0]);
    to[1] = static_cast<int32_t>(v.size() > 1 ? v[1] : v[0]);
}

// `in` and `out` have height and width last; all before them are images.
static abx_torch_pool pool_of(const Tensor &in, const Tensor &out, IntArrayRef kernel, IntArrayRef stride,
    IntArrayRef padding, IntArrayRef dilation)
{
    abx_torch_pool p = {};
    p.type = static_cast<int>(in.scalar_type());
    p.height = static_cast<int32_t>(in.size(-2));
    p.width = static_cast<int32_t>(in.size(-1));
    p.out_height = static_cast<int32_t>(out.size(-2));
    p.out_width = static_cast<int32_t>(out.size(-1));
    p.images = static_cast<int32_t>(out.numel() / std::max(1, p.out_height * p.out_width));
    set_pair(p.kernel_size, kernel, kernel);
    set_pair(p.stride, stride, kernel);
    set_pair(p.padding, padding, padding);
    set_pair(p.dilation, dilation, dilation);
    return p;
}

static bool can_pool(const Tensor &a, const Tensor &b)
{
    return abx_torch_is_float(static_cast<int>(a.scalar_type())) && a.numel() < INT_MAX && b.numel() < INT_MAX;
}

// A result that torch wants in other strides is made without gaps first.
static Tensor plain_for(const Tensor &out)
{
    return out.is_contiguous() ? out : empty_like_sizes(out.sizes(), out.scalar_type());
}

static void put(const Tensor &made, const Tensor &out)
{
    if (!made.is_same(out))
        out.copy_(made);
}

bool max_pool2d_out(const Tensor &self, IntArrayRef kernel, IntArrayRef stride, IntArrayRef padding,
    IntArrayRef dilation, bool, const Tensor &out, const Tensor &index)
{
    if (!can_pool(self, out))
        return false;
    if (out.numel() == 0)
        return true;
    Tensor from = self.contiguous(), to = plain_for(out), places = plain_for(index);
    abx_torch_pool p = pool_of(from, to, kernel, stride, padding, dilation);
    p.to = operand_of(to);
    p.index = operand_of(places);
    p.from = operand_of(from);
    check(abx_torch_run_pool(&p));
    put(to, out);
    put(places, index);
    return true;
}

bool max_pool2d_backward_out(const Tensor &gradient, const Tensor &self, IntArrayRef kernel, IntArrayRef stride,
    IntArrayRef padding, IntArrayRef dilation, bool, const Tensor &index, const Tensor &out)
{
    if (!can_pool(self, gradient))
        return false;
    if (out.numel() == 0)
        return true;
    Tensor from = gradient.contiguous(), places = index.contiguous(), to = plain_for(out);
    abx_torch_pool p = pool_of(self, gradient, kernel, stride, padding, dilation);
    p.images = static_cast<int32_t>(self.numel() / (p.height * p.width));
    p.to = operand_of(to);
    p.index = operand_of(places);
    p.from = operand_of(from);
    check(abx_torch_run_pool_backward(&p));
    put(to, out);
    return true;
}

static constexpr int64_t one[] = {1, 1};

bool avg_pool2d_out(const Tensor &self, IntArrayRef kernel, IntArrayRef stride, IntArrayRef padding, bool,
    bool count_include_pad, std::optional<int64_t> divisor, const Tensor &out)
{
    if (!can_pool(self, out))
        return false;
    if (out.numel() == 0)
        return true;
    Tensor from = self.contiguous(), to = plain_for(out);
    abx_torch_pool p = pool_of(from, to, kernel, stride, padding, one);
    p.is_average = true;
    p.includes_padding = count_include_pad;
    p.divisor = static_cast<int32_t>(divisor.value_or(0));
    p.to = operand_of(to);
    p.from = operand_of(from);
    check(abx_torch_run_pool(&p));
    put(to, out);
    return true;
}

bool avg_pool2d_backward_out(const Tensor &gradient, const Tensor &self, IntArrayRef kernel, IntArrayRef stride,
    IntArrayRef padding, bool, bool count_include_pad, std::optional<int64_t> divisor, const Tensor &out)
{
    if (!can_pool(self, gradient))
        return false;
    if (out.numel() == 0)
        return true;
    Tensor from = gradient.contiguous(), to = plain_for(out);
    abx_torch_pool p = pool_of(self, gradient, kernel, stride, padding, one);
    p.images = static_cast<int32_t>(self.numel() / (p.height * p.width));
    p.is_average = true;
    p.includes_padding = count_include_pad;
    p.divisor = static_cast<int32_t>(divisor.value_or(0));
    p.to = operand_of(to);
    p.from = operand_of(from);
    check(abx_torch_run_pool_backward(&p));
    put(to, out);
    return true;
}

} // namespace arcbox
