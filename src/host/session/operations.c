/* host: library operations, checked: what a device's library does instead of kernels. Runs in the
 * worker, on the engine's thread; sizes and places are the guest's. */
#include "host/session/internal.h"

#include <string.h>

static unsigned element_bytes(uint32_t element)
{
    return element == ABX_ELEMENT_FLOAT32 ? 4 : 2;
}

/* Matrices of rows x columns in the buffer: all of them lie in it, and each element where one can
 * be. */
static bool place_matrices(struct decoder *d, struct abx_exec_matrices *m,
        const struct abx_buffer_object *buffer, uint64_t offset, uint64_t rows, uint64_t columns,
        uint64_t batch)
{
    uint64_t bytes = element_bytes(m->element), row = columns * bytes, last, all, end;
    uint64_t at = buffer->offset + offset;
    if (row > m->row_bytes) {
        abx_commands_fail(d, ABX_REASON_RANGE, d->op, row, m->row_bytes);
        return false;
    }
    if (__builtin_mul_overflow(batch - 1, m->matrix_bytes, &all) ||
            __builtin_mul_overflow(rows - 1, (uint64_t)m->row_bytes, &last) ||
            __builtin_add_overflow(all, last, &end) || __builtin_add_overflow(end, row, &end) ||
            __builtin_add_overflow(end, offset, &end)) {
        abx_commands_fail(d, ABX_REASON_OVERFLOW, d->op, offset, buffer->length);
        return false;
    }
    if (end > buffer->length) {
        abx_commands_fail(d, ABX_REASON_RANGE, d->op, end, buffer->length);
        return false;
    }
    if ((at | m->matrix_bytes | m->row_bytes) % bytes) {
        abx_commands_fail(d, ABX_REASON_ALIGNMENT, d->op, at, bytes);
        return false;
    }
    m->memory = buffer->memory;
    m->offset = at;
    return true;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void abx_operation_matrix_multiply(struct decoder *d, const struct abx_rec_matrix_multiply *r,
        struct abx_buffer_object *left, struct abx_buffer_object *right,
        struct abx_buffer_object *result)
{
    struct abx_exec_matrix_multiply c = {
            .left = {NULL, 0, r->left_matrix, r->left_row, r->left_type},
            .right = {NULL, 0, r->right_matrix, r->right_row, r->right_type},
            .result = {NULL, 0, r->result_matrix, r->result_row, r->result_type},
            .rows = r->rows,
            .columns = r->columns,
            .inner = r->inner,
            .batch = r->batch,
            .transpose_left = r->transposed & 1,
            .transpose_right = r->transposed >> 1,
            .alpha = double_of(r->alpha),
            .beta = double_of(r->beta)};
    bool tl = c.transpose_left, tr = c.transpose_right;
    if (!(d->session->host->info.operations & ABX_OPERATION_MATRIX_MULTIPLY)) {
        abx_commands_fail(d, ABX_REASON_UNSUPPORTED, d->op, 0, 0);
        return;
    }
    if (!place_matrices(d, &c.left, left, r->left_offset, tl ? r->inner : r->rows,
                tl ? r->rows : r->inner, r->batch) ||
            !place_matrices(d, &c.right, right, r->right_offset, tr ? r->columns : r->inner,
                    tr ? r->inner : r->columns, r->batch) ||
            !place_matrices(d, &c.result, result, r->result_offset, r->rows, r->columns, r->batch))
        return;
    struct abx_exec_matrix_multiply *to =
            abx_commands_append(d, ABX_EXEC_MATRIX_MULTIPLY, sizeof *to);
    if (!to)
        return;
    c.head = to->head;
    *to = c;
    abx_commands_use(d, left, ABX_USAGE_READ);
    abx_commands_use(d, right, ABX_USAGE_READ);
    abx_commands_use(d, result, ABX_USAGE_READ | ABX_USAGE_WRITE);
}
