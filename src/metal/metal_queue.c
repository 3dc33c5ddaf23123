/* metal: MTLCommandQueue, and the life of command buffers from enqueue to their handlers.
 * Runs in the guest's process.
 *
 * Locking: the state's lock covers its lists, the wire queue's sequence and each buffer's fields
 * from enqueue on. Nothing is released, and no handler called, under it: a dealloc may come back
 * here. */
#include <stdlib.h>
#include <time.h>

#include "metal/metal_wrap.h"

#define QUEUE_PATIENCE_NS                                                                          \
    10000000000u /* for a place; a program that has all alive is told so then */

/* ---- every queue, so that what is complete on one nobody touches any more is let go of too */

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct abx_metal_queue_state *all;

/* The parent's queues are nothing to a child, and another thread may have held the lock. */
static void forget_all(void)
{
    pthread_mutex_init(&all_lock, NULL);
    all = NULL;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, forget_all);
}

static void list_in_all(struct abx_metal_queue_state *state)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&all_lock);
    state->next = all;
    all = state;
    pthread_mutex_unlock(&all_lock);
}

static void take_out_of_all(struct abx_metal_queue_state *state)
{
    pthread_mutex_lock(&all_lock);
    struct abx_metal_queue_state **at = &all;
    while (*at && *at != state)
        at = &(*at)->next;
    if (*at)
        *at = state->next;
    pthread_mutex_unlock(&all_lock);
}

static void state_unref(struct abx_metal_queue_state *state)
{
    if (atomic_fetch_sub(&state->references, 1) != 1)
        return;
    pthread_mutex_destroy(&state->lock);
    pthread_cond_destroy(&state->changed);
    free(state);
}

static void list_add(
        struct abx_metal_command_buffer ***end, struct abx_metal_command_buffer *buffer)
{
    buffer->next = NULL;
    **end = buffer;
    *end = &buffer->next;
}

/* The head of this list stays there while it is submitted, which puts it into another. */
static void enqueue(struct abx_metal_queue_state *state, struct abx_metal_command_buffer *buffer)
{
    abx_metal_reach(buffer, ABX_STAGE_ENQUEUED);
    objc_retain((id)buffer);
    if (state->enqueued)
        state->enqueued_last->next_enqueued = buffer;
    else
        state->enqueued = buffer;
    state->enqueued_last = buffer;
}

static struct abx_metal_command_buffer *list_take(
        struct abx_metal_command_buffer **first, struct abx_metal_command_buffer ***end)
{
    struct abx_metal_command_buffer *buffer = *first;
    *first = buffer->next;
    if (!*first)
        *end = first;
    buffer->next = NULL;
    return buffer;
}

/* ---- completion */

/* Whether something is to be called when it is complete. */
static bool has_handlers(const struct abx_metal_command_buffer *buffer)
{
    return buffer->completed.count || buffer->scheduled.count || buffer->log;
}

/* Takes the outcome over; lock held. */
static void finish(
        struct abx_metal_queue_state *state, struct abx_metal_command_buffer *buffer, bool lost)
{
    struct abx_client *client = buffer->base.client;
    abx_client_result(client, buffer->result_slot, &buffer->result);
    /* A worker that goes down says which command buffer was the cause (fault, time-out). */
    if (lost && (buffer->result.sequence != buffer->sequence || !buffer->result.error))
        abx_metal_lose(buffer);
    if (buffer->result.error)
        abx_client_result_text(client, buffer->result_slot, buffer->text);
    abx_client_result_free(client, buffer->result_slot);
    buffer->error = buffer->fault && !lost
                            ? (buffer->error ? buffer->error : MTLCommandBufferErrorInternal)
                            : buffer->result.error;
    if (buffer->chunk_count)
        abx_client_mirror_spent(client, buffer->chunks, buffer->chunk_count,
                buffer->result.end_ns - buffer->result.start_ns);
    if (buffer->use_count) /* before anybody can see that it is complete */
        abx_metal_wrap_complete(buffer);
    abx_metal_reach(buffer, has_handlers(buffer) ? ABX_STAGE_COMPLETE : ABX_STAGE_HANDLED);
    state->outstanding--;
}

