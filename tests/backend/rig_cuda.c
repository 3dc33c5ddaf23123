/* tests/backend: the cuda backend for test_kernels.c and the semantics programs, whose memory lies
 * anywhere: what they import is kept in a window, copied there before each command buffer and back
 * after it. Skips (exit 77) where there is no GPU that can be used. */
#include "rig.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REAL abx_backend_cuda
#define WINDOW_BYTES (1ull << 36)
#define UNIT (64u << 10)

struct abx_device {
    struct abx_device *real;
    char *window;
    uint64_t used;
    struct abx_device_memory *imports;
    _Atomic unsigned running; /* while some are, the twins are newer than what was given */
};
struct abx_device_memory {
    struct abx_device_memory *next;
    struct abx_device_memory *real;
    struct abx_device *device;
    void *given;
    char *twin;
    uint64_t bytes, pages;
};
struct abx_queue {
    struct abx_device *device;
    struct abx_queue *real;
};
struct job {
    struct abx_submission real;
    struct abx_submission *given;
    struct abx_device *device;
    char commands[];
};

static int device_open(const struct abx_device_config *config, struct abx_device **ret)
{
    char why[192], names[1][64];
    if (abx_backend_usable(&REAL, why, sizeof why) < 0) {
        printf("skipped: %s\n", why);
        exit(77);
    }
    REAL.probe(names, 1);
    printf("on %s\n", names[0]);
    struct abx_device *d = calloc(1, sizeof *d);
    void *window;
    if (!d || REAL.device->open(config, &d->real) < 0 ||
            REAL.memory->reserve(d->real, WINDOW_BYTES, &window) < 0)
        return -1;
    d->window = window;
    *ret = d;
    return 0;
}

static void device_close(struct abx_device *d)
{
    REAL.memory->release(d->real, d->window, WINDOW_BYTES);
    REAL.device->close(d->real);
    free(d);
}

static void device_info(struct abx_device *d, struct abx_device_info *info)
{
    REAL.device->info(d->real, info);
}

static void watchdog(struct abx_device *d, uint64_t limit_ns)
{
    REAL.device->watchdog(d->real, limit_ns);
}

static void imported(void *user, int error)
{
    int *state = user;
    __atomic_store_n(state, error ? -1 : 1, __ATOMIC_SEQ_CST);
}

static int import(struct abx_device *d, void *address, uint64_t bytes,
        void (*done)(void *user, int error), void *user, struct abx_device_memory **ret)
{
    struct abx_device_memory *m = calloc(1, sizeof *m);
    int state = 0;
    *m = (struct abx_device_memory){.device = d,
            .given = address,
            .bytes = bytes,
            .pages = abx_align_up(bytes ? bytes : 1, 4096),
            .twin = d->window + d->used};
    d->used += abx_align_up(m->pages, UNIT) + UNIT;
    if (mmap(m->twin, m->pages, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1,
                0) == MAP_FAILED ||
            REAL.memory->import(d->real, m->twin, m->pages, imported, &state, &m->real) < 0)
        abort();
    while (!__atomic_load_n(&state, __ATOMIC_SEQ_CST))
        abx_cpu_relax();
    m->next = d->imports;
    d->imports = m;
    *ret = m;
    done(user, state < 0 ? -EIO : 0);
    return 0;
}

static int create_private(
        struct abx_device *d, void *place, uint64_t bytes, struct abx_device_memory **ret)
{
    struct abx_device_memory *m = calloc(1, sizeof *m);
    int r = REAL.memory->create_private(d->real, NULL, bytes, &m->real);
    if (r < 0) {
        free(m);
        return r;
    }
    *ret = m;
    return 0;
}

static uint64_t address(const struct abx_device_memory *m)
{
    return m->given ? (uint64_t)(uintptr_t)m->given : REAL.memory->address(m->real);
}

