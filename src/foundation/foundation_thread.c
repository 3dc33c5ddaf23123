/* foundation: NSThread, NSLock and its relatives, NSAutoreleasePool, NSDate, NSUUID. Guest's
 * process; trusts it. */
#include "foundation/foundation_internal.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

ABX_OBJC_CLASS(NSDate)
ABX_OBJC_CLASS(NSLock)
ABX_OBJC_CLASS(NSRecursiveLock)
ABX_OBJC_CLASS(NSCondition)
ABX_OBJC_CLASS(NSThread)
ABX_OBJC_CLASS(NSAutoreleasePool)
ABX_OBJC_CLASS(NSUUID)

/* ---- NSDate: seconds since the start of 2001 */

struct ns_date {
    Class isa;
    double seconds;
};
#define SINCE_1970 978307200.0

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9 - SINCE_1970;
}

static double seconds_of(id date)
{
    return ((struct ns_date *)date)->seconds;
}

static id date_set(id self, double seconds)
{
    ((struct ns_date *)self)->seconds = seconds;
    return self;
}

static id date_new(double seconds)
{
    return objc_autorelease(date_set(class_createInstance(ABX_CLASS(NSDate), 0), seconds));
}

static id date_init(id self, SEL cmd)
{
    return date_set(self, now());
}

static id date_init_reference(id self, SEL cmd, double s)
{
    return date_set(self, s);
}

static id date_init_now(id self, SEL cmd, double s)
{
    return date_set(self, now() + s);
}

static id date_init_1970(id self, SEL cmd, double s)
{
    return date_set(self, s - SINCE_1970);
}

static id date_now(id cls, SEL cmd)
{
    return date_new(now());
}

static id date_from_now(id cls, SEL cmd, double s)
{
    return date_new(now() + s);
}

static id date_from_1970(id cls, SEL cmd, double s)
{
    return date_new(s - SINCE_1970);
}

static id date_from_reference(id cls, SEL cmd, double s)
{
    return date_new(s);
}

static id date_future(id cls, SEL cmd)
{
    return date_new(63113904000.0);
}

static id date_past(id cls, SEL cmd)
{
    return date_new(-63114076800.0);
}

static double date_reference(id self, SEL cmd)
{
    return seconds_of(self);
}

static double class_reference(id cls, SEL cmd)
{
    return now();
}

static double date_since_now(id self, SEL cmd)
{
    return seconds_of(self) - now();
}

static double date_since_1970(id self, SEL cmd)
{
    return seconds_of(self) + SINCE_1970;
}

static double date_since(id self, SEL cmd, id other)
{
    return seconds_of(self) - (other ? seconds_of(other) : 0);
}

static id date_adding(id self, SEL cmd, double s)
{
    return date_new(seconds_of(self) + s);
}

static NSInteger date_compare(id self, SEL cmd, id other)
{
    double a = seconds_of(self), b = seconds_of(other);
    return a < b ? -1 : a > b;
}

static id date_earlier(id self, SEL cmd, id other)
{
    return seconds_of(other) < seconds_of(self) ? other : self;
}

static id date_later(id self, SEL cmd, id other)
{
    return seconds_of(other) > seconds_of(self) ? other : self;
}

static abx_objc_bool date_equal(id self, SEL cmd, id other)
{
    return self == other ||
           (abx_objc_is_kind_of(other, ABX_CLASS(NSDate)) && seconds_of(self) == seconds_of(other));
}

static NSUInteger date_hash(id self, SEL cmd)
{
    return (NSUInteger)(int64_t)seconds_of(self);
}

static id date_description(id self, SEL cmd)
{
    time_t t = (time_t)(seconds_of(self) + SINCE_1970);
    struct tm parts;
    char text[64];
    gmtime_r(&t, &parts);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S +0000", &parts);
    return abx_ns_string(text);
}

