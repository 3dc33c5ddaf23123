// torch: pictures in other sizes. What lies along a dimension is a product with a matrix, of which a row has the
// weights that one new element takes the old ones with; the derivative is one with the matrix turned. Nearest
// elements and padding are taken by their indices.
#include "shim.h"

#include <ATen/ops/bmm.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_adaptive_avg_pool3d_backward_ops.h>
#include <ATen/ops/_adaptive_avg_pool3d_ops.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/reflection_pad2d_backward_ops.h>
#include <ATen/ops/reflection_pad2d_ops.h>
#include <ATen/ops/replication_pad2d_backward_ops.h>
#include <ATen/ops/replication_pad3d_backward_ops.h>
#include <ATen/ops/zeros.h>

namespace arcbox {
using at::IntArrayRef;
using at::Tensor;
using MaybeScale = std::optional<double>;

enum class Filter { LINEAR, CUBIC, LINEAR_SMOOTH, CUBIC_SMOOTH, AREA };

static constexpr int64_t MOST_WEIGHTS = 1 << 24;

static float cubic(float x, float a)
{
    x = std::fabs(x);
    return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static float ratio_of(int64_t in, int64_t out, bool align, MaybeScale scale)
{
    if (align)
        return out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1) : 0;
    return scale && *scale > 0 ? static_cast<float>(1.0 / *scale) : static_cast<float>(in) / static_cast<float>(out);
}

// Over as many elements as the new one covers.
static void smooth_row(float *row, int64_t in, int64_t n, float ratio, bool is_cubic)
{
    float wide = std::max(ratio, 1.0f), reach = (is_cubic ? 2.0f : 1.0f) * wide, sum = 0;
    float center = ratio * (static_cast<float>(n) + 0.5f);
    int64_t from = std::max<int64_t>(static_cast<int64_t>(center - reach + 0.5f), 0);
    int64_t to = std::min<int64_t>(static_cast<int64_t>(center + reach + 0.5f), in);
    for (int64_t i = from; i < to; i++) {
        float x = (static_cast<float>(i) - center + 0.5f) / wide;
        row[i] = is_cubic ? cubic(x, -0.5f) : std::max(0.0f, 1 - std::fabs(x));
        sum += row[i];
    }
    for (int64_t i = from; i < to && sum != 0; i++)
        row[i] /= sum;
}

static void fill_row(float *row, int64_t in, int64_t out, int64_t n, float ratio, bool align, Filter filter)
{
    float at = align ? ratio * static_cast<float>(n) : ratio * (static_cast<float>(n) + 0.5f) - 0.5f;
    if (filter == Filter::LINEAR) {
        at = std::max(at, 0.0f);
        int64_t low = std::min(static_cast<int64_t>(at), in - 1), high = std::min(low + 1, in - 1);
        float part = std::min(std::max(at - static_cast<float>(low), 0.0f), 1.0f);
        row[low] += 1 - part;
        row[high] += part;
    } else if (filter == Filter::CUBIC) {
        float low = std::floor(at), part = at - low;
        for (int64_t i = -1; i <= 2; i++)
            row[std::min(std::max<int64_t>(static_cast<int64_t>(low) + i, 0), in - 1)] +=
                cubic(static_cast<float>(i) - part, -0.75f);
    } else if (filter == Filter::AREA) {
        int64_t from = n * in / out, to = ((n + 1) * in + out - 1) / out;
        std::fill(row + from, row + to, 1.0f / static_cast<float>(to - from));
    } else {
        smooth_row(row, in, n, ratio, filter == Filter::CUBIC_SMOOTH);
    }
}

// `out` rows of `in` weights; not defined where it would change nothing.
static Tensor weights_of(int64_t in, int64_t out, bool align, MaybeScale scale, Filter filter, const Tensor &like)
{
    float ratio = ratio_of(in, out, align, scale);
    if (in == out && ratio == 1)
        return Tensor();
    Tensor made = at::zeros({out, in}, at::TensorOptions().dtype(at::kFloat));
    for (int64_t n = 0; n < out; n++)
        fill_row(made.data_ptr<float>() + n * in, in, out, n, ratio, align, filter);
    return made.to(like.device());
}

// Each line along the dimension times the matrix (rows, size of the dimension).
static Tensor weighted(const Tensor &x, int64_t dim, const Tensor &matrix)
{
    int64_t before = 1, after = 1, in = x.size(dim), out = matrix.size(0);
    for (int64_t d = 0; d < x.dim(); d++)
        (d < dim ? before : after) *= d == dim ? 1 : x.size(d);
    std::vector<int64_t> sizes(x.sizes().begin(), x.sizes().end());
    sizes[static_cast<size_t>(dim)] = out;
    if (after == 1)
        return at::mm(x.reshape({before, in}), matrix.t()).view(sizes);
    return at::bmm(matrix.expand({before, out, in}), x.reshape({before, in, after})).view(sizes);
}

// The last dimensions, as many as there are scales, from the sizes `in` to the sizes `out`, or the derivative.
static bool resample(const Tensor &self, IntArrayRef in, IntArrayRef out, bool align,
    std::initializer_list<MaybeScale> scales, Filter filter, bool backward, const Tensor &to)
{
    size_t count = scales.size();
    if (!is_float(self))
        return false;
    for (size_t i = 0; i < count; i++)
        if (in[in.size() - 1 - i] * out[out.size() - 1 - i] > MOST_WEIGHTS)
            return false;
    if (to.numel() == 0)
        return true;
    Tensor x = self.to(at::kFloat);
    for (size_t i = 0; i < count; i++) {
        Tensor matrix = weights_of(in[in.size() - 1 - i], out[out.size() - 1 - i], align, scales.begin()[count - 1 - i],
            filter, self);
        if (matrix.defined())
            x = weighted(x, self.dim() - 1 - static_cast<int64_t>(i), backward ? matrix.t().contiguous() : matrix);
    }
    to.copy_(x);
    return true;
}

// With torch's arguments, which have a scale for each dimension.
#define ABX_UNPACK(...) __VA_ARGS__
#define ABX_RESAMPLE(NAME, FILTER, PARAMETERS, ...)                                                           \
    bool NAME##_out(const Tensor &self, IntArrayRef size, bool align, ABX_UNPACK PARAMETERS, const Tensor &out) \
    {                                                                                                         \
        return resample(self, self.sizes(), size, align, {__VA_ARGS__}, FILTER, false, out);                  \
    }                                                                                                         \
    bool NAME##_backward_out(const Tensor &gradient, IntArrayRef size, IntArrayRef in, bool align,            \
        ABX_UNPACK PARAMETERS, const Tensor &out)                                                             \
    {                                                                                                         \
        return resample(gradient, in, size, align, {__VA_ARGS__}, FILTER, true, out);                         \
    }
