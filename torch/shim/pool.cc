// torch: pooling over two and three dimensions.
#include "shim.h"
#include "layers.h"

#include <ATen/native/Pool.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/max_pool3d_with_indices_backward_ops.h>
#include <ATen/ops/max_pool3d_with_indices_ops.h>
#include <ATen/ops/max_unpool2d_ops.h>
#include <ATen/ops/max_unpool3d_ops.h>
#include <ATen/ops/zeros.h>

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

// Without padding and dilation, and with windows by the sizes alone, where they are not given.
static abx_torch_volume_pool volume_of(const Tensor &in, const Tensor &out, size_t dims, IntArrayRef kernel = {},
    IntArrayRef stride = {}, IntArrayRef padding = {}, IntArrayRef dilation = {})
{
    abx_torch_volume_pool p = {};
    auto value = [](IntArrayRef v, size_t i) { return static_cast<int32_t>(v.size() > i ? v[i] : v[0]); };
    p.type = static_cast<int>(in.scalar_type());
    p.is_adaptive = kernel.empty();
    p.images = 1;
    for (int i = 0; i < 3; i++)
        p.in[i] = p.out[i] = p.kernel_size[i] = p.stride[i] = p.dilation[i] = 1;
    for (size_t i = 0; i < dims; i++) {
        size_t to = 3 - dims + i;
        int64_t d = -static_cast<int64_t>(dims - i);
        p.in[to] = static_cast<int32_t>(in.size(d));
        p.out[to] = static_cast<int32_t>(out.size(d));
        if (p.is_adaptive)
            continue;
        p.kernel_size[to] = value(kernel, i);
        p.stride[to] = value(stride.empty() ? kernel : stride, i);
        p.padding[to] = value(padding, i);
        p.dilation[to] = dilation.empty() ? 1 : value(dilation, i);
    }
    for (int64_t d = 0; d < in.dim() - static_cast<int64_t>(dims); d++)
        p.images *= static_cast<int32_t>(in.size(d));
    return p;
}

