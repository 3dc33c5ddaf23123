// torch: attention, as its parts: torch chooses fused kernels by device in a table that is closed to us.
#include "shim.h"

#include <ATen/ops/_scaled_dot_product_attention_math.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

namespace arcbox {
using at::Tensor;

static Tensor attention(const Tensor &query, const Tensor &key, const Tensor &value, const std::optional<Tensor> &mask,
    double dropout, bool is_causal, std::optional<double> scale, bool grouped)
{
    std::optional<Tensor> added = mask;
    if (mask && mask->defined() && mask->scalar_type() == at::kBool)
        added = at::zeros_like(*mask, query.options()).masked_fill_(mask->logical_not(), -INFINITY);
    return std::get<0>(at::_scaled_dot_product_attention_math(query, key, value, added, dropout, is_causal,
        std::nullopt, scale, grouped));
}

TORCH_LIBRARY_IMPL(aten, MPS, m)
{
    m.impl("scaled_dot_product_attention", TORCH_FN(attention));
}

TORCH_LIBRARY_IMPL(aten, AutogradMPS, m)
{
    m.impl("scaled_dot_product_attention", TORCH_FN(attention));
}

} // namespace arcbox
