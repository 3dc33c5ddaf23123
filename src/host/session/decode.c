/* host: what each record does. The generated decoder (decode_gen.h, included here only) checks
 * sizes, fields, handles and encoder state, and calls on_<record>() below. Runs in the worker,
 * engine's thread, on private copies of records only. */
#include "host/session/internal.h"

#include <stdlib.h>
#include <string.h>

static void decoder_malformed(struct decoder *d, uint32_t op, const char *why)
{
    abx_session_kill(d->session, "its stream is malformed: %s (record %u, %s)", why, d->index,
            abx_op_name(op));
}

/* In a command buffer the call was wrong and the buffer fails. In the ring there is nothing to
 * fail: only a guest library that is broken, or none of ours, sends it. */
static void decoder_violation(
        struct decoder *d, enum abx_reason why, uint32_t op, uint64_t value, uint64_t limit)
{
    if (d->submission)
        abx_commands_fail(d, why, op, value, limit);
    else
        abx_session_kill(d->session, "its record %s is wrong: reason %d, value %#llx, limit %#llx",
                abx_op_name(op), (int)why, (unsigned long long)value, (unsigned long long)limit);
}

static bool resolve(struct decoder *d, abx_handle handle, enum abx_object_class class,
        bool nullable, struct abx_object **ret)
{
    *ret = NULL;
    if (handle == 0 && nullable)
        return true;
    struct abx_object *object = abx_object_find(d->session, handle);
    if (__builtin_expect(!object, 0)) {
        /* Another guest thread may just have released the event. */
        if (d->op != ABX_OP_EVENT_SET)
            decoder_violation(d, ABX_REASON_HANDLE_UNKNOWN, d->op, handle, 0);
        return false;
    }
    if (__builtin_expect(class != ABX_CLASS_ANY && object->class != class, 0)) {
        decoder_violation(d, ABX_REASON_HANDLE_TYPE, d->op, handle, 0);
        return false;
    }
    if (d->submission) {
        if (__builtin_expect(object->poison, 0)) {
            decoder_violation(d, object->poison, d->op, object->poison_value, object->poison_limit);
            return false;
        }
        if (!abx_commands_hold(d, object))
            return false;
    }
    *ret = object;
    return true;
}

static bool in_buffer(
        struct decoder *d, const struct abx_object *object, uint64_t offset, uint64_t bytes)
{
    uint64_t length = ((const struct abx_buffer_object *)object)->length, end;
    if (abx_range_ok(offset, bytes, length))
        return true;
    bool overflow = __builtin_add_overflow(offset, bytes, &end);
    decoder_violation(d, overflow ? ABX_REASON_OVERFLOW : ABX_REASON_RANGE, d->op,
            overflow ? offset : end, length);
    return false;
}

/* ---- ring records */

static void on_commit(
        struct decoder *d, const struct abx_rec_commit *r, struct abx_object *queue_object);

static void on_destroy(
        struct decoder *d, const struct abx_rec_destroy *r, struct abx_object *object)
{
    abx_object_forget(d->session, object);
}

#define LATE_NS 2000000000u /* a message is under way for so long at most */

/* The ring overtook the message: it is there, or comes soon. */
static void fetch_chunk(struct abx_session *session, uint32_t id)
{
    struct abx_host_transport *t = session->transport;
    uint64_t start = abx_now_ns();
    abx_session_drain_socket(session);
    while (t->late && !session->chunks[id] && !atomic_load(&session->dead) &&
            abx_now_ns() - start < LATE_NS) {
        if (t->ops->wait(t, 10) & ABX_WOKEN_RUNG)
            t->ops->hush(t); /* the ring is being read */
        abx_session_drain_socket(session);
    }
}

static struct abx_range *find_chunk(struct decoder *d, uint32_t id)
{
    struct abx_session *session = d->session;
    if (id < ABX_MAX_CHUNKS && !session->chunks[id])
        fetch_chunk(session, id);
    struct abx_range *range = id < ABX_MAX_CHUNKS ? session->chunks[id] : NULL;
    if (!range)
        abx_session_kill(session, "it used the memory chunk %u, which it never sent", id);
    return range;
}

/* What this process reads itself lies in memory that cannot go away. */
static bool readable(struct decoder *d, const struct abx_range *range)
{
    if (range->is_file)
        decoder_violation(d, ABX_REASON_UNSUPPORTED, d->op, 0, 0);
    return !range->is_file;
}

