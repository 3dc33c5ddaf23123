// torch: Fourier transforms, one dimension after the other.
#include "shim.h"
#include "spectrum.h"

#include <ATen/WrapDimUtils.h>
#include <ATen/ops/_fft_c2c_ops.h>
#include <ATen/ops/_fft_c2r_ops.h>
#include <ATen/ops/_fft_r2c_ops.h>

namespace arcbox {
using at::IntArrayRef;
using at::Tensor;

// torch's numbers: nothing, by the root of how many there are, by how many.
static double scale_of(int64_t normalization, IntArrayRef sizes, IntArrayRef dims)
{
    double count = 1;
    for (int64_t d : dims)
        count *= static_cast<double>(sizes[static_cast<size_t>(at::maybe_wrap_dim(d, static_cast<int64_t>(sizes.size())))]);
    return normalization == 0 ? 1 : normalization == 1 ? 1 / std::sqrt(count) : 1 / count;
}

enum class Result { COMPLEX, REAL, HALF }; // HALF: the first count / 2 + 1

// Along a dimension that has `count` elements in the whole result.
static Tensor transformed(const Tensor &given, int64_t dim, int64_t count, abx_torch_spectrum_source source, Result result,
    bool forward, double scale)
{
    Tensor self = given.resolve_conj().contiguous();
    int64_t d = at::maybe_wrap_dim(dim, self.dim());
    std::vector<int64_t> sizes(self.sizes().begin(), self.sizes().end());
    sizes[static_cast<size_t>(d)] = result == Result::HALF ? count / 2 + 1 : count;
    Tensor out = empty_like_sizes(sizes, result == Result::REAL ? at::kFloat : at::kComplexFloat);
    if (out.numel() == 0)
        return out;
    abx_torch_spectrum s = {};
    s.outer = s.inner = 1;
    for (int64_t i = 0; i < self.dim(); i++)
        if (i != d)
            (i < d ? s.outer : s.inner) *= static_cast<uint32_t>(self.size(i));
    s.count = static_cast<uint32_t>(count);
    s.source = source;
    s.is_real = result == Result::REAL;
    s.is_half = result == Result::HALF;
    s.forward = forward;
    s.scale = scale;
    s.to = operand_of(out);
    s.from = operand_of(self);
    check(abx_torch_transform(&s));
    return out;
}

static bool can_transform(const Tensor &self, at::ScalarType type)
{
    return self.scalar_type() == type && self.numel() && self.numel() < INT_MAX / 8;
}

Tensor fft_c2c(const Tensor &self, IntArrayRef dims, int64_t normalization, bool forward)
{
    if (!can_transform(self, at::kComplexFloat))
        return OnProcessor<at::_ops::_fft_c2c>::call(self, dims, normalization, forward);
    count_native("aten::_fft_c2c");
    if (dims.empty())
        return self.clone();
    Tensor x = self;
    double scale = scale_of(normalization, self.sizes(), dims);
    for (size_t i = dims.size(); i-- > 0;)
        x = transformed(x, dims[i], self.size(dims[i]), ABX_TORCH_COMPLEX, Result::COMPLEX, forward, i ? 1 : scale);
    return x;
}

Tensor fft_r2c(const Tensor &self, IntArrayRef dims, int64_t normalization, bool onesided)
{
    bool fits = is_float(self) && can_transform(self, self.scalar_type()) && !dims.empty();
    if (!fits)
        return OnProcessor<at::_ops::_fft_r2c>::call(self, dims, normalization, onesided);
    count_native("aten::_fft_r2c");
    int64_t last = dims.back(), count = self.size(last);
    double scale = scale_of(normalization, self.sizes(), dims);
    Tensor x = transformed(self.to(at::kFloat), last, count, ABX_TORCH_REAL, onesided ? Result::HALF : Result::COMPLEX, true,
        dims.size() > 1 ? 1 : scale);
    for (size_t i = dims.size() - 1; i-- > 0;)
        x = transformed(x, dims[i], self.size(dims[i]), ABX_TORCH_COMPLEX, Result::COMPLEX, true, i ? 1 : scale);
    return x;
}

Tensor fft_c2r(const Tensor &self, IntArrayRef dims, int64_t normalization, int64_t count)
{
    if (!can_transform(self, at::kComplexFloat) || dims.empty() || count < 1 || self.size(dims.back()) != count / 2 + 1)
        return OnProcessor<at::_ops::_fft_c2r>::call(self, dims, normalization, count);
    count_native("aten::_fft_c2r");
    std::vector<int64_t> sizes(self.sizes().begin(), self.sizes().end());
    sizes[static_cast<size_t>(at::maybe_wrap_dim(dims.back(), self.dim()))] = count;
    Tensor x = self;
    for (size_t i = 0; i + 1 < dims.size(); i++)
        x = transformed(x, dims[i], self.size(dims[i]), ABX_TORCH_COMPLEX, Result::COMPLEX, false, 1);
    return transformed(x, dims.back(), count, ABX_TORCH_HALF, Result::REAL, false, scale_of(normalization, sizes, dims));
}

Tensor &fft_c2c_out(const Tensor &self, IntArrayRef dims, int64_t normalization, bool forward, Tensor &out)
{
    return into(out, fft_c2c(self, dims, normalization, forward));
}

Tensor &fft_r2c_out(const Tensor &self, IntArrayRef dims, int64_t normalization, bool onesided, Tensor &out)
{
    Tensor made = fft_r2c(self, dims, normalization, onesided);
    return into(out, made);
}

Tensor &fft_c2r_out(const Tensor &self, IntArrayRef dims, int64_t normalization, int64_t count, Tensor &out)
{
    return into(out, fft_c2r(self, dims, normalization, count));
}

} // namespace arcbox
