/* The smallest file that includes decode_gen.h: a decoder that counts. Shared by the decoder's test
 * and its fuzzer. */
#include "records_gen.h"

#include <string.h>

struct abx_object {
    enum abx_object_class class;
    uint32_t generation;
};

struct decoder {
    enum abx_context context;
    uint32_t op;
    struct abx_object *objects[8];
    unsigned calls;
    uint64_t sum;
    struct abx_object *last;
    enum abx_reason violation;
    uint64_t value, limit;
    const char *malformed;
};

static void decoder_violation(
        struct decoder *d, enum abx_reason why, uint32_t op, uint64_t value, uint64_t limit)
{
    d->violation = why;
    d->value = value;
    d->limit = limit;
}

static void decoder_malformed(struct decoder *d, uint32_t op, const char *why)
{
    d->malformed = why;
}

static bool resolve(struct decoder *d, abx_handle h, enum abx_object_class class, bool nullable,
        struct abx_object **ret)
{
    struct abx_object *o;

    if (!h && nullable) {
        *ret = NULL;
        return true;
    }
    o = abx_handle_index(h) < 8 ? d->objects[abx_handle_index(h)] : NULL;
    if (!o || o->generation != abx_handle_generation(h)) {
        decoder_violation(d, ABX_REASON_HANDLE_UNKNOWN, d->op, h, 0);
        return false;
    }
    if (class != ABX_CLASS_ANY && o->class != class) {
        decoder_violation(d, ABX_REASON_HANDLE_TYPE, d->op, h, 0);
        return false;
    }
    *ret = o;
    return true;
}

/* Buffers of the tests are so long. */
#define SAMPLE_LENGTH 4096u

static bool in_buffer(
        struct decoder *d, const struct abx_object *buffer, uint64_t offset, uint64_t bytes)
{
    if (abx_range_ok(offset, bytes, SAMPLE_LENGTH))
        return true;
    decoder_violation(d, ABX_REASON_RANGE, d->op, offset, SAMPLE_LENGTH);
    return false;
}

#define ON0(name)                                                                                  \
    static void on_##name(struct decoder *d, const struct abx_rec_##name *r)                       \
    {                                                                                              \
        d->calls++;                                                                                \
    }
#define ON1(name)                                                                                  \
    static void on_##name(struct decoder *d, const struct abx_rec_##name *r, struct abx_object *a) \
    {                                                                                              \
        d->calls++;                                                                                \
        d->last = a;                                                                               \
    }

#define ON3(name)                                                                                  \
    static void on_##name(struct decoder *d, const struct abx_rec_##name *r, struct abx_object *a, \
            struct abx_object *b, struct abx_object *c)                                            \
    {                                                                                              \
        d->calls++;                                                                                \
        d->last = a;                                                                               \
    }

ON1(commit)
ON1(destroy)
ON0(chunk_free)
ON0(chunk_exposed)
ON0(chunk_mirror)
ON0(chunk_seen)
ON0(chunk_written)
ON0(queue_create)
ON0(buffer_create)
ON0(buffer_create_private)
ON1(pipeline_create)
ON1(function_create)
ON1(pipeline_create_linked)
ON0(event_create)
ON1(event_set)
ON0(fence_create)
ON0(icb_create)
ON0(compute_begin)
ON0(blit_begin)
ON0(encoder_end)
ON1(set_pipeline)
ON1(set_log)
ON0(set_buffer_offset)
ON0(set_threadgroup_memory)
ON0(dispatch_threadgroups)
ON0(dispatch_threads)
ON1(dispatch_indirect)
ON0(memory_barrier)
ON1(update_fence)
ON1(wait_fence)
ON1(use_resource)
ON1(execute_icb)
ON1(reset_icb)
ON1(fill_buffer)
ON1(sample_timestamp)
ON3(matrix_multiply)
ON1(signal_event)
ON1(wait_event)

static void on_set_buffer(
        struct decoder *d, const struct abx_rec_set_buffer *r, struct abx_object *buffer)
{
    d->calls++;
    d->last = buffer;
    d->sum += r->offset + r->index;
}

static void on_set_bytes(struct decoder *d, const struct abx_rec_set_bytes *r)
{
    d->calls++;
    for (uint32_t i = 0; i < r->length; i++)
        d->sum += r->data[i];
}

static void on_copy_buffer(struct decoder *d, const struct abx_rec_copy_buffer *r,
        struct abx_object *source, struct abx_object *destination)
{
    d->calls++;
    d->last = destination;
    d->sum += r->length;
}

static void on_execute_icb_range(struct decoder *d, const struct abx_rec_execute_icb_range *r,
        struct abx_object *icb, struct abx_object *buffer)
{
    d->calls++;
    d->last = buffer;
    d->sum += r->offset;
}

static void on_copy_icb(struct decoder *d, const struct abx_rec_copy_icb *r,
        struct abx_object *source, struct abx_object *destination)
{
    d->calls++;
    d->last = destination;
    d->sum += r->count;
}

#include "decode_gen.h"

static struct abx_object a_buffer = {ABX_CLASS_BUFFER, 1}, a_pipeline = {ABX_CLASS_PIPELINE, 9};

#define BUFFER ((1ull << 32) | 3)
#define PIPELINE ((9ull << 32) | 4)

static struct decoder fresh(enum abx_context context)
{
    struct decoder d = {.context = context};

    d.objects[3] = &a_buffer;
    d.objects[4] = &a_pipeline;
    return d;
}
