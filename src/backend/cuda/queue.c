/* backend/cuda: a queue is a stream, and a thread that issues work to it and tells of its end.
 * Worker process.
 *
 * The thread never waits for the device in the driver: the stream writes the numbers of marks into
 * a word of this process's memory, which the thread looks at between the commands that it issues,
 * then for a while without a pause, then at longer and longer intervals. What waits for the
 * processor (events, indirect grids) keeps its place in the submission meanwhile. */
#include "backend/cuda/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Without a pause, then with pauses: where the guest, the worker's ring thread and we share few
 * CPUs, spinning takes theirs. */
#define FEW_CPUS 4u
#define SPIN_FEW_CPUS_NS 4000u
/* While the device works: a part of what it has taken so far. */
#define SLEEP_PART 256u
#define SLEEP_LEAST_NS 5000u
#define SLEEP_MOST_NS 200000u
#define CROWDED_SPIN_NS 4000u
#define THREAD_PATIENCE_MS 100
#define BUFFER_LIMITS 60u /* a command buffer may take so many kernels' time */

/* ---- marks */

bool abx_cuda_reached(struct abx_queue *q, uint32_t number)
{
    uint32_t word = __atomic_load_n(&q->device->words[q->word], __ATOMIC_ACQUIRE);
    return (int32_t)(word - number) >= 0;
}

static void finish(struct abx_queue *q, struct abx_submission *s, int error)
{
    static const char *const texts[] = {
            [ABX_EXEC_INTERNAL] = "the driver refused a command",
            [ABX_EXEC_OUT_OF_MEMORY] = "the GPU has not enough memory or registers for it",
            [ABX_EXEC_INVALID_RESOURCE] = "the grid or the threadgroup memory is too large",
            [ABX_EXEC_DEVICE_REMOVED] = "the queue was cancelled, or the device lost",
    };
    struct abx_exec_result *r = &s->result;
    if (!r->error)
        r->error = error;
    if (r->error && !r->text && (size_t)r->error < ABX_ARRAY_SIZE(texts))
        r->text = texts[r->error];
    r->end_ns = abx_now_ns();
    if (r->start_ns < q->done_ns)
        r->start_ns = q->done_ns;
    q->done_ns = r->end_ns;
    atomic_fetch_add(&q->finished, 1);
    s->done(s, r);
}

static void act(struct abx_queue *q, const struct abx_cuda_mark *m)
{
    if (m->kind == ABX_CUDA_MARK_SIGNAL)
        q->device->config.events->signal(m->event, m->value);
    else if (m->kind == ABX_CUDA_MARK_DONE) {
        abx_cuda_clock_look(q);
        abx_cuda_mirrors_count(m->submission, -1);
        finish(q, m->submission, ABX_EXEC_OK);
    }
}

bool abx_cuda_mark(
        struct abx_queue *q, enum abx_cuda_mark_kind kind, struct abx_event *event, uint64_t value)
{
    struct abx_cuda_mark m = {.number = q->number + 1,
            .kernels = q->kernels,
            .kind = kind,
            .submission = q->current,
            .event = event,
            .value = value,
            .staging = q->staging_head,
            .issued_ns = abx_now_ns()};
    if (q->mark_count == ABX_CUDA_MARKS) /* this thread alone adds marks */
        return false;
    if (q->mark_count == 0 && !q->unmarked) {
        if (kind == ABX_CUDA_MARK_DONE) {
            q->current = NULL;
            q->current_number++;
        }
        act(q, &m);
        return true;
    }
    int result = abx_cu.stream_write(
            q->stream, q->device->words_address + q->word * sizeof(uint32_t), m.number, 0);
    if (result) {
        if (abx_cuda_is_fatal(result))
            abx_cuda_lose(q->device, result, NULL, 0, 0);
        else /* it will never be known when anything ends */
            abx_cuda_lose(q->device, ABX_CU_UNKNOWN, q, ABX_EXEC_INTERNAL, 0);
        return false;
    }
    pthread_mutex_lock(&q->lock);
    q->number++;
    q->kernels = 0;
    q->unmarked = false;
    q->marks[(q->mark_first + q->mark_count++) % ABX_CUDA_MARKS] = m;
    if (kind == ABX_CUDA_MARK_DONE) {
        q->current = NULL;
        q->current_number++;
    }
    pthread_mutex_unlock(&q->lock);
    return true;
}

