// torch: products with weights of 4 and of 8 bits, which are made numbers of the input's type first.
#include "shim.h"

#include <ATen/ops/_convert_weight_to_int4pack_ops.h>
#include <ATen/ops/_weight_int4pack_mm_ops.h>
#include <ATen/ops/_weight_int8pack_mm_ops.h>
#include <ATen/ops/add.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/remainder.h>
#include <ATen/ops/stack.h>

namespace arcbox {
using at::Tensor;

// Two weights a byte, the first in its upper half. They stay as they lie, in torch's form for packed ones.
Tensor pack_int4(const Tensor &self, int64_t tiles)
{
    TORCH_CHECK(self.dim() == 2 && self.scalar_type() == at::kByte, "_convert_weight_to_int4pack: expect a matrix of uint8");
    TORCH_CHECK(tiles == 2 || tiles == 4 || tiles == 8, "_convert_weight_to_int4pack: innerKTiles is 2, 4 or 8");
    int64_t rows = self.size(0), columns = self.size(1) * 2;
    TORCH_CHECK(rows % 8 == 0 && columns % (tiles * 16) == 0, "_convert_weight_to_int4pack: expect sizes divisible by 8 and ",
        tiles * 16, ", got ", rows, " and ", columns);
    count_native("aten::_convert_weight_to_int4pack");
    return self.contiguous().clone().view(at::kInt).view({rows / 8, columns / (tiles * 16), 32, tiles / 2});
}

Tensor multiply_int4(const Tensor &self, const Tensor &packed, int64_t group, const Tensor &scales)
{
    TORCH_CHECK(self.dim() == 2 && is_float(self), "_weight_int4pack_mm: expect A to be a matrix of floating-point numbers");
    TORCH_CHECK(packed.dim() == 4 && packed.scalar_type() == at::kInt && packed.is_contiguous(),
        "_weight_int4pack_mm: expect B as _convert_weight_to_int4pack() makes it");
    int64_t rows = packed.size(0) * 8, columns = self.size(1);
    TORCH_CHECK(packed.numel() * 8 == rows * columns && (group == 32 || group == 64 || group == 128 || group == 256) &&
        columns % group == 0, "_weight_int4pack_mm: expect groups of 32, 64, 128 or 256 in the rows of A and B");
    TORCH_CHECK(scales.dim() == 3 && scales.size(0) == columns / group && scales.size(1) == rows && scales.size(2) == 2,
        "_weight_int4pack_mm: expect qScaleAndZeros of [", columns / group, ", ", rows, ", 2]");
    count_native("aten::_weight_int4pack_mm");
    Tensor bytes = packed.view({-1}).view(at::kByte).view({rows, columns / 2});
    Tensor halves = at::stack({at::floor_divide(bytes, 16), at::remainder(bytes, 16)}, -1).view({rows, columns / group, group});
    Tensor by_row = scales.permute({2, 1, 0}).to(at::kFloat).unsqueeze(-1); // scale and zero, row, group
    Tensor weights = at::mul(at::add(halves.to(at::kFloat), -8), by_row.select(0, 0)).add_(by_row.select(0, 1));
    return at::mm(self, weights.view({rows, columns}).to(self.scalar_type()).t());
}

Tensor multiply_int8(const Tensor &self, const Tensor &weights, const Tensor &scales)
{
    TORCH_CHECK(self.dim() == 2 && is_float(self), "_weight_int8pack_mm: expect A to be a matrix of floating-point numbers");
    TORCH_CHECK(weights.dim() == 2 && weights.scalar_type() == at::kChar && weights.size(1) == self.size(1),
        "_weight_int8pack_mm: expect B to be an int8 matrix with rows as long as A's");
    TORCH_CHECK(scales.dim() == 1 && scales.size(0) == weights.size(0), "_weight_int8pack_mm: expect a scale for each row of B");
    count_native("aten::_weight_int8pack_mm");
    return at::mul(at::mm(self, weights.to(self.scalar_type()).t()), scales).to(self.scalar_type());
}

} // namespace arcbox
