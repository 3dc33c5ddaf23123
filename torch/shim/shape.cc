// torch: tensors put together, turned and cut.
#include "shim.h"

#include <ATen/ops/arange_ops.h>
#include <ATen/ops/flip_ops.h>
#include <ATen/ops/roll_ops.h>
#include <ATen/ops/equal_ops.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/all.h>
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
    if (!knows(self.scalar_type()) || self.numel() == 0 || (dims.empty() && shifts.size() != 1) ||
        (!dims.empty() && dims.size() != shifts.size()))
        return OnProcessor<at::_ops::roll>::call(self, shifts, dims);
    count_native("aten::roll");
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

} // namespace arcbox