/* What has been reached. True: something was. */
static bool retire(struct abx_queue *q)
{
    bool some = false;
    for (;;) {
        struct abx_cuda_mark m;
        pthread_mutex_lock(&q->lock);
        bool reached =
                q->mark_count && !q->lost && abx_cuda_reached(q, q->marks[q->mark_first].number);
        if (reached) {
            m = q->marks[q->mark_first];
            q->mark_first = (q->mark_first + 1) % ABX_CUDA_MARKS;
            q->mark_count--;
            q->last_ns = abx_now_ns();
            if (m.kind == ABX_CUDA_MARK_OTHERS && m.value) /* it begins now */
                m.submission->result.start_ns = q->last_ns;
        }
        pthread_mutex_unlock(&q->lock);
        if (!reached)
            return some;
        some = true;
        q->staging_tail = m.staging;
        act(q, &m);
    }
}

/* ---- issuing */

static struct abx_submission *next_submission(struct abx_queue *q)
{
    struct abx_submission *s = q->ordered;
    if (!s) {
        struct abx_submission *newest = atomic_exchange(&q->incoming, NULL);
        while (newest) {
            struct abx_submission *older = newest->next;
            newest->next = s;
            s = newest;
            newest = older;
        }
    }
    q->ordered = s ? s->next : NULL;
    return s;
}

/* What was written to files before this is seen by this. */
static void renew_files(struct abx_queue *q, struct abx_submission *s)
{
    int r = 0;
    for (uint32_t i = 0; i < s->resource_count && r == 0; i++)
        if (s->resources[i].memory && s->resources[i].memory->file)
            r = abx_cuda_file_renew(&s->resources[i]);
    if (r == 0)
        return;
    q->error = r == -ENOMEM ? ABX_EXEC_OUT_OF_MEMORY : ABX_EXEC_PAGE_FAULT;
    s->result.text = r == -EFAULT ? "a file that the program maps got shorter"
                                  : "a file that the program maps cannot be read any more";
}

static bool begin(struct abx_queue *q)
{
    struct abx_submission *s = next_submission(q);
    if (!s)
        return false;
    s->result = (struct abx_exec_result){.start_ns = abx_now_ns()};
    q->at = q->staged_until = q->looked_until = 0;
    q->number_at = 1;
    q->error = ABX_EXEC_OK;
    q->read_for = NULL;
    q->range = NULL;
    q->reading = false;
    q->arriving = true;
    q->mirrored = q->touched = false;
    abx_cuda_mirrors_count(s, 1);
    pthread_mutex_lock(&q->lock);
    q->current = s;
    pthread_mutex_unlock(&q->lock);
    if (abx_cuda_cancelled(q))
        q->error = ABX_EXEC_DEVICE_REMOVED;
    else
        renew_files(q, s);
    return true;
}

/* What private memory was made before this is zeroed before this. */
static int wait_zeroing(struct abx_queue *q)
{
    uint64_t zeroings = atomic_load(&q->device->zeroings);
    if (zeroings == q->zeroings)
        return ABX_CU_OK;
    q->zeroings = zeroings;
    return abx_cu.stream_wait(q->stream, q->device->zero_event, 0);
}

