/* backend/cuda: dispatches that come again. Worker process, the queue's thread.
 *
 * Programs that train or infer commit the like of a command buffer over and over. A run of
 * dispatches that was issued before, the same kernels on the same memory in grids of the same size,
 * becomes a CUDA graph; from then on it is one call, at a seventh of the time. In it, kernels of a
 * concurrent encoder that no barrier lies between run side by side, all others one after the other.
 * Inline bytes may differ: they lie in memory of the graph's, and are copied there when they do.
 * What is compared is all that a launch is made of, so that the result is the same. */
#include "backend/cuda/queue.h"

#include <stdlib.h>
#include <string.h>

#define REPLAYS 16u /* of a queue */
#define LEAST 8u    /* dispatches */
#define MOST 512u
#define MOST_INLINE ABX_CUDA_BATCH_BYTES
#define MOST_IMAGES (512u << 10) /* bytes of all of a queue's */
/* Where inline bytes are as long as it is not known where. */
#define NOWHERE (1ull << 63)

struct abx_cuda_replay {
    uint64_t hash;
    char *image; /* NULL: an empty place */
    size_t image_bytes;
    uint64_t inline_bytes;
    abx_cu_exec exec; /* NULL: seen once */
    bool hopeless;    /* the driver made none */
    abx_cu_address inline_at;
    char *inline_now; /* what is there */
    bool inline_known;
    uint32_t mark; /* reached when its last launch is over */
    uint64_t used; /* counts */
};

struct run {
    size_t end;               /* of the commands */
    uint32_t count, commands; /* dispatches; with barriers */
    uint64_t inline_bytes;
    uint64_t hash;
    char *image;
    size_t image_bytes, capacity;
};

/* ---- what a run is made of */

static bool put(struct run *run, const void *data, size_t bytes)
{
    if (run->image_bytes + bytes > run->capacity) {
        size_t capacity = (run->image_bytes + bytes) * 2;
        char *image = realloc(run->image, capacity);
        if (!image)
            return false;
        run->image = image;
        run->capacity = capacity;
    }
    memcpy(run->image + run->image_bytes, data, bytes);
    run->image_bytes += bytes;
    return true;
}

static bool is_order(const struct abx_exec_command *c)
{
    return c->op == ABX_EXEC_BARRIER || c->op == ABX_EXEC_WAIT_FENCE ||
           c->op == ABX_EXEC_UPDATE_FENCE;
}

static const struct abx_exec_command *command_at(const struct abx_queue *q, size_t at)
{
    return (const void *)((const char *)q->current->commands + at);
}

/* False: it does not belong into the run. */
static bool put_dispatch(
        const struct abx_queue *q, struct run *run, const struct abx_exec_dispatch *c)
{
    struct abx_cuda_launch l;
    struct abx_ptx_dispatch head;
    abx_cu_address at = NOWHERE + run->inline_bytes;
    if (!abx_cuda_describe(q, &l, c, q->number_at + run->commands, &head, &at) ||
            at - NOWHERE > MOST_INLINE)
        return false;
    uint64_t fixed[3] = {c->pipeline->number, (uint64_t)l.shared << 32 | l.bytes,
            c->head.flags & ABX_EXEC_CONCURRENT};
    if (!put(run, fixed, sizeof fixed) || !put(run, l.parameters, l.bytes))
        return false;
    run->inline_bytes = at - NOWHERE;
    run->count++;
    return true;
}

/* Another thread, on another processor, has written the commands, and each line is waited for. */
static void fetch_early(const struct abx_exec_command *c)
{
    enum { AHEAD = 4, LINE = 64 }; /* commands, of about the same length; bytes */
    for (uint32_t i = 0; i < c->bytes; i += LINE)
        __builtin_prefetch((const char *)c + AHEAD * (size_t)c->bytes + i);
}

static void measure(const struct abx_queue *q, struct run *run)
{
    size_t at = q->at;
    while (at < q->current->bytes && run->count < MOST) {
        const struct abx_exec_command *c = command_at(q, at);
        fetch_early(c);
        static const uint64_t order = ~0ull; /* no pipeline's number */
        if (is_order(c) ? !put(run, &order, sizeof order)
                        : c->op != ABX_EXEC_DISPATCH || !put_dispatch(q, run, (const void *)c))
            break;
        at += c->bytes;
        run->commands++;
    }
    run->end = at;
    run->hash = 0xcbf29ce484222325ull ^ run->image_bytes;
    for (size_t i = 0; i + 8 <= run->image_bytes; i += 8) {
        uint64_t word;
        memcpy(&word, run->image + i, sizeof word);
        run->hash = (run->hash ^ word) * 0x100000001b3ull;
        run->hash ^= run->hash >> 29;
    }
}

