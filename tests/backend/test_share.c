/* How threads share a dispatch: every threadgroup is run once, whoever comes and whenever. */
#include <pthread.h>

#include "backend/cpu/cpu_internal.h"
#include "../check.h"

#define GROUPS 100003u
#define THREADS 8u

struct crew {
    struct abx_cpu_job job;
    _Atomic uint8_t runs[GROUPS];
    _Atomic unsigned number;
};

static void take_all(struct crew *crew, unsigned thread, unsigned slower)
{
    uint64_t first, count;
    while (abx_cpu_next_chunk(&crew->job, thread, &first, &count)) {
        CHECK(count > 0 && first + count <= GROUPS);
        for (uint64_t i = first; i < first + count; i++)
            atomic_fetch_add(&crew->runs[i], 1);
        for (volatile unsigned i = 0; i < slower; i++)
            ;
    }
}

static void *worker(void *arg)
{
    struct crew *crew = arg;
    unsigned thread = atomic_fetch_add(&crew->number, 1);
    take_all(crew, thread, thread * 200);
    return NULL;
}

static struct crew *make_crew(uint64_t first, uint64_t chunk)
{
    struct crew *crew = calloc(1, sizeof *crew);
    CHECK(crew);
    crew->job.groups = GROUPS;
    crew->job.chunk = chunk;
    atomic_store(&crew->job.next, first);
    abx_cpu_share_out(&crew->job, THREADS);
    CHECK(abx_cpu_has_chunks(&crew->job));
    return crew;
}

static void check_all(struct crew *crew, uint64_t first)
{
    CHECK(!abx_cpu_has_chunks(&crew->job));
    for (uint64_t i = 0; i < GROUPS; i++)
        CHECK(atomic_load(&crew->runs[i]) == (i >= first));
    free(crew);
}

/* Some faster than others. */
static void test_together(void)
{
    for (uint64_t chunk = 1; chunk < 20000; chunk = chunk * 5 + 2) {
        struct crew *crew = make_crew(17, chunk);
        pthread_t threads[THREADS];
        for (unsigned i = 0; i < THREADS; i++)
            CHECK(!pthread_create(&threads[i], NULL, worker, crew));
        for (unsigned i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        check_all(crew, 17);
    }
}

/* One that nobody helps takes over what the others would have had. */
static void test_alone(void)
{
    struct crew *crew = make_crew(0, 3);
    take_all(crew, 5, 0);
    check_all(crew, 0);
    crew = make_crew(GROUPS - 1, 1); /* fewer chunks than threads */
    take_all(crew, 0, 0);
    check_all(crew, GROUPS - 1);
}

/* The first run is in the threadgroups' order. */
static void test_order(void)
{
    struct crew *crew = make_crew(0, 10);
    uint64_t first, count, next = 0;
    for (unsigned i = 0; i < GROUPS / 10 / THREADS; i++, next += count) {
        CHECK(abx_cpu_next_chunk(&crew->job, 0, &first, &count));
        CHECK(first == next && count == 10);
    }
    free(crew);
}

/* More threadgroups than chunks can be numbered. */
static void test_many(void)
{
    struct abx_cpu_job *job = calloc(1, sizeof *job);
    CHECK(job);
    job->groups = UINT64_MAX - 5;
    job->chunk = 1;
    abx_cpu_share_out(job, 2);
    uint64_t first, count, before;
    CHECK(abx_cpu_next_chunk(job, 0, &first, &count) && first == 0 && count == job->chunk);
    CHECK(abx_cpu_next_chunk(job, 1, &before, &count));
    CHECK(before > UINT64_MAX / 2 - 2 * job->chunk && before < UINT64_MAX / 2 + 2 * job->chunk);
    CHECK(abx_cpu_next_chunk(job, 1, &first, &count) && first == before + count);
    free(job);
}

int main(int argc, char **argv)
{
    const struct check_case cases[] = {
            CASE(test_together), CASE(test_alone), CASE(test_order), CASE(test_many)};
    return check_run(argc, argv, CHECK_SUITE(cases, .seconds = 60));
}
