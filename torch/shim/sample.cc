// torch: grid_sampler, and the columns that windows over a picture are.
#include "shim.h"
#include "sample.h"

#include <ATen/native/Resize.h>
#include <ATen/ops/col2im_ops.h>
#include <ATen/ops/grid_sampler_2d_backward_ops.h>
#include <ATen/ops/grid_sampler_2d_ops.h>
#include <ATen/ops/grid_sampler_3d_backward_ops.h>
#include <ATen/ops/grid_sampler_3d_ops.h>
#include <ATen/ops/im2col_ops.h>

namespace arcbox {
using at::IntArrayRef;
using at::Tensor;

static bool can_sample(const Tensor &input, const Tensor &grid, int dims)
{
    bool fits = is_float(input) && grid.scalar_type() == input.scalar_type() && input.numel() && grid.numel() &&
        input.dim() == dims + 2 && grid.dim() == dims + 2 && input.size(0) == grid.size(0) && grid.size(-1) == dims;
    return fits && input.numel() < INT_MAX && grid.numel() / dims * input.size(1) < INT_MAX;
}

static abx_torch_sample sample_of(const Tensor &input, const Tensor &grid, int dims, int64_t mode, int64_t padding, bool aligned)
{
    abx_torch_sample s = {};
    s.type = static_cast<int>(input.scalar_type());
    s.dims = dims;
    s.mode = static_cast<int>(mode);
    s.padding = static_cast<int>(padding);
    s.aligned = aligned;
    s.images = static_cast<int32_t>(input.size(0));
    s.channels = static_cast<int32_t>(input.size(1));
    s.in[0] = s.out[0] = 1;
    for (int d = 0; d < dims; d++) {
        s.in[3 - dims + d] = static_cast<int32_t>(input.size(2 + d));
        s.out[3 - dims + d] = static_cast<int32_t>(grid.size(1 + d));
    }
    s.from = operand_of(input);
    s.grid = operand_of(grid);
    return s;
}

static Tensor sampled(const Tensor &input, const Tensor &grid, int dims, int64_t mode, int64_t padding, bool aligned)
{
    Tensor from = input.contiguous(), places = grid.contiguous();
    std::vector<int64_t> sizes = {input.size(0), input.size(1)};
    sizes.insert(sizes.end(), grid.sizes().begin() + 1, grid.sizes().end() - 1);
    Tensor out = empty_like_sizes(sizes, input.scalar_type());
    abx_torch_sample s = sample_of(from, places, dims, mode, padding, aligned);
    s.to = operand_of(out);
    check(abx_torch_run_sample(&s));
    return out;
}

// The picture's derivative alone.
static Tensor spread(abx_torch_sample s, const Tensor &gradient, const Tensor &input)
{
    Tensor last = gradient.movedim(1, -1).contiguous(), sum = empty_like_sizes(input.movedim(1, -1).sizes(), at::kFloat).zero_();
    s.gradient = operand_of(last);
    s.to = operand_of(sum);
    check(abx_torch_spread_samples(&s));
    return sum.movedim(-1, 1).to(input.scalar_type(), false, false, at::MemoryFormat::Contiguous);
}

static std::tuple<Tensor, Tensor> sampled_back(const Tensor &given, const Tensor &input, const Tensor &grid, int dims,
    int64_t mode, int64_t padding, bool aligned, std::array<bool, 2> wanted)
{
    Tensor gradient = given.contiguous(), from = input.contiguous(), places = grid.contiguous(), of_input, of_grid;
    abx_torch_sample s = sample_of(from, places, dims, mode, padding, aligned);
    s.gradient = operand_of(gradient);
    of_grid = empty_like_sizes(grid.sizes(), grid.scalar_type());
    s.to_grid = operand_of(of_grid);
    if (wanted[0] && abx_torch_spreads(&s)) {
        of_input = spread(s, gradient, input);
        if (wanted[1])
            check(abx_torch_run_sample_backward(&s));
        return {of_input, of_grid};
    }
    if (wanted[0]) {
        of_input = empty_like_sizes(input.sizes(), at::kFloat).zero_();
        s.to = operand_of(of_input);
    }
    check(abx_torch_run_sample_backward(&s));
    return {wanted[0] ? of_input.to(input.scalar_type()) : of_input, of_grid};
}

Tensor grid_sampler_2d(const Tensor &input, const Tensor &grid, int64_t mode, int64_t padding, bool aligned)
{
    if (!can_sample(input, grid, 2))
        return OnProcessor<at::_ops::grid_sampler_2d>::call(input, grid, mode, padding, aligned);
    count_native("aten::grid_sampler_2d");
    return sampled(input, grid, 2, mode, padding, aligned);
}

Tensor grid_sampler_3d(const Tensor &input, const Tensor &grid, int64_t mode, int64_t padding, bool aligned)
{
    if (!can_sample(input, grid, 3) || mode == 2)
        return OnProcessor<at::_ops::grid_sampler_3d>::call(input, grid, mode, padding, aligned);
    count_native("aten::grid_sampler_3d");
    return sampled(input, grid, 3, mode, padding, aligned);
}

std::tuple<Tensor, Tensor> grid_sampler_2d_backward(const Tensor &gradient, const Tensor &input, const Tensor &grid,
    int64_t mode, int64_t padding, bool aligned, std::array<bool, 2> wanted)
{
    if (!can_sample(input, grid, 2) || gradient.scalar_type() != input.scalar_type())
        return OnProcessor<at::_ops::grid_sampler_2d_backward>::call(gradient, input, grid, mode, padding, aligned, wanted);
    count_native("aten::grid_sampler_2d_backward");
    return sampled_back(gradient, input, grid, 2, mode, padding, aligned, wanted);
}

std::tuple<Tensor, Tensor> grid_sampler_3d_backward(const Tensor &gradient, const Tensor &input, const Tensor &grid,
    int64_t mode, int64_t padding, bool aligned, std::array<bool, 2> wanted)
{
    if (!can_sample(input, grid, 3) || mode == 2 || gradient.scalar_type() != input.scalar_type())
        return OnProcessor<at::_ops::grid_sampler_3d_backward>::call(gradient, input, grid, mode, padding, aligned, wanted);
    count_native("aten::grid_sampler_3d_backward");
    return sampled_back(gradient, input, grid, 3, mode, padding, aligned, wanted);
}

// ---- windows as columns

static abx_torch_windows windows_of(const Tensor &like, int64_t images, int64_t channels, IntArrayRef size,
    IntArrayRef kernel, IntArrayRef dilation, IntArrayRef padding, IntArrayRef stride)
{
    abx_torch_windows w = {};
    w.type = static_cast<int>(like.scalar_type());
    w.images = static_cast<int32_t>(images);
    w.channels = static_cast<int32_t>(channels);
    w.height = static_cast<int32_t>(size[0]);
    w.width = static_cast<int32_t>(size[1]);
    int32_t *out[2] = {&w.out_height, &w.out_width};
    for (size_t i = 0; i < 2; i++) {
        w.kernel_size[i] = static_cast<int32_t>(kernel[i]);
        w.stride[i] = static_cast<int32_t>(stride[i]);
        w.padding[i] = static_cast<int32_t>(padding[i]);
        w.dilation[i] = static_cast<int32_t>(dilation[i]);
        *out[i] = static_cast<int32_t>((size[i] + 2 * padding[i] - (dilation[i] * (kernel[i] - 1) + 1)) / stride[i] + 1);
    }
    return w;
}

static bool are_pairs(std::initializer_list<IntArrayRef> lists)
{
    for (IntArrayRef list : lists)
        if (list.size() != 2 || list[0] < 0 || list[1] < 0)
            return false;
    return true;
}

static bool can_unfold(const Tensor &self, IntArrayRef kernel, IntArrayRef dilation, IntArrayRef padding, IntArrayRef stride)
{
    for (int64_t d = self.dim() > 2 ? 1 : 0; d < self.dim(); d++)
        if (self.size(d) == 0)
            return false;
    return is_float(self) && are_pairs({kernel, dilation, padding, stride}) && kernel[0] && kernel[1] &&
        stride[0] && stride[1] && dilation[0] && dilation[1];
}

static Tensor over_windows(int (*run)(const abx_torch_windows *), abx_torch_windows &w, const Tensor &self, IntArrayRef sizes,
    bool has_images)
{
    Tensor from = self.contiguous(), out = empty_like_sizes(sizes, self.scalar_type());
    w.to = operand_of(out);
    w.from = operand_of(from);
    if (out.numel())
        check(run(&w));
    return has_images ? out : out.squeeze(0);
}

Tensor im2col(const Tensor &self, IntArrayRef kernel, IntArrayRef dilation, IntArrayRef padding, IntArrayRef stride)
{
    bool fits = can_unfold(self, kernel, dilation, padding, stride) && (self.dim() == 3 || self.dim() == 4);
    abx_torch_windows w = {};
    if (fits)
        w = windows_of(self, self.dim() == 4 ? self.size(0) : 1, self.size(-3), self.sizes().slice(static_cast<size_t>(self.dim()) - 2),
            kernel, dilation, padding, stride);
    int64_t rows = self.dim() >= 3 && fits ? self.size(-3) * kernel[0] * kernel[1] : 0, places = int64_t{w.out_height} * w.out_width;
    if (!fits || w.out_height < 1 || w.out_width < 1 || rows * places * w.images >= INT_MAX)
        return OnProcessor<at::_ops::im2col>::call(self, kernel, dilation, padding, stride);
    count_native("aten::im2col");
    return over_windows(abx_torch_unfold, w, self, {w.images, rows, places}, self.dim() == 4);
}

Tensor &im2col_out(const Tensor &self, IntArrayRef kernel, IntArrayRef dilation, IntArrayRef padding, IntArrayRef stride,
    Tensor &out)
{
    return into(out, im2col(self, kernel, dilation, padding, stride));
}

Tensor col2im(const Tensor &self, IntArrayRef size, IntArrayRef kernel, IntArrayRef dilation, IntArrayRef padding,
    IntArrayRef stride)
{
    bool fits = can_unfold(self, kernel, dilation, padding, stride) && (self.dim() == 2 || self.dim() == 3) && size.size() == 2 &&
        self.size(-2) % (kernel[0] * kernel[1]) == 0;
    abx_torch_windows w = {};
    if (fits)
        w = windows_of(self, self.dim() == 3 ? self.size(0) : 1, self.size(-2) / (kernel[0] * kernel[1]), size, kernel, dilation,
            padding, stride);
    if (!fits || w.out_height < 1 || w.out_width < 1 || self.size(-1) != int64_t{w.out_height} * w.out_width ||
        self.numel() >= INT_MAX || size[0] * size[1] * w.channels * w.images >= INT_MAX)
        return OnProcessor<at::_ops::col2im>::call(self, size, kernel, dilation, padding, stride);
    count_native("aten::col2im");
    return over_windows(abx_torch_fold, w, self, {w.images, w.channels, size[0], size[1]}, self.dim() == 3);
}

Tensor &col2im_out(const Tensor &self, IntArrayRef size, IntArrayRef kernel, IntArrayRef dilation, IntArrayRef padding,
    IntArrayRef stride, Tensor &out)
{
    return into(out, col2im(self, size, kernel, dilation, padding, stride));
}

} // namespace arcbox
