/* objc: classes: the registry by name, realization (turning what the compiler or a C module wrote
 * down into a usable class) and construction at run time. Everything here is under the class lock.
 * Runs in the guest's process; trusts it. */
#include "objc/objc_private.h"

#include <stdio.h>

static struct class_node {
    struct class_node *next;
    abx_class cls;
} *registry[512];
static int registry_count;

static unsigned hash_name(const char *name)
{
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (uint8_t)*name;
    return hash % ABX_ARRAY_SIZE(registry);
}

const char *abx_objc_class_name(abx_class cls)
{
    if (!cls)
        return "nil";
    if (class_has(cls, CLASS_REALIZED))
        return class_data(cls)->name;
    uintptr_t data = cls->data;
    if (data & DATA_SPEC)
        return ((struct abx_objc_class_spec *)(data & ~(uintptr_t)7))->name;
    return ((struct compiled_class *)(data & ~(uintptr_t)7))->name;
}

abx_class abx_objc_find_class(const char *name)
{
    for (struct class_node *n = registry[hash_name(name)]; n; n = n->next)
        if (strcmp(abx_objc_class_name(n->cls), name) == 0)
            return n->cls;
    return NULL;
}

void abx_objc_register_class(abx_class cls)
{
    struct class_node *n = malloc(sizeof(*n));
    if (!n)
        abx_objc_fatal("out of memory for class %s", abx_objc_class_name(cls));
    unsigned hash = hash_name(abx_objc_class_name(cls));
    n->cls = cls;
    n->next = registry[hash];
    registry[hash] = n;
    registry_count++;
}

static void unregister_class(abx_class cls)
{
    struct class_node **p = &registry[hash_name(abx_objc_class_name(cls))];
    for (; *p; p = &(*p)->next) {
        if ((*p)->cls == cls) {
            struct class_node *dead = *p;
            *p = dead->next;
            free(dead);
            registry_count--;
            return;
        }
    }
}

struct class_data *abx_objc_class_data_new(abx_class cls, const char *name, bool meta)
{
    struct class_data *data = calloc(1, sizeof(*data));
    if (!data)
        abx_objc_fatal("out of memory for class %s", name);
    data->name = name;
    data->cls = cls;
    data->nonmeta = meta ? NULL : cls;
    return data;
}

/* ---- realization */

static uintptr_t inherited_flags(abx_class super, bool meta)
{
    uintptr_t flags = meta ? (uintptr_t)(CLASS_META | CLASS_IMMORTAL) : 0;
    if (super)
        flags |= class_flags(super) & (CLASS_DEFAULT_RR | CLASS_CXX_DESTRUCT | CLASS_CXX_CONSTRUCT |
                                              CLASS_DEFAULT_ALLOC | CLASS_DEFAULT_CORE);
    if (!meta && super)
        flags |= class_flags(super) & CLASS_IMMORTAL;
    return flags;
}

void abx_objc_link_subclass(abx_class cls)
{
    if (!cls->superclass)
        return;
    struct class_data *super = class_data(cls->superclass);
    class_data(cls)->next_sibling = super->first_subclass;
    super->first_subclass = cls;
}

static long get_ivar_offset(const struct objc_ivar *ivar)
{
    if (!ivar->offset)
        return 0;
#if defined(__x86_64__)
    return *(long *)ivar->offset;
#else
    return *(int32_t *)ivar->offset;
#endif
}

static void set_ivar_offset(const struct objc_ivar *ivar, long value)
{
    if (!ivar->offset)
        return;
#if defined(__x86_64__)
    *(long *)ivar->offset = value;
#else
    *(int32_t *)ivar->offset = (int32_t)value;
#endif
}

/* The non-fragile part of the ABI: a superclass larger than the compiler saw moves our variables.
 */
