/* tests/semantics: runs Metal programs that check themselves, the way a client's program is run:
 * front end, code generator, cpu backend. Every kernel of a file is dispatched in several shapes,
 * some of which leave SIMD-groups and threadgroups partly filled, once under each math mode.
 *
 *   run_kernels FILE.metal...
 *
 * A kernel is given
 *   device uint *line [[buffer(0)]]           a word a thread, 0: where it puts the number of the
 *                                             source line of the first thing that does not hold
 *   device const uint *data [[buffer(1)]]     DATA_WORDS words that no compiler can guess
 *   device uint *scratch [[buffer(2)]]        SCRATCH_WORDS words, zeroed before each dispatch
 * and must be dispatched in one dimension. ARCBOX_CODEGEN_FORM chooses the form of the code. */
#include "tests/backend/rig.h"

#include <stdlib.h>
#include <string.h>

#define DATA_WORDS 4096u
#define SCRATCH_WORDS 65536u
#define MAX_THREADS 1024u

static struct rig rig;
static uint32_t line[MAX_THREADS], data[DATA_WORDS], scratch[SCRATCH_WORDS];
static unsigned checked, failures;

/* Threads in all, and in a threadgroup. */
static const uint32_t shapes[][2] = {{1, 1}, {32, 32}, {7, 7}, {100, 64}, {200, 40}, {1000, 256}};

static void fill_data(void)
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

static struct abx_buffer *import(void *p, size_t bytes)
{
    struct abx_buffer *b = NULL;
    if (rig.backend->buffer->import(rig.device, p, bytes, &b) < 0)
        abort();
    return b;
}

static int dispatch(struct abx_pipeline *pipeline, const uint32_t shape[2])
{
    struct abx_buffer *buffers[] = {
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
        rig.backend->buffer->destroy(buffers[i]);
    return rc;
}

static void run_kernel(
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

static void run_library(const struct abx_shader_tools *tools, const char *file, const char *mode,
        const void *blob, size_t bytes)
{
    const struct abx_shader_library *head = blob;
    const struct abx_reflection *r = (const void *)((const char *)blob + head->reflection_offset);
    for (uint32_t i = 0; i < r->function_count; i++) {
        const char *name = abx_reflection_string(r, abx_reflection_functions(r)[i].name);
        struct abx_shader_result result = {0};
        struct abx_pipeline *pipeline = NULL;
        int rc = abx_shader_specialize(tools, blob, bytes, i, NULL, 0, &result);
        if (!rc)
            rc = rig.backend->pipeline->create(
                    rig.device, result.blob, result.blob_bytes, &pipeline);
        if (rc) {
            printf("%s: %s cannot be specialised: %s\n", file, name,
                    result.message ? result.message : strerror(-rc));
            failures++;
        } else {
            run_kernel(file, name, mode, pipeline);
            rig.backend->pipeline->destroy(pipeline);
        }
        free(result.blob), free(result.message);
    }
}

static int run_file(const struct abx_shader_tools *tools, const char *path)
{
    static const char *const modes[] = {
            [ABX_MATH_SAFE] = "safe", [ABX_MATH_RELAXED] = "relaxed", [ABX_MATH_FAST] = "fast"};
    static const uint32_t tried[] = {ABX_MATH_SAFE, ABX_MATH_FAST};
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    void *source;
    size_t bytes;
    CHECK(abx_read_file(path, ABX_SHADER_MAX_SOURCE_BYTES, &source, &bytes) == 0);
    for (size_t i = 0; i < ABX_ARRAY_SIZE(tried); i++) {
        struct abx_shader_options options = {.target = ABX_TARGET_HOST, .math_mode = tried[i]};
        struct abx_shader_result result = {0};
        int rc = abx_shader_compile(tools, source, bytes, &options, "", &result);
        if (rc)
            printf("%s: %s\n", file, result.message ? result.message : strerror(-rc));
        else
            run_library(tools, file, modes[tried[i]], result.blob, result.blob_bytes);
        failures += rc != 0;
        free(result.blob), free(result.message);
    }
    free(source);
    return 0;
}

int main(int argc, char **argv)
{
    struct abx_shader_tools tools;
    char *message = NULL;
    if (abx_shader_locate(&tools, &message)) {
        fprintf(stderr, "%s\n", message ? message : "no compiler");
        return 1;
    }
    fill_data();
    CHECK(argc > 1 && rig_open(&rig, &abx_backend_cpu, 2) == 0);
    for (int i = 1; i < argc; i++)
        CHECK(run_file(&tools, argv[i]) == 0);
    rig_close(&rig);
    printf("%u dispatches, %u failures\n", checked, failures);
    return failures != 0;
}
