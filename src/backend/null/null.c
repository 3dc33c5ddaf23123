/* backend/null: executes nothing. For fuzzing what is in front of a backend, and for measuring the
 * bridge alone: work is done inside submit(), so that its cost is the host's and not a thread
 * switch's. Events are kept in order, since what waits on them would otherwise hang. Worker
 * process.
 *
 * Private memory has an address and nothing there. */
#include "backend/backend.h"
#include "backend/window.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct abx_device {
    const struct abx_event_ops *events;
    _Atomic uint64_t next_address;
};

struct abx_device_memory {
    uint64_t address;
};

struct abx_pipeline {
    struct abx_code code;
};

struct abx_queue {
    struct abx_device *device;
    pthread_mutex_t lock;
    struct abx_submission *first, *last;
    bool running; /* a thread is in run(), or an event's wake will be */
    size_t at;    /* in `first`: where to go on */
    uint64_t start_ns;
    bool cancelled;
    uint64_t commands;
};

#define NAME "ArcBox null (executes nothing)"

static unsigned probe(char (*ret_names)[64], unsigned capacity)
{
    if (!capacity)
        return 0;
    snprintf(ret_names[0], sizeof *ret_names, NAME);
    return 1;
}

static int device_open(const struct abx_device_config *config, struct abx_device **ret)
{
    struct abx_device *d = calloc(1, sizeof *d);
    if (!d)
        return -ENOMEM;
    d->events = config->events;
    d->next_address = 1ull << 40;
    *ret = d;
    return 0;
}

static void device_close(struct abx_device *device)
{
    free(device);
}

static void device_info(struct abx_device *device, struct abx_device_info *info)
{
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, NAME);
    snprintf(info->backend, sizeof info->backend, "%s", abx_backend_null.name);
    info->registry_id = 0x41584e554c4cull;
    info->recommended_working_set = info->max_buffer_length = 1ull << 36;
    info->unified_memory = 1;
    info->simd_width = 32;
    info->max_threadgroup_bytes = ABX_MAX_THREADGROUP_BYTES;
    info->max_threads_per_threadgroup = ABX_MAX_THREADS_PER_THREADGROUP;
    info->apple_family = 7;
    info->metal3 = 1;
}

/* Nothing runs. */
static void device_watchdog(struct abx_device *device, uint64_t limit_ns) {}

static int memory_new(uint64_t address, struct abx_device_memory **ret)
{
    struct abx_device_memory *m = malloc(sizeof *m);
    if (!m)
        return -ENOMEM;
    m->address = address;
    *ret = m;
    return 0;
}

static int memory_import(struct abx_device *device, void *address, uint64_t bytes,
        void (*done)(void *user, int error), void *user, struct abx_device_memory **ret)
{
    int r = memory_new((uint64_t)(uintptr_t)address, ret);
    if (r == 0)
        done(user, 0);
    return r;
}

static int memory_create_private(
        struct abx_device *device, void *place, uint64_t bytes, struct abx_device_memory **ret)
{
    if (bytes == 0 || bytes > 1ull << 40)
        return bytes ? -ENOMEM : -EINVAL;
    return memory_new(place ? (uint64_t)(uintptr_t)place
                            : atomic_fetch_add(&device->next_address, abx_align_up(bytes, 4096)),
            ret);
}

static uint64_t memory_address(const struct abx_device_memory *memory)
{
    return memory->address;
}

static void memory_destroy(struct abx_device_memory *memory)
{
    free(memory);
}

static int pipeline_create(
        struct abx_device *device, const void *object, size_t bytes, struct abx_pipeline **ret)
{
    int r = abx_code_check(object, bytes); /* whatever it is for */
    if (r < 0)
        return r;
    struct abx_pipeline *p = malloc(sizeof *p);
    if (!p)
        return -ENOMEM;
    memcpy(&p->code, object, sizeof p->code);
    *ret = p;
    return 0;
}

static void pipeline_info(const struct abx_pipeline *pipeline, struct abx_pipeline_info *ret)
{
    *ret = (struct abx_pipeline_info){
            pipeline->code.static_threadgroup_bytes, pipeline->code.max_threads};
}

static void pipeline_destroy(struct abx_pipeline *pipeline)
{
    free(pipeline);
}

/* ---- queues */

static void go_on(void *user);