/* All of the submission that can be issued now. True: something was. */
static bool issue(struct abx_queue *q)
{
    bool some = false;
    if (!q->current) {
        if (!begin(q))
            return false;
        some = true;
        int result = q->error ? ABX_CU_OK : wait_zeroing(q);
        if (result)
            q->error = ABX_EXEC_INTERNAL;
    }
    struct abx_submission *s = q->current;
    if (q->arriving && !q->error) {
        if (abx_cuda_mirrors_begin(q) == ABX_CUDA_STEP_BLOCKED)
            return some;
        some = true;
    }
    q->arriving = false;
    /* Once the device is lost the submission may be gone. */
    while (!q->lost && !q->error && q->at < s->bytes) {
        const struct abx_exec_command *c = (const void *)((const char *)s->commands + q->at);
        if (abx_cuda_cancelled(q) && !q->wait) {
            q->error = ABX_EXEC_DEVICE_REMOVED;
            break;
        }
        enum abx_cuda_step step = abx_cuda_issue(q, c);
        if (step == ABX_CUDA_STEP_BLOCKED) {
            if (q->unmarked)
                some |= abx_cuda_mark(q, ABX_CUDA_MARK_PROGRESS, NULL, 0);
            return some;
        }
        some = true;
        if (q->lost)
            break;
        if (step == ABX_CUDA_STEP_FAILED) {
            s->result.source = c->source;
            s->result.origin = c->origin;
            break;
        }
        q->at += q->consumed;
        q->number_at += q->commands;
        if (q->kernels >= ABX_CUDA_MARK_EVERY) {
            (void)abx_cuda_mark(q, ABX_CUDA_MARK_PROGRESS, NULL, 0);
            (void)retire(q);
        }
    }
    if (!q->lost && q->touched)
        (void)abx_cuda_mirrors_exchange(q, false);
    if (q->lost)
        return some;
    q->touched = false;
    if (q->error)
        s->result.error = q->error;
    return abx_cuda_mark(q, ABX_CUDA_MARK_DONE, NULL, 0) || some;
}

/* ---- the thread */

static bool is_idle(const struct abx_queue *q)
{
    return !q->current && !q->ordered && !q->mark_count;
}

static bool has_news(struct abx_queue *q)
{
    if (q->mark_count && abx_cuda_reached(q, q->marks[q->mark_first].number))
        return true;
    if (q->wait)
        return atomic_load(&q->wait->done) != 0 || abx_cuda_cancelled(q);
    return !q->current && atomic_load_explicit(&q->incoming, memory_order_relaxed);
}

/* An error that the device met shows in any call; a mark behind it is never reached. */
static void look_for_errors(struct abx_queue *q)
{
    int result = abx_cu.stream_query(q->stream);
    if (abx_cuda_is_fatal(result))
        abx_cuda_lose(q->device, result, NULL, 0, 0);
}

static void sleep_until_roused(struct abx_queue *q, int64_t timeout_ns)
{
    atomic_store(&q->sleeping, 1);
    if (!has_news(q) && !atomic_load(&q->stop))
        abx_futex_wait((const uint32_t *)&q->sleeping, 1, timeout_ns);
    atomic_store(&q->sleeping, 0);
}

/* How long to look without a pause. */
static uint64_t spin_of(const struct abx_queue *q, uint64_t now)
{
    bool busy = q->mark_count || q->unmarked;
    if (abx_crowded(now))
        return CROWDED_SPIN_NS;
    if (q->device->cpus < FEW_CPUS)
        return SPIN_FEW_CPUS_NS;
    return busy && q->device->cpus >= ABX_LOOK_CPUS ? ABX_LOOK_DEVICE_NS : ABX_LOOK_LONG_NS;
}

/* Until there is something to do: an error, too. */
static void wait_for_news(struct abx_queue *q)
{
    uint64_t begin = abx_now_ns(), now = begin;
    if (q->lost) {
        sleep_until_roused(q, -1);
        return;
    }
    uint64_t spin = spin_of(q, now), before = now;
    for (; now < begin + spin; abx_looked(before, now)) {
        for (int i = 0; i < 16; i++) {
            if (has_news(q))
                return;
            abx_cpu_relax();
        }
        before = now;
        now = abx_now_ns();
    }
    while (!has_news(q) && !q->lost) {
        if (!q->mark_count && !q->unmarked) {
            sleep_until_roused(q, -1);
            return;
        }
        uint64_t pause = (abx_now_ns() - begin) / SLEEP_PART;
        pause = pause < SLEEP_LEAST_NS  ? SLEEP_LEAST_NS
                : pause > SLEEP_MOST_NS ? SLEEP_MOST_NS
                                        : pause;
        look_for_errors(q);
        sleep_until_roused(q, (int64_t)pause);
        if (atomic_load(&q->stop))
            return;
    }
}

