// torch: what is sorted, and what is found: sort, topk, nonzero, masked_select, unique, isin, searchsorted.
#include "shim.h"
#include "sort.h"
#include "structured.h"

#include <ATen/ExpandUtils.h>
#include <ATen/MemoryOverlap.h>
#include <ATen/WrapDimUtils.h>
#include <ATen/native/BucketizationUtils.h>
#include <ATen/ops/_unique2_ops.h>
#include <ATen/ops/any.h>
#include <ATen/ops/bincount_ops.h>
#include <ATen/ops/bucketize_ops.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/full.h>
#include <ATen/ops/kthvalue_ops.h>
#include <ATen/ops/masked_scatter_ops.h>
#include <ATen/ops/masked_select_ops.h>
#include <ATen/ops/multinomial_native.h>
#include <ATen/ops/multinomial_ops.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/nonzero_ops.h>
#include <ATen/ops/rand_like.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/searchsorted_ops.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/unique_consecutive_ops.h>
#include <ATen/ops/where.h>
#include <ATen/ops/histc_ops.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/mode_ops.h>
#include <ATen/ops/histogram_ops.h>
#include <ATen/ops/median_ops.h>
#include <ATen/ops/nanmedian_ops.h>
#include <ATen/ops/unique_dim_consecutive_ops.h>
#include <ATen/native/Resize.h>

