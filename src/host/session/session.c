/* host: one client's connection from hello to its end: the shared pages, the ring, sleeping and
 * waking, and freeing everything it held. Runs in the worker, one thread a client (where the guest
 * drains, also on the program's threads). Everything read from the guest's page and socket is
 * hostile. */
#include "host/session/internal.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HELLO_TIMEOUT_MS 10000   /* a connection that says nothing holds a place no longer */
#define SOCKET_EVERY_NS 1000000u /* while the ring is busy, the socket is looked at so often */
#define CANCEL_EVERY_MS 20u      /* while work of a client that left goes on */
#define RING_BATCH 64u           /* records between two publications of the head */

void abx_session_kill(struct abx_session *session, const char *format, ...)
{
    if (atomic_load(&session->dead))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(session->death, sizeof session->death, format, args);
    va_end(args);
    atomic_store(&session->dead, true);
}

void abx_session_wake(struct abx_session *session)
{
    session->transport->ops->interrupt(session->transport);
}

void abx_session_rouse(struct abx_session *session)
{
    pthread_mutex_lock(&session->inbox_lock); /* the transport may be closing */
    if (session->transport)
        abx_session_wake(session);
    pthread_mutex_unlock(&session->inbox_lock);
}

void abx_session_wake_guest(struct abx_session *session, _Atomic uint64_t *word)
{
    const _Atomic uint32_t *count = word == &session->page->ring_head
                                            ? &session->guest->ring_waiters
                                            : &session->guest->waiters;
    atomic_thread_fence(memory_order_seq_cst); /* the word before the look at who waits */
    if (atomic_load_explicit(count, memory_order_relaxed))
        session->transport->ops->wake(session->transport, word);
}

/* ---- creation */

