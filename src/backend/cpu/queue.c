/* backend/cpu: a queue is a thread that runs submissions in order. Worker process. The commands are
 * the host's, validated; buffer contents (indirect grids, event words) are the guest's and are read
 * once. */
#include "backend/cpu/cpu_internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIME_EVERY 64u /* commands */

struct abx_queue {
    struct abx_device *device;
    pthread_t thread;
    struct abx_cpu_executor *executor;
    struct abx_cpu_job job;
    _Atomic(struct abx_submission *) incoming; /* newest first */
    _Atomic uint32_t sleeping;                 /* futex */
    _Atomic bool stop;
    _Atomic uint64_t submitted;
    struct abx_cpu_cancel cancel;
    _Atomic(struct abx_submission *) running; /* compared only */
    _Atomic(struct event_wait *) waiting;
};

/* A wait for an event. The event's notification cannot be taken back, so it may outlive the wait,
 * the submission and the queue: two references. */
struct event_wait {
    _Atomic uint32_t references;
    _Atomic uint32_t done; /* futex */
};

static void put_wait(struct event_wait *w)
{
    if (atomic_fetch_sub(&w->references, 1) == 1)
        free(w);
}

static void event_reached(void *user)
{
    struct event_wait *w = user;
    atomic_store(&w->done, 1);
    abx_futex_wake((const uint32_t *)&w->done, 1);
    put_wait(w);
}

static int wait_event(struct abx_queue *q, const struct abx_exec_event *c)
{
    const struct abx_event_ops *events = q->device->config.events;
    if (events->value(c->event) >= c->value)
        return ABX_EXEC_OK;
    struct event_wait *w = calloc(1, sizeof *w);
    if (!w)
        return ABX_EXEC_OUT_OF_MEMORY;
    atomic_store(&w->references, 3); /* ours, the event's, cancel's */
    atomic_store(&q->waiting, w);
    if (events->notify(c->event, c->value, event_reached, w)) {
        atomic_store(&w->done, 1);
        put_wait(w);
    }
    while (!atomic_load(&w->done) && !abx_cpu_cancelled(&q->cancel))
        abx_futex_wait((const uint32_t *)&w->done, 0, -1);
    bool reached = events->value(c->event) >= c->value;
    if (atomic_exchange(&q->waiting, NULL))
        put_wait(w); /* cancel did not take its reference */
    put_wait(w);
    return reached ? ABX_EXEC_OK : ABX_EXEC_DEVICE_REMOVED;
}

/* ---- dispatches */

/* Read where nothing is bound, as by kernels whose function constants leave an argument out. */
static const char nothing[ABX_REFERENCE_BYTES] __attribute__((aligned(64)));

static int bind(struct abx_cpu_job *job, const struct abx_exec_dispatch *c)
{
    struct abx_kernel_call *call = &job->call;
    uint32_t offset = (uint32_t)abx_align_up(
            job->pipeline->code.static_threadgroup_bytes, ABX_CPU_GROUP_ALIGN);
    for (uint32_t i = 0; i < ABX_BUFFER_SLOTS; i++) {
        void *p = NULL;
        if (i < c->binding_count) {
            const struct abx_exec_binding *b = &c->bindings[i];
            if (b->memory)
                p = b->memory->address + b->offset;
            else if (b->offset)
                p = (char *)c + b->offset;
        }
        if (!p && job->pipeline->info.references >> i & 1)
            p = (void *)nothing;
        call->buffers[i] = p;
    }
    for (uint32_t i = 0; i < ABX_MAX_THREADGROUP_BINDINGS; i++) {
        uint32_t bytes = c->threadgroup_bytes[i];
        job->group_offset[i] = ~0u;
        if (!bytes)
            continue;
        if (bytes > ABX_MAX_THREADGROUP_BYTES ||
                offset + abx_align_up(bytes, ABX_CPU_GROUP_ALIGN) > ABX_CPU_GROUP_MEMORY)
            return ABX_EXEC_INVALID_RESOURCE;
        job->group_offset[i] = offset;
        offset += (uint32_t)abx_align_up(bytes, ABX_CPU_GROUP_ALIGN);
    }
    return ABX_EXEC_OK;
}

