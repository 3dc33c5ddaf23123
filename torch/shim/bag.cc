// torch: sums and averages of rows of a table, a bag of rows each (EmbeddingBag). Composed of searching, choosing and
// adding rows up; the largest of a bag, and rows that count less the more often they occur, are the processor's.
#include "shim.h"

#include <ATen/ops/_embedding_bag_backward_ops.h>
#include <ATen/ops/_embedding_bag_dense_backward_ops.h>
#include <ATen/ops/_embedding_bag_forward_only_ops.h>
#include <ATen/ops/_embedding_bag_ops.h>
#include <ATen/ops/_embedding_bag_per_sample_weights_backward_ops.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding_dense_backward.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/zeros.h>

namespace arcbox {
using at::Tensor;

using Bags = std::tuple<Tensor, Tensor, Tensor, Tensor>;
enum { SUM, MEAN, LARGEST }; // torch's numbers of `mode`

static bool is_index(const Tensor &t)
{
    return t.scalar_type() == at::kLong || t.scalar_type() == at::kInt;
}

static bool can_bag(const Tensor &rows, const Tensor &indices, int64_t mode)
{
    return is_float(rows) && rows.dim() == 2 && is_index(indices) && indices.dim() == 1 && (mode == SUM || mode == MEAN);
}

static bool can_bag_at(const Tensor &rows, const Tensor &indices, const Tensor &offsets, int64_t mode, bool has_end)
{
    return can_bag(rows, indices, mode) && is_index(offsets) && offsets.dim() == 1 && (!has_end || offsets.numel());
}

static Tensor as_column(const Tensor &t, at::ScalarType type)
{
    return t.to(type).unsqueeze(1);
}

// The result, the bag of each index, the sizes of the bags, and nothing: which row is the largest is not asked here.
static Bags bags_of(const Tensor &weight, const Tensor &indices, const Tensor &offsets, int64_t mode,
    const std::optional<Tensor> &factors, bool has_end, int64_t padding)
{
    Tensor starts = has_end ? offsets.narrow(0, 0, offsets.size(0) - 1) : offsets;
    int64_t count = starts.size(0), most = indices.size(0);
    Tensor places = at::arange(most, offsets.options());
    Tensor bag = count ? at::searchsorted(starts, places, false, true).sub_(1).to(offsets.scalar_type()) : places;
    // Numbers of 16 bits are rounded once, at the end.
    Tensor rows = weight.index_select(0, indices).to(at::kFloat), counted = at::zeros({count}, offsets.options());
    Tensor out = at::zeros({count, weight.size(1)}, rows.options());
    if (factors && factors->defined())
        rows = rows.mul(factors->unsqueeze(1));
    Tensor counts = indices.ne(padding).to(offsets.scalar_type());
    if (padding >= 0)
        rows = rows.mul(as_column(counts, rows.scalar_type()));
    if (count) {
        out.index_add_(0, bag, rows);
        counted.index_add_(0, bag, counts);
    }
    if (mode == MEAN)
        out.div_(as_column(counted.clamp_min(1), out.scalar_type()));
    return {out.to(weight.scalar_type()), bag, counted, at::zeros({mode == SUM ? 0 : count}, offsets.options())};
}

Bags embedding_bag(const Tensor &weight, const Tensor &indices, const Tensor &offsets, bool by_frequency, int64_t mode,
    bool sparse, const std::optional<Tensor> &factors, bool has_end, int64_t padding)
{
    if (!can_bag_at(weight, indices, offsets, mode, has_end))
        return OnProcessor<at::_ops::_embedding_bag>::call(weight, indices, offsets, by_frequency, mode, sparse, factors,
            has_end, padding);
    count_native("aten::_embedding_bag");
    return bags_of(weight, indices, offsets, mode, factors, has_end, padding);
}

Bags embedding_bag_only(const Tensor &weight, const Tensor &indices, const Tensor &offsets, bool by_frequency, int64_t mode,
    bool sparse, const std::optional<Tensor> &factors, bool has_end, int64_t padding)
{
    if (!can_bag_at(weight, indices, offsets, mode, has_end))
        return OnProcessor<at::_ops::_embedding_bag_forward_only>::call(weight, indices, offsets, by_frequency, mode, sparse,
            factors, has_end, padding);
    count_native("aten::_embedding_bag_forward_only");
    return bags_of(weight, indices, offsets, mode, factors, has_end, padding);
}

static Tensor gradient_of(const Tensor &gradient, const Tensor &indices, const Tensor &bag, const Tensor &counted,
    int64_t rows, int64_t mode, const std::optional<Tensor> &factors, int64_t padding)
{
    Tensor given = gradient;
    if (mode == MEAN)
        given = given.div(as_column(counted.clamp_min(1), given.scalar_type()));
    Tensor each = given.index_select(0, bag);
    if (factors && factors->defined())
        each = each.mul(factors->unsqueeze(1));
    return at::embedding_dense_backward(each, indices, rows, padding, false);
}

Tensor embedding_bag_backward(const Tensor &gradient, const Tensor &indices, const Tensor &offsets, const Tensor &bag,
    const Tensor &counted, const Tensor &largest, int64_t rows, bool by_frequency, int64_t mode, bool sparse,
    const std::optional<Tensor> &factors, int64_t padding)
{
    if (!can_bag(gradient, indices, mode) || bag.sizes() != indices.sizes() || by_frequency || sparse)
        return OnProcessor<at::_ops::_embedding_bag_backward>::call(gradient, indices, offsets, bag, counted, largest, rows,
            by_frequency, mode, sparse, factors, padding);
    count_native("aten::_embedding_bag_backward");
    return gradient_of(gradient, indices, bag, counted, rows, mode, factors, padding);
}

Tensor embedding_bag_dense_backward(const Tensor &gradient, const Tensor &indices, const Tensor &bag, const Tensor &counted,
    const Tensor &largest, int64_t rows, bool by_frequency, int64_t mode, const std::optional<Tensor> &factors,
    int64_t padding)
{
    if (!can_bag(gradient, indices, mode) || bag.sizes() != indices.sizes() || by_frequency)
        return OnProcessor<at::_ops::_embedding_bag_dense_backward>::call(gradient, indices, bag, counted, largest, rows,
            by_frequency, mode, factors, padding);
    count_native("aten::_embedding_bag_dense_backward");
    return gradient_of(gradient, indices, bag, counted, rows, mode, factors, padding);
}

Tensor embedding_bag_weights_backward(const Tensor &gradient, const Tensor &weight, const Tensor &indices,
    const Tensor &offsets, const Tensor &bag, int64_t mode, int64_t padding)
{
    if (!can_bag(weight, indices, mode) || bag.sizes() != indices.sizes())
        return OnProcessor<at::_ops::_embedding_bag_per_sample_weights_backward>::call(gradient, weight, indices, offsets,
            bag, mode, padding);
    count_native("aten::_embedding_bag_per_sample_weights_backward");
    Tensor each = gradient.index_select(0, bag).mul(weight.index_select(0, indices)).sum(1);
    return padding >= 0 ? each.mul(indices.ne(padding).to(each.scalar_type())) : each;
}

} // namespace arcbox