/* ---- what is kept */

static void forget(struct abx_cuda_replay *r)
{
    if (r->exec)
        (void)abx_cu.exec_destroy(r->exec);
    if (r->inline_at)
        (void)abx_cu.free(r->inline_at);
    free(r->inline_now);
    free(r->image);
    *r = (struct abx_cuda_replay){0};
}

void abx_cuda_replay_close(struct abx_queue *q)
{
    for (unsigned i = 0; q->replays && i < REPLAYS; i++)
        forget(&q->replays[i]);
    free(q->replays);
}

static struct abx_cuda_replay *find(struct abx_queue *q, const struct run *run)
{
    for (unsigned i = 0; i < REPLAYS; i++) {
        struct abx_cuda_replay *r = &q->replays[i];
        if (r->image && r->hash == run->hash && r->image_bytes == run->image_bytes &&
                memcmp(r->image, run->image, run->image_bytes) == 0)
            return r;
    }
    return NULL;
}

/* In the place of the one that was not used for longest, and does not run. */
static void remember(struct abx_queue *q, struct run *run, uint64_t now)
{
    struct abx_cuda_replay *place = NULL;
    for (unsigned i = 0; i < REPLAYS; i++) {
        struct abx_cuda_replay *r = &q->replays[i];
        if (r->exec && !abx_cuda_reached(q, r->mark))
            continue;
        if (!place || r->used < place->used)
            place = r;
    }
    if (!place)
        return;
    forget(place);
    size_t kept = run->image_bytes;
    for (unsigned i = 0; i < REPLAYS; i++)
        kept += q->replays[i].image_bytes;
    if (kept > MOST_IMAGES) /* the place is free for a smaller one */
        return;
    *place = (struct abx_cuda_replay){.hash = run->hash,
            .image = run->image,
            .image_bytes = run->image_bytes,
            .inline_bytes = run->inline_bytes,
            .used = now};
    run->image = NULL;
}

/* ---- graphs */

/* Kernels that may run side by side, and those that they follow: each of these follows each of
 * those. */
#define MOST_SIDE_BY_SIDE 16u
struct wave {
    abx_cu_node before[MOST_SIDE_BY_SIDE], now[MOST_SIDE_BY_SIDE];
    uint32_t before_count, now_count;
};

static void end_wave(struct wave *w)
{
    if (!w->now_count)
        return;
    memcpy(w->before, w->now, sizeof w->before);
    w->before_count = w->now_count;
    w->now_count = 0;
}

/* One that waits itself is there when the one before it ends. Not where its threadgroups would then
 * share the few processors that have room already, while others become idle: few do not mind, and
 * many are spread anyhow. */
static bool comes_early(
        const struct abx_queue *q, const struct abx_exec_dispatch *d, const uint32_t groups[3])
{
    uint64_t all = (uint64_t)groups[0] * groups[1] * groups[2];
    return d->pipeline->waits &&
           (all <= q->device->processors / 4 || all >= 16ull * q->device->processors);
}

static int add_kernel(struct abx_queue *q, const struct abx_exec_dispatch *d, uint32_t number,
        abx_cu_graph graph, abx_cu_address *inline_at, struct wave *w)
{
    struct abx_cuda_launch l;
    struct abx_ptx_dispatch head;
    (void)abx_cuda_describe(q, &l, d, number, &head, inline_at);
    void *extra[] = {ABX_CU_LAUNCH_BUFFER, l.parameters, ABX_CU_LAUNCH_BUFFER_SIZE, &l.bytes, NULL};
    uint32_t threads;
    struct abx_cu_kernel_node node = {
            .function = abx_cuda_block(d->pipeline, d->threadgroup, &threads),
            .grid = {head.groups[0], head.groups[1], head.groups[2]},
            .block = {threads, 1, 1},
            .shared = l.shared,
            .extra = extra};
    if (!(d->head.flags & ABX_EXEC_CONCURRENT) || w->now_count == MOST_SIDE_BY_SIDE)
        end_wave(w);
    abx_cu_node *now = &w->now[w->now_count++];
    bool early = w->before_count == 1 && comes_early(q, d, head.groups);
    int result = abx_cu.graph_add_kernel(
            now, graph, early ? NULL : w->before, early ? 0 : w->before_count, &node);
    if (early && !result)
        result = abx_cu.graph_add_edges(graph, w->before, now, &ABX_CU_EDGE_EARLY, 1);
    return result;
}

