/* torch: mean and variance of rows, and what is normalised by them. */
#ifndef ABX_TORCH_NORM_H
#define ABX_TORCH_NORM_H

#include "elementwise.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows as kernels/norm.metal describes them; strides in elements. Operands without a block are not
 * there. Weights, biases and running values have one type. */
struct abx_torch_norm {
    uint32_t rows, count, inner;
    int64_t row, outer;
    uint32_t weight_rows, weight_step, weight_inner, weights;
    float epsilon, momentum, correction;
    int type, mean_type, weight_type;
    bool given; /* mean and variance are the running ones */
    bool root;
    struct abx_torch_operand to, mean, deviation, from, gradient;
    struct abx_torch_operand weight, bias, running_mean, running_variance;
};
ABX_TORCH_API int abx_torch_normalise(const struct abx_torch_norm *n);
/* `to` becomes the variance (or its root) of each row, `mean` the mean. */
ABX_TORCH_API int abx_torch_spread(const struct abx_torch_norm *n);
ABX_TORCH_API int abx_torch_normalise_input(const struct abx_torch_norm *n);
/* `weight` and `bias` are what is written. */
ABX_TORCH_API int abx_torch_normalise_weight(const struct abx_torch_norm *n);

#ifdef __cplusplus
}
#endif
#endif
