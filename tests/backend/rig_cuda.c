/* tests/backend: as much of a backend on NVIDIA's driver as running the suite's kernels takes: one
 * command at a time, buffers copied to the device and back around each. What it launches is the
 * code generator's PTX (shader/abi/nvptx.h). The driver is opened at run time: exit 77 without. */
#include "rig.h"
#include "shader/abi/nvptx.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long address;
/* clang-format off */
#define DRIVER(X) \
    X(cuInit, (unsigned)) \
    X(cuDeviceGet, (int *, int)) \
    X(cuDeviceGetName, (char *, int, int)) \
    X(cuDevicePrimaryCtxRetain, (void **, int)) \
    X(cuCtxSetCurrent, (void *)) \
    X(cuModuleLoadDataEx, (void **, const void *, unsigned, int *, void **)) \
    X(cuModuleUnload, (void *)) \
    X(cuModuleGetFunction, (void **, void *, const char *)) \
    X(cuLaunchKernel, (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, \
            unsigned, void *, void **, void **)) \
    X(cuMemAlloc_v2, (address *, size_t)) \
    X(cuMemFree_v2, (address)) \
    X(cuMemcpyHtoD_v2, (address, const void *, size_t)) \
    X(cuMemcpyDtoH_v2, (void *, address, size_t)) \
    X(cuCtxSynchronize, (void))
/* clang-format on */
#define DECLARE(name, parameters) static int(*name) parameters;
DRIVER(DECLARE)
#undef DECLARE

struct abx_device {
    int unused;
};
struct abx_queue {
    struct abx_device *device;
};
struct abx_device_memory {
    void *host;
    size_t bytes;
    address at;
};
struct abx_pipeline {
    struct abx_code code;
    struct abx_ptx info;
    void *module, *function;
};

static int must(int result, const char *what)
{
    if (result) {
        fprintf(stderr, "%s: CUDA error %d\n", what, result);
        exit(1); /* a failed launch spoils the whole context */
    }
    return 0;
}
#define MUST(call) must(call, #call)

static int device_open(const struct abx_device_config *config, struct abx_device **ret)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW), *context;
    int device;
    char name[96] = "";
    if (!library) {
        printf("skipped: there is no NVIDIA driver\n");
        exit(77);
    }
#define LOOK_UP(f, parameters) f = (int(*) parameters)dlsym(library, #f);
    DRIVER(LOOK_UP)
#undef LOOK_UP
    MUST(cuInit(0));
    MUST(cuDeviceGet(&device, 0));
    MUST(cuDeviceGetName(name, sizeof name, device));
    MUST(cuDevicePrimaryCtxRetain(&context, device));
    MUST(cuCtxSetCurrent(context));
    printf("on %s\n", name);
    *ret = calloc(1, sizeof **ret);
    return 0;
}

static void device_close(struct abx_device *d)
{
    free(d);
}

static int memory_import(struct abx_device *d, void *memory, uint64_t length,
        void (*done)(void *user, int error), void *user, struct abx_device_memory **ret)
{
    struct abx_device_memory *b = calloc(1, sizeof *b);
    b->host = memory;
    b->bytes = length;
    MUST(cuMemAlloc_v2(&b->at, length ? length : 1));
    *ret = b;
    done(user, 0);
    return 0;
}

static void memory_destroy(struct abx_device_memory *b)
{
    if (!b)
        return;
    MUST(cuMemFree_v2(b->at));
    free(b);
}

static int pipeline_create(
        struct abx_device *d, const void *object, size_t bytes, struct abx_pipeline **ret)
{
    static char log[4096];
    int option[2] = {5, 6}; /* CU_JIT_ERROR_LOG_BUFFER and its size */
    void *value[2] = {log, (void *)sizeof log};
    if (abx_ptx_check(object, bytes))
        return -EBADMSG;
    struct abx_pipeline *p = calloc(1, sizeof *p);
    const char *body = abx_code_body(object);
    memcpy(&p->code, object, sizeof p->code);
    memcpy(&p->info, body, sizeof p->info);
    log[0] = 0;
    if (cuModuleLoadDataEx(&p->module, body + p->info.ptx_offset, 2, option, value) ||
            cuModuleGetFunction(&p->function, p->module, ABX_PTX_ENTRY)) {
        fprintf(stderr, "%s\n", log);
        free(p);
        return -EBADMSG;
    }
    *ret = p;
    return 0;
}

static void pipeline_destroy(struct abx_pipeline *p)
{
    if (!p)
        return;
    MUST(cuModuleUnload(p->module));
    free(p);
}

static void pipeline_info(const struct abx_pipeline *p, struct abx_pipeline_info *ret)
{
    *ret = (struct abx_pipeline_info){p->code.static_threadgroup_bytes, p->code.max_threads};
}