static void let_go(struct abx_metal_command_buffer *done)
{
    while (done) {
        struct abx_metal_command_buffer *next = done->next;
        done->next = NULL;
        done->letting_go = pthread_self();
        abx_metal_command_buffer_drop(done);
        if (done->keeps_pages) {
            pthread_mutex_lock(&done->queue->state->lock);
            abx_metal_reach(done, ABX_STAGE_LET_GO);
            pthread_cond_broadcast(&done->queue->state->changed);
            pthread_mutex_unlock(&done->queue->state->lock);
        }
        objc_release((id)done);
        done = next;
    }
}

static void submit_ready(struct abx_metal_queue_state *state);

/* Lock held; what is complete and has no handlers goes to *done. */
static void reap_locked(struct abx_metal_queue_state *state, struct abx_metal_command_buffer **done)
{
    struct abx_client *client = state->wire.client;
    uint64_t completed = abx_client_queue_completed(&state->wire);
    bool lost = state->in_flight && state->in_flight->sequence > completed &&
                abx_client_known_lost(client);
    if (lost)
        completed = abx_client_queue_completed(&state->wire);
    struct abx_metal_command_buffer **end = done;
    while (*end)
        end = &(*end)->next;
    bool any = false;
    while (state->in_flight && (lost || state->in_flight->sequence <= completed)) {
        struct abx_metal_command_buffer *buffer =
                list_take(&state->in_flight, &state->in_flight_end);
        finish(state, buffer, buffer->sequence > completed);
        any = true;
        if (abx_metal_stage(buffer) == ABX_STAGE_HANDLED)
            list_add(&end, buffer);
        else
            list_add(&state->ready_end, buffer);
    }
    if (any)
        pthread_cond_broadcast(&state->changed);
}

void abx_metal_queue_reap(struct abx_metal_queue_state *state)
{
    if (abx_client_forked(state->wire.client))
        return;
    struct abx_metal_command_buffer *done = NULL;
    pthread_mutex_lock(&state->lock);
    reap_locked(state, &done);
    pthread_mutex_unlock(&state->lock);
    let_go(done);
}

void abx_metal_queue_reap_all(struct abx_client *client)
{
    struct abx_metal_queue_state *states[ABX_MAX_QUEUES];
    unsigned count = 0;
    if (abx_client_forked(client))
        return;
    pthread_mutex_lock(&all_lock);
    for (struct abx_metal_queue_state *s = all; s && count < ABX_MAX_QUEUES; s = s->next) {
        if (s->wire.client != client)
            continue;
        atomic_fetch_add(&s->references, 1);
        states[count++] = s;
    }
    pthread_mutex_unlock(&all_lock);
    for (unsigned i = 0; i < count; i++) {
        abx_metal_queue_reap(states[i]); /* may end the queue: the state is still ours */
        state_unref(states[i]);
    }
}

/* Some queue's oldest command buffer under way, waited for. False: there is none. What is waited
 * for may be an event that never comes: only so long. */
