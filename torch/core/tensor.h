/* torch: a tensor as the core's functions take it. */
#ifndef ABX_TORCH_TENSOR_H
#define ABX_TORCH_TENSOR_H

#include "elementwise.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ABX_TORCH_DIMS 16

/* The outermost dimension first, as torch has it; strides in elements. */
struct abx_torch_tensor {
    struct abx_torch_operand at;
    int type;
    unsigned dims;
    int64_t size[ABX_TORCH_DIMS], stride[ABX_TORCH_DIMS];
};

/* `to` has the dimensions of `from`, of size 1 where a bit of `reduced` (1 << dimension) is set.
 * `library` is one of ops.toml's reductions; `numbers` are its s0 and s1. */
ABX_TORCH_API int abx_torch_reduce(const char *library, const struct abx_torch_tensor *to,
        const struct abx_torch_tensor *from, uint32_t reduced,
        const struct abx_torch_number numbers[2]);

/* The largest (or smallest) and the place of the first such, along one dimension; either of `value`
 * and `index` may have no memory. */
ABX_TORCH_API int abx_torch_find_extreme(const struct abx_torch_tensor *value,
        const struct abx_torch_tensor *index, const struct abx_torch_tensor *from,
        unsigned dimension, bool largest);

#ifdef __cplusplus
}
#endif
#endif
