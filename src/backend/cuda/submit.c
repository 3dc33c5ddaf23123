/* backend/cuda: what commands become in the queue's stream. Worker process, the queue's thread. The
 * commands are the host's, validated; what lies in buffers (indirect grids, ranges) is the guest's
 * and is read once.
 *
 * A stream runs in order, so barriers and fences are nothing here. What the processor has to know
 * (indirect grids) is copied to it first; the queue then goes on when the copy is there. */
#include "backend/cuda/queue.h"

#include <stdlib.h>
#include <string.h>

#define MAX_GRID_X 0x7fffffffu
#define MAX_GRID_YZ 65535u
/* Behind a kernel's threadgroup memory: programs ask for less than they use (ggml's attention with
 * keys longer than its values), and Apple's GPUs hand it out in larger pieces; here it would trap.
 */
#define SLACK_BYTES 1024u
/* Of one dispatch, whose grid is larger than CUDA's. */
#define MAX_LAUNCHES (1u << 17)

/* Of a call of the driver's for the submission being issued. */
enum abx_cuda_step abx_cuda_issued(struct abx_queue *q, int result)
{
    /* Also when it failed: what came before it in the same step may be under way. */
    q->unmarked = true;
    if (result == ABX_CU_OK)
        return ABX_CUDA_STEP_ON;
    if (abx_cuda_is_fatal(result))
        abx_cuda_lose(q->device, result, NULL, 0, 0);
    q->error = result == ABX_CU_OUT_OF_MEMORY || result == ABX_CU_OUT_OF_RESOURCES
                       ? ABX_EXEC_OUT_OF_MEMORY
                       : ABX_EXEC_INTERNAL;
    return ABX_CUDA_STEP_FAILED;
}

static enum abx_cuda_step refuse(struct abx_queue *q, int error)
{
    q->error = error;
    return ABX_CUDA_STEP_FAILED;
}

/* ---- inline bytes */

static bool is_dispatch(const struct abx_exec_command *c)
{
    return c->op == ABX_EXEC_DISPATCH || c->op == ABX_EXEC_DISPATCH_INDIRECT;
}

static const struct abx_exec_binding *inline_binding(const struct abx_exec_dispatch *c, uint32_t i)
{
    uint32_t index = c->pipeline->info.buffers[i];
    const struct abx_exec_binding *b = &c->bindings[index];
    return index < c->binding_count && !b->memory && b->offset ? b : NULL;
}

uint64_t abx_cuda_inline_bytes(const struct abx_exec_dispatch *c)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < c->pipeline->info.buffer_count; i++) {
        const struct abx_exec_binding *b = inline_binding(c, i);
        if (b)
            bytes += abx_align_up(b->available, ABX_CUDA_INLINE_ALIGN);
    }
    return bytes;
}

char *abx_cuda_copy_inline(char *to, const struct abx_exec_dispatch *c)
{
    for (uint32_t i = 0; i < c->pipeline->info.buffer_count; i++) {
        const struct abx_exec_binding *b = inline_binding(c, i);
        if (!b)
            continue;
        memcpy(to, (const char *)c + b->offset, b->available);
        to += abx_align_up(b->available, ABX_CUDA_INLINE_ALIGN);
    }
    return to;
}

static bool is_event(const struct abx_exec_command *c)
{
    return c->op == ABX_EXEC_WAIT_EVENT || c->op == ABX_EXEC_SIGNAL_EVENT;
}

/* The dispatches from here on, as many as make one batch. */
static size_t measure_batch(struct abx_queue *q, uint64_t *ret_bytes)
{
    const struct abx_submission *s = q->current;
    size_t at = q->at;
    uint64_t bytes = 0;
    for (uint32_t n = 0; at < s->bytes && n < ABX_CUDA_BATCH_DISPATCHES; n++) {
        const struct abx_exec_command *c = (const void *)((const char *)s->commands + at);
        uint64_t more = is_dispatch(c) ? abx_cuda_inline_bytes((const void *)c) : 0;
        if (bytes && bytes + more > ABX_CUDA_BATCH_BYTES)
            break;
        bytes += more;
        at += c->bytes;
    }
    *ret_bytes = bytes;
    return at;
}