static void memory_destroy(struct abx_device_memory *m)
{
    if (!m)
        return;
    REAL.memory->destroy(m->real);
    struct abx_device_memory **at =
            m->device ? &m->device->imports : &(struct abx_device_memory *){0};
    while (*at && *at != m)
        at = &(*at)->next;
    if (*at)
        *at = m->next;
    if (m->twin)
        (void)!mmap(m->twin, m->pages, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    free(m);
}

static void copy_all(struct abx_device *d, bool back)
{
    for (struct abx_device_memory *m = d->imports; m; m = m->next)
        memcpy(back ? m->given : m->twin, back ? m->twin : m->given, m->bytes);
}

static void translate(struct abx_exec_command *c)
{
#define REALLY(memory) ((memory) ? (memory)->real : NULL)
    if (c->op == ABX_EXEC_DISPATCH || c->op == ABX_EXEC_DISPATCH_INDIRECT) {
        struct abx_exec_dispatch *d = (void *)c;
        d->indirect = REALLY(d->indirect);
        d->range = REALLY(d->range);
        for (uint32_t i = 0; i < d->binding_count; i++)
            d->bindings[i].memory = REALLY(d->bindings[i].memory);
    } else if (c->op == ABX_EXEC_COPY) {
        struct abx_exec_copy *copy = (void *)c;
        copy->from = copy->from->real;
        copy->to = copy->to->real;
    } else if (c->op == ABX_EXEC_FILL)
        ((struct abx_exec_fill *)c)->to = ((struct abx_exec_fill *)c)->to->real;
}

static void real_done(struct abx_submission *real, const struct abx_exec_result *result)
{
    struct job *job = (struct job *)real;
    struct abx_submission *s = job->given;
    if (real->bytes) {
        copy_all(job->device, true);
        atomic_fetch_sub(&job->device->running, 1);
    }
    s->result = *result;
    s->done(s, &s->result);
    free(job);
}

static void queue_submit(struct abx_queue *q, struct abx_submission *s)
{
    struct job *job = malloc(sizeof *job + s->bytes);
    *job = (struct job){.given = s, .device = q->device};
    memcpy(job->commands, s->commands, s->bytes);
    for (size_t at = 0; at < s->bytes;) {
        struct abx_exec_command *c = (void *)(job->commands + at);
        translate(c);
        at += c->bytes;
    }
    job->real = (struct abx_submission){.commands = (void *)job->commands,
            .bytes = s->bytes,
            .done = real_done,
            .client = s->client};
    if (s->bytes && atomic_fetch_add(&q->device->running, 1) == 0)
        copy_all(q->device, false);
    REAL.queue->submit(q->real, &job->real);
}

static void queue_cancel(struct abx_queue *q)
{
    REAL.queue->cancel(q->real);
}

static void queue_destroy(struct abx_queue *q)
{
    REAL.queue->destroy(q->real);
    free(q);
}

static int queue_create(struct abx_device *d, struct abx_queue **ret)
{
    struct abx_queue *q = calloc(1, sizeof *q);
    q->device = d;
    int r = REAL.queue->create(d->real, &q->real);
    if (r < 0)
        free(q);
    else
        *ret = q;
    return r;
}

static int pipeline_create(
        struct abx_device *d, const void *object, size_t bytes, struct abx_pipeline **ret)
{
    return REAL.pipeline->create(d->real, object, bytes, ret);
}

static void pipeline_info(const struct abx_pipeline *p, struct abx_pipeline_info *ret)
{
    REAL.pipeline->info(p, ret);
}

static void pipeline_destroy(struct abx_pipeline *p)
{
    REAL.pipeline->destroy(p);
}

static const struct abx_device_ops device_ops = {device_open, device_close, device_info, watchdog};
static const struct abx_memory_ops memory_ops = {.import = import,
        .create_private = create_private,
        .address = address,
        .destroy = memory_destroy};
static const struct abx_pipeline_ops pipeline_ops = {
        pipeline_create, pipeline_info, pipeline_destroy};
static const struct abx_queue_ops queue_ops = {.create = queue_create,
        .submit = queue_submit,
        .cancel = queue_cancel,
        .destroy = queue_destroy};
static const struct abx_backend backend = {.name = "cuda",
        .target = ABX_TARGET_NVPTX,
        .device = &device_ops,
        .memory = &memory_ops,
        .pipeline = &pipeline_ops,
        .queue = &queue_ops};
const struct abx_backend *const rig_suite_backend = &backend;
