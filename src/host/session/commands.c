/* host: the executable form of a command buffer, appended command by command while it is decoded.
 * Runs in the worker, engine's thread. Inputs come from private copies of the guest's records (and
 * of indirect command buffers); ranges and sizes are checked here. */
#include "host/session/internal.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY 16384u /* slots: some milliseconds */
#define SLICE 4096u       /* slots that are cleared or moved at once */

static enum abx_exec_error error_of(enum abx_reason why)
{
    return why == ABX_REASON_MEMORY  ? ABX_EXEC_OUT_OF_MEMORY
           : why == ABX_REASON_STATE ? ABX_EXEC_NOT_PERMITTED
                                     : ABX_EXEC_INVALID_RESOURCE;
}

void abx_commands_fail(
        struct decoder *d, enum abx_reason why, uint32_t op, uint64_t value, uint64_t limit)
{
    struct abx_host_submission *s = d->submission;
    if (s->state == ABX_SUBMISSION_FAILED)
        return;
    abx_submission_fail(s, error_of(why), why, value, limit);
    s->result.error_op = op;
    s->result.error_record = d->index;
}

/* What a submission takes stays charged until it is freed. */
static bool pay(struct decoder *d, size_t bytes)
{
    if (abx_books_charge(d->session, bytes) < 0)
        return false;
    d->submission->charged += bytes;
    return true;
}

/* Room for one more of `count` elements in an array of the submission's. */
static bool grow(struct decoder *d, void *array, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    uint32_t more = *capacity ? *capacity * 2 : 32;
    void *p = pay(d, (more - *capacity) * size) ? realloc(*(void **)array, more * size) : NULL;
    if (!p) {
        abx_commands_fail(d, ABX_REASON_MEMORY, d->op, more, 0);
        return false;
    }
    *(void **)array = p;
    *capacity = more;
    return true;
}

static bool list_buffer(struct decoder *d, struct abx_buffer_object *buffer)
{
    struct abx_host_submission *s = d->submission;
    uint32_t count = s->base.resource_count;
    if (!grow(d, &s->resources, count, &s->resource_capacity, sizeof *s->resources))
        return false;
    s->resources[count] =
            (struct abx_exec_resource){buffer->memory, buffer->offset, buffer->length, 0, 0};
    s->base.resource_count++;
    buffer->resource = count;
    if (atomic_load_explicit(&buffer->range->state, memory_order_acquire) != ABX_RANGE_READY)
        s->imports = true;
    return true;
}

bool abx_commands_hold(struct decoder *d, struct abx_object *object)
{
    struct abx_host_submission *s = d->submission;
    if (object->stamp == s->stamp)
        return true;
    if (!grow(d, &s->objects, s->object_count, &s->object_capacity, sizeof(struct abx_object *)))
        return false;
    if (object->class == ABX_CLASS_BUFFER && !list_buffer(d, (struct abx_buffer_object *)object))
        return false;
    object->stamp = s->stamp;
    abx_object_retain(object);
    s->objects[s->object_count++] = object;
    return true;
}

/* Constants given as bytes may be shorter than the structure that a kernel takes them for: behind
 * the last there are ABX_REFERENCE_BYTES that nothing is put into. */
static bool grow_exec(struct decoder *d, size_t bytes)
{
    struct abx_host_submission *s = d->submission;
    size_t needed = s->exec_bytes + bytes + ABX_REFERENCE_BYTES;
    uint64_t in_flight = atomic_load_explicit(&d->session->exec_bytes, memory_order_relaxed);
    if (!abx_range_ok(in_flight, needed, ABX_MAX_EXEC_BYTES)) {
        abx_commands_fail(d, ABX_REASON_MEMORY, d->op, needed, ABX_MAX_EXEC_BYTES - in_flight);
        return false;
    }
    size_t capacity = s->exec_capacity ? s->exec_capacity : 4096;
    while (capacity < needed)
        capacity *= 2;
    uint8_t *exec = pay(d, capacity - s->exec_capacity) ? realloc(s->exec, capacity) : NULL;
    if (!exec) {
        abx_commands_fail(d, ABX_REASON_MEMORY, d->op, capacity, 0);
        return false;
    }
    s->exec = exec;
    s->exec_capacity = capacity;
    return true;
}

