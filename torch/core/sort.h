/* torch: sorting, searching in what is sorted, and places of elements that are not 0. */
#ifndef ABX_TORCH_SORT_H
#define ABX_TORCH_SORT_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The first `keep` along the dimension of what is sorted; equal elements in the order they had.
 * Either of `values` and `index`, of int64, may have no memory; the size of neither is looked at.
 * -ENOTSUP: more dimensions or elements than kernels count. */
ABX_TORCH_API int abx_torch_sort(const struct abx_torch_tensor *values,
        const struct abx_torch_tensor *index, const struct abx_torch_tensor *from,
        unsigned dimension, bool descending, uint32_t keep);

/* The one element that sorting would put at a place along the dimension, and the place that it had.
 * The results have memory, and the size of neither is looked at. -ENOTSUP: as abx_torch_sort(). */
enum abx_torch_rank {
    ABX_TORCH_RANK,   /* `number` are before it, which is below how many there are */
    ABX_TORCH_MIDDLE, /* as many as come after it, or one less; the first NaN where one is */
    ABX_TORCH_MIDDLE_OF_NUMBERS, /* the same of what is no NaN */
};
ABX_TORCH_API int abx_torch_pick(const struct abx_torch_tensor *value,
        const struct abx_torch_tensor *index, const struct abx_torch_tensor *from,
        unsigned dimension, enum abx_torch_rank rank, uint32_t number);

/* Where values would go into sorted rows. Without gaps; `order`, int64, may have no memory. */
struct abx_torch_search {
    struct abx_torch_operand to, row, values, order;
    int row_type, value_type, to_type;
    uint32_t rows, count, values_in_row;
    bool one_row, behind; /* one row for all; behind what equals it */
};
ABX_TORCH_API int abx_torch_run_search(const struct abx_torch_search *s);

/* Elements that lie without gaps. The places of what is not 0 come in two steps, as they need
 * memory that only the first, which waits, knows the size of. */
struct abx_torch_nonzero {
    struct abx_torch_operand from;
    int type;
    unsigned dims;
    uint32_t size[ABX_TORCH_DIMS]; /* the outermost first */
    uint64_t count;
    struct abx_torch_block *before; /* of the first step, and then the caller's to free */
};
ABX_TORCH_API int abx_torch_count_places(struct abx_torch_nonzero *n, uint64_t *ret_found);
/* `to` has `dims` of int64 for each. */
ABX_TORCH_API int abx_torch_write_places(
        struct abx_torch_nonzero *n, const struct abx_torch_operand *to);

#ifdef __cplusplus
}
#endif
#endif
