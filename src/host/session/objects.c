/* host: the handle table of a client and the lifetime of what it names. Runs in the worker; the
 * table is the engine's, references may be dropped on any thread. The handles are the guest's. */
#include "host/session/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define OBJECT_OVERHEAD 96u /* of the heap, and of the backend's part */

static int table_grow(struct abx_session *session, uint32_t index)
{
    uint32_t size = session->table_size ? session->table_size : 256;
    while (size <= index)
        size *= 2;
    uint64_t more = (size - session->table_size) * sizeof(struct abx_table_entry);
    if (abx_books_charge(session, more) < 0)
        return -ENOMEM;
    struct abx_table_entry *table = realloc(session->table, size * sizeof *table);
    if (!table) {
        abx_books_uncharge(session, more);
        return -ENOMEM;
    }
    memset(table + session->table_size, 0, (size - session->table_size) * sizeof *table);
    session->table = table;
    session->table_size = size;
    return 0;
}

void *abx_object_create(
        struct abx_session *session, abx_handle handle, enum abx_object_class class, size_t size)
{
    uint32_t index = abx_handle_index(handle), generation = abx_handle_generation(handle);
    if (index >= ABX_MAX_HANDLES || generation == 0) {
        abx_session_kill(
                session, "it made a handle outside the table: %#llx", (unsigned long long)handle);
        return NULL;
    }
    if (index >= session->table_size && table_grow(session, index) < 0) {
        abx_session_kill(session, "no memory for its handle table");
        return NULL;
    }
    struct abx_table_entry *entry = &session->table[index];
    if (entry->generation) {
        abx_session_kill(session, "it made the handle %#llx, whose place is taken",
                (unsigned long long)handle);
        return NULL;
    }
    uint32_t bytes = (uint32_t)size + OBJECT_OVERHEAD;
    bool paid = abx_books_charge(session, bytes) == 0;
    struct abx_object *object = paid ? calloc(1, size) : NULL;
    if (!object) {
        if (paid)
            abx_books_uncharge(session, bytes);
        abx_session_kill(session, "no memory for its objects");
        return NULL;
    }
    object->handle = handle;
    object->class = (uint8_t)class;
    object->session = session;
    object->bytes = bytes;
    atomic_init(&object->references, 1);
    *entry = (struct abx_table_entry){generation, object};
    return object;
}

struct abx_object *abx_object_find(struct abx_session *session, abx_handle handle)
{
    uint32_t index = abx_handle_index(handle);
    if (index >= session->table_size)
        return NULL;
    const struct abx_table_entry *entry = &session->table[index];
    /* Generation 0 marks free entries, whose object is NULL. */
    return entry->generation == abx_handle_generation(handle) ? entry->object : NULL;
}

void abx_object_forget(struct abx_session *session, struct abx_object *object)
{
    session->table[abx_handle_index(object->handle)] = (struct abx_table_entry){0};
    switch (object->class) {
    case ABX_CLASS_QUEUE:
        abx_queue_forget((struct abx_queue_object *)object);
        break;
    case ABX_CLASS_EVENT:
        session->events[((struct abx_event *)object)->slot] = NULL;
        break;
    case ABX_CLASS_BUFFER: {
        struct abx_buffer_object *buffer = (struct abx_buffer_object *)object;
        if (buffer->range && buffer->range->is_private)
            atomic_store(&buffer->range->named, false);
        break;
    }
    default:
        break;
    }
    abx_object_release(object);
}

void abx_object_poison(
        struct abx_object *object, enum abx_reason why, uint64_t value, uint64_t limit)
{
    object->poison = (uint8_t)why;
    object->poison_value = value;
    object->poison_limit = limit;
}

static void destroy_buffer(struct abx_buffer_object *buffer)
{
    if (buffer->range)
        abx_range_release(buffer->range);
    free(buffer);
}

static void destroy_event(struct abx_event *event)
{
    /* Waiters hold the submission that holds the event, so none are left. */
    pthread_mutex_destroy(&event->lock);
    free(event);
}

static void destroy_icb(struct abx_icb_object *icb)
{
    if (icb->range)
        abx_range_release(icb->range);
    free(icb);
}

/* Backend queues may not be destroyed on the backend's own threads: left to the engine's. */
static void bury_queue(struct abx_queue_object *queue)
{
    struct abx_session *session = queue->head.session;
    queue->grave_next = atomic_load(&session->graves);
    while (!atomic_compare_exchange_weak(&session->graves, &queue->grave_next, queue))
        ;
    abx_session_rouse(session); /* it may be asleep, and what the queue holds is wanted by others */
}

void abx_object_release(struct abx_object *object)
{
    if (atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1)
        return;
    abx_books_uncharge(object->session, object->bytes);
    switch ((enum abx_object_class)object->class) {
    case ABX_CLASS_BUFFER:
        destroy_buffer((struct abx_buffer_object *)object);
        break;
    case ABX_CLASS_EVENT:
        destroy_event((struct abx_event *)object);
        break;
    case ABX_CLASS_ICB:
        destroy_icb((struct abx_icb_object *)object);
        break;
    case ABX_CLASS_LIBRARY:
        abx_library_destroy((struct abx_library_object *)object);
        break;
    case ABX_CLASS_FUNCTION:
        abx_function_destroy((struct abx_function_object *)object);
        break;
    case ABX_CLASS_PIPELINE:
        abx_pipeline_destroy((struct abx_pipeline_object *)object);
        break;
    case ABX_CLASS_QUEUE:
        bury_queue((struct abx_queue_object *)object);
        break;
    case ABX_CLASS_FENCE:
    case ABX_CLASS_ANY:
        free(object);
        break;
    }
}
