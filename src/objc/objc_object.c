/* objc: objects: allocation, reference counts, destruction, and the entry points the compiler calls
 * for them. An object made by class_createInstance has a 16-byte header in front of it with its
 * count and flags. Runs in the guest's process; trusts it. */
#include "objc/objc_private.h"

static abx_class isa(id object)
{
    return (abx_class)object->isa;
}

bool abx_objc_is_kind_of(id object, Class cls)
{
    if (!object)
        return false;
    for (abx_class c = isa(object); c; c = c->superclass)
        if (c == (abx_class)cls)
            return true;
    return false;
}

static void realize(abx_class cls)
{
    if (class_has(cls, CLASS_REALIZED))
        return;
    class_lock();
    abx_objc_realize(cls);
    class_unlock();
}

/* ---- making */

static bool construct(id object, abx_class cls)
{
    if (cls->superclass && class_has(cls->superclass, CLASS_CXX_CONSTRUCT))
        construct(object, cls->superclass);
    class_lock();
    struct objc_method *method = abx_objc_find_own_method(cls, abx_objc_sels.cxx_construct);
    IMP function = method ? method->imp : NULL;
    class_unlock();
    if (function)
        ((id(*)(id, SEL))function)(object, abx_objc_sels.cxx_construct);
    return true;
}

id class_createInstance(Class created, size_t extra_bytes)
{
    abx_class cls = (abx_class)created;
    if (!cls)
        return nil;
    realize(cls);
    size_t size = class_data(cls)->instance_size;
    if (size < 16)
        size = 16;
    struct object_header *header;
    if (__builtin_add_overflow(size, extra_bytes + sizeof(*header), &size))
        return nil;
    header = calloc(1, size);
    if (!header)
        return nil;
    atomic_store_explicit(&header->references, 1, memory_order_relaxed);
    id object = (id)(header + 1);
    object->isa = created;
    if (class_has(cls, CLASS_CXX_CONSTRUCT))
        construct(object, cls);
    return object;
}

id object_copy(id object, size_t size)
{
    if (!object)
        return nil;
    size_t known = class_getInstanceSize(object->isa);
    id copy = class_createInstance(object->isa, size > known ? size - known : 0);
    if (copy)
        memcpy(copy, object, size > known ? size : known);
    return copy;
}

void *object_getIndexedIvars(id object)
{
    if (!object)
        return NULL;
    size_t size = object_isClass(object) ? sizeof(struct abx_objc_class)
                                         : class_getInstanceSize(object->isa);
    return (char *)object + abx_align_up(size, 8);
}

static id call_alloc(Class cls)
{
    return ((id(*)(id, SEL))(uintptr_t)abx_objc_msg_send)((id)cls, abx_objc_sels.alloc);
}

id objc_alloc(Class cls)
{
    if (!cls)
        return nil;
    if (class_has(((abx_class)cls)->isa, CLASS_DEFAULT_ALLOC) &&
            class_has((abx_class)cls, CLASS_INITIALIZED))
        return class_createInstance(cls, 0);
    return call_alloc(cls);
}

OBJC_EXPORT id objc_allocWithZone(Class cls);
id objc_allocWithZone(Class cls)
{
    if (!cls)
        return nil;
    if (class_has(((abx_class)cls)->isa, CLASS_DEFAULT_ALLOC) &&
            class_has((abx_class)cls, CLASS_INITIALIZED))
        return class_createInstance(cls, 0);
    return ((id(*)(id, SEL, void *))(uintptr_t)abx_objc_msg_send)(
            (id)cls, abx_objc_sels.alloc_with_zone, NULL);
}

id objc_alloc_init(Class cls)
{
    return ((id(*)(id, SEL))(uintptr_t)abx_objc_msg_send)(objc_alloc(cls), abx_objc_sels.init);
}

OBJC_EXPORT id objc_opt_new(Class cls);
id objc_opt_new(Class cls)
{
    if (!cls)
        return nil;
    if (class_has(((abx_class)cls)->isa, CLASS_DEFAULT_CORE))
        return objc_alloc_init(cls);
    return ((id(*)(id, SEL))(uintptr_t)abx_objc_msg_send)((id)cls, abx_objc_sels.new_);
}