ABX_RESAMPLE(upsample_linear1d, Filter::LINEAR, (MaybeScale w), w)
ABX_RESAMPLE(upsample_bilinear2d, Filter::LINEAR, (MaybeScale h, MaybeScale w), h, w)
ABX_RESAMPLE(upsample_trilinear3d, Filter::LINEAR, (MaybeScale d, MaybeScale h, MaybeScale w), d, h, w)
ABX_RESAMPLE(upsample_bicubic2d, Filter::CUBIC, (MaybeScale h, MaybeScale w), h, w)
ABX_RESAMPLE(upsample_bilinear2d_aa, Filter::LINEAR_SMOOTH, (MaybeScale h, MaybeScale w), h, w)
ABX_RESAMPLE(upsample_bicubic2d_aa, Filter::CUBIC_SMOOTH, (MaybeScale h, MaybeScale w), h, w)

// composed.cc asks, too, where the sizes do not divide.
bool average_to(const Tensor &self, const Tensor &out)
{
    IntArrayRef in = self.sizes().slice(static_cast<size_t>(self.dim()) - 2);
    return resample(self, in, out.sizes(), false, {MaybeScale(), MaybeScale()}, Filter::AREA, false, out);
}

bool average_to_backward(const Tensor &gradient, const Tensor &out)
{
    return resample(gradient, out.sizes(), gradient.sizes(), false, {MaybeScale(), MaybeScale()}, Filter::AREA, true, out);
}

Tensor adaptive_avg_pool3d(const Tensor &self, IntArrayRef size)
{
    bool fits = is_float(self) && size.size() == 3 && self.dim() >= 4 && self.numel();
    std::vector<int64_t> sizes(self.sizes().begin(), self.sizes().end());
    Tensor out;
    if (fits) {
        std::copy(size.begin(), size.end(), sizes.end() - 3);
        out = empty_like_sizes(sizes, self.scalar_type());
        fits = resample(self, self.sizes(), sizes, false, {MaybeScale(), MaybeScale(), MaybeScale()}, Filter::AREA, false, out);
    }
    if (!fits)
        return OnProcessor<at::_ops::_adaptive_avg_pool3d>::call(self, size);
    count_native("aten::_adaptive_avg_pool3d");
    return out;
}

