/* objc: what the files of the runtime share. Nothing outside src/objc includes this. */
#ifndef ABX_OBJC_PRIVATE_H
#define ABX_OBJC_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "objc/objc_internal.h"

typedef struct abx_objc_class *abx_class;

/* ---- layouts the compiler emits (Apple's non-fragile ABI) */
struct objc_method {
    SEL name; /* a plain string until the list is fixed up */
    const char *types;
    IMP imp;
};
struct compiled_method_list {
    uint32_t entry_size_and_flags, count; /* bit 0 of the size: fixed up */
    struct objc_method methods[];
};
struct objc_ivar {
    void *offset; /* long on x86-64, int32_t on arm64; may be NULL (anonymous bit-field) */
    const char *name, *type;
    uint32_t alignment_log2, size;
};
struct compiled_ivar_list {
    uint32_t entry_size, count;
    struct objc_ivar ivars[];
};
struct objc_property {
    const char *name, *attributes;
};
struct compiled_property_list {
    uint32_t entry_size, count;
    struct objc_property properties[];
};
struct compiled_protocol_list;
struct protocol {
    abx_class isa;
    const char *name;
    struct compiled_protocol_list *protocols;
    struct compiled_method_list
            *methods[4]; /* required instance, class; optional instance, class */
    struct compiled_property_list *properties;
    uint32_t size, flags;
    const char **extended_types;
    const char *demangled_name;
    struct compiled_property_list *class_properties;
};
struct compiled_protocol_list {
    uintptr_t count;
    struct protocol *list[];
};
struct compiled_class {
    uint32_t flags, instance_start, instance_size, reserved;
    const uint8_t *ivar_layout;
    const char *name;
    struct compiled_method_list *methods;
    struct compiled_protocol_list *protocols;
    struct compiled_ivar_list *ivars;
    const uint8_t *weak_ivar_layout;
    struct compiled_property_list *properties;
};
enum { COMPILED_META = 1, COMPILED_ROOT = 2, COMPILED_CXX = 4 };
struct compiled_category {
    const char *name;
    abx_class cls;
    struct compiled_method_list *instance_methods, *class_methods;
    struct compiled_protocol_list *protocols;
    struct compiled_property_list *instance_properties, *class_properties;
    uint32_t size;
};

/* ---- a realized class */
struct method_list {
    struct method_list *next;
    uint32_t count, capacity;
    struct objc_method *methods;
};
struct ivar_list {
    struct ivar_list *next;
    uint32_t count;
    struct objc_ivar *ivars;
};
struct property_list {
    struct property_list *next;
    uint32_t count;
    const struct objc_property *properties;
};
enum initialize_state { INITIALIZE_NOT_YET, INITIALIZE_RUNNING, INITIALIZE_DONE };
struct class_data {
    const char *name;
    abx_class cls, nonmeta; /* nonmeta: the class whose metaclass this is, or the class itself */
    abx_class first_subclass, next_sibling;
    struct method_list *methods; /* newest first */
    struct ivar_list *ivars;
    struct property_list *properties;
    struct protocol **protocols;
    size_t protocol_count;
    size_t instance_size;
    int version;
    const uint8_t *ivar_layout, *weak_ivar_layout; /* as class_setIvarLayout() was given them */
    enum initialize_state initialize;
    pthread_t initializer;
};

/* abx_objc_class.flags. Bit 0 is clear in whatever the compiler put there. */
enum class_flag {
    CLASS_REALIZED = 1,
    CLASS_META = 2,
    CLASS_DEFAULT_RR = 4,     /* nobody overrides retain, release and their like */
    CLASS_IMMORTAL = 8,       /* instances have no header and are never freed */
    CLASS_CXX_DESTRUCT = 16,  /* some class of the chain has .cxx_destruct */
    CLASS_CXX_CONSTRUCT = 32, /* ... .cxx_construct */
    CLASS_DEFAULT_ALLOC = 64, /* metaclass: nobody overrides alloc, allocWithZone: */
    CLASS_DEFAULT_CORE = 128, /* nobody overrides class, isKindOfClass: and their like */
    CLASS_INITIALIZED = 256,
    CLASS_UNDER_CONSTRUCTION = 512,
};
enum { DATA_SPEC = 1, DATA_SPEC_META = 2 }; /* low bits of abx_objc_class.data before realization */

static inline uintptr_t class_flags(abx_class cls)
{
    return __atomic_load_n(&cls->flags, __ATOMIC_ACQUIRE);
}
static inline bool class_has(abx_class cls, uintptr_t flags)
{
    flags |= CLASS_REALIZED;
    return (class_flags(cls) & flags) == flags;
}
static inline struct class_data *class_data(abx_class cls)
{
    return (struct class_data *)cls->data;
}
const char *abx_objc_class_name(abx_class cls);

