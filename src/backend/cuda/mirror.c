/* backend/cuda: mirrors: shared memory that kernels use again and again lies in the device's own
 * memory, too, and they work there, at its speed instead of the bus's. Worker process.
 *
 * The device's memory takes the place of the guest's pages in the device's addresses, so that no
 * address changes; the pages are registered where they are mapped a second time. What the guest
 * says that it has written is carried to the device when a command buffer that uses the memory
 * begins, and goes on after an event; what commands may have written is carried to the pages when
 * it ends, and before it raises an event.
 *
 * Only words that changed since both sides agreed are carried, and nothing else is written: what
 * one side writes beside another's words meanwhile stays. For that there is a third copy, of what
 * both agreed on, once commands write to the memory at all.
 *
 * Words are carried by one kernel at a time, whatever the queue: each queue's waits for the last
 * other one's, so that a word is never looked at halfway. */
#include "backend/cuda/queue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PIECES 64u /* of one launch */
#define BLOCK 256u
#define MOST_BLOCKS 1024u     /* of one piece */
#define COPY_BYTES (1u << 20) /* pieces as large that need no look are the copy engine's */
#define SPANS 32u
#define MOST_PAUSE 255u

struct span {
    uint64_t begin, end;
};

struct abx_cuda_mirror {
    _Atomic bool settled; /* it is there, or will never be */
    uint32_t rest, pause; /* submissions that do not try to make it, and that did not last time */
    bool there;
    bool blank; /* nothing is in it yet */
    bool exposed;
    _Atomic bool unseen; /* by the guest: nothing is carried */
    _Atomic bool shown;  /* it was until now: all that was written is still to be carried */
    void *pages;         /* the guest's, mapped a second time, and registered */
    abx_cu_address pages_address;
    abx_cu_memory memory;  /* in the guest's pages' place */
    uint64_t bytes;        /* of that */
    abx_cu_address agreed; /* 0: no command has written yet, and it has what the pages had */
    pthread_mutex_t lock;  /* the spans, which the guest has written; in whole words */
    struct span spans[SPANS];
    uint32_t span_count;
};

