/* objc: the Objective-C runtime, as the C modules that implement classes see it.
 * Runs in the guest's process; trusts it (a guest can only break itself).
 *
 * A class is a table of methods. A public class, one a program names in its source, has storage
 * with an exported symbol; a private one, reached only through a protocol, is allocated.
 *
 *     ABX_OBJC_CLASS(MTLTextureDescriptor)          // in exactly one .c file
 *
 *     static const struct abx_objc_method methods[] = {
 *         {"width", "Q@:", width},
 *         {"setWidth:", "v@:Q", set_width},
 *         {"dealloc", "v@:", dealloc},
 *         {NULL},
 *     };
 *     abx_objc_define_class(&(struct abx_objc_class_spec){
 *         ABX_OBJC_CLASS_STORAGE(MTLTextureDescriptor),
 *         .superclass = ABX_CLASS(NSObject),
 *         .instance_size = sizeof(struct texture_descriptor),
 *         .instance_methods = methods,
 *         .protocols = (const char *const[]){"NSCopying", NULL}});
 *
 * The tables are kept by reference, and read when the class gets its first message: they must be
 * static (the list of protocols is copied). Definitions belong in a constructor of priority 103
 * (the runtime's is 101, Foundation's 102), so that every class exists before a client's static
 * initialisers run.
 *
 * Type encodings are written without frame offsets ("v@:Q"); the runtime adds them when somebody
 * asks. 'B' stands for BOOL and becomes 'c' on x86-64. An encoding with offsets is taken as is.
 * A function behind a method that returns BOOL must be declared to return abx_objc_bool, so that
 * the whole register is filled: callers from other languages read all of it. */
#ifndef ABX_OBJC_INTERNAL_H
#define ABX_OBJC_INTERNAL_H

#include "base/base.h"
#include "objc/objc.h"
#include "objc/runtime.h"

typedef int abx_objc_bool;
typedef unsigned long NSUInteger;
typedef long NSInteger;

struct abx_objc_method {
    const char *selector;
    const char *types;
    void *function;
};
#define METHOD(selector, types, function) {selector, types, (void *)(uintptr_t)(function)}

/* Apple's layout; `flags` is the field Apple calls vtable, unused by the compiler. */
struct abx_objc_class {
    struct abx_objc_class *isa, *superclass;
    void *cache;
    uintptr_t flags;
    uintptr_t data;
};

