/* host: events: 64-bit words in the guest's page. Runs in the worker, on the engine's and on
 * backend threads. A value is whatever the guest wrote: it can only hold up or let go its own
 * command buffers. */
#include "host/session/internal.h"

#include <stdlib.h>

static uint64_t event_value(struct abx_event *event)
{
    if (atomic_load(&event->dead))
        return UINT64_MAX;
    return atomic_load_explicit(
            &event->head.session->guest->events[event->slot], memory_order_acquire);
}

static void event_signal(struct abx_event *event, uint64_t value)
{
    _Atomic uint64_t *word = &event->head.session->guest->events[event->slot];
    uint64_t now = atomic_load(word);
    while (now < value && !atomic_compare_exchange_weak(word, &now, value))
        ;
    abx_session_wake_guest(event->head.session, word);
    abx_event_check(event);
}

static bool event_notify(
        struct abx_event *event, uint64_t value, void (*wake)(void *user), void *user)
{
    struct abx_event_waiter *waiter = malloc(sizeof *waiter);
    if (!waiter)
        return true; /* rather early than never: the guest's own data race, nobody else's */
    *waiter = (struct abx_event_waiter){.value = value, .wake = wake, .user = user};
    pthread_mutex_lock(&event->lock);
    bool reached = event_value(event) >= value;
    if (!reached) {
        waiter->next = event->waiters;
        event->waiters = waiter;
    }
    pthread_mutex_unlock(&event->lock);
    if (reached)
        free(waiter);
    return reached;
}

const struct abx_event_ops abx_host_event_ops = {event_value, event_signal, event_notify};

void abx_event_check(struct abx_event *event)
{
    struct abx_event_waiter *due = NULL;
    pthread_mutex_lock(&event->lock);
    uint64_t value = event_value(event);
    for (struct abx_event_waiter **at = &event->waiters; *at;) {
        struct abx_event_waiter *waiter = *at;
        if (waiter->value > value) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        waiter->next = due;
        due = waiter;
    }
    pthread_mutex_unlock(&event->lock);
    while (due) {
        struct abx_event_waiter *waiter = due;
        due = waiter->next;
        waiter->wake(waiter->user);
        free(waiter);
    }
}

void abx_event_kill(struct abx_event *event)
{
    atomic_store(&event->dead, true);
    abx_event_check(event);
}

int abx_event_create(struct abx_session *session, abx_handle handle, uint32_t slot)
{
    if (session->events[slot]) {
        abx_session_kill(session, "it made two events in slot %u", slot);
        return -EEXIST;
    }
    struct abx_event *event = abx_object_create(session, handle, ABX_CLASS_EVENT, 0);
    if (!event)
        return -EINVAL;
    event->slot = slot;
    pthread_mutex_init(&event->lock, NULL);
    session->events[slot] = event;
    return 0;
}

static void forget_event(struct abx_object *object)
{
    object->session->events[((struct abx_event *)object)->slot] = NULL;
}

static void destroy_event(struct abx_object *object)
{
    struct abx_event *event = (struct abx_event *)object;
    /* Waiters hold the submission that holds the event, so none are left. */
    pthread_mutex_destroy(&event->lock);
    free(event);
}

const struct abx_object_kind abx_event_kind = {
        sizeof(struct abx_event), destroy_event, forget_event};
