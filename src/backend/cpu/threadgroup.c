/* backend/cpu: runs threadgroups on the calling thread. Worker process; the machine code it calls
 * is the guest's, and so are the frames and mailboxes it reads back: their contents may be
 * anything, and only this process suffers. */
#include "backend/cpu/cpu_internal.h"

#include <string.h>
#include <sys/mman.h>

static bool grow_frames(struct abx_cpu_executor *e, uint64_t bytes)
{
    if (bytes <= e->frame_bytes)
        return true;
    if (bytes > ABX_CPU_MAX_FRAMES)
        return false;
    bytes = abx_align_up(bytes, 2u << 20);
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    if (e->frames)
        munmap(e->frames, e->frame_bytes);
    e->frames = memory;
    e->frame_bytes = bytes;
    return true;
}

int abx_cpu_prepare(struct abx_cpu_executor *e, struct abx_cpu_job *job)
{
    const struct abx_object *info = &job->pipeline->info;
    e->call = job->call;
    e->call.static_threadgroup = e->group_memory;
    for (unsigned i = 0; i < ABX_MAX_THREADGROUP_BINDINGS; i++)
        e->call.threadgroup[i] =
                job->group_offset[i] == ~0u ? NULL : e->group_memory + job->group_offset[i];
    if (info->form != ABX_FORM_COROUTINE)
        return ABX_EXEC_OK;
    const uint32_t *size = e->call.group_size;
    uint64_t threads = (uint64_t)size[0] * size[1] * size[2];
    uint64_t coroutines = (threads + info->lanes - 1) / info->lanes;
    return grow_frames(e, coroutines * info->frame_bytes) ? ABX_EXEC_OK : ABX_EXEC_OUT_OF_MEMORY;
}

/* ---- coroutines: a handle's first word is the function that goes on, NULL at the end */

typedef void resume_fn(void *handle);

static bool ended(void *handle)
{
    return *(resume_fn *const *)handle == NULL;
}

static void resume(void *handle)
{
    (*(resume_fn *const *)handle)(handle);
}

static void start(struct abx_cpu_executor *e, struct abx_pipeline *p, uint32_t threads)
{
    abx_kernel_start *entry = (abx_kernel_start *)p->object.entry;
    uint32_t lanes = p->info.lanes;
    char *frame = e->frames;
    for (uint32_t t = 0, i = 0; t < threads; t += lanes, i++, frame += p->info.frame_bytes) {
        e->lanes[i].index = i % ABX_SIMD_LANES;
        e->lanes[i].wait = ABX_WAIT_GROUP;
        e->handles[i] = entry(&e->call, frame, t, &e->lanes[i]);
    }
}

/* Every stop is a threadgroup barrier. */
static void run_barriers(struct abx_cpu_executor *e, uint32_t count)
{
    for (uint32_t left = count; left;) {
        left = 0;
        for (uint32_t i = 0; i < count; i++)
            if (!ended(e->handles[i])) {
                resume(e->handles[i]);
                left++;
            }
    }
}

/* Runs one SIMD-group until each of its lanes has ended or waits for the threadgroup. Lanes that
 * stop at one site exchange values; the others are inactive to them. Sites are numbered in the
 * order of the program and the first one goes on first, so that lanes which took another way, or
 * left a loop earlier, wait where the ways meet, as on a GPU. */
static void run_simdgroup(struct abx_cpu_executor *e, uint32_t first, uint32_t count)
{
    struct abx_kernel_lane *lane = &e->lanes[first];
    void **handle = &e->handles[first];
    for (;;) {
        uint32_t waiting = 0, site = UINT32_MAX;
        for (uint32_t i = 0; i < count; i++) {
            if (ended(handle[i]) || lane[i].wait != ABX_WAIT_SIMD || lane[i].site > site)
                continue;
            waiting = (lane[i].site < site ? 0 : waiting) | 1u << i;
            site = lane[i].site;
        }
        if (!waiting)
            return;
        for (uint32_t i = 0; i < count; i++)
            if (waiting >> i & 1) {
                lane[i].shown = lane[i].value;
                lane[i].active = waiting;
            }
        for (uint32_t i = 0; i < count; i++)
            if (waiting >> i & 1)
                resume(handle[i]);
    }
}

static void run_exchanges(struct abx_cpu_executor *e, uint32_t threads)
{
    for (uint32_t left = threads; left;) {
        left = 0;
        for (uint32_t s = 0; s < threads; s += ABX_SIMD_LANES) {
            uint32_t count = threads - s < ABX_SIMD_LANES ? threads - s : ABX_SIMD_LANES;
            run_simdgroup(e, s, count);
        }
        for (uint32_t i = 0; i < threads; i++)
            if (!ended(e->handles[i])) {
                resume(e->handles[i]);
                left++;
            }
    }
}

static void run_group(struct abx_cpu_executor *e, struct abx_pipeline *p)
{
    uint32_t threads = 1;
    for (int d = 0; d < 3; d++) {
        uint32_t left = e->call.grid[d] - e->call.group[d] * e->call.group_size[d];
        e->call.size[d] = left < e->call.group_size[d] ? left : e->call.group_size[d];
        threads *= e->call.size[d];
    }
    start(e, p, threads);
    if (p->info.uses_simd && p->info.lanes == 1)
        run_exchanges(e, threads);
    else
        run_barriers(e, (threads + p->info.lanes - 1) / p->info.lanes);
}

static void run_groups(
        struct abx_cpu_executor *e, struct abx_pipeline *pipeline, uint64_t first, uint64_t count)
{
    if (pipeline->info.form == ABX_FORM_GROUPS) {
        ((abx_kernel_groups *)pipeline->object.entry)(&e->call, first, count);
        return;
    }
    const uint32_t *groups = e->call.groups;
    for (uint64_t i = first; i < first + count; i++) {
        e->call.group[0] = (uint32_t)(i % groups[0]);
        e->call.group[1] = (uint32_t)(i / groups[0] % groups[1]);
        e->call.group[2] = (uint32_t)(i / groups[0] / groups[1]);
        run_group(e, pipeline);
    }
}

void abx_cpu_run_groups(
        struct abx_cpu_executor *e, struct abx_cpu_job *job, uint64_t first, uint64_t count)
{
    abx_cpu_arm(e);
    /* Armed first: whoever fails the job looks for armed threads after that. */
    if (!atomic_load_explicit(&job->failed, memory_order_relaxed))
        run_groups(e, job->pipeline, first, count);
    abx_cpu_disarm(e);
}
