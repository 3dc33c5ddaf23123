/* Random kernels give the same in every form of code: vectors of lanes, one thread after the other
 * (a coroutine a thread where they meet), and whichever the code generator takes by itself; and
 * vectors of lanes as for a processor without AVX-512, where this one is not such a one anyway.
 *
 *     test_random [first seed [number of kernels]] */
#include "random_source.h"
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#define PER_LIBRARY 8u
#define IN_WORDS 4096u
#define MAX_THREADS 2048u

static const struct form {
    const char *name, *form, *target; /* as in the environment */
} forms[] = {{"scalar", "scalar", ""}, {"wide", "wide", ""}, {"best", "", ""},
        {"wide without AVX-512", "wide", "x86-64"}};
enum { FORMS = ABX_ARRAY_SIZE(forms) };
static unsigned refused[FORMS], compared;

static unsigned form_count; /* those that say something new on this processor */

static bool has_avx512(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f");
#else
    return false;
#endif
}

static struct abx_pipeline *make(struct rig *rig, struct abx_shader_tools *tools,
        const struct abx_shader_result *library, unsigned function, unsigned f)
{
    struct abx_shader_result object = {0};
    struct abx_pipeline *p = NULL;
    if (*forms[f].form)
        setenv("ARCBOX_CODEGEN_FORM", forms[f].form, 1);
    else
        unsetenv("ARCBOX_CODEGEN_FORM");
    setenv(ABX_TARGET_ENV, forms[f].target, 1);
    int r = abx_shader_specialize(
            tools, ABX_TARGET_HOST, library->blob, library->blob_bytes, function, NULL, 0, &object);
    if (r == 0)
        r = rig->backend->pipeline->create(rig->device, object.blob, object.blob_bytes, &p);
    if (r == -ENOTSUP && !strcmp(forms[f].form, "wide"))
        refused[f]++;
    else if (r < 0)
        fprintf(stderr, "%s: %s: %s\n", forms[f].name, strerror(-r),
                object.message ? object.message : "");
    free(object.blob);
    free(object.message);
    return p;
}

static int run(struct rig *rig, struct abx_pipeline *p, const uint32_t *shape, int *in, int *out)
{
    static int constants[16] = {3, 5, 2, 4, 1, 6};
    size_t threads = (size_t)shape[0] * shape[1] * shape[2];
    void *memory[3] = {in, out, constants};
    size_t bytes[3] = {IN_WORDS * 4, threads * RANDOM_WORDS * 4, sizeof constants};
    struct abx_device_memory *b[3];
    struct batch batch;
    memset(out, 0, bytes[1]);
    batch_init(&batch);
    struct abx_exec_dispatch *d = batch_dispatch(&batch, p, shape, shape + 3, 3);
    for (int i = 0; i < 3; i++) {
        b[i] = rig_import(rig, memory[i], bytes[i]);
        d->bindings[i] = (struct abx_exec_binding){b[i], 0, bytes[i]};
    }
    batch_submit(&batch, rig->queue, rig->backend);
    CHECK(batch_wait(&batch) == 0);
    batch_finish(&batch);
    for (int i = 0; i < 3; i++)
        rig->backend->memory->destroy(b[i]);
    return 0;
}

/* Widths that are multiples of 32, that are not, one thread, and grids with partial edges. */
static const uint32_t shapes[][6] = {{256, 1, 1, 64, 1, 1}, {100, 1, 1, 40, 1, 1},
        {16, 24, 1, 16, 8, 1}, {7, 9, 3, 5, 4, 2}, {64, 6, 1, 32, 4, 1}, {33, 1, 1, 33, 1, 1},
        {5, 1, 1, 1, 1, 1}, {48, 5, 2, 8, 2, 2}, {128, 3, 1, 128, 2, 1}};

static int compare(struct rig *rig, struct abx_pipeline **p, unsigned pick)
{
    static int in[IN_WORDS], out[FORMS][MAX_THREADS * RANDOM_WORDS];
    for (unsigned i = 0; i < IN_WORDS; i++)
        in[i] = (int)(i * 2654435761u >> (i % 3 * 9));
    for (unsigned s = 0; s < 3; s++) {
        const uint32_t *shape = shapes[(pick + s * 4) % ABX_ARRAY_SIZE(shapes)];
        unsigned words = shape[0] * shape[1] * shape[2] * RANDOM_WORDS;
        for (unsigned f = 0; f < FORMS; f++) {
            if (!p[f])
                continue;
            CHECK(run(rig, p[f], shape, in, out[f]) == 0);
            compared++;
            for (unsigned i = 0; i < words; i++)
                if (out[f][i] != out[0][i]) {
                    fprintf(stderr,
                            "threads %u x %u x %u in groups of %u x %u x %u: word %u of thread %u: "
                            "%s gives %d, scalar %d\n",
                            shape[0], shape[1], shape[2], shape[3], shape[4], shape[5],
                            i % RANDOM_WORDS, i / RANDOM_WORDS, forms[f].name, out[f][i],
                            out[0][i]);
                    return 1;
                }
        }
    }
    return 0;
}

static int test_library(struct rig *rig, struct abx_shader_tools *tools, uint64_t seed)
{
    struct abx_shader_options options = {0};
    struct abx_shader_result library = {0};
    struct abx_string text = {0};
    int failed = 0;
    abx_string_printf(&text, "%s", random_prelude());
    for (unsigned i = 0; i < PER_LIBRARY; i++)
        random_kernel(&text, seed + i, i);
    if (abx_shader_compile(tools, text.data, text.length, &options, NULL, &library) < 0) {
        fprintf(stderr, "%s\n%s\n", text.data, library.message ? library.message : "");
        return 1;
    }
    for (unsigned i = 0; i < PER_LIBRARY; i++) {
        struct abx_pipeline *p[FORMS];
        for (unsigned f = 0; f < FORMS; f++)
            p[f] = f < form_count ? make(rig, tools, &library, i, f) : NULL;
        if (!p[0] || !p[2] || compare(rig, p, (unsigned)(seed + i))) {
            struct abx_string one = {0};
            random_kernel(&one, seed + i, i);
            fprintf(stderr, "seed %llu:\n%s", (unsigned long long)(seed + i), one.data);
            abx_string_finish(&one);
            failed++;
        }
        for (unsigned f = 0; f < FORMS; f++)
            if (p[f])
                rig->backend->pipeline->destroy(p[f]);
    }
    free(library.blob);
    free(library.message);
    abx_string_finish(&text);
    return failed;
}

int main(int argc, char **argv)
{
    struct rig rig = {0};
    struct abx_shader_tools tools;
    char *message = NULL;
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned count = argc > 2 ? (unsigned)atoi(argv[2]) : 48, failed = 0;
    form_count = has_avx512() ? FORMS : FORMS - 1;
    CHECK(abx_shader_locate(&tools, &message) == 0);
    CHECK(rig_open(&rig, &abx_backend_cpu, 2) == 0);
    for (unsigned i = 0; i < count; i += PER_LIBRARY)
        failed += (unsigned)test_library(&rig, &tools, seed + i);
    rig_close(&rig);
    printf("%u kernels, %u runs compared, %u wrong\n", count, compared, failed);
    for (unsigned f = 0; f < FORMS; f++)
        if (!strcmp(forms[f].form, "wide") && f < form_count) {
            printf("%s: %u kernels not fit for lanes\n", forms[f].name, refused[f]);
            failed += refused[f] * 20 > count; /* what is refused is slow */
        }
    return failed != 0;
}
