/* backend/cpu: the helpers that share a dispatch's threadgroups with the queue's thread. Worker
 * process.
 *
 * A dispatch starts on the queue's own thread; only when it has run for a while with much left are
 * helpers called, so that small ones cost no wake-up. Then each has a share (share.c). The lock
 * covers the list of posted jobs and who is inside one. */
#include "backend/cpu/cpu_internal.h"

/* A wake-up costs about 6 us: what is shorter than this stays on one thread. */
#define ALONE_NS 15000u
/* What will take so long is shared at once, if a chunk of so long says so. */
#define SURELY_NS 60000u
#define TELLING_NS 1000u
/* The first chunk is one group; later ones aim at this long. */
#define CHUNK_NS 8000u

static void enter(struct abx_cpu_executor *e, struct abx_cpu_job *job)
{
    e->guard.job = job;
    e->guard.cancel = job->cancel;
    uint64_t turn = atomic_load_explicit(&e->guard.turn, memory_order_relaxed);
    atomic_store_explicit(&e->guard.turn, turn + 1, memory_order_relaxed);
    atomic_store_explicit(&e->submission, job->submission, memory_order_release);
}

static void leave(struct abx_cpu_executor *e)
{
    atomic_store_explicit(&e->submission, NULL, memory_order_release);
}

static void run_chunks(struct abx_cpu_executor *e, struct abx_cpu_job *job, unsigned thread)
{
    uint64_t first, count;
    while (!atomic_load_explicit(&job->failed, memory_order_relaxed) &&
            abx_cpu_next_chunk(job, thread, &first, &count))
        abx_cpu_run_groups(e, job, first, count);
}

/* thread: its number among those of the pool; 0 is the queue's own. */
static void run_guarded(struct abx_device *device, struct abx_cpu_executor *e,
        struct abx_cpu_job *job, unsigned thread)
{
    if (sigsetjmp(e->guard.landing, 0))
        abx_cpu_landed(device, e, job);
    else if (job->pipeline->info.yields)
        abx_cpu_run_resident(e, job);
    else
        run_chunks(e, job, thread);
}

/* ---- helpers */

static bool has_work(const struct abx_cpu_job *job)
{
    if (atomic_load_explicit(&job->failed, memory_order_relaxed))
        return false;
    return job->shares ? abx_cpu_has_chunks(job) : atomic_load(&job->next) < job->groups;
}

static struct abx_cpu_job *take_job(struct abx_cpu_pool *p)
{
    struct abx_cpu_job *found = NULL;
    pthread_mutex_lock(&p->lock);
    for (struct abx_cpu_job *j = p->jobs; j && !found; j = j->next_job)
        if (has_work(j))
            found = j;
    if (found) {
        found->helpers++;
        atomic_store(&found->idle, 0);
    }
    pthread_mutex_unlock(&p->lock);
    return found;
}

static void put_job(struct abx_cpu_pool *p, struct abx_cpu_job *job)
{
    pthread_mutex_lock(&p->lock);
    bool last = --job->helpers == 0;
    if (last) {
        atomic_store(&job->idle, 1);
        abx_futex_wake((const uint32_t *)&job->idle, 1);
    }
    pthread_mutex_unlock(&p->lock);
}

static void wait_for_job(struct abx_device *d, uint32_t seen)
{
    struct abx_cpu_pool *p = &d->pool;
    for (uint64_t end = abx_now_ns() + d->spin_ns; abx_now_ns() < end;) {
        for (int i = 0; i < 32; i++)
            abx_cpu_relax();
        if (atomic_load(&p->epoch) != seen)
            return;
    }
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(&p->epoch) == seen && !atomic_load(&p->stop))
        abx_futex_wait((const uint32_t *)&p->epoch, seen, -1);
    atomic_fetch_sub(&p->sleepers, 1);
}

static void *helper(void *arg)
{
    struct abx_device *d = arg;
    struct abx_cpu_pool *p = &d->pool;
    unsigned thread = atomic_fetch_add(&p->started, 1) + 1;
    struct abx_cpu_executor *e = abx_cpu_executor_create(d);
    if (e)
        abx_cpu_executor_bind(e);
    while (e && !atomic_load(&p->stop)) {
        uint32_t seen = atomic_load(&p->epoch);
        struct abx_cpu_job *job = take_job(p);
        if (!job) {
            wait_for_job(d, seen);
            continue;
        }
        if (abx_cpu_prepare(e, job) == ABX_EXEC_OK) {
            enter(e, job);
            run_guarded(d, e, job, thread);
            leave(e);
        }
        put_job(p, job);
    }
    if (e)
        abx_cpu_executor_destroy(d, e);
    return NULL;
}

static void post(struct abx_cpu_pool *p, struct abx_cpu_job *job)
{
    pthread_mutex_lock(&p->lock);
    job->next_job = p->jobs;
    p->jobs = job;
    pthread_mutex_unlock(&p->lock);
    atomic_fetch_add(&p->epoch, 1);
    if (atomic_load(&p->sleepers))
        abx_futex_wake((const uint32_t *)&p->epoch, INT32_MAX);
}