static void on_chunk_free(struct decoder *d, const struct abx_rec_chunk_free *r)
{
    struct abx_range *range = find_chunk(d, r->chunk);
    if (!range)
        return;
    d->session->chunks[r->chunk] = NULL;
    atomic_store(&range->named, false);
    abx_range_release(range);
}

static void on_chunk_mirror(struct decoder *d, const struct abx_rec_chunk_mirror *r)
{
    struct abx_range *range = find_chunk(d, r->chunk);
    if (range)
        abx_range_mirror(range, r->unseen);
}

static void on_chunk_seen(struct decoder *d, const struct abx_rec_chunk_seen *r)
{
    struct abx_range *range = find_chunk(d, r->chunk);
    if (range && range->mirror_bytes)
        d->session->host->backend->memory->seen(range->memory);
}

static void on_chunk_exposed(struct decoder *d, const struct abx_rec_chunk_exposed *r)
{
    struct abx_range *range = find_chunk(d, r->chunk);
    if (range && range->mirror_bytes)
        d->session->host->backend->memory->exposed(range->memory);
}

static void on_chunk_written(struct decoder *d, const struct abx_rec_chunk_written *r)
{
    struct abx_range *range = find_chunk(d, r->chunk);
    if (!range)
        return;
    if (!abx_range_ok(r->offset, r->length, range->bytes))
        decoder_violation(d, ABX_REASON_RANGE, d->op, r->length, range->bytes);
    else if (range->mirror_bytes)
        d->session->host->backend->memory->wrote(range->memory, r->offset, r->length);
}

static void on_queue_create(struct decoder *d, const struct abx_rec_queue_create *r)
{
    abx_queue_create(d->session, r->queue, r->slot);
}

static void on_buffer_create(struct decoder *d, const struct abx_rec_buffer_create *r)
{
    struct abx_range *chunk = find_chunk(d, r->chunk);
    if (!chunk)
        return;
    if (abx_range_ok(r->offset, r->length, chunk->bytes))
        abx_buffer_create(d->session, r, chunk);
    else
        decoder_violation(d, ABX_REASON_RANGE, d->op, r->length, chunk->bytes);
}

static void on_buffer_create_private(
        struct decoder *d, const struct abx_rec_buffer_create_private *r)
{
    abx_buffer_create_private(d->session, r);
}

static void on_pipeline_create(
        struct decoder *d, const struct abx_rec_pipeline_create *r, struct abx_object *library)
{
    abx_pipeline_create(d->session, r->pipeline, (struct abx_library_object *)library, r);
}

static void on_function_create(
        struct decoder *d, const struct abx_rec_function_create *r, struct abx_object *library)
{
    abx_function_create(d->session, (struct abx_library_object *)library, r);
}

static void on_pipeline_create_linked(struct decoder *d,
        const struct abx_rec_pipeline_create_linked *r, struct abx_object *kernel)
{
    abx_pipeline_create_linked(d->session, (struct abx_function_object *)kernel, r);
}

static void on_event_create(struct decoder *d, const struct abx_rec_event_create *r)
{
    abx_event_create(d->session, r->event, r->slot);
}

static void on_event_set(
        struct decoder *d, const struct abx_rec_event_set *r, struct abx_object *event)
{
    abx_event_check((struct abx_event *)event);
}

static void on_fence_create(struct decoder *d, const struct abx_rec_fence_create *r)
{
    abx_object_create(d->session, r->fence, ABX_CLASS_FENCE, 0);
}

static void on_icb_create(struct decoder *d, const struct abx_rec_icb_create *r)
{
    struct abx_range *chunk = find_chunk(d, r->chunk);
    if (!chunk)
        return;
    uint64_t bytes = (uint64_t)r->count * sizeof(struct abx_icb_slot);
    if (!readable(d, chunk))
        return;
    if (abx_range_ok(r->offset, bytes, chunk->bytes))
        abx_icb_create(d->session, r, chunk);
    else
        decoder_violation(d, ABX_REASON_RANGE, d->op, bytes, chunk->bytes);
}

/* ---- command buffer records */

static void on_compute_begin(struct decoder *d, const struct abx_rec_compute_begin *r)
{
    abx_commands_begin(d, r->dispatch_type == 1);
}

static void on_blit_begin(struct decoder *d, const struct abx_rec_blit_begin *r)
{
    abx_commands_begin(d, false);
}

static void on_encoder_end(struct decoder *d, const struct abx_rec_encoder_end *r)
{
    /* What a concurrent encoder left running is over before the next begins. */
    if (d->concurrent)
        abx_commands_append(d, ABX_EXEC_BARRIER, sizeof(struct abx_exec_command));
    d->concurrent = false;
}

