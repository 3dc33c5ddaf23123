/* backend/cpu: threadgroups that wait for each other. Worker process; called code is the guest's,
 * as in threadgroup.c.
 *
 * Kernels with loops that wait (shader/cpu/spin.c) yield in them. Every SIMD-group of a threadgroup
 * gets its turn; and when a threadgroup has not ended after one, the next is begun beside it, so
 * that all that a GPU would hold at once are under way: those of a persistent kernel meet at their
 * counter, those of a look-back find what came before them. Others run like any, one after the
 * other. */
#include "backend/cpu/cpu_internal.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Turns in which nothing has ended, after which the processor is offered to somebody else: what is
 * waited for may be under way on another thread that has none. */
#define PATIENCE 64u

static struct abx_cpu_group *group_at(struct abx_cpu_executor *e, uint32_t i, uint64_t frame_bytes)
{
    struct abx_cpu_group *g = e->resident[i];
    if (!g) {
        void *memory = NULL;
        g = calloc(1, sizeof *g);
        if (g && posix_memalign(&memory, 4096, ABX_CPU_GROUP_MEMORY) == 0) {
            memset(memory, 0, ABX_CPU_GROUP_MEMORY);
            g->group_memory = memory;
            e->resident[i] = g;
        } else {
            free(g);
            return NULL;
        }
    }
    g->count = 0;
    return abx_cpu_grow_frames(&g->frames, &g->frame_bytes, frame_bytes) ? g : NULL;
}

void abx_cpu_drop_resident(struct abx_cpu_executor *e)
{
    for (uint32_t i = 0; i < ABX_CPU_MAX_RESIDENT && e->resident[i]; i++) {
        if (e->resident[i]->frames)
            munmap(e->resident[i]->frames, e->resident[i]->frame_bytes);
        free(e->resident[i]->group_memory);
        free(e->resident[i]);
        e->resident[i] = NULL;
    }
}

static void begin(struct abx_cpu_executor *e, struct abx_cpu_job *job, struct abx_cpu_group *g,
        uint64_t number)
{
    g->call = job->call;
    g->call.static_threadgroup = g->group_memory;
    for (unsigned i = 0; i < ABX_MAX_THREADGROUP_BINDINGS; i++)
        g->call.threadgroup[i] =
                job->group_offset[i] == ~0u ? NULL : g->group_memory + job->group_offset[i];
    abx_cpu_place_group(&g->call, number);
    if (!abx_cpu_arm_job(e, job))
        return;
    g->count = abx_cpu_start_group(job->pipeline, &g->call, g->frames, g->handles, g->lanes);
    abx_cpu_disarm(e);
}

/* One turn for everything in the threadgroup that can go on. False: it has ended. */
static bool turn(struct abx_cpu_group *g, bool exchanges)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (!abx_cpu_ended(g->handles[i]) && g->lanes[i].wait == ABX_WAIT_YIELD)
            abx_cpu_resume(g->handles[i]);
    for (uint32_t s = 0; exchanges && s < g->count; s += ABX_SIMD_LANES)
        abx_cpu_run_simdgroup(&g->lanes[s], &g->handles[s],
                g->count - s < ABX_SIMD_LANES ? g->count - s : ABX_SIMD_LANES);
    bool ended = true, barrier = true;
    for (uint32_t i = 0; i < g->count; i++)
        if (!abx_cpu_ended(g->handles[i])) {
            ended = false;
            barrier &= g->lanes[i].wait == ABX_WAIT_GROUP;
        }
    for (uint32_t i = 0; barrier && !ended && i < g->count; i++)
        if (!abx_cpu_ended(g->handles[i]))
            abx_cpu_resume(g->handles[i]);
    return !ended;
}

/* True when the threadgroup is gone after some turns that nobody else would have made use of. */
static bool advance(struct abx_cpu_executor *e, struct abx_cpu_job *job, struct abx_cpu_group *g)
{
    bool exchanges = job->pipeline->info.uses_simd && job->pipeline->info.lanes == 1;
    bool under_way = true;
    if (!abx_cpu_arm_job(e, job))
        return false;
    for (unsigned i = 0; i < 16 && under_way; i++)
        under_way = turn(g, exchanges);
    abx_cpu_disarm(e);
    return !under_way;
}

void abx_cpu_run_resident(struct abx_cpu_executor *e, struct abx_cpu_job *job)
{
    uint64_t bytes = abx_cpu_frame_bytes(&job->pipeline->info, job->call.group_size);
    uint32_t most = ABX_CPU_MAX_RESIDENT, count = 0, idle = 0;
    if (bytes && most > ABX_CPU_MAX_FRAMES / bytes)
        most = ABX_CPU_MAX_FRAMES / bytes ? (uint32_t)(ABX_CPU_MAX_FRAMES / bytes) : 1;
    for (bool more = true; !atomic_load_explicit(&job->failed, memory_order_relaxed);) {
        struct abx_cpu_group *g = more && count < most ? group_at(e, count, bytes) : NULL;
        if (g) {
            uint64_t number = atomic_fetch_add(&job->next, 1);
            more = number < job->groups;
            if (more) {
                begin(e, job, g, number);
                count++;
            }
        } else if (more && !count) {
            atomic_store(&job->failed, ABX_EXEC_OUT_OF_MEMORY);
            return;
        }
        if (!count)
            return;
        idle++;
        for (uint32_t i = 0; i < count;) {
            if (!advance(e, job, e->resident[i])) {
                i++;
                continue;
            }
            struct abx_cpu_group *ended = e->resident[i];
            e->resident[i] = e->resident[--count];
            e->resident[count] = ended;
            idle = 0;
        }
        if (idle >= PATIENCE) {
            sched_yield();
            idle = 0;
        }
    }
}
