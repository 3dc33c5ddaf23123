/* objc: autorelease pools: one stack of objects a thread; a pool is a position in it. What a thread
 * autoreleases outside every pool is released when the thread ends. Guest's process; trusts it.
 *
 * objc_autoreleaseReturnValue and its partner do not hand the reference over outside the pool: that
 * optimisation needs to recognise the caller's instructions, which differ with every linker. */
#include "objc/objc_private.h"

struct pool {
    id *objects;
    uint32_t count, capacity;
};
static __thread struct pool pool __attribute__((tls_model("initial-exec")));
static pthread_key_t exit_key;

static void drain(size_t to)
{
    while (pool.count > to)
        objc_release(pool.objects[--pool.count]);
}

static void thread_ended(void *unused)
{
    drain(0);
    free(pool.objects);
    pool = (struct pool){0};
}

__attribute__((constructor(101))) static void start(void)
{
    pthread_key_create(&exit_key, thread_ended);
}

static void grow(void)
{
    if (!pool.objects)
        pthread_setspecific(exit_key, &pool);
    if (!abx_grow((void **)&pool.objects, &pool.capacity, pool.count, sizeof(*pool.objects),
                UINT32_MAX))
        abx_objc_fatal("out of memory for an autorelease pool");
}

void *objc_autoreleasePoolPush(void)
{
    return (void *)((uintptr_t)pool.count + 1);
}

void objc_autoreleasePoolPop(void *token)
{
    drain((size_t)token - 1);
}

id abx_objc_root_autorelease(id object, SEL cmd)
{
    if (pool.count == pool.capacity)
        grow();
    pool.objects[pool.count++] = object;
    return object;
}

id objc_autorelease(id object)
{
    if (!object)
        return nil;
    uintptr_t flags = class_flags((abx_class)object->isa);
    if ((flags & (CLASS_REALIZED | CLASS_DEFAULT_RR)) == (CLASS_REALIZED | CLASS_DEFAULT_RR)) {
        if (flags & CLASS_IMMORTAL)
            return object;
        return abx_objc_root_autorelease(object, NULL);
    }
    return ((id(*)(id, SEL))(uintptr_t)abx_objc_msg_send)(object, abx_objc_sels.autorelease);
}

OBJC_EXPORT id objc_retainAutorelease(id object);
id objc_retainAutorelease(id object)
{
    return objc_autorelease(objc_retain(object));
}

OBJC_EXPORT id objc_autoreleaseReturnValue(id object);
id objc_autoreleaseReturnValue(id object)
{
    return objc_autorelease(object);
}

OBJC_EXPORT id objc_retainAutoreleaseReturnValue(id object);
id objc_retainAutoreleaseReturnValue(id object)
{
    return objc_autorelease(objc_retain(object));
}

OBJC_EXPORT id objc_retainAutoreleasedReturnValue(id object);
id objc_retainAutoreleasedReturnValue(id object)
{
    return objc_retain(object);
}

OBJC_EXPORT id objc_claimAutoreleasedReturnValue(id object);
id objc_claimAutoreleasedReturnValue(id object)
{
    return objc_retain(object);
}

OBJC_EXPORT id objc_unsafeClaimAutoreleasedReturnValue(id object);
id objc_unsafeClaimAutoreleasedReturnValue(id object)
{
    return object;
}
