/* backend/cpu: runs threadgroups on the calling thread. Worker process; the machine code it calls
 * is the guest's, and so are the frames and mailboxes it reads back: their contents may be
 * anything, and only this process suffers. */
#include "backend/cpu/cpu_internal.h"

#include <string.h>
#include <sys/mman.h>

bool abx_cpu_grow_frames(char **frames, size_t *frame_bytes, uint64_t bytes)
{
    if (bytes <= *frame_bytes)
        return true;
    if (bytes > ABX_CPU_MAX_FRAMES)
        return false;
    bytes = abx_align_up(bytes, *frames ? 2u << 20 : 4096);
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    if (*frames)
        munmap(*frames, *frame_bytes);
    *frames = memory;
    *frame_bytes = bytes;
    return true;
}

uint64_t abx_cpu_frame_bytes(const struct abx_cpu_code *info, const uint32_t size[3])
{
    uint64_t threads = (uint64_t)size[0] * size[1] * size[2];
    return (threads + info->lanes - 1) / info->lanes * info->frame_bytes;
}

/* Another client's kernel is next: it finds zeros where the one before left something. */
static void forget(struct abx_cpu_executor *e, uint64_t client)
{
    memset(e->group_memory, 0, ABX_CPU_GROUP_MEMORY);
    if (e->frames)
        madvise(e->frames, e->frame_bytes, MADV_DONTNEED);
    abx_cpu_drop_resident(e);
    e->client = client;
}

int abx_cpu_prepare(struct abx_cpu_executor *e, struct abx_cpu_job *job)
{
    const struct abx_cpu_code *info = &job->pipeline->info;
    if (__builtin_expect(e->client != job->submission->client, 0))
        forget(e, job->submission->client);
    e->call = job->call;
    e->call.static_threadgroup = e->group_memory;
    for (unsigned i = 0; i < ABX_MAX_THREADGROUP_BINDINGS; i++)
        e->call.threadgroup[i] =
                job->group_offset[i] == ~0u ? NULL : e->group_memory + job->group_offset[i];
    if (info->form != ABX_FORM_COROUTINE)
        return ABX_EXEC_OK;
    uint64_t bytes = abx_cpu_frame_bytes(info, e->call.group_size);
    return abx_cpu_grow_frames(&e->frames, &e->frame_bytes, bytes) ? ABX_EXEC_OK
                                                                   : ABX_EXEC_OUT_OF_MEMORY;
}

/* ---- coroutines: a handle's first word is the function that goes on, NULL at the end */

uint32_t abx_cpu_start_group(struct abx_pipeline *p, struct abx_kernel_call *call, char *frames,
        void **handles, struct abx_kernel_lane *lanes)
{
    abx_kernel_start *entry = (abx_kernel_start *)p->object.entry;
    uint32_t width = p->info.lanes, threads = 1, i = 0;
    for (int d = 0; d < 3; d++) {
        uint32_t left = call->grid[d] - call->group[d] * call->group_size[d];
        call->size[d] = left < call->group_size[d] ? left : call->group_size[d];
        threads *= call->size[d];
    }
    for (uint32_t t = 0; t < threads; t += width, i++, frames += p->info.frame_bytes) {
        lanes[i].index = i % ABX_SIMD_LANES;
        lanes[i].wait = ABX_WAIT_GROUP;
        handles[i] = entry(call, frames, t, &lanes[i]);
    }
    return i;
}

/* Every stop is a threadgroup barrier. */
static void run_barriers(struct abx_cpu_executor *e, uint32_t count)
{
    for (uint32_t left = count; left;) {
        left = 0;
        for (uint32_t i = 0; i < count; i++)
            if (!abx_cpu_ended(e->handles[i])) {
                abx_cpu_resume(e->handles[i]);
                left++;
            }
    }
}

/* Runs one SIMD-group until each of its lanes has ended or waits for the threadgroup. Lanes that
 * stop at one site exchange values; the others are inactive to them. Sites are numbered in the
 * order of the program and the first one goes on first, so that lanes which took another way, or
 * left a loop earlier, wait where the ways meet, as on a GPU. */
void abx_cpu_run_simdgroup(struct abx_kernel_lane *lane, void **handle, uint32_t count)
{
    for (;;) {
        uint32_t waiting = 0, site = UINT32_MAX;
        for (uint32_t i = 0; i < count; i++) {
            if (abx_cpu_ended(handle[i]))
                continue;
            if (lane[i].wait == ABX_WAIT_YIELD)
                return; /* it may yet come to the same place */
            if (lane[i].wait != ABX_WAIT_SIMD || lane[i].site > site)
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
                abx_cpu_resume(handle[i]);
    }
}

static void run_exchanges(struct abx_cpu_executor *e, uint32_t threads)
{
    for (uint32_t left = threads; left;) {
        left = 0;
        for (uint32_t s = 0; s < threads; s += ABX_SIMD_LANES) {
            uint32_t count = threads - s < ABX_SIMD_LANES ? threads - s : ABX_SIMD_LANES;
            abx_cpu_run_simdgroup(&e->lanes[s], &e->handles[s], count);
        }
        for (uint32_t i = 0; i < threads; i++)
            if (!abx_cpu_ended(e->handles[i])) {
                abx_cpu_resume(e->handles[i]);
                left++;
            }
    }
}

static void run_group(struct abx_cpu_executor *e, struct abx_pipeline *p)
{
    uint32_t count = abx_cpu_start_group(p, &e->call, e->frames, e->handles, e->lanes);
    if (p->info.uses_simd && p->info.lanes == 1)
        run_exchanges(e, count);
    else
        run_barriers(e, count);
}

void abx_cpu_place_group(struct abx_kernel_call *call, uint64_t number)
{
    const uint32_t *groups = call->groups;
    call->group[0] = (uint32_t)(number % groups[0]);
    call->group[1] = (uint32_t)(number / groups[0] % groups[1]);
    call->group[2] = (uint32_t)(number / groups[0] / groups[1]);
}

static void run_groups(
        struct abx_cpu_executor *e, struct abx_pipeline *pipeline, uint64_t first, uint64_t count)
{
    if (pipeline->info.form == ABX_FORM_GROUPS) {
        ((abx_kernel_groups *)pipeline->object.entry)(&e->call, first, count);
        return;
    }
    for (uint64_t i = first; i < first + count; i++) {
        abx_cpu_place_group(&e->call, i);
        run_group(e, pipeline);
    }
}

void abx_cpu_run_groups(
        struct abx_cpu_executor *e, struct abx_cpu_job *job, uint64_t first, uint64_t count)
{
    if (!abx_cpu_arm_job(e, job))
        return;
    run_groups(e, job->pipeline, first, count);
    abx_cpu_disarm(e);
}
