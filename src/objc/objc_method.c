/* objc: methods: lists, lookup, the per-class cache that objc_msgSend reads, +initialize and
 * forwarding. Runs in the guest's process; trusts it.
 *
 * Cache rules. Readers take no lock: they follow class->cache to a table and probe it. Writers hold
 * the class lock. An entry's function is stored before its selector; an entry is never removed; a
 * changed method is stored over the old function in place; a table that is too small is replaced
 * and kept (a reader may still be in it), so what is kept is never more than what is used. Nothing
 * is cached before +initialize has finished, so that other threads come to the slow path and wait
 * for it. */
#include "objc/objc_private.h"

#include <stdio.h>

struct cache_bucket {
    SEL selector;
    IMP function;
};
/* The assembly knows this layout. */
struct abx_objc_cache {
    uint64_t mask; /* (table size - 1) << 4: applied to the selector's address */
    struct abx_objc_cache *previous;
    struct cache_bucket buckets[];
};
/* Entries may spill this many buckets past the table's end; the last one always stays empty. */
enum { CACHE_SPILL = 8 };

static const struct {
    uint64_t mask;
    void *previous;
    struct cache_bucket bucket[2];
} empty_cache;

/* What the compiler points unrealized classes at. */
ABX_EXPORT extern char _objc_empty_cache[], _objc_empty_vtable[];
ABX_EXPORT char _objc_empty_cache[64] __attribute__((aligned(16)));
ABX_EXPORT char _objc_empty_vtable[16] __attribute__((aligned(16)));

struct abx_objc_cache *abx_objc_empty_cache_get(void)
{
    return (struct abx_objc_cache *)&empty_cache;
}

static bool is_empty(const struct abx_objc_cache *cache)
{
    return cache->mask == 0;
}

static size_t cache_slots(const struct abx_objc_cache *cache)
{
    return (cache->mask >> 4) + 1 + CACHE_SPILL;
}

static bool cache_insert(struct abx_objc_cache *cache, SEL selector, IMP function)
{
    size_t at = ((uint64_t)selector & cache->mask) >> 4;
    size_t last = cache_slots(cache) - 1;
    for (unsigned tries = 0; tries < CACHE_SPILL && at < last; tries++, at++) {
        struct cache_bucket *bucket = &cache->buckets[at];
        if (bucket->selector == selector) {
            __atomic_store_n(&bucket->function, function, __ATOMIC_RELEASE);
            return true;
        }
        if (!bucket->selector) {
            __atomic_store_n(&bucket->function, function, __ATOMIC_RELAXED);
            __atomic_store_n(&bucket->selector, selector, __ATOMIC_RELEASE);
            return true;
        }
    }
    return false;
}

static struct abx_objc_cache *cache_new(size_t size, struct abx_objc_cache *previous)
{
    size_t bytes =
            sizeof(struct abx_objc_cache) + (size + CACHE_SPILL) * sizeof(struct cache_bucket);
    struct abx_objc_cache *cache = calloc(1, bytes);
    if (!cache)
        abx_objc_fatal("out of memory for a method cache");
    cache->mask = (size - 1) << 4;
    cache->previous = previous;
    return cache;
}

static void cache_put(abx_class cls, SEL selector, IMP function)
{
    struct abx_objc_cache *cache = cls->cache;
    if (!is_empty(cache) && cache_insert(cache, selector, function))
        return;
    size_t size = is_empty(cache) ? 4 : ((cache->mask >> 4) + 1) * 2;
    for (;; size *= 2) {
        struct abx_objc_cache *bigger = cache_new(size, is_empty(cache) ? NULL : cache);
        bool fits = cache_insert(bigger, selector, function);
        for (size_t i = 0; fits && !is_empty(cache) && i < cache_slots(cache); i++)
            if (cache->buckets[i].selector)
                fits = cache_insert(bigger, cache->buckets[i].selector, cache->buckets[i].function);
        if (fits) {
            __atomic_store_n(&cls->cache, bigger, __ATOMIC_RELEASE);
            return;
        }
        free(bigger);
    }
}

static struct cache_bucket *cache_find(abx_class cls, SEL selector)
{
    struct abx_objc_cache *cache = __atomic_load_n(&cls->cache, __ATOMIC_ACQUIRE);
    struct cache_bucket *bucket = &cache->buckets[((uint64_t)selector & cache->mask) >> 4];
    for (;; bucket++) {
        SEL found = __atomic_load_n(&bucket->selector, __ATOMIC_ACQUIRE);
        if (found == selector)
            return found ? bucket : NULL;
        if (!found)
            return NULL;
    }
}

