/* tests/backend: see rig.h. */
#include "rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- events */
struct abx_event {
    pthread_mutex_t lock;
    uint64_t value;
    struct waiter {
        uint64_t value;
        void (*wake)(void *);
        void *user;
    } waiter[16];
    unsigned waiters;
};

static uint64_t event_value(struct abx_event *e)
{
    pthread_mutex_lock(&e->lock);
    uint64_t v = e->value;
    pthread_mutex_unlock(&e->lock);
    return v;
}

static void event_signal(struct abx_event *e, uint64_t value)
{
    struct waiter ready[16];
    unsigned count = 0;
    pthread_mutex_lock(&e->lock);
    if (value > e->value)
        e->value = value;
    for (unsigned i = 0; i < e->waiters;)
        if (e->waiter[i].value <= e->value) {
            ready[count++] = e->waiter[i];
            e->waiter[i] = e->waiter[--e->waiters];
        } else {
            i++;
        }
    pthread_mutex_unlock(&e->lock);
    for (unsigned i = 0; i < count; i++)
        ready[i].wake(ready[i].user);
}

static bool event_notify(struct abx_event *e, uint64_t value, void (*wake)(void *user), void *user)
{
    pthread_mutex_lock(&e->lock);
    bool reached = e->value >= value;
    if (!reached)
        e->waiter[e->waiters++] = (struct waiter){value, wake, user};
    pthread_mutex_unlock(&e->lock);
    return reached;
}

const struct abx_event_ops event_ops = {event_value, event_signal, event_notify};

struct abx_event *event_new(void)
{
    struct abx_event *e = calloc(1, sizeof *e);
    pthread_mutex_init(&e->lock, NULL);
    return e;
}

void event_free(struct abx_event *e)
{
    free(e);
}

/* ---- device and kernels */
int rig_open(struct rig *rig, const struct abx_backend *backend, unsigned threads)
{
    rig->backend = backend;
    struct abx_device_config config = {.events = &event_ops, .threads = threads};
    if (backend->device->open(&config, &rig->device) < 0)
        return -1;
    return backend->queue->create(rig->device, &rig->queue);
}

void rig_close(struct rig *rig)
{
    rig->backend->queue->destroy(rig->queue);
    rig->backend->device->close(rig->device);
}

/* ---- memory */

static void imported(void *user, int error)
{
    *(int *)user = error;
}

struct abx_device_memory *rig_import(struct rig *rig, void *address, uint64_t bytes)
{
    struct abx_device_memory *memory = NULL;
    int error = 1; /* of backends that are done at once */
    if (rig->backend->memory->import(rig->device, address, bytes, imported, &error, &memory) < 0 ||
            error)
        abort();
    return memory;
}

/* ---- command buffers */
static void batch_done(struct abx_submission *s, const struct abx_exec_result *result)
{
    struct batch *b = s->user;
    b->error = result->error;
    b->source = result->source;
    if (result->end_ns < result->start_ns)
        b->error = 99;
    __atomic_store_n(&b->done, 1, __ATOMIC_SEQ_CST);
    abx_futex_wake(&b->done, 1);
}

void batch_init(struct batch *b)
{
    memset(b, 0, sizeof *b);
}

void batch_finish(struct batch *b)
{
    free(b->data);
}

void *batch_add(struct batch *b, uint16_t op, size_t bytes)
{
    bytes = abx_align_up(bytes, 8);
    if (b->bytes + bytes > b->capacity) {
        b->capacity = (b->bytes + bytes) * 2;
        b->data = realloc(b->data, b->capacity);
    }
    struct abx_exec_command *c = (void *)(b->data + b->bytes);
    memset(c, 0, bytes);
    c->op = op;
    c->bytes = (uint32_t)bytes;
    b->bytes += bytes;
    return c;
}

struct abx_exec_dispatch *batch_dispatch(struct batch *b, struct abx_pipeline *pipeline,
        const uint32_t grid[3], const uint32_t group[3], uint32_t bindings)
{
    struct abx_exec_dispatch *d =
            batch_add(b, ABX_EXEC_DISPATCH, sizeof *d + bindings * sizeof(struct abx_exec_binding));
    d->pipeline = pipeline;
    memcpy(d->grid, grid, sizeof d->grid);
    memcpy(d->threadgroup, group, sizeof d->threadgroup);
    d->binding_count = bindings;
    return d;
}

void batch_bytes(
        struct batch *b, struct abx_exec_dispatch **d, uint32_t index, const void *data, size_t n)
{
    size_t at = (size_t)((char *)*d - b->data), offset = (*d)->head.bytes;
    batch_add(b, 0, n);
    struct abx_exec_dispatch *moved = (void *)(b->data + at);
    moved->head.bytes = (uint32_t)(b->bytes - at);
    memcpy((char *)moved + offset, data, n);
    moved->bindings[index] = (struct abx_exec_binding){NULL, offset, n};
    *d = moved;
}

void batch_copy(struct batch *b, struct abx_device_memory *from, uint64_t from_offset,
        struct abx_device_memory *to, uint64_t to_offset, uint64_t length)
{
    struct abx_exec_copy *c = batch_add(b, ABX_EXEC_COPY, sizeof *c);
    c->from = from, c->to = to;
    c->from_offset = from_offset, c->to_offset = to_offset, c->length = length;
}

void batch_fill(struct batch *b, struct abx_device_memory *to, uint64_t offset, uint64_t length,
        uint8_t value)
{
    struct abx_exec_fill *c = batch_add(b, ABX_EXEC_FILL, sizeof *c);
    c->to = to, c->offset = offset, c->length = length, c->value = value;
}

void batch_event(struct batch *b, uint16_t op, struct abx_event *event, uint64_t value)
{
    struct abx_exec_event *c = batch_add(b, op, sizeof *c);
    c->event = event, c->value = value;
}

void batch_submit(struct batch *b, struct abx_queue *queue, const struct abx_backend *backend)
{
    b->submission.commands = (void *)b->data;
    b->submission.bytes = b->bytes;
    b->submission.done = batch_done;
    b->submission.user = b;
    b->done = 0;
    backend->queue->submit(queue, &b->submission);
}

int batch_wait(struct batch *b)
{
    uint64_t end = abx_now_ns() + 20000000000ull;
    while (!__atomic_load_n(&b->done, __ATOMIC_SEQ_CST)) {
        if (abx_now_ns() > end)
            return -1;
        abx_futex_wait(&b->done, 0, 1000000);
    }
    return b->error;
}
