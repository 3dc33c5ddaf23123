/* foundation: NSOperation, NSBlockOperation, NSOperationQueue, on dispatch's threads. Guest's
 * process; trusts it.
 *
 * Locking: one lock for every operation and queue, and one condition for all who wait: operations
 * depend on others of any queue. Nothing of the program's is called under it. */
#include "dispatch/dispatch.h"
#include "foundation/foundation_operation.h"

ABX_OBJC_CLASS(NSOperation)
ABX_OBJC_CLASS(NSBlockOperation)
ABX_OBJC_CLASS(NSOperationQueue)

enum state { WAITING, EXECUTING, FINISHED };

struct operation {
    Class isa;
    enum state state;
    bool cancelled;
    id name, dependencies; /* array, or nil */
    void *completion;      /* block */
    id blocks;             /* of a NSBlockOperation: array */
    void (*function)(void *user);
    void *user;
    NSInteger priority, quality;
};

struct operation_queue {
    Class isa;
    id waiting; /* array */
    NSInteger width, quality;
    NSUInteger running;
    bool suspended, main;
    id name, target; /* target: a dispatch queue, or nil */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static __thread id current_queue;

static struct operation *inner(id self)
{
    return (struct operation *)self;
}

static struct operation_queue *queue_of(id self)
{
    return (struct operation_queue *)self;
}

/* ---- operations */

static abx_objc_bool is_cancelled(id self, SEL cmd)
{
    return inner(self)->cancelled;
}

static abx_objc_bool is_executing(id self, SEL cmd)
{
    return inner(self)->state == EXECUTING;
}

static abx_objc_bool is_finished(id self, SEL cmd)
{
    return inner(self)->state == FINISHED;
}

static abx_objc_bool finished(id operation)
{
    return ABX_MSG(abx_objc_bool, (id, SEL), operation, "isFinished");
}

/* Lock held. */
static bool is_ready_locked(id self)
{
    id list = inner(self)->cancelled ? nil : inner(self)->dependencies;
    for (NSUInteger i = 0; i < abx_ns_array_count(list); i++)
        if (inner(abx_ns_array_at(list, i))->state != FINISHED)
            return false;
    return true;
}

static abx_objc_bool is_ready(id self, SEL cmd)
{
    pthread_mutex_lock(&lock);
    bool ready = is_ready_locked(self);
    pthread_mutex_unlock(&lock);
    return ready;
}

static abx_objc_bool is_no(id self, SEL cmd)
{
    return 0;
}

static void set_state(id self, enum state state)
{
    pthread_mutex_lock(&lock);
    inner(self)->state = state;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void will_change(id self, SEL cmd, id key) {}

/* How a subclass that runs on says that it has ended. */
static void did_change(id self, SEL cmd, id key)
{
    if (finished(self) && inner(self)->state != FINISHED) {
        void *completion = inner(self)->completion;
        set_state(self, FINISHED);
        if (completion)
            ABX_BLOCK_CALL(void, (void *), completion);
    }
}

static void operation_main(id self, SEL cmd)
{
    struct operation *o = inner(self);
    if (o->function)
        o->function(o->user);
    for (NSUInteger i = 0; i < abx_ns_array_count(o->blocks); i++)
        ABX_BLOCK_CALL(void, (void *), abx_ns_array_at(o->blocks, i));
}

static void operation_start(id self, SEL cmd)
{
    if (inner(self)->state != WAITING)
        return;
    set_state(self, EXECUTING);
    if (!ABX_MSG(abx_objc_bool, (id, SEL), self, "isCancelled"))
        ABX_MSG(void, (id, SEL), self, "main");
    void *completion = inner(self)->completion;
    set_state(self, FINISHED);
    if (completion)
        ABX_BLOCK_CALL(void, (void *), completion);
}

static void operation_cancel(id self, SEL cmd)
{
    inner(self)->cancelled = true;
}

static void operation_wait(id self, SEL cmd)
{
    pthread_mutex_lock(&lock);
    while (inner(self)->state != FINISHED)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void add_dependency(id self, SEL cmd, id other)
{
    pthread_mutex_lock(&lock);
    if (!inner(self)->dependencies)
        inner(self)->dependencies = objc_retain(abx_ns_mutable_array());
    abx_ns_array_add(inner(self)->dependencies, other);
    pthread_mutex_unlock(&lock);
}

static void remove_dependency(id self, SEL cmd, id other)
{
    pthread_mutex_lock(&lock);
    if (inner(self)->dependencies)
        ABX_MSG(void, (id, SEL, id), inner(self)->dependencies, "removeObjectIdenticalTo:", other);
    pthread_mutex_unlock(&lock);
}

static id get_dependencies(id self, SEL cmd)
{
    id list = inner(self)->dependencies;
    return objc_autorelease(
            list ? abx_ns_copy(list) : abx_ns_array_new(ABX_CLASS(NSArray), NULL, 0));
}

static void set_completion(id self, SEL cmd, const void *block)
{
    void *before = inner(self)->completion;
    inner(self)->completion = block ? _Block_copy(block) : NULL;
    if (before)
        _Block_release(before);
}

static id get_completion(id self, SEL cmd)
{
    return inner(self)->completion;
}

static id get_name(id self, SEL cmd)
{
    return inner(self)->name;
}

static void set_name(id self, SEL cmd, id name)
{
    abx_objc_store_copy(&inner(self)->name, name);
}

static NSInteger get_priority(id self, SEL cmd)
{
    return inner(self)->priority;
}

static void set_priority(id self, SEL cmd, NSInteger priority)
{
    inner(self)->priority = priority;
}

static NSInteger get_quality(id self, SEL cmd)
{
    return inner(self)->quality;
}

static void set_quality(id self, SEL cmd, NSInteger quality)
{
    inner(self)->quality = quality;
}

static void operation_dealloc(id self, SEL cmd)
{
    struct operation *o = inner(self);
    objc_release(o->name);
    objc_release(o->dependencies);
    objc_release(o->blocks);
    if (o->completion)
        _Block_release(o->completion);
    abx_objc_dealloc_super(self, ABX_CLASS(NSOperation));
}

static void add_block(id self, SEL cmd, const void *block)
{
    id copy = _Block_copy(block);
    if (!inner(self)->blocks)
        inner(self)->blocks = objc_retain(abx_ns_mutable_array());
    abx_ns_array_add(inner(self)->blocks, copy);
    _Block_release(copy);
}

static id block_operation(id cls, SEL cmd, const void *block)
{
    id self = class_createInstance((Class)cls, 0);
    add_block(self, cmd, block);
    return objc_autorelease(self);
}

static id get_blocks(id self, SEL cmd)
{
    return objc_autorelease(abx_ns_copy(inner(self)->blocks));
}

/* ---- queues */

static void run_next(id self);

struct turn {
    id queue, operation;
};

static void take_turn(void *user)
{
    struct turn turn = *(struct turn *)user;
    free(user);
    void *pool = objc_autoreleasePoolPush();
    id before = current_queue;
    current_queue = turn.queue;
    ABX_MSG(void, (id, SEL), turn.operation, "start");
    current_queue = before;
    did_change(turn.operation, NULL, nil);
    operation_wait(turn.operation, NULL); /* one that runs on holds its place until its end */
    objc_autoreleasePoolPop(pool);
    pthread_mutex_lock(&lock);
    queue_of(turn.queue)->running--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    objc_release(turn.operation);
    run_next(turn.queue);
    objc_release(turn.queue);
}

/* The ready operation that comes first: by priority, then by age. Lock held. */
static id choose(struct operation_queue *q)
{
    id best = nil;
    if (q->suspended || (q->width > 0 && q->running >= (NSUInteger)q->width))
        return nil;
    for (NSUInteger i = 0; i < abx_ns_array_count(q->waiting); i++) {
        id each = abx_ns_array_at(q->waiting, i);
        if (is_ready_locked(each) && (!best || inner(each)->priority > inner(best)->priority))
            best = each;
    }
    return best;
}

extern id dispatch_get_global_queue(intptr_t identifier, uintptr_t flags);
extern id dispatch_get_main_queue(void);

static void start_ready(id self)
{
    struct operation_queue *q = queue_of(self);
    for (;;) {
        pthread_mutex_lock(&lock);
        id operation = choose(q);
        if (operation) {
            objc_retain(operation);
            ABX_MSG(void, (id, SEL, id), q->waiting, "removeObjectIdenticalTo:", operation);
            q->running++;
        }
        pthread_mutex_unlock(&lock);
        if (!operation)
            return;
        struct turn *turn = abx_ns_allocate(sizeof *turn);
        *turn = (struct turn){objc_retain(self), operation};
        dispatch_async_f(q->main     ? dispatch_get_main_queue()
                         : q->target ? q->target
                                     : dispatch_get_global_queue(0, 0),
                turn, take_turn);
    }
}

/* Queues with something to do, so that an operation that ends starts those of other queues that
 * wait for it. Not retained: dealloc takes them out. */
static id *queues;
static uint32_t queue_count, queue_capacity;

static void run_next(id self)
{
    pthread_mutex_lock(&lock);
    uint32_t count = queue_count;
    id *all = abx_ns_allocate((count + 1) * sizeof *all);
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (abx_ns_array_count(queue_of(queues[i])->waiting) && abx_objc_try_retain(queues[i]))
            all[n++] = queues[i];
    pthread_mutex_unlock(&lock);
    for (uint32_t i = 0; i < n; i++) {
        start_ready(all[i]);
        objc_release(all[i]);
    }
    free(all);
}

static id init_queue(id self, SEL cmd)
{
    queue_of(self)->waiting = objc_retain(abx_ns_mutable_array());
    queue_of(self)->width = -1; /* as many as there are threads */
    pthread_mutex_lock(&lock);
    if (abx_grow((void **)&queues, &queue_capacity, queue_count, sizeof *queues, UINT32_MAX))
        queues[queue_count++] = self;
    pthread_mutex_unlock(&lock);
    return self;
}

static id main_queue(id cls, SEL cmd)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    static id queue;
    pthread_mutex_lock(&once);
    if (!queue) {
        queue = init_queue(class_createInstance(ABX_CLASS(NSOperationQueue), 0), cmd);
        queue_of(queue)->main = true;
        queue_of(queue)->width = 1;
    }
    pthread_mutex_unlock(&once);
    return queue;
}

static id get_current(id cls, SEL cmd)
{
    return current_queue;
}

static void add_operation(id self, SEL cmd, id operation)
{
    pthread_mutex_lock(&lock);
    abx_ns_array_add(queue_of(self)->waiting, operation);
    pthread_mutex_unlock(&lock);
    start_ready(self);
}

static void add_operations(id self, SEL cmd, id operations, BOOL wait)
{
    for (NSUInteger i = 0; i < abx_ns_array_count(operations); i++)
        add_operation(self, cmd, abx_ns_array_at(operations, i));
    for (NSUInteger i = 0; wait && i < abx_ns_array_count(operations); i++)
        operation_wait(abx_ns_array_at(operations, i), cmd);
}

static void add_operation_block(id self, SEL cmd, const void *block)
{
    add_operation(self, cmd, block_operation((id)ABX_CLASS(NSBlockOperation), cmd, block));
}

void abx_ns_operation_queue_add(id queue, void (*function)(void *user), void *user, bool wait)
{
    id operation = class_createInstance(ABX_CLASS(NSOperation), 0);
    inner(operation)->function = function;
    inner(operation)->user = user;
    add_operation(queue, NULL, operation);
    if (wait && current_queue != queue && !queue_of(queue)->main)
        operation_wait(operation, NULL);
    objc_release(operation);
}

static void wait_all(id self, SEL cmd)
{
    pthread_mutex_lock(&lock);
    while (abx_ns_array_count(queue_of(self)->waiting) || queue_of(self)->running)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void cancel_all(id self, SEL cmd)
{
    pthread_mutex_lock(&lock);
    id waiting = objc_autorelease(abx_ns_copy(queue_of(self)->waiting));
    pthread_mutex_unlock(&lock);
    for (NSUInteger i = 0; i < abx_ns_array_count(waiting); i++)
        ABX_MSG(void, (id, SEL), abx_ns_array_at(waiting, i), "cancel");
}

static NSInteger get_width(id self, SEL cmd)
{
    return queue_of(self)->width;
}

static void set_width(id self, SEL cmd, NSInteger width)
{
    queue_of(self)->width = width;
    start_ready(self);
}

static abx_objc_bool is_suspended(id self, SEL cmd)
{
    return queue_of(self)->suspended;
}

static void set_suspended(id self, SEL cmd, BOOL suspended)
{
    queue_of(self)->suspended = suspended;
    start_ready(self);
}

static id queue_name(id self, SEL cmd)
{
    return queue_of(self)->name;
}

static void set_queue_name(id self, SEL cmd, id name)
{
    abx_objc_store_copy(&queue_of(self)->name, name);
}

static NSInteger queue_quality(id self, SEL cmd)
{
    return queue_of(self)->quality;
}

static void set_queue_quality(id self, SEL cmd, NSInteger quality)
{
    queue_of(self)->quality = quality;
}

static id underlying(id self, SEL cmd)
{
    return queue_of(self)->target;
}

static void set_underlying(id self, SEL cmd, id target)
{
    objc_storeStrong(&queue_of(self)->target, target);
}

static NSUInteger operation_count(id self, SEL cmd)
{
    pthread_mutex_lock(&lock);
    NSUInteger n = abx_ns_array_count(queue_of(self)->waiting) + queue_of(self)->running;
    pthread_mutex_unlock(&lock);
    return n;
}

static void queue_dealloc(id self, SEL cmd)
{
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < queue_count; i++)
        if (queues[i] == self)
            queues[i--] = queues[--queue_count];
    pthread_mutex_unlock(&lock);
    objc_release(queue_of(self)->waiting);
    objc_release(queue_of(self)->name);
    objc_release(queue_of(self)->target);
    abx_objc_dealloc_super(self, ABX_CLASS(NSOperationQueue));
}

static const struct abx_objc_method operation_methods[] = {
        METHOD("main", "v@:", operation_main),
        METHOD("start", "v@:", operation_start),
        METHOD("cancel", "v@:", operation_cancel),
        METHOD("isCancelled", "B@:", is_cancelled),
        METHOD("isExecuting", "B@:", is_executing),
        METHOD("isFinished", "B@:", is_finished),
        METHOD("isReady", "B@:", is_ready),
        METHOD("isConcurrent", "B@:", is_no),
        METHOD("isAsynchronous", "B@:", is_no),
        METHOD("willChangeValueForKey:", "v@:@", will_change),
        METHOD("didChangeValueForKey:", "v@:@", did_change),
        METHOD("waitUntilFinished", "v@:", operation_wait),
        METHOD("addDependency:", "v@:@", add_dependency),
        METHOD("removeDependency:", "v@:@", remove_dependency),
        METHOD("dependencies", "@@:", get_dependencies),
        METHOD("setCompletionBlock:", "v@:@?", set_completion),
        METHOD("completionBlock", "@?@:", get_completion),
        METHOD("name", "@@:", get_name),
        METHOD("setName:", "v@:@", set_name),
        METHOD("queuePriority", "q@:", get_priority),
        METHOD("setQueuePriority:", "v@:q", set_priority),
        METHOD("qualityOfService", "q@:", get_quality),
        METHOD("setQualityOfService:", "v@:q", set_quality),
        METHOD("dealloc", "v@:", operation_dealloc),
        {NULL},
};
static const struct abx_objc_method block_methods[] = {
        METHOD("addExecutionBlock:", "v@:@?", add_block),
        METHOD("executionBlocks", "@@:", get_blocks),
        {NULL},
};
static const struct abx_objc_method block_class_methods[] = {
        METHOD("blockOperationWithBlock:", "@@:@?", block_operation),
        {NULL},
};
static const struct abx_objc_method queue_methods[] = {
        METHOD("init", "@@:", init_queue),
        METHOD("addOperation:", "v@:@", add_operation),
        METHOD("addOperations:waitUntilFinished:", "v@:@B", add_operations),
        METHOD("addOperationWithBlock:", "v@:@?", add_operation_block),
        METHOD("waitUntilAllOperationsAreFinished", "v@:", wait_all),
        METHOD("cancelAllOperations", "v@:", cancel_all),
        METHOD("maxConcurrentOperationCount", "q@:", get_width),
        METHOD("setMaxConcurrentOperationCount:", "v@:q", set_width),
        METHOD("isSuspended", "B@:", is_suspended),
        METHOD("setSuspended:", "v@:B", set_suspended),
        METHOD("name", "@@:", queue_name),
        METHOD("setName:", "v@:@", set_queue_name),
        METHOD("underlyingQueue", "@@:", underlying),
        METHOD("setUnderlyingQueue:", "v@:@", set_underlying),
        METHOD("operationCount", "Q@:", operation_count),
        METHOD("qualityOfService", "q@:", queue_quality),
        METHOD("setQualityOfService:", "v@:q", set_queue_quality),
        METHOD("dealloc", "v@:", queue_dealloc),
        {NULL},
};
static const struct abx_objc_method queue_class_methods[] = {
        METHOD("mainQueue", "@@:", main_queue),
        METHOD("currentQueue", "@@:", get_current),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSOperation, NSObject, struct operation, operation_methods, NULL);
    DEFINE(NSBlockOperation, NSOperation, struct operation, block_methods, block_class_methods);
    DEFINE(NSOperationQueue, NSObject, struct operation_queue, queue_methods, queue_class_methods);
}