static struct timespec deadline_of(id date)
{
    double s = seconds_of(date) + SINCE_1970;
    s = s < 0 ? 0 : s > 4e9 ? 4e9 : s;
    return (struct timespec){(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
}

/* ---- locks: one layout for the three classes */

struct ns_lock {
    Class isa;
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    id name;
};

static struct ns_lock *lock_of(id self)
{
    return (struct ns_lock *)self;
}

static id lock_init(id self, SEL cmd)
{
    bool recursive = abx_objc_is_kind_of(self, ABX_CLASS(NSRecursiveLock));
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(
            &attributes, recursive ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL);
    pthread_mutex_init(&lock_of(self)->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    pthread_cond_init(&lock_of(self)->condition, NULL);
    return self;
}

static void lock_lock(id self, SEL cmd)
{
    pthread_mutex_lock(&lock_of(self)->mutex);
}

static void lock_unlock(id self, SEL cmd)
{
    pthread_mutex_unlock(&lock_of(self)->mutex);
}

static abx_objc_bool lock_try(id self, SEL cmd)
{
    return pthread_mutex_trylock(&lock_of(self)->mutex) == 0;
}

static abx_objc_bool lock_before(id self, SEL cmd, id date)
{
    struct timespec when = deadline_of(date);
    return pthread_mutex_timedlock(&lock_of(self)->mutex, &when) == 0;
}

static void condition_wait(id self, SEL cmd)
{
    pthread_cond_wait(&lock_of(self)->condition, &lock_of(self)->mutex);
}

static abx_objc_bool condition_wait_until(id self, SEL cmd, id date)
{
    struct timespec when = deadline_of(date);
    return pthread_cond_timedwait(&lock_of(self)->condition, &lock_of(self)->mutex, &when) == 0;
}

static void condition_signal(id self, SEL cmd)
{
    pthread_cond_signal(&lock_of(self)->condition);
}

static void condition_broadcast(id self, SEL cmd)
{
    pthread_cond_broadcast(&lock_of(self)->condition);
}

static id lock_name(id self, SEL cmd)
{
    return lock_of(self)->name;
}

static void lock_set_name(id self, SEL cmd, id name)
{
    abx_objc_store_copy(&lock_of(self)->name, name);
}

static void lock_dealloc(id self, SEL cmd)
{
    pthread_mutex_destroy(&lock_of(self)->mutex);
    pthread_cond_destroy(&lock_of(self)->condition);
    objc_release(lock_of(self)->name);
    object_dispose(self);
}

/* ---- NSThread */

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
    sleep_for(cls, cmd, seconds_of(date) - now());
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

/* ---- NSAutoreleasePool */

struct ns_pool {
    Class isa;
    void *token;
};

static id pool_init(id self, SEL cmd)
{
    ((struct ns_pool *)self)->token = objc_autoreleasePoolPush();
    return self;
}

static void pool_add(id self, SEL cmd, id object)
{
    objc_autorelease(object);
}

static void pool_dealloc(id self, SEL cmd)
{
    void *token = ((struct ns_pool *)self)->token;
    if (token)
        objc_autoreleasePoolPop(token);
    abx_objc_dealloc_super(self, ABX_CLASS(NSAutoreleasePool));
}

static void pool_drain(id self, SEL cmd)
{
    objc_release(self);
}

static id pool_autorelease(id self, SEL cmd)
{
    abx_ns_raise_argument("-[NSAutoreleasePool autorelease]: a pool cannot be autoreleased");
}

/* ---- NSUUID */

struct ns_uuid {
    Class isa;
    uint8_t bytes[16];
};

static uint8_t *uuid_bytes(id self)
{
    return ((struct ns_uuid *)self)->bytes;
}

static id uuid_init(id self, SEL cmd)
{
    uint8_t *b = uuid_bytes(self);
    if (getrandom(b, 16, 0) != 16)
        abort();
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    return self;
}

static id uuid_make(id cls, SEL cmd)
{
    return objc_autorelease(uuid_init(class_createInstance((Class)cls, 0), cmd));
}

static id uuid_init_bytes(id self, SEL cmd, const uint8_t *bytes)
{
    memcpy(uuid_bytes(self), bytes, 16);
    return self;
}

static id uuid_init_string(id self, SEL cmd, id string)
{
    const char *p = abx_ns_string_utf8(string);
    unsigned count = 0;
    for (; p && *p && count < 16; p++) {
        unsigned value;
        if (*p == '-')
            continue;
        if (sscanf(p, "%2x", &value) != 1 || !p[1])
            break;
        uuid_bytes(self)[count++] = (uint8_t)value;
        p++;
    }
    if (count == 16 && !*p && abx_ns_string_bytes_count(string) == 36)
        return self;
    objc_release(self);
    return nil;
}

static id uuid_string(id self, SEL cmd)
{
    const uint8_t *b = uuid_bytes(self);
    return abx_ns_string_printf(
            "%02X%02X%02X%02X-%02X%02X-%02X%02X-%02X%02X-%02X%02X%02X%02X%02X%02X", b[0], b[1],
            b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
            b[15]);
}

static void uuid_get(id self, SEL cmd, uint8_t *bytes)
{
    memcpy(bytes, uuid_bytes(self), 16);
}

static abx_objc_bool uuid_equal(id self, SEL cmd, id other)
{
    return abx_objc_is_kind_of(other, ABX_CLASS(NSUUID)) &&
           memcmp(uuid_bytes(self), uuid_bytes(other), 16) == 0;
}

static NSUInteger uuid_hash(id self, SEL cmd)
{
    NSUInteger hash;
    memcpy(&hash, uuid_bytes(self), sizeof(hash));
    return hash;
}

static const struct abx_objc_method date_methods[] = {
        METHOD("init", "@@:", date_init),
        METHOD("initWithTimeIntervalSinceReferenceDate:", "@@:d", date_init_reference),
        METHOD("initWithTimeIntervalSinceNow:", "@@:d", date_init_now),
        METHOD("initWithTimeIntervalSince1970:", "@@:d", date_init_1970),
        METHOD("timeIntervalSinceReferenceDate", "d@:", date_reference),
        METHOD("timeIntervalSinceNow", "d@:", date_since_now),
        METHOD("timeIntervalSince1970", "d@:", date_since_1970),
        METHOD("timeIntervalSinceDate:", "d@:@", date_since),
        METHOD("dateByAddingTimeInterval:", "@@:d", date_adding),
        METHOD("compare:", "q@:@", date_compare),
        METHOD("earlierDate:", "@@:@", date_earlier),
        METHOD("laterDate:", "@@:@", date_later),
        METHOD("isEqual:", "B@:@", date_equal),
        METHOD("isEqualToDate:", "B@:@", date_equal),
        METHOD("hash", "Q@:", date_hash),
        METHOD("description", "@@:", date_description),
        METHOD("copyWithZone:", "@@:" ZONE, abx_ns_copy_immutable),
        {NULL},
};
static const struct abx_objc_method date_class_methods[] = {
        METHOD("date", "@@:", date_now),
        METHOD("now", "@@:", date_now),
        METHOD("dateWithTimeIntervalSinceNow:", "@@:d", date_from_now),
        METHOD("dateWithTimeIntervalSince1970:", "@@:d", date_from_1970),
        METHOD("dateWithTimeIntervalSinceReferenceDate:", "@@:d", date_from_reference),
        METHOD("distantFuture", "@@:", date_future),
        METHOD("distantPast", "@@:", date_past),
        METHOD("timeIntervalSinceReferenceDate", "d@:", class_reference),
        {NULL},
};
#define LOCK_METHODS                                                                               \
    METHOD("init", "@@:", lock_init), METHOD("lock", "v@:", lock_lock),                            \
            METHOD("unlock", "v@:", lock_unlock), METHOD("tryLock", "B@:", lock_try),              \
            METHOD("lockBeforeDate:", "B@:@", lock_before), METHOD("name", "@@:", lock_name),      \
            METHOD("setName:", "v@:@", lock_set_name), METHOD("dealloc", "v@:", lock_dealloc)
static const struct abx_objc_method lock_methods[] = {LOCK_METHODS, {NULL}};
static const struct abx_objc_method condition_methods[] = {
        LOCK_METHODS,
        METHOD("wait", "v@:", condition_wait),
        METHOD("waitUntilDate:", "B@:@", condition_wait_until),
        METHOD("signal", "v@:", condition_signal),
        METHOD("broadcast", "v@:", condition_broadcast),
        {NULL},
};
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
static const struct abx_objc_method pool_methods[] = {
        METHOD("init", "@@:", pool_init),
        METHOD("addObject:", "v@:@", pool_add),
        METHOD("drain", "v@:", pool_drain),
        METHOD("dealloc", "v@:", pool_dealloc),
        METHOD("autorelease", "@@:", pool_autorelease),
        {NULL},
};
static const struct abx_objc_method pool_class_methods[] = {
        METHOD("addObject:", "v@:@", pool_add),
        {NULL},
};
static const struct abx_objc_method uuid_methods[] = {
        METHOD("init", "@@:", uuid_init),
        METHOD("initWithUUIDString:", "@@:@", uuid_init_string),
        METHOD("initWithUUIDBytes:", "@@:r*", uuid_init_bytes),
        METHOD("getUUIDBytes:", "v@:*", uuid_get),
        METHOD("UUIDString", "@@:", uuid_string),
        METHOD("description", "@@:", uuid_string),
        METHOD("isEqual:", "B@:@", uuid_equal),
        METHOD("hash", "Q@:", uuid_hash),
        METHOD("copyWithZone:", "@@:" ZONE, abx_ns_copy_immutable),
        {NULL},
};
static const struct abx_objc_method uuid_class_methods[] = {
        METHOD("UUID", "@@:", uuid_make),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    pthread_key_create(&current_key, thread_gone);
    DEFINE(NSDate, NSObject, struct ns_date, date_methods, date_class_methods, "NSCopying",
            "NSSecureCoding");
    DEFINE(NSLock, NSObject, struct ns_lock, lock_methods, NULL, "NSLocking");
    DEFINE(NSRecursiveLock, NSObject, struct ns_lock, lock_methods, NULL, "NSLocking");
    DEFINE(NSCondition, NSObject, struct ns_lock, condition_methods, NULL, "NSLocking");
    DEFINE(NSThread, NSObject, struct ns_thread, thread_methods, thread_class_methods);
    DEFINE(NSAutoreleasePool, NSObject, struct ns_pool, pool_methods, pool_class_methods);
    DEFINE(NSUUID, NSObject, struct ns_uuid, uuid_methods, uuid_class_methods, "NSCopying");
}