/* ---- method lists */

struct objc_method *abx_objc_find_own_method(abx_class cls, SEL selector)
{
    for (struct method_list *list = class_data(cls)->methods; list; list = list->next)
        for (uint32_t i = 0; i < list->count; i++)
            if (list->methods[i].name == selector)
                return &list->methods[i];
    return NULL;
}

struct objc_method *abx_objc_find_method(abx_class cls, SEL selector)
{
    for (; cls; cls = cls->superclass) {
        abx_objc_realize(cls);
        struct objc_method *method = abx_objc_find_own_method(cls, selector);
        if (method)
            return method;
    }
    return NULL;
}

static uintptr_t flags_cleared_by(SEL name)
{
    const struct abx_objc_selectors *s = &abx_objc_sels;
    if (name == s->retain || name == s->release || name == s->autorelease ||
            name == s->retain_count || name == s->try_retain || name == s->retain_weak ||
            name == s->allows_weak)
        return CLASS_DEFAULT_RR;
    if (name == s->alloc || name == s->alloc_with_zone)
        return CLASS_DEFAULT_ALLOC;
    if (name == s->class_ || name == s->self || name == s->is_kind_of_class ||
            name == s->responds_to_selector || name == s->new_)
        return CLASS_DEFAULT_CORE;
    return 0;
}

static void change_flags(abx_class cls, uintptr_t clear, uintptr_t set)
{
    __atomic_and_fetch(&cls->flags, ~clear, __ATOMIC_RELEASE);
    __atomic_or_fetch(&cls->flags, set, __ATOMIC_RELEASE);
    for (abx_class sub = class_data(cls)->first_subclass; sub; sub = class_data(sub)->next_sibling)
        change_flags(sub, clear, set);
}

static void note_method(abx_class cls, SEL name)
{
    uintptr_t clear = cls->superclass && !((class_flags(cls) & CLASS_META) &&
                                                 !class_has(cls->superclass, CLASS_META))
                              ? flags_cleared_by(name)
                              : 0;
    uintptr_t set = name == abx_objc_sels.cxx_destruct    ? CLASS_CXX_DESTRUCT
                    : name == abx_objc_sels.cxx_construct ? CLASS_CXX_CONSTRUCT
                                                          : 0;
    if (clear || set)
        change_flags(cls, clear, set);
}

/* Stores what lookup now finds over every cached entry for `selector` in cls and below. */
void abx_objc_method_changed(abx_class cls, SEL selector)
{
    struct cache_bucket *bucket = cache_find(cls, selector);
    if (bucket) {
        struct objc_method *method = abx_objc_find_method(cls, selector);
        if (method)
            __atomic_store_n(&bucket->function, method->imp, __ATOMIC_RELEASE);
    }
    for (abx_class sub = class_data(cls)->first_subclass; sub; sub = class_data(sub)->next_sibling)
        abx_objc_method_changed(sub, selector);
}

static bool anything_cached(abx_class cls)
{
    if (!is_empty(cls->cache))
        return true;
    for (abx_class sub = class_data(cls)->first_subclass; sub; sub = class_data(sub)->next_sibling)
        if (anything_cached(sub))
            return true;
    return false;
}

void abx_objc_attach_methods(abx_class cls, struct objc_method *methods, uint32_t count)
{
    if (!count)
        return;
    struct method_list *list = calloc(1, sizeof(*list));
    if (!list)
        abx_objc_fatal("out of memory for methods");
    list->count = list->capacity = count;
    list->methods = methods;
    list->next = class_data(cls)->methods;
    class_data(cls)->methods = list;
    bool cached = anything_cached(cls);
    for (uint32_t i = 0; i < count; i++) {
        note_method(cls, methods[i].name);
        if (cached)
            abx_objc_method_changed(cls, methods[i].name);
    }
}

struct objc_method *abx_objc_add_method(abx_class cls, SEL name, IMP imp, const char *types)
{
    enum { CHUNK = 8 };
    struct class_data *data = class_data(cls);
    struct method_list *list = data->methods;
    if (!list || list->count == list->capacity) {
        list = calloc(1, sizeof(*list));
        struct objc_method *methods = calloc(CHUNK, sizeof(*methods));
        if (!list || !methods)
            abx_objc_fatal("out of memory for methods");
        list->capacity = CHUNK;
        list->methods = methods;
        list->next = data->methods;
        data->methods = list;
    }
    struct objc_method *method = &list->methods[list->count++];
    *method = (struct objc_method){name, types ? strdup(types) : NULL, imp};
    note_method(cls, name);
    abx_objc_method_changed(cls, name);
    return method;
}