/* As abx_commands_append(), but only the head is filled in. */
static void *append_raw(struct decoder *d, enum abx_exec_op op, size_t bytes)
{
    struct abx_host_submission *s = d->submission;
    if (s->state == ABX_SUBMISSION_FAILED)
        return NULL;
    if (__builtin_expect(s->exec_bytes + bytes + ABX_REFERENCE_BYTES > s->exec_capacity, 0) &&
            !grow_exec(d, bytes))
        return NULL;
    struct abx_exec_command *c = (void *)(s->exec + s->exec_bytes);
    s->exec_bytes += bytes;
    *c = (struct abx_exec_command){.op = (uint16_t)op,
            .flags = d->concurrent ? ABX_EXEC_CONCURRENT : 0,
            .bytes = (uint32_t)bytes,
            .source = d->index,
            .origin = d->op};
    return c;
}

void *abx_commands_append(struct decoder *d, enum abx_exec_op op, size_t bytes)
{
    struct abx_exec_command *c = append_raw(d, op, bytes);
    if (c)
        memset(c + 1, 0, bytes - sizeof *c);
    return c;
}

void abx_commands_begin(struct decoder *d, bool concurrent)
{
    /* What a serial encoder began is over before the first of these, too. */
    if (concurrent && d->submission->exec_bytes)
        abx_commands_append(d, ABX_EXEC_BARRIER, sizeof(struct abx_exec_command));
    d->concurrent = concurrent;
    d->pipeline = NULL;
    d->bound = 0;
    d->range = NULL;
    memset(d->threadgroup_bytes, 0, sizeof d->threadgroup_bytes);
}

/* Sizes of one dispatch. In groups: grid[] becomes threads. */
static bool check_sizes(
        struct decoder *d, uint32_t grid[3], const uint32_t threads[3], bool in_groups)
{
    const struct abx_pipeline_object *p = d->pipeline;
    uint64_t in_group = 1, groups = 1;
    uint32_t most = abx_max_threads(p);
    for (int i = 0; i < 3; i++) {
        if (threads[i] == 0 || grid[i] == 0) {
            abx_commands_fail(d, ABX_REASON_ZERO, d->op, 0, 0);
            return false;
        }
        if (threads[i] > most || (in_group *= threads[i]) > most) {
            abx_commands_fail(
                    d, ABX_REASON_RANGE, d->op, threads[i] > most ? threads[i] : in_group, most);
            return false;
        }
        if (p->required_threads[0] && threads[i] != p->required_threads[i]) {
            abx_commands_fail(d, ABX_REASON_RANGE, d->op, threads[i], p->required_threads[i]);
            return false;
        }
        uint64_t here = in_groups ? grid[i] : ((uint64_t)grid[i] + threads[i] - 1) / threads[i];
        if (here * threads[i] > UINT32_MAX || here > ABX_MAX_GROUPS / groups) {
            abx_commands_fail(d, ABX_REASON_OVERFLOW, d->op, here,
                    here * threads[i] > UINT32_MAX ? UINT32_MAX / threads[i]
                                                   : ABX_MAX_GROUPS / groups);
            return false;
        }
        groups *= here;
        if (in_groups)
            grid[i] *= threads[i];
    }
    return true;
}

static bool is_ready(const struct abx_pipeline_object *pipeline)
{
    return atomic_load_explicit(&pipeline->state, memory_order_acquire) == ABX_PIPELINE_READY;
}

uint32_t abx_max_threads(const struct abx_pipeline_object *pipeline)
{
    uint32_t most = pipeline->max_threads;
    return is_ready(pipeline) && pipeline->device_threads < most ? pipeline->device_threads : most;
}

uint64_t abx_threadgroup_memory(
        const struct abx_pipeline_object *pipeline, const uint32_t *threadgroup_bytes)
{
    uint64_t total = is_ready(pipeline) ? pipeline->static_threadgroup_bytes : 0;
    for (uint32_t m = pipeline->groups_used; m; m &= m - 1)
        total += threadgroup_bytes[__builtin_ctz(m)];
    return total;
}

