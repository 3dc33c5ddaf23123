/* host: command buffers in flight. A queue is a list in commit order; its submissions go to the
 * backend in that order as their pipelines become ready, and complete in that order. Runs in the
 * worker on the engine's, the compiler's and backend threads. Everything here is already validated.
 */
#include "host/session/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POOL_MAX 64u             /* submissions kept for reuse */
#define QUEUE_BYTES (128u << 10) /* of a backend's queue at least: a thread, threadgroup memory */
#define POOL_BYTES (3u << 20)    /* with at most so much memory, all of them */

static void backend_done(struct abx_submission *base, const struct abx_exec_result *result);

struct abx_host_submission *abx_submission_create(struct abx_session *session)
{
    pthread_mutex_lock(&session->pool_lock);
    struct abx_host_submission *s = session->pool;
    if (s) {
        session->pool = s->next;
        session->pooled--;
        session->pooled_bytes -= s->charged;
    }
    pthread_mutex_unlock(&session->pool_lock);
    if (!s)
        s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->next = NULL;
    s->state = ABX_SUBMISSION_READY;
    s->imports = false;
    s->text[0] = 0;
    memset(&s->result, 0, sizeof s->result);
    s->exec_bytes = 0;
    s->object_count = s->records = s->patch_count = s->patched = 0;
    s->stamp = ++session->next_stamp;
    s->running_since = 0;
    s->base = (struct abx_submission){.done = backend_done, .user = s, .client = session->number};
    return s;
}

static void drop_memory(struct abx_session *session, struct abx_host_submission *s)
{
    free(s->exec);
    free(s->objects);
    free(s->resources);
    free(s->patches);
    s->exec = NULL;
    s->objects = NULL;
    s->resources = NULL;
    s->patches = NULL;
    s->exec_capacity = 0;
    s->object_capacity = s->resource_capacity = s->patch_capacity = 0;
    if (s->charged)
        abx_books_uncharge(session, s->charged);
    s->charged = 0;
}

static void submission_free(struct abx_session *session, struct abx_host_submission *s)
{
    pthread_mutex_lock(&session->pool_lock);
    bool keep = session->pooled < POOL_MAX;
    if (!keep || session->pooled_bytes + s->charged > POOL_BYTES)
        drop_memory(session, s); /* before the session may end */
    if (keep) {
        session->pooled_bytes += s->charged;
        s->next = session->pool;
        session->pool = s;
        session->pooled++;
    }
    if (--session->in_flight == 0)
        pthread_cond_broadcast(&session->drained);
    pthread_mutex_unlock(&session->pool_lock);
    if (!keep)
        free(s);
}