static bool wait_for_some(struct abx_client *client, int64_t timeout_ns)
{
    struct abx_client_queue wire;
    uint64_t sequence = 0;
    pthread_mutex_lock(&all_lock);
    for (struct abx_metal_queue_state *s = all; s && !sequence; s = s->next) {
        if (s->wire.client != client)
            continue;
        pthread_mutex_lock(&s->lock);
        if (s->in_flight) {
            sequence = s->in_flight->sequence;
            wire = s->wire;
        }
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_unlock(&all_lock);
    return sequence && abx_client_queue_wait(&wire, sequence, timeout_ns, 0) == 0;
}

/* A slot for one more queue: those of queues that nobody has any more are free once their work is
 * done. */
static int queue_create(struct abx_client *client, struct abx_client_queue *ret)
{
    uint64_t until = abx_now_ns() + QUEUE_PATIENCE_NS;
    for (;;) {
        int r = abx_client_queue_create(client, ret);
        uint64_t now = abx_now_ns();
        if (r != -EMFILE || now >= until)
            return r;
        bool some = wait_for_some(client, (int64_t)(until - now));
        abx_metal_queue_reap_all(client);
        if (!some)
            return abx_client_queue_create(client, ret);
    }
}

/* ---- the completion thread: one a queue, made when the first handler is. It holds the state only;
 * the buffer it waits for holds the queue. */

static void call_handlers(
        struct abx_metal_command_buffer *buffer, struct abx_metal_handlers *handlers)
{
    for (uint32_t i = 0; i < handlers->count; i++) {
        void *pool = objc_autoreleasePoolPush();
        ABX_BLOCK_CALL(void, (void *, id), handlers->blocks[i], (id)buffer);
        _Block_release(handlers->blocks[i]);
        objc_autoreleasePoolPop(pool);
    }
    free(handlers->blocks);
    *handlers = (struct abx_metal_handlers){0};
}

static void run_ready(struct abx_metal_queue_state *state)
{
    while (state->ready) {
        struct abx_metal_command_buffer *buffer = list_take(&state->ready, &state->ready_end);
        struct abx_metal_handlers scheduled = buffer->scheduled, completed = buffer->completed;
        buffer->scheduled = buffer->completed = (struct abx_metal_handlers){0};
        pthread_mutex_unlock(&state->lock);
        buffer->letting_go = pthread_self();
        abx_metal_command_buffer_drop(buffer);
        call_handlers(buffer, &scheduled);
        if (buffer->log)
            abx_metal_log_deliver(buffer);
        call_handlers(buffer, &completed);
        pthread_mutex_lock(&state->lock);
        abx_metal_reach(buffer, ABX_STAGE_LET_GO);
        pthread_cond_broadcast(&state->changed);
        pthread_mutex_unlock(&state->lock);
        objc_release((id)buffer);
        pthread_mutex_lock(&state->lock);
    }
}

/* Scheduled handlers of what was submitted need not wait for completion. Lock held. */
static bool run_scheduled(struct abx_metal_queue_state *state)
{
    for (struct abx_metal_command_buffer *buffer = state->in_flight; buffer;
            buffer = buffer->next) {
        if (!buffer->scheduled.count)
            continue;
        struct abx_metal_handlers handlers = buffer->scheduled;
        buffer->scheduled = (struct abx_metal_handlers){0};
        objc_retain((id)buffer);
        pthread_mutex_unlock(&state->lock);
        call_handlers(buffer, &handlers);
        objc_release((id)buffer);
        pthread_mutex_lock(&state->lock);
        return true;
    }
    return false;
}

/* The first buffer in flight with handlers, or NULL. Lock held. */
static struct abx_metal_command_buffer *awaited(struct abx_metal_queue_state *state)
{
    struct abx_metal_command_buffer *buffer = state->in_flight;
    while (buffer && !buffer->completed.count && !buffer->log)
        buffer = buffer->next;
    return buffer;
}

/* A program that waits for a handler commits the next buffer at once when it has run: to sleep in
 * between costs both of them tens of microseconds. Lock held on entry and exit. True: there was a
 * commit. */
#define LOOK_NS 50000u
#define LOOK_CPUS 4u
static bool look_for_commits(struct abx_metal_queue_state *state, uint64_t until)
{
    uint32_t seen = atomic_load(&state->commits);
    bool some = false;
    uint64_t now = abx_now_ns(), before;
    const uint64_t began = now;
    if (now >= until || abx_crowded(now))
        return false;
    pthread_mutex_unlock(&state->lock);
    for (; !some && now < until; abx_looked(before, now)) {
        for (int i = 0; i < 16 && !some; i++) {
            abx_cpu_relax();
            some = atomic_load(&state->commits) != seen;
        }
        abx_give_way(began, now);
        before = now;
        now = abx_now_ns();
    }
    pthread_mutex_lock(&state->lock);
    return true;
}

static void *completion_thread(void *user)
{
    struct abx_metal_queue_state *state = user;
    bool many = abx_processors() >= LOOK_CPUS;
    unsigned flags = ABX_WAIT_BACKGROUND | (many ? ABX_WAIT_SOON : 0);
    uint64_t active = 0;
    abx_short_slices();
    pthread_mutex_lock(&state->lock);
    for (;;) {
        struct abx_metal_command_buffer *done = NULL, *buffer;
        reap_locked(state, &done);
        run_ready(state);
        if (done) {
            pthread_mutex_unlock(&state->lock);
            let_go(done);
            pthread_mutex_lock(&state->lock);
        } else if (run_scheduled(state) || state->ready) {
            continue;
        } else if ((buffer = awaited(state))) {
            uint64_t sequence = buffer->sequence;
            objc_retain((id)buffer); /* and with it the wire queue */
            pthread_mutex_unlock(&state->lock);
            abx_client_queue_wait(&state->wire, sequence, -1, flags);
            abx_metal_queue_reap(state);
            objc_release((id)buffer);
            active = abx_now_ns();
            pthread_mutex_lock(&state->lock);
        } else if (state->stop) {
            break;
        } else if (many && look_for_commits(state, active + LOOK_NS)) {
            continue;
        } else {
            pthread_cond_wait(&state->changed, &state->lock);
        }
    }
    pthread_mutex_unlock(&state->lock);
    state_unref(state);
    return NULL;
}

static void start_thread(struct abx_metal_queue_state *state)
{
    if (state->threaded)
        return;
    atomic_fetch_add(&state->references, 1);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&state->thread, &attributes, completion_thread, state) == 0) {
        state->threaded = true;
    } else {
        atomic_fetch_sub(&state->references, 1);
        abx_metal_say("no thread for completion handlers: they run when somebody waits");
    }
    pthread_attr_destroy(&attributes);
}