OBJC_EXPORT id objc_opt_self(id object);
id objc_opt_self(id object)
{
    if (!object || class_has(isa(object), CLASS_DEFAULT_CORE))
        return object;
    return ((id(*)(id, SEL))(uintptr_t)abx_objc_msg_send)(object, abx_objc_sels.self);
}

OBJC_EXPORT Class objc_opt_class(id object);
Class objc_opt_class(id object)
{
    if (!object)
        return Nil;
    if (class_has(isa(object), CLASS_DEFAULT_CORE))
        return class_has(isa(object), CLASS_META) ? (Class)object : object->isa;
    return ((Class(*)(id, SEL))(uintptr_t)abx_objc_msg_send)(object, abx_objc_sels.class_);
}

OBJC_EXPORT abx_objc_bool objc_opt_isKindOfClass(id object, Class cls);
abx_objc_bool objc_opt_isKindOfClass(id object, Class cls)
{
    if (!object)
        return 0;
    if (class_has(isa(object), CLASS_DEFAULT_CORE))
        return abx_objc_is_kind_of(object, cls);
    return ((BOOL(*)(id, SEL, Class))(uintptr_t)abx_objc_msg_send)(
            object, abx_objc_sels.is_kind_of_class, cls);
}

OBJC_EXPORT abx_objc_bool objc_opt_respondsToSelector(id object, SEL selector);
abx_objc_bool objc_opt_respondsToSelector(id object, SEL selector)
{
    if (!object)
        return 0;
    if (class_has(isa(object), CLASS_DEFAULT_CORE))
        return class_respondsToSelector(object->isa, selector);
    return ((BOOL(*)(id, SEL, SEL))(uintptr_t)abx_objc_msg_send)(
            object, abx_objc_sels.responds_to_selector, selector);
}

/* ---- unmaking */

static void destruct(id object)
{
    SEL selector = abx_objc_sels.cxx_destruct;
    for (abx_class cls = isa(object); cls; cls = cls->superclass) {
        if (!class_has(cls, CLASS_CXX_DESTRUCT))
            return;
        class_lock();
        struct objc_method *method = abx_objc_find_own_method(cls, selector);
        IMP function = method ? method->imp : NULL;
        class_unlock();
        if (function)
            ((void (*)(id, SEL))function)(object, selector);
    }
}

void *objc_destructInstance(id object)
{
    if (!object)
        return NULL;
    if (class_has(isa(object), CLASS_CXX_DESTRUCT))
        destruct(object);
    uint32_t flags = atomic_load_explicit(&object_header(object)->flags, memory_order_acquire);
    if (flags & OBJECT_HAS_ASSOCIATIONS)
        abx_objc_associations_clear(object);
    if (flags & OBJECT_WEAKLY_REFERENCED)
        abx_objc_weak_clear(object);
    return object;
}

id object_dispose(id object)
{
    if (!object || class_has(isa(object), CLASS_IMMORTAL))
        return nil;
    objc_destructInstance(object);
    free(object_header(object));
    return nil;
}

/* ---- reference counts */

bool abx_objc_has_header(id object)
{
    if (abx_objc_is_malloc_block(object))
        return true;
    /* Nobody made an instance of a class that is not realized: it is a static one. No lock may be
     * taken here. */
    return class_has(isa(object), CLASS_REALIZED) && !class_has(isa(object), CLASS_IMMORTAL);
}

/* Being deallocated is a large negative count, so that retains and releases that happen during
 * dealloc do not start a second one. */
enum { DEALLOCATING_BIT = 62 };
#define DEALLOCATING (-((int64_t)1 << DEALLOCATING_BIT))

static inline void header_retain(id object)
{
    atomic_fetch_add_explicit(&object_header(object)->references, 1, memory_order_relaxed);
}

static inline void header_release(id object)
{
    struct object_header *header = object_header(object);
    if (atomic_fetch_sub_explicit(&header->references, 1, memory_order_acq_rel) != 1)
        return;
    atomic_store_explicit(&header->references, DEALLOCATING, memory_order_relaxed);
    ((void (*)(id, SEL))(uintptr_t)abx_objc_msg_send)(object, abx_objc_sels.dealloc);
}

