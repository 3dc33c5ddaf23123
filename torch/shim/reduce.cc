// torch: reductions along dimensions, by ops.toml's formulas, and the places of extremes.
#include "shim.h"

#include <ATen/WrapDimUtils.h>
#include <ATen/WrapDimUtilsMulti.h>
#include <ATen/ops/count_nonzero_ops.h>
#include <ATen/ops/max_ops.h>
#include <ATen/ops/min_ops.h>
#include <ATen/ops/prod_ops.h>
#include <ATen/ops/view_as_real.h>
#include <ATen/ops/nansum_ops.h>
#include <ATen/native/Resize.h>

namespace arcbox {
using at::IntArrayRef;
using at::OptionalIntArrayRef;
using at::ScalarType;
using at::Tensor;

static uint32_t all_dims(const Tensor &self)
{
    return static_cast<uint32_t>((uint64_t{1} << self.dim()) - 1);
}

// No dimensions, or an empty list of them, are all.
static uint32_t dims_of(const Tensor &self, OptionalIntArrayRef dims)
{
    if (!dims || dims->empty())
        return all_dims(self);
    uint32_t bits = 0;
    for (int64_t d : *dims)
        if (self.dim())
            bits |= 1u << at::maybe_wrap_dim(d, self.dim());
    return bits;
}

static bool can_reduce(const Tensor &self, const Tensor &out)
{
    return knows(self.scalar_type()) && knows(out.scalar_type()) && self.dim() <= ABX_TORCH_DIMS &&
        self.numel() < INT_MAX;
}

// The result with a dimension of size 1 for each that is reduced.
static Tensor with_all_dims(const Tensor &self, const Tensor &out, uint32_t reduced)
{
    Tensor made = out;
    if (made.dim() != self.dim())
        for (int64_t d = 0; d < self.dim(); d++)
            if (reduced >> d & 1)
                made = made.unsqueeze(d);
    return made;
}

static bool reduce(const char *library, const Tensor &self, uint32_t reduced, const Tensor &out, double s0 = 0)
{
    if (!can_reduce(self, out))
        return false;
    if (out.numel() == 0)
        return true;
    abx_torch_tensor to = tensor_of(with_all_dims(self, out, reduced)), from = tensor_of(self);
    abx_torch_number numbers[2] = {number_of(s0), number_of(0.0)};
    int result = abx_torch_reduce(library, &to, &from, reduced, numbers);
    if (result == -ENOTSUP)
        return reduce(library, self.contiguous(), reduced, out, s0);
    check(result);
    return true;
}

// Of sums: both parts for themselves.
static bool reduce_parts(const char *library, const Tensor &self, uint32_t reduced, const Tensor &out)
{
    if (self.scalar_type() != at::kComplexFloat || out.scalar_type() != self.scalar_type())
        return reduce(library, self, reduced, out);
    Tensor to = with_all_dims(self, out, reduced);
    return reduce(library, at::view_as_real(self.resolve_conj()), reduced, at::view_as_real(to));
}

bool sum_out(const Tensor &self, OptionalIntArrayRef dim, bool, std::optional<ScalarType>, const Tensor &out)
{
    return reduce_parts("r_sum", self, dims_of(self, dim), out);
}

bool mean_out(const Tensor &self, OptionalIntArrayRef dim, bool, std::optional<ScalarType>, const Tensor &out)
{
    return reduce_parts("r_mean", self, dims_of(self, dim), out);
}

bool prod_out(const Tensor &self, int64_t dim, bool, std::optional<ScalarType>, const Tensor &out)
{
    return reduce("r_prod", self, dims_of(self, IntArrayRef(dim)), out);
}

Tensor prod(const Tensor &self, std::optional<ScalarType> dtype)
{
    ScalarType type = dtype.value_or(at::isIntegralType(self.scalar_type(), true) ? at::kLong : self.scalar_type());
    if (!knows(self.scalar_type()) || !knows(type))
        return OnProcessor<at::_ops::prod>::call(self, dtype);
    count_native("aten::prod");
    Tensor out = empty_like_sizes({}, type);
    reduce("r_prod", self, all_dims(self), out);
    return out;
}

bool amax_out(const Tensor &self, IntArrayRef dim, bool, const Tensor &out)
{
    return reduce("r_amax", self, dims_of(self, dim), out);
}

bool amin_out(const Tensor &self, IntArrayRef dim, bool, const Tensor &out)
{
    return reduce("r_amin", self, dims_of(self, dim), out);
}

bool all_out(const Tensor &self, int64_t dim, bool, const Tensor &out)
{
    return reduce("r_all", self, dims_of(self, IntArrayRef(dim)), out);
}

bool all_dims_out(const Tensor &self, OptionalIntArrayRef dim, bool, const Tensor &out)
{
    return reduce("r_all", self, dim && dim->empty() ? 0 : dims_of(self, dim), out);
}

bool all_all_out(const Tensor &self, const Tensor &out)
{
    return reduce("r_all", self, all_dims(self), out);
}

bool any_out(const Tensor &self, int64_t dim, bool, const Tensor &out)
{
    return reduce("r_any", self, dims_of(self, IntArrayRef(dim)), out);
}

bool any_dims_out(const Tensor &self, OptionalIntArrayRef dim, bool, const Tensor &out)
{
    return reduce("r_any", self, dim && dim->empty() ? 0 : dims_of(self, dim), out);
}

bool any_all_out(const Tensor &self, const Tensor &out)
{
    return reduce("r_any", self, all_dims(self), out);
}

bool vector_norm_out(const Tensor &self, const at::Scalar &order, OptionalIntArrayRef dim, bool,
    std::optional<ScalarType>, const Tensor &out)
{
    if (self.scalar_type() == at::kComplexFloat)
        return vector_norm_out(self.abs(), order, dim, false, std::nullopt, out);
    double p = order.toDouble();
    const char *library = p == 0 ? "r_norm_0" : p == 1 ? "r_norm_1" : p == 2 ? "r_norm_2"
        : p == INFINITY ? "r_norm_highest" : p == -INFINITY ? "r_norm_lowest" : "r_norm";
    return reduce(library, self, dims_of(self, dim), out, p);
}

Tensor count_nonzero(const Tensor &self, IntArrayRef dim)
{
    if (!knows(self.scalar_type()))
        return OnProcessor<at::_ops::count_nonzero_dim_IntList>::call(self, dim);
    count_native("aten::count_nonzero");
    uint32_t reduced = dims_of(self, dim);
    std::vector<int64_t> sizes;
    for (int64_t d = 0; d < self.dim(); d++)
        if (!(reduced >> d & 1))
            sizes.push_back(self.size(d));
    Tensor out = empty_like_sizes(sizes, at::kLong);
    // Of numbers between 0 and 1, too: what counts is whether they are 0.
    reduce("r_count_nonzero", self.is_floating_point() ? self.ne(0) : self, reduced, out);
    return out;
}

static Tensor extreme_of_all(const Tensor &self, bool largest)
{
    TORCH_CHECK(self.numel() > 0, largest ? "max" : "min",
        "(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the 'dim' "
        "argument.");
    Tensor out = empty_like_sizes({}, self.scalar_type());
    reduce(largest ? "r_amax" : "r_amin", self, all_dims(self), out);
    return out;
}

Tensor max(const Tensor &self)
{
    if (!knows(self.scalar_type()))
        return OnProcessor<at::_ops::max>::call(self);
    count_native("aten::max");
    return extreme_of_all(self, true);
}

Tensor min(const Tensor &self)
{
    if (!knows(self.scalar_type()))
        return OnProcessor<at::_ops::min>::call(self);
    count_native("aten::min");
    return extreme_of_all(self, false);
}

// ---- with the place

static bool find(const Tensor &self, int64_t dim, const Tensor &value, const Tensor &index, bool largest)
{
    if (!knows(self.scalar_type()) || self.dim() > ABX_TORCH_DIMS || self.numel() >= INT_MAX)
        return false;
    if (index.numel() == 0)
        return true;
    Tensor from = self.dim() ? self : self.unsqueeze(0);
    uint32_t reduced = 1u << at::maybe_wrap_dim(dim, from.dim());
    abx_torch_tensor of = tensor_of(from), place = tensor_of(with_all_dims(from, index, reduced));
    abx_torch_tensor to = value.defined() ? tensor_of(with_all_dims(from, value, reduced)) : abx_torch_tensor{};
    int result = abx_torch_find_extreme(&to, &place, &of, static_cast<unsigned>(at::maybe_wrap_dim(dim, from.dim())),
        largest);
    if (result == -ENOTSUP)
        return false;
    check(result);
    return true;
}

bool max_dim_out(const Tensor &self, int64_t dim, bool, const Tensor &value, const Tensor &index)
{
    return find(self, dim, value, index, true);
}

bool min_dim_out(const Tensor &self, int64_t dim, bool, const Tensor &value, const Tensor &index)
{
    return find(self, dim, value, index, false);
}

static bool find_place(const Tensor &self, std::optional<int64_t> dim, const Tensor &out, bool largest)
{
    if (dim)
        return find(self, *dim, Tensor(), out, largest);
    return find(self.reshape({-1}), 0, Tensor(), out.view(IntArrayRef()), largest);
}

bool argmax_out(const Tensor &self, std::optional<int64_t> dim, bool keepdim, const Tensor &out)
{
    return !(keepdim && !dim) && find_place(self, dim, out, true);
}

bool argmin_out(const Tensor &self, std::optional<int64_t> dim, bool keepdim, const Tensor &out)
{
    return !(keepdim && !dim) && find_place(self, dim, out, false);
}

static ScalarType summed_in(const Tensor &self, std::optional<ScalarType> type)
{
    return type.value_or(at::isIntegralType(self.scalar_type(), true) ? at::kLong : self.scalar_type());
}

Tensor &nansum_out(const Tensor &self, OptionalIntArrayRef dim, bool keepdim, std::optional<ScalarType> type, Tensor &out)
{
    if (!can_reduce(self, out))
        return OnProcessor<at::_ops::nansum_out>::call(self, dim, keepdim, type, out);
    count_native("aten::nansum");
    uint32_t reduced = dims_of(self, dim);
    std::vector<int64_t> sizes;
    for (int64_t d = 0; d < self.dim(); d++)
        if (!(reduced >> d & 1) || keepdim)
            sizes.push_back(reduced >> d & 1 ? 1 : self.size(d));
    at::native::resize_output(out, sizes);
    reduce("r_nansum", self, reduced, out);
    return out;
}

Tensor nansum(const Tensor &self, OptionalIntArrayRef dim, bool keepdim, std::optional<ScalarType> type)
{
    Tensor out = empty_like_sizes({0}, summed_in(self, type));
    return nansum_out(self, dim, keepdim, type, out);
}

} // namespace arcbox