/* Storage and exported symbols of a public class; the extra names are what Rust's objc2 links. */
#define ABX_OBJC_CLASS(name)                                                                       \
    ABX_EXPORT struct abx_objc_class abx_class_##name __asm__("OBJC_CLASS_$_" #name);              \
    ABX_EXPORT struct abx_objc_class abx_metaclass_##name __asm__("OBJC_METACLASS_$_" #name);      \
    __asm__(".globl \"._OBJC_CLASS_" #name "\"\n.set \"._OBJC_CLASS_" #name                        \
            "\", \"OBJC_CLASS_$_" #name "\"\n.globl \"_OBJC_CLASS_" #name                          \
            "\"\n.set \"_OBJC_CLASS_" #name "\", \"OBJC_CLASS_$_" #name "\"");
/* Names a public class of another file. */
#define ABX_OBJC_CLASS_EXTERN(name)                                                                \
    ABX_EXPORT extern struct abx_objc_class abx_class_##name __asm__("OBJC_CLASS_$_" #name);
#define ABX_CLASS(name) ((Class) & abx_class_##name)
#define ABX_OBJC_CLASS_STORAGE(class_name)                                                         \
    .name = #class_name, .storage = &abx_class_##class_name,                                       \
    .meta_storage = &abx_metaclass_##class_name

ABX_OBJC_CLASS_EXTERN(NSObject)
ABX_OBJC_CLASS_EXTERN(NSProxy)

enum abx_objc_class_option {
    /* Instances live in static storage: retain, release and dealloc do nothing. */
    ABX_OBJC_IMMORTAL = 1,
};

struct abx_objc_class_spec {
    const char *name;
    struct abx_objc_class *storage, *meta_storage;  /* NULL: allocated */
    Class superclass;                               /* NULL only for a root class */
    size_t instance_size;                           /* whole, isa included; 0: the superclass's */
    const struct abx_objc_method *instance_methods; /* ended by {NULL}; may be NULL */
    const struct abx_objc_method *class_methods;
    const char *const *protocols; /* names, ended by NULL; made on the fly; may be NULL */
    unsigned options;             /* enum abx_objc_class_option */
};

/* Defines and registers a class; aborts when the name is taken by another storage (a bug). The spec
 * itself is copied, what it points to is not. */
Class abx_objc_define_class(const struct abx_objc_class_spec *spec);

/* Adds methods to a class that exists, as a category does. The tables may be NULL. */
void abx_objc_add_methods(Class cls, const struct abx_objc_method *instance_methods,
        const struct abx_objc_method *class_methods);

/* Who answers messages that an object does not: asked after forwardingTargetForSelector:, before
 * the exception. nil: nobody. One for the process, set once. */
void abx_objc_set_forwarding(id (*target)(id receiver, SEL selector));
/* What _objc_msgForward saved of a call: every register that may carry an argument, and the
 * caller's stack behind it. */
struct abx_objc_float {
    union {
        float f;
        double d;
        int64_t bits;
    };
    int64_t high;
};
struct abx_objc_frame {
#if defined(__x86_64__)
    int64_t integers[6], result, unused;
    struct abx_objc_float floats[8];
    int64_t link[2], stack[];
#else
    int64_t link[2], integers[8], result_address, unused;
    struct abx_objc_float floats[8];
    int64_t stack[];
#endif
};
/* Who passes on by forwardInvocation: what nobody else takes. False: it was not taken. */
void abx_objc_set_forward_invocation(
        bool (*forward)(id receiver, SEL selector, struct abx_objc_frame *frame));

/* Makes a protocol (or finds it) and lets it inherit from the named ones (made on the fly).
 * `parents` ends with NULL; NULL means "NSObject" alone. */
void abx_objc_define_protocol(const char *name, const char *const *parents);

/* The end of a class's dealloc: calls the dealloc that `cls`, whose method is running, inherits. */
void abx_objc_dealloc_super(id self, Class cls);

/* Sends `selector` to self as `[super selector]` written in a method of cls would; for methods that
 * take no argument and return an object or nothing. */
id abx_objc_super(id self, Class cls, SEL selector);

bool abx_objc_is_kind_of(id object, Class cls); /* through isa, no message sent; false for nil */

/* One more reference unless it is being deallocated: NULL then. For tables of objects that do not
 * own them (the table's lock must exclude the object's dealloc from removing it meanwhile). */
id abx_objc_try_retain(id object);

/* ---- sending messages from C
 *
 *     NSUInteger n = ABX_MSG(NSUInteger, (id, SEL), array, "count");
 *     id o = ABX_MSG(id, (id, SEL, NSUInteger), array, "objectAtIndex:", i);
 *
 * Not for methods that return a structure in memory: use ABX_MSG_STRET for those. The selector is
 * looked up once a call site. */
extern const char abx_objc_msg_send[] __asm__("objc_msgSend");
#define ABX_SEL(name)                                                                              \
    ({                                                                                             \
        static SEL abx_sel_cached_;                                                                \
        SEL abx_sel_ = __atomic_load_n(&abx_sel_cached_, __ATOMIC_RELAXED);                        \
        if (!abx_sel_) {                                                                           \
            abx_sel_ = sel_registerName(name);                                                     \
            __atomic_store_n(&abx_sel_cached_, abx_sel_, __ATOMIC_RELAXED);                        \
        }                                                                                          \
        abx_sel_;                                                                                  \
    })
#define ABX_MSG(ret, types, object, selector, ...)                                                 \
    (((ret(*) types)(uintptr_t)abx_objc_msg_send)((object), ABX_SEL(selector), ##__VA_ARGS__))
#if defined(__x86_64__)
extern const char abx_objc_msg_send_stret[] __asm__("objc_msgSend_stret");
#define ABX_MSG_STRET(ret, types, object, selector, ...)                                           \
    (((ret(*) types)(uintptr_t)abx_objc_msg_send_stret)((object), ABX_SEL(selector), ##__VA_ARGS__))
#else
#define ABX_MSG_STRET ABX_MSG
#endif

/* ---- type encodings */
/* Past one type with its qualifiers and the offset after it. */
const char *abx_objc_type_next(const char *type);
/* Past one type with its qualifiers; the offset stays. */
const char *abx_objc_type_end(const char *type);
int abx_objc_type_size(const char *type, size_t *ret_size, size_t *ret_alignment);
/* The encoding with frame offsets; `types` itself when it has them. Never freed. */
const char *abx_objc_types_with_offsets(const char *types);

/* ---- calling blocks from C
 *
 *     ABX_BLOCK_CALL(void, (void *, id), handler, command_buffer);     // first type is the block
 */
struct abx_block {
    void *isa;
    int flags, reserved;
    void (*invoke)(void);
    void *descriptor;
};
#define ABX_BLOCK_CALL(ret, types, block, ...)                                                     \
    (((ret(*) types)(uintptr_t)((const struct abx_block *)(block))->invoke)(                       \
            (void *)(block), ##__VA_ARGS__))
OBJC_EXPORT void *_Block_copy(const void *block);
OBJC_EXPORT void _Block_release(const void *block);

/* ---- reference counts */
OBJC_EXPORT id objc_retain(id object);
OBJC_EXPORT void objc_release(id object);
OBJC_EXPORT id objc_autorelease(id object);
OBJC_EXPORT void *objc_autoreleasePoolPush(void);
OBJC_EXPORT void objc_autoreleasePoolPop(void *token);
OBJC_EXPORT id objc_alloc(Class cls);
OBJC_EXPORT id objc_alloc_init(Class cls);
OBJC_EXPORT void objc_storeStrong(id *location, id value);
OBJC_EXPORT id objc_storeWeak(id *location, id value);
OBJC_EXPORT id objc_loadWeakRetained(id *location);
OBJC_EXPORT id objc_initWeak(id *location, id value);
OBJC_EXPORT void objc_destroyWeak(id *location);

/* Stores with the rules of a copy property: *location = [value copy]. */
void abx_objc_store_copy(id *location, id value);

#endif