static bool check_threadgroup_memory(struct decoder *d)
{
    uint64_t total = abx_threadgroup_memory(d->pipeline, d->threadgroup_bytes);
    uint32_t limit = d->session->host->info.max_threadgroup_bytes;
    if (total <= limit)
        return true;
    abx_commands_fail(d, ABX_REASON_RANGE, d->op, total, limit);
    return false;
}

static size_t inline_bytes(const struct decoder *d, uint32_t used)
{
    size_t bytes = 0;
    for (uint32_t m = used & d->bound; m; m &= m - 1) {
        const struct abx_binding *b = &d->bindings[__builtin_ctz(m)];
        if (!b->buffer)
            bytes += abx_align_up(b->length, 16);
    }
    return bytes;
}

/* Buffer bindings the pipeline's function has arguments for; the rest is left out. */
static void fill_bindings(struct decoder *d, struct abx_exec_dispatch *c, size_t data_at)
{
    uint32_t used = (d->pipeline->buffers_used | 1u << ABX_LOG_BUFFER) & d->bound;
    uint32_t written = d->pipeline->buffers_written | 1u << ABX_LOG_BUFFER;
    for (uint32_t i = 0; i < c->binding_count; i++) {
        struct abx_exec_binding *to = &c->bindings[i];
        const struct abx_binding *b = &d->bindings[i];
        if (!(used >> i & 1))
            *to = (struct abx_exec_binding){0};
        else if (b->buffer) {
            *to = (struct abx_exec_binding){b->buffer->memory, b->buffer->offset + b->offset,
                    b->buffer->length - b->offset};
            abx_commands_use(d, b->buffer,
                    written >> i & 1 ? ABX_USAGE_READ | ABX_USAGE_WRITE : ABX_USAGE_READ);
        } else {
            *to = (struct abx_exec_binding){NULL, data_at, b->length};
            memcpy((uint8_t *)c + data_at, b->bytes, b->length);
            data_at += abx_align_up(b->length, 16);
        }
    }
}

static bool has_pipeline(struct decoder *d)
{
    if (d->pipeline)
        return true;
    abx_commands_fail(d, ABX_REASON_STATE, d->op, 0, 0);
    return false;
}

static bool patch_later(
        struct decoder *d, struct abx_exec_dispatch *c, struct abx_pipeline_object *pipeline)
{
    struct abx_host_submission *s = d->submission;
    c->pipeline = NULL;
    if (!grow(d, &s->patches, s->patch_count, &s->patch_capacity, sizeof *s->patches))
        return false;
    s->patches[s->patch_count++] = (struct abx_patch){(size_t)((uint8_t *)c - s->exec), pipeline};
    return true;
}

/* Where the device reads something at `offset` of a buffer, or of none. */
static struct abx_device_memory *place(struct decoder *d, const struct abx_buffer_object *buffer,
        uint64_t offset, uint64_t *ret_offset)
{
    *ret_offset = buffer ? buffer->offset + offset : 0;
    if (!buffer)
        return NULL;
    abx_commands_use(d, buffer, ABX_USAGE_READ);
    return buffer->memory;
}

