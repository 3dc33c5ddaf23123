/* wire, guest side: handles and events. Runs in the guest's process. */
#include <stdlib.h>

#include "wire/client_internal.h"

/* ---- handles. Freed indices wait in a queue, so that a stale handle stays stale for as long as
 * possible; the generation makes it stale for four thousand million turns more. */

static int grow_handles(struct abx_client *client)
{
    uint32_t capacity = client->handle_capacity ? client->handle_capacity * 2 : 256;
    uint32_t *generations = realloc(client->generations, capacity * sizeof *generations);
    if (!generations)
        return -ENOMEM;
    client->generations = generations;
    uint32_t *next = realloc(client->free_next, capacity * sizeof *next);
    if (!next)
        return -ENOMEM;
    client->free_next = next;
    client->handle_capacity = capacity;
    return 0;
}

abx_handle abx_client_handle_new(struct abx_client *client)
{
    if (abx_client_forked(client))
        return 0;
    pthread_mutex_lock(&client->handle_lock);
    uint32_t index = 0;
    bool rested = client->free_first && client->handle_count >= 1024;
    if (rested || (client->free_first && client->handle_count >= ABX_MAX_HANDLES - 1)) {
        index = client->free_first;
        client->free_first = client->free_next[index];
        if (!client->free_first)
            client->free_last = 0;
    } else if (client->handle_count < ABX_MAX_HANDLES - 1 &&
               (client->handle_count + 1 < client->handle_capacity || grow_handles(client) == 0)) {
        index = ++client->handle_count; /* index 0 is never used */
        client->generations[index] = 1;
    }
    abx_handle handle = index ? ((uint64_t)client->generations[index] << 32) | index : 0;
    pthread_mutex_unlock(&client->handle_lock);
    return handle;
}

void abx_client_handle_free(struct abx_client *client, abx_handle handle)
{
    uint32_t index = abx_handle_index(handle);
    if (abx_client_forked(client))
        return;
    pthread_mutex_lock(&client->handle_lock);
    if (index && index <= client->handle_count &&
            client->generations[index] == abx_handle_generation(handle)) {
        if (!++client->generations[index])
            client->generations[index] = 1;
        client->free_next[index] = 0;
        if (client->free_last)
            client->free_next[client->free_last] = index;
        else
            client->free_first = index;
        client->free_last = index;
    }
    pthread_mutex_unlock(&client->handle_lock);
}

void abx_client_destroy(struct abx_client *client, abx_handle handle)
{
    if (!handle)
        return;
    struct abx_rec_destroy record = {.head = {ABX_OP_DESTROY, 0, sizeof record}, .object = handle};
    abx_client_push(client, &record, 0);
    abx_client_handle_free(client, handle);
}

/* ---- events */

static int take_event_slot(struct abx_client *client, uint32_t *ret)
{
    if (client->event_fresh < ABX_MAX_EVENTS) {
        *ret = client->event_fresh++;
        return 0;
    }
    if (!client->event_count)
        return -EMFILE;
    *ret = client->event_free[client->event_first];
    client->event_first = (client->event_first + 1) % ABX_MAX_EVENTS;
    client->event_count--;
    return 0;
}

int abx_client_event_create(struct abx_client *client, uint32_t *ret_slot, abx_handle *ret_handle)
{
    abx_handle handle = abx_client_handle_new(client);
    if (!handle)
        return -EMFILE;
    struct abx_rec_event_create record = {
            .head = {ABX_OP_EVENT_CREATE, 0, sizeof record}, .event = handle};
    pthread_mutex_lock(&client->event_lock);
    int r = take_event_slot(client, &record.slot);
    pthread_mutex_unlock(&client->event_lock);
    if (r == 0) {
        atomic_store(&client->guest->events[record.slot], 0);
        r = abx_client_push(client, &record, 0);
        if (r < 0)
            abx_client_event_destroy(client, record.slot, 0);
    }
    if (r < 0) {
        abx_client_handle_free(client, handle);
        return r;
    }
    *ret_slot = record.slot;
    *ret_handle = handle;
    return 0;
}

void abx_client_event_destroy(struct abx_client *client, uint32_t slot, abx_handle handle)
{
    abx_client_destroy(client, handle);
    if (abx_client_forked(client))
        return;
    pthread_mutex_lock(&client->event_lock);
    client->event_free[(client->event_first + client->event_count++) % ABX_MAX_EVENTS] =
            (uint16_t)slot;
    pthread_mutex_unlock(&client->event_lock);
}

uint64_t abx_client_event_value(const struct abx_client *client, uint32_t slot)
{
    return atomic_load_explicit(&client->guest->events[slot], memory_order_acquire);
}

void abx_client_event_set(
        struct abx_client *client, uint32_t slot, abx_handle handle, uint64_t value)
{
    atomic_store(&client->guest->events[slot], value);
    if (atomic_load(&client->guest->waiters))
        client->transport->ops->wake(client->transport, &client->guest->events[slot]);
    struct abx_rec_event_set record = {
            .head = {ABX_OP_EVENT_SET, 0, sizeof record}, .event = handle};
    abx_client_push(client, &record, ABX_PUSH_WAKE);
}

int abx_client_event_wait(struct abx_client *client, uint32_t slot, uint64_t value,
        int64_t timeout_ns, unsigned flags)
{
    const _Atomic uint64_t *word = &client->guest->events[slot];
    if (atomic_load_explicit(word, memory_order_acquire) >= value)
        return 0;
    bool spinning = timeout_ns != 0 && !(flags & ABX_WAIT_BACKGROUND);
    if (spinning)
        atomic_fetch_add_explicit(&client->wait_trips, 1, memory_order_relaxed);
    uint64_t start = abx_now_ns();
    for (;;) {
        uint64_t now = atomic_load_explicit(word, memory_order_acquire);
        if (now >= value)
            return 0;
        uint64_t passed = abx_now_ns() - start;
        if (timeout_ns >= 0 && passed >= (uint64_t)timeout_ns)
            return -ETIMEDOUT;
        spinning = spinning && passed < 20000;
        if (spinning) {
            abx_cpu_relax();
            abx_give_way(0, passed);
            continue;
        }
        if (abx_client_lost(client))
            return abx_client_event_value(client, slot) >= value ? 0 : -ENODEV;
        abx_client_sleep(client, word, now, timeout_ns < 0 ? -1 : timeout_ns - (int64_t)passed);
    }
}
