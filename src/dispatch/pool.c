/* dispatch: the threads that run dispatch queues' work, and timers. Threads start when work waits
 * and nobody is idle, and end after some seconds of idleness. Guest's process; trusts it.
 *
 * A forked child has none of its parent's threads: there the pool starts again, empty. Work the
 * parent had queued stays the parent's. */
#include "dispatch/dispatch.h"

#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_THREADS = 64, /* a program whose blocks wait for one another needs more than processors */
    IDLE_SECONDS = 5,
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct abx_pool_job *first, *last;
    unsigned threads, idle, queued;
    unsigned generation;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER};

struct timer {
    struct timer *next;
    uint64_t when;
    dispatch_function_t function;
    void *context;
};
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct timer *first; /* soonest first */
    bool running;
} timers = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void *abx_dispatch_allocate(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory)
        abort();
    return memory;
}

void abx_dispatch_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

int abx_dispatch_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, uint64_t deadline)
{
    if (deadline == UINT64_MAX)
        return -pthread_cond_wait(condition, mutex);
    struct timespec when = {(time_t)(deadline / 1000000000), (long)(deadline % 1000000000)};
    return -pthread_cond_timedwait(condition, mutex, &when);
}

unsigned abx_pool_width(void)
{
    static unsigned width;
    unsigned known = __atomic_load_n(&width, __ATOMIC_RELAXED);
    if (!known) {
        cpu_set_t set;
        known = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
        __atomic_store_n(&width, known, __ATOMIC_RELAXED);
    }
    return known;
}

unsigned abx_pool_generation(void)
{
    return __atomic_load_n(&pool.generation, __ATOMIC_RELAXED);
}

/* Threads of ours take no signals: those are the program's. */
static int start_thread(void *(*entry)(void *), void *argument)
{
    sigset_t all, old;
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&thread, &attributes, entry, argument);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    return -r;
}

static struct abx_pool_job *next_job(void)
{
    uint64_t deadline = abx_now_ns() + IDLE_SECONDS * 1000000000ull;
    while (!pool.first) {
        pool.idle++;
        int r = abx_dispatch_wait(&pool.work, &pool.mutex, deadline);
        pool.idle--;
        if (r == -ETIMEDOUT && !pool.first)
            return NULL;
    }
    struct abx_pool_job *job = pool.first;
    pool.first = job->next;
    if (!pool.first)
        pool.last = NULL;
    pool.queued--;
    return job;
}

static void *worker(void *unused)
{
    pthread_mutex_lock(&pool.mutex);
    for (struct abx_pool_job *job; (job = next_job());) {
        pthread_mutex_unlock(&pool.mutex);
        void *token = objc_autoreleasePoolPush();
        job->run(job);
        objc_autoreleasePoolPop(token);
        pthread_mutex_lock(&pool.mutex);
    }
    pool.threads--;
    pthread_mutex_unlock(&pool.mutex);
    return NULL;
}

void abx_pool_submit(struct abx_pool_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&pool.mutex);
    if (pool.last)
        pool.last->next = job;
    else
        pool.first = job;
    pool.last = job;
    pool.queued++;
    if (pool.idle >= pool.queued) {
        pthread_cond_signal(&pool.work);
    } else if (pool.threads < MAX_THREADS) {
        pool.threads++;
        if (start_thread(worker, NULL) < 0 && --pool.threads == 0)
            abort(); /* nobody would ever run it */
    }
    pthread_mutex_unlock(&pool.mutex);
}

/* ---- timers */

static void *timer_thread(void *unused)
{
    pthread_mutex_lock(&timers.mutex);
    while (timers.first) {
        struct timer *timer = timers.first;
        if (abx_now_ns() < timer->when) {
            abx_dispatch_wait(&timers.changed, &timers.mutex, timer->when);
            continue;
        }
        timers.first = timer->next;
        pthread_mutex_unlock(&timers.mutex);
        timer->function(timer->context);
        free(timer);
        pthread_mutex_lock(&timers.mutex);
    }
    timers.running = false;
    pthread_mutex_unlock(&timers.mutex);
    return NULL;
}

void abx_pool_at(uint64_t when, dispatch_function_t function, void *context)
{
    struct timer *timer = abx_dispatch_allocate(sizeof(*timer)), **p = &timers.first;
    *timer = (struct timer){NULL, when, function, context};
    pthread_mutex_lock(&timers.mutex);
    while (*p && (*p)->when <= when)
        p = &(*p)->next;
    timer->next = *p;
    *p = timer;
    if (timers.running)
        pthread_cond_signal(&timers.changed);
    else if (start_thread(timer_thread, NULL) == 0)
        timers.running = true;
    else
        abort();
    pthread_mutex_unlock(&timers.mutex);
}

/* ---- time */

static uint64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A dispatch_time_t is monotonic nanoseconds, or minus the wall clock's nanoseconds. */
#define IS_WALL(when) ((int64_t)(when) < 0)

OBJC_EXPORT dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delta);
dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delta)
{
    enum { NOW = 0 };
    if (when == DISPATCH_TIME_FOREVER)
        return when;
    if (IS_WALL(when)) {
        uint64_t wall = when == ~1ull ? wall_ns() : -when;
        return -(wall + (uint64_t)delta);
    }
    uint64_t base = when == NOW ? abx_now_ns() : when;
    if (delta < 0)
        return base > (uint64_t)-delta ? base - (uint64_t)-delta : 1;
    return (uint64_t)delta > INT64_MAX - base ? DISPATCH_TIME_FOREVER : base + (uint64_t)delta;
}

OBJC_EXPORT dispatch_time_t dispatch_walltime(const struct timespec *when, int64_t delta);
dispatch_time_t dispatch_walltime(const struct timespec *when, int64_t delta)
{
    uint64_t base =
            when ? (uint64_t)when->tv_sec * 1000000000 + (uint64_t)when->tv_nsec : wall_ns();
    return -(base + (uint64_t)delta);
}

uint64_t abx_dispatch_deadline(dispatch_time_t when)
{
    if (when == DISPATCH_TIME_FOREVER)
        return UINT64_MAX;
    if (!IS_WALL(when))
        return when ? when : abx_now_ns();
    uint64_t wall = when == ~1ull ? wall_ns() : -when, now = wall_ns();
    return abx_now_ns() + (wall > now ? wall - now : 0);
}

/* ---- fork */

static void before_fork(void)
{
    pthread_mutex_lock(&pool.mutex);
    pthread_mutex_lock(&timers.mutex);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&timers.mutex);
    pthread_mutex_unlock(&pool.mutex);
}

static void after_fork_child(void)
{
    pthread_mutex_init(&pool.mutex, NULL);
    abx_dispatch_condition_init(&pool.work);
    pool.first = pool.last = NULL;
    pool.threads = pool.idle = pool.queued = 0;
    pool.generation++;
    pthread_mutex_init(&timers.mutex, NULL);
    abx_dispatch_condition_init(&timers.changed);
    timers.first = NULL;
    timers.running = false;
}

__attribute__((constructor(102))) static void start(void)
{
    abx_dispatch_condition_init(&pool.work);
    abx_dispatch_condition_init(&timers.changed);
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}