/* ---- commit */

/* Waits until a result slot may be free: the oldest of ours is complete, or a moment passed. Lock
 * held on entry and exit. */
static void wait_for_slot(struct abx_metal_queue_state *state)
{
    struct abx_metal_command_buffer *done = NULL;
    reap_locked(state, &done);
    uint64_t oldest = state->in_flight ? state->in_flight->sequence : 0;
    pthread_mutex_unlock(&state->lock);
    if (done)
        let_go(done);
    else if (oldest)
        abx_client_queue_wait(&state->wire, oldest, 10000000, 0);
    else
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    pthread_mutex_lock(&state->lock);
}

/* A failed commit ends the buffer here: nothing was sent. Lock held. */
static void fail_unsent(
        struct abx_metal_queue_state *state, struct abx_metal_command_buffer *buffer, int error)
{
    if (error == -ENODEV) {
        abx_metal_lose(buffer);
    } else {
        buffer->error = MTLCommandBufferErrorOutOfMemory;
        buffer->result = (struct abx_result){.error_reason = ABX_REASON_MEMORY};
    }
    if (buffer->use_count)
        abx_metal_wrap_complete(buffer);
    bool handlers = has_handlers(buffer);
    abx_metal_reach(buffer, handlers ? ABX_STAGE_COMPLETE : ABX_STAGE_LET_GO);
    state->outstanding--;
    if (handlers)
        list_add(&state->ready_end, (struct abx_metal_command_buffer *)objc_retain((id)buffer));
}

