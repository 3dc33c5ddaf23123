/* objc: protocols, and the classes' conformance to them. Protocols are the same when their names
 * are: each image has its own copy, and C modules make them on the fly. Guest's process; trusts it.
 */
#include "objc/objc_private.h"

/* Under the class lock. */
static struct protocol **protocols;
static uint32_t protocol_count, protocol_capacity;

struct protocol *abx_objc_find_protocol(const char *name)
{
    for (size_t i = 0; i < protocol_count; i++)
        if (strcmp(protocols[i]->name, name) == 0)
            return protocols[i];
    return NULL;
}

static void add(struct protocol *protocol)
{
    if (!abx_grow((void **)&protocols, &protocol_capacity, protocol_count, sizeof(*protocols),
                UINT32_MAX))
        abx_objc_fatal("out of memory for protocols");
    protocols[protocol_count++] = protocol;
}

static struct protocol *make(const char *name)
{
    struct protocol *protocol = calloc(1, sizeof(*protocol));
    if (!protocol)
        abx_objc_fatal("out of memory for protocol %s", name);
    protocol->isa = &abx_class_Protocol;
    protocol->name = strdup(name);
    protocol->size = sizeof(*protocol);
    return protocol;
}

struct protocol *abx_objc_intern_protocol(const char *name)
{
    struct protocol *protocol = abx_objc_find_protocol(name);
    if (!protocol) {
        protocol = make(name);
        add(protocol);
    }
    return protocol;
}

/* The first copy stands for all; what it does not know yet it takes from later ones. */
struct protocol *abx_objc_register_compiled_protocol(struct protocol *compiled)
{
    struct protocol *known = abx_objc_find_protocol(compiled->name);
    if (known == compiled)
        return known;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(compiled->methods); i++) {
        uint32_t count;
        abx_objc_fix_compiled_methods(compiled->methods[i], &count);
    }
    if (!known) {
        compiled->isa = &abx_class_Protocol;
        add(compiled);
        return compiled;
    }
    if (!known->protocols)
        known->protocols = compiled->protocols;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(compiled->methods); i++)
        if (!known->methods[i])
            known->methods[i] = compiled->methods[i];
    if (!known->properties)
        known->properties = compiled->properties;
    return known;
}

static void add_parent(struct protocol *protocol, struct protocol *parent)
{
    uintptr_t count = protocol->protocols ? protocol->protocols->count : 0;
    for (uintptr_t i = 0; i < count; i++)
        if (strcmp(protocol->protocols->list[i]->name, parent->name) == 0)
            return;
    struct compiled_protocol_list *list = calloc(1, sizeof(*list) + (count + 1) * sizeof(parent));
    if (!list)
        abx_objc_fatal("out of memory for protocol %s", protocol->name);
    if (count)
        memcpy(list->list, protocol->protocols->list, count * sizeof(parent));
    list->list[count] = parent;
    list->count = count + 1;
    protocol->protocols = list; /* the old one may be static: it is left */
}

void abx_objc_define_protocol(const char *name, const char *const *parents)
{
    static const char *const only_nsobject[] = {"NSObject", NULL};
    class_lock();
    struct protocol *protocol = abx_objc_intern_protocol(name);
    for (const char *const *p = parents ? parents : only_nsobject; *p; p++)
        add_parent(protocol, abx_objc_intern_protocol(*p));
    class_unlock();
}

static bool conforms(struct protocol *protocol, const char *name)
{
    if (strcmp(protocol->name, name) == 0)
        return true;
    struct protocol *known = abx_objc_find_protocol(protocol->name);
    struct compiled_protocol_list *parents = (known ? known : protocol)->protocols;
    for (uintptr_t i = 0; parents && i < parents->count; i++)
        if (conforms(parents->list[i], name))
            return true;
    return false;
}

void abx_objc_attach_protocol(abx_class cls, struct protocol *protocol)
{
    struct class_data *data = class_data(cls);
    data->protocols =
            realloc(data->protocols, (data->protocol_count + 1) * sizeof(*data->protocols));
    if (!data->protocols)
        abx_objc_fatal("out of memory for protocols");
    data->protocols[data->protocol_count++] = protocol;
}

void abx_objc_attach_protocols(abx_class cls, struct compiled_protocol_list *list)
{
    for (uintptr_t i = 0; list && i < list->count; i++)
        abx_objc_attach_protocol(cls, abx_objc_register_compiled_protocol(list->list[i]));
}

/* ---- the public functions */

static struct protocol *inner(Protocol *protocol)
{
    return (struct protocol *)protocol;
}

Protocol *objc_getProtocol(const char *name)
{
    if (!name)
        return NULL;
    class_lock();
    struct protocol *protocol = abx_objc_find_protocol(name);
    class_unlock();
    return (Protocol *)protocol;
}

Protocol *objc_allocateProtocol(const char *name)
{
    return objc_getProtocol(name) ? NULL : (Protocol *)make(name);
}

void objc_registerProtocol(Protocol *protocol)
{
    class_lock();
    if (!abx_objc_find_protocol(inner(protocol)->name))
        add(inner(protocol));
    class_unlock();
}

void protocol_addProtocol(Protocol *protocol, Protocol *addition)
{
    if (!protocol || !addition)
        return;
    class_lock();
    add_parent(inner(protocol), inner(addition));
    class_unlock();
}

const char *protocol_getName(Protocol *protocol)
{
    return protocol ? inner(protocol)->name : "nil";
}

BOOL protocol_isEqual(Protocol *a, Protocol *b)
{
    return a == b || (a && b && strcmp(inner(a)->name, inner(b)->name) == 0);
}

