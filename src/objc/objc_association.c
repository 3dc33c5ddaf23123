/* objc: associated objects: (object, key) -> value, in stripes by the object's address.
 * Runs in the guest's process; trusts it. */
#include "objc/objc_private.h"

struct association {
    struct association *next;
    id object;
    const void *key;
    id value;
    uintptr_t policy;
};
enum { BUCKETS = 16 };
static struct association *table[STRIPES][BUCKETS];

static struct association **bucket_of(id object)
{
    return &table[stripe_of(object)][((uintptr_t)object >> 12) % BUCKETS];
}

static struct association **find(id object, const void *key)
{
    struct association **p = bucket_of(object);
    while (*p && ((*p)->object != object || (*p)->key != key))
        p = &(*p)->next;
    return p;
}

static void release_value(id value, uintptr_t policy)
{
    if (policy & 1)
        objc_release(value);
}

/* Swaps the stored association for the given one (value nil removes). Returns the old value and
 * its policy for the caller to release outside the lock. */
static id exchange(id object, const void *key, id value, uintptr_t *policy)
{
    struct association **p = find(object, key), *found = *p;
    id old = nil;
    uintptr_t old_policy = 0;
    if (found) {
        old = found->value;
        old_policy = found->policy;
        if (!value) {
            *p = found->next;
            free(found);
        }
    } else if (value) {
        found = calloc(1, sizeof(*found));
        if (!found)
            abx_objc_fatal("out of memory for associated objects");
        found->object = object;
        found->key = key;
        found->next = *bucket_of(object);
        *bucket_of(object) = found;
    }
    if (value) {
        found->value = value;
        found->policy = *policy;
    }
    *policy = old_policy;
    return old;
}

void objc_setAssociatedObject(id object, const void *key, id value, objc_AssociationPolicy given)
{
    if (!object)
        return;
    uintptr_t policy = given;
    if ((policy & 0xff) == OBJC_ASSOCIATION_COPY_NONATOMIC)
        value = ((id(*)(id, SEL))(uintptr_t)abx_objc_msg_send)(value, abx_objc_sels.copy);
    else if ((policy & 0xff) == OBJC_ASSOCIATION_RETAIN_NONATOMIC)
        objc_retain(value);
    pthread_mutex_t *lock = &abx_objc_stripes[STRIPE_ASSOCIATION][stripe_of(object)];
    pthread_mutex_lock(lock);
    id old = exchange(object, key, value, &policy);
    if (value && abx_objc_has_header(object))
        atomic_fetch_or_explicit(
                &object_header(object)->flags, OBJECT_HAS_ASSOCIATIONS, memory_order_release);
    pthread_mutex_unlock(lock);
    release_value(old, policy);
}

id objc_getAssociatedObject(id object, const void *key)
{
    if (!object)
        return nil;
    pthread_mutex_t *lock = &abx_objc_stripes[STRIPE_ASSOCIATION][stripe_of(object)];
    pthread_mutex_lock(lock);
    struct association *found = *find(object, key);
    id value = found ? found->value : nil;
    bool retained = found && (found->policy & 0x100);
    if (retained)
        objc_retain(value);
    pthread_mutex_unlock(lock);
    return retained ? objc_autorelease(value) : value;
}

void abx_objc_associations_clear(id object)
{
    pthread_mutex_t *lock = &abx_objc_stripes[STRIPE_ASSOCIATION][stripe_of(object)];
    struct association *dead = NULL;
    pthread_mutex_lock(lock);
    for (struct association **p = bucket_of(object); *p;) {
        struct association *a = *p;
        if (a->object == object) {
            *p = a->next;
            a->next = dead;
            dead = a;
        } else {
            p = &a->next;
        }
    }
    pthread_mutex_unlock(lock);
    while (dead) {
        struct association *next = dead->next;
        release_value(dead->value, dead->policy);
        free(dead);
        dead = next;
    }
}

void objc_removeAssociatedObjects(id object)
{
    if (object)
        abx_objc_associations_clear(object);
}