bool abx_cuda_staging_room(struct abx_queue *q, uint64_t bytes, uint64_t *ret_at)
{
    uint64_t at = q->staging_head, offset = at % ABX_CUDA_STAGING_BYTES;
    if (offset + bytes > ABX_CUDA_STAGING_BYTES)
        at += ABX_CUDA_STAGING_BYTES - offset;
    if (at + bytes - q->staging_tail > ABX_CUDA_STAGING_BYTES)
        return false;
    q->staging_head = at + bytes;
    *ret_at = at;
    return true;
}

/* BLOCKED: the ring is full of what runs. */
static enum abx_cuda_step stage(struct abx_queue *q)
{
    uint64_t bytes;
    size_t end = measure_batch(q, &bytes);
    q->staged_until = end;
    if (!bytes)
        return ABX_CUDA_STEP_ON;
    uint64_t at, offset;
    if (!abx_cuda_staging_room(q, bytes, &at)) {
        q->staged_until = 0;
        return ABX_CUDA_STEP_BLOCKED;
    }
    offset = at % ABX_CUDA_STAGING_BYTES;
    uint64_t next = offset;
    for (size_t c = q->at; c < end;) {
        const struct abx_exec_command *command =
                (const void *)((const char *)q->current->commands + c);
        if (is_dispatch(command)) {
            next = (uint64_t)(abx_cuda_copy_inline(q->staging + next, (const void *)command) -
                              q->staging);
        }
        c += command->bytes;
    }
    q->staged = at;
    return abx_cuda_issued(
            q, abx_cu.copy(q->staging_address + offset,
                       (abx_cu_address)(uintptr_t)(q->staging + offset), bytes, q->stream));
}

/* ---- words of the guest's memory */

/* BLOCKED until `count` words at `offset` of the memory are in q->read. */
static enum abx_cuda_step read_words(struct abx_queue *q, const void *what,
        const struct abx_device_memory *memory, uint64_t offset, uint32_t count)
{
    if (q->read_for != what) {
        enum abx_cuda_step step = abx_cuda_issued(
                q, abx_cu.copy(q->read_address, memory->address + offset, 4 * count, q->stream));
        if (step != ABX_CUDA_STEP_ON)
            return step;
        q->read_for = what;
        q->reading = false;
    }
    if (!q->reading) {
        if (!abx_cuda_mark(q, ABX_CUDA_MARK_PROGRESS, NULL, 0))
            return ABX_CUDA_STEP_BLOCKED;
        q->reading = true;
        q->read_mark = q->number;
    }
    return abx_cuda_reached(q, q->read_mark) ? ABX_CUDA_STEP_ON : ABX_CUDA_STEP_BLOCKED;
}

/* A command of an indirect command buffer: is it in the range? All of one buffer's commands follow
 * each other, and have one range. */
static enum abx_cuda_step look_at_range(
        struct abx_queue *q, const struct abx_exec_dispatch *c, bool *ret_runs)
{
    *ret_runs = true;
    if (!c->range) {
        q->range = NULL;
        return ABX_CUDA_STEP_ON;
    }
    if (q->range != c->range || q->range_offset != c->range_offset) {
        enum abx_cuda_step step = read_words(q, &c->range, c->range, c->range_offset, 2);
        if (step != ABX_CUDA_STEP_ON)
            return step;
        q->read_for = NULL;
        q->range = c->range;
        q->range_offset = c->range_offset;
        memcpy(q->range_words, q->read, sizeof q->range_words);
    }
    *ret_runs = c->range_index >= q->range_words[0] &&
                c->range_index - q->range_words[0] < q->range_words[1];
    return ABX_CUDA_STEP_ON;
}

/* ---- dispatches */

