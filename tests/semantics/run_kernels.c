/* tests/semantics: runs Metal programs that check themselves (programs.h), the way a client's
 * program is run: front end, code generator, cpu backend; once under each math mode, or that which
 * ARCBOX_TEST_MATH names.
 *
 *   run_kernels [--every N] FILE.metal...
 *
 * --every N: of each file each N-th kernel, and the last.
 *
 * ARCBOX_CODEGEN_FORM chooses the form of the code. */
#include "programs.h"

#include <stdlib.h>
#include <string.h>

static unsigned every = 1;

static void run_library(const struct abx_shader_tools *tools, const char *file, const char *mode,
        const void *blob, size_t bytes)
{
    const struct abx_shader_library *head = blob;
    const struct abx_reflection *r = (const void *)((const char *)blob + head->reflection_offset);
    for (uint32_t i = 0; i < r->function_count; i++) {
        if ((i + 1) % every && i + 1 < r->function_count)
            continue;
        const char *name = abx_reflection_string(r, abx_reflection_functions(r)[i].name);
        struct abx_shader_result result = {0};
        struct abx_pipeline *pipeline = NULL;
        int rc = abx_shader_specialize(tools, ABX_TARGET_HOST, blob, bytes, i, NULL, 0, &result);
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
    const char *only = getenv("ARCBOX_TEST_MATH");
    for (size_t i = 0; i < ABX_ARRAY_SIZE(tried); i++) {
        if (only && strcmp(only, modes[tried[i]]) != 0)
            continue;
        struct abx_shader_options options = {.math_mode = tried[i]};
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
    if (argc > 2 && strcmp(argv[1], "--every") == 0) {
        every = (unsigned)atoi(argv[2]);
        argc -= 2, argv += 2;
    }
    CHECK(argc > 1 && every > 0 && rig_open(&rig, rig_suite_backend, 2) == 0);
    for (int i = 1; i < argc; i++)
        CHECK(run_file(&tools, argv[i]) == 0);
    rig_close(&rig);
    printf("%u dispatches, %u failures\n", checked, failures);
    return failures != 0;
}
