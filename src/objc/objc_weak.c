/* objc: weak references. Each weakly referenced object has an entry, in the stripe its address
 * selects, with the places that point at it; the end of dealloc sets them to nil under the stripe's
 * lock. A weak location is read and written only under the lock of the object it holds.
 * Runs in the guest's process; trusts it. */
#include "objc/objc_private.h"

struct weak_entry {
    struct weak_entry *next;
    id object;
    uint32_t count, capacity;
    id **locations;
};
enum { BUCKETS = 32 };
static struct weak_entry *entries[STRIPES][BUCKETS];

static struct weak_entry **find_entry(id object)
{
    struct weak_entry **p = &entries[stripe_of(object)][((uintptr_t)object >> 12) % BUCKETS];
    while (*p && (*p)->object != object)
        p = &(*p)->next;
    return p;
}

/* The lock of the object's stripe must be held by callers of these two. */
static void add_location(id object, id *location)
{
    struct weak_entry **p = find_entry(object);
    struct weak_entry *entry = *p;
    if (!entry) {
        entry = calloc(1, sizeof(*entry));
        if (!entry)
            abx_objc_fatal("out of memory for weak references");
        entry->object = object;
        *p = entry;
    }
    if (!abx_grow((void **)&entry->locations, &entry->capacity, entry->count,
                sizeof(*entry->locations), UINT32_MAX))
        abx_objc_fatal("out of memory for weak references");
    entry->locations[entry->count++] = location;
    atomic_fetch_or_explicit(
            &object_header(object)->flags, OBJECT_WEAKLY_REFERENCED, memory_order_release);
}

static void remove_location(id object, id *location)
{
    struct weak_entry **p = find_entry(object), *entry = *p;
    if (!entry)
        return;
    for (size_t i = 0; i < entry->count; i++) {
        if (entry->locations[i] != location)
            continue;
        entry->locations[i] = entry->locations[--entry->count];
        break;
    }
    if (entry->count == 0) {
        *p = entry->next;
        free(entry->locations);
        free(entry);
    }
}

void abx_objc_weak_clear(id object)
{
    pthread_mutex_t *lock = &abx_objc_stripes[STRIPE_WEAK][stripe_of(object)];
    pthread_mutex_lock(lock);
    struct weak_entry **p = find_entry(object), *entry = *p;
    if (entry) {
        *p = entry->next;
        for (size_t i = 0; i < entry->count; i++)
            if (__atomic_load_n(entry->locations[i], __ATOMIC_RELAXED) == object)
                __atomic_store_n(entry->locations[i], nil, __ATOMIC_RELAXED);
        free(entry->locations);
        free(entry);
    }
    pthread_mutex_unlock(lock);
}

static void lock_two(id a, id b, bool lock)
{
    unsigned first = stripe_of(a), second = stripe_of(b);
    if (!a || (b && first == second))
        first = second;
    else if (!b)
        second = first;
    if (first > second) {
        unsigned swap = first;
        first = second;
        second = swap;
    }
    int (*operation)(pthread_mutex_t *) = lock ? pthread_mutex_lock : pthread_mutex_unlock;
    operation(&abx_objc_stripes[STRIPE_WEAK][first]);
    if (second != first)
        operation(&abx_objc_stripes[STRIPE_WEAK][second]);
}

/* An object that is being deallocated cannot be weakly referenced: nil is stored, as
 * objc_storeWeakOrNil does (Apple's objc_storeWeak aborts). */
id objc_storeWeak(id *location, id value)
{
    bool tracked = value && abx_objc_has_header(value);
    for (;;) {
        id old = __atomic_load_n(location, __ATOMIC_RELAXED);
        if (!old && !value)
            return nil;
        lock_two(old, value, true);
        if (__atomic_load_n(location, __ATOMIC_RELAXED) != old) {
            lock_two(old, value, false);
            continue;
        }
        if (old && abx_objc_has_header(old))
            remove_location(old, location);
        id stored = tracked && abx_objc_is_deallocating(value) ? nil : value;
        if (stored && tracked)
            add_location(stored, location);
        __atomic_store_n(location, stored, __ATOMIC_RELAXED);
        lock_two(old, value, false);
        return stored;
    }
}

OBJC_EXPORT id objc_storeWeakOrNil(id *location, id value);
id objc_storeWeakOrNil(id *location, id value)
{
    return objc_storeWeak(location, value);
}

id objc_initWeak(id *location, id value)
{
    __atomic_store_n(location, nil, __ATOMIC_RELAXED);
    return objc_storeWeak(location, value);
}

OBJC_EXPORT id objc_initWeakOrNil(id *location, id value);
id objc_initWeakOrNil(id *location, id value)
{
    return objc_initWeak(location, value);
}

void objc_destroyWeak(id *location)
{
    objc_storeWeak(location, nil);
}

id objc_loadWeakRetained(id *location)
{
    for (;;) {
        id object = __atomic_load_n(location, __ATOMIC_RELAXED);
        if (!object)
            return nil;
        pthread_mutex_t *lock = &abx_objc_stripes[STRIPE_WEAK][stripe_of(object)];
        pthread_mutex_lock(lock);
        bool same = __atomic_load_n(location, __ATOMIC_RELAXED) == object;
        id result = same ? abx_objc_try_retain(object) : nil;
        pthread_mutex_unlock(lock);
        if (same)
            return result;
    }
}

OBJC_EXPORT id objc_loadWeak(id *location);
id objc_loadWeak(id *location)
{
    return objc_autorelease(objc_loadWeakRetained(location));
}

OBJC_EXPORT void objc_copyWeak(id *to, id *from);
void objc_copyWeak(id *to, id *from)
{
    id object = objc_loadWeakRetained(from);
    objc_initWeak(to, object);
    objc_release(object);
}

OBJC_EXPORT void objc_moveWeak(id *to, id *from);
void objc_moveWeak(id *to, id *from)
{
    objc_copyWeak(to, from);
    objc_destroyWeak(from);
}