static int add_kernels(
        struct abx_queue *q, const struct run *run, abx_cu_graph graph, abx_cu_address inline_at)
{
    struct wave w = {.before_count = 0};
    uint32_t number = q->number_at;
    int result = ABX_CU_OK;
    for (size_t at = q->at; at < run->end && !result; number++) {
        const struct abx_exec_command *c = command_at(q, at);
        at += c->bytes;
        if (is_order(c))
            end_wave(&w);
        else
            result = add_kernel(q, (const void *)c, number, graph, &inline_at, &w);
    }
    return result;
}

static int make_graph(struct abx_queue *q, const struct run *run, struct abx_cuda_replay *r)
{
    abx_cu_graph graph;
    if (run->inline_bytes) {
        r->inline_now = malloc(run->inline_bytes);
        if (!r->inline_now)
            return ABX_CU_OUT_OF_MEMORY;
        int result = abx_cu.alloc(&r->inline_at, run->inline_bytes);
        if (result)
            return result;
    }
    int result = abx_cu.graph_create(&graph, 0);
    if (result)
        return result;
    result = add_kernels(q, run, graph, r->inline_at);
    if (!result)
        result = abx_cu.graph_instantiate(&r->exec, graph, 0);
    (void)abx_cu.graph_destroy(graph);
    return result;
}

/* ---- */

static bool bring_inline(struct abx_queue *q, const struct run *run, struct abx_cuda_replay *r,
        enum abx_cuda_step *ret_step)
{
    uint64_t at;
    *ret_step = ABX_CUDA_STEP_BLOCKED;
    if (!abx_cuda_staging_room(q, run->inline_bytes, &at))
        return false;
    char *from = q->staging + at % ABX_CUDA_STAGING_BYTES, *to = from;
    for (size_t c = q->at; c < run->end; c += command_at(q, c)->bytes)
        if (!is_order(command_at(q, c)))
            to = abx_cuda_copy_inline(to, (const void *)command_at(q, c));
    if (r->inline_known && memcmp(r->inline_now, from, run->inline_bytes) == 0) {
        q->staging_head = at; /* not needed */
        return true;
    }
    memcpy(r->inline_now, from, run->inline_bytes);
    r->inline_known = true;
    *ret_step = abx_cuda_issued(q, abx_cu.copy(r->inline_at, (abx_cu_address)(uintptr_t)from,
                                           run->inline_bytes, q->stream));
    return *ret_step == ABX_CUDA_STEP_ON;
}

static enum abx_cuda_step launch(
        struct abx_queue *q, const struct run *run, struct abx_cuda_replay *r)
{
    enum abx_cuda_step step = ABX_CUDA_STEP_ON;
    if (run->inline_bytes && !bring_inline(q, run, r, &step))
        return step;
    step = abx_cuda_issued(q, abx_cu.graph_launch(r->exec, q->stream));
    if (step != ABX_CUDA_STEP_ON)
        return step;
    r->mark = q->number + 1;
    q->staged += run->inline_bytes; /* where they were brought with what comes before and behind */
    q->kernels += run->count;
    q->current->result.kernels += run->count;
    q->consumed = run->end - q->at;
    q->commands = run->commands;
    return step;
}

static enum abx_cuda_step replay(struct abx_queue *q, struct run *run)
{
    uint64_t now = q->current_number + 1;
    struct abx_cuda_replay *r = find(q, run);
    if (!r) {
        remember(q, run, now);
        return ABX_CUDA_STEP_ON;
    }
    r->used = now;
    if (!r->exec && !r->hopeless) {
        int result = make_graph(q, run, r);
        if (result && abx_cuda_is_fatal(result))
            return abx_cuda_issued(q, result);
        r->hopeless = result != ABX_CU_OK;
    }
    return r->exec ? launch(q, run, r) : ABX_CUDA_STEP_ON;
}

enum abx_cuda_step abx_cuda_replay(struct abx_queue *q)
{
    struct run run = {0};
    size_t begin = q->at;
    if (!q->replays)
        q->replays = calloc(REPLAYS, sizeof *q->replays);
    measure(q, &run);
    enum abx_cuda_step step = ABX_CUDA_STEP_ON;
    size_t own = q->consumed;
    if (q->replays && run.count >= LEAST)
        step = replay(q, &run);
    if (step == ABX_CUDA_STEP_ON && q->consumed == own)
        q->looked_until = run.end > begin ? run.end : begin + own;
    free(run.image);
    return step;
}