static void put(struct abx_cuda_launch *l, const void *value, size_t bytes)
{
    memcpy(l->parameters + l->bytes, value, bytes);
    l->bytes += bytes;
}

/* Inline bytes are at *inline_at, the next one's behind. */
static void put_buffers(
        struct abx_cuda_launch *l, const struct abx_exec_dispatch *c, abx_cu_address *inline_at)
{
    const struct abx_ptx *info = &c->pipeline->info;
    for (uint32_t i = 0; i < info->buffer_count; i++) {
        const struct abx_exec_binding *b = &c->bindings[info->buffers[i]];
        abx_cu_address at = 0;
        if (inline_binding(c, i)) {
            at = *inline_at;
            *inline_at += abx_align_up(b->available, ABX_CUDA_INLINE_ALIGN);
        } else if (info->buffers[i] < c->binding_count && b->memory)
            at = b->memory->address + b->offset;
        put(l, &at, sizeof at);
    }
}

static int put_threadgroup(struct abx_cuda_launch *l, const struct abx_exec_dispatch *c)
{
    const struct abx_ptx *info = &c->pipeline->info;
    for (uint32_t i = 0; i < info->threadgroup_count; i++) {
        uint32_t offset = l->shared / 16, bytes = c->threadgroup_bytes[info->threadgroup[i]];
        if (bytes > ABX_MAX_THREADGROUP_BYTES)
            return ABX_EXEC_INVALID_RESOURCE;
        l->shared += (uint32_t)abx_align_up(bytes, 16);
        put(l, &offset, sizeof offset);
    }
    if (l->shared > ABX_MAX_THREADGROUP_BYTES + 16 * ABX_MAX_THREADGROUP_BINDINGS)
        return ABX_EXEC_INVALID_RESOURCE;
    if (info->threadgroup_count)
        l->shared += SLACK_BYTES;
    return ABX_EXEC_OK;
}

/* The grid in threads; an indirect one is the guest's memory, and in q->read. */
static int put_grid(
        const struct abx_queue *q, struct abx_ptx_dispatch *head, const struct abx_exec_dispatch *c)
{
    uint64_t all = 1;
    for (int d = 0; d < 3; d++) {
        uint64_t group = c->threadgroup[d];
        uint64_t threads =
                c->head.op == ABX_EXEC_DISPATCH_INDIRECT ? q->read[d] * group : c->grid[d];
        if (threads > UINT32_MAX || group == 0)
            return ABX_EXEC_INVALID_RESOURCE;
        head->grid[d] = (uint32_t)threads;
        head->group_size[d] = (uint32_t)group;
        head->groups[d] = (uint32_t)((threads + group - 1) / group);
        if (__builtin_mul_overflow(all, (uint64_t)head->groups[d], &all))
            return ABX_EXEC_INVALID_RESOURCE;
    }
    return ABX_EXEC_OK;
}

/* The second of the queue's words says which kernel began last. */
static struct abx_ptx_dispatch begins(const struct abx_queue *q, uint32_t number)
{
    abx_cu_address at = q->device->words_address + (q->word + 1) * sizeof(uint32_t);
    return (struct abx_ptx_dispatch){
            .began = {(uint32_t)at, (uint32_t)(at >> 32)}, .number = number};
}

static uint32_t box(uint32_t groups, uint32_t origin, uint32_t most)
{
    return groups - origin < most ? groups - origin : most;
}

static uint64_t boxes(uint32_t groups, uint32_t most)
{
    return ((uint64_t)groups + most - 1) / most;
}

static int launch_box(struct abx_queue *q, const struct abx_exec_dispatch *c,
        struct abx_cuda_launch *l, const struct abx_ptx_dispatch *head)
{
    void *extra[] = {
            ABX_CU_LAUNCH_BUFFER, l->parameters, ABX_CU_LAUNCH_BUFFER_SIZE, &l->bytes, NULL};
    uint32_t threads;
    abx_cu_function function = abx_cuda_block(c->pipeline, c->threadgroup, &threads);
    memcpy(l->parameters, head, sizeof *head);
    return abx_cu.launch(function, box(head->groups[0], head->origin[0], MAX_GRID_X),
            box(head->groups[1], head->origin[1], MAX_GRID_YZ),
            box(head->groups[2], head->origin[2], MAX_GRID_YZ), threads, 1, 1, l->shared, q->stream,
            NULL, extra);
}