static void slide_ivars(struct class_data *data, struct compiled_class *compiled, size_t super_size)
{
    if (super_size <= compiled->instance_start)
        return;
    uint32_t alignment = 8;
    struct compiled_ivar_list *list = compiled->ivars;
    for (uint32_t i = 0; list && i < list->count; i++)
        if (list->ivars[i].alignment_log2 < 16 && 1u << list->ivars[i].alignment_log2 > alignment)
            alignment = 1u << list->ivars[i].alignment_log2;
    long by = (long)abx_align_up(super_size - compiled->instance_start, alignment);
    for (uint32_t i = 0; list && i < list->count; i++)
        set_ivar_offset(&list->ivars[i], get_ivar_offset(&list->ivars[i]) + by);
    data->instance_size = compiled->instance_size + (size_t)by;
}

static void realize_compiled(abx_class cls)
{
    struct compiled_class *compiled = (struct compiled_class *)(cls->data & ~(uintptr_t)7);
    bool meta = compiled->flags & COMPILED_META;
    struct class_data *data = abx_objc_class_data_new(cls, compiled->name, meta);
    data->instance_size = compiled->instance_size;
    if (!meta && cls->superclass)
        slide_ivars(data, compiled, class_data(cls->superclass)->instance_size);
    if (compiled->ivars && compiled->ivars->count) {
        struct ivar_list *list = calloc(1, sizeof(*list));
        if (!list)
            abx_objc_fatal("out of memory for class %s", data->name);
        list->count = compiled->ivars->count;
        list->ivars = compiled->ivars->ivars;
        data->ivars = list;
    }
    cls->cache = abx_objc_empty_cache_get();
    cls->data = (uintptr_t)data;
    __atomic_store_n(&cls->flags, inherited_flags(cls->superclass, meta), __ATOMIC_RELEASE);
    abx_objc_link_subclass(cls);
    uint32_t count;
    struct objc_method *methods = abx_objc_fix_compiled_methods(compiled->methods, &count);
    abx_objc_attach_methods(cls, methods, count);
    abx_objc_attach_protocols(cls, compiled->protocols);
    abx_objc_attach_properties(cls, compiled->properties);
}

static void attach_table(abx_class cls, const struct abx_objc_method *table)
{
    uint32_t count = 0;
    while (table && table[count].selector)
        count++;
    if (!count)
        return;
    struct objc_method *methods = calloc(count, sizeof(*methods));
    if (!methods)
        abx_objc_fatal("out of memory for class %s", abx_objc_class_name(cls));
    for (uint32_t i = 0; i < count; i++) {
        methods[i].name = sel_registerName(table[i].selector);
        methods[i].types = table[i].types;
        methods[i].imp = (IMP)(uintptr_t)table[i].function;
    }
    abx_objc_attach_methods(cls, methods, count);
}

static void realize_spec(abx_class cls)
{
    bool meta = cls->data & DATA_SPEC_META;
    struct abx_objc_class_spec *spec = (struct abx_objc_class_spec *)(cls->data & ~(uintptr_t)7);
    struct class_data *data = abx_objc_class_data_new(cls, spec->name, meta);
    if (meta)
        data->instance_size = sizeof(struct abx_objc_class);
    else if (spec->instance_size)
        data->instance_size = spec->instance_size;
    else
        data->instance_size = cls->superclass ? class_data(cls->superclass)->instance_size : 8;
    cls->cache = abx_objc_empty_cache_get();
    cls->data = (uintptr_t)data;
    uintptr_t flags = inherited_flags(cls->superclass, meta);
    if (!meta && (spec->options & ABX_OBJC_IMMORTAL))
        flags |= CLASS_IMMORTAL;
    if (!meta && !cls->superclass) /* NSObject: it is what the defaults are */
        flags |= CLASS_DEFAULT_RR | CLASS_DEFAULT_CORE | CLASS_DEFAULT_ALLOC;
    __atomic_store_n(&cls->flags, flags, __ATOMIC_RELEASE);
    abx_objc_link_subclass(cls);
    attach_table(cls, meta ? spec->class_methods : spec->instance_methods);
    for (const char *const *p = meta ? NULL : spec->protocols; p && *p; p++)
        abx_objc_attach_protocol(cls, abx_objc_intern_protocol(*p));
    if (meta) { /* the class came first: nobody looks at it any more */
        free((void *)(uintptr_t)spec->protocols);
        free(spec);
    }
}

