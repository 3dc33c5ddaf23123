/* tests/backend: a device, a queue, events, and a way to write down command buffers. */
#ifndef TESTS_BACKEND_RIG_H
#define TESTS_BACKEND_RIG_H

#include "../check.h"
#include "backend/backend.h"
#include "shader/shader.h"

#include <stdio.h>

struct rig {
    const struct abx_backend *backend;
    struct abx_device *device;
    struct abx_queue *queue;
    const char *bitcode; /* path; of the folder of objects, where they are stored */
    uint64_t constants;  /* function constants given to rig_pipeline(): set before */
    struct abx_shader_constant constant[4];
    uint32_t constant_count;
};

/* What test_kernels.c runs on: rig_cpu.c or rig_cuda.c. */
extern const struct abx_backend *const rig_suite_backend;
int rig_open(struct rig *rig, const struct abx_backend *backend, unsigned threads);
void rig_close(struct rig *rig);
/* Library blob around the suite's bitcode; the caller frees. */
void *rig_library(const char *path, size_t *ret_bytes);
/* Compiles kernel `id` of kernels.cpp (rig_compiled.c), or finds it compiled (rig_stored.c). NULL
 * on failure, after saying why. */
struct abx_pipeline *rig_pipeline(struct rig *rig, uint32_t id);

/* Memory of the test's as the device's; ends the test when there is none. */
struct abx_device_memory *rig_import(struct rig *rig, void *address, uint64_t bytes);

/* A command buffer being written. */
struct batch {
    struct abx_submission submission;
    char *data;
    size_t bytes, capacity;
    /* results */
    uint32_t done; /* futex */
    int error;
    uint32_t source;
};
void batch_init(struct batch *b);
void batch_finish(struct batch *b);
void *batch_add(struct batch *b, uint16_t op, size_t bytes);
struct abx_exec_dispatch *batch_dispatch(struct batch *b, struct abx_pipeline *pipeline,
        const uint32_t grid[3], const uint32_t group[3], uint32_t bindings);
/* Binds inline bytes to the dispatch added last. */
void batch_bytes(
        struct batch *b, struct abx_exec_dispatch **d, uint32_t index, const void *data, size_t n);
void batch_copy(struct batch *b, struct abx_device_memory *from, uint64_t from_offset,
        struct abx_device_memory *to, uint64_t to_offset, uint64_t length);
void batch_fill(struct batch *b, struct abx_device_memory *to, uint64_t offset, uint64_t length,
        uint8_t value);
void batch_event(struct batch *b, uint16_t op, struct abx_event *event, uint64_t value);
void batch_submit(struct batch *b, struct abx_queue *queue, const struct abx_backend *backend);
int batch_wait(struct batch *b); /* its error; -1 after 20 s */

struct abx_event *event_new(void);
void event_free(struct abx_event *e);
extern const struct abx_event_ops event_ops;

#endif