/* Boxes of threadgroups that CUDA's grids have room for; most often one. */
static enum abx_cuda_step launch(struct abx_queue *q, const struct abx_exec_dispatch *c,
        struct abx_cuda_launch *l, struct abx_ptx_dispatch *head)
{
    const uint32_t *g = head->groups;
    int result = ABX_CU_OK;
    if (!g[0] || !g[1] || !g[2])
        return ABX_CUDA_STEP_ON;
    if (boxes(g[1], MAX_GRID_YZ) * boxes(g[2], MAX_GRID_YZ) * boxes(g[0], MAX_GRID_X) >
            MAX_LAUNCHES)
        return refuse(q, ABX_EXEC_INVALID_RESOURCE);
    uint64_t o[3];
    for (o[2] = 0; o[2] < g[2] && !result; o[2] += MAX_GRID_YZ)
        for (o[1] = 0; o[1] < g[1] && !result; o[1] += MAX_GRID_YZ)
            for (o[0] = 0; o[0] < g[0] && !result && !abx_cuda_cancelled(q); o[0] += MAX_GRID_X) {
                for (int d = 0; d < 3; d++)
                    head->origin[d] = (uint32_t)o[d];
                result = launch_box(q, c, l, head);
            }
    q->kernels++;
    return abx_cuda_issued(q, result);
}

static enum abx_cuda_step dispatch(struct abx_queue *q, const struct abx_exec_dispatch *c)
{
    struct abx_cuda_launch l; /* of its parameters only as many bytes as there are */
    l.bytes = sizeof(struct abx_ptx_dispatch);
    l.shared = 0;
    struct abx_ptx_dispatch head = begins(q, q->number_at);
    bool runs = true;
    enum abx_cuda_step step = look_at_range(q, c, &runs);
    if (step == ABX_CUDA_STEP_ON && runs && c->head.op == ABX_EXEC_DISPATCH_INDIRECT)
        step = read_words(q, &c->indirect, c->indirect, c->indirect_offset, 3);
    if (step != ABX_CUDA_STEP_ON)
        return step;
    q->read_for = NULL;
    /* Also of one that does not run: the next one's bytes lie behind. */
    abx_cu_address from = q->staging_address + q->staged % ABX_CUDA_STAGING_BYTES, at = from;
    put_buffers(&l, c, &at);
    q->staged += at - from;
    if (!runs)
        return ABX_CUDA_STEP_ON;
    int error = put_threadgroup(&l, c);
    if (error == ABX_EXEC_OK)
        error = put_grid(q, &head, c);
    if (error != ABX_EXEC_OK)
        return refuse(q, error);
    q->current->result.kernels++;
    return launch(q, c, &l, &head);
}

bool abx_cuda_describe(const struct abx_queue *q, struct abx_cuda_launch *l,
        const struct abx_exec_dispatch *c, uint32_t number, struct abx_ptx_dispatch *head,
        abx_cu_address *inline_at)
{
    *head = begins(q, number);
    l->bytes = sizeof *head;
    l->shared = 0;
    if (c->head.op != ABX_EXEC_DISPATCH || c->range)
        return false;
    put_buffers(l, c, inline_at);
    if (put_threadgroup(l, c) || put_grid(NULL, head, c))
        return false;
    memcpy(l->parameters, head, sizeof *head);
    return head->groups[0] && head->groups[1] && head->groups[2] && head->groups[0] <= MAX_GRID_X &&
           head->groups[1] <= MAX_GRID_YZ && head->groups[2] <= MAX_GRID_YZ;
}

