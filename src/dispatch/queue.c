/* dispatch: queues. A queue is a list of items and a count of those that run; a serial
 * queue treats every item as a barrier. An item whose turn has come goes to the pool's threads, or
 * to the queue's target, or wakes the thread that waits in dispatch_sync. The pool never holds an
 * item whose turn has not come. Guest's process; trusts it. */
#include "dispatch/dispatch.h"

#include <stdio.h>

enum queue_kind { QUEUE_SERIAL, QUEUE_CONCURRENT, QUEUE_GLOBAL, QUEUE_MAIN };

struct item {
    struct abx_pool_job job; /* first */
    struct item *next;
    struct dispatch_queue *queue;
    dispatch_function_t work;
    void *context;
    bool barrier;
    struct waiter *waiter; /* dispatch_sync: the turn is handed to it */
};
struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    bool ready;
};
struct specific {
    struct specific *next;
    const void *key;
    void *context;
    dispatch_function_t destructor;
};
struct dispatch_queue {
    struct dispatch_object object;
    enum queue_kind kind;
    const char *label;
    struct dispatch_queue *target;
    pthread_mutex_t mutex;
    struct item *first, *last;
    unsigned running;
    bool barrier_running;
    int suspended;
    unsigned generation;
    struct specific *specific;
};

static Class queue_class;
static struct dispatch_queue global_queue;
ABX_EXPORT extern struct dispatch_queue _dispatch_main_q;
struct dispatch_queue _dispatch_main_q;
ABX_EXPORT extern struct dispatch_object _dispatch_queue_attr_concurrent;
struct dispatch_object _dispatch_queue_attr_concurrent;
static __thread struct dispatch_queue *current __attribute__((tls_model("initial-exec")));

static struct {
    pthread_cond_t condition;
    struct item *first, *last; /* under _dispatch_main_q.mutex */
    void (*wake)(void);        /* the main thread's run loop; takes no lock of ours */
} main_items;

static struct dispatch_queue *inner(id queue)
{
    return (struct dispatch_queue *)queue;
}

bool abx_dispatch_queue_is_concurrent(id queue)
{
    return !queue || inner(queue)->kind == QUEUE_CONCURRENT || inner(queue)->kind == QUEUE_GLOBAL;
}

/* In a forked child a queue starts anew: nobody is left to finish what its parent had running. */
static void lock(struct dispatch_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    if (q->generation != abx_pool_generation()) {
        q->generation = abx_pool_generation();
        q->first = q->last = NULL;
        q->running = 0;
        q->barrier_running = false;
    }
}

/* ---- running */

static void run_job(struct abx_pool_job *job);

static void push_main(struct item *item)
{
    item->next = NULL;
    if (main_items.last)
        main_items.last->next = item;
    else
        main_items.first = item;
    main_items.last = item;
    pthread_cond_signal(&main_items.condition);
    if (main_items.wake)
        main_items.wake();
}

static void run_on_target(void *item)
{
    run_job(&((struct item *)item)->job);
}

/* The item's turn has come; the queue is locked. */
static void start_item(struct dispatch_queue *q, struct item *item)
{
    if (item->waiter) {
        pthread_mutex_lock(&item->waiter->mutex);
        item->waiter->ready = true;
        pthread_cond_signal(&item->waiter->condition);
        pthread_mutex_unlock(&item->waiter->mutex);
    } else if (q->kind == QUEUE_MAIN) {
        push_main(item);
    } else if (q->target && q->target != &global_queue) {
        dispatch_async_f((id)q->target, item, run_on_target);
    } else {
        item->job.run = run_job;
        abx_pool_submit(&item->job);
    }
}

/* Starts every item whose turn has come; the queue is locked. */
static void advance(struct dispatch_queue *q)
{
    while (q->first && !q->suspended && !q->barrier_running) {
        struct item *item = q->first;
        if (item->barrier && q->running)
            return;
        q->first = item->next;
        if (!q->first)
            q->last = NULL;
        q->running++;
        q->barrier_running = item->barrier;
        start_item(q, item);
    }
}

static void finish(struct dispatch_queue *q)
{
    lock(q);
    if (q->running)
        q->running--;
    q->barrier_running = false;
    advance(q);
    pthread_mutex_unlock(&q->mutex);
}

static void run_job(struct abx_pool_job *job)
{
    struct item *item = (struct item *)job;
    struct dispatch_queue *q = item->queue, *outer = current;
    current = q;
    item->work(item->context);
    current = outer;
    free(item);
    if (q->kind != QUEUE_GLOBAL)
        finish(q);
    objc_release((id)q);
}

