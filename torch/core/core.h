/* torch: what the layers for each version of PyTorch call. The device is the system's default Metal
 * device, spoken to through the public Metal API alone.
 *
 * Work goes one way: a launch is encoded into the open batch, batches are committed when they are
 * full or the device is idle, and nothing waits but abx_torch_wait(). All functions may be called
 * from any thread. Functions that fail return a negative errno; abx_torch_error() then has a
 * sentence for the calling thread. */
#ifndef ABX_TORCH_CORE_H
#define ABX_TORCH_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#define ABX_TORCH_API __attribute__((visibility("default")))

/* Memory of the device. Where that is the processor's too (abx_torch_shares_memory()), `data` is
 * where the processor sees it, and `place` is the block's MTLBuffer, as on a Mac, where programs
 * hand a storage's data to an encoder; else `place` is the kernels' address, and `data` NULL.
 * Nothing may follow `place`: tensors' data pointers are it and an offset.
 * `last_use` is the number of the last batch that is known to have it; batches end in order. */
struct abx_torch_block {
    void *place;
    char *data;
    size_t size;
    uint64_t last_use;
    void *buffer;    /* MTLBuffer */
    size_t offset;   /* of the block in it */
    unsigned bucket; /* of the allocator */
    struct abx_torch_block *next;
};

struct abx_torch_operand {
    struct abx_torch_block *block; /* may be NULL: a buffer that is not read */
    size_t offset;                 /* in the block, bytes */
};

#define ABX_TORCH_MAX_OPERANDS 12
#define ABX_TORCH_MAX_CONSTANTS 16
#define ABX_TORCH_MAX_PARAMETERS 4096

/* One kernel over a grid of threads. `parameters` are bound at 0, operands from 1 on. */
struct abx_torch_launch {
    const char *library, *function;
    const int32_t *constants; /* function constants 0, 1, ... */
    unsigned constant_count;
    const void *parameters;
    size_t parameter_size;
    const struct abx_torch_operand *operands;
    unsigned operand_count;
    size_t grid[3], group[3]; /* threads; group[0] == 0: chosen here */
};

struct abx_torch_counts {
    uint64_t launches, batches, waits, kernels;
    uint64_t allocated, held; /* bytes in use, and taken from the device */
    uint64_t limit;           /* what the device recommends */
};

/* Once; later calls return the first one's result. */
ABX_TORCH_API int abx_torch_open(void);
ABX_TORCH_API const char *abx_torch_error(void);

/* NULL: out of memory. A size of 0 has a block without data. */
ABX_TORCH_API struct abx_torch_block *abx_torch_allocate(size_t size);
ABX_TORCH_API void abx_torch_free(struct abx_torch_block *block);
ABX_TORCH_API void abx_torch_empty_cache(void);

ABX_TORCH_API int abx_torch_run(const struct abx_torch_launch *launch);
/* Commits what is encoded; does not wait. */
ABX_TORCH_API void abx_torch_commit(void);
/* Until the batch of this number, as blocks have it, has ended; UINT64_MAX: all. */
ABX_TORCH_API int abx_torch_wait(uint64_t batch);
/* Until the processor may read and write the block. */
ABX_TORCH_API int abx_torch_wait_for(const struct abx_torch_block *block);
/* Whether the processor may write the block now. */
ABX_TORCH_API bool abx_torch_is_idle(const struct abx_torch_block *block);
/* Whether the processor has the device's memory: with a discrete GPU it does not. */
ABX_TORCH_API bool abx_torch_shares_memory(void);
/* Bytes of the processor's memory into the block, after all that was launched before; `from` may
 * change as soon as this returns. Waits for nothing but room. */
ABX_TORCH_API int abx_torch_upload(struct abx_torch_operand to, const void *from, size_t size);
/* The other way: waits for what was launched before. */
ABX_TORCH_API int abx_torch_download(void *to, struct abx_torch_operand from, size_t size);
/* Within the device; waits for nothing. */
ABX_TORCH_API int abx_torch_copy(
        struct abx_torch_operand to, struct abx_torch_operand from, size_t size);

ABX_TORCH_API void abx_torch_get_counts(struct abx_torch_counts *ret_counts);

/* ---- encoding by a program itself (lend.c), as extensions in Objective-C++ do on a Mac */

/* The open batch's command buffer, with no encoder open: the caller encodes and does not commit. It
 * stays open until the batch is committed: by abx_torch_commit(), by whoever waits, or when it is
 * full. Not retained. NULL: core_fail() was called. */
ABX_TORCH_API void *abx_torch_lend_command_buffer(void);
/* Its compute encoder, shared with launches from here; not to be ended. As above. */
ABX_TORCH_API void *abx_torch_lend_encoder(void);
/* Ends that encoder, if one is open. */
ABX_TORCH_API void abx_torch_end_encoder(void);
ABX_TORCH_API void *abx_torch_device(void);
ABX_TORCH_API void *abx_torch_command_queue(void);
/* A serial dispatch queue, on which such programs encode. */
ABX_TORCH_API void *abx_torch_dispatch_queue(void);

/* Of a block's `place`, where memory is shared. */
ABX_TORCH_API void *abx_torch_contents(void *place);

/* ---- kernels that a user wrote (user.c) */

/* A library named `name` from then on: of source, or of a file that was compiled elsewhere. Fails
 * where it cannot be made. */
ABX_TORCH_API int abx_torch_add_library(const char *name, const char *source);
ABX_TORCH_API int abx_torch_add_library_file(const char *name, const char *path);
/* A line each; the caller's to free(). */
ABX_TORCH_API char *abx_torch_function_names(const char *library);
struct abx_torch_function {
    size_t most_threads, width, memory; /* of a threadgroup, of a SIMD group, bytes it declares */
};
ABX_TORCH_API int abx_torch_describe(
        const char *library, const char *function, struct abx_torch_function *ret_function);

#define ABX_TORCH_MAX_ARGUMENTS 31 /* as many buffers as Metal has */
struct abx_torch_argument {
    struct abx_torch_operand operand; /* block NULL: bytes */
    const void *bytes;
    size_t size;
};
/* Arguments are bound from 0 on. */
ABX_TORCH_API int abx_torch_run_user(const char *library, const char *function,
        const struct abx_torch_argument *arguments, unsigned count, const size_t grid[3],
        const size_t group[3]);

/* ---- events (event.c): when what was launched before has ended */
struct abx_torch_event;
/* NULL: out of memory. */
ABX_TORCH_API struct abx_torch_event *abx_torch_event_new(void);
ABX_TORCH_API void abx_torch_event_free(struct abx_torch_event *event);
ABX_TORCH_API int abx_torch_event_record(struct abx_torch_event *event);
/* One that was not recorded has nothing to wait for. */
ABX_TORCH_API bool abx_torch_event_has_ended(const struct abx_torch_event *event);
ABX_TORCH_API int abx_torch_event_wait(const struct abx_torch_event *event);
/* Waits for both; -EINVAL where one was not recorded. */
ABX_TORCH_API int abx_torch_event_elapsed(const struct abx_torch_event *start,
        const struct abx_torch_event *end, double *ret_milliseconds);
/* From now on each launch is waited for, or not. */
ABX_TORCH_API void abx_torch_wait_each(bool each);

#ifdef __cplusplus
}
#endif
#endif