namespace arcbox {
using at::Scalar;
using at::Tensor;

static bool sort_along(const Tensor &self, int64_t dim, bool descending, int64_t keep, const Tensor &values,
    const Tensor &index)
{
    if (!knows(self.scalar_type()) || self.dim() > ABX_TORCH_DIMS || self.numel() >= INT_MAX)
        return false;
    if (index.numel() == 0)
        return true;
    Tensor from = self.dim() ? self : self.unsqueeze(0), to = values.dim() ? values : values.unsqueeze(0);
    Tensor places = index.dim() ? index : index.unsqueeze(0);
    abx_torch_tensor f = tensor_of(from), v = tensor_of(to), i = tensor_of(places);
    int result = abx_torch_sort(&v, &i, &f, static_cast<unsigned>(at::maybe_wrap_dim(dim, from.dim())), descending,
        static_cast<uint32_t>(keep));
    if (result == -ENOTSUP)
        return false;
    check(result);
    return true;
}

static int64_t elements_along(const Tensor &self, int64_t dim)
{
    return self.dim() ? self.size(at::maybe_wrap_dim(dim, self.dim())) : 1;
}

bool sort_out(const Tensor &self, std::optional<bool>, int64_t dim, bool descending, const Tensor &values,
    const Tensor &index)
{
    return sort_along(self, dim, descending, elements_along(self, dim), values, index);
}

bool topk_out(const Tensor &self, int64_t k, int64_t dim, bool largest, bool, const Tensor &values,
    const Tensor &index)
{
    return sort_along(self, dim, largest, k, values, index);
}

// ---- what is not 0

Tensor nonzero(const Tensor &self)
{
    if (self.scalar_type() == at::kComplexFloat)
        return nonzero(self.ne(0));
    if (!knows(self.scalar_type()) || self.dim() > ABX_TORCH_DIMS || self.numel() >= INT_MAX)
        return OnProcessor<at::_ops::nonzero>::call(self);
    count_native("aten::nonzero");
    if (self.numel() == 0)
        return empty_like_sizes({0, self.dim()}, at::kLong);
    Tensor from = self.contiguous();
    abx_torch_nonzero n = {};
    n.from = operand_of(from);
    n.type = static_cast<int>(from.scalar_type());
    n.dims = static_cast<unsigned>(from.dim());
    n.count = static_cast<uint64_t>(from.numel());
    for (unsigned d = 0; d < n.dims; d++)
        n.size[d] = static_cast<uint32_t>(from.size(d));
    uint64_t found = 0;
    check(abx_torch_count_places(&n, &found));
    std::unique_ptr<abx_torch_block, decltype(&abx_torch_free)> before(n.before, &abx_torch_free);
    Tensor out = empty_like_sizes({static_cast<int64_t>(found), self.dim()}, at::kLong);
    if (out.numel()) {
        abx_torch_operand to = operand_of(out);
        check(abx_torch_write_places(&n, &to));
    }
    return out;
}

Tensor &nonzero_out(const Tensor &self, Tensor &out)
{
    TORCH_CHECK(out.scalar_type() == at::kLong, "nonzero: Expected out tensor to have scalar type Long, but got ",
        out.scalar_type());
    TORCH_CHECK(self.device() == out.device(), "expected self and out to be on the same device, but got out on ",
        out.device(), " and self on ", self.device());
    Tensor found = nonzero(self);
    return into(out, found);
}

Tensor masked_select(const Tensor &self, const Tensor &mask)
{
    TORCH_CHECK(mask.scalar_type() == at::kBool, "masked_select: expected BoolTensor for mask");
    if (!knows_complex(self.scalar_type()))
        return OnProcessor<at::_ops::masked_select>::call(self, mask);
    count_native("aten::masked_select");
    auto [m, s] = at::expand_outplace(mask, self);
    Tensor places = nonzero(m->reshape({-1}));
    return s->reshape({-1}).index_select(0, places.view({-1}));
}

Tensor &masked_select_out(const Tensor &self, const Tensor &mask, Tensor &out)
{
    TORCH_CHECK(self.scalar_type() == out.scalar_type(), "masked_select(): self and result must have the same scalar type");
    at::assert_no_internal_overlap(out);
    at::assert_no_overlap(out, self);
    at::assert_no_overlap(out, mask);
    Tensor found = masked_select(self, mask);
    return into(out, found);
}

Tensor &masked_scatter(Tensor &self, const Tensor &mask, const Tensor &source)
{
    TORCH_CHECK(self.scalar_type() == source.scalar_type(), "masked_scatter: expected self and source to have same dtypes but got ",
        self.scalar_type(), " and ", source.scalar_type());
    TORCH_CHECK(mask.scalar_type() == at::kBool, "masked_scatter_ only supports boolean masks, but got mask with dtype ",
        mask.scalar_type());
    if (!knows(self.scalar_type()) || self.numel() == 0 || self.numel() >= INT_MAX)
        return OnProcessor<at::_ops::masked_scatter_>::call(self, mask, source);
    count_native("aten::masked_scatter_");
    Tensor places = nonzero(mask.expand(self.sizes()).reshape({-1})).view({-1});
    TORCH_CHECK(places.numel() <= source.numel(), "masked_scatter: expected `self` and `source` to have enough elements: ",
        source.numel(), " for ", places.numel());
    Tensor whole = self.contiguous();
    whole.view({-1}).scatter_(0, places, source.reshape({-1}).narrow(0, 0, places.numel()));
    return self.is_contiguous() ? self : self.copy_(whole);
}

// ---- each but once

// Of what lies behind its equals. `order` says where it was before that, or is not defined.
static std::tuple<Tensor, Tensor, Tensor> runs_of(const Tensor &flat, const Tensor &order, bool inverse, bool counts,
    at::IntArrayRef shape)
{
    int64_t n = flat.numel();
    Tensor starts = empty_like_sizes({n}, at::kBool);
    starts.narrow(0, 0, 1).fill_(true);
    if (n > 1) {
        Tensor others = starts.narrow(0, 1, n - 1);
        at::ne_out(others, flat.narrow(0, 1, n - 1), flat.narrow(0, 0, n - 1));
    }
    Tensor places = nonzero(starts).view({-1});
    Tensor out = flat.index_select(0, places), numbers = empty_like_sizes({0}, at::kLong), lengths = numbers;
    if (inverse) {
        Tensor ranks = at::cumsum(starts, 0, at::kLong).sub_(1);
        numbers = order.defined() ? at::empty_like(ranks).scatter_(0, order, ranks) : ranks;
        numbers = numbers.view(shape);
    }
    if (counts) {
        Tensor end = at::full({1}, n, places.options());
        lengths = at::cat({places.narrow(0, 1, places.numel() - 1), end}).sub_(places);
    }
    return {out, numbers, lengths};
}

std::tuple<Tensor, Tensor, Tensor> unique2(const Tensor &self, bool sorted, bool inverse, bool counts)
{
    if (!knows(self.scalar_type()) || self.numel() == 0)
        return OnProcessor<at::_ops::_unique2>::call(self, sorted, inverse, counts);
    count_native("aten::_unique2");
    auto [values, order] = at::sort(self.reshape({-1}));
    return runs_of(values, order, inverse, counts, self.sizes());
}

std::tuple<Tensor, Tensor, Tensor> unique_consecutive(const Tensor &self, bool inverse, bool counts,
    std::optional<int64_t> dim)
{
    if (!knows(self.scalar_type()) || self.numel() == 0 || (dim && self.dim() != 1))
        return OnProcessor<at::_ops::unique_consecutive>::call(self, inverse, counts, dim);
    count_native("aten::unique_consecutive");
    return runs_of(self.reshape({-1}), Tensor(), inverse, counts, self.sizes());
}

// ---- whether, and where

static constexpr int64_t MOST_PAIRS = 1 << 26; // of elements that are compared each with each

bool isin_out(const Tensor &elements, const Tensor &among, bool, bool invert, const Tensor &out)
{
    if (!knows(elements.scalar_type()) || !knows(among.scalar_type()) || elements.numel() * among.numel() > MOST_PAIRS)
        return false;
    Tensor found = at::any(at::eq(elements.unsqueeze(-1), among.reshape({-1})), -1);
    out.copy_(invert ? found.logical_not_() : found);
    return true;
}

bool isin_number_out(const Tensor &elements, const Scalar &number, bool, bool invert, const Tensor &out)
{
    if (!knows(elements.scalar_type()) || number.isComplex())
        return false;
    out.copy_(invert ? at::ne(elements, number) : at::eq(elements, number));
    return true;
}

Tensor &searchsorted_out(const Tensor &sorted, const Tensor &self, bool out_int32, bool right,
    std::optional<c10::string_view> side, const std::optional<Tensor> &sorter, Tensor &out)
{
    Tensor order = sorter && sorter->defined() ? *sorter : Tensor();
    at::native::searchsorted_pre_check(sorted, self, out, out_int32, right, side, order);
    if (!knows(sorted.scalar_type()) || !knows(self.scalar_type()) || sorted.numel() >= INT_MAX || self.numel() >= INT_MAX)
        return OnProcessor<at::_ops::searchsorted_Tensor_out>::call(sorted, self, out_int32, right, side, sorter, out);
    count_native("aten::searchsorted");
    at::native::resize_output(out, self.sizes());
    if (self.numel() == 0)
        return out;
    if (sorted.numel() == 0)
        return out.zero_();
    at::ScalarType type = at::result_type(sorted, self);
    Tensor rows = sorted.to(type).contiguous(), values = self.to(type).contiguous();
    Tensor places = order.defined() ? order.to(at::kLong).contiguous() : order;
    Tensor to = out.is_contiguous() ? out : empty_like_sizes(out.sizes(), out.scalar_type());
    bool one = sorted.dim() == 1;
    abx_torch_search s = {};
    s.to = operand_of(to);
    s.row = operand_of(rows);
    s.values = operand_of(values);
    if (places.defined())
        s.order = operand_of(places);
    s.row_type = s.value_type = static_cast<int>(type);
    s.to_type = static_cast<int>(out.scalar_type());
    s.count = static_cast<uint32_t>(sorted.size(-1));
    s.values_in_row = static_cast<uint32_t>(one ? self.numel() : self.size(-1));
    s.rows = static_cast<uint32_t>(self.numel() / s.values_in_row);
    s.one_row = one;
    s.behind = side ? *side == "right" : right;
    check(abx_torch_run_search(&s));
    if (!to.is_same(out))
        out.copy_(to);
    return out;
}

Tensor searchsorted(const Tensor &sorted, const Tensor &self, bool out_int32, bool right,
    std::optional<c10::string_view> side, const std::optional<Tensor> &sorter)
{
    Tensor out = empty_like_sizes({0}, out_int32 ? at::kInt : at::kLong);
    return searchsorted_out(sorted, self, out_int32, right, side, sorter, out);
}

Tensor &bucketize_out(const Tensor &self, const Tensor &bounds, bool out_int32, bool right, Tensor &out)
{
    TORCH_CHECK(bounds.dim() == 1, "boundaries tensor must be 1 dimension, but got dim(", bounds.dim(), ")");
    return searchsorted_out(bounds, self, out_int32, right, std::nullopt, std::nullopt, out);
}

Tensor bucketize(const Tensor &self, const Tensor &bounds, bool out_int32, bool right)
{
    Tensor out = empty_like_sizes({0}, out_int32 ? at::kInt : at::kLong);
    return bucketize_out(self, bounds, out_int32, right, out);
}

Tensor bincount(const Tensor &self, const std::optional<Tensor> &weights, int64_t least)
{
    bool weighs = weights && weights->defined();
    TORCH_CHECK(least >= 0, "minlength should be >= 0");
    TORCH_CHECK(self.dim() == 1 && (self.numel() == 0 || (at::isIntegralType(self.scalar_type(), false) &&
        self.min().item().toLong() >= 0)), "bincount only supports 1-d non-negative integral inputs.");
    TORCH_CHECK(!weighs || (weights->dim() == 1 && weights->numel() == self.numel()),
        "weights should be 1-d and have the same length as input");
    if (weighs && !knows(weights->scalar_type()))
        return OnProcessor<at::_ops::bincount>::call(self, weights, least);
    count_native("aten::bincount");
    int64_t size = self.numel() ? std::max(least, self.max().item().toLong() + 1) : least;
    Tensor out = empty_like_sizes({size}, !weighs ? at::kLong : is_float(*weights) ? at::kFloat
            : weights->scalar_type() == at::kLong ? at::kLong : at::kInt);
    out.zero_();
    Tensor added = weighs ? weights->to(out.scalar_type()) : at::full({1}, 1, out.options()).expand(self.sizes());
    return self.numel() ? out.scatter_add_(0, self.to(at::kLong), added) : out;
}

// ---- drawn by weights

void assert_true(const Tensor &self, c10::string_view message)
{
    count_native("aten::_assert_async");
    TORCH_CHECK(self.numel() == 1 && self.item().to<bool>(), message);
}

// Without putting back, or one: torch's own way, which asks whether the weights are any. Else where uniform numbers
// come in their sums.
Tensor &multinomial_out(const Tensor &self, int64_t count, bool replacement, std::optional<at::Generator> generator,
    Tensor &out)
{
    if (!is_float(self) || out.scalar_type() != at::kLong)
        return OnProcessor<at::_ops::multinomial_out>::call(self, count, replacement, generator, out);
    count_native("aten::multinomial");
    if (!replacement || count == 1 || self.dim() < 1 || self.dim() > 2 || self.numel() == 0)
        return at::native::multinomial_out(self, count, replacement, generator, out);
    TORCH_CHECK(count > 0, "cannot sample n_sample <= 0 samples");
    Tensor sums = at::cumsum(self.dim() == 1 ? self.unsqueeze(0) : self, -1, at::kFloat);
    Tensor draws = empty_like_sizes({sums.size(0), count}, at::kFloat).uniform_(0, 1, generator);
    draws.mul_(sums.narrow(1, sums.size(1) - 1, 1));
    Tensor found = at::searchsorted(sums, draws, false, true).clamp_max_(sums.size(1) - 1);
    found = self.dim() == 1 ? found.squeeze(0) : found;
    return into(out, found);
}

Tensor multinomial(const Tensor &self, int64_t count, bool replacement, std::optional<at::Generator> generator)
{
    Tensor out = empty_like_sizes({0}, at::kLong);
    return multinomial_out(self, count, replacement, generator, out);
}

Tensor searchsorted_number(const Tensor &sorted, const Scalar &self, bool out_int32, bool right,
    std::optional<c10::string_view> side, const std::optional<Tensor> &sorter)
{
    return arcbox::searchsorted(sorted, at::full({}, self, sorted.options()), out_int32, right, side, sorter);
}

Tensor &searchsorted_number_out(const Tensor &sorted, const Scalar &self, bool out_int32, bool right,
    std::optional<c10::string_view> side, const std::optional<Tensor> &sorter, Tensor &out)
{
    return searchsorted_out(sorted, at::full({}, self, sorted.options()), out_int32, right, side, sorter, out);
}

Tensor bucketize_number(const Scalar &self, const Tensor &bounds, bool out_int32, bool right)
{
    return bucketize(at::full({}, self, bounds.options()), bounds, out_int32, right);
}

// ---- the one in the middle

static void pick(const Tensor &self, int64_t dim, bool keepdim, abx_torch_rank rank, int64_t number, Tensor &values, Tensor &index)
{
    Tensor from = self.dim() ? self : self.unsqueeze(0);
    std::vector<int64_t> sizes(from.sizes().begin(), from.sizes().end());
    sizes[static_cast<size_t>(dim)] = 1;
    Tensor v = empty_like_sizes(sizes, self.scalar_type()), i = empty_like_sizes(sizes, at::kLong);
    abx_torch_tensor f = tensor_of(from), to = tensor_of(v), at = tensor_of(i);
    check(abx_torch_pick(&to, &at, &f, static_cast<unsigned>(dim), rank, static_cast<uint32_t>(number)));
    into(values, self.dim() && keepdim ? v : v.squeeze(dim));
    into(index, self.dim() && keepdim ? i : i.squeeze(dim));
}

static void find_median(const Tensor &self, int64_t dim, bool keepdim, bool ignores_nan, Tensor &values, Tensor &index)
{
    pick(self, dim, keepdim, ignores_nan ? ABX_TORCH_MIDDLE_OF_NUMBERS : ABX_TORCH_MIDDLE, 0, values, index);
}

static bool can_find_median(const Tensor &self)
{
    return knows(self.scalar_type()) && self.scalar_type() != at::kBool && self.numel() && self.numel() < INT_MAX &&
        self.dim() <= 8;
}

std::tuple<Tensor &, Tensor &> median_out(const Tensor &self, int64_t dim, bool keepdim, Tensor &values, Tensor &index)
{
    if (!can_find_median(self))
        return OnProcessor<at::_ops::median_dim_values>::call(self, dim, keepdim, values, index);
    count_native("aten::median");
    find_median(self, at::maybe_wrap_dim(dim, self.dim()), keepdim, false, values, index);
    return {values, index};
}

std::tuple<Tensor &, Tensor &> nanmedian_out(const Tensor &self, int64_t dim, bool keepdim, Tensor &values, Tensor &index)
{
    if (!can_find_median(self))
        return OnProcessor<at::_ops::nanmedian_dim_values>::call(self, dim, keepdim, values, index);
    count_native("aten::nanmedian");
    find_median(self, at::maybe_wrap_dim(dim, self.dim()), keepdim, true, values, index);
    return {values, index};
}

static Tensor median_of_all(const Tensor &self, bool ignores_nan)
{
    Tensor value = empty_like_sizes({}, self.scalar_type()), index = empty_like_sizes({}, at::kLong);
    find_median(self.reshape({-1}), 0, false, ignores_nan, value, index);
    return value;
}

Tensor median(const Tensor &self)
{
    if (!can_find_median(self))
        return OnProcessor<at::_ops::median>::call(self);
    count_native("aten::median");
    return median_of_all(self, false);
}

Tensor nanmedian(const Tensor &self)
{
    if (!can_find_median(self))
        return OnProcessor<at::_ops::nanmedian>::call(self);
    count_native("aten::nanmedian");
    return median_of_all(self, true);
}

std::tuple<Tensor &, Tensor &> kthvalue_out(const Tensor &self, int64_t k, int64_t dim, bool keepdim, Tensor &values,
    Tensor &index)
{
    int64_t d = at::maybe_wrap_dim(dim, self.dim()), n = self.dim() ? self.size(d) : 1;
    if (!can_find_median(self) || k < 1 || k > n)
        return OnProcessor<at::_ops::kthvalue_values>::call(self, k, dim, keepdim, values, index);
    count_native("aten::kthvalue");
    pick(self, d, keepdim, ABX_TORCH_RANK, k - 1, values, index);
    return {values, index};
}

// ---- rows that differ from the one before

std::tuple<Tensor, Tensor, Tensor> unique_rows_consecutive(const Tensor &self, int64_t dim, bool inverse, bool counts)
{
    if (!knows(self.scalar_type()) || self.numel() == 0 || self.dim() == 0)
        return OnProcessor<at::_ops::unique_dim_consecutive>::call(self, dim, inverse, counts);
    count_native("aten::unique_dim_consecutive");
    Tensor rows = self.movedim(dim, 0).flatten(1);
    int64_t n = rows.size(0);
    rows = rows.reshape({n, -1});
    Tensor starts = empty_like_sizes({n}, at::kBool).fill_(true);
    if (n > 1)
        starts.narrow(0, 1, n - 1).copy_(rows.narrow(0, 1, n - 1).ne(rows.narrow(0, 0, n - 1)).any(1));
    Tensor places = nonzero(starts).view({-1}), ranks = empty_like_sizes({0}, at::kLong), lengths = ranks;
    if (inverse)
        ranks = at::cumsum(starts, 0, at::kLong).sub_(1);
    if (counts)
        lengths = at::cat({places.narrow(0, 1, places.numel() - 1), at::full({1}, n, places.options())}).sub_(places);
    return {self.index_select(dim, places), ranks, lengths};
}

// ---- how many are in each part of a range

// Elements that are in none, or no number, count for nobody.
static Tensor counted(const Tensor &places, const Tensor &among, const Tensor &weights, int64_t bins)
{
    Tensor out = empty_like_sizes({bins}, weights.scalar_type()).zero_();
    return out.scatter_add_(0, places.clamp(0, bins - 1), weights.mul(among));
}

Tensor histc(const Tensor &self, int64_t bins, const Scalar &least, const Scalar &most)
{
    if (!is_float(self))
        return OnProcessor<at::_ops::histc>::call(self, bins, least, most);
    TORCH_CHECK(bins > 0, "bins must be > 0");
    count_native("aten::histc");
    double low = least.toDouble(), high = most.toDouble();
    Tensor x = self.reshape({-1}).to(at::kFloat);
    if (low == high && x.numel()) {
        low = x.min().item().toDouble();
        high = x.max().item().toDouble();
    }
    if (low == high) {
        low -= 1;
        high += 1;
    }
    TORCH_CHECK(std::isfinite(low) && std::isfinite(high), "range of [", low, ", ", high, "] is not finite");
    TORCH_CHECK(low < high, "max must be larger than min");
    Tensor places = x.sub(low).mul_(static_cast<double>(bins) / (high - low)).floor_().clamp_(-1, bins);
    places = places.nan_to_num_(-1).to(at::kLong).clamp_max_(bins - 1);
    Tensor ones = empty_like_sizes(x.sizes(), at::kFloat).fill_(1);
    return counted(places, x.ge(low).logical_and_(x.le(high)), ones, bins).to(self.scalar_type());
}

Tensor &histc_out(const Tensor &self, int64_t bins, const Scalar &least, const Scalar &most, Tensor &out)
{
    Tensor made = histc(self, bins, least, most);
    return into(out, made);
}

std::tuple<Tensor &, Tensor &> histogram_out(const Tensor &self, const Tensor &edges, const std::optional<Tensor> &weight,
    bool density, Tensor &out, Tensor &out_edges)
{
    if (!is_float(self) || edges.dim() != 1 || edges.numel() < 2 || edges.scalar_type() != self.scalar_type())
        return OnProcessor<at::_ops::histogram_bins_tensor_out>::call(self, edges, weight, density, out, out_edges);
    count_native("aten::histogram");
    int64_t bins = edges.numel() - 1;
    Tensor x = self.reshape({-1}), line = edges.contiguous(), last = line.select(0, bins);
    Tensor places = arcbox::searchsorted(line, x, false, true, std::nullopt, std::nullopt).sub_(1).clamp_max_(bins - 1);
    Tensor weights = weight && weight->defined() ? weight->reshape({-1}) : at::full({}, 1, x.options()).expand(x.sizes());
    Tensor made = counted(places, x.ge(line.select(0, 0)).logical_and_(x.le(last)), weights, bins);
    if (density)
        made.div_(made.sum().mul(line.narrow(0, 1, bins).sub(line.narrow(0, 0, bins))));
    into(out, made);
    into(out_edges, edges);
    return {out, out_edges};
}

std::tuple<Tensor, Tensor> histogram(const Tensor &self, const Tensor &edges, const std::optional<Tensor> &weight, bool density)
{
    Tensor out = empty_like_sizes({0}, self.scalar_type()), out_edges = empty_like_sizes({0}, edges.scalar_type());
    histogram_out(self, edges, weight, density, out, out_edges);
    return {out, out_edges};
}

// ---- what is there most often: the smallest of such, and the last of its places

std::tuple<Tensor, Tensor> most_frequent(const Tensor &self, int64_t dim, bool keepdim)
{
    if (!knows(self.scalar_type()) || !self.numel() || self.numel() >= INT_MAX)
        return OnProcessor<at::_ops::mode>::call(self, dim, keepdim);
    count_native("aten::mode");
    int64_t d = at::maybe_wrap_dim(dim, self.dim());
    Tensor x = self.dim() ? self.movedim(d, -1).contiguous() : self.unsqueeze(0);
    auto [sorted, order] = at::sort(x, true, -1, false);
    int64_t n = sorted.size(-1);
    Tensor ends = empty_like_sizes(sorted.sizes(), at::kBool).fill_(true);
    if (n > 1)
        ends.narrow(-1, 0, n - 1).copy_(sorted.narrow(-1, 1, n - 1).ne(sorted.narrow(-1, 0, n - 1)));
    // How many there are, at the place of the last: its distance from the end before.
    Tensor line = at::cumsum(at::full({n}, 1, order.options()), 0), at = line.mul(ends);
    Tensor before = at::zeros(at.sizes(), at.options());
    if (n > 1)
        before.narrow(-1, 1, n - 1).copy_(std::get<0>(at.cummax(-1)).narrow(-1, 0, n - 1));
    Tensor best = at.sub(before).mul_(ends).argmax(-1, true);
    Tensor values = sorted.gather(-1, best), index = order.gather(-1, best);
    if (!self.dim() || !keepdim)
        return {values.squeeze(-1), index.squeeze(-1)};
    return {values.movedim(-1, d), index.movedim(-1, d)};
}

} // namespace arcbox
