/* tests/backend: a backend that behaves as a discrete GPU does, and leaves the work to the cpu
 * backend: private memory of its own, no unified memory, imports that take their time and may not
 * overlap, completions from other threads after random delays, in any order between queues, and a
 * device that can be lost. It checks what the host promises: pages of a window, memory that is
 * imported before it is used, and a list of what a submission touches.
 *
 * "discrete" has memory where the guest wants it; "elsewhere" has its own addresses: shared memory
 * is mapped a second time, private memory lies in an arena. */
#include "discrete.h"
#include "backend/window.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define REAL abx_backend_cpu
#define ARENA_BYTES (1ull << 40)
#define IMPORT_NS 2000000u /* at most */
#define FINISH_NS 300000u  /* at most */

struct window {
    struct window *next;
    char *at, *twin; /* twin: where "elsewhere" has the same; NULL */
    uint64_t bytes;
};

struct abx_device {
    struct abx_device *real;
    bool elsewhere;
    struct abx_device_config config;
    _Atomic uint64_t arena; /* the next free address */
    pthread_mutex_t lock;   /* lists */
    struct window *windows;
    struct abx_device_memory *imports;
    unsigned importing;
    pthread_cond_t imported;
};

struct abx_device_memory {
    struct abx_device *device;
    struct abx_device_memory *next; /* of the imports */
    struct abx_device_memory *real;
    char *place; /* in the window; NULL: private */
    uint64_t bytes;
    _Atomic bool ready;
    void (*done)(void *user, int error);
    void *user;
};

/* The real backend's copy of a submission. */
struct job {
    struct abx_submission real; /* first: running() */
    struct abx_submission *given;
    struct abx_queue *queue;
    struct job *next;
    int error; /* found here; it runs nothing */
    const char *text;
    char commands[];
};

struct abx_queue {
    struct abx_device *device;
    struct abx_queue *real;
    pthread_t thread; /* tells of completions */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *first, **end;
    bool stop;
};

static void delay(uint32_t most_ns)
{
    static _Atomic uint32_t state = 1;
    uint32_t x = atomic_fetch_add(&state, 0x9e3779b9u);
    x = (x ^ x >> 15) * 0x2c1b3c6du;
    struct timespec t = {0, (long)((x ^ x >> 13) % most_ns)};
    nanosleep(&t, NULL);
}

/* ---- device */

static unsigned probe(char (*ret_names)[64], unsigned capacity)
{
    if (capacity)
        snprintf(ret_names[0], sizeof *ret_names, "ArcBox discrete (for tests)");
    return capacity ? 1 : 0;
}

static int open_device(
        const struct abx_device_config *config, bool elsewhere, struct abx_device **ret)
{
    struct abx_device *d = calloc(1, sizeof *d);
    void *arena = elsewhere ? mmap(NULL, ARENA_BYTES, PROT_READ,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                            : NULL;
    if (!d || arena == MAP_FAILED || REAL.device->open(config, &d->real) < 0) {
        free(d);
        return -ENOMEM;
    }
    d->elsewhere = elsewhere;
    d->config = *config;
    d->arena = (uint64_t)(uintptr_t)arena;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->imported, NULL);
    *ret = d;
    return 0;
}

static int open_discrete(const struct abx_device_config *config, struct abx_device **ret)
{
    return open_device(config, false, ret);
}

static int open_elsewhere(const struct abx_device_config *config, struct abx_device **ret)
{
    return open_device(config, true, ret);
}

static void device_close(struct abx_device *d)
{
    pthread_mutex_lock(&d->lock);
    while (d->importing) /* threads that have told of it, and not ended */
        pthread_cond_wait(&d->imported, &d->lock);
    pthread_mutex_unlock(&d->lock);
    REAL.device->close(d->real);
    free(d);
}

static void device_info(struct abx_device *d, struct abx_device_info *info)
{
    REAL.device->info(d->real, info);
    probe(&info->name, 1);
    strcpy(info->backend, d->elsewhere ? elsewhere_backend.name : discrete_backend.name);
    info->unified_memory = 0;
    info->addresses = d->elsewhere ? ABX_ADDRESS_DEVICE : ABX_ADDRESS_GUEST;
}

static void watchdog(struct abx_device *d, uint64_t limit_ns)
{
    REAL.device->watchdog(d->real, limit_ns);
}

/* ---- memory */

