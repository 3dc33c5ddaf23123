/* wire, guest side: the ring's producer, commits, and waiting for completion words.
 * Runs in the guest's process. The ring's position is kept on this side: what the host writes can
 * delay a push, never make it write outside the ring. */
#include <sched.h>
#include <string.h>

#include "encode_gen.h"
#include "wire/client_internal.h"

#define SPIN_MIN_NS 2000u
#define UNRUNG_BYTES 16384u /* records that wait for a reason to wake the host, at most */

void abx_client_ring_doorbell(struct abx_client *client)
{
    client->transport->ops->doorbell(client->transport);
}

bool abx_client_ring_passed(struct abx_client *client, uint64_t position)
{
    return (int64_t)(atomic_load_explicit(&client->host->ring_head, memory_order_acquire) -
                     position) >= 0;
}

void abx_client_sleep(struct abx_client *client, const _Atomic uint64_t *word, uint64_t expected,
        int64_t limit_ns)
{
    if (limit_ns < 0 || limit_ns > ABX_CLIENT_WAKE_NS)
        limit_ns = ABX_CLIENT_WAKE_NS;
    _Atomic uint32_t *count = word == &client->host->ring_head ? &client->guest->ring_waiters
                                                               : &client->guest->waiters;
    atomic_fetch_add(count, 1); /* before the look at the word: seq_cst */
    if (atomic_load(word) == expected)
        client->transport->ops->sleep(client->transport, word, expected, limit_ns);
    atomic_fetch_sub(count, 1);
}

/* Waits until `bytes` more fit. Only a client 4,000 commits ahead of the host comes here. */
static int wait_for_room(struct abx_client *client, uint64_t bytes)
{
    bool counted = false;
    for (;;) {
        uint64_t head = atomic_load_explicit(&client->host->ring_head, memory_order_acquire);
        if (client->ring_tail + bytes - head <= ABX_RING_BYTES)
            return 0;
        if (!counted)
            atomic_fetch_add(&client->encode_trips, 1);
        counted = true;
        abx_client_ring_doorbell(client);
        abx_client_sleep(client, &client->host->ring_head, head, -1);
        if (abx_client_lost(client))
            return -ENODEV;
    }
}

int abx_client_push_locked(struct abx_client *client, const void *record)
{
    uint32_t bytes = ((const struct abx_record *)record)->bytes;
    assert(bytes >= sizeof(struct abx_record) && bytes % 8 == 0 && bytes <= ABX_MAX_RECORD_BYTES);
    if (abx_client_known_lost(client))
        return -ENODEV;
    uint64_t at = client->ring_tail % ABX_RING_BYTES;
    uint64_t pad = at + bytes > ABX_RING_BYTES ? ABX_RING_BYTES - at : 0;
    int r = wait_for_room(client, pad + bytes);
    if (r < 0)
        return r;
    if (pad) {
        struct abx_record filler = {.op = ABX_OP_PAD, .bytes = (uint32_t)pad};
        memcpy(client->guest->ring + at, &filler, sizeof filler);
        at = 0;
    }
    memcpy(client->guest->ring + at, record, bytes);
    client->ring_tail += pad + bytes;
    atomic_store_explicit(&client->guest->ring_tail, client->ring_tail, memory_order_release);
    return 0;
}

int abx_client_push(struct abx_client *client, const void *record, unsigned flags)
{
    if (abx_client_known_lost(client)) /* also: a fork()ed child must not touch the locks */
        return -ENODEV;
    pthread_mutex_lock(&client->ring_lock);
    int r = abx_client_push_locked(client, record);
    bool wake = r == 0 &&
                ((flags & ABX_PUSH_WAKE) || client->ring_tail - client->ring_unrung > UNRUNG_BYTES);
    if (wake)
        client->ring_unrung = client->ring_tail;
    pthread_mutex_unlock(&client->ring_lock);
    if (wake)
        abx_client_ring_doorbell(client);
    return r;
}

/* ---- queues */

#define RECORD_WORDS (8 + 2 * ABX_MAX_SEGMENTS) /* of the largest record made here, a commit */

static struct abx_encoder encoder_on(uint64_t *space, size_t bytes)
{
    return (struct abx_encoder){.at = (uint8_t *)space, .end = (uint8_t *)space + bytes};
}

static int take_queue_slot(struct abx_client *client, uint32_t *ret)
{
    for (uint32_t i = 0; i < ABX_MAX_QUEUES; i++) {
        uint32_t slot = (client->queue_next + i) % ABX_MAX_QUEUES;
        uint64_t bit = 1ull << (slot % 64);
        if (client->queue_slots[slot / 64] & bit)
            continue;
        client->queue_slots[slot / 64] |= bit;
        client->queue_next = slot + 1;
        *ret = slot;
        return 0;
    }
    return -EMFILE;
}

