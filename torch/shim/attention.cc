// torch: attention. Torch chooses fused kernels by device in a table that is closed to us. Where no
// derivative is wanted it is three launches: scores, what they become, and the values' sums; else its parts.
#include "shim.h"
#include "layers.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_scaled_dot_product_attention_math.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

namespace arcbox {
using at::Tensor;

// Four dimensions (batch, heads, rows, elements) of one type, each row without gaps.
static bool is_simple(const Tensor &query, const Tensor &key, const Tensor &value, const Tensor &mask)
{
    bool wants = at::GradMode::is_enabled() &&
        (query.requires_grad() || key.requires_grad() || value.requires_grad() || (mask.defined() && mask.requires_grad()));
    bool same = key.scalar_type() == query.scalar_type() && value.scalar_type() == query.scalar_type() &&
        (!mask.defined() || (mask.scalar_type() == query.scalar_type() && mask.dim() <= 4));
    return !wants && same && abx_torch_is_float(static_cast<int>(query.scalar_type())) && query.dim() == 4 &&
        key.dim() == 4 && value.dim() == 4 && query.numel() && key.numel() && value.numel() && query.device() == key.device() &&
        key.device() == value.device() && (!mask.defined() || mask.device() == query.device()) &&
        query.size(0) == key.size(0) && query.size(1) == key.size(1) && query.size(3) == key.size(3) &&
        key.sizes().slice(0, 3) == value.sizes().slice(0, 3) && query.stride(3) == 1 && key.stride(3) == 1 &&
        value.stride(3) == 1 && query.size(0) * query.size(1) * query.size(2) * key.size(2) < INT_MAX;
}

static abx_torch_matrix matrix_of(const Tensor &t, int64_t image)
{
    return {operand_of(t[image]), t.stride(1), t.stride(2), t.stride(3)};
}

// to = alpha * left x right of all heads: in one product where the images' heads lie behind each other.
static void multiply(const Tensor &to, const Tensor &left, const Tensor &right, double alpha)
{
    auto follows = [](const Tensor &t) { return t.size(0) == 1 || t.stride(0) == t.stride(1) * t.size(1); };
    bool once = follows(to) && follows(left) && follows(right);
    abx_torch_product p = {};
    p.type = static_cast<int>(left.scalar_type());
    p.to_type = static_cast<int>(to.scalar_type());
    p.batches = static_cast<uint32_t>(to.size(1) * (once ? to.size(0) : 1));
    p.rows = static_cast<uint32_t>(to.size(2));
    p.columns = static_cast<uint32_t>(to.size(3));
    p.inner = static_cast<uint32_t>(left.size(3));
    p.alpha = number_of(alpha);
    for (int64_t image = 0; image < (once ? 1 : to.size(0)); image++) {
        p.to = matrix_of(to, image);
        p.left = matrix_of(left, image);
        p.right = matrix_of(right, image);
        check(abx_torch_multiply(&p));
    }
}

// On a discrete GPU a product of many small ones that lie anyhow takes longer than a copy and one of all.
static Tensor together(const Tensor &t)
{
    bool follows = t.size(0) <= 2 || t.stride(0) == t.stride(1) * t.size(1);
    return follows || abx_torch_shares_memory() ? t : t.contiguous();
}

static Tensor attend(const Tensor &given_query, const Tensor &given_key, const Tensor &given_value, const Tensor &given_mask,
    bool is_causal, double scale)
{
    Tensor query = together(given_query), key = together(given_key), value = together(given_value);
    int64_t images = query.size(0), heads = query.size(1), rows = query.size(2), count = key.size(2);
    Tensor scores = empty_like_sizes({images, heads, rows, count}, at::kFloat);
    multiply(scores, query, key.transpose(2, 3), scale);
    Tensor parts = query.scalar_type() == at::kFloat ? scores : empty_like_sizes(scores.sizes(), query.scalar_type());
    abx_torch_attention a = {};
    a.batch = static_cast<uint32_t>(images);
    a.heads = static_cast<uint32_t>(heads);
    a.rows = static_cast<uint32_t>(rows);
    a.count = static_cast<uint32_t>(count);
    a.causal = is_causal;
    a.type = static_cast<int>(query.scalar_type());
    a.to = operand_of(parts);
    a.scores = operand_of(scores);
    Tensor mask = given_mask.defined() ? given_mask.expand(scores.sizes()) : given_mask;
    if (mask.defined()) {
        a.mask = operand_of(mask);
        for (int64_t d = 0; d < 4; d++)
            a.mask_stride[d] = mask.stride(d);
    }
    check(abx_torch_attend(&a));
    Tensor out = empty_like_sizes({images, heads, rows, value.size(3)}, query.scalar_type());
    multiply(out, parts, value, 1);
    return out;
}

static Tensor attention(const Tensor &query, const Tensor &key, const Tensor &value, const std::optional<Tensor> &mask,
    double dropout, bool is_causal, std::optional<double> scale, bool grouped)
{
    std::optional<Tensor> added = mask;
    if (mask && mask->defined() && mask->scalar_type() == at::kBool)
        added = at::zeros_like(*mask, query.options()).masked_fill_(mask->logical_not(), -INFINITY);
    Tensor plain_mask = added ? *added : Tensor();
    if (dropout == 0 && !(is_causal && plain_mask.defined()) && is_simple(query, key, value, plain_mask)) {
        count_native("aten::scaled_dot_product_attention");
        return attend(query, key, value, plain_mask, is_causal, scale.value_or(1 / std::sqrt(double(query.size(3)))));
    }
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
