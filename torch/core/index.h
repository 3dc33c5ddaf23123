/* torch: elements that are found by an index along one dimension, and scans along one. */
#ifndef ABX_TORCH_INDEX_H
#define ABX_TORCH_INDEX_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum abx_torch_scatter {
    ABX_TORCH_SET,
    ABX_TORCH_ADD,
    ABX_TORCH_MULTIPLY,
    ABX_TORCH_LARGER,
    ABX_TORCH_SMALLER,
    ABX_TORCH_SET_NUMBER,
};

/* `index` has as many dimensions as the others; a size of 1 there with a stride of 0 stands for
 * all. An index outside the dimension is taken for the nearest in it. -ENOTSUP: more than 8
 * dimensions. */
ABX_TORCH_API int abx_torch_select(const struct abx_torch_tensor *to,
        const struct abx_torch_tensor *from, const struct abx_torch_tensor *index,
        unsigned dimension);
/* Over the sizes of `index`: of each line along the dimension, the elements go to index's places of
 * `to`. */
ABX_TORCH_API int abx_torch_run_scatter(const struct abx_torch_tensor *to,
        const struct abx_torch_tensor *from, const struct abx_torch_tensor *index,
        unsigned dimension, enum abx_torch_scatter mode, struct abx_torch_number number,
        struct abx_torch_number alpha);
enum abx_torch_scan {
    ABX_TORCH_SUMS = 1,
    ABX_TORCH_PRODUCTS = 2,
    ABX_TORCH_EXPONENTS = 3, /* logarithms of sums of exponentials, of floating-point numbers */
};
/* Of the elements up to each. */
ABX_TORCH_API int abx_torch_run_scan(const struct abx_torch_tensor *to,
        const struct abx_torch_tensor *from, unsigned dimension, enum abx_torch_scan kind);
/* The largest, or smallest, up to each, and the place of the last such, int64. */
ABX_TORCH_API int abx_torch_scan_extremes(const struct abx_torch_tensor *to,
        const struct abx_torch_tensor *index, const struct abx_torch_tensor *from,
        unsigned dimension, bool smallest);

#ifdef __cplusplus
}
#endif
#endif