int abx_client_queue_create(struct abx_client *client, struct abx_client_queue *ret)
{
    abx_handle handle = abx_client_handle_new(client);
    if (!handle)
        return -EMFILE;
    struct abx_rec_queue_create record = {
            .head = {ABX_OP_QUEUE_CREATE, 0, sizeof record}, .queue = handle};
    pthread_mutex_lock(&client->ring_lock);
    int r = take_queue_slot(client, &record.slot);
    bool reused = r == 0 && atomic_load(&client->host->completed[record.slot]) != 0;
    if (r == 0)
        r = abx_client_push_locked(client, &record);
    uint64_t position = client->ring_tail;
    pthread_mutex_unlock(&client->ring_lock);
    if (r < 0) {
        abx_client_handle_free(client, handle);
        return r;
    }
    /* The slot's last queue left a number behind: nobody may read it before the host cleared it. */
    while (reused && !abx_client_ring_passed(client, position) && !abx_client_lost(client)) {
        atomic_fetch_add(&client->encode_trips, 1);
        abx_client_ring_doorbell(client);
        uint64_t head = atomic_load(&client->host->ring_head);
        if (!abx_client_ring_passed(client, position))
            abx_client_sleep(client, &client->host->ring_head, head, 1000000);
    }
    *ret = (struct abx_client_queue){.client = client,
            .handle = handle,
            .slot = record.slot,
            .spin_ns = ABX_LOOK_NS,
            .longest_spin = abx_longest_look(!client->welcome.unified_memory)};
    return 0;
}

void abx_client_queue_destroy(struct abx_client_queue *queue)
{
    struct abx_client *client = queue->client;
    queue->client = NULL;
    if (!client || abx_client_forked(client))
        return;
    abx_client_destroy(client, queue->handle);
    pthread_mutex_lock(&client->ring_lock);
    client->queue_slots[queue->slot / 64] &= ~(1ull << (queue->slot % 64));
    pthread_mutex_unlock(&client->ring_lock);
}

static int take_result(struct abx_client *client, uint32_t *ret)
{
    for (uint32_t i = 0; i < ABX_CLIENT_RESULT_WORDS; i++) {
        uint32_t word = (client->results_hint + i) % ABX_CLIENT_RESULT_WORDS;
        uint64_t free_bits = ~client->results_used[word];
        if (!free_bits)
            continue;
        uint32_t bit = (uint32_t)__builtin_ctzll(free_bits);
        client->results_used[word] |= 1ull << bit;
        client->results_hint = word;
        *ret = word * 64 + bit;
        return 0;
    }
    return -EAGAIN;
}

void abx_client_result_free(struct abx_client *client, uint32_t result)
{
    if (abx_client_forked(client))
        return;
    pthread_mutex_lock(&client->ring_lock);
    client->results_used[result / 64] &= ~(1ull << (result % 64));
    pthread_mutex_unlock(&client->ring_lock);
}

void abx_client_result(struct abx_client *client, uint32_t result, struct abx_result *ret)
{
    *ret = client->host->results[result];
    if (client->committed_ns && ret->end_ns)
        abx_clock_carry(&client->clock, atomic_load(&client->committed_ns[result]), abx_now_ns(),
                &ret->start_ns, &ret->end_ns);
}

uint64_t abx_client_host_ns(const struct abx_client *client)
{
    int64_t offset = atomic_load_explicit(&client->clock.offset, memory_order_relaxed);
    return abx_now_ns() - (uint64_t)offset;
}

void abx_client_result_text(
        struct abx_client *client, uint32_t result, char ret[static ABX_RESULT_TEXT_BYTES])
{
    memcpy(ret, client->host->texts[result], ABX_RESULT_TEXT_BYTES);
    ret[ABX_RESULT_TEXT_BYTES - 1] = 0;
}