static int queue_create(struct abx_device *device, struct abx_queue **ret)
{
    *ret = calloc(1, sizeof **ret);
    return 0;
}

static void queue_destroy(struct abx_queue *q)
{
    free(q);
}

struct launch {
    char parameters[sizeof(struct abx_ptx_dispatch) + 12 * 31];
    size_t bytes;
    uint32_t shared;
    address inline_at[ABX_MAX_BUFFER_BINDINGS];
};

static void put(struct launch *l, const void *value, size_t bytes)
{
    memcpy(l->parameters + l->bytes, value, bytes);
    l->bytes += bytes;
}

static address bind(struct launch *l, const struct abx_exec_dispatch *d, uint32_t index)
{
    const struct abx_exec_binding *b = &d->bindings[index];
    if (index >= d->binding_count || (!b->memory && !b->offset))
        return 0;
    if (b->memory)
        return b->memory->at + b->offset;
    MUST(cuMemAlloc_v2(&l->inline_at[index], b->available));
    MUST(cuMemcpyHtoD_v2(l->inline_at[index], (const char *)d + b->offset, b->available));
    return l->inline_at[index];
}

static void copy_buffers(const struct abx_exec_dispatch *d, bool back)
{
    for (uint32_t i = 0; i < d->binding_count; i++) {
        struct abx_device_memory *b = d->bindings[i].memory;
        if (b && back)
            MUST(cuMemcpyDtoH_v2(b->host, b->at, b->bytes));
        else if (b)
            MUST(cuMemcpyHtoD_v2(b->at, b->host, b->bytes));
    }
}

static void dispatch(const struct abx_exec_dispatch *d)
{
    struct launch l = {0};
    struct abx_ptx_dispatch head = {0};
    const struct abx_ptx *info = &d->pipeline->info;
    memcpy(head.grid, d->grid, sizeof head.grid);
    memcpy(head.group_size, d->threadgroup, sizeof head.group_size);
    for (int i = 0; i < 3; i++)
        head.groups[i] = (d->grid[i] + d->threadgroup[i] - 1) / d->threadgroup[i];
    put(&l, &head, sizeof head);
    for (uint32_t i = 0; i < info->buffer_count; i++) {
        address at = bind(&l, d, info->buffers[i]);
        put(&l, &at, sizeof at);
    }
    for (uint32_t i = 0; i < info->threadgroup_count; i++) {
        uint32_t offset = l.shared / 16;
        l.shared += (uint32_t)abx_align_up(d->threadgroup_bytes[info->threadgroup[i]], 16);
        put(&l, &offset, sizeof offset);
    }
    copy_buffers(d, false);
    void *extra[] = {(void *)1, l.parameters, (void *)2, &l.bytes, NULL};
    const uint32_t *t = d->threadgroup;
    MUST(cuLaunchKernel(d->pipeline->function, head.groups[0], head.groups[1], head.groups[2],
            t[0] * t[1] * t[2], 1, 1, l.shared, NULL, NULL, extra));
    MUST(cuCtxSynchronize());
    copy_buffers(d, true);
    for (uint32_t i = 0; i < ABX_MAX_BUFFER_BINDINGS; i++)
        if (l.inline_at[i])
            MUST(cuMemFree_v2(l.inline_at[i]));
}

static void queue_submit(struct abx_queue *q, struct abx_submission *s)
{
    struct abx_exec_result *r = &s->result;
    *r = (struct abx_exec_result){.start_ns = abx_now_ns()};
    for (size_t at = 0; at < s->bytes;) {
        const struct abx_exec_command *c = (const void *)((const char *)s->commands + at);
        if (c->op == ABX_EXEC_DISPATCH) {
            dispatch((const void *)c);
            r->kernels++;
        } else {
            r->error = ABX_EXEC_NOT_PERMITTED;
            r->text = "only dispatches";
        }
        at += c->bytes;
    }
    r->end_ns = abx_now_ns();
    s->done(s, r);
}

static const struct abx_device_ops device_ops = {.open = device_open, .close = device_close};
static const struct abx_memory_ops memory_ops = {
        .import = memory_import, .destroy = memory_destroy};
static const struct abx_pipeline_ops pipeline_ops = {
        pipeline_create, pipeline_info, pipeline_destroy};
static const struct abx_queue_ops queue_ops = {
        .create = queue_create, .submit = queue_submit, .destroy = queue_destroy};
static const struct abx_backend backend = {.name = "cuda",
        .target = ABX_TARGET_NVPTX,
        .device = &device_ops,
        .memory = &memory_ops,
        .pipeline = &pipeline_ops,
        .queue = &queue_ops};
const struct abx_backend *const rig_suite_backend = &backend;