struct objc_method *abx_objc_fix_compiled_methods(
        struct compiled_method_list *list, uint32_t *ret_count)
{
    *ret_count = list ? list->count : 0;
    if (!list)
        return NULL;
    if ((list->entry_size_and_flags & ~3u) != sizeof(struct objc_method))
        abx_objc_fatal("method list with entries of %u bytes", list->entry_size_and_flags & ~3u);
    if (!(list->entry_size_and_flags & 1)) {
        for (uint32_t i = 0; i < list->count; i++)
            list->methods[i].name = sel_registerName((const char *)list->methods[i].name);
        list->entry_size_and_flags |= 1;
    }
    return list->methods;
}

/* ---- +initialize */

static pthread_cond_t initialize_done = PTHREAD_COND_INITIALIZER;

static bool claim_initialize(abx_class cls)
{
    struct class_data *data = class_data(cls);
    while (data->initialize == INITIALIZE_RUNNING) {
        if (pthread_equal(data->initializer, pthread_self()))
            return false;
        pthread_cond_wait(&initialize_done, &abx_objc_class_mutex);
    }
    if (data->initialize == INITIALIZE_DONE)
        return false;
    data->initialize = INITIALIZE_RUNNING;
    data->initializer = pthread_self();
    return true;
}

/* An exception out of +initialize leaves the class as it is while +initialize runs: usable by the
 * thread that ran it only. */
void abx_objc_initialize(abx_class cls)
{
    if (class_has(cls, CLASS_INITIALIZED))
        return;
    if (cls->superclass)
        abx_objc_initialize(cls->superclass);
    class_lock();
    abx_objc_realize(cls);
    if (!claim_initialize(cls)) {
        class_unlock();
        return;
    }
    struct objc_method *method = abx_objc_find_method(cls->isa, abx_objc_sels.initialize);
    if (method) {
        IMP function = method->imp;
        class_unlock();
        ((void (*)(Class, SEL))function)((Class)cls, abx_objc_sels.initialize);
        class_lock();
    }
    class_data(cls)->initialize = INITIALIZE_DONE;
    __atomic_or_fetch(&cls->flags, CLASS_INITIALIZED, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&initialize_done);
    class_unlock();
}

/* ---- the slow path of objc_msgSend */

static bool resolve(abx_class cls, SEL selector)
{
    bool meta = class_has(cls, CLASS_META);
    SEL resolver =
            meta ? abx_objc_sels.resolve_class_method : abx_objc_sels.resolve_instance_method;
    if (selector == abx_objc_sels.resolve_class_method ||
            selector == abx_objc_sels.resolve_instance_method)
        return false;
    abx_class receiver = meta ? class_data(cls)->nonmeta : cls;
    if (!receiver)
        return false;
    class_lock();
    struct objc_method *method = abx_objc_find_method(receiver->isa, resolver);
    IMP function = method ? method->imp : NULL;
    class_unlock();
    if (!function)
        return false;
    return ((BOOL(*)(Class, SEL, SEL))function)((Class)receiver, resolver, selector);
}

static IMP find_and_cache(abx_class cls, SEL selector)
{
    class_lock();
    struct objc_method *method = abx_objc_find_method(cls, selector);
    IMP function = method ? method->imp : NULL;
    abx_class nonmeta = class_data(cls)->nonmeta;
    if (function && nonmeta && class_has(nonmeta, CLASS_INITIALIZED))
        cache_put(cls, selector, function);
    class_unlock();
    return function;
}

static void realize_for(id receiver, abx_class cls)
{
    class_lock();
    /* A class's first message: cls is its metaclass, and the class must be realized with it. (An
     * instance of an unrealized class is possible too: a constant string, a global block.) */
    if (receiver && (abx_class)receiver->isa == cls && abx_objc_is_meta(cls))
        abx_objc_realize((abx_class)receiver);
    abx_objc_realize(cls);
    class_unlock();
}

IMP abx_objc_lookup(id receiver, SEL selector, abx_class cls)
{
    if (!class_has(cls, CLASS_REALIZED))
        realize_for(receiver, cls);
    abx_class nonmeta = class_data(cls)->nonmeta;
    if (nonmeta && !class_has(nonmeta, CLASS_INITIALIZED))
        abx_objc_initialize(nonmeta);
    IMP function = find_and_cache(cls, selector);
    if (!function && resolve(cls, selector))
        function = find_and_cache(cls, selector);
    return function;
}

