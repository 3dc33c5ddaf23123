/* torch: products of matrices. */
#ifndef ABX_TORCH_MATRIX_H
#define ABX_TORCH_MATRIX_H

#include "elementwise.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Strides in elements. */
struct abx_torch_matrix {
    struct abx_torch_operand at;
    int64_t batch, row, column;
};

/* Its rows as columns, on the same memory. */
static inline struct abx_torch_matrix abx_torch_turned(struct abx_torch_matrix m)
{
    int64_t row = m.row;
    m.row = m.column;
    m.column = row;
    return m;
}

/* to = beta * added + alpha * left x right, for each of `batches`. `added` is read only when beta
 * is not 0, as torch has it: NaN times 0 is no number of the sum. All have the same type; of
 * floating-point numbers, `to` may have another. */
struct abx_torch_product {
    int type, to_type;
    uint32_t batches, rows, columns, inner;
    struct abx_torch_matrix to, left, right, added;
    struct abx_torch_number alpha, beta;
};
ABX_TORCH_API int abx_torch_multiply(const struct abx_torch_product *product);

#ifdef __cplusplus
}
#endif
#endif
