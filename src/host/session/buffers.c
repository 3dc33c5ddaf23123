/* host: buffers and indirect command buffers of a client. Runs in the worker: made on the engine's
 * thread, destroyed on any. Where they lie was checked by whoever decoded the record. */
#include "host/session/internal.h"

#include <stdlib.h>
#include <string.h>

/* The reference to the range becomes the buffer's. */
static void place_buffer(
        struct abx_buffer_object *buffer, struct abx_range *range, uint64_t offset, uint64_t length)
{
    buffer->range = range;
    buffer->memory = range->memory;
    buffer->offset = offset;
    buffer->length = length;
    if (range->poison)
        abx_object_poison(&buffer->head, range->poison, range->bytes, abx_range_cap(range));
}

void abx_buffer_create(
        struct abx_session *session, const struct abx_rec_buffer_create *r, struct abx_range *chunk)
{
    struct abx_buffer_object *buffer = abx_object_create(session, r->buffer, ABX_CLASS_BUFFER, 0);
    if (!buffer)
        return;
    atomic_fetch_add(&chunk->references, 1);
    place_buffer(buffer, chunk, r->offset, r->length);
}

void abx_buffer_create_private(
        struct abx_session *session, const struct abx_rec_buffer_create_private *r)
{
    struct abx_range *range;
    int error = abx_space_map(session, r->address, r->length, NULL, &range);
    if (error < 0) {
        abx_session_kill(session, "it placed private memory at %#llx: %s",
                (unsigned long long)r->address, strerror(-error));
        return;
    }
    struct abx_buffer_object *buffer = abx_object_create(session, r->buffer, ABX_CLASS_BUFFER, 0);
    if (buffer)
        place_buffer(buffer, range, 0, r->length);
    else
        abx_range_release(range);
}

static void forget_buffer(struct abx_object *object)
{
    struct abx_range *range = ((struct abx_buffer_object *)object)->range;
    if (range && range->is_private)
        atomic_store(&range->named, false);
}

static void destroy_buffer(struct abx_object *object)
{
    struct abx_buffer_object *buffer = (struct abx_buffer_object *)object;
    if (buffer->range)
        abx_range_release(buffer->range);
    free(buffer);
}

const struct abx_object_kind abx_buffer_kind = {
        sizeof(struct abx_buffer_object), destroy_buffer, forget_buffer};

void abx_icb_create(
        struct abx_session *session, const struct abx_rec_icb_create *r, struct abx_range *chunk)
{
    struct abx_icb_object *icb = abx_object_create(session, r->icb, ABX_CLASS_ICB, 0);
    if (!icb)
        return;
    atomic_fetch_add(&chunk->references, 1);
    icb->range = chunk;
    icb->offset = r->offset;
    icb->count = r->count;
    icb->max_buffers = r->max_buffers;
    icb->inherit = r->inherit;
    if (chunk->poison)
        abx_object_poison(&icb->head, chunk->poison, chunk->bytes, abx_range_cap(chunk));
}

static void destroy_icb(struct abx_object *object)
{
    struct abx_icb_object *icb = (struct abx_icb_object *)object;
    if (icb->range)
        abx_range_release(icb->range);
    free(icb);
}

const struct abx_object_kind abx_icb_kind = {sizeof(struct abx_icb_object), destroy_icb, NULL};