void abx_commands_dispatch(struct decoder *d, const uint32_t grid[3], const uint32_t threads[3],
        bool in_groups, struct abx_buffer_object *indirect, uint64_t indirect_offset)
{
    uint32_t size[3] = {grid[0], grid[1], grid[2]};
    if (!has_pipeline(d) || !check_sizes(d, size, threads, in_groups) ||
            !check_threadgroup_memory(d))
        return;
    struct abx_pipeline_object *p = d->pipeline;
    /* The log comes after all others, and only where there is one. */
    uint32_t bindings = d->bound >> ABX_LOG_BUFFER ? ABX_BUFFER_SLOTS : p->binding_count;
    size_t fixed = abx_align_up(
            sizeof(struct abx_exec_dispatch) + bindings * sizeof(struct abx_exec_binding), 16);
    size_t bytes = fixed + inline_bytes(d, p->buffers_used);
    struct abx_exec_dispatch *c =
            append_raw(d, indirect ? ABX_EXEC_DISPATCH_INDIRECT : ABX_EXEC_DISPATCH, bytes);
    if (!c)
        return;
    /* Nothing that its code decides may be read before: another thread writes it. */
    if (is_ready(p))
        c->pipeline = p->backend;
    else if (!patch_later(d, c, p))
        return;
    memcpy(c->grid, size, sizeof size);
    memcpy(c->threadgroup, threads, sizeof c->threadgroup);
    memset(c->threadgroup_bytes, 0, sizeof c->threadgroup_bytes);
    for (uint32_t m = p->groups_used; m; m &= m - 1)
        c->threadgroup_bytes[__builtin_ctz(m)] = d->threadgroup_bytes[__builtin_ctz(m)];
    c->binding_count = bindings;
    c->indirect = place(d, indirect, indirect_offset, &c->indirect_offset);
    c->range = place(d, d->range, d->range_offset, &c->range_offset);
    c->range_index = d->range_index;
    fill_bindings(d, c, fixed);
}

/* ---- indirect command buffers */

/* Bindings of one slot into the decoder. */
static bool slot_buffers(
        struct decoder *d, const struct abx_icb_object *icb, const struct abx_icb_slot *slot)
{
    d->bound &= 1u << ABX_LOG_BUFFER;
    for (uint32_t m = slot->bound; m; m &= m - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(m);
        abx_handle handle = i < icb->max_buffers ? slot->buffers[i].buffer : 0;
        struct abx_buffer_object *buffer = (void *)abx_object_find(d->session, handle);
        if (!buffer || buffer->head.class != ABX_CLASS_BUFFER) {
            abx_commands_fail(d, buffer ? ABX_REASON_HANDLE_TYPE : ABX_REASON_HANDLE_UNKNOWN, d->op,
                    handle, 0);
            return false;
        }
        if (buffer->head.poison) {
            abx_commands_fail(d, buffer->head.poison, d->op, buffer->head.poison_value,
                    buffer->head.poison_limit);
            return false;
        }
        if (slot->buffers[i].offset > buffer->length) {
            abx_commands_fail(d, ABX_REASON_RANGE, d->op, slot->buffers[i].offset, buffer->length);
            return false;
        }
        if (!abx_commands_hold(d, &buffer->head))
            return false;
        d->bindings[i] = (struct abx_binding){buffer, slot->buffers[i].offset, NULL, 0};
        d->bound |= 1u << i;
    }
    return true;
}

static bool slot_pipeline(struct decoder *d, abx_handle handle)
{
    struct abx_pipeline_object *pipeline = (void *)abx_object_find(d->session, handle);
    if (!pipeline || pipeline->head.class != ABX_CLASS_PIPELINE) {
        abx_commands_fail(
                d, pipeline ? ABX_REASON_HANDLE_TYPE : ABX_REASON_HANDLE_UNKNOWN, d->op, handle, 0);
        return false;
    }
    d->pipeline = pipeline;
    return abx_commands_hold(d, &pipeline->head);
}

static bool slot_threadgroup_memory(struct decoder *d, const struct abx_icb_slot *slot)
{
    for (unsigned i = 0; i < ABX_MAX_THREADGROUP_BINDINGS; i++) {
        if (slot->threadgroup_bytes[i] % 16) {
            abx_commands_fail(d, ABX_REASON_ALIGNMENT, d->op, slot->threadgroup_bytes[i], 16);
            return false;
        }
        d->threadgroup_bytes[i] = slot->threadgroup_bytes[i];
    }
    return true;
}