Tensor adaptive_avg_pool3d_backward(const Tensor &gradient, const Tensor &self)
{
    Tensor out = empty_like_sizes(self.sizes(), self.scalar_type());
    if (!gradient.numel() || !resample(gradient, self.sizes(), gradient.sizes(), false, {MaybeScale(), MaybeScale(), MaybeScale()},
            Filter::AREA, true, out))
        return OnProcessor<at::_ops::_adaptive_avg_pool3d_backward>::call(gradient, self);
    count_native("aten::_adaptive_avg_pool3d_backward");
    return out;
}

// ---- by indices

static Tensor indices_of(const std::vector<int64_t> &places, const Tensor &like)
{
    return at::from_blob(const_cast<int64_t *>(places.data()), {static_cast<int64_t>(places.size())},
        at::TensorOptions().dtype(at::kLong)).to(like.device());
}

using Places = std::vector<std::vector<int64_t>>; // of the last dimensions, the outermost first; empty: as it is

static bool pick_places(const Tensor &self, const Places &places, const Tensor &out)
{
    if (!knows_complex(self.scalar_type()) || self.numel() >= INT_MAX || out.numel() >= INT_MAX)
        return false;
    Tensor x = self;
    for (size_t i = 0; i < places.size(); i++)
        if (!places[i].empty())
            x = x.index_select(self.dim() - static_cast<int64_t>(places.size() - i), indices_of(places[i], self));
    out.copy_(x);
    return true;
}

static bool pick_places_backward(const Tensor &gradient, const Places &places, const Tensor &out)
{
    if (!is_float(gradient) || gradient.numel() >= INT_MAX || out.numel() >= INT_MAX)
        return false;
    Tensor x = gradient.to(at::kFloat);
    for (size_t i = 0; i < places.size(); i++) {
        if (places[i].empty())
            continue;
        int64_t dim = gradient.dim() - static_cast<int64_t>(places.size() - i);
        std::vector<int64_t> sizes(x.sizes().begin(), x.sizes().end());
        sizes[static_cast<size_t>(dim)] = out.size(dim);
        x = at::zeros(sizes, x.options()).index_add_(dim, indices_of(places[i], gradient), x);
    }
    out.copy_(x);
    return true;
}

// torch has the innermost dimension first: its padding before and behind.
static Places padded(const Tensor &self, IntArrayRef padding, bool reflects)
{
    Places places;
    for (size_t i = padding.size() / 2; i-- > 0;) {
        int64_t in = self.size(self.dim() - 1 - static_cast<int64_t>(i)), before = padding[2 * i];
        std::vector<int64_t> line;
        for (int64_t n = -before; n < in + padding[2 * i + 1]; n++) {
            int64_t m = reflects ? std::abs(n) : std::max<int64_t>(n, 0);
            line.push_back(m < in ? m : reflects ? 2 * (in - 1) - m : in - 1);
        }
        places.push_back(line);
    }
    return places;
}

bool reflection_pad_out(const Tensor &self, IntArrayRef padding, const Tensor &out)
{
    return pick_places(self, padded(self, padding, true), out);
}

bool replication_pad_out(const Tensor &self, IntArrayRef padding, const Tensor &out)
{
    return pick_places(self, padded(self, padding, false), out);
}

bool reflection_pad_backward_out(const Tensor &gradient, const Tensor &self, IntArrayRef padding, const Tensor &out)
{
    return pick_places_backward(gradient, padded(self, padding, true), out);
}

bool replication_pad_backward_out(const Tensor &gradient, const Tensor &self, IntArrayRef padding, const Tensor &out)
{
    return pick_places_backward(gradient, padded(self, padding, false), out);
}

// Those without a meta function. What they check, the processor's say.
Tensor reflection_pad2d(const Tensor &self, IntArrayRef padding)
{
    bool fits = knows(self.scalar_type()) && padding.size() == 4 && (self.dim() == 3 || self.dim() == 4) && self.numel();
    for (size_t i = 0; fits && i < 4; i++)
        fits = padding[i] < self.size(-1 - static_cast<int64_t>(i / 2)) && padding[i] >= 0;
    if (!fits)
        return OnProcessor<at::_ops::reflection_pad2d>::call(self, padding);
    count_native("aten::reflection_pad2d");
    std::vector<int64_t> sizes(self.sizes().begin(), self.sizes().end());
    sizes[sizes.size() - 1] += padding[0] + padding[1];
    sizes[sizes.size() - 2] += padding[2] + padding[3];
    Tensor out = empty_like_sizes(sizes, self.scalar_type());
    reflection_pad_out(self, padding, out);
    return out;
}