/* For each piece, where its words go, come from, and what was agreed on, or 0: all go. */
struct piece {
    uint64_t to, from, agreed, bytes;
};
static const char ptx[] =
        ".version 7.0\n.target sm_80\n.address_size 64\n"
        ".visible .entry abx_entry_merge(.param .align 8 .b8 pieces[2048])\n"
        "{\n.reg .pred %p<9>;\n.reg .b32 %r<26>;\n.reg .b64 %d<22>;\n"
        "mov.u32 %r1, %ctaid.y;\nmul.wide.u32 %d1, %r1, 32;\nmov.b64 %d2, pieces;\n"
        "add.s64 %d2, %d2, %d1;\nld.param.u64 %d3, [%d2];\nld.param.u64 %d4, [%d2+8];\n"
        "ld.param.u64 %d5, [%d2+16];\nld.param.u64 %d6, [%d2+24];\n"
        "mov.u32 %r2, %ctaid.x;\nmov.u32 %r3, %ntid.x;\nmov.u32 %r4, %tid.x;\n"
        "mov.u32 %r5, %nctaid.x;\nmul.wide.u32 %d7, %r2, %r3;\ncvt.u64.u32 %d8, %r4;\n"
        "add.s64 %d7, %d7, %d8;\nshl.b64 %d7, %d7, 4;\n"
        "mul.wide.u32 %d9, %r5, %r3;\nshl.b64 %d9, %d9, 4;\nsetp.eq.u64 %p1, %d5, 0;\n"
        "@!%p1 bra look;\nmul.lo.u64 %d13, %d9, 3;\nshl.b64 %d14, %d9, 2;\n"
        /* All go: four words a turn, which are under way together. */
        "four:\nadd.s64 %d15, %d7, %d13;\nsetp.ge.u64 %p2, %d15, %d6;\n@%p2 bra look;\n"
        "add.s64 %d10, %d4, %d7;\nadd.s64 %d16, %d10, %d9;\n"
        "add.s64 %d17, %d16, %d9;\nadd.s64 %d18, %d17, %d9;\n"
        "ld.volatile.global.v4.u32 {%r6, %r7, %r8, %r9}, [%d10];\n"
        "ld.volatile.global.v4.u32 {%r14, %r15, %r16, %r17}, [%d16];\n"
        "ld.volatile.global.v4.u32 {%r18, %r19, %r20, %r21}, [%d17];\n"
        "ld.volatile.global.v4.u32 {%r22, %r23, %r24, %r25}, [%d18];\n"
        "add.s64 %d11, %d3, %d7;\nadd.s64 %d19, %d11, %d9;\n"
        "add.s64 %d20, %d19, %d9;\nadd.s64 %d21, %d20, %d9;\n"
        "st.global.v4.u32 [%d11], {%r6, %r7, %r8, %r9};\n"
        "st.global.v4.u32 [%d19], {%r14, %r15, %r16, %r17};\n"
        "st.global.v4.u32 [%d20], {%r18, %r19, %r20, %r21};\n"
        "st.global.v4.u32 [%d21], {%r22, %r23, %r24, %r25};\n"
        "add.s64 %d7, %d7, %d14;\nbra four;\n"
        "look:\nsetp.ge.u64 %p2, %d7, %d6;\n@%p2 ret;\n"
        "add.s64 %d10, %d4, %d7;\nadd.s64 %d11, %d3, %d7;\nadd.s64 %d12, %d5, %d7;\n"
        "ld.volatile.global.v4.u32 {%r6, %r7, %r8, %r9}, [%d10];\n@%p1 bra all;\n"
        "ld.global.v4.u32 {%r10, %r11, %r12, %r13}, [%d12];\n"
        "setp.ne.u32 %p3, %r6, %r10;\nsetp.ne.u32 %p4, %r7, %r11;\n"
        "setp.ne.u32 %p5, %r8, %r12;\nsetp.ne.u32 %p6, %r9, %r13;\n"
        "or.pred %p7, %p3, %p4;\nor.pred %p7, %p7, %p5;\nor.pred %p7, %p7, %p6;\n"
        "@!%p7 bra next;\nst.global.v4.u32 [%d12], {%r6, %r7, %r8, %r9};\n"
        "and.pred %p8, %p3, %p4;\nand.pred %p8, %p8, %p5;\nand.pred %p8, %p8, %p6;\n"
        "@%p8 bra all;\n@%p3 st.global.u32 [%d11], %r6;\n@%p4 st.global.u32 [%d11+4], %r7;\n"
        "@%p5 st.global.u32 [%d11+8], %r8;\n@%p6 st.global.u32 [%d11+12], %r9;\nbra next;\n"
        "all:\nst.global.v4.u32 [%d11], {%r6, %r7, %r8, %r9};\n"
        "next:\nadd.s64 %d7, %d7, %d9;\nbra look;\n}\n";

int abx_cuda_mirrors_open(struct abx_device *device)
{
    int result = abx_cu.event_create(&device->merge_event, ABX_CU_EVENT_NO_TIMING);
    if (!result)
        result =
                abx_cuda_load_kernel(ptx, "abx_entry_merge", &device->merge_module, &device->merge);
    return abx_cuda_errno(result);
}

void abx_cuda_mirrors_close(struct abx_device *device)
{
    if (device->merge_event)
        (void)abx_cu.event_destroy(device->merge_event);
    if (device->merge_module)
        (void)abx_cu.module_unload(device->merge_module);
}

/* ---- what the host says */

uint64_t abx_cuda_mirror_bytes(uint64_t bytes)
{
    return abx_align_up(bytes + ABX_CUDA_GUARD_BYTES, ABX_CUDA_SLOT_BYTES) + bytes;
}