bool abx_objc_is_meta(abx_class cls)
{
    if (class_has(cls, CLASS_REALIZED))
        return class_has(cls, CLASS_META);
    if (cls->data & DATA_SPEC)
        return cls->data & DATA_SPEC_META;
    return ((struct compiled_class *)(cls->data & ~(uintptr_t)7))->flags & COMPILED_META;
}

/* The class whose metaclass this is: it has the same name. */
static abx_class nonmeta_of(abx_class meta)
{
    abx_class cls = abx_objc_find_class(abx_objc_class_name(meta));
    return cls && cls->isa == meta ? cls : NULL;
}

void abx_objc_realize(abx_class cls)
{
    if (!cls || class_has(cls, CLASS_REALIZED))
        return;
    bool compiled = !(cls->data & DATA_SPEC), meta = abx_objc_is_meta(cls);
    abx_class nonmeta = meta ? nonmeta_of(cls) : NULL;
    if (nonmeta)
        abx_objc_realize(nonmeta); /* and this metaclass with it */
    if (class_has(cls, CLASS_REALIZED))
        return;
    abx_objc_realize(cls->superclass);
    /* Realizing a root metaclass's superclass came back here through its isa. */
    if (class_has(cls, CLASS_REALIZED))
        return;
    if (compiled)
        realize_compiled(cls);
    else
        realize_spec(cls);
    if (meta)
        class_data(cls)->nonmeta = nonmeta;
    /* From here on threads that hold no lock may use it. */
    __atomic_or_fetch(&cls->flags, CLASS_REALIZED, __ATOMIC_RELEASE);
    if (!meta)
        abx_objc_realize(cls->isa);
}

/* ---- classes of C modules */

static void set_hierarchy(abx_class cls, abx_class meta, abx_class super)
{
    abx_class root = super;
    while (root && root->superclass)
        root = root->superclass;
    cls->isa = meta;
    cls->superclass = super;
    meta->isa = root ? root->isa : meta;
    meta->superclass = super ? super->isa : cls;
    cls->cache = meta->cache = abx_objc_empty_cache_get();
}

static const char *const *copy_names(const char *const *names)
{
    size_t count = 0;
    while (names && names[count])
        count++;
    if (!count)
        return NULL;
    const char **copy = calloc(count + 1, sizeof(*copy));
    if (!copy)
        abx_objc_fatal("out of memory for protocols");
    memcpy(copy, names, count * sizeof(*copy));
    return copy;
}

Class abx_objc_define_class(const struct abx_objc_class_spec *given)
{
    /* the spec must be aligned: its low bits become flags */
    struct abx_objc_class_spec *spec = malloc(sizeof(*spec));
    abx_class cls = given->storage, meta = given->meta_storage;
    if (!cls)
        cls = calloc(1, sizeof(*cls));
    if (!meta)
        meta = calloc(1, sizeof(*meta));
    if (!spec || !cls || !meta)
        abx_objc_fatal("out of memory for class %s", given->name);
    *spec = *given;
    spec->protocols = copy_names(given->protocols);
    class_lock();
    if (abx_objc_find_class(spec->name))
        abx_objc_fatal("class %s is defined twice", spec->name);
    set_hierarchy(cls, meta, (abx_class)spec->superclass);
    cls->data = (uintptr_t)spec | DATA_SPEC;
    meta->data = (uintptr_t)spec | DATA_SPEC | DATA_SPEC_META;
    abx_objc_register_class(cls);
    class_unlock();
    return (Class)cls;
}