/* The grid in threads; an indirect one is the guest's memory. */
static int read_grid(struct abx_kernel_call *call, const struct abx_exec_dispatch *c)
{
    uint32_t counts[3];
    if (c->head.op == ABX_EXEC_DISPATCH_INDIRECT)
        memcpy(counts, c->indirect->address + c->indirect_offset, sizeof counts);
    for (int d = 0; d < 3; d++) {
        uint64_t group = c->threadgroup[d];
        uint64_t threads =
                c->head.op == ABX_EXEC_DISPATCH_INDIRECT ? counts[d] * group : c->grid[d];
        if (threads > UINT32_MAX || group == 0)
            return ABX_EXEC_INVALID_RESOURCE;
        call->grid[d] = (uint32_t)threads;
        call->group_size[d] = (uint32_t)group;
        call->groups[d] = (uint32_t)((threads + group - 1) / group);
    }
    return ABX_EXEC_OK;
}

static bool is_outside(const struct abx_exec_dispatch *c)
{
    uint32_t range[2]; /* the guest's memory: any value is possible */
    if (!c->range)
        return false;
    memcpy(range, c->range->address + c->range_offset, sizeof range);
    return c->range_index < range[0] || c->range_index - range[0] >= range[1];
}

static int dispatch(
        struct abx_queue *q, struct abx_submission *s, const struct abx_exec_dispatch *c)
{
    struct abx_cpu_job *job = &q->job;
    if (is_outside(c))
        return ABX_EXEC_OK;
    job->pipeline = c->pipeline;
    job->cancel = &q->cancel;
    job->submission = s;
    int e = bind(job, c);
    if (e == ABX_EXEC_OK)
        e = read_grid(&job->call, c);
    if (e != ABX_EXEC_OK)
        return e;
    const uint32_t *groups = job->call.groups;
    if (__builtin_mul_overflow((uint64_t)groups[0] * groups[1], groups[2], &job->groups))
        return ABX_EXEC_INVALID_RESOURCE;
    s->result.kernels++;
    if (job->groups == 0)
        return ABX_EXEC_OK;
    e = abx_cpu_prepare(q->executor, job);
    if (e != ABX_EXEC_OK)
        return e;
    atomic_store_explicit(&job->next, 0, memory_order_relaxed);
    e = abx_cpu_pool_run(q->device, q->executor, job);
    if (e != ABX_EXEC_OK) {
        q->executor->clock_ns = 0;
        s->result.value = job->error_value;
        s->result.limit = job->error_limit;
    }
    return e;
}

static int multiply(
        struct abx_queue *q, struct abx_submission *s, const struct abx_exec_matrix_multiply *c)
{
    struct abx_cpu_job *job = &q->job;
    job->cancel = &q->cancel;
    job->submission = s;
    int e = abx_cpu_matrix_multiply(q->device, q->executor, job, c);
    q->executor->clock_ns = 0;
    if (e != ABX_EXEC_OK) {
        s->result.value = job->error_value;
        s->result.limit = job->error_limit;
    }
    return e;
}

/* The pages may be missing: the system has no memory for them. */
static int move(struct abx_queue *q, struct abx_submission *s, const struct abx_exec_command *head)
{
    struct abx_cpu_executor *e = q->executor;
    if (sigsetjmp(e->guard.landing, 0)) {
        atomic_store_explicit(&e->submission, NULL, memory_order_release);
        s->result.value = e->guard.value;
        s->result.limit = e->guard.limit;
        return abx_cpu_landed(q->device, e, NULL);
    }
    e->guard.job = NULL;
    e->guard.cancel = &q->cancel;
    atomic_store_explicit(&e->submission, s, memory_order_release);
    abx_cpu_arm(e);
    if (head->op == ABX_EXEC_COPY) {
        const struct abx_exec_copy *c = (const struct abx_exec_copy *)head;
        memmove(c->to->address + c->to_offset, c->from->address + c->from_offset, c->length);
    } else if (head->op == ABX_EXEC_TIMESTAMP) {
        const struct abx_exec_timestamp *c = (const struct abx_exec_timestamp *)head;
        *(volatile uint64_t *)(c->to->address + c->offset) = abx_now_ns();
    } else {
        const struct abx_exec_fill *c = (const struct abx_exec_fill *)head;
        memset(c->to->address + c->offset, (int)c->value, c->length);
    }
    abx_cpu_disarm(e);
    atomic_store_explicit(&e->submission, NULL, memory_order_release);
    return ABX_EXEC_OK;
}