/* Takes the job off the list and waits until no helper is inside. */
static void withdraw(struct abx_cpu_pool *p, struct abx_cpu_job *job)
{
    pthread_mutex_lock(&p->lock);
    for (struct abx_cpu_job **j = &p->jobs; *j; j = &(*j)->next_job)
        if (*j == job) {
            *j = job->next_job;
            break;
        }
    bool inside = job->helpers != 0;
    pthread_mutex_unlock(&p->lock);
    if (!inside)
        return;
    for (int i = 0; i < 2000 && !atomic_load(&job->idle); i++)
        abx_cpu_relax();
    while (!atomic_load(&job->idle))
        abx_futex_wait((const uint32_t *)&job->idle, 0, -1);
    /* put_job() may still hold the lock. */
    pthread_mutex_lock(&p->lock);
    pthread_mutex_unlock(&p->lock);
}

/* What a threadgroup took when this pipeline ran last, in 1/16 ns: where to begin, not to be relied
 * on, since arguments differ. */
static void note_cost(struct abx_pipeline *p, uint64_t took, uint64_t count)
{
    uint64_t each = took * 16 / count;
    uint32_t cost = each < UINT32_MAX ? (uint32_t)each : UINT32_MAX;
    atomic_store_explicit(&p->group_cost, cost ? cost : 1, memory_order_relaxed);
}

static uint64_t first_chunk(const struct abx_cpu_job *job)
{
    uint64_t cost = atomic_load_explicit(&job->pipeline->group_cost, memory_order_relaxed);
    uint64_t chunk = cost ? CHUNK_NS * 4 / cost : 1; /* a quarter of the aim */
    return chunk ? chunk : 1;
}

/* Runs chunks alone, growing them towards CHUNK_NS, until the job is done (true) or it is known to
 * be long enough to share: by one that took long enough to tell. */
static bool run_alone(
        struct abx_cpu_executor *e, struct abx_cpu_job *job, bool share, uint64_t begin)
{
    uint64_t before = begin, chunk = first_chunk(job);
    while (job->next < job->groups) {
        uint64_t first = job->next, left = job->groups - first;
        uint64_t count = left < chunk ? left : chunk;
        abx_cpu_run_groups(e, job, first, count);
        job->next = first + count;
        uint64_t now = abx_now_ns(), took = now - before + 1;
        before = e->clock_ns = now;
        note_cost(job->pipeline, took, count);
        chunk = took * 4 < CHUNK_NS                ? chunk * 4
                : took > CHUNK_NS * 2 && chunk > 1 ? chunk / 2
                                                   : chunk;
        uint64_t rest = (left - count) * took / count;
        bool surely = rest > SURELY_NS && took > TELLING_NS,
             enough = rest > ALONE_NS && now - begin > ALONE_NS;
        if (share && (surely || enough)) {
            job->chunk = count * CHUNK_NS / took ? count * CHUNK_NS / took : 1;
            return false;
        }
    }
    return true;
}

static bool run_alone_guarded(struct abx_device *device, struct abx_cpu_executor *e,
        struct abx_cpu_job *job, uint64_t begin)
{
    if (sigsetjmp(e->guard.landing, 0)) {
        abx_cpu_landed(device, e, job);
        return true;
    }
    return run_alone(e, job, device->pool.count > 0, begin);
}

int abx_cpu_pool_run(struct abx_device *device, struct abx_cpu_executor *e, struct abx_cpu_job *job)
{
    struct abx_cpu_pool *p = &device->pool;
    uint64_t now = e->clock_ns ? e->clock_ns : abx_now_ns();
    atomic_store_explicit(&job->failed, ABX_EXEC_OK, memory_order_relaxed);
    enter(e, job);
    bool together = job->pipeline->info.yields;
    job->shares = 0;
    if (together || !run_alone_guarded(device, e, job, now)) {
        if (!together)
            abx_cpu_share_out(job, p->count + 1);
        job->helpers = 0;
        atomic_store(&job->idle, 1);
        post(p, job);
        run_guarded(device, e, job, 0);
        withdraw(p, job);
        e->clock_ns = 0;
    }
    leave(e);
    return (int)atomic_load_explicit(&job->failed, memory_order_relaxed);
}

int abx_cpu_pool_open(struct abx_device *device, unsigned helpers)
{
    struct abx_cpu_pool *p = &device->pool;
    pthread_attr_t attr;
    pthread_mutex_init(&p->lock, NULL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, ABX_CPU_STACK_BYTES);
    int r = 0;
    for (; p->count < helpers && r == 0; p->count += r == 0)
        r = -pthread_create(&p->threads[p->count], &attr, helper, device);
    pthread_attr_destroy(&attr);
    if (r < 0)
        abx_cpu_pool_close(device);
    return r;
}

void abx_cpu_pool_close(struct abx_device *device)
{
    struct abx_cpu_pool *p = &device->pool;
    atomic_store(&p->stop, true);
    atomic_fetch_add(&p->epoch, 1);
    abx_futex_wake((const uint32_t *)&p->epoch, INT32_MAX);
    for (unsigned i = 0; i < p->count; i++)
        pthread_join(p->threads[i], NULL);
    p->count = 0;
    pthread_mutex_destroy(&p->lock);
}