BOOL protocol_conformsToProtocol(Protocol *protocol, Protocol *other)
{
    if (!protocol || !other)
        return NO;
    class_lock();
    bool result = conforms(inner(protocol), inner(other)->name);
    class_unlock();
    return result;
}

BOOL class_conformsToProtocol(Class cls, Protocol *protocol)
{
    if (!cls || !protocol)
        return NO;
    class_lock();
    abx_class c = (abx_class)cls;
    abx_objc_realize(c);
    bool result = false;
    for (size_t i = 0; !result && i < class_data(c)->protocol_count; i++)
        result = conforms(class_data(c)->protocols[i], inner(protocol)->name);
    class_unlock();
    return result;
}

BOOL class_addProtocol(Class cls, Protocol *protocol)
{
    if (!cls || !protocol || class_conformsToProtocol(cls, protocol))
        return NO;
    class_lock();
    abx_objc_attach_protocol((abx_class)cls, inner(protocol));
    class_unlock();
    return YES;
}

Protocol **class_copyProtocolList(Class cls, unsigned int *ret_count)
{
    unsigned count = 0;
    Protocol **result = NULL;
    if (cls) {
        class_lock();
        abx_objc_realize((abx_class)cls);
        struct class_data *data = class_data((abx_class)cls);
        count = (unsigned)data->protocol_count;
        result = count ? calloc(count + 1, sizeof(*result)) : NULL;
        if (result)
            memcpy(result, data->protocols, count * sizeof(*result));
        class_unlock();
    }
    if (ret_count)
        *ret_count = result ? count : 0;
    return result;
}

Protocol **protocol_copyProtocolList(Protocol *protocol, unsigned int *ret_count)
{
    class_lock();
    struct compiled_protocol_list *parents = protocol ? inner(protocol)->protocols : NULL;
    unsigned count = parents ? (unsigned)parents->count : 0;
    Protocol **result = count ? calloc(count + 1, sizeof(*result)) : NULL;
    if (result)
        memcpy(result, parents->list, count * sizeof(*result));
    class_unlock();
    if (ret_count)
        *ret_count = result ? count : 0;
    return result;
}

Protocol **objc_copyProtocolList(unsigned int *ret_count)
{
    class_lock();
    unsigned count = (unsigned)protocol_count;
    Protocol **result = calloc(count + 1, sizeof(*result));
    if (result)
        memcpy(result, protocols, count * sizeof(*result));
    class_unlock();
    if (ret_count)
        *ret_count = result ? count : 0;
    return result;
}

/* ---- what a protocol asks for */

static unsigned list_index(bool required, bool instance)
{
    return (required ? 0 : 2) + (instance ? 0 : 1);
}

static struct objc_method *find_description(struct protocol *protocol, unsigned index, SEL selector)
{
    struct compiled_method_list *list = protocol->methods[index];
    for (uint32_t i = 0; list && i < list->count; i++)
        if (list->methods[i].name == selector)
            return &list->methods[i];
    struct compiled_protocol_list *parents = protocol->protocols;
    for (uintptr_t i = 0; parents && i < parents->count; i++) {
        struct protocol *parent = abx_objc_register_compiled_protocol(parents->list[i]);
        struct objc_method *found = find_description(parent, index, selector);
        if (found)
            return found;
    }
    return NULL;
}

struct objc_method_description protocol_getMethodDescription(
        Protocol *protocol, SEL selector, BOOL required, BOOL instance)
{
    struct objc_method_description result = {NULL, NULL};
    if (!protocol)
        return result;
    class_lock();
    struct objc_method *found =
            find_description(inner(protocol), list_index(required, instance), selector);
    if (found)
        result = (struct objc_method_description){found->name, (char *)found->types};
    class_unlock();
    return result;
}

struct objc_method_description *protocol_copyMethodDescriptionList(
        Protocol *protocol, BOOL required, BOOL instance, unsigned int *ret_count)
{
    class_lock();
    struct compiled_method_list *list =
            protocol ? inner(protocol)->methods[list_index(required, instance)] : NULL;
    unsigned count = list ? list->count : 0;
    struct objc_method_description *result = count ? calloc(count + 1, sizeof(*result)) : NULL;
    for (unsigned i = 0; result && i < count; i++)
        result[i] = (struct objc_method_description){
                list->methods[i].name, (char *)list->methods[i].types};
    class_unlock();
    if (ret_count)
        *ret_count = result ? count : 0;
    return result;
}

void protocol_addMethodDescription(
        Protocol *protocol, SEL name, const char *types, BOOL required, BOOL instance)
{
    if (!protocol)
        return;
    class_lock();
    struct compiled_method_list **slot = &inner(protocol)->methods[list_index(required, instance)];
    uint32_t count = *slot ? (*slot)->count : 0;
    struct compiled_method_list *list =
            calloc(1, sizeof(*list) + (count + 1) * sizeof(struct objc_method));
    if (!list)
        abx_objc_fatal("out of memory for protocols");
    if (count)
        memcpy(list->methods, (*slot)->methods, count * sizeof(struct objc_method));
    list->entry_size_and_flags = sizeof(struct objc_method) | 1;
    list->count = count + 1;
    list->methods[count] = (struct objc_method){name, types ? strdup(types) : NULL, NULL};
    *slot = list;
    class_unlock();
}

objc_property_t *protocol_copyPropertyList(Protocol *protocol, unsigned int *ret_count)
{
    class_lock();
    struct compiled_property_list *list = protocol ? inner(protocol)->properties : NULL;
    unsigned count = list ? list->count : 0;
    objc_property_t *result = count ? calloc(count + 1, sizeof(*result)) : NULL;
    for (unsigned i = 0; result && i < count; i++)
        result[i] = &list->properties[i];
    class_unlock();
    if (ret_count)
        *ret_count = result ? count : 0;
    return result;
}