int abx_cuda_mirror(struct abx_device_memory *m, bool unseen)
{
    if (!m->imported || atomic_load(&m->mirror))
        return -EINVAL;
    struct abx_cuda_mirror *mirror = calloc(1, sizeof *mirror);
    if (!mirror)
        return -ENOMEM;
    pthread_mutex_init(&mirror->lock, NULL);
    atomic_store(&mirror->unseen, unseen);
    atomic_store(&m->mirror, mirror);
    return 0;
}

void abx_cuda_seen(struct abx_device_memory *m)
{
    struct abx_cuda_mirror *mirror = atomic_load(&m->mirror);
    if (!mirror || !atomic_load(&mirror->unseen))
        return;
    atomic_store(&mirror->shown, true); /* first: prepare() looks at it once it is seen */
    atomic_store(&mirror->unseen, false);
}

void abx_cuda_exposed(struct abx_device_memory *m)
{
    struct abx_cuda_mirror *mirror = atomic_load(&m->mirror);
    if (!mirror || mirror->exposed)
        return;
    pthread_mutex_lock(&m->device->merge_lock);
    mirror->exposed = true;
    if (mirror->there) {
        m->next_exposed = atomic_load(&m->device->exposed);
        atomic_store(&m->device->exposed, m);
    }
    atomic_store(&mirror->settled, true);
    pthread_mutex_unlock(&m->device->merge_lock);
}

static void forget_exposed(struct abx_device_memory *m)
{
    struct abx_device *device = m->device;
    pthread_mutex_lock(&device->merge_lock);
    struct abx_device_memory *next = atomic_load(&device->exposed);
    if (next == m)
        atomic_store(&device->exposed, m->next_exposed);
    for (; next; next = next->next_exposed)
        if (next->next_exposed == m)
            next->next_exposed = m->next_exposed;
    pthread_mutex_unlock(&device->merge_lock);
}

static bool touches(struct span a, struct span b)
{
    return a.begin <= b.end && b.begin <= a.end;
}

/* Those that it touches become one with it: no word is in two, which would be compared twice at
 * once. Where there is no room for another one the last takes it in: more is carried than has to
 * be. */
static void add_span(struct abx_cuda_mirror *mirror, struct span span)
{
    for (uint32_t at = 0; at < mirror->span_count;) {
        struct span *s = &mirror->spans[at];
        bool last = mirror->span_count == SPANS && at == SPANS - 1;
        if (!last && !touches(*s, span)) {
            at++;
            continue;
        }
        span.begin = s->begin < span.begin ? s->begin : span.begin;
        span.end = s->end > span.end ? s->end : span.end;
        *s = mirror->spans[--mirror->span_count];
        at = 0; /* it may touch those that it did not touch before */
    }
    mirror->spans[mirror->span_count++] = span;
}

static struct span words(uint64_t offset, uint64_t bytes)
{
    return (struct span){offset / ABX_CUDA_WORD_BYTES * ABX_CUDA_WORD_BYTES,
            abx_align_up(offset + bytes, ABX_CUDA_WORD_BYTES)};
}

void abx_cuda_wrote(struct abx_device_memory *m, uint64_t offset, uint64_t bytes)
{
    struct abx_cuda_mirror *mirror = atomic_load(&m->mirror);
    if (!mirror || !bytes)
        return;
    pthread_mutex_lock(&mirror->lock);
    add_span(mirror, words(offset, bytes));
    pthread_mutex_unlock(&mirror->lock);
}

/* ---- making one. The device's merge_lock is held from here on: nobody is told of a loss, which
 * ends submissions, and memory with them, that takes the lock to go. Who lets go of it tells
 * (issued()). */

#define WAITS (-1) /* what this queue has under way has to be over first */
#define GONE (-2)  /* kernels would find nothing where memory was */

static int map_device(struct abx_device_memory *m, struct abx_cuda_mirror *mirror)
{
    struct abx_cu_access access = {{1, m->device->number}, 3};
    int result = abx_cu.memory_map(m->address, mirror->bytes, 0, mirror->memory, 0);
    if (result)
        return result;
    result = abx_cu.memory_access(m->address, mirror->bytes, &access, 1);
    if (result)
        (void)abx_cu.memory_unmap(m->address, mirror->bytes);
    return result;
}

