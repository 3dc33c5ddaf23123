/* torch: messages to Metal's objects, as functions. */
#ifndef ABX_TORCH_METAL_H
#define ABX_TORCH_METAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct objc_object *id;

struct metal_size {
    unsigned long width, height, depth;
};

/* Objects from metal_new_*() and metal_command_buffer() are owned by the caller. */
id metal_new_device(void);
id metal_new_queue(id device);
/* Private: the processor does not see it. */
id metal_new_buffer(id device, size_t length, bool is_private);
void *metal_buffer_contents(id buffer);
uint64_t metal_buffer_address(id buffer);
uint64_t metal_working_set(id device);
bool metal_has_unified_memory(id device);
/* NULL: `message` (of `size` bytes) says why. */
id metal_new_library(id device, const char *source, char *message, size_t size);
id metal_new_library_of_file(id device, const char *path, char *message, size_t size);
/* A line each; the caller's to free(). NULL: out of memory. */
char *metal_function_names(id library);
id metal_new_pipeline(id device, id library, const char *function, const int32_t *constants,
        unsigned count, char *message, size_t size);
unsigned long metal_pipeline_width(id pipeline);
unsigned long metal_pipeline_simd_width(id pipeline);
unsigned long metal_pipeline_memory(id pipeline);

id metal_command_buffer(id queue);
id metal_encoder(id command_buffer);
void metal_set_pipeline(id encoder, id pipeline);
void metal_set_bytes(id encoder, const void *bytes, size_t length, unsigned index);
void metal_set_buffer(id encoder, id buffer, size_t offset, unsigned index);
void metal_dispatch(id encoder, struct metal_size grid, struct metal_size group);
void metal_end(id encoder);
void metal_commit(id command_buffer);
bool metal_is_committed(id command_buffer);
/* Matrices in a buffer: `rows` of `columns` elements of torch's type each, one of them a row, the
 * next one of the batch `matrix_bytes` on. */
struct metal_matrices {
    id buffer;
    size_t offset, row_bytes, matrix_bytes;
    int type;
};

/* result = alpha * op(left) * op(right) + beta * result, for each of the batch; op() transposes
 * where asked. Sides are op()'s. */
struct metal_product {
    struct metal_matrices left, right, result;
    bool transpose_left, transpose_right;
    unsigned long rows, columns, inner, batch;
    double alpha, beta;
};
/* MPSMatrixMultiplication; no encoder may be open. */
void metal_multiply(id device, id command_buffer, const struct metal_product *product);

void metal_wait(id command_buffer);
bool metal_has_ended(id command_buffer);
/* False: it ended in an error, which `message` says. */
bool metal_succeeded(id command_buffer, char *message, size_t size);
/* Of one that has ended, in seconds. */
double metal_end_time(id command_buffer);
id metal_retain(id object);
void metal_release(id object);
#endif