/* Called by the assembly; never NULL. */
extern const char abx_objc_forward[] __asm__("_objc_msgForward");
IMP abx_objc_lookup_or_forward(id receiver, SEL selector, abx_class cls);
IMP abx_objc_lookup_or_forward(id receiver, SEL selector, abx_class cls)
{
    IMP function = abx_objc_lookup(receiver, selector, cls);
    return function ? function : (IMP)(uintptr_t)abx_objc_forward;
}

#if defined(__x86_64__)
extern const char abx_objc_forward_stret[] __asm__("_objc_msgForward_stret");
IMP abx_objc_lookup_or_forward_stret(id receiver, SEL selector, abx_class cls);
IMP abx_objc_lookup_or_forward_stret(id receiver, SEL selector, abx_class cls)
{
    IMP function = abx_objc_lookup(receiver, selector, cls);
    return function ? function : (IMP)(uintptr_t)abx_objc_forward_stret;
}
#endif

static id (*more_forwarding)(id receiver, SEL selector);

static bool (*by_invocation)(id receiver, SEL selector, struct abx_objc_frame *frame);

void abx_objc_set_forward_invocation(
        bool (*forward)(id receiver, SEL selector, struct abx_objc_frame *frame))
{
    by_invocation = forward;
}

void abx_objc_set_forwarding(id (*target)(id receiver, SEL selector))
{
    more_forwarding = target;
}

/* Called by _objc_msgForward: the object to send the message to instead; NULL when
 * forwardInvocation: had it and the answer is in the frame. Does not return when nobody takes it:
 * doesNotRecognizeSelector: raises. */
id abx_objc_forwarding_target(id receiver, SEL selector, struct abx_objc_frame *frame);
id abx_objc_forwarding_target(id receiver, SEL selector, struct abx_objc_frame *frame)
{
    abx_class cls = (abx_class)receiver->isa;
    IMP function = abx_objc_lookup(receiver, abx_objc_sels.forwarding_target, cls);
    id target = function ? ((id(*)(id, SEL, SEL))function)(
                                   receiver, abx_objc_sels.forwarding_target, selector)
                         : nil;
    if (!target && more_forwarding)
        target = more_forwarding(receiver, selector);
    if (target && target != receiver)
        return target;
    if (frame && by_invocation && by_invocation(receiver, selector, frame))
        return NULL;
    function = abx_objc_lookup(receiver, abx_objc_sels.does_not_recognize, cls);
    if (function)
        ((void (*)(id, SEL, SEL))function)(receiver, abx_objc_sels.does_not_recognize, selector);
    abx_objc_fatal("%c[%s %s]: unrecognized selector sent to instance %p",
            class_has(cls, CLASS_META) ? '+' : '-', abx_objc_class_name(cls), sel_getName(selector),
            (void *)receiver);
}

/* ---- for languages that look a method up and then call it */

static id nil_method(id self, SEL cmd)
{
    return nil;
}

IMP objc_msg_lookup(id receiver, SEL selector)
{
    if (!receiver)
        return (IMP)nil_method;
    struct cache_bucket *bucket = cache_find((abx_class)receiver->isa, selector);
    if (bucket)
        return __atomic_load_n(&bucket->function, __ATOMIC_RELAXED);
    return abx_objc_lookup_or_forward(receiver, selector, (abx_class)receiver->isa);
}

struct objc_super {
    id receiver;
    Class super_class;
};

IMP objc_msg_lookup_super(struct objc_super *super, SEL selector)
{
    if (!super || !super->receiver)
        return (IMP)nil_method;
    return abx_objc_lookup_or_forward(super->receiver, selector, (abx_class)super->super_class);
}

IMP class_getMethodImplementation(Class cls, SEL selector)
{
    if (!cls || !selector)
        return NULL;
    return abx_objc_lookup_or_forward(NULL, selector, (abx_class)cls);
}

IMP class_lookupMethod(Class cls, SEL selector)
{
    return class_getMethodImplementation(cls, selector);
}

BOOL class_respondsToSelector(Class cls, SEL selector)
{
    return cls && selector && abx_objc_lookup(NULL, selector, (abx_class)cls) != NULL;
}

void abx_objc_dealloc_super(id self, Class cls)
{
    abx_objc_super(self, cls, abx_objc_sels.dealloc);
}

id abx_objc_super(id self, Class cls, SEL selector)
{
    IMP function = abx_objc_lookup_or_forward(self, selector, (abx_class)class_getSuperclass(cls));
    return ((id(*)(id, SEL))function)(self, selector);
}