/* The pages' second place. */
static int register_again(struct abx_device_memory *m, struct abx_cuda_mirror *mirror)
{
    void *pages = mremap((void *)(uintptr_t)m->address, 0, m->bytes, MREMAP_MAYMOVE);
    if (pages == MAP_FAILED)
        return ABX_CU_OPERATING_SYSTEM;
    int result = abx_cu.host_register(pages, m->bytes, ABX_CU_HOST_PORTABLE_MAPPED);
    if (!result) {
        result = abx_cu.host_address(&mirror->pages_address, pages, 0);
        if (result)
            (void)abx_cu.host_unregister(pages);
    }
    if (result)
        munmap(pages, m->bytes);
    else
        mirror->pages = pages;
    return result;
}

static void forget_pages(struct abx_device_memory *m, struct abx_cuda_mirror *mirror)
{
    (void)abx_cu.host_unregister(mirror->pages);
    munmap(mirror->pages, m->bytes);
    mirror->pages = NULL;
}

/* The pages are where they were before, whatever has become of that place. */
static int take_back(struct abx_device_memory *m, struct abx_cuda_mirror *mirror)
{
    void *pages = mirror->pages, *place = (void *)(uintptr_t)m->address;
    (void)abx_cu.host_unregister(pages);
    mirror->pages = NULL;
    if (mremap(pages, m->bytes, m->bytes, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED) {
        munmap(pages, m->bytes);
        return -ENOMEM;
    }
    return abx_cuda_register(m);
}

/* 0: the device's memory is in the pages' place. Else all is as before, or GONE: the pages could
 * not be registered any more. */
static int take_place(struct abx_device_memory *m, struct abx_cuda_mirror *mirror)
{
    struct abx_cu_allocation what = {.type = 1, .location = {1, m->device->number}};
    mirror->bytes = abx_align_up(m->bytes + ABX_CUDA_GUARD_BYTES, ABX_CUDA_SLOT_BYTES);
    int result = abx_cu.memory_create(&mirror->memory, mirror->bytes, &what, 0);
    if (result)
        return result;
    result = register_again(m, mirror);
    if (!result) {
        (void)abx_cu.host_unregister((void *)(uintptr_t)m->address);
        m->registered = false;
        result = map_device(m, mirror);
        if (result && take_back(m, mirror) < 0)
            result = GONE;
    }
    if (result)
        (void)abx_cu.memory_release(mirror->memory);
    return result;
}

static bool is_written(const struct abx_submission *s, const struct abx_device_memory *m)
{
    for (uint32_t i = 0; i < s->resource_count; i++)
        if (s->resources[i].memory == m && s->resources[i].usage & ABX_USAGE_WRITE)
            return true;
    return false;
}

/* Nothing that is under way uses the memory. Where there is no room for a mirror the memory stays
 * where it is, for good. */
static int settle(struct abx_queue *q, struct abx_device_memory *m, struct abx_cuda_mirror *mirror)
{
    bool claimed = abx_cuda_claim(m) == 0;
    int result = claimed ? ABX_CU_OK : ABX_CU_OUT_OF_MEMORY;
    /* What is written to is not to fail for want of this later. */
    if (!result && is_written(q->current, m) && !atomic_load(&mirror->unseen))
        result = abx_cu.alloc(&mirror->agreed, m->bytes);
    if (!result)
        result = take_place(m, mirror);
    if (result && mirror->agreed) {
        (void)abx_cu.free(mirror->agreed);
        mirror->agreed = 0;
    }
    if (result && claimed)
        abx_cuda_unclaim(m);
    mirror->there = mirror->blank = !result;
    atomic_store(&mirror->shown, false); /* commands have written to the pages until now */
    atomic_store(&mirror->settled, true);
    return result < 0 || abx_cuda_is_fatal(result) ? result : ABX_CU_OK;
}

void abx_cuda_mirror_close(struct abx_device_memory *m)
{
    struct abx_cuda_mirror *mirror = atomic_load(&m->mirror);
    if (!mirror)
        return;
    if (mirror->there && mirror->exposed) {
        forget_exposed(m);
        /* Submissions that do not name it have carried words of it: until the last has. */
        (void)abx_cu.event_synchronize(m->device->merge_event);
    }
    if (mirror->there) {
        forget_pages(m, mirror);
        (void)abx_cu.memory_unmap(m->address, mirror->bytes);
        (void)abx_cu.memory_release(mirror->memory);
        if (mirror->agreed)
            (void)abx_cu.free(mirror->agreed);
        abx_cuda_unclaim(m);
    }
    pthread_mutex_destroy(&mirror->lock);
    free(mirror);
}

/* ---- carrying */

struct merge {
    struct piece pieces[PIECES];
    uint32_t count;
    uint64_t most; /* bytes of one */
};
static_assert(sizeof(((struct merge *)0)->pieces) == 2048, "as the kernel has them");

static int launch(struct abx_queue *q, struct merge *merge)
{
    size_t bytes = sizeof merge->pieces;
    void *extra[] = {ABX_CU_LAUNCH_BUFFER, merge->pieces, ABX_CU_LAUNCH_BUFFER_SIZE, &bytes, NULL};
    uint64_t blocks = (merge->most / ABX_CUDA_WORD_BYTES + BLOCK - 1) / BLOCK;
    if (!merge->count)
        return ABX_CU_OK;
    int result =
            abx_cu.launch(q->device->merge, blocks > MOST_BLOCKS ? MOST_BLOCKS : (unsigned)blocks,
                    merge->count, 1, BLOCK, 1, 1, 0, q->stream, NULL, extra);
    merge->count = 0;
    merge->most = 0;
    return result;
}

static bool is_among(const struct merge *merge, const struct piece *piece)
{
    for (uint32_t i = 0; i < merge->count; i++) {
        const struct piece *p = &merge->pieces[i];
        if (p->to < piece->to + piece->bytes && piece->to < p->to + p->bytes)
            return true;
    }
    return false;
}

/* Buffers may lie over each other (heaps): a word of both is looked at once, and then again. */
static int add_piece(struct abx_queue *q, struct merge *merge, struct piece piece)
{
    if (!piece.agreed && piece.bytes >= COPY_BYTES)
        return abx_cu.copy(piece.to, piece.from, piece.bytes, q->stream);
    int result = is_among(merge, &piece) ? launch(q, merge) : ABX_CU_OK;
    if (result)
        return result;
    merge->pieces[merge->count++] = piece;
    if (merge->most < piece.bytes)
        merge->most = piece.bytes;
    return merge->count == PIECES ? launch(q, merge) : ABX_CU_OK;
}

/* A mirror begins with what the pages have. */
static int fill_mirror(
        struct abx_queue *q, const struct abx_device_memory *m, struct abx_cuda_mirror *mirror)
{
    int result = abx_cu.copy(m->address, mirror->pages_address, m->bytes, q->stream);
    if (!result)
        result = abx_cu.fill(m->address + m->bytes, 0, mirror->bytes - m->bytes, q->stream);
    if (!result && mirror->agreed)
        result = abx_cu.copy(mirror->agreed, m->address, m->bytes, q->stream);
    mirror->blank = result != ABX_CU_OK;
    return result;
}

/* Of what the guest has not looked at the device alone knows what it is. */
static int send_spans(struct abx_queue *q, struct merge *merge, const struct abx_exec_resource *r,
        struct abx_cuda_mirror *mirror)
{
    const struct abx_device_memory *m = r->memory;
    struct span spans[SPANS];
    pthread_mutex_lock(&mirror->lock);
    uint32_t count = mirror->span_count;
    memcpy(spans, mirror->spans, count * sizeof *spans);
    mirror->span_count = 0;
    pthread_mutex_unlock(&mirror->lock);
    if (mirror->blank)
        return fill_mirror(q, m, mirror);
    if (atomic_load(&mirror->unseen) || atomic_load(&mirror->shown))
        return ABX_CU_OK;
    int result = ABX_CU_OK;
    for (uint32_t i = 0; i < count && !result; i++)
        result = add_piece(q, merge,
                (struct piece){m->address + spans[i].begin, mirror->pages_address + spans[i].begin,
                        mirror->agreed ? mirror->agreed + spans[i].begin : 0,
                        spans[i].end - spans[i].begin});
    return result;
}

/* The streams of the queues there are, which stay while the merge_lock is held
 * (abx_cuda_mirrors_leave()); NULL: no memory. The list's own lock is the watchdog's, too, and not
 * to be held in calls of the driver. */
static abx_cu_stream *streams_of(struct abx_device *device, uint32_t *ret_count)
{
    uint32_t count = 0;
    pthread_mutex_lock(&device->queues_lock);
    for (const struct abx_queue *q = device->queues; q; q = q->next)
        count++;
    abx_cu_stream *streams = calloc(count + 1, sizeof(abx_cu_stream));
    *ret_count = 0;
    for (const struct abx_queue *q = streams ? device->queues : NULL; q; q = q->next)
        streams[(*ret_count)++] = q->stream;
    pthread_mutex_unlock(&device->queues_lock);
    return streams;
}

/* After all that any queue has issued. */
static int wait_for_queues(struct abx_queue *q)
{
    struct abx_device *device = q->device;
    uint32_t count;
    abx_cu_stream *streams = streams_of(device, &count);
    int result = streams ? ABX_CU_OK : ABX_CU_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count && !result; i++) {
        if (streams[i] == q->stream)
            continue;
        q->waits = true;
        result = abx_cu.event_record(device->merge_event, streams[i]);
        if (!result)
            result = abx_cu.stream_wait(q->stream, device->merge_event, 0);
    }
    free(streams);
    return result;
}

