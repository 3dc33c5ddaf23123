/* tests/backend: the suite's kernels, compiled on the spot. See rig.h. */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#define KERNELS 64u

/* The reflection names kernel `id` "__abx_k_<id>" and the constants 0: mode, 1: gain. */
static struct abx_reflection *reflection(void)
{
    struct abx_reflection *r = calloc(1, 16384);
    struct abx_reflection_function *f = (void *)(r + 1);
    r->magic = ABX_REFLECTION_MAGIC;
    r->version = ABX_REFLECTION_VERSION;
    r->function_count = KERNELS;
    r->constant_count = 2;
    struct abx_reflection_constant *c = (void *)(f + KERNELS);
    char *strings = (char *)(c + 2);
    uint32_t at = 1; /* offset 0: "" */
    for (uint32_t i = 0; i < KERNELS; i++) {
        f[i].kind = ABX_FUNCTION_KERNEL;
        f[i].name = f[i].entry = at;
        at += (uint32_t)sprintf(strings + at, "__abx_k_%u", i) + 1;
    }
    static const char *const names[2] = {"mode", "gain"};
    for (uint32_t i = 0; i < 2; i++) {
        c[i].name = at;
        at += (uint32_t)sprintf(strings + at, "%s", names[i]) + 1;
        c[i].symbol = at;
        at += (uint32_t)sprintf(strings + at, "fc_%s", names[i]) + 1;
        c[i].defined_symbol = at;
        at += (uint32_t)sprintf(strings + at, "fcd_%s", names[i]) + 1;
        c[i].index = i;
        c[i].type = i ? 3 : 29;
        c[i].size = 4;
        c[i].required = i == 1;
    }
    r->string_bytes = at;
    r->total_bytes = (uint32_t)abx_align_up((uint64_t)(strings + at - (char *)r), 8);
    return r;
}

void *rig_library(const char *path, size_t *ret_bytes)
{
    void *bitcode;
    size_t length;
    if (abx_read_file(path, 64u << 20, &bitcode, &length) < 0) {
        fprintf(stderr, "cannot read %s\n", path);
        return NULL;
    }
    struct abx_reflection *r = reflection();
    struct abx_shader_library head = {.magic = ABX_LIBRARY_MAGIC,
            .version = ABX_LIBRARY_VERSION,
            .form = ABX_LIBRARY_BITCODE,
            .reflection_offset = sizeof head,
            .reflection_bytes = r->total_bytes,
            .code_offset = sizeof head + r->total_bytes,
            .code_bytes = length};
    char *blob = malloc(head.code_offset + length);
    memcpy(blob, &head, sizeof head);
    memcpy(blob + sizeof head, r, r->total_bytes);
    memcpy(blob + head.code_offset, bitcode, length);
    *ret_bytes = head.code_offset + length;
    free(r);
    free(bitcode);
    return blob;
}

/* $ARCBOX_TEST_PROCESSOR: with machine code for that one of NVIDIA's. */
static int assemble(struct abx_shader_result *r)
{
    const char *processor = getenv("ARCBOX_TEST_PROCESSOR");
    void *with;
    size_t bytes;
    int rc = processor ? abx_shader_assemble(
                                 (uint32_t)atoi(processor), r->blob, r->blob_bytes, &with, &bytes)
                       : 0;
    if (rc || !processor)
        return rc;
    free(r->blob);
    r->blob = with;
    r->blob_bytes = bytes;
    return 0;
}

/* Compiles for another processor and leaves the object where rig_stored.c looks for it. */
static int record(const char *folder, const struct rig *rig, uint32_t id)
{
    static uint32_t count;
    static void *library;
    static size_t bytes;
    const char *target = getenv("ARCBOX_TEST_TARGET");
    struct abx_shader_result result;
    char path[4096];
    uint32_t id_of = !target                     ? ABX_TARGET_AARCH64
                     : !strcmp(target, "nvptx")  ? ABX_TARGET_NVPTX
                     : !strcmp(target, "x86-64") ? ABX_TARGET_X86_64
                                                 : ABX_TARGET_AARCH64;
    if (!library)
        library = rig_library(rig->bitcode, &bytes);
    if (!library)
        return -1;
    int r = abx_shader_specialize(
            NULL, id_of, library, bytes, id, rig->constant, rig->constant_count, &result);
    snprintf(path, sizeof path, "%s/%u", folder, count++);
    if (r == 0)
        r = assemble(&result);
    if (r == 0)
        r = abx_write_file(path, result.blob, result.blob_bytes);
    if (r < 0)
        fprintf(stderr, "kernel %u for another processor: %s\n", id,
                result.message ? result.message : "cannot be written");
    free(result.blob);
    free(result.message);
    return r;
}

struct abx_pipeline *rig_pipeline(struct rig *rig, uint32_t id)
{
    static void *library;
    static size_t bytes;
    struct abx_shader_result result;
    struct abx_pipeline *pipeline = NULL;
    if (!library)
        library = rig_library(rig->bitcode, &bytes);
    if (!library)
        return NULL;
    const char *folder = getenv("ARCBOX_TEST_RECORD");
    if (folder && record(folder, rig, id) < 0)
        return NULL;
    int r = abx_shader_specialize(
            NULL, ABX_TARGET_HOST, library, bytes, id, rig->constant, rig->constant_count, &result);
    if (r == 0)
        r = rig->backend->pipeline->create(rig->device, result.blob, result.blob_bytes, &pipeline);
    if (r < 0)
        fprintf(stderr, "kernel %u: %s: %s\n", id, strerror(-r),
                result.message ? result.message : "(no message)");
    free(result.blob);
    free(result.message);
    return r == 0 ? pipeline : NULL;
}