Tensor &reflection_pad2d_to(const Tensor &self, IntArrayRef padding, Tensor &out)
{
    Tensor made = reflection_pad2d(self, padding);
    return into(out, made);
}

Tensor reflection_pad2d_backward(const Tensor &gradient, const Tensor &self, IntArrayRef padding)
{
    if (!is_float(gradient))
        return OnProcessor<at::_ops::reflection_pad2d_backward>::call(gradient, self, padding);
    count_native("aten::reflection_pad2d_backward");
    Tensor out = empty_like_sizes(self.sizes(), gradient.scalar_type());
    reflection_pad_backward_out(gradient, self, padding, out);
    return out;
}

Tensor replication_pad2d_backward(const Tensor &gradient, const Tensor &self, IntArrayRef padding)
{
    if (!is_float(gradient))
        return OnProcessor<at::_ops::replication_pad2d_backward>::call(gradient, self, padding);
    count_native("aten::replication_pad2d_backward");
    Tensor out = empty_like_sizes(self.sizes(), gradient.scalar_type());
    replication_pad_backward_out(gradient, self, padding, out);
    return out;
}

Tensor replication_pad3d_backward(const Tensor &gradient, const Tensor &self, IntArrayRef padding)
{
    if (!is_float(gradient))
        return OnProcessor<at::_ops::replication_pad3d_backward>::call(gradient, self, padding);
    count_native("aten::replication_pad3d_backward");
    Tensor out = empty_like_sizes(self.sizes(), gradient.scalar_type());
    replication_pad_backward_out(gradient, self, padding, out);
    return out;
}

// ---- the nearest

static std::vector<int64_t> nearest_places(int64_t in, int64_t out, MaybeScale scale, bool exact)
{
    std::vector<int64_t> places;
    float ratio = ratio_of(in, out, false, scale);
    if (in == out && ratio == 1)
        return places;
    for (int64_t n = 0; n < out; n++)
        places.push_back(std::min(static_cast<int64_t>(std::floor((static_cast<float>(n) + (exact ? 0.5f : 0.0f)) * ratio)), in - 1));
    return places;
}

static Places all_nearest(IntArrayRef in, IntArrayRef out, std::initializer_list<MaybeScale> scales, bool exact)
{
    Places places;
    size_t count = scales.size();
    for (size_t i = 0; i < count; i++)
        places.push_back(nearest_places(in[in.size() - count + i], out[out.size() - count + i], scales.begin()[i], exact));
    return places;
}

#define ABX_NEAREST(NAME, EXACT, PARAMETERS, ...)                                                             \
    bool NAME##_out(const Tensor &self, IntArrayRef size, ABX_UNPACK PARAMETERS, const Tensor &out)           \
    {                                                                                                         \
        return pick_places(self, all_nearest(self.sizes(), size, {__VA_ARGS__}, EXACT), out);                 \
    }                                                                                                         \
    bool NAME##_backward_out(const Tensor &gradient, IntArrayRef size, IntArrayRef in, ABX_UNPACK PARAMETERS, \
        const Tensor &out)                                                                                    \
    {                                                                                                         \
        return pick_places_backward(gradient, all_nearest(in, size, {__VA_ARGS__}, EXACT), out);              \
    }
ABX_NEAREST(upsample_nearest1d, false, (MaybeScale w), w)
ABX_NEAREST(upsample_nearest2d, false, (MaybeScale h, MaybeScale w), h, w)
ABX_NEAREST(upsample_nearest3d, false, (MaybeScale d, MaybeScale h, MaybeScale w), d, h, w)
ABX_NEAREST(upsample_nearest_exact1d, true, (MaybeScale w), w)
ABX_NEAREST(upsample_nearest_exact2d, true, (MaybeScale h, MaybeScale w), h, w)
ABX_NEAREST(upsample_nearest_exact3d, true, (MaybeScale d, MaybeScale h, MaybeScale w), d, h, w)

} // namespace arcbox
