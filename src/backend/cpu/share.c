/* backend/cpu: how threads share what is left of a dispatch. Worker process.
 *
 * Each thread has a run of neighbouring chunks, and takes them in their order: threadgroups that
 * are neighbours mostly read neighbouring memory, which processors foresee, and what is fetched
 * early (src/shader/cpu/wide/ahead.c) is then for the thread that fetches it. A thread that has
 * none left takes over the second half of whoever has most. (As LLVM's OpenMP runtime does for
 * schedule(static_steal).)
 *
 * A run is one word, the first chunk in its lower half and the end in its upper, so that its owner
 * and those who take from it agree by compare and exchange. No chunk is ever given back: a word
 * that was seen before and is there again is the same run. */
#include "backend/cpu/cpu_internal.h"

static uint64_t run_of(uint64_t first, uint64_t end)
{
    return end << 32 | first;
}

static uint32_t first_of(uint64_t run)
{
    return (uint32_t)run;
}

static uint32_t end_of(uint64_t run)
{
    return (uint32_t)(run >> 32);
}

void abx_cpu_share_out(struct abx_cpu_job *job, unsigned threads)
{
    uint64_t left = job->groups - atomic_load(&job->next);
    uint64_t least = (left >> 31) + 1; /* 2^31 chunks at most: their end, too, has 32 bits */
    job->chunk = job->chunk < least ? least : job->chunk;
    uint64_t chunks = (left - 1) / job->chunk + 1;
    for (unsigned i = 0; i < threads; i++)
        atomic_store_explicit(&job->share[i],
                run_of(chunks * i / threads, chunks * (i + 1) / threads), memory_order_relaxed);
    job->shares = threads;
}

static bool take_first(_Atomic uint64_t *share, uint32_t *ret)
{
    uint64_t run = atomic_load_explicit(share, memory_order_relaxed);
    do {
        if (first_of(run) >= end_of(run))
            return false;
    } while (!atomic_compare_exchange_weak(share, &run, run + 1));
    *ret = first_of(run);
    return true;
}

/* The second half of whoever has most becomes the thread's, which has none. */
static bool take_over(struct abx_cpu_job *job, unsigned thread)
{
    for (;;) {
        _Atomic uint64_t *fullest = NULL;
        uint64_t run = 0;
        uint32_t most = 0;
        for (unsigned i = 0; i < job->shares; i++) {
            uint64_t r = atomic_load_explicit(&job->share[i], memory_order_relaxed);
            if (first_of(r) < end_of(r) && end_of(r) - first_of(r) > most) {
                fullest = &job->share[i];
                run = r;
                most = end_of(r) - first_of(r);
            }
        }
        if (!fullest)
            return false;
        uint32_t middle = end_of(run) - (most + 1) / 2;
        if (atomic_compare_exchange_strong(fullest, &run, run_of(first_of(run), middle))) {
            atomic_store(&job->share[thread], run_of(middle, end_of(run)));
            return true;
        }
    }
}

bool abx_cpu_next_chunk(
        struct abx_cpu_job *job, unsigned thread, uint64_t *ret_first, uint64_t *ret_count)
{
    uint32_t chunk;
    while (!take_first(&job->share[thread], &chunk))
        if (!take_over(job, thread))
            return false;
    uint64_t first = atomic_load_explicit(&job->next, memory_order_relaxed) + chunk * job->chunk,
             left = job->groups - first;
    *ret_first = first;
    *ret_count = left < job->chunk ? left : job->chunk;
    return true;
}

bool abx_cpu_has_chunks(const struct abx_cpu_job *job)
{
    for (unsigned i = 0; i < job->shares; i++) {
        uint64_t run = atomic_load_explicit(&job->share[i], memory_order_relaxed);
        if (first_of(run) < end_of(run))
            return true;
    }
    return false;
}