/* Runs s from q->at. False: an event will call go_on(). */
static bool walk(struct abx_queue *q, struct abx_submission *s)
{
    const struct abx_event_ops *events = q->device->events;
    while (q->at < s->bytes) {
        const struct abx_exec_command *c = (const void *)((const char *)s->commands + q->at);
        q->at += c->bytes;
        q->commands++;
        if (c->op == ABX_EXEC_DISPATCH || c->op == ABX_EXEC_DISPATCH_INDIRECT) {
            s->result.kernels++;
        } else if (c->op == ABX_EXEC_SIGNAL_EVENT) {
            const struct abx_exec_event *e = (const struct abx_exec_event *)c;
            events->signal(e->event, e->value);
        } else if (c->op == ABX_EXEC_WAIT_EVENT) {
            const struct abx_exec_event *e = (const struct abx_exec_event *)c;
            /* After a false the queue is the waker's: touch nothing. */
            if (events->value(e->event) < e->value && !events->notify(e->event, e->value, go_on, q))
                return false;
        }
    }
    return true;
}

static void run(struct abx_queue *q)
{
    for (;;) {
        pthread_mutex_lock(&q->lock);
        struct abx_submission *s = q->first;
        bool cancelled = q->cancelled;
        if (!s) {
            q->running = q->cancelled = false;
            pthread_mutex_unlock(&q->lock);
            return;
        }
        pthread_mutex_unlock(&q->lock);
        if (q->at == 0) {
            q->start_ns = abx_now_ns();
            s->result = (struct abx_exec_result){0};
        }
        if (!cancelled && !walk(q, s))
            return;
        pthread_mutex_lock(&q->lock);
        q->first = s->next;
        if (!q->first) {
            q->last = NULL;
            q->running = q->cancelled = false;
        }
        bool more = q->first != NULL;
        uint64_t start = q->start_ns;
        q->at = 0;
        pthread_mutex_unlock(&q->lock);
        /* Last: whoever waits for it may then destroy the queue. */
        s->result.start_ns = start;
        s->result.end_ns = abx_now_ns();
        s->result.error = cancelled ? ABX_EXEC_DEVICE_REMOVED : ABX_EXEC_OK;
        s->result.text = cancelled ? "the queue was cancelled" : NULL;
        s->done(s, &s->result);
        if (!more)
            return;
    }
}

static void go_on(void *user)
{
    run(user);
}

static void queue_submit(struct abx_queue *q, struct abx_submission *s)
{
    s->next = NULL;
    pthread_mutex_lock(&q->lock);
    if (q->last)
        q->last->next = s;
    else
        q->first = s;
    q->last = s;
    bool mine = !q->running;
    q->running = true;
    pthread_mutex_unlock(&q->lock);
    if (mine)
        run(q);
}

/* What waits for an event has started: it ends when the event comes. */
static void queue_cancel(struct abx_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->cancelled = q->first != NULL;
    pthread_mutex_unlock(&q->lock);
}

static int queue_create(struct abx_device *device, struct abx_queue **ret)
{
    struct abx_queue *q = calloc(1, sizeof *q);
    if (!q)
        return -ENOMEM;
    q->device = device;
    pthread_mutex_init(&q->lock, NULL);
    *ret = q;
    return 0;
}

static void queue_destroy(struct abx_queue *q)
{
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static const struct abx_device_ops device_ops = {
        .open = device_open,
        .close = device_close,
        .info = device_info,
        .watchdog = device_watchdog,
};

static const struct abx_memory_ops memory_ops = {
        .reserve = abx_window_reserve,
        .release = abx_window_release,
        .import = memory_import,
        .create_private = memory_create_private,
        .address = memory_address,
        .destroy = memory_destroy,
};

static const struct abx_pipeline_ops pipeline_ops = {
        .create = pipeline_create,
        .info = pipeline_info,
        .destroy = pipeline_destroy,
};

static const struct abx_queue_ops queue_ops = {
        .create = queue_create,
        .submit = queue_submit,
        .cancel = queue_cancel,
        .destroy = queue_destroy,
};

const struct abx_backend abx_backend_null = {
        .name = "null",
        .simulated = true,
        .target = ABX_TARGET_HOST, /* any would do */
        .probe = probe,
        .device = &device_ops,
        .memory = &memory_ops,
        .pipeline = &pipeline_ops,
        .queue = &queue_ops,
};
