/* torch: systems of linear equations, a block at a time. */
#ifndef ABX_TORCH_SOLVE_H
#define ABX_TORCH_SOLVE_H

#include "matrix.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `batches` matrices of floats, whose columns lie side by side, changed in place. */
struct abx_torch_factor {
    uint32_t batches, rows, columns;
    uint32_t begin, end; /* the columns that are factored: those before have been */
    struct abx_torch_matrix a;
    struct abx_torch_operand pivots; /* int32 from 1 on, min(rows, columns) of each matrix */
    struct abx_torch_operand info;   /* int32 of each: 0, or where there is none; kept if not 0 */
    uint32_t offset;                 /* of a block in the matrix that `info` is about */
};
/* With rows exchanged, the whole width of them; at most 32 columns are factored. */
ABX_TORCH_API int abx_torch_run_factor(const struct abx_torch_factor *f);
/* The lower half of symmetric matrices, of at most ABX_TORCH_SMALL_MATRIX rows; no pivots. */
ABX_TORCH_API int abx_torch_run_factor_symmetric(const struct abx_torch_factor *f);
#define ABX_TORCH_SMALL_MATRIX 64
/* Whole square matrices, of at most so many rows: each becomes its inverse; no pivots. */
ABX_TORCH_API int abx_torch_run_invert(const struct abx_torch_factor *f);

/* b becomes what `a`, a triangle of `rows`, makes b of. */
struct abx_torch_solve {
    uint32_t batches, rows, columns; /* columns: of b */
    bool is_upper, is_unit;
    struct abx_torch_matrix a, b;
};
ABX_TORCH_API int abx_torch_run_solve(const struct abx_torch_solve *s);
/* Rows of b as a factor's were exchanged, or back; `count` pivots of each matrix. */
ABX_TORCH_API int abx_torch_exchange(const struct abx_torch_solve *s,
        struct abx_torch_operand pivots, uint32_t count, bool back);

#ifdef __cplusplus
}
#endif
#endif
