/* dispatch: groups, semaphores, once and apply. Guest's process; trusts it. */
#include "dispatch/dispatch.h"

static Class group_class, semaphore_class;

/* ---- semaphores */

#define LOOK_CPUS 4u
#define LOOK_LEAST_NS 2000u
#define LOOK_MOST_NS 50000u

struct semaphore {
    struct dispatch_object object;
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    intptr_t value; /* negative: how many wait */
    intptr_t wakeups;
    uint32_t look_ns; /* how long a wait looks before it sleeps: less after it did so in vain */
};

OBJC_EXPORT id dispatch_semaphore_create(intptr_t value);
id dispatch_semaphore_create(intptr_t value)
{
    if (value < 0)
        return nil;
    id object = class_createInstance(semaphore_class, 0);
    struct semaphore *s = (struct semaphore *)object;
    pthread_mutex_init(&s->mutex, NULL);
    abx_dispatch_condition_init(&s->condition);
    s->value = value;
    s->look_ns = LOOK_MOST_NS;
    return object;
}

enum { TIMED_OUT = 49 }; /* not 0 is what is promised */

/* What is waited for is most often a completion handler, which comes sooner than a thread wakes up.
 * The semaphore's lock is held on entry and exit. */
static void look_for_signal(struct semaphore *s, uint64_t deadline)
{
    uint32_t most = s->look_ns;
    uint64_t now = abx_now_ns(), end = now + most < deadline ? now + most : deadline, before;
    const uint64_t began = now;
    bool found = false;
    if (abx_crowded(now))
        return;
    pthread_mutex_unlock(&s->mutex);
    for (; !found && now < end; abx_looked(before, now)) {
        for (int i = 0; i < 16 && !found; i++) {
            abx_cpu_relax();
            found = __atomic_load_n(&s->wakeups, __ATOMIC_RELAXED) != 0;
        }
        abx_give_way(began, now);
        before = now;
        now = abx_now_ns();
    }
    pthread_mutex_lock(&s->mutex);
    most = found ? most + most / 4 : most - most / 8;
    s->look_ns = most < LOOK_LEAST_NS ? LOOK_LEAST_NS : most > LOOK_MOST_NS ? LOOK_MOST_NS : most;
}

OBJC_EXPORT intptr_t dispatch_semaphore_wait(id object, dispatch_time_t timeout);
intptr_t dispatch_semaphore_wait(id object, dispatch_time_t timeout)
{
    struct semaphore *s = (struct semaphore *)object;
    uint64_t deadline = abx_dispatch_deadline(timeout);
    intptr_t result = 0;
    pthread_mutex_lock(&s->mutex);
    if (--s->value < 0) {
        if (abx_pool_width() >= LOOK_CPUS)
            look_for_signal(s, deadline);
        while (!s->wakeups && !result)
            if (abx_dispatch_wait(&s->condition, &s->mutex, deadline) == -ETIMEDOUT && !s->wakeups)
                result = TIMED_OUT;
        if (result)
            s->value++;
        else
            s->wakeups--;
    }
    pthread_mutex_unlock(&s->mutex);
    return result;
}

OBJC_EXPORT intptr_t dispatch_semaphore_signal(id object);
intptr_t dispatch_semaphore_signal(id object)
{
    struct semaphore *s = (struct semaphore *)object;
    pthread_mutex_lock(&s->mutex);
    bool woken = s->value++ < 0;
    if (woken) {
        __atomic_fetch_add(&s->wakeups, 1, __ATOMIC_RELAXED);
        pthread_cond_signal(&s->condition);
    }
    pthread_mutex_unlock(&s->mutex);
    return woken;
}

static void semaphore_dealloc(id self, SEL cmd)
{
    struct semaphore *s = (struct semaphore *)self;
    abx_dispatch_finalize(&s->object);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->condition);
    abx_objc_dealloc_super(self, semaphore_class);
}

/* ---- groups */

struct notification {
    struct notification *next;
    id queue;
    void *context;
    dispatch_function_t work;
};
struct group {
    struct dispatch_object object;
    pthread_mutex_t mutex;
    pthread_cond_t empty;
    uintptr_t count;
    struct notification *first, **last;
};

