/* backend/cuda: pipelines. Worker process. The PTX was made from guest source: the driver's own
 * assembler, which runs in this process, makes machine code of it. */
#include "backend/cuda/cuda_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_BYTES 1024u

/* The text for a processor that has it: see ABX_PTX_EARLY_MARK. */
static void let_come_early(struct abx_pipeline *p, char *ptx)
{
    char *target = strstr(ptx, ABX_PTX_TARGET), *at = target;
    while (at && (at = strstr(at, ABX_PTX_EARLY_MARK))) {
        memset(at, ' ', 2);
        p->waits = true;
    }
    if (p->waits)
        memcpy(target, ABX_PTX_EARLY_TARGET, sizeof ABX_PTX_EARLY_TARGET - 1);
}

static int load(struct abx_pipeline *p, const char *ptx)
{
    char log[LOG_BYTES] = "";
    int options[] = {ABX_CU_JIT_ERROR_LOG, ABX_CU_JIT_ERROR_LOG_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    int result = abx_cu.module_load(&p->module, ptx, ABX_ARRAY_SIZE(options), options, values);
    if (result) {
        log[sizeof log - 1] = 0;
        if (log[0])
            fprintf(stderr, "worker[%d]: a kernel could not be assembled: %.300s\n", (int)getpid(),
                    log);
        if (abx_cuda_is_fatal(result))
            abx_cuda_lose(p->device, result, NULL, 0, 0);
        return result == ABX_CU_OUT_OF_MEMORY ? -ENOMEM : -EBADMSG;
    }
    result = abx_cu.module_function(&p->function, p->module, p->info.entry);
    return result ? -EBADMSG : 0;
}

/* What the assembler made of it: registers may allow fewer threads than the kernel would. */
static int measure(struct abx_pipeline *p)
{
    int threads = 0;
    int result = abx_cu.function_attribute(&threads, ABX_CU_FUNCTION_MAX_THREADS, p->function);
    if (result || threads <= 0)
        return -EBADMSG;
    p->limits.threadgroup_bytes = p->code.static_threadgroup_bytes;
    p->limits.max_threads =
            (uint32_t)threads < p->code.max_threads ? (uint32_t)threads : p->code.max_threads;
    return 0;
}

static void pipeline_destroy(struct abx_pipeline *p)
{
    if (!p)
        return;
    if (p->module) {
        abx_cuda_enter(p->device);
        (void)abx_cu.module_unload(p->module);
    }
    free(p);
}

static int pipeline_create(
        struct abx_device *device, const void *object, size_t bytes, struct abx_pipeline **ret)
{
    if (abx_ptx_check(object, bytes) < 0)
        return -EBADMSG;
    struct abx_pipeline *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    const char *body = abx_code_body(object);
    memcpy(&p->code, object, sizeof p->code);
    memcpy(&p->info, body, sizeof p->info);
    p->device = device;
    p->number = atomic_fetch_add(&device->pipelines, 1) + 1;
    abx_cuda_enter(device);
    char *ptx = malloc(p->info.ptx_bytes);
    int r = ptx ? 0 : -ENOMEM;
    if (ptx) {
        memcpy(ptx, body + p->info.ptx_offset, p->info.ptx_bytes);
        if (device->early)
            let_come_early(p, ptx);
        r = load(p, ptx);
        free(ptx);
    }
    if (r == 0)
        r = measure(p);
    if (r < 0) {
        pipeline_destroy(p);
        return r;
    }
    *ret = p;
    return 0;
}

static void pipeline_info(const struct abx_pipeline *p, struct abx_pipeline_info *ret)
{
    *ret = p->limits;
}

const struct abx_pipeline_ops abx_cuda_pipeline_ops = {
        .create = pipeline_create,
        .info = pipeline_info,
        .destroy = pipeline_destroy,
};