void abx_objc_add_methods(Class cls, const struct abx_objc_method *instance_methods,
        const struct abx_objc_method *class_methods)
{
    class_lock();
    abx_objc_realize((abx_class)cls);
    attach_table((abx_class)cls, instance_methods);
    attach_table(((abx_class)cls)->isa, class_methods);
    class_unlock();
}

/* ---- classes built at run time */

Class objc_allocateClassPair(Class superclass, const char *name, size_t extra_bytes)
{
    abx_class super = (abx_class)superclass;
    class_lock();
    if (abx_objc_find_class(name)) {
        class_unlock();
        return NULL;
    }
    abx_objc_realize(super);
    char *copy = strdup(name);
    abx_class cls = calloc(1, sizeof(*cls) + extra_bytes);
    abx_class meta = calloc(1, sizeof(*meta));
    if (!copy || !cls || !meta)
        abx_objc_fatal("out of memory for class %s", name);
    set_hierarchy(cls, meta, super);
    struct class_data *data = abx_objc_class_data_new(cls, copy, false);
    struct class_data *meta_data = abx_objc_class_data_new(meta, copy, true);
    data->instance_size = super ? class_data(super)->instance_size : sizeof(Class);
    meta_data->instance_size = sizeof(struct abx_objc_class) + extra_bytes;
    meta_data->nonmeta = cls;
    cls->data = (uintptr_t)data;
    meta->data = (uintptr_t)meta_data;
    cls->flags = inherited_flags(super, false) | CLASS_REALIZED | CLASS_UNDER_CONSTRUCTION;
    abx_objc_link_subclass(cls);
    meta->flags = inherited_flags(meta->superclass, true) | CLASS_REALIZED;
    abx_objc_link_subclass(meta);
    class_unlock();
    return (Class)cls;
}

void objc_registerClassPair(Class registered)
{
    abx_class cls = (abx_class)registered;
    class_lock();
    if (class_flags(cls) & CLASS_UNDER_CONSTRUCTION) {
        __atomic_and_fetch(&cls->flags, ~(uintptr_t)CLASS_UNDER_CONSTRUCTION, __ATOMIC_RELEASE);
        abx_objc_register_class(cls);
    }
    class_unlock();
}

static void unlink_subclass(abx_class cls)
{
    if (!cls->superclass)
        return;
    abx_class *p = &class_data(cls->superclass)->first_subclass;
    while (*p && *p != cls)
        p = &class_data(*p)->next_sibling;
    if (*p)
        *p = class_data(cls)->next_sibling;
}

/* The memory stays: a lock-free reader may still be looking at it. The name becomes free. */
void objc_disposeClassPair(Class disposed)
{
    abx_class cls = (abx_class)disposed;
    class_lock();
    if (!(class_flags(cls) & CLASS_UNDER_CONSTRUCTION))
        unregister_class(cls);
    unlink_subclass(cls);
    unlink_subclass(cls->isa);
    class_unlock();
}

/* ---- listing */

static int fill_class_list(Class *buffer, int capacity)
{
    int count = 0;
    for (size_t h = 0; h < ABX_ARRAY_SIZE(registry); h++) {
        for (struct class_node *n = registry[h]; n; n = n->next, count++) {
            if (count >= capacity)
                continue;
            abx_objc_realize(n->cls);
            buffer[count] = (Class)n->cls;
        }
    }
    return count;
}

int objc_getClassList(Class *buffer, int capacity)
{
    class_lock();
    int count = fill_class_list(buffer, buffer ? capacity : 0);
    class_unlock();
    return count;
}

Class *objc_copyClassList(unsigned int *ret_count)
{
    class_lock();
    Class *list = calloc((size_t)registry_count + 1, sizeof(*list));
    int count = list ? fill_class_list(list, registry_count) : 0;
    class_unlock();
    if (ret_count)
        *ret_count = (unsigned)count;
    return list;
}

static Class look_up(const char *name)
{
    if (!name)
        return NULL;
    class_lock();
    abx_class cls = abx_objc_find_class(name);
    abx_objc_realize(cls);
    class_unlock();
    return (Class)cls;
}