static void run_slot(
        struct decoder *d, const struct abx_icb_object *icb, const struct abx_icb_slot *slot)
{
    if (slot->kind == 0)
        return;
    if (slot->kind > 2) {
        abx_commands_fail(d, ABX_REASON_ENUM, d->op, slot->kind, 2);
        return;
    }
    if (slot->barrier)
        abx_commands_append(d, ABX_EXEC_BARRIER, sizeof(struct abx_exec_command));
    if ((!(icb->inherit & 1) && !slot_buffers(d, icb, slot)) ||
            (!(icb->inherit & 2) && !slot_pipeline(d, slot->pipeline)) ||
            !slot_threadgroup_memory(d, slot))
        return;
    abx_commands_dispatch(d, slot->grid, slot->threadgroup, slot->kind == 1, NULL, 0);
    d->concurrent = true; /* the slots after the first may overlap, but for barriers */
}

static bool slots_ok(
        struct decoder *d, const struct abx_icb_object *icb, uint32_t first, uint32_t count)
{
    if (abx_range_ok(first, count, icb->count))
        return true;
    abx_commands_fail(d, ABX_REASON_RANGE, d->op, (uint64_t)first + count, icb->count);
    return false;
}

static uint8_t *slot_at(struct decoder *d, const struct abx_icb_object *icb, uint32_t index)
{
    return d->session->window + icb->range->address + icb->offset +
           (size_t)index * sizeof(struct abx_icb_slot);
}

/* Decoding may take long where one record stands for many slots: its client may leave meanwhile. */
static bool client_left(struct decoder *d, uint32_t work)
{
    if ((d->work += work) < LOOK_EVERY)
        return false;
    d->work = 0;
    if (!d->session->transport->ops->is_gone(d->session->transport))
        return false;
    abx_commands_fail(d, ABX_REASON_LOST, d->op, 0, 0);
    return true;
}

void abx_commands_reset_icb(
        struct decoder *d, struct abx_icb_object *icb, uint32_t first, uint32_t count)
{
    if (!slots_ok(d, icb, first, count))
        return;
    for (uint32_t n; count; first += n, count -= n) {
        n = count < SLICE ? count : SLICE;
        memset(slot_at(d, icb, first), 0, n * sizeof(struct abx_icb_slot));
        if (client_left(d, n))
            return;
    }
}

void abx_commands_copy_icb(struct decoder *d, struct abx_icb_object *from, uint32_t first,
        uint32_t count, struct abx_icb_object *to, uint32_t at)
{
    if (!slots_ok(d, from, first, count) || !slots_ok(d, to, at, count))
        return;
    uint8_t *source = slot_at(d, from, first), *target = slot_at(d, to, at);
    size_t bytes = count * sizeof(struct abx_icb_slot), slice = SLICE * sizeof(struct abx_icb_slot);
    bool backwards = target > source;
    for (size_t done = 0, n; done < bytes; done += n) {
        n = bytes - done < slice ? bytes - done : slice;
        size_t place = backwards ? bytes - done - n : done;
        memmove(target + place, source + place, n);
        if (client_left(d, SLICE))
            return;
    }
}

void abx_commands_icb(struct decoder *d, struct abx_icb_object *icb, uint32_t first, uint32_t count,
        struct abx_buffer_object *range, uint64_t range_offset)
{
    if (!slots_ok(d, icb, first, count))
        return;
    struct decoder *saved = malloc(sizeof *saved);
    if (!saved) {
        abx_commands_fail(d, ABX_REASON_MEMORY, d->op, sizeof *saved, 0);
        return;
    }
    memcpy(saved, d, sizeof *saved);
    d->range = range;
    d->range_offset = range_offset;
    for (uint32_t i = 0; i < count && d->submission->state != ABX_SUBMISSION_FAILED; i++) {
        struct abx_icb_slot slot; /* a private copy: the guest can write the original */
        memcpy(&slot, slot_at(d, icb, first + i), sizeof slot);
        d->range_index = first + i;
        run_slot(d, icb, &slot);
        if (client_left(d, 1))
            break;
    }
    saved->work = d->work;
    memcpy(d, saved, sizeof *d);
    free(saved);
    /* What follows in a serial encoder waits for all of the slots, not only for the last. */
    if (!d->concurrent)
        abx_commands_append(d, ABX_EXEC_BARRIER, sizeof(struct abx_exec_command));
}