OBJC_EXPORT id dispatch_group_create(void);
id dispatch_group_create(void)
{
    id object = class_createInstance(group_class, 0);
    struct group *g = (struct group *)object;
    pthread_mutex_init(&g->mutex, NULL);
    abx_dispatch_condition_init(&g->empty);
    g->last = &g->first;
    return object;
}

OBJC_EXPORT void dispatch_group_enter(id object);
void dispatch_group_enter(id object)
{
    struct group *g = (struct group *)object;
    objc_retain(object);
    pthread_mutex_lock(&g->mutex);
    g->count++;
    pthread_mutex_unlock(&g->mutex);
}

static void notify(struct notification *n)
{
    while (n) {
        struct notification *next = n->next;
        dispatch_async_f(n->queue, n->context, n->work);
        objc_release(n->queue);
        free(n);
        n = next;
    }
}

OBJC_EXPORT void dispatch_group_leave(id object);
void dispatch_group_leave(id object)
{
    struct group *g = (struct group *)object;
    struct notification *due = NULL;
    pthread_mutex_lock(&g->mutex);
    if (g->count == 0)
        abort(); /* more leaves than enters: Apple's stops here too */
    if (--g->count == 0) {
        due = g->first;
        g->first = NULL;
        g->last = &g->first;
        pthread_cond_broadcast(&g->empty);
    }
    pthread_mutex_unlock(&g->mutex);
    notify(due);
    objc_release(object);
}

OBJC_EXPORT intptr_t dispatch_group_wait(id object, dispatch_time_t timeout);
intptr_t dispatch_group_wait(id object, dispatch_time_t timeout)
{
    struct group *g = (struct group *)object;
    uint64_t deadline = abx_dispatch_deadline(timeout);
    intptr_t result = 0;
    pthread_mutex_lock(&g->mutex);
    while (g->count && !result)
        if (abx_dispatch_wait(&g->empty, &g->mutex, deadline) == -ETIMEDOUT && g->count)
            result = TIMED_OUT;
    pthread_mutex_unlock(&g->mutex);
    return result;
}

OBJC_EXPORT void dispatch_group_notify_f(
        id object, id queue, void *context, dispatch_function_t work);
void dispatch_group_notify_f(id object, id queue, void *context, dispatch_function_t work)
{
    struct group *g = (struct group *)object;
    struct notification *n = abx_dispatch_allocate(sizeof(*n));
    *n = (struct notification){NULL, objc_retain(queue), context, work};
    pthread_mutex_lock(&g->mutex);
    bool now = g->count == 0;
    if (!now) {
        *g->last = n;
        g->last = &n->next;
    }
    pthread_mutex_unlock(&g->mutex);
    if (now)
        notify(n);
}

struct group_call {
    id group;
    void *context;
    dispatch_function_t work;
};

static void run_group_call(void *argument)
{
    struct group_call call = *(struct group_call *)argument;
    free(argument);
    call.work(call.context);
    dispatch_group_leave(call.group);
}

OBJC_EXPORT void dispatch_group_async_f(
        id object, id queue, void *context, dispatch_function_t work);
void dispatch_group_async_f(id object, id queue, void *context, dispatch_function_t work)
{
    struct group_call *call = abx_dispatch_allocate(sizeof(*call));
    *call = (struct group_call){object, context, work};
    dispatch_group_enter(object);
    dispatch_async_f(queue, call, run_group_call);
}

OBJC_EXPORT void dispatch_group_async(id object, id queue, void *block);
void dispatch_group_async(id object, id queue, void *block)
{
    dispatch_group_async_f(object, queue, _Block_copy(block), abx_dispatch_call_and_release);
}

OBJC_EXPORT void dispatch_group_notify(id object, id queue, void *block);
void dispatch_group_notify(id object, id queue, void *block)
{
    dispatch_group_notify_f(object, queue, _Block_copy(block), abx_dispatch_call_and_release);
}

static void group_dealloc(id self, SEL cmd)
{
    struct group *g = (struct group *)self;
    abx_dispatch_finalize(&g->object);
    pthread_mutex_destroy(&g->mutex);
    pthread_cond_destroy(&g->empty);
    abx_objc_dealloc_super(self, group_class);
}

/* ---- once: 0, then who runs it (1), then ~0 */