/* ---- copies and fills */

/* In pieces, in the direction in which nothing is overwritten before it is read. */
static int move_piecewise(
        struct abx_queue *q, abx_cu_address to, abx_cu_address from, uint64_t length)
{
    int result = q->bounce ? ABX_CU_OK : abx_cu.alloc(&q->bounce, ABX_CUDA_BOUNCE_BYTES);
    for (uint64_t done = 0; !result && done < length;) {
        uint64_t n = length - done < ABX_CUDA_BOUNCE_BYTES ? length - done : ABX_CUDA_BOUNCE_BYTES;
        uint64_t at = to < from ? done : length - done - n;
        result = abx_cu.copy(q->bounce, from + at, n, q->stream);
        if (!result)
            result = abx_cu.copy(to + at, q->bounce, n, q->stream);
        done += n;
    }
    return result;
}

static enum abx_cuda_step copy(struct abx_queue *q, const struct abx_exec_copy *c)
{
    abx_cu_address from = c->from->address + c->from_offset, to = c->to->address + c->to_offset;
    if (!c->length || from == to)
        return ABX_CUDA_STEP_ON;
    bool overlap = from < to + c->length && to < from + c->length;
    int result = overlap ? move_piecewise(q, to, from, c->length)
                         : abx_cu.copy(to, from, c->length, q->stream);
    return abx_cuda_issued(q, result);
}

static enum abx_cuda_step fill(struct abx_queue *q, const struct abx_exec_fill *c)
{
    if (!c->length)
        return ABX_CUDA_STEP_ON;
    return abx_cuda_issued(q,
            abx_cu.fill(c->to->address + c->offset, (unsigned char)c->value, c->length, q->stream));
}

/* ---- events */

static void put_wait(struct abx_cuda_wait *w)
{
    if (atomic_fetch_sub(&w->references, 1) == 1)
        free(w);
}

static void rouse(struct abx_queue *q)
{
    if (atomic_exchange(&q->sleeping, 0))
        abx_futex_wake((const uint32_t *)&q->sleeping, 1);
}

/* The queue may be gone once `done` is seen: who gets it from the wait rouses it first. */
static void event_reached(void *user)
{
    struct abx_cuda_wait *w = user;
    atomic_store(&w->done, 1);
    struct abx_queue *q = atomic_exchange(&w->queue, NULL);
    if (q) {
        rouse(q);
        atomic_store(&w->done, 2);
    }
    put_wait(w);
}

void abx_cuda_end_wait(struct abx_queue *q)
{
    struct abx_cuda_wait *w = q->wait;
    if (!w)
        return;
    q->wait = NULL;
    /* Somebody is about to rouse this queue: not before that may it end. */
    if (!atomic_exchange(&w->queue, NULL))
        while (atomic_load(&w->done) != 2)
            abx_cpu_relax();
    put_wait(w);
}

static enum abx_cuda_step wait_event(struct abx_queue *q, const struct abx_exec_event *c)
{
    const struct abx_event_ops *events = q->device->config.events;
    bool reached = events->value(c->event) >= c->value;
    if (!reached && !q->wait) {
        struct abx_cuda_wait *w = calloc(1, sizeof *w);
        if (!w)
            return refuse(q, ABX_EXEC_OUT_OF_MEMORY);
        atomic_store(&w->references, 2);
        atomic_store(&w->queue, q);
        q->wait = w;
        if (events->notify(c->event, c->value, event_reached, w)) {
            atomic_store(&w->queue, NULL);
            q->wait = NULL;
            put_wait(w);
            put_wait(w);
            reached = true;
        }
    }
    if (!reached && abx_cuda_cancelled(q)) {
        abx_cuda_end_wait(q);
        return refuse(q, ABX_EXEC_DEVICE_REMOVED);
    }
    if (!reached)
        return ABX_CUDA_STEP_BLOCKED;
    abx_cuda_end_wait(q);
    return abx_cuda_mirrors_exchange(q, true);
}