static bool fits_volume(const Tensor &a, const Tensor &b)
{
    return knows(a.scalar_type()) && a.numel() < INT_MAX && b.numel() < INT_MAX;
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

// Forward and back, of what volume_of() made; averages have no index.
static bool run_volume(abx_torch_volume_pool p, const Tensor &self, const Tensor &out, const Tensor &index, bool backward)
{
    if (out.numel() == 0)
        return true;
    Tensor from = self.contiguous(), to = plain_for(out);
    p.to = operand_of(to);
    p.from = operand_of(from);
    p.is_average = !index.defined();
    if (!index.defined()) {
        check(backward ? abx_torch_run_volume_pool_backward(&p) : abx_torch_run_volume_pool(&p));
        put(to, out);
        return true;
    }
    Tensor places = backward ? index.contiguous() : plain_for(index);
    p.index = operand_of(places);
    check(backward ? abx_torch_run_volume_pool_backward(&p) : abx_torch_run_volume_pool(&p));
    put(to, out);
    if (!backward)
        put(places, index);
    return true;
}

bool max_pool2d_out(const Tensor &self, IntArrayRef kernel, IntArrayRef stride, IntArrayRef padding,
    IntArrayRef dilation, bool, const Tensor &out, const Tensor &index)
{
    if (!fits_volume(self, out))
        return false;
    if (!is_float(self))
        return run_volume(volume_of(self, out, 2, kernel, stride, padding, dilation), self, out, index, false);
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
    if (!fits_volume(self, out))
        return false;
    if (!is_float(self)) {
        abx_torch_volume_pool v = volume_of(self, out, 2, kernel, stride, padding);
        v.includes_padding = count_include_pad;
        v.divisor = static_cast<int32_t>(divisor.value_or(0));
        return run_volume(v, self, out, Tensor(), false);
    }
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

// ---- over three dimensions, and of windows by the sizes

bool avg_pool3d_out(const Tensor &self, IntArrayRef kernel, IntArrayRef stride, IntArrayRef padding, bool,
    bool count_include_pad, std::optional<int64_t> divisor, const Tensor &out)
{
    abx_torch_volume_pool p = volume_of(self, out, 3, kernel, stride, padding);
    p.includes_padding = count_include_pad;
    p.divisor = static_cast<int32_t>(divisor.value_or(0));
    return fits_volume(self, out) && run_volume(p, self, out, Tensor(), false);
}

bool avg_pool3d_backward_out(const Tensor &gradient, const Tensor &self, IntArrayRef kernel, IntArrayRef stride,
    IntArrayRef padding, bool, bool count_include_pad, std::optional<int64_t> divisor, const Tensor &out)
{
    abx_torch_volume_pool p = volume_of(self, gradient, 3, kernel, stride, padding);
    p.includes_padding = count_include_pad;
    p.divisor = static_cast<int32_t>(divisor.value_or(0));
    return can_pool(self, gradient) && run_volume(p, gradient, out, Tensor(), true);
}

// These have no meta function: sizes that do not fit are refused by the processor's.
std::tuple<Tensor &, Tensor &> max_pool3d_out(const Tensor &self, IntArrayRef kernel, IntArrayRef stride,
    IntArrayRef padding, IntArrayRef dilation, bool ceil_mode, Tensor &out, Tensor &index)
{
    std::vector<int64_t> sizes(self.sizes().begin(), self.sizes().end());
    bool fits = fits_volume(self, out) && (self.dim() == 4 || self.dim() == 5) && self.numel();
    auto value = [](IntArrayRef v, size_t i) { return v.size() > i ? v[i] : v[0]; };
    for (size_t i = 0; i < 3 && fits; i++) {
        int64_t &size = sizes[sizes.size() - 3 + i], k = value(kernel, i), p = value(padding, i);
        fits = k > 0 && p >= 0 && p <= k / 2;
        if (fits)
            size = at::native::pooling_output_shape<int64_t>(size, k, p, value(stride.empty() ? kernel : stride, i),
                value(dilation, i), ceil_mode);
        fits = fits && size > 0;
    }
    if (!fits)
        return OnProcessor<at::_ops::max_pool3d_with_indices_out>::call(self, kernel, stride, padding, dilation, ceil_mode,
            out, index);
    count_native("aten::max_pool3d_with_indices");
    at::native::resize_output(out, sizes);
    at::native::resize_output(index, sizes);
    run_volume(volume_of(self, out, 3, kernel, stride, padding, dilation), self, out, index, false);
    return {out, index};
}

std::tuple<Tensor, Tensor> max_pool3d(const Tensor &self, IntArrayRef kernel, IntArrayRef stride, IntArrayRef padding,
    IntArrayRef dilation, bool ceil_mode)
{
    Tensor out = empty_like_sizes({0}, self.scalar_type()), index = empty_like_sizes({0}, at::kLong);
    max_pool3d_out(self, kernel, stride, padding, dilation, ceil_mode, out, index);
    return {out, index};
}

Tensor &max_pool3d_backward_out(const Tensor &gradient, const Tensor &self, IntArrayRef kernel, IntArrayRef stride,
    IntArrayRef padding, IntArrayRef dilation, bool ceil_mode, const Tensor &index, Tensor &out)
{
    if (!can_pool(self, gradient) || self.dim() < 4 || gradient.sizes() != index.sizes() || gradient.dim() != self.dim())
        return OnProcessor<at::_ops::max_pool3d_with_indices_backward_grad_input>::call(gradient, self, kernel, stride, padding,
            dilation, ceil_mode, index, out);
    count_native("aten::max_pool3d_with_indices_backward");
    at::native::resize_output(out, self.sizes());
    run_volume(volume_of(self, gradient, 3, kernel, stride, padding, dilation), gradient, out, index, true);
    return out;
}

Tensor max_pool3d_backward(const Tensor &gradient, const Tensor &self, IntArrayRef kernel, IntArrayRef stride,
    IntArrayRef padding, IntArrayRef dilation, bool ceil_mode, const Tensor &index)
{
    Tensor out = empty_like_sizes({0}, self.scalar_type());
    return max_pool3d_backward_out(gradient, self, kernel, stride, padding, dilation, ceil_mode, index, out);
}

bool adaptive_max_pool2d_out(const Tensor &self, IntArrayRef, const Tensor &out, const Tensor &index)
{
    return fits_volume(self, out) && run_volume(volume_of(self, out, 2), self, out, index, false);
}

bool adaptive_max_pool2d_backward_out(const Tensor &gradient, const Tensor &self, const Tensor &index, const Tensor &out)
{
    return can_pool(self, gradient) && run_volume(volume_of(self, gradient, 2), gradient, out, index, true);
}

bool adaptive_max_pool3d_out(const Tensor &self, IntArrayRef, const Tensor &out, const Tensor &index)
{
    return fits_volume(self, out) && run_volume(volume_of(self, out, 3), self, out, index, false);
}

bool adaptive_max_pool3d_backward_out(const Tensor &gradient, const Tensor &self, const Tensor &index, const Tensor &out)
{
    return can_pool(self, gradient) && run_volume(volume_of(self, gradient, 3), gradient, out, index, true);
}

// ---- back to where the largest were

static bool can_unpool(const Tensor &self, const Tensor &index, IntArrayRef size, int64_t dims)
{
    bool sized = static_cast<int64_t>(size.size()) == dims && (self.dim() == dims + 1 || self.dim() == dims + 2);
    return sized && is_float(self) && index.scalar_type() == at::kLong && self.numel() && self.sizes() == index.sizes();
}

static Tensor unpooled(const Tensor &self, const Tensor &index, IntArrayRef size)
{
    std::vector<int64_t> sizes(self.sizes().begin(), self.sizes().end() - static_cast<std::ptrdiff_t>(size.size()));
    int64_t images = c10::multiply_integers(sizes);
    Tensor made = at::zeros({images, c10::multiply_integers(size)}, self.options());
    made.scatter_(1, index.reshape({images, -1}), self.reshape({images, -1}));
    sizes.insert(sizes.end(), size.begin(), size.end());
    return made.view(sizes);
}

Tensor max_unpool2d(const Tensor &self, const Tensor &index, IntArrayRef size)
{
    if (!can_unpool(self, index, size, 2))
        return OnProcessor<at::_ops::max_unpool2d>::call(self, index, size);
    count_native("aten::max_unpool2d");
    return unpooled(self, index, size);
}

Tensor &max_unpool2d_out(const Tensor &self, const Tensor &index, IntArrayRef size, Tensor &out)
{
    return into(out, max_unpool2d(self, index, size));
}

Tensor max_unpool3d(const Tensor &self, const Tensor &index, IntArrayRef size, IntArrayRef stride, IntArrayRef padding)
{
    if (!can_unpool(self, index, size, 3))
        return OnProcessor<at::_ops::max_unpool3d>::call(self, index, size, stride, padding);
    count_native("aten::max_unpool3d");
    return unpooled(self, index, size);
}

Tensor &max_unpool3d_out(const Tensor &self, const Tensor &index, IntArrayRef size, IntArrayRef stride,
    IntArrayRef padding, Tensor &out)
{
    return into(out, max_unpool3d(self, index, size, stride, padding));
}

} // namespace arcbox