/* Lock held. The list's reference to the buffer is taken by the caller. */
static void submit(struct abx_metal_queue_state *state, struct abx_metal_command_buffer *buffer)
{
    struct abx_arena empty;
    struct abx_arena *arena = &buffer->arena;
    if (buffer->fault || arena->error || arena->encoder.failed) {
        /* Its turn still comes in order: nothing in place of its commands. */
        if (!buffer->fault && abx_client_lost(buffer->base.client)) {
            abx_metal_lose(buffer);
            abx_metal_fail(buffer, "%s", abx_client_lost_text(buffer->base.client));
        }
        if (!buffer->fault) {
            bool full = arena->error == -E2BIG;
            buffer->error = full ? MTLCommandBufferErrorInternal : MTLCommandBufferErrorOutOfMemory;
            abx_metal_fail(buffer,
                    full ? "more than %u MB of commands in one command buffer"
                         : "no memory for commands (%u MB are the cap)",
                    ABX_MAX_SUBMIT_BYTES >> 20);
        }
        abx_arena_init(&empty, buffer->base.client);
        arena = &empty;
    }
    int r;
    while ((r = abx_client_commit(&state->wire, arena, &buffer->sequence, &buffer->result_slot)) ==
            -EAGAIN)
        wait_for_slot(state);
    if (r < 0) {
        fail_unsent(state, buffer, r);
    } else {
        abx_metal_reach(buffer, ABX_STAGE_SUBMITTED);
        list_add(&state->in_flight_end, (struct abx_metal_command_buffer *)objc_retain((id)buffer));
    }
    if (has_handlers(buffer)) {
        start_thread(state);
        atomic_fetch_add(&state->commits, 1);
        pthread_cond_broadcast(&state->changed);
    }
}

/* Submits what is committed at the head of the enqueued list. Lock held; wait_for_slot() may let it
 * go, so the list is looked at afresh each time. */
static void submit_ready(struct abx_metal_queue_state *state)
{
    struct abx_metal_command_buffer *head;
    while ((head = state->enqueued) && abx_metal_stage(head) == ABX_STAGE_COMMITTED) {
        abx_metal_reach(head, ABX_STAGE_SUBMITTING);
        submit(state, head);
        state->enqueued = head->next_enqueued;
        objc_release((id)head); /* the caller of commit still has one */
    }
    pthread_cond_broadcast(&state->changed);
}

void abx_metal_queue_enqueue(struct abx_metal_command_buffer *buffer)
{
    struct abx_metal_queue_state *state = buffer->queue->state;
    if (abx_client_forked(buffer->base.client))
        return;
    pthread_mutex_lock(&state->lock);
    if (abx_metal_stage(buffer) == ABX_STAGE_ENCODING)
        enqueue(state, buffer);
    pthread_mutex_unlock(&state->lock);
}

void abx_metal_queue_commit(struct abx_metal_command_buffer *buffer)
{
    struct abx_metal_queue_state *state = buffer->queue->state;
    struct abx_metal_command_buffer *done = NULL;
    objc_retain((id)buffer);
    if (atomic_load(&abx_metal_watched))
        abx_metal_wrap_commit(buffer);
    if (buffer->queue->mirrors) {
        if (buffer->log)
            abx_metal_hold_slow(buffer, (id)buffer->log);
        abx_client_mirror_use(
                buffer->base.client, buffer->chunks, buffer->chunk_count, buffer->any_chunk);
    }
    pthread_mutex_lock(&state->lock);
    if (abx_metal_stage(buffer) == ABX_STAGE_ENCODING)
        enqueue(state, buffer);
    if (abx_metal_stage(buffer) == ABX_STAGE_ENQUEUED) /* no other thread commits it too */
        abx_metal_reach(buffer, ABX_STAGE_COMMITTED);
    submit_ready(state);
    reap_locked(state, &done);
    pthread_mutex_unlock(&state->lock);
    let_go(done);
    objc_release((id)buffer);
}

/* ---- waiting */

void abx_metal_queue_wait_scheduled(struct abx_metal_command_buffer *buffer)
{
    struct abx_metal_queue_state *state = buffer->queue->state;
    pthread_mutex_lock(&state->lock);
    while (abx_metal_stage(buffer) < ABX_STAGE_SUBMITTED)
        pthread_cond_wait(&state->changed, &state->lock);
    pthread_mutex_unlock(&state->lock);
}