Class objc_lookUpClass(const char *name)
{
    return look_up(name);
}

Class objc_getClass(const char *name)
{
    return look_up(name);
}

Class objc_getRequiredClass(const char *name)
{
    Class cls = look_up(name);
    if (!cls)
        abx_objc_fatal("link error: class '%s' not found", name);
    return cls;
}

Class objc_getMetaClass(const char *name)
{
    Class cls = look_up(name);
    return cls ? (Class)((abx_class)cls)->isa : NULL;
}

Class objc_getFutureClass(const char *name);
OBJC_EXPORT Class objc_getFutureClass(const char *name)
{
    return look_up(name);
}

/* ---- instance variables */

ptrdiff_t ivar_getOffset(Ivar ivar)
{
    return ivar ? get_ivar_offset(ivar) : 0;
}

const char *ivar_getName(Ivar ivar)
{
    return ivar ? ivar->name : NULL;
}

const char *ivar_getTypeEncoding(Ivar ivar)
{
    return ivar ? ivar->type : NULL;
}

BOOL class_addIvar(Class added, const char *name, size_t size, uint8_t alignment, const char *types)
{
    abx_class cls = (abx_class)added;
    if (!cls || !name || alignment > 15 || size > UINT32_MAX)
        return NO;
    class_lock();
    if (!(class_flags(cls) & CLASS_UNDER_CONSTRUCTION) || class_has(cls, CLASS_META)) {
        class_unlock();
        return NO;
    }
    struct class_data *data = class_data(cls);
    struct {
        struct ivar_list list;
        struct objc_ivar ivar;
        long offset;
    } *one = calloc(1, sizeof(*one));
    if (!one)
        abx_objc_fatal("out of memory for class %s", data->name);
    size_t at = abx_align_up(data->instance_size, (uint64_t)1 << alignment);
    one->ivar = (struct objc_ivar){
            &one->offset, strdup(name), strdup(types ? types : ""), alignment, (uint32_t)size};
    set_ivar_offset(&one->ivar, (long)at);
    one->list.count = 1;
    one->list.ivars = &one->ivar;
    one->list.next = data->ivars;
    data->ivars = &one->list;
    data->instance_size = at + size;
    class_unlock();
    return YES;
}

static Ivar find_ivar(abx_class cls, const char *name)
{
    for (; cls; cls = cls->superclass)
        for (struct ivar_list *list = class_data(cls)->ivars; list; list = list->next)
            for (uint32_t i = 0; i < list->count; i++)
                if (list->ivars[i].name && strcmp(list->ivars[i].name, name) == 0)
                    return &list->ivars[i];
    return NULL;
}

Ivar class_getInstanceVariable(Class cls, const char *name)
{
    if (!cls || !name)
        return NULL;
    class_lock();
    abx_objc_realize((abx_class)cls);
    Ivar ivar = find_ivar((abx_class)cls, name);
    class_unlock();
    return ivar;
}

Ivar class_getClassVariable(Class cls, const char *name)
{
    return cls ? class_getInstanceVariable((Class)((abx_class)cls)->isa, name) : NULL;
}

Ivar *class_copyIvarList(Class cls, unsigned int *ret_count)
{
    unsigned count = 0;
    Ivar *result = NULL;
    if (cls) {
        class_lock();
        abx_objc_realize((abx_class)cls);
        struct ivar_list *lists = class_data((abx_class)cls)->ivars;
        for (struct ivar_list *list = lists; list; list = list->next)
            count += list->count;
        result = count ? calloc(count + 1, sizeof(*result)) : NULL;
        /* added ones are newest first; the caller gets them in order */
        unsigned at = count;
        for (struct ivar_list *list = lists; result && list; list = list->next)
            for (uint32_t i = list->count; i-- > 0;)
                result[--at] = &list->ivars[i];
        class_unlock();
    }
    if (ret_count)
        *ret_count = result ? count : 0;
    return result;
}
