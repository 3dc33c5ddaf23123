/* objc: selectors. A SEL is the address of its interned name, as on Apple's systems, aligned to 16
 * bytes so that method caches can use the address itself as the hash. Interned names are never
 * freed. Runs in the guest's process; trusts it. */
#include "objc/objc_private.h"

#include <stdarg.h>
#include <stdio.h>

struct abx_objc_selectors abx_objc_sels;

/* Open-addressed, grown at 3/4. Under abx_objc_selector_mutex. */
static SEL *table;
static size_t table_size, table_count;
static char *arena;
static size_t arena_left;

void abx_objc_fatal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("objc: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

static uint32_t hash_name(const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash;
}

static void *allocate(size_t size)
{
    enum { CHUNK = 32768 };
    if (arena_left < size) {
        size_t chunk = size > CHUNK ? size : CHUNK;
        if (posix_memalign((void **)&arena, 16, chunk))
            abx_objc_fatal("out of memory for selectors");
        arena_left = chunk;
    }
    void *result = arena;
    arena += size;
    arena_left -= size;
    return result;
}

static void grow(void)
{
    size_t old_size = table_size;
    SEL *old = table;
    table_size = old_size ? old_size * 2 : 4096;
    table = calloc(table_size, sizeof(*table));
    if (!table)
        abx_objc_fatal("out of memory for selectors");
    for (size_t i = 0; i < old_size; i++) {
        if (!old[i])
            continue;
        size_t at = hash_name((const char *)old[i]) & (table_size - 1);
        while (table[at])
            at = (at + 1) & (table_size - 1);
        table[at] = old[i];
    }
    free(old);
}

/* The slot that holds `name`, or the empty one where it belongs. */
static SEL *find_slot(const char *name)
{
    size_t at = hash_name(name) & (table_size - 1);
    while (table[at] && strcmp((const char *)table[at], name) != 0)
        at = (at + 1) & (table_size - 1);
    return &table[at];
}

SEL sel_registerName(const char *name)
{
    if (!name)
        return NULL;
    pthread_mutex_lock(&abx_objc_selector_mutex);
    if (table_count * 4 >= table_size * 3)
        grow();
    SEL *slot = find_slot(name);
    if (!*slot) {
        size_t length = strlen(name) + 1;
        char *copy = allocate(abx_align_up(length, 16));
        memcpy(copy, name, length);
        *slot = (SEL)copy;
        table_count++;
    }
    SEL result = *slot;
    pthread_mutex_unlock(&abx_objc_selector_mutex);
    return result;
}

SEL sel_getUid(const char *name)
{
    return sel_registerName(name);
}

const char *sel_getName(SEL sel)
{
    return sel ? (const char *)sel : "<null selector>";
}

BOOL sel_isMapped(SEL sel)
{
    if (!sel)
        return NO;
    pthread_mutex_lock(&abx_objc_selector_mutex);
    bool mapped = table_size && *find_slot((const char *)sel) == sel;
    pthread_mutex_unlock(&abx_objc_selector_mutex);
    return mapped;
}

BOOL sel_isEqual(SEL a, SEL b)
{
    return a == b;
}

void abx_objc_selectors_init(void)
{
    abx_objc_sels = (struct abx_objc_selectors){
            .retain = sel_registerName("retain"),
            .release = sel_registerName("release"),
            .autorelease = sel_registerName("autorelease"),
            .retain_count = sel_registerName("retainCount"),
            .dealloc = sel_registerName("dealloc"),
            .alloc = sel_registerName("alloc"),
            .alloc_with_zone = sel_registerName("allocWithZone:"),
            .init = sel_registerName("init"),
            .new_ = sel_registerName("new"),
            .copy = sel_registerName("copy"),
            .mutable_copy = sel_registerName("mutableCopy"),
            .initialize = sel_registerName("initialize"),
            .load = sel_registerName("load"),
            .cxx_destruct = sel_registerName(".cxx_destruct"),
            .cxx_construct = sel_registerName(".cxx_construct"),
            .class_ = sel_registerName("class"),
            .self = sel_registerName("self"),
            .is_kind_of_class = sel_registerName("isKindOfClass:"),
            .responds_to_selector = sel_registerName("respondsToSelector:"),
            .resolve_instance_method = sel_registerName("resolveInstanceMethod:"),
            .resolve_class_method = sel_registerName("resolveClassMethod:"),
            .forwarding_target = sel_registerName("forwardingTargetForSelector:"),
            .does_not_recognize = sel_registerName("doesNotRecognizeSelector:"),
            .forward_invocation = sel_registerName("forwardInvocation:"),
            .method_signature = sel_registerName("methodSignatureForSelector:"),
            .try_retain = sel_registerName("_tryRetain"),
            .retain_weak = sel_registerName("retainWeakReference"),
            .allows_weak = sel_registerName("allowsWeakReference"),
    };
}