static void enqueue(struct dispatch_queue *q, struct item *item)
{
    item->next = NULL;
    lock(q);
    if (q->last)
        q->last->next = item;
    else
        q->first = item;
    q->last = item;
    advance(q);
    pthread_mutex_unlock(&q->mutex);
}

static bool is_barrier(const struct dispatch_queue *q, bool asked)
{
    return q->kind == QUEUE_SERIAL || q->kind == QUEUE_MAIN ||
           (asked && q->kind == QUEUE_CONCURRENT);
}

static void async(id queue, void *context, dispatch_function_t work, bool barrier)
{
    struct dispatch_queue *q = queue ? inner(queue) : &global_queue;
    struct item *item = calloc(1, sizeof(*item));
    if (!item)
        abort();
    item->queue = (struct dispatch_queue *)objc_retain((id)q);
    item->work = work;
    item->context = context;
    item->barrier = is_barrier(q, barrier);
    if (q->kind == QUEUE_GLOBAL) {
        item->job.run = run_job;
        abx_pool_submit(&item->job);
        return;
    }
    enqueue(q, item);
}

/* ---- waiting for one's turn, then running here */

static void take_turn(struct dispatch_queue *q, bool barrier)
{
    struct waiter waiter = {
            .mutex = PTHREAD_MUTEX_INITIALIZER, .condition = PTHREAD_COND_INITIALIZER};
    struct item item = {.queue = q, .barrier = barrier, .waiter = &waiter};
    enqueue(q, &item);
    pthread_mutex_lock(&waiter.mutex);
    while (!waiter.ready)
        pthread_cond_wait(&waiter.condition, &waiter.mutex);
    pthread_mutex_unlock(&waiter.mutex);
    pthread_mutex_destroy(&waiter.mutex);
    pthread_cond_destroy(&waiter.condition);
}

static void sync(id queue, void *context, dispatch_function_t work, bool barrier)
{
    struct dispatch_queue *q = queue ? inner(queue) : &global_queue, *outer = current;
    if (q->kind == QUEUE_GLOBAL) {
        work(context);
        return;
    }
    barrier = is_barrier(q, barrier);
    if (q == outer && barrier) {
        fprintf(stderr,
                "BUG IN CLIENT OF LIBDISPATCH: dispatch_sync called on queue already owned by "
                "current thread (%s)\n",
                q->label ? q->label : "");
        abort();
    }
    take_turn(q, barrier);
    current = q;
    if (q->target && q->target->kind != QUEUE_GLOBAL)
        sync((id)q->target, context, work, false);
    else
        work(context);
    current = outer;
    finish(q);
}

/* ---- the interface: functions */

void dispatch_async_f(id queue, void *context, dispatch_function_t work)
{
    async(queue, context, work, false);
}

void dispatch_sync_f(id queue, void *context, dispatch_function_t work)
{
    sync(queue, context, work, false);
}

OBJC_EXPORT void dispatch_barrier_async_f(id queue, void *context, dispatch_function_t work);
void dispatch_barrier_async_f(id queue, void *context, dispatch_function_t work)
{
    async(queue, context, work, true);
}

OBJC_EXPORT void dispatch_barrier_sync_f(id queue, void *context, dispatch_function_t work);
void dispatch_barrier_sync_f(id queue, void *context, dispatch_function_t work)
{
    sync(queue, context, work, true);
}

struct delayed {
    id queue;
    void *context;
    dispatch_function_t work;
};

static void delay_over(void *argument)
{
    struct delayed *d = argument;
    dispatch_async_f(d->queue, d->context, d->work);
    objc_release(d->queue);
    free(d);
}

OBJC_EXPORT void dispatch_after_f(
        dispatch_time_t when, id queue, void *context, dispatch_function_t work);
void dispatch_after_f(dispatch_time_t when, id queue, void *context, dispatch_function_t work)
{
    if (when == DISPATCH_TIME_FOREVER)
        return;
    struct delayed *d = abx_dispatch_allocate(sizeof(*d));
    *d = (struct delayed){objc_retain(queue), context, work};
    abx_pool_at(abx_dispatch_deadline(when), delay_over, d);
}

/* ---- the interface: blocks */

void abx_dispatch_call_block(void *block)
{
    ABX_BLOCK_CALL(void, (void *), block);
}

void abx_dispatch_call_and_release(void *block)
{
    ABX_BLOCK_CALL(void, (void *), block);
    _Block_release(block);
}

OBJC_EXPORT void dispatch_async(id queue, void *block);
void dispatch_async(id queue, void *block)
{
    async(queue, _Block_copy(block), abx_dispatch_call_and_release, false);
}

OBJC_EXPORT void dispatch_sync(id queue, void *block);
void dispatch_sync(id queue, void *block)
{
    sync(queue, block, abx_dispatch_call_block, false);
}