/* Its commands are all copies of something to where it is. */
static bool writes_nothing(const struct abx_submission *s)
{
    bool nothing = true;
    for (size_t at = 0; at < s->bytes && nothing;) {
        const struct abx_exec_command *c = (const void *)((const char *)s->commands + at);
        const struct abx_exec_copy *copy = (const void *)c;
        nothing = c->op == ABX_EXEC_COPY && copy->from == copy->to &&
                  copy->from_offset == copy->to_offset;
        at += c->bytes;
    }
    return nothing;
}

/* What commands are about to write to is compared with this afterwards: what the pages have. Where
 * nobody has looked at them until now, that is old, and commands of any queue may have written. */
static int keep_agreed(struct abx_queue *q, const struct abx_device_memory *m,
        struct abx_cuda_mirror *mirror, bool shown)
{
    int result = shown ? wait_for_queues(q) : ABX_CU_OK;
    if (result)
        return result;
    result = abx_cu.alloc(&mirror->agreed, m->bytes);
    if (!result) {
        result = abx_cu.copy(
                mirror->agreed, shown ? mirror->pages_address : m->address, m->bytes, q->stream);
        if (result)
            (void)abx_cu.free(mirror->agreed);
    }
    if (!result)
        return ABX_CU_OK;
    mirror->agreed = 0;
    /* Without memory for it what is there by now can be brought nevertheless, to who does no more:
     * nobody writes to the pages yet. */
    return shown && !abx_cuda_is_fatal(result) && writes_nothing(q->current)
                   ? abx_cu.copy(mirror->pages_address, m->address, m->bytes, q->stream)
                   : result;
}

