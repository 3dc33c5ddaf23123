// torch: attention. Torch chooses fused kernels by device in a table that is closed to us, so the choice is made here.
// It is three launches: scores, what they become, and the values' sums; on a GPU with memory of its own one, where its
// kernel takes the numbers and no derivative is wanted. Where one is wanted it goes through
// torch's `_scaled_dot_product_efficient_attention`, whose derivative torch's autograd knows: what that has for the
// scores' logarithms are here the scores' parts of 1, and for a seed what dropout kept.
#include "shim.h"
#include "layers.h"

#include <ATen/Context.h>
#include <ATen/ExpandUtils.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_scaled_dot_product_attention_math.h>
#include <ATen/ops/_scaled_dot_product_efficient_attention.h>
#include <ATen/ops/_scaled_dot_product_efficient_attention_backward.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/native_dropout.h>
#include <ATen/ops/native_dropout_backward.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/repeat_interleave.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

namespace arcbox {
using at::Tensor;

using Maybe = std::optional<Tensor>;
using Four = std::tuple<Tensor, Tensor, Tensor, Tensor>;

static bool wants_derivative(std::initializer_list<const Tensor *> tensors)
{
    if (at::GradMode::is_enabled())
        for (const Tensor *t : tensors)
            if (t->defined() && t->requires_grad())
                return true;
    return false;
}

// What torch traces has no memory, and forward derivatives want every part by itself.
static bool is_traced(std::initializer_list<const Tensor *> tensors)
{
    for (const Tensor *t : tensors)
        if (t->defined() && (t->key_set().has(c10::DispatchKey::Python) || t->_fw_grad(0).defined()))
            return true;
    return false;
}

// Four dimensions (batch, heads, rows, elements) of one type, each row without gaps.
static bool is_simple(const Tensor &query, const Tensor &key, const Tensor &value, const Tensor &mask)
{
    bool same = key.scalar_type() == query.scalar_type() && value.scalar_type() == query.scalar_type() &&
        (!mask.defined() || (mask.scalar_type() == query.scalar_type() && mask.dim() <= 4));
    return same && abx_torch_is_float(static_cast<int>(query.scalar_type())) && query.dim() == 4 &&
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

static double scale_of(const Tensor &query, std::optional<double> scale)
{
    return scale.value_or(1 / std::sqrt(static_cast<double>(query.size(3))));
}

static abx_torch_attention attention_of(const Tensor &scores, const Tensor &to)
{
    abx_torch_attention a = {};
    a.batch = static_cast<uint32_t>(scores.size(0));
    a.heads = static_cast<uint32_t>(scores.size(1));
    a.rows = static_cast<uint32_t>(scores.size(2));
    a.count = static_cast<uint32_t>(scores.size(3));
    a.type = static_cast<int>(to.scalar_type());
    a.to = operand_of(to);
    a.scores = operand_of(scores);
    return a;
}

static void set_strides(int64_t *to, const Tensor &t, int64_t count)
{
    for (int64_t d = 0; d < count; d++)
        to[d] = t.stride(d);
}

// Of each row's scores the parts of 1.
static Tensor parts_of(const Tensor &query, const Tensor &key, const Tensor &given_mask, bool is_causal, double scale)
{
    Tensor scores = empty_like_sizes({query.size(0), query.size(1), query.size(2), key.size(2)}, at::kFloat);
    multiply(scores, query, key.transpose(2, 3), scale);
    Tensor parts = query.scalar_type() == at::kFloat ? scores : empty_like_sizes(scores.sizes(), query.scalar_type());
    abx_torch_attention a = attention_of(scores, parts);
    a.causal = is_causal;
    Tensor mask = given_mask.defined() ? given_mask.expand(scores.sizes()) : given_mask;
    if (mask.defined()) {
        a.mask = operand_of(mask);
        set_strides(a.mask_stride, mask, 4);
    }
    check(abx_torch_attend(&a));
    return parts;
}

static Tensor sums_of(const Tensor &parts, const Tensor &value)
{
    Tensor out = empty_like_sizes({parts.size(0), parts.size(1), parts.size(2), value.size(3)}, value.scalar_type());
    multiply(out, parts, value, 1);
    return out;
}

// In one launch where the device has that. The result's heads lie beside each other, as those of torch's own fused
// kernels: programs put them together next.
static bool attend_whole(const Tensor &query, const Tensor &key, const Tensor &value, const Tensor &given_mask, bool is_causal,
    double scale, Tensor &out)
{
    abx_torch_whole_attention a = {};
    a.batch = static_cast<uint32_t>(query.size(0));
    a.heads = static_cast<uint32_t>(query.size(1));
    a.rows = static_cast<uint32_t>(query.size(2));
    a.count = static_cast<uint32_t>(key.size(2));
    a.width = static_cast<uint32_t>(query.size(3));
    a.value_width = static_cast<uint32_t>(value.size(3));
    a.causal = is_causal;
    a.type = static_cast<int>(query.scalar_type());
    a.scale = static_cast<float>(scale);
    if (!abx_torch_attends_whole(&a))
        return false;
    out = empty_like_sizes({query.size(0), query.size(2), query.size(1), value.size(3)}, query.scalar_type()).transpose(1, 2);
    a.to = operand_of(out);
    a.query = operand_of(query);
    a.key = operand_of(key);
    a.value = operand_of(value);
    set_strides(a.to_stride, out, 3);
    set_strides(a.query_stride, query, 3);
    set_strides(a.key_stride, key, 3);
    set_strides(a.value_stride, value, 3);
    if (given_mask.defined()) {
        Tensor mask = given_mask.expand({query.size(0), query.size(1), query.size(2), key.size(2)});
        a.mask = operand_of(mask);
        set_strides(a.mask_stride, mask, 4);
    }
    check(abx_torch_attend_whole(&a));
    return true;
}

static Tensor attend(const Tensor &query, const Tensor &key, const Tensor &value, const Tensor &mask, bool is_causal,
    double scale)
{
    Tensor out;
    if (attend_whole(query, key, value, mask, is_causal, scale, out))
        return out;
    return sums_of(parts_of(together(query), together(key), mask, is_causal, scale), together(value));
}

// ---- with a derivative

static Four attend_and_keep(const Tensor &query, const Tensor &key, const Tensor &value, const Maybe &bias, bool, double dropout,
    bool is_causal, std::optional<double> scale)
{
    Tensor mask = bias ? *bias : Tensor(), kept = empty_like_sizes({0}, at::kBool);
    TORCH_CHECK(is_simple(query, key, value, mask), "this attention takes queries, keys and values of four dimensions");
    count_native("aten::_scaled_dot_product_efficient_attention");
    Tensor parts = parts_of(together(query), together(key), mask, is_causal, scale_of(query, scale)), used = parts;
    if (dropout > 0)
        std::tie(used, kept) = at::native_dropout(parts, dropout, true);
    return {sums_of(used, together(value)), parts, kept, empty_like_sizes({0}, at::kLong)};
}

// The images' heads behind each other, where a product would else be one for each image.
static Tensor closely(const Tensor &t)
{
    return t.size(0) == 1 || t.stride(0) == t.stride(1) * t.size(1) ? t : t.contiguous();
}

static Tensor product(const Tensor &left, const Tensor &right, at::ScalarType type, double alpha = 1)
{
    Tensor made = empty_like_sizes({left.size(0), left.size(1), left.size(2), right.size(3)}, type);
    multiply(made, left, right, alpha);
    return made;
}

static Four attend_backward(const Tensor &gradient, const Tensor &given_query, const Tensor &given_key, const Tensor &given_value,
    const Tensor &bias, const Tensor &, const Tensor &parts, const Tensor &kept, const Tensor &, double dropout,
    std::array<bool, 4> wanted, bool, std::optional<double> given_scale)
{
    count_native("aten::_scaled_dot_product_efficient_attention_backward");
    Tensor query = closely(given_query), key = closely(given_key), value = closely(given_value);
    Tensor slope = closely(gradient.stride(3) == 1 ? gradient : gradient.contiguous()), of_query, of_key, of_value, of_bias;
    at::ScalarType type = query.scalar_type();
    double scale = scale_of(query, given_scale), more = dropout < 1 ? 1 / (1 - dropout) : 0;
    if (wanted[2]) {
        Tensor used = dropout > 0 ? at::native_dropout_backward(parts, kept, more) : parts;
        of_value = product(used.transpose(2, 3), slope, type);
    }
    if (wanted[0] || wanted[1] || wanted[3]) {
        Tensor scores = product(slope, value.transpose(2, 3), at::kFloat);
        Tensor of_scores = type == at::kFloat ? scores : empty_like_sizes(scores.sizes(), type);
        abx_torch_attention a = attention_of(scores, of_scores);
        a.parts = operand_of(parts);
        if (dropout > 0)
            a.kept = operand_of(kept);
        a.more = static_cast<float>(more);
        check(abx_torch_attend_backward(&a));
        if (wanted[0])
            of_query = product(of_scores, key, type, scale);
        if (wanted[1])
            of_key = product(of_scores.transpose(2, 3), query, type, scale);
        if (wanted[3] && bias.defined())
            of_bias = at::sum_to(of_scores, bias.sizes());
    }
    return {of_query, of_key, of_value, of_bias};
}

// The same of operators that have derivatives themselves.
static Four attend_backward_in_parts(const Tensor &gradient, const Tensor &query, const Tensor &key, const Tensor &value,
    const Tensor &bias, const Tensor &kept, double dropout, bool is_causal, double scale)
{
    Tensor scores = at::matmul(query, key.transpose(2, 3)).mul(scale), used, of_parts, of_bias;
    if (bias.defined())
        scores = scores.add(bias);
    if (is_causal)
        scores = scores.masked_fill(at::ones_like(scores, scores.options().dtype(at::kBool)).tril().logical_not(), -INFINITY);
    Tensor parts = at::softmax(scores, -1), slopes = at::matmul(gradient, value.transpose(2, 3));
    double more = dropout < 1 ? 1 / (1 - dropout) : 0;
    used = dropout > 0 ? parts.mul(kept).mul(more) : parts;
    of_parts = dropout > 0 ? slopes.mul(kept).mul(more) : slopes;
    Tensor of_scores = parts.mul(of_parts.sub(of_parts.mul(parts).sum(-1, true)));
    if (bias.defined())
        of_bias = at::sum_to(of_scores, bias.sizes());
    return {at::matmul(of_scores, key).mul(scale), at::matmul(of_scores.transpose(2, 3), query).mul(scale),
        at::matmul(used.transpose(2, 3), gradient), of_bias};
}

static Four attend_backward_again(const Tensor &gradient, const Tensor &query, const Tensor &key, const Tensor &value,
    const Tensor &bias, const Tensor &out, const Tensor &parts, const Tensor &kept, const Tensor &offset, double dropout,
    std::array<bool, 4> wanted, bool is_causal, std::optional<double> scale)
{
    if (wants_derivative({&gradient, &query, &key, &value, &bias}))
        return attend_backward_in_parts(gradient, query, key, value, bias, kept, dropout, is_causal, scale_of(query, scale));
    at::AutoDispatchBelowADInplaceOrView below;
    return at::_scaled_dot_product_efficient_attention_backward(gradient, query, key, value, bias, out, parts, kept, offset,
        dropout, wanted, is_causal, scale);
}

// ---- which

// As what is added to the scores.
static Maybe added_of(const Maybe &mask, const Tensor &query)
{
    if (mask && mask->defined() && mask->scalar_type() == at::kBool)
        return at::zeros_like(*mask, query.options()).masked_fill_(mask->logical_not(), -INFINITY);
    return mask;
}

static Tensor attention(const Tensor &query, const Tensor &given_key, const Tensor &given_value, const Maybe &mask,
    double dropout, bool is_causal, std::optional<double> scale, bool grouped)
{
    Maybe added = added_of(mask, query);
    Tensor bias = added ? *added : Tensor(), key = given_key, value = given_value;
    auto in_parts = [&] {
        return std::get<0>(at::_scaled_dot_product_attention_math(query, given_key, given_value, added, dropout, is_causal,
            std::nullopt, scale, grouped));
    };
    if ((is_causal && bias.defined()) || is_traced({&query, &key, &value, &bias}))
        return in_parts();
    if (grouped && query.dim() == 4 && key.dim() == 4 && value.dim() == 4 && key.size(1) && key.size(1) == value.size(1) &&
        key.size(1) != query.size(1) && query.size(1) % key.size(1) == 0) {
        key = at::repeat_interleave(key, query.size(1) / key.size(1), 1);
        value = at::repeat_interleave(value, query.size(1) / value.size(1), 1);
    }
    if (!is_simple(query, key, value, bias))
        return in_parts();
    if (!wants_derivative({&query, &key, &value, &bias}) && dropout == 0) {
        count_native("aten::scaled_dot_product_attention");
        return attend(query, key, value, bias, is_causal, scale_of(query, scale));
    }
    // As on CUDA, torch.nn.attention.sdpa_kernel() may ask for the parts.
    if (!at::globalContext().userEnabledMemEfficientSDP() || dropout < 0 || dropout > 1)
        return in_parts();
    return std::get<0>(at::_scaled_dot_product_efficient_attention(query, key, value, added, true, dropout, is_causal, scale));
}

// As programs have it that torch exported on a Mac.
static std::tuple<Tensor, Tensor> attention_and_parts(const Tensor &query, const Tensor &key, const Tensor &value,
    const Maybe &mask, double dropout, bool is_causal, const Maybe &dropped, std::optional<double> scale
#if TORCH_VERSION_MINOR >= 12
    , bool grouped
#endif
)
{
#if TORCH_VERSION_MINOR < 12
    bool grouped = false;
#endif
    Maybe added = added_of(mask, query);
    Tensor bias = added ? *added : Tensor();
    if (dropout != 0 || dropped || (is_causal && bias.defined()) || !is_simple(query, key, value, bias))
        return at::_scaled_dot_product_attention_math(query, key, value, added, dropout, is_causal, dropped, scale, grouped);
    count_native("aten::_scaled_dot_product_attention_math_for_mps");
    Tensor parts = parts_of(together(query), together(key), bias, is_causal, scale_of(query, scale));
    return {sums_of(parts, together(value)), parts};
}

TORCH_LIBRARY_IMPL(aten, MPS, m)
{
    m.impl("_scaled_dot_product_attention_math_for_mps", TORCH_FN(attention_and_parts));
    m.impl("scaled_dot_product_attention", TORCH_FN(attention));
    m.impl("_scaled_dot_product_efficient_attention", TORCH_FN(attend_and_keep));
    m.impl("_scaled_dot_product_efficient_attention_backward", TORCH_FN(attend_backward));
}

TORCH_LIBRARY_IMPL(aten, AutogradMPS, m)
{
    m.impl("scaled_dot_product_attention", TORCH_FN(attention));
    m.impl("_scaled_dot_product_efficient_attention_backward", TORCH_FN(attend_backward_again));
}

} // namespace arcbox