static void init_locks(struct abx_session *session)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&session->lock, NULL);
    pthread_mutex_init(&session->space_lock, NULL);
    pthread_cond_init(&session->space_freed, &monotonic);
    pthread_mutex_init(&session->inbox_lock, NULL);
    pthread_mutex_init(&session->pool_lock, NULL);
    pthread_cond_init(&session->drained, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void abx_session_publish(struct abx_session *session)
{
    struct abx_host *host = session->host;
    atomic_store(&session->page->memory_cap, host->limits.memory_bytes);
    atomic_store(&session->page->memory_used, atomic_load(&host->memory_used));
    atomic_store(&session->page->device_cap, abx_host_device_cap(host));
    atomic_store(&session->page->device_used, atomic_load(&host->device_used));
}

int abx_session_create(struct abx_host *host, struct abx_host_transport *transport, unsigned slot,
        struct abx_session **ret)
{
    struct abx_session *session = calloc(1, sizeof *session);
    if (!session) {
        transport->ops->close(transport);
        return -ENOMEM;
    }
    session->host = host;
    session->slot = slot;
    session->number = atomic_fetch_add(&host->last_number, 1) + 1;
    session->transport = transport;
    session->page = transport->page;
    session->stats = &host->stats->clients[slot];
    atomic_init(&session->references, 1);
    init_locks(session);
    memset(session->stats, 0, sizeof *session->stats);
    session->chunks = calloc(ABX_MAX_CHUNKS, sizeof(struct abx_range *));
    int r = session->chunks ? abx_space_open(session) : -ENOMEM;
    if (r < 0) {
        abx_session_finish(session);
        abx_session_release(session);
        return r;
    }
    abx_session_publish(session);
    pthread_mutex_lock(&host->lock);
    atomic_store(&host->sessions[slot], session);
    pthread_mutex_unlock(&host->lock);
    atomic_store(&session->stats->active, 1);
    *ret = session;
    return 0;
}

void abx_session_release(struct abx_session *session)
{
    if (!session || atomic_fetch_sub(&session->references, 1) != 1)
        return;
    abx_books_settle(session);
    pthread_mutex_destroy(&session->lock);
    pthread_mutex_destroy(&session->space_lock);
    pthread_cond_destroy(&session->space_freed);
    pthread_mutex_destroy(&session->inbox_lock);
    pthread_mutex_destroy(&session->pool_lock);
    pthread_cond_destroy(&session->drained);
    free(session);
}

/* ---- the ring */

/* Reads one record at the head. False: there is none, or the client was killed. */
static bool ring_one(struct abx_session *session, uint64_t tail)
{
    _Alignas(8) uint8_t copy[ABX_MAX_RECORD_BYTES];
    uint64_t there = tail - session->ring_head;
    if (there == 0)
        return false;
    if (there > ABX_RING_BYTES || there % 8) {
        abx_session_kill(session, "its ring position is impossible (%llu past the head)",
                (unsigned long long)there);
        return false;
    }
    uint64_t at = session->ring_head % ABX_RING_BYTES;
    uint64_t to_end = ABX_RING_BYTES - at;
    if (there > to_end)
        there = to_end;
    struct abx_record head; /* read once: the guest may change it between two looks */
    memcpy(&head, session->guest->ring + at, sizeof head);
    bool pad = head.op == ABX_OP_PAD;
    if (head.bytes < sizeof head || head.bytes % 8 || head.bytes > there ||
            (!pad && head.bytes > sizeof copy)) {
        abx_session_kill(session, "its ring holds a record of %u bytes where %llu are left",
                head.bytes, (unsigned long long)there);
        return false;
    }
    if (!pad) {
        memcpy(copy, session->guest->ring + at, head.bytes);
        memcpy(copy, &head, sizeof head);
        abx_decode_ring(session, (const struct abx_record *)copy, head.bytes);
    }
    session->ring_head += head.bytes;
    return !atomic_load_explicit(&session->dead, memory_order_relaxed);
}

static uint64_t ring_tail(struct abx_session *session)
{
    return atomic_load_explicit(&session->guest->ring_tail, memory_order_acquire);
}

bool abx_session_drain_ring(struct abx_session *session)
{
    bool any = false;
    uint64_t tail;
    while (!atomic_load_explicit(&session->dead, memory_order_relaxed) &&
            (tail = ring_tail(session)) != session->ring_head) {
        for (unsigned i = 0; i < RING_BATCH && ring_one(session, tail); i++)
            ;
        any = true;
        atomic_store_explicit(&session->page->ring_head, session->ring_head, memory_order_release);
        abx_session_wake_guest(session, &session->page->ring_head);
    }
    if (atomic_load_explicit(&session->ended_queues, memory_order_relaxed))
        abx_queues_reap(session);
    return any;
}

/* ---- the service loop */

/* Memory has been imported. */
static void go_on(struct abx_session *session)
{
    atomic_store(&session->ready, false);
    abx_queues_pump(session);
    abx_session_tell_addresses(session);
}

/* Until something comes on the socket or the bell; false: nothing did. */
static bool wait_readable(struct abx_session *session, int timeout_ms)
{
    struct abx_host_transport *t = session->transport;
    unsigned woken = t->ops->wait(t, timeout_ms);
    if (woken & ABX_WOKEN_RUNG)
        t->ops->hush(t);
    if (woken & ABX_WOKEN_MESSAGE)
        abx_session_drain_socket(session);
    return woken != 0;
}

/* Sleeps until the guest rings, sends a message, or the inbox has something; true when there were
 * records. Lock held. */
static bool doze(struct abx_session *session)
{
    struct abx_host_transport *t = session->transport;
    bool drains = t->ops->guest_drains;
    uint64_t head = session->ring_head; /* whoever kicks meanwhile only leaves less to do */
    pthread_mutex_unlock(&session->lock);
    if (!drains)
        atomic_store(&session->page->need_doorbell, 1);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the guest's, after its tail */
    bool idle = drains || ring_tail(session) == head;
    /* What was done before may have ended the client (an answer that it does not read). */
    idle = idle && !atomic_load(&session->inbox) && !atomic_load(&session->dead);
    unsigned woken = idle ? t->ops->wait(t, -1) : 0;
    if (!drains)
        atomic_store_explicit(&session->page->need_doorbell, 0, memory_order_relaxed);
    pthread_mutex_lock(&session->lock);
    if (woken & ABX_WOKEN_MESSAGE)
        abx_session_drain_socket(session);
    bool any = false;
    if (woken & ABX_WOKEN_RUNG) {
        /* What was rung for comes before hushing the bell, which is one more system call. */
        if (!drains)
            any = abx_session_drain_ring(session);
        t->ops->hush(t);
    }
    return any;
}

static bool greet(struct abx_session *session)
{
    uint64_t until = abx_now_ns() + HELLO_TIMEOUT_MS * 1000000ull;
    while (!session->greeted && !atomic_load(&session->dead)) {
        uint64_t now = abx_now_ns();
        if (now >= until || (!wait_readable(session, (int)((until - now) / 1000000) + 1) &&
                                    abx_now_ns() >= until))
            abx_session_kill(session, "it connected and said nothing");
    }
    return session->greeted && !atomic_load(&session->dead);
}

/* The guest committed on the CPU that this thread is on, and can only go on there once it leaves.
 */
static bool in_the_way(const struct abx_session *session)
{
    uint32_t cpu = atomic_load_explicit(&session->guest->cpu, memory_order_relaxed);
    return cpu && cpu == (uint32_t)sched_getcpu() + 1;
}

void abx_session_serve(struct abx_session *session)
{
    bool drains = session->transport->ops->guest_drains;
    uint64_t longest = abx_longest_look(!session->host->info.unified_memory);
    pthread_mutex_lock(&session->lock);
    uint64_t active = 0, looked = 0;
    bool alive = greet(session), woken = false;
    while (alive && !atomic_load_explicit(&session->dead, memory_order_relaxed)) {
        if (atomic_load_explicit(&session->inbox, memory_order_relaxed))
            abx_session_drain_inbox(session);
        if (atomic_load_explicit(&session->ended_queues, memory_order_relaxed))
            abx_queues_reap(session);
        if (atomic_load_explicit(&session->ready, memory_order_relaxed))
            go_on(session);
        bool any = (!drains && abx_session_drain_ring(session)) || woken;
        uint64_t now = abx_now_ns();
        if (woken) /* by what looks at the socket too */
            looked = now;
        woken = false;
        if (any)
            active = now;
        if (any && now - looked > SOCKET_EVERY_NS) {
            looked = now;
            abx_session_drain_socket(session);
        }
        /* Where the guest needs this CPU, sched_yield() would not do: the scheduler counts it as a
         * slice used up, and whoever is woken after that preempts nobody. */
        if (drains || now - active > (abx_crowded(now) ? ABX_LOOK_NS : longest) ||
                (any && in_the_way(session)))
            woken = doze(session);
        else if (!any && now - active > ABX_POLITE_NS)
            sched_yield(); /* kernels, and other guests, may be waiting for this CPU */
        else if (!any)
            for (int i = 0; i < 8 && ring_tail(session) == session->ring_head; i++)
                abx_cpu_relax();
    }
    pthread_mutex_unlock(&session->lock);
    abx_session_finish(session);
}

void abx_session_kick(struct abx_session *session)
{
    pthread_mutex_lock(&session->lock);
    if (session->greeted && !atomic_load(&session->dead))
        abx_session_drain_ring(session);
    bool dead = atomic_load(&session->dead);
    pthread_mutex_unlock(&session->lock);
    if (dead)
        abx_session_rouse(session);
}

bool abx_session_step(struct abx_session *session)
{
    pthread_mutex_lock(&session->lock);
    abx_session_drain_socket(session);
    abx_session_drain_inbox(session);
    go_on(session);
    if (session->greeted)
        abx_session_drain_ring(session);
    bool alive = !atomic_load(&session->dead);
    pthread_mutex_unlock(&session->lock);
    return alive;
}

/* ---- the end */

static void tell_lost(struct abx_session *session)
{
    struct abx_host_page *page = session->page;
    snprintf(page->lost_text, sizeof page->lost_text, "%s",
            session->death[0] ? session->death : "the connection was closed");
    atomic_store(&page->lost, ABX_REASON_LOST);
    session->transport->ops->tell_lost(session->transport);
}

static void cancel_queues(struct abx_session *session)
{
    for (unsigned i = 0; i < ABX_MAX_QUEUES; i++) {
        struct abx_queue_object *queue = atomic_load(&session->queues[i]);
        if (!queue)
            continue;
        /* The slot's queue may complete its last submission, and go, on another thread: it is kept
         * among the ended ones until this thread destroys it. */
        abx_queue_cancel(queue);
    }
}

static void stop_submissions(struct abx_session *session)
{
    cancel_queues(session);
    for (unsigned i = 0; i < ABX_MAX_EVENTS; i++)
        if (session->events[i])
            abx_event_kill(session->events[i]);
    while (!abx_submissions_drain(session, CANCEL_EVERY_MS))
        cancel_queues(session);
}

static void drop_objects(struct abx_session *session)
{
    for (uint32_t i = 0; i < session->table_size; i++)
        if (session->table[i].object)
            abx_object_forget(session, session->table[i].object);
    for (uint32_t i = 0; session->chunks && i < ABX_MAX_CHUNKS; i++)
        if (session->chunks[i])
            abx_range_release(session->chunks[i]);
    abx_queues_reap(session);
    free(session->table);
    free(session->chunks);
    free(session->staging);
    abx_books_uncharge(session, session->table_size * sizeof *session->table);
    abx_books_uncharge(session, session->staging_capacity);
    session->table = NULL;
    session->chunks = NULL;
    session->staging = NULL;
    session->table_size = 0;
    session->staging_capacity = 0;
}

static void unmap_all(struct abx_session *session)
{
    session->transport->ops->close(session->transport);
    session->transport = NULL;
    session->guest = NULL;
    session->page = NULL;
}

void abx_session_finish(struct abx_session *session)
{
    struct abx_host *host = session->host;
    pthread_mutex_lock(&session->lock);
    atomic_store(&session->dead, true);
    if (session->death[0])
        abx_host_log(
                host, "ended process %u (%s): %s", session->pid, session->program, session->death);
    tell_lost(session);
    stop_submissions(session);
    abx_session_tell_addresses(session); /* or rather forgets them */
    drop_objects(session);
    abx_space_close(session);
    abx_books_settle(session);
    pthread_mutex_lock(&host->lock);
    if (atomic_load(&host->sessions[session->slot]) == session)
        atomic_store(&host->sessions[session->slot], NULL);
    pthread_mutex_unlock(&host->lock);
    pthread_mutex_lock(&session->inbox_lock);
    unmap_all(session);
    pthread_mutex_unlock(&session->inbox_lock);
    abx_session_drain_inbox(session);
    atomic_store(&session->stats->active, 0);
    pthread_mutex_unlock(&session->lock);
}