static struct abx_cuda_mirror *mirror_of(const struct abx_exec_resource *r)
{
    struct abx_cuda_mirror *mirror = r->memory ? atomic_load(&r->memory->mirror) : NULL;
    return mirror && mirror->there ? mirror : NULL;
}

/* Calls `what` for all that the submission being issued may touch, until one says that it failed.
 */
static int for_mirrors(struct abx_queue *q, struct merge *merge,
        int (*what)(struct abx_queue *q, struct merge *merge, const struct abx_exec_resource *r,
                struct abx_cuda_mirror *mirror))
{
    const struct abx_submission *s = q->current;
    int result = ABX_CU_OK;
    for (uint32_t i = 0; i < s->resource_count && !result; i++) {
        struct abx_cuda_mirror *mirror = mirror_of(&s->resources[i]);
        if (mirror && !mirror->exposed)
            result = what(q, merge, &s->resources[i], mirror);
    }
    struct abx_device_memory *m = atomic_load(&q->device->exposed);
    for (; m && !result; m = m->next_exposed) {
        struct abx_exec_resource all = {m, 0, m->bytes, ABX_USAGE_READ | ABX_USAGE_WRITE, 0};
        result = what(q, merge, &all, atomic_load(&m->mirror));
    }
    return result;
}

/* What is written to is compared afterwards. */
static int prepare(struct abx_queue *q, struct merge *merge, const struct abx_exec_resource *r,
        struct abx_cuda_mirror *mirror)
{
    if (mirror->agreed || !(r->usage & ABX_USAGE_WRITE) || atomic_load(&mirror->unseen))
        return ABX_CU_OK;
    bool shown = atomic_exchange(&mirror->shown, false);
    int result = keep_agreed(q, r->memory, mirror, shown);
    /* Where this was to bring it the guest is told that it failed, and goes on without. */
    if (result && shown && !writes_nothing(q->current))
        atomic_store(&mirror->shown, true);
    return result;
}