static int run_command(
        struct abx_queue *q, struct abx_submission *s, const struct abx_exec_command *head)
{
    if (head->op != ABX_EXEC_DISPATCH && head->op != ABX_EXEC_DISPATCH_INDIRECT)
        q->executor->clock_ns = 0; /* it may take long */
    switch ((enum abx_exec_op)head->op) {
    case ABX_EXEC_DISPATCH:
    case ABX_EXEC_DISPATCH_INDIRECT:
        return dispatch(q, s, (const struct abx_exec_dispatch *)head);
    case ABX_EXEC_COPY:
    case ABX_EXEC_FILL:
    case ABX_EXEC_TIMESTAMP:
        return move(q, s, head);
    case ABX_EXEC_MATRIX_MULTIPLY:
        return multiply(q, s, (const struct abx_exec_matrix_multiply *)head);
    case ABX_EXEC_WAIT_EVENT:
        return wait_event(q, (const struct abx_exec_event *)head);
    case ABX_EXEC_SIGNAL_EVENT: {
        const struct abx_exec_event *c = (const struct abx_exec_event *)head;
        q->device->config.events->signal(c->event, c->value);
        return ABX_EXEC_OK;
    }
    case ABX_EXEC_BARRIER: /* a queue runs one command at a time, to its end */
    case ABX_EXEC_WAIT_FENCE:
    case ABX_EXEC_UPDATE_FENCE:
        return ABX_EXEC_OK;
    }
    return ABX_EXEC_INTERNAL;
}

static const char *error_text(int error)
{
    switch (error) {
    case ABX_EXEC_OK:
        return NULL;
    case ABX_EXEC_OUT_OF_MEMORY:
        return "not enough memory for the threads' private memory";
    case ABX_EXEC_INVALID_RESOURCE:
        return "the grid or the threadgroup memory is too large";
    case ABX_EXEC_DEVICE_REMOVED:
        return "the queue was cancelled";
    case ABX_EXEC_TIMEOUT: /* the numbers say it better */
    case ABX_EXEC_PAGE_FAULT:
        return NULL;
    default:
        return "unknown command";
    }
}

static uint64_t thread_time_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* All commands together: looked at now and then, since it is a system call. */
static int check_time(struct abx_queue *q, struct abx_submission *s, uint64_t *begin)
{
    uint64_t limit = atomic_load_explicit(&q->device->buffer_limit_ns, memory_order_relaxed);
    uint64_t now = limit ? thread_time_ns() : 0;
    if (!*begin)
        *begin = now;
    if (!limit || now - *begin <= limit)
        return ABX_EXEC_OK;
    s->result.limit = limit / 1000000u;
    return ABX_EXEC_TIMEOUT;
}

static void run(struct abx_queue *q, struct abx_submission *s)
{
    uint64_t begin = 0;
    unsigned count = 0;
    int error = ABX_EXEC_OK;
    const struct abx_exec_command *c = NULL;
    s->result = (struct abx_exec_result){.start_ns = abx_now_ns()};
    q->executor->clock_ns = s->result.start_ns;
    atomic_store(&q->running, s);
    for (size_t at = 0; at < s->bytes && error == ABX_EXEC_OK; at += c->bytes) {
        c = (const void *)((const char *)s->commands + at);
        error = abx_cpu_cancelled(&q->cancel) ? ABX_EXEC_DEVICE_REMOVED : run_command(q, s, c);
        if (++count % TIME_EVERY == 0 && error == ABX_EXEC_OK)
            error = check_time(q, s, &begin);
    }
    /* Before done(): whoever waits for it may then destroy the queue. */
    atomic_store(&q->running, NULL);
    if (abx_cpu_cancelled(&q->cancel) && error == ABX_EXEC_OK && !s->bytes)
        error = ABX_EXEC_DEVICE_REMOVED;
    atomic_fetch_add(&q->cancel.finished, 1);
    s->result.error = error;
    s->result.text = error_text(error);
    if (error != ABX_EXEC_OK && c) {
        s->result.source = c->source;
        s->result.origin = c->origin;
    }
    s->result.end_ns = abx_now_ns();
    s->done(s, &s->result);
}