/* After the device's loss: everything ends, but for what has been ended as its cause. */
static void end_all(struct abx_queue *q)
{
    pthread_mutex_lock(&q->lock);
    for (; q->mark_count; q->mark_count--, q->mark_first = (q->mark_first + 1) % ABX_CUDA_MARKS) {
        const struct abx_cuda_mark *m = &q->marks[q->mark_first];
        if (m->kind != ABX_CUDA_MARK_DONE || m->submission == q->ended)
            continue;
        struct abx_submission *s = m->submission;
        pthread_mutex_unlock(&q->lock);
        finish(q, s, ABX_EXEC_DEVICE_REMOVED);
        pthread_mutex_lock(&q->lock);
    }
    struct abx_submission *s = q->current == q->ended ? NULL : q->current;
    if (s && q->judged)
        s->result = q->verdict;
    q->judged = false;
    q->current = NULL;
    pthread_mutex_unlock(&q->lock);
    q->unmarked = false;
    abx_cuda_end_wait(q);
    if (s)
        finish(q, s, ABX_EXEC_DEVICE_REMOVED);
    while ((s = next_submission(q))) {
        s->result = (struct abx_exec_result){.start_ns = abx_now_ns()};
        finish(q, s, ABX_EXEC_DEVICE_REMOVED);
    }
}

static void *queue_thread(void *argument)
{
    struct abx_queue *q = argument;
    abx_cuda_enter(q->device);
    for (;;) {
        if (q->lost)
            end_all(q);
        bool some = retire(q);
        some |= !q->lost && issue(q);
        if (some)
            continue;
        if (atomic_load(&q->stop) && is_idle(q) && !atomic_load(&q->incoming))
            return NULL;
        wait_for_news(q);
    }
}

static void rouse(struct abx_queue *q)
{
    if (atomic_exchange(&q->sleeping, 0))
        abx_futex_wake((const uint32_t *)&q->sleeping, 1);
}

static void queue_submit(struct abx_queue *q, struct abx_submission *s)
{
    uint64_t number = atomic_fetch_add(&q->submitted, 1);
    /* Nothing to do and nothing before it: a hand-over to the thread would be all its cost. */
    if (s->bytes == 0 && atomic_load(&q->finished) == number && !q->lost) {
        s->result = (struct abx_exec_result){.start_ns = abx_now_ns(),
                .error = atomic_load(&q->cancelled) > number ? ABX_EXEC_DEVICE_REMOVED
                                                             : ABX_EXEC_OK};
        s->result.end_ns = s->result.start_ns;
        q->current_number++;
        atomic_fetch_add(&q->finished, 1);
        s->done(s, &s->result);
        return;
    }
    struct abx_submission *head = atomic_load(&q->incoming);
    do
        s->next = head;
    while (!atomic_compare_exchange_weak(&q->incoming, &head, s));
    rouse(q);
}

static void queue_cancel(struct abx_queue *q)
{
    atomic_store(&q->cancelled, atomic_load(&q->submitted));
    rouse(q);
}

/* ---- the device's list of them */

static int take_word(struct abx_device *device, uint32_t *ret)
{
    for (uint32_t i = 0; i < ABX_ARRAY_SIZE(device->words_used); i++)
        if (~device->words_used[i]) {
            uint32_t bit = (uint32_t)__builtin_ctzll(~device->words_used[i]);
            if (i * 64 + bit == ABX_CUDA_QUEUES - 1)
                return -ENOMEM; /* warm_up's */
            device->words_used[i] |= 1ull << bit;
            *ret = 2 * (i * 64 + bit);
            device->words[*ret] = device->words[*ret + 1] = 0;
            return 0;
        }
    return -ENOMEM;
}