static void on_set_pipeline(
        struct decoder *d, const struct abx_rec_set_pipeline *r, struct abx_object *pipeline)
{
    d->pipeline = (struct abx_pipeline_object *)pipeline;
}

static void on_set_log(
        struct decoder *d, const struct abx_rec_set_log *r, struct abx_object *object)
{
    struct abx_buffer_object *buffer = (struct abx_buffer_object *)object;
    d->bound &= ~(1u << ABX_LOG_BUFFER);
    if (!buffer)
        return;
    d->bindings[ABX_LOG_BUFFER] = (struct abx_binding){buffer, 0, NULL, 0};
    d->bound |= 1u << ABX_LOG_BUFFER;
}

static void on_set_buffer(
        struct decoder *d, const struct abx_rec_set_buffer *r, struct abx_object *object)
{
    struct abx_buffer_object *buffer = (struct abx_buffer_object *)object;
    if (!buffer) {
        d->bound &= ~(1u << r->index);
        return;
    }
    if (r->offset > buffer->length) { /* at its end nothing is bound, which is no error */
        abx_commands_fail(d, ABX_REASON_RANGE, d->op, r->offset, buffer->length);
        return;
    }
    d->bindings[r->index] = (struct abx_binding){buffer, r->offset, NULL, 0};
    d->bound |= 1u << r->index;
}

static void on_set_buffer_offset(struct decoder *d, const struct abx_rec_set_buffer_offset *r)
{
    struct abx_binding *b = &d->bindings[r->index];
    if (!(d->bound >> r->index & 1) || !b->buffer)
        return; /* no buffer whose offset it would be: as on a Mac, nothing changes */
    if (r->offset > b->buffer->length) {
        abx_commands_fail(d, ABX_REASON_RANGE, d->op, r->offset, b->buffer->length);
        return;
    }
    b->offset = r->offset;
}

static void on_set_bytes(struct decoder *d, const struct abx_rec_set_bytes *r)
{
    d->bindings[r->index] = (struct abx_binding){NULL, 0, r->data, r->length};
    d->bound |= 1u << r->index;
}

static void on_set_threadgroup_memory(
        struct decoder *d, const struct abx_rec_set_threadgroup_memory *r)
{
    d->threadgroup_bytes[r->index] = r->length;
}

static void on_dispatch_threadgroups(
        struct decoder *d, const struct abx_rec_dispatch_threadgroups *r)
{
    abx_commands_dispatch(d, r->groups, r->threads, true, NULL, 0);
}

static void on_dispatch_threads(struct decoder *d, const struct abx_rec_dispatch_threads *r)
{
    abx_commands_dispatch(d, r->grid, r->threads, false, NULL, 0);
}

static void on_dispatch_indirect(
        struct decoder *d, const struct abx_rec_dispatch_indirect *r, struct abx_object *object)
{
    static const uint32_t unknown[3] = {1, 1, 1}; /* the backend reads and checks the real one */
    struct abx_buffer_object *buffer = (struct abx_buffer_object *)object;
    if (readable(d, buffer->range))
        abx_commands_dispatch(d, unknown, r->threads, true, buffer, r->offset);
}

static void on_memory_barrier(struct decoder *d, const struct abx_rec_memory_barrier *r)
{
    if (d->concurrent)
        abx_commands_append(d, ABX_EXEC_BARRIER, sizeof(struct abx_exec_command));
}

static void fence(struct decoder *d, enum abx_exec_op op, abx_handle handle)
{
    struct abx_exec_fence *c = abx_commands_append(d, op, sizeof *c);
    if (c)
        c->fence = handle;
}

static void on_update_fence(
        struct decoder *d, const struct abx_rec_update_fence *r, struct abx_object *object)
{
    fence(d, ABX_EXEC_UPDATE_FENCE, r->fence);
}

static void on_wait_fence(
        struct decoder *d, const struct abx_rec_wait_fence *r, struct abx_object *object)
{
    fence(d, ABX_EXEC_WAIT_FENCE, r->fence);
}

static void on_use_resource(
        struct decoder *d, const struct abx_rec_use_resource *r, struct abx_object *buffer)
{
    abx_commands_use(
            d, (struct abx_buffer_object *)buffer, r->usage & (ABX_USAGE_READ | ABX_USAGE_WRITE));
}

static void on_execute_icb(
        struct decoder *d, const struct abx_rec_execute_icb *r, struct abx_object *icb)
{
    abx_commands_icb(d, (struct abx_icb_object *)icb, r->first, r->count, NULL, 0);
}

