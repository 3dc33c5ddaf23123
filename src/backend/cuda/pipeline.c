/* backend/cuda: pipelines. Worker process. The compiler made machine code where it could; else, and
 * where the driver does not take that, the driver's own assembler, which runs in this process,
 * makes it of the PTX. Both come from guest source. */
#include "backend/cuda/cuda_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_BYTES 1024u

/* 0, or the driver's result. */
static int load(struct abx_pipeline *p, const void *image, char log[LOG_BYTES])
{
    int options[] = {ABX_CU_JIT_ERROR_LOG, ABX_CU_JIT_ERROR_LOG_BYTES};
    void *values[] = {log, (void *)(uintptr_t)LOG_BYTES};
    log[0] = 0;
    int result = abx_cu.module_load(&p->module, image, ABX_ARRAY_SIZE(options), options, values);
    log[LOG_BYTES - 1] = 0;
    if (result) {
        p->module = NULL;
        return result;
    }
    result = abx_cu.module_function(&p->function, p->module, p->info.entry);
    if (!result && p->info.few[0])
        result = abx_cu.module_function(&p->few, p->module, p->info.few);
    if (result) {
        (void)abx_cu.module_unload(p->module);
        p->module = NULL;
    }
    return result;
}

/* It was made for this processor; a driver that is older than what made it refuses it. */
static int load_cubin(struct abx_pipeline *p, const char *body)
{
    char log[LOG_BYTES], text[128];
    int result = load(p, body + p->info.cubin_offset, log);
    p->waits = !result && p->info.cubin_waits && p->device->early;
    if (result && result != ABX_CU_OUT_OF_MEMORY && !abx_cuda_is_fatal(result) &&
            !atomic_exchange(&p->device->cubin_refused, true)) {
        abx_cuda_error_text(result, text);
        fprintf(stderr,
                "worker[%d]: the driver assembles each kernel anew: it does not take what "
                "nvJitLink made: %s\n",
                (int)getpid(), text);
    }
    return result;
}

static int load_ptx(struct abx_pipeline *p, const char *body)
{
    char log[LOG_BYTES], *ptx = malloc(p->info.ptx_bytes);
    if (!ptx)
        return ABX_CU_OUT_OF_MEMORY;
    memcpy(ptx, body + p->info.ptx_offset, p->info.ptx_bytes);
    p->waits = p->device->early && abx_ptx_let_wait(ptx);
    int result = load(p, ptx, log);
    free(ptx);
    if (result && log[0])
        fprintf(stderr, "worker[%d]: a kernel could not be assembled: %.300s\n", (int)getpid(),
                log);
    return result;
}

static int load_any(struct abx_pipeline *p, const char *body)
{
    bool made = p->info.processor && p->info.processor == p->device->processor;
    int result = made ? load_cubin(p, body) : ABX_CU_OK;
    if (!made || (result && !abx_cuda_is_fatal(result)))
        result = load_ptx(p, body);
    if (abx_cuda_is_fatal(result))
        abx_cuda_lose(p->device, result, NULL, 0, 0);
    return result == ABX_CU_OUT_OF_MEMORY ? -ENOMEM : result ? -EBADMSG : 0;
}

/* Whether there are no registers that `entry` keeps in memory and `few` does not. */
static bool is_few_useless(const struct abx_pipeline *p)
{
    int bytes = 0, few = 0;
    return p->info.few_spares &&
           !abx_cu.function_attribute(&bytes, ABX_CU_FUNCTION_LOCAL, p->function) &&
           !abx_cu.function_attribute(&few, ABX_CU_FUNCTION_LOCAL, p->few) && few >= bytes;
}

/* What it became: registers may allow fewer threads than the kernel would. */
static int measure(struct abx_pipeline *p)
{
    int threads = 0;
    if (p->few && is_few_useless(p))
        p->few = NULL;
    int result = abx_cu.function_attribute(&threads, ABX_CU_FUNCTION_MAX_THREADS, p->function);
    if (result || threads <= 0)
        return -EBADMSG;
    p->limits.threadgroup_bytes = p->code.static_threadgroup_bytes;
    p->limits.max_threads =
            (uint32_t)threads < p->code.max_threads ? (uint32_t)threads : p->code.max_threads;
    return 0;
}

abx_cu_function abx_cuda_block(
        const struct abx_pipeline *p, const uint32_t threadgroup[3], uint32_t *threads)
{
    *threads = threadgroup[0] * threadgroup[1] * threadgroup[2];
    if (p->info.whole_warps)
        *threads = (uint32_t)abx_align_up(*threads, 32);
    return p->few && *threads <= ABX_PTX_FEW ? p->few : p->function;
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
    int r = load_any(p, body);
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
