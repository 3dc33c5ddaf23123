/* foundation: NSRunLoop and NSTimer: timers, blocks and delayed messages of a thread, and on the
 * main thread what is dispatched to the main queue. Modes are names without effect: every one is
 * run. Guest's process; trusts it.
 *
 * Locking: a loop's lock covers its lists. What is due is called without it. */
#include "dispatch/dispatch.h"
#include "foundation/foundation_internal.h"

#include <unistd.h>

ABX_OBJC_CLASS_EXTERN(NSDate)
ABX_OBJC_CLASS(NSRunLoop)
ABX_OBJC_CLASS(NSTimer)
ABX_NS_CONSTANT(NSDefaultRunLoopMode, "kCFRunLoopDefaultMode")
ABX_NS_CONSTANT(NSRunLoopCommonModes, "kCFRunLoopCommonModes")

struct timer {
    Class isa;
    uint64_t due; /* CLOCK_MONOTONIC */
    double interval;
    bool repeats, valid;
    id target, argument; /* argument: userInfo, or of a delayed message */
    SEL selector;
    void *block;
    bool plain; /* a delayed message: its argument is passed, not the timer */
};

struct loop {
    Class isa;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    id timers; /* array */
    id blocks; /* array, to be called once */
    bool woken, is_main;
};

static pthread_key_t key;
static id main_loop;

static struct loop *inner(id self)
{
    return (struct loop *)self;
}

static struct timer *timer_of(id self)
{
    return (struct timer *)self;
}

static void wake(id self)
{
    pthread_mutex_lock(&inner(self)->lock);
    inner(self)->woken = true;
    pthread_cond_broadcast(&inner(self)->changed);
    pthread_mutex_unlock(&inner(self)->lock);
}

static void wake_main(void)
{
    wake(main_loop);
}

static id loop_new(bool is_main)
{
    id self = class_createInstance(ABX_CLASS(NSRunLoop), 0);
    struct loop *l = inner(self);
    pthread_mutex_init(&l->lock, NULL);
    abx_dispatch_condition_init(&l->changed);
    l->timers = objc_retain(abx_ns_mutable_array());
    l->blocks = objc_retain(abx_ns_mutable_array());
    l->is_main = is_main;
    return self;
}

static id get_main(id cls, SEL cmd)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!main_loop) {
        main_loop = loop_new(true);
        abx_dispatch_main_wake(wake_main);
    }
    pthread_mutex_unlock(&lock);
    return main_loop;
}

static void let_loop_go(void *self)
{
    objc_release(self);
}

static id get_current(id cls, SEL cmd)
{
    if (gettid() == getpid())
        return get_main(cls, cmd);
    id self = pthread_getspecific(key);
    if (!self) {
        self = loop_new(false);
        pthread_setspecific(key, self);
    }
    return self;
}

static void loop_dealloc(id self, SEL cmd)
{
    struct loop *l = inner(self);
    objc_release(l->timers);
    objc_release(l->blocks);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->changed);
    abx_objc_dealloc_super(self, ABX_CLASS(NSRunLoop));
}

/* ---- timers */

static uint64_t after(double seconds)
{
    if (!(seconds > 0))
        seconds = 0;
    return seconds > 1e9 ? UINT64_MAX : abx_now_ns() + (uint64_t)(seconds * 1e9);
}

static id timer_new(double interval, bool repeats)
{
    id self = class_createInstance(ABX_CLASS(NSTimer), 0);
    struct timer *t = timer_of(self);
    t->interval = interval > 0 ? interval : 0.0001; /* as Apple's */
    t->repeats = repeats;
    t->valid = true;
    t->due = after(t->interval);
    return objc_autorelease(self);
}

static id timer_block(id cls, SEL cmd, double interval, BOOL repeats, const void *block)
{
    id self = timer_new(interval, repeats);
    timer_of(self)->block = _Block_copy(block);
    return self;
}

static id timer_target(
        id cls, SEL cmd, double interval, id target, SEL selector, id info, BOOL repeats)
{
    id self = timer_new(interval, repeats);
    timer_of(self)->target = objc_retain(target);
    timer_of(self)->selector = selector;
    timer_of(self)->argument = objc_retain(info);
    return self;
}