OBJC_EXPORT void dispatch_async_and_wait(id queue, void *block);
void dispatch_async_and_wait(id queue, void *block)
{
    sync(queue, block, abx_dispatch_call_block, false);
}

OBJC_EXPORT void dispatch_barrier_async(id queue, void *block);
void dispatch_barrier_async(id queue, void *block)
{
    async(queue, _Block_copy(block), abx_dispatch_call_and_release, true);
}

OBJC_EXPORT void dispatch_barrier_sync(id queue, void *block);
void dispatch_barrier_sync(id queue, void *block)
{
    sync(queue, block, abx_dispatch_call_block, true);
}

OBJC_EXPORT void dispatch_after(dispatch_time_t when, id queue, void *block);
void dispatch_after(dispatch_time_t when, id queue, void *block)
{
    if (when != DISPATCH_TIME_FOREVER)
        dispatch_after_f(when, queue, _Block_copy(block), abx_dispatch_call_and_release);
}

/* ---- making and asking */

OBJC_EXPORT id dispatch_queue_create_with_target(const char *label, void *attr, id target);
id dispatch_queue_create_with_target(const char *label, void *attr, id target)
{
    id object = class_createInstance(queue_class, 0);
    struct dispatch_queue *q = inner(object);
    q->kind = attr == &_dispatch_queue_attr_concurrent ? QUEUE_CONCURRENT : QUEUE_SERIAL;
    q->label = label ? strdup(label) : NULL;
    q->target = (struct dispatch_queue *)objc_retain(target);
    q->generation = abx_pool_generation();
    pthread_mutex_init(&q->mutex, NULL);
    return object;
}

OBJC_EXPORT id dispatch_queue_create(const char *label, void *attr);
id dispatch_queue_create(const char *label, void *attr)
{
    return dispatch_queue_create_with_target(label, attr, nil);
}

OBJC_EXPORT void *dispatch_queue_attr_make_with_qos_class(void *attr, unsigned qos, int priority);
void *dispatch_queue_attr_make_with_qos_class(void *attr, unsigned qos, int priority)
{
    return attr;
}

OBJC_EXPORT id dispatch_get_global_queue(intptr_t identifier, uintptr_t flags);
id dispatch_get_global_queue(intptr_t identifier, uintptr_t flags)
{
    return (id)&global_queue;
}

OBJC_EXPORT id dispatch_get_main_queue(void);
id dispatch_get_main_queue(void)
{
    return (id)&_dispatch_main_q;
}

OBJC_EXPORT const char *dispatch_queue_get_label(id queue);
const char *dispatch_queue_get_label(id queue)
{
    struct dispatch_queue *q = queue ? inner(queue) : current ? current : &_dispatch_main_q;
    return q->label ? q->label : "";
}

OBJC_EXPORT void dispatch_queue_set_specific(
        id queue, const void *key, void *context, dispatch_function_t destructor);
void dispatch_queue_set_specific(
        id queue, const void *key, void *context, dispatch_function_t destructor)
{
    struct dispatch_queue *q = inner(queue);
    lock(q);
    struct specific **p = &q->specific, *old = NULL;
    while (*p && (*p)->key != key)
        p = &(*p)->next;
    if (*p) {
        old = *p;
        *p = old->next;
    }
    if (context) {
        struct specific *s = abx_dispatch_allocate(sizeof(*s));
        *s = (struct specific){q->specific, key, context, destructor};
        q->specific = s;
    }
    pthread_mutex_unlock(&q->mutex);
    if (old && old->destructor)
        old->destructor(old->context);
    free(old);
}

OBJC_EXPORT void *dispatch_queue_get_specific(id queue, const void *key);
void *dispatch_queue_get_specific(id queue, const void *key)
{
    struct dispatch_queue *q = inner(queue);
    void *context = NULL;
    lock(q);
    for (struct specific *s = q->specific; s; s = s->next)
        if (s->key == key)
            context = s->context;
    pthread_mutex_unlock(&q->mutex);
    return context;
}

OBJC_EXPORT void *dispatch_get_specific(const void *key);
void *dispatch_get_specific(const void *key)
{
    void *context = NULL;
    for (struct dispatch_queue *q = current; q && !context; q = q->target)
        context = dispatch_queue_get_specific((id)q, key);
    return context;
}

OBJC_EXPORT void dispatch_suspend(id object);
void dispatch_suspend(id object)
{
    if (!abx_objc_is_kind_of(object, queue_class) || inner(object)->kind == QUEUE_GLOBAL)
        return;
    lock(inner(object));
    inner(object)->suspended++;
    pthread_mutex_unlock(&inner(object)->mutex);
}

