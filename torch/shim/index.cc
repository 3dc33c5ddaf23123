// torch: elements found by indices: gather, scatter, embeddings, advanced indexing, scans.
#include "shim.h"
#include "index.h"
#include "structured.h"

#include <ATen/WrapDimUtils.h>
#include <ATen/ops/_index_put_impl_ops.h>
#include <ATen/ops/_cummax_helper_ops.h>
#include <ATen/ops/_cummin_helper_ops.h>
#include <ATen/ops/_logcumsumexp_ops.h>
#include <ATen/ops/put_ops.h>
#include <ATen/ops/take_ops.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding_dense_backward_ops.h>
#include <ATen/ops/index.h>
#include <ATen/ops/index_meta.h>
#include <ATen/ops/index_ops.h>
#include <ATen/ops/index_select_ops.h>
#include <ATen/ops/view_as_real.h>
#include <ATen/native/Resize.h>

namespace arcbox {
using at::Scalar;
using at::Tensor;

static Tensor at_least_one(const Tensor &t)
{
    return t.dim() ? t : t.unsqueeze(0);
}

static bool can_index(const Tensor &a, const Tensor &index)
{
    return knows(a.scalar_type()) && (index.scalar_type() == at::kLong || index.scalar_type() == at::kInt) &&
        a.dim() <= 8 && a.numel() < INT_MAX && index.numel() < INT_MAX;
}

// One dimension of indices, as one of `like`'s dimensions.
static abx_torch_tensor along(const Tensor &index, const Tensor &like, int64_t dim)
{
    abx_torch_tensor made = tensor_of(like);
    abx_torch_tensor given = tensor_of(index);
    made.at = given.at;
    made.type = given.type;
    for (unsigned d = 0; d < made.dims; d++)
        made.stride[d] = 0;
    made.stride[dim] = given.dims ? given.stride[0] : 0;
    made.size[dim] = index.numel();
    return made;
}

bool gather_out(const Tensor &self, int64_t dim, const Tensor &index, bool, const Tensor &out)
{
    if (self.scalar_type() == at::kComplexFloat)
        return gather_out(as_words(self), dim, index, false, as_words(out));
    if (out.numel() == 0)
        return true;
    if (!can_index(self, index))
        return false;
    Tensor from = at_least_one(self), to = at_least_one(out), places = at_least_one(index);
    abx_torch_tensor t = tensor_of(to), f = tensor_of(from), i = tensor_of(places);
    check(abx_torch_select(&t, &f, &i, static_cast<unsigned>(at::maybe_wrap_dim(dim, from.dim()))));
    return true;
}

Tensor index_select(const Tensor &self, int64_t dim, const Tensor &index)
{
    TORCH_CHECK_INDEX(index.dim() <= 1, "index_select(): Index is supposed to be a vector");
    TORCH_CHECK(index.scalar_type() == at::kLong || index.scalar_type() == at::kInt,
        "index_select(): Expected dtype int32 or int64 for index");
    int64_t d = at::maybe_wrap_dim(dim, self.dim());
    if (self.scalar_type() == at::kComplexFloat)
        return index_select(as_words(self), dim, index).view(at::kComplexFloat);
    if (!can_index(self, index) || (self.dim() == 0 && index.numel() != 1))
        return OnProcessor<at::_ops::index_select>::call(self, dim, index);
    count_native("aten::index_select");
    Tensor from = at_least_one(self);
    std::vector<int64_t> sizes(from.sizes().begin(), from.sizes().end());
    sizes[static_cast<size_t>(d)] = index.numel();
    Tensor out = empty_like_sizes(sizes, self.scalar_type());
    if (out.numel()) {
        abx_torch_tensor t = tensor_of(out), f = tensor_of(from), i = along(index, out, d);
        check(abx_torch_select(&t, &f, &i, static_cast<unsigned>(d)));
    }
    return self.dim() ? out : out.squeeze(0);
}

// ---- scatter

static bool scatter(const Tensor &out, int64_t dim, const Tensor &index, const Tensor &source, abx_torch_scatter mode,
    const Scalar &number = 0)
{
    if (index.numel() == 0)
        return true;
    Tensor to = at_least_one(out), places = at_least_one(index), from = source.defined() ? at_least_one(source) : to;
    abx_torch_tensor t = tensor_of(to), f = tensor_of(from), i = tensor_of(places);
    check(abx_torch_run_scatter(&t, source.defined() ? &f : nullptr, &i,
        static_cast<unsigned>(at::maybe_wrap_dim(dim, to.dim())), mode, number_of(number), number_of(1.0)));
    return true;
}

static void begin(const Tensor &self, const Tensor &out)
{
    if (!out.is_same(self))
        out.copy_(self);
}

bool scatter_out(const Tensor &self, int64_t dim, const Tensor &index, const Tensor &source, const Tensor &out)
{
    if (out.scalar_type() == at::kComplexFloat && source.scalar_type() == out.scalar_type())
        return scatter_out(as_words(self), dim, index, as_words(source), as_words(out));
    if (!can_index(out, index) || source.scalar_type() != out.scalar_type())
        return false;
    begin(self, out);
    return scatter(out, dim, index, source, ABX_TORCH_SET);
}

bool scatter_number_out(const Tensor &self, int64_t dim, const Tensor &index, const Scalar &value, const Tensor &out)
{
    if (!can_index(out, index))
        return false;
    begin(self, out);
    return scatter(out, dim, index, Tensor(), ABX_TORCH_SET_NUMBER, value);
}

bool scatter_rule_out(const Tensor &self, int64_t dim, const Tensor &index, const Tensor &source, c10::string_view rule,
    const Tensor &out)
{
    if (!can_index(out, index) || source.scalar_type() != out.scalar_type())
        return false;
    begin(self, out);
    return scatter(out, dim, index, source, rule == "add" ? ABX_TORCH_ADD : ABX_TORCH_MULTIPLY);
}

bool scatter_number_rule_out(const Tensor &self, int64_t dim, const Tensor &index, const Scalar &value, c10::string_view rule,
    const Tensor &out)
{
    Tensor one = empty_like_sizes({}, out.scalar_type());
    return scatter_rule_out(self, dim, index, one.fill_(value).expand(index.sizes()), rule, out);
}

bool scatter_add_out(const Tensor &self, int64_t dim, const Tensor &index, const Tensor &source, const Tensor &out)
{
    if (!can_index(out, index) || source.scalar_type() != out.scalar_type())
        return false;
    begin(self, out);
    return scatter(out, dim, index, source, ABX_TORCH_ADD);
}

// What stands for nothing when it is combined by the rule.
static Scalar neutral_of(c10::string_view rule, at::ScalarType type)
{
    if (rule == "prod")
        return 1;
    if (rule == "sum" || rule == "mean")
        return 0;
    bool most = rule == "amin";
    if (abx_torch_is_float(static_cast<int>(type)))
        return most ? INFINITY : -INFINITY;
    switch (type) {
    case at::kLong:
        return most ? INT64_MAX : INT64_MIN;
    case at::kInt:
        return static_cast<int64_t>(most ? INT32_MAX : INT32_MIN);
    case at::kShort:
        return most ? INT16_MAX : INT16_MIN;
    case at::kChar:
        return most ? INT8_MAX : INT8_MIN;
    case at::kByte:
        return most ? UINT8_MAX : 0;
    default:
        return most;
    }
}

bool scatter_reduce_out(const Tensor &self, int64_t dim, const Tensor &index, const Tensor &source,
    c10::string_view rule, bool include_self, const Tensor &out)
{
    if (!can_index(out, index) || source.scalar_type() != out.scalar_type())
        return false;
    begin(self, out);
    if (!include_self)
        scatter(out, dim, index, Tensor(), ABX_TORCH_SET_NUMBER, neutral_of(rule, out.scalar_type()));
    bool is_mean = rule == "mean";
    scatter(out, dim, index, source, rule == "sum" || is_mean ? ABX_TORCH_ADD : rule == "prod" ? ABX_TORCH_MULTIPLY
            : rule == "amax" ? ABX_TORCH_LARGER : ABX_TORCH_SMALLER);
    if (is_mean && index.numel()) {
        Tensor count = empty_like_sizes(out.sizes(), out.scalar_type()), one = empty_like_sizes({}, out.scalar_type());
        count.fill_(1);
        if (!include_self)
            scatter(count, dim, index, Tensor(), ABX_TORCH_SET_NUMBER, 0);
        scatter(count, dim, index, one.fill_(1).expand(index.sizes()), ABX_TORCH_ADD);
        count.masked_fill_(count.eq(0), 1);
        Tensor to = out;
        is_float(to) ? to.div_(count) : to.div_(count, "floor");
    }
    return true;
}

bool index_add_out(const Tensor &self, int64_t dim, const Tensor &index, const Tensor &source, const Scalar &alpha,
    const Tensor &out)
{
    bool complex = out.scalar_type() == at::kComplexFloat && source.scalar_type() == out.scalar_type() && self.dim();
    if (complex && !alpha.isComplex()) { // both parts at the same places
        return index_add_out(at::view_as_real(self.resolve_conj()), at::maybe_wrap_dim(dim, self.dim()), index,
            at::view_as_real(source.resolve_conj()), alpha, at::view_as_real(out));
    }
    if (!can_index(out, index) || source.scalar_type() != out.scalar_type())
        return false;
    begin(self, out);
    if (index.numel() == 0 || source.numel() == 0)
        return true;
    Tensor to = at_least_one(out), from = at_least_one(source);
    int64_t d = at::maybe_wrap_dim(dim, to.dim());
    abx_torch_tensor t = tensor_of(to), f = tensor_of(from), i = along(index, from, d);
    check(abx_torch_run_scatter(&t, &f, &i, static_cast<unsigned>(d), ABX_TORCH_ADD, number_of(0.0),
        number_of(alpha)));
    return true;
}

// One dimension of indices for every element of what goes there.
static Tensor spread(const Tensor &index, const Tensor &source, int64_t dim)
{
    std::vector<int64_t> sizes(static_cast<size_t>(source.dim()), 1);
    if (sizes.empty())
        return index.reshape({});
    sizes[static_cast<size_t>(at::maybe_wrap_dim(dim, source.dim()))] = index.numel();
    return index.reshape(sizes).expand(source.sizes());
}

bool index_copy_out(const Tensor &self, int64_t dim, const Tensor &index, const Tensor &source, const Tensor &out)
{
    return scatter_out(self, dim, spread(index, source, dim), source, out);
}

bool index_reduce_out(const Tensor &self, int64_t dim, const Tensor &index, const Tensor &source, c10::string_view rule,
    bool include_self, const Tensor &out)
{
    return scatter_reduce_out(self, dim, spread(index, source, dim), source, rule, include_self, out);
}

Tensor embedding_dense_backward(const Tensor &gradient, const Tensor &indices, int64_t rows, int64_t padding,
    bool by_frequency)
{
    if (by_frequency || !can_index(gradient, indices))
        return OnProcessor<at::_ops::embedding_dense_backward>::call(gradient, indices, rows, padding, by_frequency);
    count_native("aten::embedding_dense_backward");
    int64_t width = gradient.size(-1);
    Tensor out = empty_like_sizes({rows, width}, gradient.scalar_type());
    out.zero_();
    if (gradient.numel() == 0)
        return out;
    Tensor from = gradient.reshape({-1, width}), index = indices.reshape({-1});
    abx_torch_tensor t = tensor_of(out), f = tensor_of(from), i = along(index, from, 0);
    check(abx_torch_run_scatter(&t, &f, &i, 0, ABX_TORCH_ADD, number_of(0.0), number_of(1.0)));
    if (padding >= 0)
        out.select(0, padding).zero_();
    return out;
}

// ---- advanced indexing: as places of the flat tensor


Tensor &index_out(const Tensor &self, const c10::List<std::optional<Tensor>> &indices, Tensor &out)
{
    Structured<at::meta::structured_index_Tensor, 1> iter(out);
    auto indexed = iter.meta(self, indices);
    size_t count = indexed.sizes.size();
    if (!can_iterate(iter) || !iter.can_use_32bit_indexing() || count + 2 != static_cast<size_t>(iter.ntensors()))
        return OnProcessor<at::_ops::index_Tensor_out>::call(self, indices, out);
    count_native("aten::index.Tensor_out");
    if (iter.numel()) {
        abx_torch_elementwise e = elementwise_of(iter, "e_index", static_cast<int>(out.scalar_type()));
        check(abx_torch_run_pick(&e, indexed.sizes.data(), indexed.strides.data()));
    }
    iter.finish();
    return out;
}

// torch's own would ask the meta function, which finds what masks leave, once more.
Tensor index(const Tensor &self, const c10::List<std::optional<Tensor>> &indices)
{
    if (self.scalar_type() == at::kComplexFloat)
        return arcbox::index(as_words(self), indices).view(at::kComplexFloat);
    Tensor out = empty_like_sizes({0}, self.scalar_type());
    return index_out(self, indices, out);
}

Tensor &index_put_impl(Tensor &self, const c10::List<std::optional<Tensor>> &indices, const Tensor &values,
    bool accumulate, bool unsafe)
{
    bool words = self.scalar_type() == at::kComplexFloat && values.scalar_type() == self.scalar_type() && !accumulate;
    if (words && !self.is_conj()) {
        Tensor to = as_words(self);
        index_put_impl(to, indices, as_words(values), false, unsafe);
        return self;
    }
    if (!knows(self.scalar_type()) || !self.is_contiguous() || self.numel() >= INT_MAX || self.numel() == 0 ||
        values.scalar_type() != self.scalar_type())
        return OnProcessor<at::_ops::_index_put_impl_>::call(self, indices, values, accumulate, unsafe);
    count_native("aten::_index_put_impl_");
    Tensor places = at::arange(self.numel(), self.options().dtype(at::kLong)).view(self.sizes());
    Tensor flat = at::index(places, indices);
    Tensor from = values.to(self.device()).expand(flat.sizes()).reshape({-1}), index = flat.reshape({-1});
    scatter(self.view({-1}), 0, index, from, accumulate ? ABX_TORCH_ADD : ABX_TORCH_SET);
    return self;
}

// ---- scans

static bool scan(const Tensor &self, int64_t dim, const Tensor &out, abx_torch_scan kind)
{
    if (self.scalar_type() == at::kComplexFloat && out.scalar_type() == self.scalar_type() && kind == ABX_TORCH_SUMS && self.dim())
        return scan(at::view_as_real(self.resolve_conj()), at::maybe_wrap_dim(dim, self.dim()), at::view_as_real(out), kind);
    if (!knows(self.scalar_type()) || !knows(out.scalar_type()) || self.dim() > 8 || self.numel() >= INT_MAX)
        return false;
    if (self.numel() == 0)
        return true;
    Tensor from = at_least_one(self), to = at_least_one(out);
    abx_torch_tensor t = tensor_of(to), f = tensor_of(from);
    check(abx_torch_run_scan(&t, &f, static_cast<unsigned>(at::maybe_wrap_dim(dim, from.dim())), kind));
    return true;
}

bool cumsum_out(const Tensor &self, int64_t dim, std::optional<at::ScalarType>, const Tensor &out)
{
    return scan(self, dim, out, ABX_TORCH_SUMS);
}

bool cumprod_out(const Tensor &self, int64_t dim, std::optional<at::ScalarType>, const Tensor &out)
{
    return scan(self, dim, out, ABX_TORCH_PRODUCTS);
}

Tensor &logcumsumexp_out(const Tensor &self, int64_t dim, Tensor &out)
{
    at::native::resize_output(out, self.sizes());
    if (!is_float(self) || !scan(self, dim, out, ABX_TORCH_EXPONENTS))
        return OnProcessor<at::_ops::_logcumsumexp_out>::call(self, dim, out);
    count_native("aten::_logcumsumexp");
    return out;
}

Tensor logcumsumexp(const Tensor &self, int64_t dim)
{
    Tensor out = empty_like_sizes({0}, self.scalar_type());
    return logcumsumexp_out(self, dim, out);
}

static bool scan_extremes(const Tensor &self, Tensor &values, Tensor &index, int64_t dim, bool smallest)
{
    if (!knows(self.scalar_type()) || self.dim() > 8 || self.numel() >= INT_MAX || self.scalar_type() != values.scalar_type())
        return false;
    Tensor from = at_least_one(self), to = at_least_one(values), places = at_least_one(index);
    abx_torch_tensor f = tensor_of(from), t = tensor_of(to), i = tensor_of(places);
    if (self.numel())
        check(abx_torch_scan_extremes(&t, &i, &f, static_cast<unsigned>(at::maybe_wrap_dim(dim, from.dim())), smallest));
    return true;
}

void cummax(const Tensor &self, Tensor &values, Tensor &index, int64_t dim)
{
    if (!scan_extremes(self, values, index, dim, false))
        return OnProcessor<at::_ops::_cummax_helper>::call(self, values, index, dim);
    count_native("aten::_cummax_helper");
}

void cummin(const Tensor &self, Tensor &values, Tensor &index, int64_t dim)
{
    if (!scan_extremes(self, values, index, dim, true))
        return OnProcessor<at::_ops::_cummin_helper>::call(self, values, index, dim);
    count_native("aten::_cummin_helper");
}

// ---- places of what lies in a row, however it lies

Tensor &take_out(const Tensor &self, const Tensor &index, Tensor &out)
{
    if (!knows(self.scalar_type()) || index.scalar_type() != at::kLong || self.scalar_type() != out.scalar_type() || !self.numel())
        return OnProcessor<at::_ops::take_out>::call(self, index, out);
    count_native("aten::take");
    return into(out, self.reshape({-1}).index_select(0, index.reshape({-1})).view(index.sizes()));
}

Tensor take(const Tensor &self, const Tensor &index)
{
    Tensor out = empty_like_sizes({0}, self.scalar_type());
    return take_out(self, index, out);
}

Tensor &put_at(Tensor &self, const Tensor &index, const Tensor &source, bool accumulate)
{
    bool fits = knows(self.scalar_type()) && index.scalar_type() == at::kLong && source.scalar_type() == self.scalar_type() &&
        index.numel() == source.numel() && self.is_contiguous() && self.numel();
    if (!fits)
        return OnProcessor<at::_ops::put_>::call(self, index, source, accumulate);
    count_native("aten::put_");
    Tensor to = self.view({-1}), places = index.reshape({-1}), from = source.reshape({-1});
    scatter(to, 0, places, from, accumulate ? ABX_TORCH_ADD : ABX_TORCH_SET);
    return self;
}

Tensor &index_select_out(const Tensor &self, int64_t dim, const Tensor &index, Tensor &out)
{
    TORCH_CHECK(self.scalar_type() == out.scalar_type(), "index_select(): self and result must have the same scalar type");
    Tensor made = index_select(self, dim, index);
    return into(out, made);
}

} // namespace arcbox