/* ---- the thread */

static struct abx_submission *take_all(struct abx_queue *q)
{
    struct abx_submission *s = atomic_exchange(&q->incoming, NULL), *ordered = NULL;
    while (s) {
        struct abx_submission *next = s->next;
        s->next = ordered;
        ordered = s;
        s = next;
    }
    return ordered;
}

static void wait_for_work(struct abx_queue *q)
{
    for (uint64_t end = abx_now_ns() + q->device->spin_ns; abx_now_ns() < end;)
        for (int i = 0; i < 16; i++) {
            if (atomic_load_explicit(&q->incoming, memory_order_relaxed))
                return;
            abx_cpu_relax();
        }
    atomic_store(&q->sleeping, 1);
    while (!atomic_load(&q->incoming) && !atomic_load(&q->stop))
        abx_futex_wait((const uint32_t *)&q->sleeping, 1, -1);
    atomic_store(&q->sleeping, 0);
}

static void *queue_thread(void *arg)
{
    struct abx_queue *q = arg;
    abx_cpu_executor_bind(q->executor);
    for (;;) {
        struct abx_submission *s = take_all(q);
        if (!s && atomic_load(&q->stop))
            return NULL;
        if (!s)
            wait_for_work(q);
        while (s) {
            struct abx_submission *next = s->next;
            run(q, s);
            s = next;
        }
    }
}

static void queue_submit(struct abx_queue *q, struct abx_submission *s)
{
    uint64_t number = atomic_fetch_add(&q->submitted, 1);
    /* Nothing to do and nothing before it: a hand-over to the thread would be all its cost. */
    if (s->bytes == 0 && atomic_load(&q->cancel.finished) == number) {
        run(q, s);
        return;
    }
    struct abx_submission *head = atomic_load(&q->incoming);
    do
        s->next = head;
    while (!atomic_compare_exchange_weak(&q->incoming, &head, s));
    if (atomic_exchange(&q->sleeping, 0))
        abx_futex_wake((const uint32_t *)&q->sleeping, 1);
}

static void queue_cancel(struct abx_queue *q)
{
    atomic_store(&q->cancel.cancelled, atomic_load(&q->submitted));
    struct event_wait *w = atomic_exchange(&q->waiting, NULL);
    if (w) {
        atomic_store(&w->done, 1);
        abx_futex_wake((const uint32_t *)&w->done, 1);
        put_wait(w);
    }
    struct abx_submission *running = atomic_load(&q->running);
    if (running)
        abx_cpu_interrupt(q->device, running);
}

static void queue_destroy(struct abx_queue *q)
{
    atomic_store(&q->stop, true);
    atomic_store(&q->sleeping, 0);
    abx_futex_wake((const uint32_t *)&q->sleeping, 1);
    pthread_join(q->thread, NULL);
    abx_cpu_executor_destroy(q->device, q->executor);
    free(q);
}

static int queue_create(struct abx_device *device, struct abx_queue **ret)
{
    struct abx_queue *q = calloc(1, sizeof *q);
    if (!q)
        return -ENOMEM;
    q->device = device;
    q->executor = abx_cpu_executor_create(device);
    if (!q->executor) {
        free(q);
        return -ENOMEM;
    }
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, ABX_CPU_STACK_BYTES);
    int r = -pthread_create(&q->thread, &attr, queue_thread, q);
    pthread_attr_destroy(&attr);
    if (r < 0) {
        abx_cpu_executor_destroy(device, q->executor);
        free(q);
        return r;
    }
    *ret = q;
    return 0;
}

const struct abx_queue_ops abx_cpu_queue_ops = {
        .create = queue_create,
        .submit = queue_submit,
        .cancel = queue_cancel,
        .destroy = queue_destroy,
};