void abx_metal_queue_wait(struct abx_metal_command_buffer *buffer)
{
    struct abx_metal_queue_state *state = buffer->queue->state;
    abx_metal_queue_wait_scheduled(buffer);
    if (abx_metal_stage(buffer) < ABX_STAGE_COMPLETE) {
        abx_client_queue_wait(&state->wire, buffer->sequence, -1, 0);
        abx_metal_queue_reap(state);
    }
    pthread_mutex_lock(&state->lock);
    bool self = state->threaded && pthread_equal(state->thread, pthread_self());
    /* Metal returns after the handlers; a handler that waits for its own buffer must not. */
    while (abx_metal_stage(buffer) < ABX_STAGE_HANDLED && !self && state->threaded)
        pthread_cond_wait(&state->changed, &state->lock);
    if (!state->threaded)
        run_ready(state);
    while (buffer->keeps_pages && abx_metal_stage(buffer) < ABX_STAGE_LET_GO && !self &&
            !pthread_equal(buffer->letting_go, pthread_self()))
        pthread_cond_wait(&state->changed, &state->lock);
    pthread_mutex_unlock(&state->lock);
}

void abx_metal_queue_gone(struct abx_metal_queue_state *state)
{
    if (abx_client_forked(state->wire.client))
        return;
    pthread_mutex_lock(&state->lock);
    state->outstanding--;
    pthread_mutex_unlock(&state->lock);
}

/* ---- the class */

struct abx_metal_queue *abx_metal_queue_new(id device, NSUInteger max_buffers)
{
    struct abx_client *client = ((struct abx_metal_object *)device)->client;
    if (!max_buffers) {
        abx_metal_say("newCommandQueueWithMaxCommandBufferCount: 0 is not a count");
        return NULL;
    }
    struct abx_metal_queue_state *state = calloc(1, sizeof *state);
    if (!state)
        return NULL;
    int r = queue_create(client, &state->wire);
    struct abx_metal_queue *queue = r < 0 ? NULL : abx_metal_new(ABX_METAL_QUEUE, device);
    if (!queue) {
        if (r == -EMFILE)
            abx_metal_say("newCommandQueue: a process has at most %u queues", ABX_MAX_QUEUES);
        else if (r == -ENODEV)
            abx_metal_say("newCommandQueue: %s", abx_client_lost_text(client));
        abx_client_queue_destroy(&state->wire);
        free(state);
        return NULL;
    }
    pthread_mutex_init(&state->lock, NULL);
    pthread_cond_init(&state->changed, NULL);
    state->references = 1;
    state->in_flight_end = &state->in_flight;
    state->ready_end = &state->ready;
    list_in_all(state);
    queue->state = state;
    queue->mirrors = abx_client_mirrors(client);
    if (queue->mirrors)
        atomic_fetch_add(&abx_metal_watched, 1);
    queue->max_buffers = max_buffers > ABX_MAX_RESULTS ? ABX_MAX_RESULTS : (uint32_t)max_buffers;
    return queue;
}

void abx_metal_queue_release(struct abx_metal_queue_state *state)
{
    struct abx_client *client = state->wire.client;
    if (abx_client_forked(client))
        return; /* the lock may be held for ever by a thread that is not here */
    take_out_of_all(state);
    struct abx_client_queue wire = state->wire; /* reap and commit still look at the state's */
    abx_client_queue_destroy(&wire);
    pthread_mutex_lock(&state->lock);
    state->stop = true;
    pthread_cond_broadcast(&state->changed);
    pthread_mutex_unlock(&state->lock);
    state_unref(state);
}

void MTLCommandQueue_dealloc(id self, SEL cmd)
{
    struct abx_metal_queue *queue = (struct abx_metal_queue *)self;
    abx_metal_queue_release(queue->state);
    if (queue->mirrors)
        atomic_fetch_sub(&abx_metal_watched, 1);
    objc_release(queue->residency);
    objc_release(queue->log_state);
    abx_metal_dealloc(self, ABX_METAL_QUEUE);
}

/* As Apple's: blocks while max_buffers are in flight. Buffers that were made and never committed
 * can not be waited for; they do not block. */
