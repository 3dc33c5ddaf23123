/* torch: what networks are made of: softmax, losses, pooling, convolution. Tensors lie without gaps
 * where no strides are named. */
#ifndef ABX_TORCH_LAYERS_H
#define ABX_TORCH_LAYERS_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Along the middle of three dimensions. `to` and `from` may have different types. */
struct abx_torch_softmax {
    uint32_t outer, count, inner;
    bool is_log;
    struct abx_torch_operand to, from, gradient; /* backward: `from` is the output */
    int to_type, from_type;
};
ABX_TORCH_API int abx_torch_run_softmax(const struct abx_torch_softmax *s);
ABX_TORCH_API int abx_torch_run_softmax_backward(const struct abx_torch_softmax *s);

/* What attention makes of its scores: `to` has `batch` x `heads` x `rows` x `count` elements of
 * `type` without gaps, `scores` as many floats, which are used up; `mask`, of `type` as well, is
 * added, with strides in elements; without memory there is none. */
struct abx_torch_attention {
    uint32_t batch, heads, rows, count;
    bool causal;
    int type;
    int64_t mask_stride[4];
    struct abx_torch_operand to, scores, mask;
    /* Backward alone: what abx_torch_attend() made, of `type`; a byte for each that says whether
     * dropout kept it, without memory where there is none; and what it multiplied by. */
    struct abx_torch_operand parts, kept;
    float more;
};
ABX_TORCH_API int abx_torch_attend(const struct abx_torch_attention *a);
/* `scores` are the derivatives of the parts, `to` those of the scores, which may be the same
 * memory. */
ABX_TORCH_API int abx_torch_attend_backward(const struct abx_torch_attention *a);

/* Attention in one launch, which keeps nothing for a derivative. Of `type`, half or bfloat; strides
 * in elements, of batch, heads and rows: the elements of a row lie side by side, `width` of a query
 * and a key, `value_width` of a value and a result. */
struct abx_torch_whole_attention {
    uint32_t batch, heads, rows, count, width, value_width;
    bool causal;
    int type;
    float scale;
    struct abx_torch_operand to, query, key, value, mask; /* the mask as above */
    int64_t to_stride[3], query_stride[3], key_stride[3], value_stride[3], mask_stride[4];
};
/* Whether this device has it, and is fast by it. */
ABX_TORCH_API bool abx_torch_attends_whole(const struct abx_torch_whole_attention *a);
ABX_TORCH_API int abx_torch_attend_whole(const struct abx_torch_whole_attention *a);

/* `reduction` is torch's: 0 none, 1 mean, 2 sum. Backward: `from` is the gradient, with strides[0].
 */
struct abx_torch_loss {
    uint32_t count, classes;
    int64_t ignored, strides[2];
    int reduction, type, target_type;
    struct abx_torch_operand to, total, from, target, weight;
};
ABX_TORCH_API int abx_torch_run_loss(const struct abx_torch_loss *loss);
ABX_TORCH_API int abx_torch_run_loss_backward(const struct abx_torch_loss *loss);

struct abx_torch_pool {
    int32_t images, height, width, out_height, out_width;
    int32_t kernel_size[2], stride[2], padding[2], dilation[2];
    int32_t divisor; /* of averages; 0: the elements that there are */
    bool is_average, includes_padding;
    int type;
    /* Backward: `from` is the gradient, and `to` has height and width. */
    struct abx_torch_operand to, index, from;
};
ABX_TORCH_API int abx_torch_run_pool(const struct abx_torch_pool *pool);
ABX_TORCH_API int abx_torch_run_pool_backward(const struct abx_torch_pool *pool);

/* Over three dimensions, fewer with sizes of 1 in front; integers, too, but for what goes back. */
struct abx_torch_volume_pool {
    int32_t images, in[3], out[3];
    int32_t kernel_size[3], stride[3], padding[3], dilation[3];
    int32_t divisor;  /* as above */
    bool is_adaptive; /* windows by the sizes alone */
    bool is_average, includes_padding;
    int type;
    struct abx_torch_operand to, index, from; /* as above */
};
ABX_TORCH_API int abx_torch_run_volume_pool(const struct abx_torch_volume_pool *pool);
ABX_TORCH_API int abx_torch_run_volume_pool_backward(const struct abx_torch_volume_pool *pool);

/* Over three dimensions: fewer have sizes of 1 in front. `input` is (batch, channels, ...) and
 * `output` (batch, filters, ...), `weight` (filters, channels / groups, ...), as of a convolution
 * that is not transposed; one that is calls abx_torch_convolve_input(). Any strides. */
struct abx_torch_convolution {
    int type;
    uint32_t groups;
    int32_t stride[3], padding[3], dilation[3];
    struct abx_torch_tensor input, weight, output;
    struct abx_torch_tensor bias; /* one dimension, or without memory */
};
/* Each makes one of the three of the two others. */
ABX_TORCH_API int abx_torch_convolve(const struct abx_torch_convolution *c);
ABX_TORCH_API int abx_torch_convolve_input(const struct abx_torch_convolution *c);
ABX_TORCH_API int abx_torch_convolve_weight(const struct abx_torch_convolution *c);

#ifdef __cplusplus
}
#endif
#endif