static int reserve(struct abx_device *d, uint64_t bytes, void **ret)
{
    struct window *w = calloc(1, sizeof *w);
    void *twin = d->elsewhere ? mmap(NULL, bytes, PROT_READ,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                              : NULL;
    if (!w || twin == MAP_FAILED || abx_window_reserve(d, bytes, ret) < 0) {
        free(w);
        return -ENOMEM;
    }
    *w = (struct window){.at = *ret, .twin = twin, .bytes = bytes};
    pthread_mutex_lock(&d->lock);
    w->next = d->windows;
    d->windows = w;
    pthread_mutex_unlock(&d->lock);
    return 0;
}

static void release(struct abx_device *d, void *window, uint64_t bytes)
{
    pthread_mutex_lock(&d->lock);
    struct window **at = &d->windows;
    while ((*at)->at != window)
        at = &(*at)->next;
    struct window *w = *at;
    *at = w->next;
    for (const struct abx_device_memory *m = d->imports; m; m = m->next)
        if (m->place >= w->at && m->place < w->at + w->bytes)
            abort(); /* something lies in it */
    pthread_mutex_unlock(&d->lock);
    if (w->twin)
        munmap(w->twin, bytes);
    abx_window_release(d, window, bytes);
    free(w);
}

static void ready_at_once(void *user, int error) {}

static void *import_thread(void *arg)
{
    struct abx_device_memory *m = arg;
    struct abx_device *d = m->device;
    delay(IMPORT_NS);
    atomic_store(&m->ready, true);
    m->done(m->user, 0); /* it may be gone from here on */
    pthread_mutex_lock(&d->lock);
    d->importing--;
    pthread_cond_broadcast(&d->imported);
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* The window that the pages lie in, NULL when they are not whole, lie in none or run into others.
 * The device's lock is held. */
static struct window *find_window(struct abx_device *d, const char *at, uint64_t bytes)
{
    for (const struct abx_device_memory *m = d->imports; m; m = m->next)
        if (m->place < at + bytes && at < m->place + m->bytes)
            return NULL;
    for (struct window *w = d->windows; w; w = w->next)
        if (at >= w->at && abx_range_ok((uint64_t)(at - w->at), bytes, w->bytes) &&
                (uintptr_t)at % 4096 == 0 && bytes % 4096 == 0)
            return w;
    return NULL;
}

static int import(struct abx_device *d, void *address, uint64_t bytes,
        void (*done)(void *user, int error), void *user, struct abx_device_memory **ret)
{
    struct abx_device_memory *m = calloc(1, sizeof *m);
    char *seen = address;
    if (!m)
        return -ENOMEM;
    *m = (struct abx_device_memory){
            .device = d, .place = address, .bytes = bytes, .done = done, .user = user};
    pthread_mutex_lock(&d->lock);
    struct window *w = find_window(d, address, bytes);
    if (w && w->twin) {
        /* Of length 0: the same pages a second time. */
        seen = w->twin + ((char *)address - w->at);
        if (mremap(address, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, seen) == MAP_FAILED)
            w = NULL;
    }
    if (!w || REAL.memory->import(d->real, seen, bytes, ready_at_once, NULL, &m->real) < 0) {
        pthread_mutex_unlock(&d->lock);
        free(m);
        return -EINVAL;
    }
    m->next = d->imports;
    d->imports = m;
    d->importing++;
    pthread_mutex_unlock(&d->lock);
    *ret = m;
    pthread_t thread;
    if (pthread_create(&thread, NULL, import_thread, m) == 0)
        pthread_detach(thread);
    else
        import_thread(m);
    return 0;
}

static int create_private(
        struct abx_device *d, void *place, uint64_t bytes, struct abx_device_memory **ret)
{
    struct abx_device_memory *m = calloc(1, sizeof *m);
    if (!m || d->elsewhere != !place || bytes > ARENA_BYTES / 2) {
        free(m);
        return m ? -EINVAL : -ENOMEM;
    }
    if (!place)
        place = (void *)(uintptr_t)atomic_fetch_add(&d->arena, abx_align_up(bytes, 4096) + 4096);
    int r = REAL.memory->create_private(d->real, place, bytes, &m->real);
    if (r < 0) {
        free(m);
        return r;
    }
    m->device = d;
    m->bytes = bytes;
    m->ready = true;
    *ret = m;
    return 0;
}

static uint64_t address(const struct abx_device_memory *m)
{
    return REAL.memory->address(m->real);
}

static void destroy(struct abx_device_memory *m)
{
    if (!m)
        return;
    struct abx_device *d = m->device;
    if (!atomic_load(&m->ready))
        abort();
    pthread_mutex_lock(&d->lock);
    struct abx_device_memory **at = &d->imports;
    while (*at && *at != m)
        at = &(*at)->next;
    if (*at)
        *at = m->next;
    if (*at && d->elsewhere) /* the second mapping: zeros again */
        (void)!mmap((void *)(uintptr_t)address(m), m->bytes, PROT_READ,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    pthread_mutex_unlock(&d->lock);
    REAL.memory->destroy(m->real);
    free(m);
}

/* ---- queues */

/* The real backend's memory in the place of ours. NULL stays NULL. */
static bool translate(const struct abx_submission *s, struct abx_device_memory **at, uint32_t usage)
{
    struct abx_device_memory *m = *at;
    if (!m)
        return true;
    bool listed = false;
    for (uint32_t i = 0; i < s->resource_count; i++)
        listed |= s->resources[i].memory == m && (s->resources[i].usage & usage) == usage;
    *at = m->real;
    return listed && atomic_load(&m->ready);
}

static bool translate_command(const struct abx_submission *s, struct abx_exec_command *c)
{
    bool ok = true;
    switch ((enum abx_exec_op)c->op) {
    case ABX_EXEC_DISPATCH:
    case ABX_EXEC_DISPATCH_INDIRECT: {
        struct abx_exec_dispatch *d = (void *)c;
        ok = translate(s, &d->indirect, ABX_USAGE_READ) & translate(s, &d->range, ABX_USAGE_READ);
        for (uint32_t i = 0; i < d->binding_count; i++)
            ok &= translate(s, &d->bindings[i].memory, ABX_USAGE_READ);
        return ok;
    }
    case ABX_EXEC_COPY: {
        struct abx_exec_copy *copy = (void *)c;
        return translate(s, &copy->from, ABX_USAGE_READ) & translate(s, &copy->to, ABX_USAGE_WRITE);
    }
    case ABX_EXEC_FILL: {
        struct abx_exec_fill *fill = (void *)c;
        if (fill->length == DISCRETE_LOSE_BYTES && fill->value == DISCRETE_LOSE_VALUE && fill->to) {
            const struct abx_device_config *config = &fill->to->device->config;
            config->lost(config->user, "the graphics card fell off the bus");
        }
        return translate(s, &fill->to, ABX_USAGE_WRITE);
    }
    case ABX_EXEC_TIMESTAMP:
        return translate(s, &((struct abx_exec_timestamp *)c)->to, ABX_USAGE_WRITE);
    case ABX_EXEC_MATRIX_MULTIPLY: {
        struct abx_exec_matrix_multiply *m = (void *)c;
        return translate(s, &m->left.memory, ABX_USAGE_READ) &
               translate(s, &m->right.memory, ABX_USAGE_READ) &
               translate(s, &m->result.memory, ABX_USAGE_WRITE);
    }
    case ABX_EXEC_BARRIER:
    case ABX_EXEC_WAIT_EVENT:
    case ABX_EXEC_SIGNAL_EVENT:
    case ABX_EXEC_WAIT_FENCE:
    case ABX_EXEC_UPDATE_FENCE:
        return true;
    }
    return false;
}

static void real_done(struct abx_submission *real, const struct abx_exec_result *result)
{
    struct job *job = (struct job *)real;
    struct abx_queue *q = job->queue;
    job->real.result = *result;
    job->next = NULL;
    pthread_mutex_lock(&q->lock);
    *q->end = job;
    q->end = &job->next;
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
}

static void *queue_thread(void *arg)
{
    struct abx_queue *q = arg;
    for (;;) {
        pthread_mutex_lock(&q->lock);
        while (!q->first && !q->stop)
            pthread_cond_wait(&q->wake, &q->lock);
        struct job *job = q->first;
        if (job && !(q->first = job->next))
            q->end = &q->first;
        pthread_mutex_unlock(&q->lock);
        if (!job)
            return NULL;
        delay(FINISH_NS);
        struct abx_submission *s = job->given;
        struct abx_exec_result result = job->real.result;
        if (job->error) {
            result.error = job->error;
            result.text = job->text;
        }
        free(job);
        s->done(s, &result); /* the queue may be destroyed from here on */
    }
}

static void queue_submit(struct abx_queue *q, struct abx_submission *s)
{
    struct job *job = malloc(sizeof *job + s->bytes);
    if (!job) {
        struct abx_exec_result result = {.error = ABX_EXEC_OUT_OF_MEMORY};
        s->done(s, &result);
        return;
    }
    *job = (struct job){.given = s, .queue = q};
    bool ok = true;
    memcpy(job->commands, s->commands, s->bytes);
    for (size_t at = 0; at < s->bytes;) {
        struct abx_exec_command *c = (void *)(job->commands + at);
        ok &= translate_command(s, c);
        at += c->bytes;
    }
    job->real = (struct abx_submission){.commands = (void *)job->commands,
            .bytes = s->bytes,
            .done = real_done,
            .client = s->client};
    if (!ok) {
        job->error = ABX_EXEC_INVALID_RESOURCE;
        job->text = "memory that is not there, or not listed for this use";
    }
    if (job->error)
        job->real.bytes = 0;
    REAL.queue->submit(q->real, &job->real);
}

static void queue_cancel(struct abx_queue *q)
{
    REAL.queue->cancel(q->real);
}

static void queue_destroy(struct abx_queue *q)
{
    REAL.queue->destroy(q->real);
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    free(q);
}

static int queue_create(struct abx_device *d, struct abx_queue **ret)
{
    struct abx_queue *q = calloc(1, sizeof *q);
    if (!q)
        return -ENOMEM;
    q->device = d;
    q->end = &q->first;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wake, NULL);
    int r = REAL.queue->create(d->real, &q->real);
    if (r == 0 && pthread_create(&q->thread, NULL, queue_thread, q) != 0) {
        REAL.queue->destroy(q->real);
        r = -ENOMEM;
    }
    if (r < 0) {
        free(q);
        return r;
    }
    *ret = q;
    return 0;
}

/* ---- what is the real one's as it is */

static int pipeline_create(
        struct abx_device *d, const void *object, size_t bytes, struct abx_pipeline **ret)
{
    return REAL.pipeline->create(d->real, object, bytes, ret);
}

static void pipeline_info(const struct abx_pipeline *pipeline, struct abx_pipeline_info *ret)
{
    REAL.pipeline->info(pipeline, ret);
}

static void pipeline_destroy(struct abx_pipeline *pipeline)
{
    REAL.pipeline->destroy(pipeline);
}

static void use_signal(int number)
{
    REAL.native->use_signal(number);
}

static void stop(const void *context)
{
    REAL.native->stop(context);
}

static void fault(const siginfo_t *info, const void *context)
{
    REAL.native->fault(info, context);
}

static struct abx_submission *running(void)
{
    const struct job *job = (const struct job *)REAL.native->running();
    return job ? job->given : NULL;
}

static const struct abx_device_ops discrete_ops = {
        open_discrete, device_close, device_info, watchdog};
static const struct abx_device_ops elsewhere_ops = {
        open_elsewhere, device_close, device_info, watchdog};
static const struct abx_memory_ops memory_ops = {
        .reserve = reserve,
        .release = release,
        .import = import,
        .create_private = create_private,
        .address = address,
        .destroy = destroy,
};
static const struct abx_pipeline_ops pipeline_ops = {
        pipeline_create, pipeline_info, pipeline_destroy};
static const struct abx_queue_ops queue_ops = {
        .create = queue_create,
        .submit = queue_submit,
        .cancel = queue_cancel,
        .destroy = queue_destroy,
};
static const struct abx_native_ops native_ops = {use_signal, stop, fault, running};

/* `discrete` has the library operations, `elsewhere` has kernels in their place. */
static int prepare(char *ret_why, size_t capacity)
{
    return abx_backend_cpu.prepare(ret_why, capacity);
}

const struct abx_backend discrete_backend = {.name = "discrete",
        .prepare = prepare,
        .target = ABX_TARGET_HOST,
        .probe = probe,
        .device = &discrete_ops,
        .memory = &memory_ops,
        .pipeline = &pipeline_ops,
        .queue = &queue_ops,
        .native = &native_ops};

const struct abx_backend elsewhere_backend = {.name = "elsewhere",
        .target = ABX_TARGET_HOST,
        .probe = probe,
        .device = &elsewhere_ops,
        .memory = &memory_ops,
        .pipeline = &pipeline_ops,
        .queue = &queue_ops,
        .native = &native_ops};
