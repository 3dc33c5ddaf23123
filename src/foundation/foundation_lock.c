/* foundation: NSLock, NSRecursiveLock and NSCondition: one layout for the three. Guest's process;
 * trusts it. */
#include "foundation/foundation_internal.h"

#include <time.h>

ABX_OBJC_CLASS(NSLock)
ABX_OBJC_CLASS(NSRecursiveLock)
ABX_OBJC_CLASS(NSCondition)

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
    struct timespec when = abx_ns_date_realtime(date);
    return pthread_mutex_timedlock(&lock_of(self)->mutex, &when) == 0;
}

static void condition_wait(id self, SEL cmd)
{
    pthread_cond_wait(&lock_of(self)->condition, &lock_of(self)->mutex);
}

static abx_objc_bool condition_wait_until(id self, SEL cmd, id date)
{
    struct timespec when = abx_ns_date_realtime(date);
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

__attribute__((constructor(102))) static void define(void)
{
    DEFINE(NSLock, NSObject, struct ns_lock, lock_methods, NULL, "NSLocking");
    DEFINE(NSRecursiveLock, NSObject, struct ns_lock, lock_methods, NULL, "NSLocking");
    DEFINE(NSCondition, NSObject, struct ns_lock, condition_methods, NULL, "NSLocking");
}
