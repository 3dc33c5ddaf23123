/* foundation: NSThread. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

ABX_OBJC_CLASS(NSThread)

struct ns_thread {
    Class isa;
    id target, argument, name, dictionary;
    SEL selector;
    void *block;
    _Atomic int state; /* enum thread_state */
    _Atomic bool cancelled;
    size_t stack_size;
    NSInteger quality;
};
enum thread_state { THREAD_NEW, THREAD_RUNNING, THREAD_FINISHED };
static pthread_key_t current_key;
static bool multithreaded;

static struct ns_thread *thread_of(id self)
{
    return (struct ns_thread *)self;
}

static id main_thread(id cls, SEL cmd)
{
    static id object;
    id known = __atomic_load_n(&object, __ATOMIC_ACQUIRE);
    if (!known) {
        id made = class_createInstance(ABX_CLASS(NSThread), 0);
        thread_of(made)->state = THREAD_RUNNING;
        if (__atomic_compare_exchange_n(
                    &object, &known, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            known = made;
    }
    return known;
}

static bool on_main_thread(void)
{
    return getpid() == gettid();
}

static id current_thread(id cls, SEL cmd)
{
    if (on_main_thread())
        return main_thread(cls, cmd);
    id thread = pthread_getspecific(current_key);
    if (!thread) {
        thread = class_createInstance(ABX_CLASS(NSThread), 0);
        thread_of(thread)->state = THREAD_RUNNING;
        pthread_setspecific(current_key, thread); /* released when the thread ends */
    }
    return thread;
}

static abx_objc_bool is_main_thread(id self, SEL cmd)
{
    if (object_isClass(self))
        return on_main_thread();
    return self == main_thread(self, cmd);
}

static abx_objc_bool is_multithreaded(id cls, SEL cmd)
{
    return __atomic_load_n(&multithreaded, __ATOMIC_RELAXED);
}

static void sleep_for(id cls, SEL cmd, double seconds)
{
    if (seconds <= 0)
        return;
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static void sleep_until(id cls, SEL cmd, id date)
{
    sleep_for(cls, cmd, abx_ns_date_since_now(date));
}

static id thread_init_target(id self, SEL cmd, id target, SEL selector, id argument)
{
    thread_of(self)->target = objc_retain(target);
    thread_of(self)->selector = selector;
    thread_of(self)->argument = objc_retain(argument);
    return self;
}

static id thread_init_block(id self, SEL cmd, void *block)
{
    thread_of(self)->block = _Block_copy(block);
    return self;
}

static void thread_main(id self, SEL cmd)
{
    struct ns_thread *t = thread_of(self);
    if (t->block)
        ABX_BLOCK_CALL(void, (void *), t->block);
    else if (t->target)
        ((void (*)(id, SEL, id))(uintptr_t)abx_objc_msg_send)(t->target, t->selector, t->argument);
}

static void *thread_entry(void *argument)
{
    id self = argument;
    pthread_setspecific(current_key, self); /* takes the starter's reference */
    void *token = objc_autoreleasePoolPush();
    ABX_MSG(void, (id, SEL), self, "main");
    thread_of(self)->state = THREAD_FINISHED;
    objc_autoreleasePoolPop(token);
    return NULL;
}

static void thread_start(id self, SEL cmd)
{
    struct ns_thread *t = thread_of(self);
    pthread_attr_t attributes;
    pthread_t thread;
    if (t->state != THREAD_NEW)
        abx_ns_raise_argument("-[NSThread start]: attempt to start the thread again");
    t->state = THREAD_RUNNING;
    __atomic_store_n(&multithreaded, true, __ATOMIC_RELAXED);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (t->stack_size)
        pthread_attr_setstacksize(&attributes, t->stack_size);
    objc_retain(self);
    int r = pthread_create(&thread, &attributes, thread_entry, self);
    pthread_attr_destroy(&attributes);
    if (r) {
        objc_release(self);
        abx_ns_raise("NSInternalInconsistencyException", "-[NSThread start]: %s", strerror(r));
    }
}

static void detach_selector(id cls, SEL cmd, SEL selector, id target, id argument)
{
    id thread = class_createInstance((Class)cls, 0);
    thread_start(thread_init_target(thread, cmd, target, selector, argument), cmd);
    objc_release(thread);
}

static void detach_block(id cls, SEL cmd, void *block)
{
    id thread = class_createInstance((Class)cls, 0);
    thread_start(thread_init_block(thread, cmd, block), cmd);
    objc_release(thread);
}

static void thread_cancel(id self, SEL cmd)
{
    thread_of(self)->cancelled = true;
}

static abx_objc_bool thread_is_cancelled(id self, SEL cmd)
{
    return thread_of(self)->cancelled;
}

static abx_objc_bool thread_is_executing(id self, SEL cmd)
{
    return thread_of(self)->state == THREAD_RUNNING;
}

static abx_objc_bool thread_is_finished(id self, SEL cmd)
{
    return thread_of(self)->state == THREAD_FINISHED;
}

static id thread_name(id self, SEL cmd)
{
    return thread_of(self)->name;
}

static void thread_set_name(id self, SEL cmd, id name)
{
    char text[16]; /* the kernel's limit */
    abx_objc_store_copy(&thread_of(self)->name, name);
    snprintf(text, sizeof(text), "%s", name ? abx_ns_string_utf8(name) : "");
    if (!on_main_thread() && self == current_thread(self, cmd))
        pthread_setname_np(pthread_self(), text);
}

static id thread_dictionary(id self, SEL cmd)
{
    if (!thread_of(self)->dictionary)
        thread_of(self)->dictionary = objc_retain(abx_ns_mutable_dictionary());
    return thread_of(self)->dictionary;
}

static NSUInteger thread_stack_size(id self, SEL cmd)
{
    return thread_of(self)->stack_size;
}

static void thread_set_stack_size(id self, SEL cmd, NSUInteger size)
{
    thread_of(self)->stack_size = size;
}

static NSInteger thread_quality(id self, SEL cmd)
{
    return thread_of(self)->quality;
}

static void thread_set_quality(id self, SEL cmd, NSInteger quality)
{
    thread_of(self)->quality = quality;
}

static void thread_dealloc(id self, SEL cmd)
{
    struct ns_thread *t = thread_of(self);
    objc_release(t->target);
    objc_release(t->argument);
    objc_release(t->name);
    objc_release(t->dictionary);
    _Block_release(t->block);
    abx_objc_dealloc_super(self, ABX_CLASS(NSThread));
}

static void thread_gone(void *thread)
{
    objc_release(thread);
}

static const struct abx_objc_method thread_methods[] = {
        METHOD("initWithTarget:selector:object:", "@@:@:@", thread_init_target),
        METHOD("initWithBlock:", "@@:@?", thread_init_block),
        METHOD("main", "v@:", thread_main),
        METHOD("start", "v@:", thread_start),
        METHOD("cancel", "v@:", thread_cancel),
        METHOD("isCancelled", "B@:", thread_is_cancelled),
        METHOD("isExecuting", "B@:", thread_is_executing),
        METHOD("isFinished", "B@:", thread_is_finished),
        METHOD("isMainThread", "B@:", is_main_thread),
        METHOD("name", "@@:", thread_name),
        METHOD("setName:", "v@:@", thread_set_name),
        METHOD("threadDictionary", "@@:", thread_dictionary),
        METHOD("stackSize", "Q@:", thread_stack_size),
        METHOD("setStackSize:", "v@:Q", thread_set_stack_size),
        METHOD("qualityOfService", "q@:", thread_quality),
        METHOD("setQualityOfService:", "v@:q", thread_set_quality),
        METHOD("dealloc", "v@:", thread_dealloc),
        {NULL},
};
static const struct abx_objc_method thread_class_methods[] = {
        METHOD("currentThread", "@@:", current_thread),
        METHOD("mainThread", "@@:", main_thread),
        METHOD("isMainThread", "B@:", is_main_thread),
        METHOD("isMultiThreaded", "B@:", is_multithreaded),
        METHOD("sleepForTimeInterval:", "v@:d", sleep_for),
        METHOD("sleepUntilDate:", "v@:@", sleep_until),
        METHOD("detachNewThreadSelector:toTarget:withObject:", "v@::@@", detach_selector),
        METHOD("detachNewThreadWithBlock:", "v@:@?", detach_block),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    pthread_key_create(&current_key, thread_gone);
    DEFINE(NSThread, NSObject, struct ns_thread, thread_methods, thread_class_methods);
}