/* What could not be sent, or so it may be, is sent by the next one. */
static int send_again(struct abx_queue *q, struct merge *merge, const struct abx_exec_resource *r,
        struct abx_cuda_mirror *mirror)
{
    abx_cuda_wrote(r->memory, 0, r->memory->bytes);
    return ABX_CU_OK;
}

static int send_all(struct abx_queue *q, struct merge *merge)
{
    int result = for_mirrors(q, merge, send_spans);
    if (!result)
        result = launch(q, merge);
    if (result)
        (void)for_mirrors(q, merge, send_again);
    return result ? result : for_mirrors(q, merge, prepare);
}

/* One that was shown since this began has nothing to compare with: another will carry it. */
static int take(struct abx_queue *q, struct merge *merge, const struct abx_exec_resource *r,
        struct abx_cuda_mirror *mirror)
{
    if (!(r->usage & ABX_USAGE_WRITE) || !r->length || !mirror->agreed)
        return ABX_CU_OK;
    struct span w = words(r->offset, r->length);
    return add_piece(q, merge,
            (struct piece){mirror->pages_address + w.begin, r->memory->address + w.begin,
                    mirror->agreed + w.begin, w.end - w.begin});
}

static int take_all(struct abx_queue *q, struct merge *merge)
{
    int result = for_mirrors(q, merge, take);
    return result ? result : launch(q, merge);
}

/* After all that was carried before, and before all that will be. */
static int carry(struct abx_queue *q, int (*what)(struct abx_queue *q, struct merge *merge))
{
    struct abx_device *device = q->device;
    struct merge merge = {.count = 0};
    int result = ABX_CU_OK;
    if (device->merged_by && device->merged_by != q->stream) {
        q->waits = true;
        result = abx_cu.stream_wait(q->stream, device->merge_event, 0);
    }
    if (!result) {
        result = what(q, &merge);
        int recorded = abx_cu.event_record(device->merge_event, q->stream);
        if (recorded) /* nobody could wait for it: it is over, then */
            (void)abx_cu.stream_synchronize(q->stream);
        device->merged_by = recorded ? NULL : q->stream;
        result = result ? result : recorded;
    }
    return result;
}

/* ---- a submission's way */

