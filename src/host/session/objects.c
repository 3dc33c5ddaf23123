/* host: the handle table of a client and the lifetime of what it names. Runs in the worker; the
 * table is the engine's, references may be dropped on any thread. The handles are the guest's. */
#include "host/session/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define OBJECT_OVERHEAD 96u /* of the heap, and of the backend's part */

static void destroy_fence(struct abx_object *object)
{
    free(object);
}

const struct abx_object_kind abx_fence_kind = {sizeof(struct abx_object), destroy_fence, NULL};

static const struct abx_object_kind *const kinds[] = {[ABX_CLASS_BUFFER] = &abx_buffer_kind,
        [ABX_CLASS_EVENT] = &abx_event_kind,
        [ABX_CLASS_FENCE] = &abx_fence_kind,
        [ABX_CLASS_FUNCTION] = &abx_function_kind,
        [ABX_CLASS_ICB] = &abx_icb_kind,
        [ABX_CLASS_LIBRARY] = &abx_library_kind,
        [ABX_CLASS_PIPELINE] = &abx_pipeline_kind,
        [ABX_CLASS_QUEUE] = &abx_queue_kind};

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
        struct abx_session *session, abx_handle handle, enum abx_object_class class, size_t extra)
{
    size_t size = kinds[class]->size + extra;
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
    if (kinds[object->class]->forget)
        kinds[object->class]->forget(object);
    abx_object_release(object);
}

void abx_object_poison(
        struct abx_object *object, enum abx_reason why, uint64_t value, uint64_t limit)
{
    object->poison = (uint8_t)why;
    object->poison_value = value;
    object->poison_limit = limit;
}

void abx_object_release(struct abx_object *object)
{
    if (atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1)
        return;
    abx_books_uncharge(object->session, object->bytes);
    kinds[object->class]->destroy(object);
}
