/* tests/semantics: dispatches kernels that check themselves; see programs.h. */
#include "programs.h"

#include <stdlib.h>
#include <string.h>

#define DATA_WORDS 4096u
#define SCRATCH_WORDS 65536u
#define MAX_THREADS 1024u

struct rig rig;
static uint32_t line[MAX_THREADS], data[DATA_WORDS], scratch[SCRATCH_WORDS];
unsigned checked, failures;

/* Threads in all, and in a threadgroup. */
static const uint32_t shapes[][2] = {{1, 1}, {32, 32}, {7, 7}, {100, 64}, {200, 40}, {1000, 256}};

void fill_data(void)
{
    static const uint32_t notable[] = {0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0x3f800000,
            0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x00000001, 0x80000001, 0x007fffff,
            0x00800000, 0x7f7fffff, 0x3c003c00, 0x7bff0400, 0x7c00fc00, 0x00010001, 0x7e008001};
    uint64_t state = 88172645463325252u;
    for (uint32_t i = 0; i < DATA_WORDS; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        data[i] = i < ABX_ARRAY_SIZE(notable) ? notable[i] : (uint32_t)(state >> 24);
    }
}

static struct abx_device_memory *import(void *p, size_t bytes)
{
    return rig_import(&rig, p, bytes);
}

static int dispatch(struct abx_pipeline *pipeline, const uint32_t shape[2])
{
    struct abx_device_memory *buffers[] = {
            import(line, sizeof line), import(data, sizeof data), import(scratch, sizeof scratch)};
    const size_t sizes[] = {sizeof line, sizeof data, sizeof scratch};
    struct batch batch;
    memset(line, 0, sizeof line);
    memset(scratch, 0, sizeof scratch);
    batch_init(&batch);
    struct abx_exec_dispatch *d = batch_dispatch(&batch, pipeline, (uint32_t[]){shape[0], 1, 1},
            (uint32_t[]){shape[1], 1, 1}, ABX_ARRAY_SIZE(buffers));
    d->threadgroup_bytes[0] = 4 * MAX_THREADS;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(buffers); i++)
        d->bindings[i] = (struct abx_exec_binding){buffers[i], 0, sizes[i]};
    batch_submit(&batch, rig.queue, rig.backend);
    int rc = batch_wait(&batch);
    batch_finish(&batch);
    for (size_t i = 0; i < ABX_ARRAY_SIZE(buffers); i++)
        rig.backend->memory->destroy(buffers[i]);
    return rc;
}

void run_kernel(
        const char *file, const char *kernel, const char *mode, struct abx_pipeline *pipeline)
{
    for (size_t s = 0; s < ABX_ARRAY_SIZE(shapes); s++) {
        int rc = dispatch(pipeline, shapes[s]);
        checked++;
        if (rc) {
            printf("%s: %s ends with error %d (%s math, %u threads in groups of %u)\n", file,
                    kernel, rc, mode, shapes[s][0], shapes[s][1]);
            failures++;
            return;
        }
        for (uint32_t i = 0; i < MAX_THREADS; i++)
            if (line[i]) {
                printf("%s:%u does not hold (%s, %s math, thread %u of %u in groups of %u)\n", file,
                        line[i], kernel, mode, i, shapes[s][0], shapes[s][1]);
                failures++;
                return;
            }
    }
}
