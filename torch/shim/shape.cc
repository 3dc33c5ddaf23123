// torch: tensors put together, turned and cut.
#include "shim.h"

#include <ATen/ops/arange_ops.h>
#include <ATen/ops/flip_ops.h>
#include <ATen/ops/roll_ops.h>
#include <ATen/ops/equal_ops.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/all.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/range_ops.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/unfold_backward_ops.h>
#include <ATen/native/TensorFactories.h>
#include <ATen/WrapDimUtils.h>
#include <ATen/core/IListRef.h>

namespace arcbox {
using at::IntArrayRef;
using at::Tensor;

bool cat_out(const at::ITensorListRef &tensors, int64_t dim, const Tensor &out)
{
    int64_t at = 0, d = 0;
    bool wrapped = false;
    for (const Tensor &t : tensors) {
        if (t.dim() == 1 && t.numel() == 0)
            continue; // torch lets an empty one stand among any others
        if (!wrapped)
            d = at::maybe_wrap_dim(dim, t.dim());
        wrapped = true;
        int64_t size = t.size(d);
        if (size)
            out.narrow(d, at, size).copy_(t);
        at += size;
    }
    return true;
}

// A copy along strides of our own, which torch's tensors cannot have.
static void copy_along(const Tensor &out, const Tensor &self, uint32_t turned)
{
    abx_torch_elementwise e = {};
    e.library = "e_copy";
    e.common = e.operands[0].type = e.operands[1].type = static_cast<int>(out.scalar_type());
    e.count = 2;
    e.operands[0].at = operand_of(out);
    e.operands[1].at = operand_of(self);
    int64_t start = 0, width = self.itemsize();
    for (int64_t d = self.dim() - 1; d >= 0; d--) {
        bool turn = turned >> d & 1;
        e.size[e.dims] = static_cast<uint32_t>(self.size(d));
        e.operands[0].stride[e.dims] = out.stride(d) * width;
        e.operands[1].stride[e.dims++] = (turn ? -self.stride(d) : self.stride(d)) * width;
        start += turn ? (self.size(d) - 1) * self.stride(d) * width : 0;
    }
    e.operands[1].at.offset += static_cast<size_t>(start);
    check(abx_torch_run_elementwise(&e));
}

Tensor flip(const Tensor &self, IntArrayRef dims)
{
    if (self.scalar_type() == at::kComplexFloat)
        return flip(as_words(self), dims).view(at::kComplexFloat);
    if (!knows(self.scalar_type()) || self.dim() > ABX_TORCH_ELEMENTWISE_DIMS || self.numel() >= INT_MAX)
        return OnProcessor<at::_ops::flip>::call(self, dims);
    count_native("aten::flip");
    uint32_t turned = 0;
    for (int64_t d : dims) {
        uint32_t bit = 1u << at::maybe_wrap_dim(d, self.dim());
        TORCH_CHECK(!(turned & bit) || self.dim() == 0, "dim ", d, " appears multiple times in the list of dims");
        turned |= bit;
    }
    Tensor out = empty_like_sizes(self.sizes(), self.scalar_type());
    if (out.numel())
        copy_along(out, self, self.dim() ? turned : 0);
    return out;
}

static Tensor roll_one(const Tensor &self, int64_t shift, int64_t dim)
{
    int64_t size = self.size(dim), by = ((shift % size) + size) % size;
    Tensor out = empty_like_sizes(self.sizes(), self.scalar_type());
    if (by)
        out.narrow(dim, 0, by).copy_(self.narrow(dim, size - by, by));
    if (size - by)
        out.narrow(dim, by, size - by).copy_(self.narrow(dim, 0, size - by));
    return out;
}

Tensor roll(const Tensor &self, IntArrayRef shifts, IntArrayRef dims)
{
    if (!knows_complex(self.scalar_type()) || (dims.empty() && shifts.size() != 1) ||
        (!dims.empty() && dims.size() != shifts.size()))
        return OnProcessor<at::_ops::roll>::call(self, shifts, dims);
    count_native("aten::roll");
    if (self.numel() == 0)
        return self.clone();
    if (dims.empty())
        return roll_one(self.reshape({-1}), shifts[0], 0).view(self.sizes());
    Tensor made = self;
    for (size_t i = 0; i < dims.size(); i++)
        made = roll_one(made, shifts[i], at::maybe_wrap_dim(dims[i], self.dim()));
    return made;
}

// ---- triangles

static bool triangle(const char *library, const Tensor &self, int64_t diagonal, const Tensor &out)
{
    if (self.scalar_type() == at::kComplexFloat)
        return triangle(library, as_words(self), diagonal, as_words(out));
    if (!knows(self.scalar_type()) || self.numel() >= INT_MAX)
        return false;
    if (self.numel() == 0)
        return true;
    Tensor to = out.is_contiguous() ? out : empty_like_sizes(out.sizes(), out.scalar_type());
    Tensor from = self.contiguous();
    abx_torch_elementwise e = {};
    e.library = library;
    e.common = e.operands[0].type = e.operands[1].type = static_cast<int>(out.scalar_type());
    e.count = 2;
    e.dims = 3;
    int64_t columns = self.size(-1), rows = self.size(-2), width = self.itemsize();
    int64_t sizes[] = {columns, rows, self.numel() / (rows * columns)}, strides[] = {1, columns, rows * columns};
    for (int i = 0; i < 3; i++) {
        e.size[i] = static_cast<uint32_t>(sizes[i]);
        e.operands[0].stride[i] = e.operands[1].stride[i] = strides[i] * width;
    }
    e.operands[0].at = operand_of(to);
    e.operands[1].at = operand_of(from);
    e.scalars[0] = number_of(diagonal);
    check(abx_torch_run_elementwise(&e));
    if (!to.is_same(out))
        out.copy_(to);
    return true;
}

bool tril_out(const Tensor &self, int64_t diagonal, const Tensor &out)
{
    return triangle("e_tril", self, diagonal, out);
}

bool triu_out(const Tensor &self, int64_t diagonal, const Tensor &out)
{
    return triangle("e_triu", self, diagonal, out);
}

// ---- counted

Tensor &arange_out(const at::Scalar &start, const at::Scalar &end, const at::Scalar &step, Tensor &out)
{
    double from = start.toDouble(), to = end.toDouble(), by = step.toDouble();
    bool whole = out.scalar_type() == at::kLong && step.toLong() != 0;
    if (!knows(out.scalar_type()) || by == 0 || !std::isfinite(from) || !std::isfinite(to) || (to - from) / by < 0)
        return OnProcessor<at::_ops::arange_start_out>::call(start, end, step, out);
    count_native("aten::arange");
    int64_t size = static_cast<int64_t>(std::ceil((to - from) / by));
    if (whole) {
        int64_t a = start.toLong(), b = end.toLong(), s = step.toLong();
        size = (b - a + s - (s > 0 ? 1 : -1)) / s;
    }
    if (out.numel() != size)
        out.resize_({size});
    Tensor made = out.is_contiguous() ? out : empty_like_sizes(out.sizes(), out.scalar_type());
    at::Tensor line = made.view({-1});
    at::TensorIterator iter = at::TensorIteratorConfig()
                                  .set_check_mem_overlap(false)
                                  .check_all_same_dtype(false)
                                  .add_output(line)
                                  .resize_outputs(false)
                                  .build();
    iterate(iter, "e_arange", {number_of(start), number_of(step)});
    if (!made.is_same(out))
        out.copy_(made);
    return out;
}

bool equal(const Tensor &self, const Tensor &other)
{
    if (self.sizes() != other.sizes())
        return false;
    TORCH_CHECK(self.device() == other.device(), "Expected all tensors to be on the same device, but found at least "
        "two devices, ", self.device(), " and ", other.device(), "!");
    TORCH_CHECK(self.scalar_type() == other.scalar_type(), "Expected object of scalar type ", self.scalar_type(),
        " but got ", other.scalar_type());
    count_native("aten::equal");
    return self.numel() == 0 || at::all(at::eq(self, other)).item<bool>();
}

Tensor &range_out(const at::Scalar &start, const at::Scalar &end, const at::Scalar &step, Tensor &out)
{
    double from = start.toDouble(), to = end.toDouble(), by = step.toDouble();
    if (!knows(out.scalar_type()) || by == 0 || !std::isfinite(from) || !std::isfinite(to) || (to - from) / by < 0)
        return OnProcessor<at::_ops::range_out>::call(start, end, step, out);
    count_native("aten::range");
    int64_t size = static_cast<int64_t>((to - from) / by + 1);
    if (out.numel() != size)
        out.resize_({size});
    at::TensorIterator iter = result_iterator(out);
    iterate(iter, "e_arange", {number_of(start), number_of(step)});
    return out;
}

// ---- diagonals

Tensor &eye_of_out(int64_t rows, int64_t columns, Tensor &out)
{
    TORCH_CHECK(rows >= 0, "n must be greater or equal to 0, got ", rows);
    TORCH_CHECK(columns >= 0, "m must be greater or equal to 0, got ", columns);
    count_native("aten::eye");
    out.resize_({rows, columns});
    out.zero_().diagonal().fill_(1);
    return out;
}

Tensor &eye_out(int64_t rows, Tensor &out)
{
    return eye_of_out(rows, rows, out);
}

Tensor trace(const Tensor &self)
{
    TORCH_CHECK(self.dim() == 2, "trace: expected a matrix, but got tensor with dim ", self.dim());
    count_native("aten::trace");
    return self.diagonal().sum();
}

// Where a matrix of ones has any after `cut`.
static Tensor places_in(int64_t rows, int64_t columns, std::optional<at::ScalarType> type, Tensor &(Tensor::*cut)(int64_t) const,
    int64_t offset)
{
    Tensor ones = empty_like_sizes({rows, columns}, at::kByte).fill_(1);
    return (ones.*cut)(offset).nonzero().t().contiguous().to(type.value_or(at::kLong));
}

Tensor tril_indices(int64_t rows, int64_t columns, int64_t offset, std::optional<at::ScalarType> type,
    std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>)
{
    TORCH_CHECK(rows >= 0, "row must be non-negative, got", rows);
    TORCH_CHECK(columns >= 0, "col must be non-negative, got", columns);
    count_native("aten::tril_indices");
    return places_in(rows, columns, type, static_cast<Tensor &(Tensor::*)(int64_t) const>(&Tensor::tril_), offset);
}

Tensor triu_indices(int64_t rows, int64_t columns, int64_t offset, std::optional<at::ScalarType> type,
    std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>)
{
    TORCH_CHECK(rows >= 0, "row must be non-negative, got", rows);
    TORCH_CHECK(columns >= 0, "col must be non-negative, got", columns);
    count_native("aten::triu_indices");
    return places_in(rows, columns, type, static_cast<Tensor &(Tensor::*)(int64_t) const>(&Tensor::triu_), offset);
}

// ---- elements many times, and back

Tensor repeat_interleave(const Tensor &repeats, std::optional<int64_t> size)
{
    TORCH_CHECK(repeats.dim() == 1, "repeat_interleave only accept 1D vector as repeat");
    TORCH_CHECK(repeats.scalar_type() == at::kLong || repeats.scalar_type() == at::kInt,
        "repeats has to be Long or Int tensor");
    count_native("aten::repeat_interleave");
    if (repeats.numel() == 0)
        return empty_like_sizes({0}, repeats.scalar_type());
    Tensor ends = repeats.cumsum(0);
    int64_t total = size ? *size : ends.select(0, -1).item<int64_t>();
    TORCH_CHECK(size || repeats.ge(0).all().item<bool>(), "repeats can not be negative");
    Tensor line = at::arange(total, ends.options());
    return at::searchsorted(ends, line, false, true).to(repeats.scalar_type());
}

Tensor unfold_backward(const Tensor &gradient, IntArrayRef sizes, int64_t dim, int64_t size, int64_t step)
{
    if (!knows_complex(gradient.scalar_type()))
        return OnProcessor<at::_ops::unfold_backward>::call(gradient, sizes, dim, size, step);
    count_native("aten::unfold_backward");
    Tensor out = empty_like_sizes(sizes, gradient.scalar_type());
    out.zero_();
    if (gradient.numel() == 0)
        return out;
    if (sizes.empty())
        return out.add_(gradient.reshape(sizes));
    int64_t d = at::maybe_wrap_dim(dim, static_cast<int64_t>(sizes.size()));
    Tensor long_line = at::arange(std::max(gradient.size(d), size), out.options().dtype(at::kLong));
    Tensor places = long_line.narrow(0, 0, gradient.size(d)).mul(step).unsqueeze(1).add(long_line.narrow(0, 0, size));
    return out.index_add_(d, places.flatten(), gradient.movedim(-1, d + 1).flatten(d, d + 1));
}

// What autograd has for a derivative that is nothing: no memory at all.
Tensor zero_tensor(IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
    std::optional<at::Device>, std::optional<bool>)
{
    static at::native::ZeroTensorAllocator none(at::Device(at::kMPS, 0));
    c10::DispatchKeySet keys = c10::DispatchKeySet(c10::DispatchKey::MPS) | c10::DispatchKeySet(c10::DispatchKey::ZeroTensor);
    return at::detail::empty_generic(size, &none, keys, c10::dtype_or_default(type), std::nullopt);
}

} // namespace arcbox
