/* torch: elements at places that a grid names, and the columns that windows over a picture are. */
#ifndef ABX_TORCH_SAMPLE_H
#define ABX_TORCH_SAMPLE_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `from` (images, channels, sizes), `to` the same with the result's sizes, `grid` (images, result's
 * sizes, dimensions), all of one type and without gaps. Numbers of modes are torch's. */
struct abx_torch_sample {
    int type, dims, mode, padding;
    bool aligned;
    int32_t images, channels, in[3], out[3]; /* depth, height, width: 1 where there is none */
    struct abx_torch_operand to, from, grid;
    /* Backward: `to` are floats that are added to, `gradient` is the result's; either of `to` and
     * `to_grid` may have no memory. */
    struct abx_torch_operand to_grid, gradient;
};
ABX_TORCH_API int abx_torch_run_sample(const struct abx_torch_sample *s);
ABX_TORCH_API int abx_torch_run_sample_backward(const struct abx_torch_sample *s);
/* Whether `to` is better made by abx_torch_spread_samples(): that has a thread for each channel,
 * and adds up in the same order each time. `to` and `gradient` have their channels last then. */
ABX_TORCH_API bool abx_torch_spreads(const struct abx_torch_sample *s);
ABX_TORCH_API int abx_torch_spread_samples(const struct abx_torch_sample *s);

/* (images, channels, height, width) and (images, channels * window, places), without gaps. */
struct abx_torch_windows {
    int type;
    int32_t images, channels, height, width, out_height, out_width;
    int32_t kernel_size[2], stride[2], padding[2], dilation[2];
    struct abx_torch_operand to, from;
};
ABX_TORCH_API int abx_torch_unfold(const struct abx_torch_windows *w);
/* The other way: `to` is the picture. */
ABX_TORCH_API int abx_torch_fold(const struct abx_torch_windows *w);

#ifdef __cplusplus
}
#endif
#endif