void abx_cuda_mirrors_count(const struct abx_submission *s, int more)
{
    for (uint32_t i = 0; i < s->resource_count; i++)
        if (s->resources[i].memory && s->resources[i].memory->imported)
            atomic_fetch_add(&s->resources[i].memory->in_flight, (uint32_t)more);
}

static bool is_used_by_others(const struct abx_submission *s, struct abx_device_memory *m)
{
    uint32_t own = 0;
    for (uint32_t i = 0; i < s->resource_count; i++)
        own += s->resources[i].memory == m;
    return atomic_load(&m->in_flight) != own;
}

/* Of those that are asked for. Where another queue uses one it is left for another time, and each
 * time for longer: to look, this queue has to have nothing under way. */
static int settle_all(struct abx_queue *q)
{
    const struct abx_submission *s = q->current;
    int result = ABX_CU_OK;
    for (uint32_t i = 0; i < s->resource_count && !result; i++) {
        struct abx_device_memory *m = s->resources[i].memory;
        struct abx_cuda_mirror *mirror = m ? atomic_load(&m->mirror) : NULL;
        if (!mirror || atomic_load(&mirror->settled))
            continue;
        if (mirror->rest) {
            mirror->rest--;
            continue;
        }
        if (q->mark_count)
            return WAITS;
        if (is_used_by_others(s, m))
            mirror->rest = mirror->pause =
                    mirror->pause < MOST_PAUSE ? 2 * mirror->pause + 1 : MOST_PAUSE;
        else
            result = settle(q, m, mirror);
    }
    return result;
}

static bool has_mirrors(const struct abx_queue *q)
{
    const struct abx_submission *s = q->current;
    if (atomic_load(&q->device->exposed))
        return true;
    for (uint32_t i = 0; i < s->resource_count; i++)
        if (s->resources[i].memory && atomic_load(&s->resources[i].memory->mirror))
            return true;
    return false;
}

/* The lock is not held any more. */
static enum abx_cuda_step issued(struct abx_queue *q, int result)
{
    if (result == WAITS)
        return ABX_CUDA_STEP_BLOCKED;
    if (q->lost)
        return ABX_CUDA_STEP_FAILED;
    if (result == GONE) {
        abx_cuda_lose(q->device, ABX_CU_UNKNOWN, q, ABX_EXEC_INTERNAL, 0);
        return ABX_CUDA_STEP_FAILED;
    }
    enum abx_cuda_step step = abx_cuda_issued(q, result);
    /* Where there is no room for it, what it waits for counts as its own. */
    if (q->waits && !q->lost)
        (void)abx_cuda_mark(q, ABX_CUDA_MARK_OTHERS, NULL, q->at == 0);
    q->waits = false;
    return step;
}

enum abx_cuda_step abx_cuda_mirrors_begin(struct abx_queue *q)
{
    struct abx_device *device = q->device;
    q->mirrored = has_mirrors(q);
    if (!q->mirrored)
        return ABX_CUDA_STEP_ON;
    pthread_mutex_lock(&device->merge_lock);
    /* Lost meanwhile: the submission may be gone. */
    int result = q->lost ? ABX_CU_OK : settle_all(q);
    if (!result && !q->lost)
        result = carry(q, send_all);
    pthread_mutex_unlock(&device->merge_lock);
    return issued(q, result);
}

enum abx_cuda_step abx_cuda_mirrors_exchange(struct abx_queue *q, bool to_device)
{
    if (!q->mirrored)
        return ABX_CUDA_STEP_ON;
    pthread_mutex_lock(&q->device->merge_lock);
    int result = q->lost ? ABX_CU_OK : carry(q, to_device ? send_all : take_all);
    pthread_mutex_unlock(&q->device->merge_lock);
    return issued(q, result);
}

void abx_cuda_mirrors_leave(struct abx_queue *q)
{
    pthread_mutex_lock(&q->device->merge_lock);
    if (q->device->merged_by == q->stream)
        q->device->merged_by = NULL; /* drained: nobody has to wait for it */
    pthread_mutex_unlock(&q->device->merge_lock);
}