OBJC_EXPORT void dispatch_resume(id object);
void dispatch_resume(id object)
{
    if (!abx_objc_is_kind_of(object, queue_class) || inner(object)->kind == QUEUE_GLOBAL)
        return;
    lock(inner(object));
    if (inner(object)->suspended > 0)
        inner(object)->suspended--;
    advance(inner(object));
    pthread_mutex_unlock(&inner(object)->mutex);
}

void abx_dispatch_main_wake(void (*wake)(void))
{
    pthread_mutex_lock(&_dispatch_main_q.mutex);
    main_items.wake = wake;
    pthread_mutex_unlock(&_dispatch_main_q.mutex);
}

bool abx_dispatch_main_run(bool wait)
{
    struct dispatch_queue *q = &_dispatch_main_q;
    pthread_mutex_lock(&q->mutex);
    while (wait && !main_items.first)
        pthread_cond_wait(&main_items.condition, &q->mutex);
    struct item *item = main_items.first;
    if (item)
        main_items.first = item->next;
    if (!main_items.first)
        main_items.last = NULL;
    pthread_mutex_unlock(&q->mutex);
    if (!item)
        return false;
    void *token = objc_autoreleasePoolPush();
    run_job(&item->job);
    objc_autoreleasePoolPop(token);
    return true;
}

OBJC_EXPORT void dispatch_main(void) __attribute__((noreturn));
void dispatch_main(void)
{
    for (;;)
        abx_dispatch_main_run(true);
}

/* ---- objects */

OBJC_EXPORT void dispatch_retain(id object);
void dispatch_retain(id object)
{
    objc_retain(object);
}

OBJC_EXPORT void dispatch_release(id object);
void dispatch_release(id object)
{
    objc_release(object);
}

OBJC_EXPORT void *dispatch_get_context(id object);
void *dispatch_get_context(id object)
{
    return ((struct dispatch_object *)object)->context;
}

OBJC_EXPORT void dispatch_set_context(id object, void *context);
void dispatch_set_context(id object, void *context)
{
    ((struct dispatch_object *)object)->context = context;
}

OBJC_EXPORT void dispatch_set_finalizer_f(id object, dispatch_function_t finalizer);
void dispatch_set_finalizer_f(id object, dispatch_function_t finalizer)
{
    ((struct dispatch_object *)object)->finalizer = finalizer;
}

void abx_dispatch_finalize(struct dispatch_object *object)
{
    if (object->finalizer && object->context)
        object->finalizer(object->context);
}

static void queue_dealloc(id self, SEL cmd)
{
    struct dispatch_queue *q = inner(self);
    abx_dispatch_finalize(&q->object);
    for (struct specific *s = q->specific, *next; s; s = next) {
        next = s->next;
        if (s->destructor)
            s->destructor(s->context);
        free(s);
    }
    objc_release((id)q->target);
    pthread_mutex_destroy(&q->mutex);
    free((void *)q->label);
    abx_objc_dealloc_super(self, queue_class);
}

Class abx_dispatch_define(const char *name, Class superclass, size_t size,
        const struct abx_objc_method *methods, unsigned options)
{
    return abx_objc_define_class(&(struct abx_objc_class_spec){.name = name,
            .superclass = superclass,
            .instance_size = size,
            .instance_methods = methods,
            .protocols = (const char *const[]){name, NULL},
            .options = options});
}

static const struct abx_objc_method queue_methods[] = {
        METHOD("dealloc", "v@:", queue_dealloc),
        {NULL},
};

static void static_queue(
        struct dispatch_queue *q, Class cls, enum queue_kind kind, const char *label)
{
    q->object.isa = cls;
    q->kind = kind;
    q->label = label;
    pthread_mutex_init(&q->mutex, NULL);
}

__attribute__((constructor(102))) static void define(void)
{
    size_t size = sizeof(struct dispatch_queue);
    Class object = abx_dispatch_define(
            "OS_dispatch_object", ABX_CLASS(NSObject), sizeof(struct dispatch_object), NULL, 0);
    queue_class = abx_dispatch_define("OS_dispatch_queue", object, size, queue_methods, 0);
    Class lasting = abx_dispatch_define(
            "OS_dispatch_queue_global", queue_class, size, NULL, ABX_OBJC_IMMORTAL);
    static_queue(&global_queue, lasting, QUEUE_GLOBAL, "com.apple.root.default-qos");
    static_queue(&_dispatch_main_q, lasting, QUEUE_MAIN, "com.apple.main-thread");
    pthread_cond_init(&main_items.condition, NULL);
    _dispatch_queue_attr_concurrent.isa = abx_dispatch_define("OS_dispatch_queue_attr", object,
            sizeof(struct dispatch_object), NULL, ABX_OBJC_IMMORTAL);
}