OBJC_EXPORT void dispatch_once_f(intptr_t *predicate, void *context, dispatch_function_t function);
void dispatch_once_f(intptr_t *predicate, void *context, dispatch_function_t function)
{
    enum { RUNNING = 1 };
    intptr_t state = 0;
    uint32_t *word = (uint32_t *)predicate; /* the low half: little-endian */
    if (__atomic_compare_exchange_n(
                predicate, &state, RUNNING, false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)) {
        function(context);
        __atomic_store_n(predicate, ~(intptr_t)0, __ATOMIC_RELEASE);
        abx_futex_wake(word, INT32_MAX);
        return;
    }
    while (__atomic_load_n(predicate, __ATOMIC_ACQUIRE) != ~(intptr_t)0)
        abx_futex_wait(word, RUNNING, -1);
}

OBJC_EXPORT void dispatch_once(intptr_t *predicate, void *block);
void dispatch_once(intptr_t *predicate, void *block)
{
    dispatch_once_f(predicate, block, abx_dispatch_call_block);
}

/* ---- apply: the caller works too, so that it cannot wait for threads that never come */

struct apply {
    size_t count, next, done;
    void *context;
    void (*work)(void *, size_t);
    unsigned users; /* the caller and the helpers: the last one frees it */
    pthread_mutex_t mutex;
    pthread_cond_t finished;
};

static void apply_run(struct apply *a)
{
    size_t mine = 0, i;
    while ((i = __atomic_fetch_add(&a->next, 1, __ATOMIC_RELAXED)) < a->count) {
        a->work(a->context, i);
        mine++;
    }
    pthread_mutex_lock(&a->mutex);
    a->done += mine;
    if (a->done == a->count)
        pthread_cond_signal(&a->finished);
    pthread_mutex_unlock(&a->mutex);
}

static void apply_leave(struct apply *a)
{
    if (__atomic_sub_fetch(&a->users, 1, __ATOMIC_ACQ_REL))
        return;
    pthread_mutex_destroy(&a->mutex);
    pthread_cond_destroy(&a->finished);
    free(a);
}

static void apply_help(void *argument)
{
    apply_run(argument);
    apply_leave(argument);
}

OBJC_EXPORT void dispatch_apply_f(
        size_t count, id queue, void *context, void (*work)(void *, size_t));
void dispatch_apply_f(size_t count, id queue, void *context, void (*work)(void *, size_t))
{
    size_t helpers = abx_pool_width() - 1;
    if (helpers >= count)
        helpers = count ? count - 1 : 0;
    if (!abx_dispatch_queue_is_concurrent(queue))
        helpers = 0;
    struct apply *a = calloc(1, sizeof(*a));
    if (!a)
        abort();
    a->count = count;
    a->context = context;
    a->work = work;
    a->users = (unsigned)helpers + 1;
    pthread_mutex_init(&a->mutex, NULL);
    pthread_cond_init(&a->finished, NULL);
    for (size_t i = 0; i < helpers; i++)
        dispatch_async_f(queue, a, apply_help);
    if (abx_dispatch_queue_is_concurrent(queue))
        apply_run(a);
    else
        dispatch_sync_f(queue, a, (dispatch_function_t)apply_run);
    pthread_mutex_lock(&a->mutex);
    while (a->done < count)
        pthread_cond_wait(&a->finished, &a->mutex);
    pthread_mutex_unlock(&a->mutex);
    apply_leave(a);
}

static void apply_block(void *block, size_t i)
{
    ABX_BLOCK_CALL(void, (void *, size_t), block, i);
}

OBJC_EXPORT void dispatch_apply(size_t count, id queue, void *block);
void dispatch_apply(size_t count, id queue, void *block)
{
    dispatch_apply_f(count, queue, block, apply_block);
}

static const struct abx_objc_method group_methods[] = {
        METHOD("dealloc", "v@:", group_dealloc),
        {NULL},
};
static const struct abx_objc_method semaphore_methods[] = {
        METHOD("dealloc", "v@:", semaphore_dealloc),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    group_class = abx_dispatch_define(
            "OS_dispatch_group", ABX_CLASS(NSObject), sizeof(struct group), group_methods, 0);
    semaphore_class = abx_dispatch_define("OS_dispatch_semaphore", ABX_CLASS(NSObject),
            sizeof(struct semaphore), semaphore_methods, 0);
}