static void add_timer(id self, SEL cmd, id timer, id mode)
{
    struct loop *l = inner(self);
    pthread_mutex_lock(&l->lock);
    abx_ns_array_add(l->timers, timer);
    l->woken = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

static id scheduled(id timer)
{
    add_timer(get_current(nil, NULL), NULL, timer, nil);
    return timer;
}

static id schedule_block(id cls, SEL cmd, double interval, BOOL repeats, const void *block)
{
    return scheduled(timer_block(cls, cmd, interval, repeats, block));
}

static id schedule_target(
        id cls, SEL cmd, double interval, id target, SEL selector, id info, BOOL repeats)
{
    return scheduled(timer_target(cls, cmd, interval, target, selector, info, repeats));
}

static void invalidate(id self, SEL cmd)
{
    timer_of(self)->valid = false;
}

static void fire(id self, SEL cmd)
{
    struct timer *t = timer_of(self);
    if (!t->valid)
        return;
    if (!t->repeats)
        t->valid = false;
    if (t->block)
        ABX_BLOCK_CALL(void, (void *, id), t->block, self);
    else
        ((void (*)(id, SEL, id))(uintptr_t)abx_objc_msg_send)(
                t->target, t->selector, t->plain ? t->argument : self);
}

static abx_objc_bool is_valid(id self, SEL cmd)
{
    return timer_of(self)->valid;
}

static double get_interval(id self, SEL cmd)
{
    return timer_of(self)->repeats ? timer_of(self)->interval : 0;
}

static id get_info(id self, SEL cmd)
{
    return timer_of(self)->argument;
}

static id get_fire_date(id self, SEL cmd)
{
    double seconds = ((double)timer_of(self)->due - (double)abx_now_ns()) / 1e9;
    return ABX_MSG(
            id, (Class, SEL, double), ABX_CLASS(NSDate), "dateWithTimeIntervalSinceNow:", seconds);
}

static void set_fire_date(id self, SEL cmd, id date)
{
    timer_of(self)->due = after(ABX_MSG(double, (id, SEL), date, "timeIntervalSinceNow"));
}

static double get_tolerance(id self, SEL cmd)
{
    return 0;
}

static void set_tolerance(id self, SEL cmd, double seconds) {}

static void timer_dealloc(id self, SEL cmd)
{
    struct timer *t = timer_of(self);
    objc_release(t->target);
    objc_release(t->argument);
    if (t->block)
        _Block_release(t->block);
    abx_objc_dealloc_super(self, ABX_CLASS(NSTimer));
}

/* ---- running */

/* Takes out a timer that is due (retained) or is not valid; nil: none. *ret_next: when the next is.
 * Lock held. */
static id take_due(struct loop *l, uint64_t *ret_next)
{
    uint64_t now = abx_now_ns();
    *ret_next = UINT64_MAX;
    for (NSUInteger i = 0; i < abx_ns_array_count(l->timers); i++) {
        id each = objc_retain(abx_ns_array_at(l->timers, i));
        struct timer *t = timer_of(each);
        bool due = t->valid && t->due <= now;
        if (!t->valid || (due && !t->repeats))
            ABX_MSG(void, (id, SEL, NSUInteger), l->timers, "removeObjectAtIndex:", i);
        if (due && t->repeats)
            t->due = after(t->interval);
        if (due || !t->valid)
            return each;
        *ret_next = t->due < *ret_next ? t->due : *ret_next;
        objc_release(each);
    }
    return nil;
}

static id take_block(struct loop *l)
{
    id block = objc_retain(abx_ns_array_at(l->blocks, 0));
    if (block)
        ABX_MSG(void, (id, SEL, NSUInteger), l->blocks, "removeObjectAtIndex:", 0);
    return block;
}

/* Calls one thing that is due; false: none is, and *ret_next says when a timer will be. */
static bool run_one(id self, uint64_t *ret_next, bool *ret_source)
{
    struct loop *l = inner(self);
    void *pool = objc_autoreleasePoolPush();
    pthread_mutex_lock(&l->lock);
    l->woken = false;
    id block = take_block(l), timer = block ? nil : take_due(l, ret_next);
    pthread_mutex_unlock(&l->lock);
    bool did = block || timer;
    if (block)
        ABX_BLOCK_CALL(void, (void *), block);
    else if (timer)
        fire(timer, NULL);
    else if (l->is_main && abx_dispatch_main_run(false))
        did = *ret_source = true;
    *ret_source |= block != nil;
    objc_release(block);
    objc_release(timer);
    objc_autoreleasePoolPop(pool);
    return did;
}

static bool is_empty(id self)
{
    struct loop *l = inner(self);
    pthread_mutex_lock(&l->lock);
    bool empty = !l->is_main && !abx_ns_array_count(l->timers) && !abx_ns_array_count(l->blocks);
    pthread_mutex_unlock(&l->lock);
    return empty;
}

/* Until the time, or with one: until something other than a timer was run. */
static bool run_to(id self, uint64_t deadline, bool one)
{
    struct loop *l = inner(self);
    bool source = false;
    uint64_t next = UINT64_MAX;
    if (is_empty(self))
        return false;
    do {
        while (run_one(self, &next, &source) && !(one && source))
            if (abx_now_ns() >= deadline)
                break;
        if ((one && source) || is_empty(self))
            break;
        pthread_mutex_lock(&l->lock);
        uint64_t until = next < deadline ? next : deadline;
        while (!l->woken && abx_now_ns() < until)
            abx_dispatch_wait(&l->changed, &l->lock, until);
        pthread_mutex_unlock(&l->lock);
    } while (abx_now_ns() < deadline);
    return true;
}

static uint64_t deadline_of(id date)
{
    return after(ABX_MSG(double, (id, SEL), date, "timeIntervalSinceNow"));
}

static void run(id self, SEL cmd)
{
    while (run_to(self, UINT64_MAX, false))
        ;
}

static void run_until(id self, SEL cmd, id date)
{
    uint64_t deadline = deadline_of(date);
    while (run_to(self, deadline, false) && abx_now_ns() < deadline)
        ;
}

static abx_objc_bool run_mode(id self, SEL cmd, id mode, id date)
{
    return run_to(self, deadline_of(date), true);
}

static void perform_block(id self, SEL cmd, const void *block)
{
    struct loop *l = inner(self);
    id copy = _Block_copy(block);
    pthread_mutex_lock(&l->lock);
    abx_ns_array_add(l->blocks, copy);
    l->woken = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    _Block_release(copy);
}

static void perform_modes(id self, SEL cmd, id modes, const void *block)
{
    perform_block(self, cmd, block);
}

static id current_mode(id self, SEL cmd)
{
    return NSDefaultRunLoopMode;
}

/* ---- messages sent later */

static void perform_after(id self, SEL cmd, SEL selector, id argument, double delay)
{
    id timer = timer_target(nil, cmd, delay, self, selector, argument, NO);
    timer_of(timer)->plain = true;
    timer_of(timer)->due = after(delay);
    scheduled(timer);
}

static void cancel_for(id cls, SEL cmd, id target)
{
    struct loop *l = inner(get_current(nil, NULL));
    pthread_mutex_lock(&l->lock);
    for (NSUInteger i = 0; i < abx_ns_array_count(l->timers); i++) {
        struct timer *t = timer_of(abx_ns_array_at(l->timers, i));
        if (t->plain && t->target == target)
            t->valid = false;
    }
    pthread_mutex_unlock(&l->lock);
}

static const struct abx_objc_method timer_methods[] = {
        METHOD("fire", "v@:", fire),
        METHOD("invalidate", "v@:", invalidate),
        METHOD("isValid", "B@:", is_valid),
        METHOD("timeInterval", "d@:", get_interval),
        METHOD("userInfo", "@@:", get_info),
        METHOD("fireDate", "@@:", get_fire_date),
        METHOD("setFireDate:", "v@:@", set_fire_date),
        METHOD("tolerance", "d@:", get_tolerance),
        METHOD("setTolerance:", "v@:d", set_tolerance),
        METHOD("dealloc", "v@:", timer_dealloc),
        {NULL},
};
static const struct abx_objc_method timer_class_methods[] = {
        METHOD("timerWithTimeInterval:repeats:block:", "@@:dB@?", timer_block),
        METHOD("timerWithTimeInterval:target:selector:userInfo:repeats:", "@@:d@:@B", timer_target),
        METHOD("scheduledTimerWithTimeInterval:repeats:block:", "@@:dB@?", schedule_block),
        METHOD("scheduledTimerWithTimeInterval:target:selector:userInfo:repeats:", "@@:d@:@B",
                schedule_target),
        {NULL},
};
static const struct abx_objc_method loop_methods[] = {
        METHOD("run", "v@:", run),
        METHOD("runUntilDate:", "v@:@", run_until),
        METHOD("runMode:beforeDate:", "B@:@@", run_mode),
        METHOD("addTimer:forMode:", "v@:@@", add_timer),
        METHOD("performBlock:", "v@:@?", perform_block),
        METHOD("performInModes:block:", "v@:@@?", perform_modes),
        METHOD("currentMode", "@@:", current_mode),
        METHOD("dealloc", "v@:", loop_dealloc),
        {NULL},
};
static const struct abx_objc_method loop_class_methods[] = {
        METHOD("currentRunLoop", "@@:", get_current),
        METHOD("mainRunLoop", "@@:", get_main),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    static const struct abx_objc_method later[] = {
            METHOD("performSelector:withObject:afterDelay:", "v@::@d", perform_after), {NULL}};
    static const struct abx_objc_method later_class[] = {
            METHOD("cancelPreviousPerformRequestsWithTarget:", "v@:@", cancel_for), {NULL}};
    pthread_key_create(&key, let_loop_go);
    DEFINE(NSRunLoop, NSObject, struct loop, loop_methods, loop_class_methods);
    DEFINE(NSTimer, NSObject, struct timer, timer_methods, timer_class_methods);
    abx_objc_add_methods(ABX_CLASS(NSObject), later, later_class);
}