int abx_client_commit(struct abx_client_queue *queue, struct abx_arena *arena,
        uint64_t *ret_sequence, uint32_t *ret_result)
{
    struct abx_client *client = queue->client;
    struct abx_wire_segment segments[ABX_MAX_SEGMENTS];
    int count = abx_arena_segments(arena, segments);
    if (count < 0)
        return count;
    if (abx_client_known_lost(client))
        return -ENODEV;
    uint64_t sequence = queue->submitted + 1, space[RECORD_WORDS];
    uint32_t result;
    pthread_mutex_lock(&client->ring_lock);
    int r = take_result(client, &result);
    if (r == 0) {
        struct abx_encoder e = encoder_on(space, sizeof space);
        if (client->committed_ns)
            atomic_store(&client->committed_ns[result], abx_now_ns());
        abx_encode_commit(&e, queue->handle, sequence, result, (uint32_t)count, segments);
        r = abx_client_push_locked(client, space);
        if (r < 0)
            client->results_used[result / 64] &= ~(1ull << (result % 64));
    }
    if (r == 0 && !client->committed_ns)
        atomic_store_explicit(
                &client->guest->cpu, (uint32_t)sched_getcpu() + 1, memory_order_relaxed);
    if (r == 0) {
        client->commits++;
        client->ring_unrung = client->ring_tail;
    }
    pthread_mutex_unlock(&client->ring_lock);
    if (r < 0)
        return r;
    *ret_sequence = queue->submitted = sequence;
    *ret_result = result;
    abx_client_ring_doorbell(client);
    return 0;
}

uint64_t abx_client_queue_completed(const struct abx_client_queue *queue)
{
    return atomic_load_explicit(&queue->client->host->completed[queue->slot], memory_order_acquire);
}

static uint32_t longest_spin(const struct abx_client_queue *queue, uint64_t now)
{
    return abx_crowded(now) ? ABX_LOOK_NS : queue->longest_spin;
}

/* As long as waits take of late, where that is not too long: one that spins in vain makes its
 * thread slower for nothing. */
static void adapt(struct abx_client_queue *queue, uint64_t now, uint64_t took)
{
    uint32_t spin = atomic_load_explicit(&queue->spin_ns, memory_order_relaxed);
    uint32_t longest = longest_spin(queue, now);
    spin -= spin / 8;
    if (took < longest && spin < took + took / 4)
        spin = (uint32_t)(took + took / 4);
    spin = spin < SPIN_MIN_NS ? SPIN_MIN_NS : spin > longest ? longest : spin;
    atomic_store_explicit(&queue->spin_ns, spin, memory_order_relaxed);
}

static bool spin_until(
        struct abx_client_queue *queue, uint64_t sequence, uint64_t start, uint64_t spin)
{
    uint64_t before = 0;
    for (unsigned i = 1;; i++) {
        if (abx_client_queue_completed(queue) >= sequence)
            return true;
        abx_cpu_relax();
        if (i % 16)
            continue;
        uint64_t now = abx_now_ns();
        if (now >= start + spin)
            return false;
        if (before)
            abx_looked(before, now);
        before = now;
        abx_give_way(start, now);
    }
}

/* Spins, adaptively; true when that was enough. */
static bool wait_spinning(struct abx_client_queue *queue, uint64_t sequence, uint64_t start)
{
    struct abx_client *client = queue->client;
    atomic_fetch_add_explicit(&client->wait_trips, 1, memory_order_relaxed);
    uint32_t spin = atomic_load_explicit(&queue->spin_ns, memory_order_relaxed);
    if (spin > longest_spin(queue, start))
        spin = ABX_LOOK_NS;
    bool hit = spin_until(queue, sequence, start, spin);
    if (hit) {
        uint64_t now = abx_now_ns();
        adapt(queue, now, now - start);
    } else
        atomic_fetch_add_explicit(&client->wait_sleeps, 1, memory_order_relaxed);
    return hit;
}

int abx_client_queue_wait(
        struct abx_client_queue *queue, uint64_t sequence, int64_t timeout_ns, unsigned flags)
{
    if (abx_client_queue_completed(queue) >= sequence)
        return 0;
    struct abx_client *client = queue->client;
    uint64_t start = abx_now_ns();
    bool spins = !(flags & ABX_WAIT_BACKGROUND);
    if (spins && wait_spinning(queue, sequence, start))
        return 0;
    if (flags & ABX_WAIT_SOON && !abx_crowded(start) &&
            spin_until(queue, sequence, start, ABX_LOOK_NS))
        return 0;
    const _Atomic uint64_t *word = &client->host->completed[queue->slot];
    for (;;) {
        uint64_t done = atomic_load_explicit(word, memory_order_acquire);
        if (done >= sequence) {
            uint64_t now = abx_now_ns();
            if (spins)
                adapt(queue, now, now - start);
            return 0;
        }
        int64_t left = timeout_ns < 0 ? -1 : timeout_ns - (int64_t)(abx_now_ns() - start);
        if (timeout_ns >= 0 && left <= 0)
            return -ETIMEDOUT;
        if (abx_client_lost(client))
            return abx_client_queue_completed(queue) >= sequence ? 0 : -ENODEV;
        abx_client_sleep(client, word, done, left);
    }
}
