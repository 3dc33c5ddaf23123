// torch: numbers into tensors, choices between tensors.
#include "shim.h"

#include <ATen/ExpandUtils.h>
#include <ATen/MemoryOverlap.h>
#include <ATen/ScalarOps.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/clamp_ops.h>
#include <ATen/ops/fill_ops.h>
#include <ATen/ops/masked_fill_ops.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/result_type.h>
#include <ATen/ops/where_ops.h>
#include <ATen/ops/zero_ops.h>

namespace arcbox {
using at::Scalar;
using at::Tensor;

// The number as the type holds it; torch's exception where it does not.
static abx_torch_number converted(const Scalar &value, at::ScalarType type)
{
    switch (type) {
    case at::kComplexFloat: return number_of(value);
    case at::kBool: return number_of(value.toBool());
    case at::kByte: return number_of(static_cast<int64_t>(value.to<uint8_t>()));
    case at::kChar: return number_of(static_cast<int64_t>(value.to<int8_t>()));
    case at::kShort: return number_of(static_cast<int64_t>(value.to<int16_t>()));
    case at::kInt: return number_of(static_cast<int64_t>(value.to<int32_t>()));
    case at::kLong: return number_of(value.to<int64_t>());
    case at::kHalf: return number_of(static_cast<double>(value.to<at::Half>()));
    case at::kBFloat16: return number_of(static_cast<double>(value.to<at::BFloat16>()));
    default: return number_of(static_cast<double>(value.to<float>()));
    }
}

Tensor &fill_number(Tensor &self, const Scalar &value)
{
    if (!knows_complex(self.scalar_type()))
        return OnProcessor<at::_ops::fill__Scalar>::call(self, value);
    count_native("aten::fill_");
    at::TensorIterator iter = at::TensorIteratorConfig()
                                  .set_check_mem_overlap(false)
                                  .check_all_same_dtype(false)
                                  .add_output(self)
                                  .resize_outputs(false)
                                  .build();
    iterate(iter, "e_fill", {converted(value, self.scalar_type())});
    return self;
}

Tensor &fill_tensor(Tensor &self, const Tensor &value)
{
    TORCH_CHECK(value.dim() == 0, "fill_ only supports 0-dimension value tensor but got tensor with ", value.dim(),
        " dimensions.");
    if (value.device().is_cpu())
        return fill_number(self, value.item());
    return self.copy_(value.expand(self.sizes()));
}

Tensor &zero(Tensor &self)
{
    if (!knows_complex(self.scalar_type()))
        return OnProcessor<at::_ops::zero_>::call(self);
    return fill_number(self, 0);
}

// ---- where

static at::TensorIterator where_iterator(const Tensor &out, const Tensor &condition, const Tensor &a, const Tensor &b)
{
    return at::TensorIteratorConfig()
        .check_all_same_dtype(false)
        .check_all_same_device(false)
        .add_output(out)
        .add_const_input(condition)
        .add_const_input(a)
        .add_const_input(b)
        .build();
}

// A single number of the processor goes with tensors of any device.
static Tensor beside(const Tensor &t, const Tensor &other)
{
    bool number = t.dim() == 0 && t.device().is_cpu();
    return (number ? t.to(other.device()) : t).to(other.scalar_type());
}

Tensor &where_out(const Tensor &condition, const Tensor &self, const Tensor &other, Tensor &out)
{
    at::ScalarType type = at::result_type(self, other);
    for (const Tensor *t : {&condition, &self, &other})
        TORCH_CHECK(t->dim() == 0 || t->device() == out.device(), "Expected all tensors to be on the same device, but "
            "condition is on ", condition.device(), ", x and y are on ", self.device(), " and ", other.device());
    TORCH_CHECK(condition.scalar_type() == at::kBool || condition.scalar_type() == at::kByte,
        "where expected condition to be a boolean tensor, but got a tensor with dtype ", condition.scalar_type());
    if (type == at::kComplexFloat && out.scalar_type() == type) { // moved, not computed with
        Tensor words = out.view(at::kLong), a = self.to(out.device(), type), b = other.to(out.device(), type);
        where_out(condition, a.resolve_conj().view(at::kLong), b.resolve_conj().view(at::kLong), words);
        return out;
    }
    if (!knows(type) || !knows(out.scalar_type()))
        return OnProcessor<at::_ops::where_self_out>::call(condition, self, other, out);
    count_native("aten::where");
    Tensor like = at::detail::empty_generic({0}, allocator(), c10::DispatchKeySet(c10::DispatchKey::MPS), type, std::nullopt);
    Tensor mask = condition.dim() == 0 && condition.device().is_cpu() ? condition.to(out.device()) : condition;
    at::TensorIterator iter = where_iterator(out, mask, beside(self, like), beside(other, like));
    iterate(iter, "e_where");
    return out;
}

Tensor where(const Tensor &condition, const Tensor &self, const Tensor &other)
{
    at::ScalarType type = at::result_type(self, other);
    if (!knows_complex(type))
        return OnProcessor<at::_ops::where_self>::call(condition, self, other);
    bool words = type == at::kComplexFloat;
    std::vector<int64_t> sizes = {0};
    if (words)
        sizes = at::infer_size(at::infer_size(self.sizes(), other.sizes()), condition.sizes());
    Tensor out = empty_like_sizes(sizes, type);
    return where_out(condition, self, other, out);
}

// ---- masked_fill

Tensor &masked_fill_number(Tensor &self, const Tensor &mask, const Scalar &value)
{
    if (!knows_complex(self.scalar_type()))
        return OnProcessor<at::_ops::masked_fill__Scalar>::call(self, mask, value);
    TORCH_CHECK(mask.scalar_type() == at::kBool, "masked_fill_ only supports boolean masks, but got mask with dtype ",
        mask.scalar_type());
    count_native("aten::masked_fill_");
    at::TensorIterator iter = at::TensorIteratorConfig()
                                  .set_check_mem_overlap(true)
                                  .check_all_same_dtype(false)
                                  .resize_outputs(false)
                                  .add_output(self)
                                  .add_const_input(self)
                                  .add_const_input(mask)
                                  .build();
    iterate(iter, "e_masked_fill", {converted(value, self.scalar_type())});
    return self;
}

Tensor &masked_fill_tensor(Tensor &self, const Tensor &mask, const Tensor &value)
{
    TORCH_CHECK(value.dim() == 0, "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with ",
        value.dim(), " dimension(s).");
    return masked_fill_number(self, mask, value.item());
}

// ---- others that are made of these

bool pow_number_out(const Scalar &self, const Tensor &exponent, const Tensor &out)
{
    Tensor to = out;
    if (!self.isComplex() && self.equal(1.0)) {
        to.fill_(1);
    } else {
        at::pow_out(to, at::native::wrapped_scalar_tensor(self), exponent);
    }
    return true;
}

bool clamp_tensor_out(const Tensor &self, at::OptionalTensorRef low, at::OptionalTensorRef high,
    const Tensor &out)
{
    Tensor to = out;
    if (low && high) {
        if (!knows(out.scalar_type()))
            return false;
        at::TensorIterator iter = at::TensorIteratorConfig()
                                      .add_output(to)
                                      .add_const_input(self)
                                      .add_const_input(*low)
                                      .add_const_input(*high)
                                      .promote_inputs_to_common_dtype(true)
                                      .build();
        iterate(iter, "e_clamp_both");
    } else if (low) {
        at::clamp_min_out(to, self, *low);
    } else {
        at::clamp_max_out(to, self, *high);
    }
    return true;
}

} // namespace arcbox