/* Which commands run is known when their turn comes: all are taken along. */
static void on_execute_icb_range(struct decoder *d, const struct abx_rec_execute_icb_range *r,
        struct abx_object *icb, struct abx_object *object)
{
    struct abx_buffer_object *buffer = (struct abx_buffer_object *)object;
    uint32_t count = ((struct abx_icb_object *)icb)->count;
    if (readable(d, buffer->range))
        abx_commands_icb(d, (struct abx_icb_object *)icb, 0, count, buffer, r->offset);
}

/* Commands are read when a command buffer is decoded, in the order of commits: so they change then
 * too. */
static void on_reset_icb(
        struct decoder *d, const struct abx_rec_reset_icb *r, struct abx_object *icb)
{
    abx_commands_reset_icb(d, (struct abx_icb_object *)icb, r->first, r->count);
}

static void on_copy_icb(struct decoder *d, const struct abx_rec_copy_icb *r,
        struct abx_object *source, struct abx_object *destination)
{
    abx_commands_copy_icb(d, (struct abx_icb_object *)source, r->first, r->count,
            (struct abx_icb_object *)destination, r->to);
}

static void on_copy_buffer(struct decoder *d, const struct abx_rec_copy_buffer *r,
        struct abx_object *source, struct abx_object *destination)
{
    struct abx_buffer_object *from = (void *)source, *to = (void *)destination;
    if (r->length == 0)
        return;
    struct abx_exec_copy *c = abx_commands_append(d, ABX_EXEC_COPY, sizeof *c);
    if (!c)
        return;
    c->from = from->memory;
    c->to = to->memory;
    c->from_offset = from->offset + r->source_offset;
    c->to_offset = to->offset + r->destination_offset;
    c->length = r->length;
    abx_commands_use(d, from, ABX_USAGE_READ);
    abx_commands_use(d, to, ABX_USAGE_WRITE);
}

static void on_fill_buffer(
        struct decoder *d, const struct abx_rec_fill_buffer *r, struct abx_object *object)
{
    struct abx_buffer_object *buffer = (void *)object;
    if (r->length == 0)
        return;
    struct abx_exec_fill *c = abx_commands_append(d, ABX_EXEC_FILL, sizeof *c);
    if (!c)
        return;
    c->to = buffer->memory;
    c->offset = buffer->offset + r->offset;
    c->length = r->length;
    c->value = r->value;
    abx_commands_use(d, buffer, ABX_USAGE_WRITE);
}

static void on_sample_timestamp(
        struct decoder *d, const struct abx_rec_sample_timestamp *r, struct abx_object *object)
{
    struct abx_buffer_object *buffer = (void *)object;
    if (!(d->session->host->info.operations & ABX_OPERATION_TIMESTAMP)) {
        decoder_violation(d, ABX_REASON_UNSUPPORTED, d->op, 0, 0);
        return;
    }
    if ((buffer->offset + r->offset) % 8) { /* where the buffer begins is the guest's choice, too */
        decoder_violation(d, ABX_REASON_ALIGNMENT, d->op, buffer->offset + r->offset, 8);
        return;
    }
    if (r->barrier && !abx_commands_append(d, ABX_EXEC_BARRIER, sizeof(struct abx_exec_command)))
        return;
    struct abx_exec_timestamp *c = abx_commands_append(d, ABX_EXEC_TIMESTAMP, sizeof *c);
    if (!c)
        return;
    c->to = buffer->memory;
    c->offset = buffer->offset + r->offset;
    abx_commands_use(d, buffer, ABX_USAGE_WRITE);
}

static void on_matrix_multiply(struct decoder *d, const struct abx_rec_matrix_multiply *r,
        struct abx_object *left, struct abx_object *right, struct abx_object *result)
{
    abx_operation_matrix_multiply(d, r, (void *)left, (void *)right, (void *)result);
}

static void event_command(
        struct decoder *d, enum abx_exec_op op, struct abx_object *event, uint64_t value)
{
    struct abx_exec_event *c = abx_commands_append(d, op, sizeof *c);
    if (!c)
        return;
    c->event = (struct abx_event *)event;
    c->value = value;
}

static void on_signal_event(
        struct decoder *d, const struct abx_rec_signal_event *r, struct abx_object *event)
{
    event_command(d, ABX_EXEC_SIGNAL_EVENT, event, r->value);
}

static void on_wait_event(
        struct decoder *d, const struct abx_rec_wait_event *r, struct abx_object *event)
{
    event_command(d, ABX_EXEC_WAIT_EVENT, event, r->value);
}

