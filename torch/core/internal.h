/* torch: what the files of the core share. One lock is over everything; but for those that say
 * otherwise, functions here are called with it held. */
#ifndef ABX_TORCH_INTERNAL_H
#define ABX_TORCH_INTERNAL_H

#include "core.h"
#include "metal.h"

struct core {
    id device, queue;
    struct abx_torch_counts counts;
    bool waits_each;    /* for each launch, as a profiler may ask */
    bool shares_memory; /* with the processor */
};
extern struct core core;

/* Bytes of an element of torch's type; 0: kernels do not know it. */
int64_t core_size_of(int type);

void core_lock(void);
void core_unlock(void);
/* 0, or the error of a forked child, which has no device. */
int core_check(void);
/* Sets the calling thread's sentence; returns `error`. */
int core_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Threads that share a row, of `rows` with `count` elements each: a SIMD-group, or on a discrete
 * GPU more, so that there is work for all of it. */
size_t core_row_threads(size_t rows, size_t count);
/* Elements that a thread takes of a side of `side` elements, 1, 2 or 4, where a discrete GPU has
 * `all` to do. */
int core_each(size_t side, size_t all);
/* As abx_torch_run(). */
int core_launch(const struct abx_torch_launch *launch);
/* As abx_torch_run(), and with the lock not held, a product by the device's library. */
int core_run_product(const struct metal_product *product, const struct abx_torch_operand *operands,
        unsigned count);

/* batch.c */
struct batch_point {
    id encoder; /* with batch_open_between(): none is open, for what encodes itself */
    id command_buffer;
    uint64_t number; /* of the open batch */
};
struct batch_point batch_open(void);
struct batch_point batch_open_between(void);
void batch_launched(void);
void batch_commit(void);
int batch_wait(uint64_t number);
bool batch_has_ended(uint64_t number);
void batch_set_pipeline(id pipeline);
/* The last batch that has the block, or may have it: what a program encodes by itself is not
 * known. */
uint64_t batch_last_use(const struct abx_torch_block *block);
/* The open batch for a program that encodes by itself; `shares_encoder`: through the encoder that
 * launches have, else with none open. */
struct batch_point batch_lend(bool shares_encoder);
void batch_end_encoder(void);
/* Commits what is open, be it empty: its command buffer, the caller's to release. */
id batch_mark(uint64_t *ret_number);

/* kernel.c. NULL: core_fail() was called. */
id kernel_find(const char *library, const char *function, const int32_t *constants, unsigned count,
        unsigned long *ret_width);
int kernel_add_library(const char *name, const char *source);
int kernel_add_library_file(const char *name, const char *path);
id kernel_library(const char *name);

/* allocator.c */
id allocator_new_buffer(size_t size, bool is_private);
struct abx_torch_block *allocator_take(size_t size);
void allocator_return(struct abx_torch_block *block);

/* Generated: the kernels' sources by name, each with what its family begins with. */
struct torch_source {
    const char *name, *before, *text;
};
extern const struct torch_source torch_sources[];
extern const unsigned torch_source_count;
extern const char torch_prelude[];
#endif
