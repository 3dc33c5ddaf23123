/* objc: blocks: the functions the compiler calls, the three classes of block, and methods made from
 * blocks. A copied block has an object header in front so that weak references and associations
 * work on it; its count is in its own flags, as the ABI says. Guest's process; trusts it. */
#include "objc/objc_private.h"

#include <sys/mman.h>
#include <unistd.h>

enum block_flag {
    BLOCK_DEALLOCATING = 1,
    BLOCK_COUNT_MASK = 0xfffe,
    BLOCK_COUNT_ONE = 2,
    BLOCK_NEEDS_FREE = 1 << 24,
    BLOCK_HAS_COPY_DISPOSE = 1 << 25,
    BLOCK_IS_GLOBAL = 1 << 28,
    BLOCK_USE_STRET = 1 << 29,
};
enum field_kind {
    FIELD_OBJECT = 3,
    FIELD_BLOCK = 7,
    FIELD_BYREF = 8,
    FIELD_WEAK = 16,
    FIELD_BYREF_CALLER = 128, /* the variable is inside a __block variable */
};

struct descriptor {
    unsigned long reserved, size;
    void (*copy)(void *to, const void *from);
    void (*dispose)(const void *block);
};
struct block {
    abx_class isa;
    _Atomic int flags;
    int reserved;
    void (*invoke)(void);
    struct descriptor *descriptor;
};
struct byref {
    void *isa;
    struct byref *forwarding;
    _Atomic int flags;
    uint32_t size;
    void (*keep)(struct byref *to, struct byref *from);
    void (*destroy)(struct byref *byref);
};

#define BLOCK_CLASS(symbol, c_name)                                                                \
    ABX_EXPORT struct abx_objc_class symbol;                                                       \
    static struct abx_objc_class c_name;
BLOCK_CLASS(_NSConcreteStackBlock, stack_meta)
BLOCK_CLASS(_NSConcreteMallocBlock, malloc_meta)
BLOCK_CLASS(_NSConcreteGlobalBlock, global_meta)
/* Named by old compilers for blocks under garbage collection; never instantiated. */
ABX_EXPORT struct abx_objc_class _NSConcreteAutoBlock, _NSConcreteFinalizingBlock,
        _NSConcreteWeakBlockVariable;

bool abx_objc_is_malloc_block(id object)
{
    return (abx_class)object->isa == &_NSConcreteMallocBlock;
}