static bool header_try_retain(id object)
{
    struct object_header *header = object_header(object);
    int64_t count = atomic_load_explicit(&header->references, memory_order_relaxed);
    do {
        if (count <= 0)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(
            &header->references, &count, count + 1, memory_order_relaxed, memory_order_relaxed));
    return true;
}

id abx_objc_try_retain(id object)
{
    if (!object)
        return nil;
    if (abx_objc_is_malloc_block(object))
        return abx_objc_block_try_retain(object) ? object : nil;
    abx_class cls = isa(object);
    if (class_has(cls, CLASS_DEFAULT_RR))
        return class_has(cls, CLASS_IMMORTAL) || header_try_retain(object) ? object : nil;
    if (class_has(cls, CLASS_IMMORTAL))
        return object;
    SEL selector = abx_objc_sels.retain_weak;
    if (class_respondsToSelector(object->isa, selector))
        return ((BOOL(*)(id, SEL))(uintptr_t)abx_objc_msg_send)(object, selector) ? object : nil;
    return header_try_retain(object) ? object : nil;
}

id objc_retain(id object)
{
    if (!object)
        return nil;
    uintptr_t flags = class_flags(isa(object));
    if ((flags & (CLASS_REALIZED | CLASS_DEFAULT_RR | CLASS_IMMORTAL)) ==
            (CLASS_REALIZED | CLASS_DEFAULT_RR)) {
        header_retain(object);
        return object;
    }
    if ((flags & (CLASS_REALIZED | CLASS_IMMORTAL)) == (CLASS_REALIZED | CLASS_IMMORTAL))
        return object;
    return ((id(*)(id, SEL))(uintptr_t)abx_objc_msg_send)(object, abx_objc_sels.retain);
}

void objc_release(id object)
{
    if (!object)
        return;
    uintptr_t flags = class_flags(isa(object));
    if ((flags & (CLASS_REALIZED | CLASS_DEFAULT_RR | CLASS_IMMORTAL)) ==
            (CLASS_REALIZED | CLASS_DEFAULT_RR)) {
        header_release(object);
        return;
    }
    if ((flags & (CLASS_REALIZED | CLASS_IMMORTAL)) == (CLASS_REALIZED | CLASS_IMMORTAL))
        return;
    ((void (*)(id, SEL))(uintptr_t)abx_objc_msg_send)(object, abx_objc_sels.release);
}

/* NSObject's own methods. */
id abx_objc_root_retain(id object, SEL cmd)
{
    if (!class_has(isa(object), CLASS_IMMORTAL))
        header_retain(object);
    return object;
}

void abx_objc_root_release(id object, SEL cmd)
{
    if (!class_has(isa(object), CLASS_IMMORTAL))
        header_release(object);
}

abx_objc_bool abx_objc_root_try_retain(id object, SEL cmd)
{
    return class_has(isa(object), CLASS_IMMORTAL) || header_try_retain(object);
}

NSUInteger abx_objc_root_retain_count(id object, SEL cmd)
{
    if (class_has(isa(object), CLASS_IMMORTAL))
        return (NSUInteger)-1;
    int64_t count = atomic_load_explicit(&object_header(object)->references, memory_order_relaxed);
    return count > 0 ? (NSUInteger)count : 0;
}

bool abx_objc_is_deallocating(id object)
{
    return !class_has(isa(object), CLASS_IMMORTAL) && !abx_objc_is_malloc_block(object) &&
           atomic_load_explicit(&object_header(object)->references, memory_order_relaxed) <= 0;
}

void objc_storeStrong(id *location, id value)
{
    id old = *location;
    if (old == value)
        return;
    objc_retain(value);
    *location = value;
    objc_release(old);
}

void abx_objc_store_copy(id *location, id value)
{
    id old = *location;
    if (old == value)
        return;
    *location = ((id(*)(id, SEL))(uintptr_t)abx_objc_msg_send)(value, abx_objc_sels.copy);
    objc_release(old);
}
