/* mps: MetalPerformanceShaders' classes. Runs in the guest's process.
 *
 * Their objects are those that gen/ writes (api/mps.xml); here are the methods that do something.
 */
#ifndef ABX_MPS_H
#define ABX_MPS_H

#include "classes_gen.h"
#include "metal/metal_internal.h"

/* One operand: matrices in a buffer. */
struct abx_mps_matrices {
    struct abx_metal_buffer *buffer;
    uint64_t offset, matrix_bytes;
    uint64_t row_bytes;
    uint32_t data_type; /* MPSDataType */
};

/* result = alpha * op(left) * op(right) + beta * result */
struct abx_mps_product {
    struct abx_mps_matrices left, right, result;
    uint64_t rows, columns, inner, batch;
    bool transpose_left, transpose_right;
    double alpha, beta;
};

/* Encodes it, as one command or a kernel of ours. `what` names the call in errors, with which the
 * command buffer then fails. */
void abx_mps_multiply(id command_buffer, const struct abx_mps_product *product, const char *what);

/* Bytes of an element. */
static inline uint64_t abx_mps_bytes(uint32_t data_type)
{
    return (data_type & 0xffff) / 8;
}

#endif