static void make_room(struct abx_metal_queue *queue)
{
    struct abx_metal_queue_state *state = queue->state;
    pthread_mutex_lock(&state->lock);
    bool full = state->outstanding >= queue->max_buffers;
    pthread_mutex_unlock(&state->lock);
    while (full) {
        abx_metal_queue_reap(state);
        pthread_mutex_lock(&state->lock);
        uint64_t oldest = state->in_flight ? state->in_flight->sequence : 0;
        full = state->outstanding >= queue->max_buffers && oldest;
        pthread_mutex_unlock(&state->lock);
        if (full && abx_client_queue_wait(&state->wire, oldest, -1, 0) < 0)
            break;
    }
}

static id command_buffer(struct abx_metal_queue *queue, bool retains)
{
    if (abx_client_forked(queue->base.client)) {
        abx_metal_say("%s", abx_client_lost_text(queue->base.client));
        return NULL;
    }
    make_room(queue);
    struct abx_metal_command_buffer *buffer = abx_metal_command_buffer_new(queue, retains);
    if (!buffer)
        return NULL;
    pthread_mutex_lock(&queue->state->lock);
    queue->state->outstanding++;
    pthread_mutex_unlock(&queue->state->lock);
    if (queue->log_state)
        abx_metal_log_open(buffer, queue->log_state);
    return objc_autorelease((id)buffer);
}

id MTLCommandQueue_commandBuffer(id self, SEL cmd)
{
    return command_buffer((struct abx_metal_queue *)self, true);
}

id MTLCommandQueue_commandBufferWithUnretainedReferences(id self, SEL cmd)
{
    return command_buffer((struct abx_metal_queue *)self, false);
}

id MTLCommandQueue_commandBufferWithDescriptor_(id self, SEL cmd, id descriptor)
{
    bool retains = !descriptor || ABX_MSG(BOOL, (id, SEL), descriptor, "retainedReferences");
    id buffer = command_buffer((struct abx_metal_queue *)self, retains);
    if (buffer && descriptor)
        ((struct abx_metal_command_buffer *)buffer)->error_options =
                ABX_MSG(NSUInteger, (id, SEL), descriptor, "errorOptions");
    id state = descriptor ? ABX_MSG(id, (id, SEL), descriptor, "logState") : NULL;
    if (buffer && state) {
        abx_metal_log_finish((struct abx_metal_command_buffer *)buffer);
        abx_metal_log_open((struct abx_metal_command_buffer *)buffer, state);
    }
    return buffer;
}

void MTLCommandQueue_insertDebugCaptureBoundary(id self, SEL cmd) {}

/* Everything is resident; a set that a queue has is kept, as its allocations are. */
void MTLCommandQueue_addResidencySet_(id self, SEL cmd, id set)
{
    struct abx_metal_queue *queue = (struct abx_metal_queue *)self;
    pthread_mutex_lock(&queue->state->lock);
    if (!queue->residency)
        queue->residency = objc_retain(abx_ns_mutable_array());
    if (set)
        abx_ns_array_add(queue->residency, set);
    pthread_mutex_unlock(&queue->state->lock);
}

void MTLCommandQueue_addResidencySets_count_(id self, SEL cmd, const id *sets, NSUInteger count)
{
    for (NSUInteger i = 0; i < count; i++)
        MTLCommandQueue_addResidencySet_(self, cmd, sets[i]);
}

void MTLCommandQueue_removeResidencySet_(id self, SEL cmd, id set)
{
    struct abx_metal_queue *queue = (struct abx_metal_queue *)self;
    pthread_mutex_lock(&queue->state->lock);
    if (queue->residency)
        ABX_MSG(void, (id, SEL, id), queue->residency, "removeObjectIdenticalTo:", set);
    pthread_mutex_unlock(&queue->state->lock);
}

void MTLCommandQueue_removeResidencySets_count_(id self, SEL cmd, const id *sets, NSUInteger count)
{
    for (NSUInteger i = 0; i < count; i++)
        MTLCommandQueue_removeResidencySet_(self, cmd, sets[i]);
}