/* ---- */

static enum abx_cuda_step signal_event(struct abx_queue *q, const struct abx_exec_event *c)
{
    if (q->touched) { /* who waits for the event sees what was written before */
        enum abx_cuda_step step = abx_cuda_mirrors_exchange(q, false);
        if (step != ABX_CUDA_STEP_ON)
            return step;
        q->touched = false;
    }
    return abx_cuda_mark(q, ABX_CUDA_MARK_SIGNAL, c->event, c->value) ? ABX_CUDA_STEP_ON
                                                                      : ABX_CUDA_STEP_BLOCKED;
}

static enum abx_cuda_step issue_one(struct abx_queue *q, const struct abx_exec_command *c)
{
    switch ((enum abx_exec_op)c->op) {
    case ABX_EXEC_DISPATCH:
    case ABX_EXEC_DISPATCH_INDIRECT:
        return dispatch(q, (const struct abx_exec_dispatch *)c);
    case ABX_EXEC_COPY:
        return copy(q, (const struct abx_exec_copy *)c);
    case ABX_EXEC_FILL:
        return fill(q, (const struct abx_exec_fill *)c);
    case ABX_EXEC_WAIT_EVENT:
        return wait_event(q, (const struct abx_exec_event *)c);
    case ABX_EXEC_SIGNAL_EVENT:
        return signal_event(q, (const struct abx_exec_event *)c);
    case ABX_EXEC_MATRIX_MULTIPLY:
        return abx_cuda_multiply(q, (const struct abx_exec_matrix_multiply *)c);
    case ABX_EXEC_TIMESTAMP:
        return abx_cuda_timestamp(q, (const struct abx_exec_timestamp *)c);
    case ABX_EXEC_BARRIER:
    case ABX_EXEC_WAIT_FENCE:
    case ABX_EXEC_UPDATE_FENCE:
        return ABX_CUDA_STEP_ON;
    }
    return refuse(q, ABX_EXEC_INTERNAL);
}

enum abx_cuda_step abx_cuda_issue(struct abx_queue *q, const struct abx_exec_command *c)
{
    q->consumed = c->bytes;
    q->commands = 1;
    q->touched |= q->mirrored && !is_event(c);
    if (c->op == ABX_EXEC_DISPATCH && q->at >= q->looked_until && !q->read_for) {
        enum abx_cuda_step step = abx_cuda_replay(q);
        if (step != ABX_CUDA_STEP_ON || q->consumed != c->bytes)
            return step;
    }
    if (q->staged_until <= q->at) {
        enum abx_cuda_step step = stage(q);
        if (step != ABX_CUDA_STEP_ON)
            return step;
    }
    if (!is_dispatch(c))
        q->range = NULL;
    return issue_one(q, c);
}

int abx_cuda_submit_open(struct abx_queue *q)
{
    void *host = NULL;
    int result = abx_cu.host_alloc(&host, ABX_CUDA_STAGING_BYTES + 64, ABX_CU_HOST_PORTABLE_MAPPED);
    if (result)
        return abx_cuda_errno(result);
    q->staging = host;
    q->read = (uint32_t *)(q->staging + ABX_CUDA_STAGING_BYTES);
    q->clock_seen = (uint64_t *)(q->staging + ABX_CUDA_STAGING_BYTES + 32);
    result = abx_cu.host_address(&q->read_address, q->read, 0);
    q->clock_address = q->read_address + 32;
    if (!result)
        result = abx_cu.alloc(&q->staging_address, ABX_CUDA_STAGING_BYTES);
    return abx_cuda_errno(result);
}

void abx_cuda_submit_close(struct abx_queue *q)
{
    if (q->staging)
        (void)abx_cu.host_free(q->staging);
    if (q->staging_address)
        (void)abx_cu.free(q->staging_address);
    abx_cuda_replay_close(q);
    abx_cuda_matrix_queue_close(q);
    if (q->bounce)
        (void)abx_cu.free(q->bounce);
}