#include "decode_gen.h"

/* ---- commit: copy, decode, queue */

static bool copy_segments(struct decoder *d, const struct abx_rec_commit *r, size_t *ret_bytes)
{
    struct abx_session *session = d->session;
    size_t total = 0, at = 0;
    for (uint32_t i = 0; i < r->segment_count; i++)
        total += r->segments[i].bytes; /* at most 64 times 4 GiB */
    if (total > ABX_MAX_SUBMIT_BYTES) {
        abx_session_kill(session, "it committed %zu bytes of records at once", total);
        return false;
    }
    if (total > session->staging_capacity) {
        free(session->staging);
        abx_books_uncharge(session, session->staging_capacity);
        session->staging_capacity = 0;
        bool paid = abx_books_charge(session, abx_align_up(total, 65536)) == 0;
        session->staging = paid ? malloc(abx_align_up(total, 65536)) : NULL;
        if (!session->staging) {
            if (paid)
                abx_books_uncharge(session, abx_align_up(total, 65536));
            abx_session_kill(session, "no memory for its commands");
            return false;
        }
        session->staging_capacity = abx_align_up(total, 65536);
    }
    for (uint32_t i = 0; i < r->segment_count; i++) {
        const struct abx_wire_segment *segment = &r->segments[i];
        if (!segment->bytes)
            continue;
        const struct abx_range *range = find_chunk(d, segment->chunk);
        if (!range)
            return false;
        if (!abx_range_ok(segment->offset, segment->bytes, range->bytes) || range->poison ||
                range->is_file) {
            abx_session_kill(
                    session, "it committed records outside its memory chunk %u", segment->chunk);
            return false;
        }
        memcpy(session->staging + at, session->window + range->address + segment->offset,
                segment->bytes);
        at += segment->bytes;
    }
    *ret_bytes = total;
    return true;
}

void abx_decode_commands(struct abx_session *session, struct abx_host_submission *submission,
        const uint8_t *records, size_t bytes)
{
    struct decoder *d = &session->decoder;
    d->context = ABX_CONTEXT_NONE;
    d->op = 0;
    d->session = session;
    d->submission = submission;
    d->index = 0;
    abx_commands_begin(d, false);
    for (size_t at = 0; at < bytes; d->index++) {
        const struct abx_record *head = (const void *)(records + at);
        if (!abx_decode_arena_record(d, head, (uint32_t)(bytes - at)))
            break;
        at += head->bytes;
        if (submission->state == ABX_SUBMISSION_FAILED)
            break;
    }
    submission->records = d->index;
    if (d->context != ABX_CONTEXT_NONE)
        abx_commands_fail(d, ABX_REASON_STATE, d->op, d->context, 0);
}

static void on_commit(
        struct decoder *d, const struct abx_rec_commit *r, struct abx_object *queue_object)
{
    struct abx_session *session = d->session;
    struct abx_queue_object *queue = (struct abx_queue_object *)queue_object;
    if (r->sequence != queue->last_sequence + 1) {
        abx_session_kill(session, "it committed number %llu after number %llu",
                (unsigned long long)r->sequence, (unsigned long long)queue->last_sequence);
        return;
    }
    if (atomic_load(&session->results_busy[r->result])) {
        abx_session_kill(session, "it gave result slot %u to two command buffers", r->result);
        return;
    }
    size_t bytes;
    if (!copy_segments(d, r, &bytes))
        return;
    struct abx_host_submission *submission = abx_submission_create(session);
    if (!submission) {
        abx_session_kill(session, "no memory for its command buffers");
        return;
    }
    queue->last_sequence = r->sequence;
    atomic_store(&session->results_busy[r->result], 1);
    submission->sequence = r->sequence;
    submission->result_slot = r->result;
    abx_decode_commands(session, submission, session->staging, bytes);
    if (atomic_load(&session->dead) && submission->state != ABX_SUBMISSION_FAILED)
        abx_commands_fail(&session->decoder, ABX_REASON_LOST, session->decoder.op, 0, 0);
    if (queue->head.poison)
        abx_commands_fail(&session->decoder, queue->head.poison, session->decoder.op, 0, 0);
    abx_queue_add(queue, submission);
}

void abx_decode_ring(struct abx_session *session, const struct abx_record *record, uint32_t bytes)
{
    struct decoder *d = &session->ring_decoder;
    d->context = ABX_CONTEXT_NONE;
    d->session = session;
    d->submission = NULL;
    abx_decode_ring_record(d, record, bytes);
    d->index++;
}