bool abx_submissions_drain(struct abx_session *session, unsigned timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + timeout_ms * 1000000ull;
    until.tv_sec += (time_t)(ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    pthread_mutex_lock(&session->pool_lock);
    int r = 0;
    while (session->in_flight && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&session->drained, &session->pool_lock, &until);
    if (session->in_flight) {
        pthread_mutex_unlock(&session->pool_lock);
        return false;
    }
    struct abx_host_submission *s = session->pool;
    session->pool = NULL;
    session->pooled_bytes = 0;
    pthread_mutex_unlock(&session->pool_lock);
    while (s) {
        struct abx_host_submission *next = s->next;
        drop_memory(session, s);
        free(s);
        s = next;
    }
    return true;
}

static void count(struct abx_session *session, const struct abx_host_submission *s)
{
    struct abx_client_stats *stats = session->stats;
    struct abx_host_page *page = session->page;
    uint64_t ran = s->result.end_ns - s->result.start_ns;
    atomic_fetch_sub_explicit(&stats->waiting, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->command_buffers, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->commands, s->records, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->kernels, s->result.kernels, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->busy_ns, ran, memory_order_relaxed);
    if (s->result.error)
        atomic_fetch_add_explicit(&stats->failed_command_buffers, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&page->command_buffers, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&page->commands_executed, s->records, memory_order_relaxed);
    atomic_fetch_add_explicit(&page->kernels, s->result.kernels, memory_order_relaxed);
}

static void drop_objects(struct abx_host_submission *s)
{
    for (uint32_t i = 0; i < s->object_count; i++)
        abx_object_release(s->objects[i]);
    s->object_count = 0;
}

/* Marks a submission as over and completes, in order, whatever that makes first. The result and the
 * end of all references come before the completion word: a guest that sees the word may free. */
static void complete(struct abx_queue_object *queue, struct abx_host_submission *s)
{
    struct abx_session *session = queue->head.session;
    struct abx_host_submission *over = NULL, **over_end = &over;
    count(session, s);
    atomic_fetch_sub_explicit(&session->exec_bytes, s->exec_bytes, memory_order_relaxed);
    drop_objects(s);
    session->page->results[s->result_slot] = s->result;
    if (s->result.error)
        memcpy(session->page->texts[s->result_slot], s->text, sizeof s->text);
    pthread_mutex_lock(&queue->lock);
    s->state = ABX_SUBMISSION_DONE;
    uint64_t completed = 0;
    while (queue->first && queue->first->state == ABX_SUBMISSION_DONE) {
        struct abx_host_submission *first = queue->first;
        queue->first = first->next;
        if (!queue->first)
            queue->last = NULL;
        completed = first->sequence;
        atomic_store(&session->results_busy[first->result_slot], 0);
        *over_end = first;
        over_end = &first->next;
    }
    *over_end = NULL;
    queue->idle_since = s->result.end_ns;
    if (completed && !queue->first && queue->destroyed)
        atomic_store(&session->queues[queue->slot], NULL);
    if (completed)
        atomic_store(&session->page->completed[queue->slot], completed);
    pthread_mutex_unlock(&queue->lock);
    if (completed)
        abx_session_wake_guest(session, &session->page->completed[queue->slot]);
    abx_queue_pump(queue);
    while (over) {
        struct abx_host_submission *next = over->next;
        abx_object_release(&queue->head); /* each submission held its queue */
        submission_free(session, over);   /* the session may end after the last */
        over = next;
    }
}

static enum abx_reason reason_of(int error)
{
    switch ((enum abx_exec_error)error) {
    case ABX_EXEC_OK:
        return ABX_REASON_NONE;
    case ABX_EXEC_TIMEOUT:
        return ABX_REASON_TIMEOUT;
    case ABX_EXEC_OUT_OF_MEMORY:
        return ABX_REASON_MEMORY;
    case ABX_EXEC_ACCESS_REVOKED:
    case ABX_EXEC_DEVICE_REMOVED:
        return ABX_REASON_LOST;
    case ABX_EXEC_NOT_PERMITTED:
        return ABX_REASON_STATE;
    case ABX_EXEC_INVALID_RESOURCE:
        return ABX_REASON_RANGE;
    case ABX_EXEC_INTERNAL:
    case ABX_EXEC_PAGE_FAULT:
        break;
    }
    return ABX_REASON_FAULT;
}

/* For whoever runs the machine; the guest reads the same in its result. */
static void log_failure(const struct abx_host_submission *s)
{
    const struct abx_session *session = s->queue->head.session;
    const struct abx_result *r = &s->result;
    if (r->error == ABX_EXEC_TIMEOUT)
        abx_host_log(session->host,
                "a kernel of process %u (%s) used more than %.1f s of processor time and was ended",
                session->pid, session->program, (double)r->error_limit / 1e3);
    else if (r->error == ABX_EXEC_PAGE_FAULT && r->error_value)
        abx_host_log(session->host,
                "a kernel of process %u (%s) touched memory outside its buffers at %#llx and was "
                "ended",
                session->pid, session->program, (unsigned long long)r->error_value);
    else if (r->error == ABX_EXEC_PAGE_FAULT && r->error_limit)
        abx_host_log(session->host, "a kernel of process %u (%s) trapped (%s) and was ended",
                session->pid, session->program, strsignal((int)r->error_limit));
    else if (r->error == ABX_EXEC_PAGE_FAULT)
        abx_host_log(session->host, "a command buffer of process %u (%s) failed: %s", session->pid,
                session->program, s->text);
}

static void backend_done(struct abx_submission *base, const struct abx_exec_result *result)
{
    struct abx_host_submission *s = base->user;
    s->result.start_ns = result->start_ns;
    s->result.end_ns = result->end_ns;
    s->result.kernels = result->kernels;
    if (result->error) {
        s->result.error = (uint32_t)result->error;
        s->result.error_reason = reason_of(result->error);
        s->result.error_record = result->source;
        s->result.error_op = result->origin;
        s->result.error_value = result->value;
        s->result.error_limit = result->limit;
        snprintf(s->text, sizeof s->text, "%s", result->text ? result->text : "");
        log_failure(s);
    }
    complete(s->queue, s);
}

void abx_submission_fail(struct abx_host_submission *s, enum abx_exec_error error,
        enum abx_reason reason, uint64_t value, uint64_t limit)
{
    s->state = ABX_SUBMISSION_FAILED;
    s->result.error = error;
    s->result.error_reason = reason;
    s->result.error_value = value;
    s->result.error_limit = limit;
}

static void fail_dispatch(struct abx_host_submission *s, const struct abx_exec_dispatch *c,
        enum abx_reason reason, uint64_t value, uint64_t limit)
{
    abx_submission_fail(s, ABX_EXEC_INVALID_RESOURCE, reason, value, limit);
    s->result.error_op = c->head.origin;
    s->result.error_record = c->head.source;
}

/* False: a pipeline is not ready yet. A failed one fails the submission. */
static bool apply_patches(struct abx_host_submission *s)
{
    for (; s->patched < s->patch_count; s->patched++) {
        struct abx_exec_dispatch *dispatch = (void *)(s->exec + s->patches[s->patched].at);
        const struct abx_pipeline_object *pipeline = s->patches[s->patched].pipeline;
        const uint32_t *t = dispatch->threadgroup;
        uint64_t used, limit = pipeline->head.session->host->info.max_threadgroup_bytes;
        switch ((enum abx_pipeline_state)atomic_load_explicit(
                &pipeline->state, memory_order_acquire)) {
        case ABX_PIPELINE_COMPILING:
            return false;
        case ABX_PIPELINE_FAILED:
            fail_dispatch(s, dispatch, ABX_REASON_PIPELINE, pipeline->head.handle, 0);
            return true;
        case ABX_PIPELINE_READY:
            used = abx_threadgroup_memory(pipeline, dispatch->threadgroup_bytes);
            if (used > limit) {
                fail_dispatch(s, dispatch, ABX_REASON_RANGE, used, limit);
                return true;
            }
            if (t[0] * t[1] * t[2] > abx_max_threads(pipeline)) {
                fail_dispatch(s, dispatch, ABX_REASON_RANGE, t[0] * t[1] * t[2],
                        abx_max_threads(pipeline));
                return true;
            }
            dispatch->pipeline = pipeline->backend;
            break;
        }
    }
    return true;
}

/* The same of the memory that was being imported. */
static bool imports_done(struct abx_host_submission *s)
{
    if (s->state == ABX_SUBMISSION_FAILED)
        return true;
    for (uint32_t i = 0; s->imports && i < s->object_count; i++) {
        const struct abx_buffer_object *buffer = (const void *)s->objects[i];
        if (buffer->head.class != ABX_CLASS_BUFFER)
            continue;
        int state = atomic_load_explicit(&buffer->range->state, memory_order_acquire);
        if (state == ABX_RANGE_FAILED) {
            abx_submission_fail(s, ABX_EXEC_OUT_OF_MEMORY, ABX_REASON_MEMORY, buffer->range->bytes,
                    abx_range_cap(buffer->range));
            return true;
        }
        if (state != ABX_RANGE_READY)
            return false;
    }
    return true;
}

/* One step; the queue's lock is held, and let go around calls that call back. True: again. */
static bool pump_one(struct abx_queue_object *queue)
{
    struct abx_host_submission *s = queue->next_submit;
    if (!s)
        return false;
    if (s->state == ABX_SUBMISSION_READY && queue->cancelled)
        abx_submission_fail(s, ABX_EXEC_DEVICE_REMOVED, ABX_REASON_LOST, 0, 0);
    if (s->state == ABX_SUBMISSION_READY && !(apply_patches(s) && imports_done(s)))
        return false;
    bool failed = s->state == ABX_SUBMISSION_FAILED;
    if (failed && s != queue->first)
        return false;
    queue->next_submit = s->next;
    if (!failed) {
        s->state = ABX_SUBMISSION_RUNNING;
        s->running_since = abx_now_ns();
    }
    pthread_mutex_unlock(&queue->lock);
    if (failed) {
        s->result.start_ns = s->result.end_ns = abx_now_ns();
        complete(queue, s);
    } else {
        s->base.commands = (const void *)s->exec;
        s->base.bytes = s->exec_bytes;
        s->base.resources = s->resources;
        queue->head.session->host->backend->queue->submit(queue->backend, &s->base);
    }
    pthread_mutex_lock(&queue->lock);
    return true;
}

void abx_queue_pump(struct abx_queue_object *queue)
{
    pthread_mutex_lock(&queue->lock);
    if (queue->pumping) {
        /* Another thread, or a caller further up this one's stack, goes round once more. */
        queue->again = true;
        pthread_mutex_unlock(&queue->lock);
        return;
    }
    queue->pumping = true;
    /* `pumping` keeps the last submission from taking the queue with it. */
    abx_object_retain(&queue->head);
    do {
        queue->again = false;
        while (pump_one(queue))
            ;
    } while (queue->again);
    queue->pumping = false;
    pthread_mutex_unlock(&queue->lock);
    abx_object_release(&queue->head);
}

void abx_queues_pump(struct abx_session *session)
{
    for (unsigned i = 0; i < ABX_MAX_QUEUES && !atomic_load(&session->dead); i++) {
        struct abx_queue_object *queue = atomic_load(&session->queues[i]);
        if (queue)
            abx_queue_pump(queue);
    }
}

void abx_queue_add(struct abx_queue_object *queue, struct abx_host_submission *s)
{
    struct abx_session *session = queue->head.session;
    s->queue = queue;
    abx_object_retain(&queue->head);
    atomic_fetch_add_explicit(&session->exec_bytes, s->exec_bytes, memory_order_relaxed);
    pthread_mutex_lock(&session->pool_lock);
    session->in_flight++;
    pthread_mutex_unlock(&session->pool_lock);
    /* Until it ends otherwise: whoever finds the worker dead reads this. */
    s->result.sequence = s->sequence;
    struct abx_result *result = &session->page->results[s->result_slot];
    *result = (struct abx_result){.sequence = s->sequence,
            .error = ABX_EXEC_DEVICE_REMOVED,
            .error_reason = ABX_REASON_LOST};
    session->page->texts[s->result_slot][0] = 0;
    pthread_mutex_lock(&queue->lock);
    if (queue->last)
        queue->last->next = s;
    else
        queue->first = s;
    queue->last = s;
    atomic_fetch_add_explicit(&session->stats->waiting, 1, memory_order_relaxed);
    if (!queue->next_submit)
        queue->next_submit = s;
    pthread_mutex_unlock(&queue->lock);
    abx_queue_pump(queue);
}

static uint64_t queue_bytes(const struct abx_session *session)
{
    uint64_t bytes = session->host->backend->queue->bytes;
    return bytes > QUEUE_BYTES ? bytes : QUEUE_BYTES;
}

static int create_backend(struct abx_session *session, struct abx_queue_object *queue)
{
    int r = abx_books_charge(session, queue_bytes(session));
    if (r < 0)
        return r;
    r = session->host->backend->queue->create(session->host->device, &queue->backend);
    if (r < 0)
        abx_books_uncharge(session, queue_bytes(session));
    return r;
}

int abx_queue_create(struct abx_session *session, abx_handle handle, uint32_t slot)
{
    if (atomic_load(&session->queues[slot])) {
        abx_session_kill(session, "it made two queues in slot %u", slot);
        return -EEXIST;
    }
    struct abx_queue_object *queue = abx_object_create(session, handle, ABX_CLASS_QUEUE, 0);
    if (!queue)
        return -EINVAL;
    queue->slot = slot;
    pthread_mutex_init(&queue->lock, NULL);
    int r = create_backend(session, queue);
    if (r < 0 && atomic_load(&session->ended_queues)) { /* what is finished is given back first */
        abx_queues_reap(session);
        r = create_backend(session, queue);
    }
    if (r < 0) /* its command buffers fail, not the client */
        abx_object_poison(&queue->head, ABX_REASON_MEMORY, 0, 0);
    /* A guest that uses a slot again waits until its record was read, then counts from 1. */
    atomic_store(&session->page->completed[slot], 0);
    atomic_store(&session->queues[slot], queue);
    atomic_fetch_add(&session->stats->queues, 1);
    return 0;
}

static void forget_queue(struct abx_object *object)
{
    struct abx_queue_object *queue = (struct abx_queue_object *)object;
    struct abx_session *session = object->session;
    pthread_mutex_lock(&queue->lock);
    queue->destroyed = true;
    if (!queue->first)
        atomic_store(&session->queues[queue->slot], NULL);
    pthread_mutex_unlock(&queue->lock);
    atomic_fetch_sub(&session->stats->queues, 1);
}

/* Backend queues may not be destroyed on the backend's own threads: left to the engine's. */
static void destroy_queue(struct abx_object *object)
{
    struct abx_queue_object *queue = (struct abx_queue_object *)object;
    struct abx_session *session = object->session;
    queue->ended_next = atomic_load(&session->ended_queues);
    while (!atomic_compare_exchange_weak(&session->ended_queues, &queue->ended_next, queue))
        ;
    abx_session_rouse(session); /* it may be asleep, and what the queue holds is wanted by others */
}

const struct abx_object_kind abx_queue_kind = {
        sizeof(struct abx_queue_object), destroy_queue, forget_queue};

void abx_queues_reap(struct abx_session *session)
{
    struct abx_queue_object *queue = atomic_exchange(&session->ended_queues, NULL);
    if (!queue)
        return;
    pthread_mutex_lock(&session->host->lock); /* the watchdog may be looking at it */
    pthread_mutex_unlock(&session->host->lock);
    while (queue) {
        struct abx_queue_object *next = queue->ended_next;
        if (queue->backend) {
            session->host->backend->queue->destroy(queue->backend);
            abx_books_uncharge(session, queue_bytes(session));
        }
        pthread_mutex_destroy(&queue->lock);
        free(queue);
        queue = next;
    }
}

void abx_queue_cancel(struct abx_queue_object *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->cancelled = true;
    pthread_mutex_unlock(&queue->lock);
    const struct abx_queue_ops *ops = queue->head.session->host->backend->queue;
    if (ops->cancel && queue->backend)
        ops->cancel(queue->backend);
    abx_queue_pump(queue);
}