static int enlist(struct abx_queue *q)
{
    struct abx_device *device = q->device;
    pthread_mutex_lock(&device->queues_lock);
    int r = take_word(device, &q->word);
    if (r == 0) {
        q->next = device->queues;
        device->queues = q;
        q->lost = atomic_load(&device->lost);
    }
    pthread_mutex_unlock(&device->queues_lock);
    return r;
}

static void delist(struct abx_queue *q)
{
    struct abx_device *device = q->device;
    pthread_mutex_lock(&device->queues_lock);
    struct abx_queue **at = &device->queues;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    device->words_used[q->word / 128] &= ~(1ull << q->word / 2 % 64);
    pthread_mutex_unlock(&device->queues_lock);
}

static void free_queue(struct abx_queue *q)
{
    /* Drained, but after the device's loss something may be under way yet. */
    if (q->stream)
        (void)abx_cu.stream_synchronize(q->stream);
    abx_cuda_mirrors_leave(q);
    abx_cuda_submit_close(q);
    if (q->stream)
        (void)abx_cu.stream_destroy(q->stream);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static void queue_destroy(struct abx_queue *q)
{
    atomic_store(&q->stop, true);
    atomic_store(&q->sleeping, 0);
    abx_futex_wake((const uint32_t *)&q->sleeping, 1);
    pthread_join(q->thread, NULL);
    abx_cuda_enter(q->device);
    delist(q);
    free_queue(q);
}

static int queue_create(struct abx_device *device, struct abx_queue **ret)
{
    struct abx_queue *q = calloc(1, sizeof *q);
    if (!q)
        return -ENOMEM;
    q->device = device;
    pthread_mutex_init(&q->lock, NULL);
    abx_cuda_enter(device);
    int r = abx_cuda_errno(abx_cu.stream_create(&q->stream, ABX_CU_STREAM_NON_BLOCKING));
    if (r == 0)
        r = abx_cuda_submit_open(q);
    if (r == 0)
        r = enlist(q);
    if (r < 0) {
        free_queue(q);
        return r;
    }
    r = -pthread_create(&q->thread, NULL, queue_thread, q);
    if (r < 0) {
        delist(q);
        free_queue(q);
        return r;
    }
    *ret = q;
    return 0;
}

/* ---- time-outs and loss: from the watchdog's thread, or from whoever saw an error */

/* How long what runs may take, and has taken. The queue's lock is held. */
static bool is_overdue(const struct abx_queue *q, uint64_t limit_ns, uint64_t now)
{
    const struct abx_cuda_mark *m = &q->marks[q->mark_first];
    if (!q->mark_count || q->lost || m->kind == ABX_CUDA_MARK_OTHERS)
        return false;
    uint64_t since = q->last_ns > m->issued_ns ? q->last_ns : m->issued_ns;
    uint64_t kernels = m->kernels ? m->kernels : 1;
    if (kernels > BUFFER_LIMITS)
        kernels = BUFFER_LIMITS;
    uint64_t start = m->submission ? m->submission->result.start_ns : since;
    if (start < q->done_ns)
        start = q->done_ns;
    return now > since + limit_ns * kernels || now > start + limit_ns * BUFFER_LIMITS;
}

void abx_cuda_queues_watch(struct abx_device *device, uint64_t limit_ns)
{
    struct abx_queue *overdue = NULL;
    uint64_t now = abx_now_ns();
    pthread_mutex_lock(&device->queues_lock);
    for (struct abx_queue *q = device->queues; q && !overdue; q = q->next) {
        pthread_mutex_lock(&q->lock);
        if (is_overdue(q, limit_ns, now))
            overdue = q;
        pthread_mutex_unlock(&q->lock);
    }
    pthread_mutex_unlock(&device->queues_lock);
    if (overdue)
        abx_cuda_lose(device, ABX_CU_OK, overdue, ABX_EXEC_TIMEOUT, limit_ns / 1000000u);
}

/* The kernel that began last, by its command's number; where that is none of this submission's, as
 * when nothing of it has begun yet, its first. */
static void name_kernel(
        const struct abx_queue *q, struct abx_exec_result *r, const struct abx_submission *s)
{
    uint32_t began = __atomic_load_n(&q->device->words[q->word + 1], __ATOMIC_ACQUIRE), number = 0;
    bool any = false;
    for (size_t at = 0; at < s->bytes;) {
        const struct abx_exec_command *c = (const void *)((const char *)s->commands + at);
        bool kernel = c->op == ABX_EXEC_DISPATCH || c->op == ABX_EXEC_DISPATCH_INDIRECT;
        if (++number == began || !any)
            if (kernel) {
                r->source = c->source;
                r->origin = c->origin;
                any = true;
            }
        at += c->bytes;
    }
}

/* What runs at the head of the queue is over, with this error. The device's list is locked. */
static struct abx_submission *take_head(struct abx_queue *q, bool fails)
{
    struct abx_submission *s = NULL;
    pthread_mutex_lock(&q->lock);
    if (fails && !q->lost)
        s = q->mark_count ? q->marks[q->mark_first].submission : q->current;
    q->ended = s;
    q->lost = true;
    pthread_mutex_unlock(&q->lock);
    return s;
}

/* What is being issued belongs to the queue's thread, which ends it when it sees that it is judged.
 * True: it did not, since it is held up in the driver, and will not touch it any more before the
 * process ends. */
static bool leave_to_thread(struct abx_queue *q)
{
    rouse(q);
    bool judged = true;
    for (int i = 0; i < THREAD_PATIENCE_MS && judged; i++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        pthread_mutex_lock(&q->lock);
        judged = q->judged;
        pthread_mutex_unlock(&q->lock);
    }
    return judged;
}

static void fail_head(struct abx_queue *q, struct abx_submission *s, struct abx_exec_result r)
{
    pthread_mutex_lock(&q->lock);
    bool issued = s != q->current || pthread_equal(q->thread, pthread_self());
    if (!issued) { /* at once: the thread may have seen the loss, and be about to drop it */
        q->verdict = r;
        q->judged = true;
        q->ended = NULL;
    }
    pthread_mutex_unlock(&q->lock);
    if (!issued && !leave_to_thread(q))
        return;
    pthread_mutex_lock(&q->lock);
    q->judged = false;
    q->ended = s;
    pthread_mutex_unlock(&q->lock);
    s->result = r;
    atomic_fetch_add(&q->finished, 1);
    s->done(s, &s->result);
}

void abx_cuda_queues_fail(struct abx_device *device, struct abx_queue *guilty, int error,
        uint64_t limit_ms, const char *text)
{
    pthread_mutex_lock(&device->queues_lock);
    for (struct abx_queue *q = device->queues; q; q = q->next) {
        struct abx_submission *s = take_head(q, !guilty || q == guilty);
        if (s) {
            struct abx_exec_result r = s->result;
            r.error = error;
            r.text = error == ABX_EXEC_TIMEOUT ? NULL : text; /* the numbers say it better */
            r.limit = error == ABX_EXEC_TIMEOUT ? limit_ms : 0;
            r.end_ns = abx_now_ns();
            name_kernel(q, &r, s);
            fail_head(q, s, r);
        }
        rouse(q);
    }
    pthread_mutex_unlock(&device->queues_lock);
}

const struct abx_queue_ops abx_cuda_queue_ops = {
        .bytes = 2u << 20, /* staging twice, what is remembered for replays, the driver's own */
        .create = queue_create,
        .submit = queue_submit,
        .cancel = queue_cancel,
        .destroy = queue_destroy,
};