/* The count sticks at its maximum, as in Apple's runtime. */
static bool count_up(_Atomic int *flags, bool unless_dying)
{
    int value = atomic_load_explicit(flags, memory_order_relaxed);
    do {
        if (unless_dying && ((value & BLOCK_DEALLOCATING) || !(value & BLOCK_COUNT_MASK)))
            return false;
        if ((value & BLOCK_COUNT_MASK) == BLOCK_COUNT_MASK)
            return true;
    } while (!atomic_compare_exchange_weak_explicit(
            flags, &value, value + BLOCK_COUNT_ONE, memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* True when that was the last reference. */
static bool count_down(_Atomic int *flags)
{
    int value = atomic_load_explicit(flags, memory_order_relaxed), next;
    bool last;
    do {
        int count = value & BLOCK_COUNT_MASK;
        if (count == BLOCK_COUNT_MASK || count == 0)
            return false;
        last = count == BLOCK_COUNT_ONE;
        next = value - BLOCK_COUNT_ONE + (last ? BLOCK_DEALLOCATING : 0);
    } while (!atomic_compare_exchange_weak_explicit(
            flags, &value, next, memory_order_acq_rel, memory_order_relaxed));
    return last;
}

bool abx_objc_block_try_retain(id block)
{
    return count_up(&((struct block *)block)->flags, true);
}

void *_Block_copy(const void *argument)
{
    struct block *block = (struct block *)argument;
    if (!block)
        return NULL;
    int flags = atomic_load_explicit(&block->flags, memory_order_relaxed);
    if (flags & BLOCK_IS_GLOBAL)
        return block;
    if (flags & BLOCK_NEEDS_FREE) {
        count_up(&block->flags, false);
        return block;
    }
    struct object_header *header = calloc(1, sizeof(*header) + block->descriptor->size);
    if (!header)
        return NULL;
    struct block *copy = (struct block *)(header + 1);
    memcpy((void *)copy, block, block->descriptor->size);
    copy->isa = &_NSConcreteMallocBlock;
    atomic_store_explicit(&copy->flags,
            (flags & ~(BLOCK_COUNT_MASK | BLOCK_DEALLOCATING)) | BLOCK_NEEDS_FREE | BLOCK_COUNT_ONE,
            memory_order_relaxed);
    if (flags & BLOCK_HAS_COPY_DISPOSE)
        block->descriptor->copy(copy, block);
    return copy;
}

void _Block_release(const void *argument)
{
    struct block *block = (struct block *)argument;
    if (!block)
        return;
    int flags = atomic_load_explicit(&block->flags, memory_order_relaxed);
    if ((flags & BLOCK_IS_GLOBAL) || !(flags & BLOCK_NEEDS_FREE) || !count_down(&block->flags))
        return;
    if (flags & BLOCK_HAS_COPY_DISPOSE)
        block->descriptor->dispose(block);
    objc_destructInstance((id)block);
    free(object_header((id)block));
}

/* ---- __block variables */

static struct byref *byref_copy(struct byref *source)
{
    struct byref *from = source->forwarding;
    int flags = atomic_load_explicit(&from->flags, memory_order_relaxed);
    if (flags & BLOCK_NEEDS_FREE) {
        count_up(&from->flags, false);
        return from;
    }
    struct byref *copy = malloc(from->size);
    if (!copy)
        abx_objc_fatal("out of memory for a __block variable");
    memcpy((void *)copy, from, from->size);
    copy->isa = NULL;
    /* one reference for the copied block, one for the stack frame */
    atomic_store_explicit(&copy->flags,
            (flags & ~(BLOCK_COUNT_MASK | BLOCK_DEALLOCATING)) | BLOCK_NEEDS_FREE |
                    2 * BLOCK_COUNT_ONE,
            memory_order_relaxed);
    copy->forwarding = copy;
    from->forwarding = copy;
    if (flags & BLOCK_HAS_COPY_DISPOSE)
        from->keep(copy, from);
    return copy;
}

static void byref_release(struct byref *argument)
{
    struct byref *byref = argument->forwarding;
    int flags = atomic_load_explicit(&byref->flags, memory_order_relaxed);
    if (!(flags & BLOCK_NEEDS_FREE) || !count_down(&byref->flags))
        return;
    if (flags & BLOCK_HAS_COPY_DISPOSE)
        byref->destroy(byref);
    free(byref);
}

OBJC_EXPORT void _Block_object_assign(void *to, const void *object, int kind);
void _Block_object_assign(void *to, const void *object, int kind)
{
    switch (kind) {
    case FIELD_OBJECT:
        *(id *)to = objc_retain((id)object);
        break;
    case FIELD_BLOCK:
        *(void **)to = _Block_copy(object);
        break;
    case FIELD_BYREF:
    case FIELD_BYREF | FIELD_WEAK:
        *(void **)to = byref_copy((struct byref *)object);
        break;
    default: /* inside a __block variable: assigned, not retained */
        *(const void **)to = object;
    }
}

OBJC_EXPORT void _Block_object_dispose(const void *object, int kind);
void _Block_object_dispose(const void *object, int kind)
{
    switch (kind) {
    case FIELD_OBJECT:
        objc_release((id)object);
        break;
    case FIELD_BLOCK:
        _Block_release(object);
        break;
    case FIELD_BYREF:
    case FIELD_BYREF | FIELD_WEAK:
        byref_release((struct byref *)object);
        break;
    default:
        break;
    }
}

OBJC_EXPORT id objc_retainBlock(id block);
id objc_retainBlock(id block)
{
    return _Block_copy(block);
}

OBJC_EXPORT bool _Block_has_signature(void *block);
bool _Block_has_signature(void *block)
{
    enum { BLOCK_HAS_SIGNATURE = 1 << 30 };
    return block && (atomic_load(&((struct block *)block)->flags) & BLOCK_HAS_SIGNATURE);
}

OBJC_EXPORT const char *_Block_signature(void *argument);
const char *_Block_signature(void *argument)
{
    struct block *block = argument;
    if (!_Block_has_signature(block))
        return NULL;
    bool helpers = atomic_load(&block->flags) & BLOCK_HAS_COPY_DISPOSE;
    return ((const char *const *)(block->descriptor))[helpers ? 4 : 2];
}

/* ---- classes */

ABX_OBJC_CLASS(NSBlock)

static id block_copy(id self, SEL cmd)
{
    return _Block_copy(self);
}

static id block_copy_zone(id self, SEL cmd, void *zone)
{
    return _Block_copy(self);
}

static id block_retain(id self, SEL cmd)
{
    return abx_objc_is_malloc_block(self) ? _Block_copy(self) : self;
}

static void block_release(id self, SEL cmd)
{
    _Block_release(self);
}

static void block_dealloc(id self, SEL cmd) {}

static NSUInteger block_retain_count(id self, SEL cmd)
{
    return (NSUInteger)(atomic_load(&((struct block *)self)->flags) & BLOCK_COUNT_MASK) /
           BLOCK_COUNT_ONE;
}

static void block_invoke(id self, SEL cmd)
{
    ABX_BLOCK_CALL(void, (void *), self);
}

static const struct abx_objc_method block_methods[] = {
        {"copy", "@@:", block_copy},
        {"copyWithZone:", "@@:^{_NSZone=}", block_copy_zone},
        {"retain", "@@:", block_retain},
        {"release", "Vv@:", block_release},
        {"autorelease", "@@:", abx_objc_root_autorelease},
        {"retainCount", "Q@:", block_retain_count},
        {"dealloc", "v@:", block_dealloc},
        {"invoke", "v@:", block_invoke},
        {NULL},
};

static void define_concrete(
        const char *name, struct abx_objc_class *cls, struct abx_objc_class *meta, unsigned options)
{
    abx_objc_define_class(&(struct abx_objc_class_spec){.name = name,
            .storage = cls,
            .meta_storage = meta,
            .superclass = ABX_CLASS(NSBlock),
            .instance_size = sizeof(struct block),
            .options = options});
}

void abx_objc_define_block_classes(void)
{
    abx_objc_define_class(&(struct abx_objc_class_spec){ABX_OBJC_CLASS_STORAGE(NSBlock),
            .superclass = ABX_CLASS(NSObject), .instance_size = sizeof(struct block),
            .instance_methods = block_methods,
            .protocols = (const char *const[]){"NSCopying", NULL}});
    define_concrete("__NSStackBlock__", &_NSConcreteStackBlock, &stack_meta, ABX_OBJC_IMMORTAL);
    define_concrete("__NSMallocBlock__", &_NSConcreteMallocBlock, &malloc_meta, 0);
    define_concrete("__NSGlobalBlock__", &_NSConcreteGlobalBlock, &global_meta, ABX_OBJC_IMMORTAL);
}

/* ---- imp_implementationWithBlock: a few instructions that put the block where self was and self
 * where _cmd was, then jump. The pages are mapped twice, once to write and once to execute, so that
 * nothing is ever writable and executable at one address. */

#if defined(__x86_64__)
enum { TRAMPOLINE = 16, TRAMPOLINE_BLOCK = 5 };
static const uint8_t trampoline_code[TRAMPOLINE] = {
        0x48, 0x89, 0xfe, 0x48, 0xbf, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x67, 0x10};
static const uint8_t trampoline_code_stret[TRAMPOLINE] = {
        0x48, 0x89, 0xf2, 0x48, 0xbe, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x66, 0x10};
#elif defined(__aarch64__)
enum { TRAMPOLINE = 24, TRAMPOLINE_BLOCK = 16 };
/* mov x1, x0; ldr x0, block; ldr x16, [x0, #16]; br x16; block: */
static const uint32_t trampoline_code[TRAMPOLINE / 4] = {
        0xaa0003e1, 0x58000060, 0xf9400810, 0xd61f0200};
#define trampoline_code_stret trampoline_code
#endif

enum { TRAMPOLINE_PAGE = 65536, TRAMPOLINES = TRAMPOLINE_PAGE / TRAMPOLINE };
static struct trampoline_page {
    struct trampoline_page *next;
    uint8_t *writable, *executable;
    unsigned used;
    id blocks[TRAMPOLINES];
} *trampoline_pages;
static pthread_mutex_t trampoline_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct trampoline_page *trampoline_page_new(void)
{
    struct trampoline_page *page = calloc(1, sizeof(*page));
    int fd = abx_fd_high(memfd_create("objc-trampolines", MFD_CLOEXEC));
    if (!page || fd < 0 || ftruncate(fd, TRAMPOLINE_PAGE) < 0)
        abx_objc_fatal("no memory for methods made from blocks");
    page->writable = mmap(NULL, TRAMPOLINE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    page->executable = mmap(NULL, TRAMPOLINE_PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    close(fd);
    if (page->writable == MAP_FAILED || page->executable == MAP_FAILED)
        abx_objc_fatal("this system does not allow code made at run time: "
                       "imp_implementationWithBlock cannot work");
    page->next = trampoline_pages;
    trampoline_pages = page;
    return page;
}

static struct trampoline_page *find_trampoline(IMP function, unsigned *ret_index)
{
    uintptr_t address = (uintptr_t)function;
    for (struct trampoline_page *p = trampoline_pages; p; p = p->next) {
        uintptr_t start = (uintptr_t)p->executable;
        if (address >= start && address < start + TRAMPOLINE_PAGE) {
            *ret_index = (unsigned)((address - start) / TRAMPOLINE);
            return p;
        }
    }
    return NULL;
}

IMP imp_implementationWithBlock(id argument)
{
    id block = _Block_copy(argument);
    if (!block)
        return NULL;
    bool stret = atomic_load(&((struct block *)block)->flags) & BLOCK_USE_STRET;
    pthread_mutex_lock(&trampoline_mutex);
    struct trampoline_page *page = trampoline_pages;
    if (!page || page->used == TRAMPOLINES)
        page = trampoline_page_new();
    unsigned index = page->used++;
    uint8_t *code = page->writable + (size_t)index * TRAMPOLINE;
    memcpy(code, stret ? trampoline_code_stret : trampoline_code, TRAMPOLINE);
    memcpy(code + TRAMPOLINE_BLOCK, &block, sizeof(block));
    page->blocks[index] = block;
    char *function = (char *)page->executable + (size_t)index * TRAMPOLINE;
    __builtin___clear_cache((char *)code, (char *)code + TRAMPOLINE);
    __builtin___clear_cache(function, function + TRAMPOLINE);
    pthread_mutex_unlock(&trampoline_mutex);
    return (IMP)(uintptr_t)function;
}

id imp_getBlock(IMP function)
{
    unsigned index;
    pthread_mutex_lock(&trampoline_mutex);
    struct trampoline_page *page = find_trampoline(function, &index);
    id block = page ? page->blocks[index] : nil;
    pthread_mutex_unlock(&trampoline_mutex);
    return block;
}

BOOL imp_removeBlock(IMP function)
{
    unsigned index;
    pthread_mutex_lock(&trampoline_mutex);
    struct trampoline_page *page = find_trampoline(function, &index);
    id block = page ? page->blocks[index] : nil;
    if (page)
        page->blocks[index] = nil;
    pthread_mutex_unlock(&trampoline_mutex);
    _Block_release(block);
    return block != nil;
}