/* ---- locks. Order: image lock, class lock, selector lock; stripes are leaves. No user code runs
 * under any of them. All are taken around fork(). */
extern pthread_mutex_t abx_objc_class_mutex, abx_objc_selector_mutex;
enum { STRIPES = 64 };
enum stripe_kind { STRIPE_WEAK, STRIPE_ASSOCIATION, STRIPE_PROPERTY, STRIPE_SYNC, STRIPE_KINDS };
extern pthread_mutex_t abx_objc_stripes[STRIPE_KINDS][STRIPES];
static inline unsigned stripe_of(const void *pointer)
{
    uintptr_t p = (uintptr_t)pointer;
    return ((p >> 4) ^ (p >> 10)) % STRIPES;
}
static inline void class_lock(void)
{
    pthread_mutex_lock(&abx_objc_class_mutex);
}
static inline void class_unlock(void)
{
    pthread_mutex_unlock(&abx_objc_class_mutex);
}

/* ---- selectors the runtime itself sends */
struct abx_objc_selectors {
    SEL retain, release, autorelease, retain_count, dealloc, alloc, alloc_with_zone, init, new_,
            copy, mutable_copy, initialize, load, cxx_destruct, cxx_construct, class_, self,
            is_kind_of_class, responds_to_selector, resolve_instance_method, resolve_class_method,
            forwarding_target, does_not_recognize, forward_invocation, method_signature, try_retain,
            retain_weak, allows_weak;
};
extern struct abx_objc_selectors abx_objc_sels;
void abx_objc_selectors_init(void);

/* ---- classes and methods; the class lock held unless said otherwise */
void abx_objc_realize(abx_class cls);
bool abx_objc_is_meta(abx_class cls); /* realized or not */
abx_class abx_objc_find_class(const char *name);
void abx_objc_register_class(abx_class cls);
struct objc_method *abx_objc_find_method(abx_class cls, SEL selector);
struct objc_method *abx_objc_find_own_method(abx_class cls, SEL selector);
/* Adds lists and brings caches and flags of the class and its subclasses up to date. */
void abx_objc_attach_methods(abx_class cls, struct objc_method *methods, uint32_t count);
struct objc_method *abx_objc_add_method(abx_class cls, SEL name, IMP imp, const char *types);
struct objc_method *abx_objc_fix_compiled_methods(
        struct compiled_method_list *list, uint32_t *ret_count);
void abx_objc_attach_protocols(abx_class cls, struct compiled_protocol_list *list);
void abx_objc_attach_protocol(abx_class cls, struct protocol *protocol);
void abx_objc_attach_properties(abx_class cls, struct compiled_property_list *list);
void abx_objc_method_changed(abx_class cls, SEL selector);
struct abx_objc_cache *abx_objc_empty_cache_get(void);
struct class_data *abx_objc_class_data_new(abx_class cls, const char *name, bool meta);
/* Takes the lock itself; runs +initialize where it has not run. */
void abx_objc_initialize(abx_class cls);
IMP abx_objc_lookup(id receiver, SEL selector, abx_class cls);
void abx_objc_link_subclass(abx_class cls);

/* ---- protocols; the class lock held */
struct protocol *abx_objc_find_protocol(const char *name);
struct protocol *abx_objc_intern_protocol(const char *name);
struct protocol *abx_objc_register_compiled_protocol(struct protocol *protocol);

/* ---- objects */
struct object_header {
    _Atomic int64_t references; /* negative: being deallocated */
    _Atomic uint32_t flags;     /* enum object_flag */
    uint32_t reserved;
};
enum object_flag { OBJECT_WEAKLY_REFERENCED = 1, OBJECT_HAS_ASSOCIATIONS = 2 };
static inline struct object_header *object_header(id object)
{
    return (struct object_header *)object - 1;
}
/* True when `object` has a header: it was made by class_createInstance or is a copied block. */
bool abx_objc_has_header(id object);
bool abx_objc_is_malloc_block(id object);
bool abx_objc_block_try_retain(id block);
bool abx_objc_is_deallocating(id object);
id abx_objc_root_retain(id object, SEL cmd); /* NSObject's own methods */
void abx_objc_root_release(id object, SEL cmd);
id abx_objc_root_autorelease(id object, SEL cmd);
NSUInteger abx_objc_root_retain_count(id object, SEL cmd);
abx_objc_bool abx_objc_root_try_retain(id object, SEL cmd);
void abx_objc_define_block_classes(void);
void abx_objc_weak_clear(id object);
void abx_objc_associations_clear(id object);

/* Says what is wrong on stderr and aborts: bugs in the program that Apple's runtime also stops at.
 */
void abx_objc_fatal(const char *format, ...) ABX_PRINTF(1, 2) __attribute__((noreturn));

ABX_OBJC_CLASS_EXTERN(Protocol)

#endif
