/* objc: what synthesised accessors call, properties' introspection, and @synchronized.
 * Runs in the guest's process; trusts it. */
#include "objc/objc_private.h"

/* ---- accessors. Atomic ones hold the stripe of the variable's address. */

static pthread_mutex_t *property_lock(const void *address)
{
    return &abx_objc_stripes[STRIPE_PROPERTY][stripe_of(address)];
}

OBJC_EXPORT id objc_getProperty(id self, SEL cmd, ptrdiff_t offset, BOOL atomic);
id objc_getProperty(id self, SEL cmd, ptrdiff_t offset, BOOL atomic)
{
    if (!offset)
        return (id)object_getClass(self);
    id *slot = (id *)((char *)self + offset);
    if (!atomic)
        return *slot;
    pthread_mutex_lock(property_lock(slot));
    id value = objc_retain(*slot);
    pthread_mutex_unlock(property_lock(slot));
    return objc_autorelease(value);
}

static void set_property(id self, ptrdiff_t offset, id value, bool atomic, SEL copy)
{
    id *slot = (id *)((char *)self + offset);
    if (copy)
        value = ((id(*)(id, SEL))(uintptr_t)abx_objc_msg_send)(value, copy);
    else if (*slot == value)
        return;
    else
        objc_retain(value);
    if (atomic)
        pthread_mutex_lock(property_lock(slot));
    id old = *slot;
    *slot = value;
    if (atomic)
        pthread_mutex_unlock(property_lock(slot));
    objc_release(old);
}

OBJC_EXPORT void objc_setProperty(
        id self, SEL cmd, ptrdiff_t offset, id value, BOOL atomic, signed char copy);
void objc_setProperty(id self, SEL cmd, ptrdiff_t offset, id value, BOOL atomic, signed char copy)
{
    enum { MUTABLE_COPY = 2 };
    SEL how = copy == MUTABLE_COPY ? abx_objc_sels.mutable_copy : copy ? abx_objc_sels.copy : NULL;
    set_property(self, offset, value, atomic, how);
}

OBJC_EXPORT void objc_setProperty_atomic(id self, SEL cmd, id value, ptrdiff_t offset);
void objc_setProperty_atomic(id self, SEL cmd, id value, ptrdiff_t offset)
{
    set_property(self, offset, value, true, NULL);
}

OBJC_EXPORT void objc_setProperty_nonatomic(id self, SEL cmd, id value, ptrdiff_t offset);
void objc_setProperty_nonatomic(id self, SEL cmd, id value, ptrdiff_t offset)
{
    set_property(self, offset, value, false, NULL);
}

OBJC_EXPORT void objc_setProperty_atomic_copy(id self, SEL cmd, id value, ptrdiff_t offset);
void objc_setProperty_atomic_copy(id self, SEL cmd, id value, ptrdiff_t offset)
{
    set_property(self, offset, value, true, abx_objc_sels.copy);
}

OBJC_EXPORT void objc_setProperty_nonatomic_copy(id self, SEL cmd, id value, ptrdiff_t offset);
void objc_setProperty_nonatomic_copy(id self, SEL cmd, id value, ptrdiff_t offset)
{
    set_property(self, offset, value, false, abx_objc_sels.copy);
}

/* Two locks in a fixed order: either side may be the property. */
static void lock_pair(const void *a, const void *b, bool lock)
{
    unsigned first = stripe_of(a), second = stripe_of(b);
    if (first > second) {
        unsigned swap = first;
        first = second;
        second = swap;
    }
    int (*operation)(pthread_mutex_t *) = lock ? pthread_mutex_lock : pthread_mutex_unlock;
    operation(&abx_objc_stripes[STRIPE_PROPERTY][first]);
    if (second != first)
        operation(&abx_objc_stripes[STRIPE_PROPERTY][second]);
}

OBJC_EXPORT void objc_copyStruct(
        void *to, const void *from, ptrdiff_t size, BOOL atomic, BOOL has_strong);
void objc_copyStruct(void *to, const void *from, ptrdiff_t size, BOOL atomic, BOOL has_strong)
{
    if (atomic)
        lock_pair(to, from, true);
    memmove(to, from, (size_t)size);
    if (atomic)
        lock_pair(to, from, false);
}

OBJC_EXPORT void objc_getPropertyStruct(
        void *to, const void *from, ptrdiff_t size, BOOL atomic, BOOL has_strong);
void objc_getPropertyStruct(
        void *to, const void *from, ptrdiff_t size, BOOL atomic, BOOL has_strong)
{
    objc_copyStruct(to, from, size, atomic, has_strong);
}

OBJC_EXPORT void objc_setPropertyStruct(
        void *to, const void *from, ptrdiff_t size, BOOL atomic, BOOL has_strong);
void objc_setPropertyStruct(
        void *to, const void *from, ptrdiff_t size, BOOL atomic, BOOL has_strong)
{
    objc_copyStruct(to, from, size, atomic, has_strong);
}

OBJC_EXPORT void objc_copyCppObjectAtomic(
        void *to, const void *from, void (*copy)(void *, const void *));
void objc_copyCppObjectAtomic(void *to, const void *from, void (*copy)(void *, const void *))
{
    lock_pair(to, from, true);
    copy(to, from);
    lock_pair(to, from, false);
}

/* ---- @synchronized: a recursive mutex for each object that is locked or waited for */

struct sync_node {
    struct sync_node *next;
    id object;
    unsigned users; /* threads inside or waiting; 0: free for another object */
    pthread_mutex_t mutex;
};
static struct sync_node *sync_nodes[STRIPES];

static struct sync_node *find_sync_node(id object, bool make)
{
    struct sync_node *spare = NULL;
    for (struct sync_node *n = sync_nodes[stripe_of(object)]; n; n = n->next) {
        if (n->users && n->object == object)
            return n;
        if (!n->users)
            spare = n;
    }
    if (!make)
        return NULL;
    if (!spare) {
        spare = calloc(1, sizeof(*spare));
        if (!spare)
            abx_objc_fatal("out of memory for @synchronized");
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
        pthread_mutex_init(&spare->mutex, &attributes);
        pthread_mutexattr_destroy(&attributes);
        spare->next = sync_nodes[stripe_of(object)];
        sync_nodes[stripe_of(object)] = spare;
    }
    spare->object = object;
    return spare;
}

OBJC_EXPORT int objc_sync_enter(id object);
int objc_sync_enter(id object)
{
    if (!object)
        return 0;
    pthread_mutex_t *lock = &abx_objc_stripes[STRIPE_SYNC][stripe_of(object)];
    pthread_mutex_lock(lock);
    struct sync_node *node = find_sync_node(object, true);
    node->users++;
    pthread_mutex_unlock(lock);
    pthread_mutex_lock(&node->mutex);
    return 0;
}

OBJC_EXPORT int objc_sync_exit(id object);
int objc_sync_exit(id object)
{
    enum { NOT_OWNING_THREAD = -1 };
    if (!object)
        return 0;
    pthread_mutex_t *lock = &abx_objc_stripes[STRIPE_SYNC][stripe_of(object)];
    pthread_mutex_lock(lock);
    struct sync_node *node = find_sync_node(object, false);
    int result = NOT_OWNING_THREAD;
    if (node && pthread_mutex_unlock(&node->mutex) == 0) {
        node->users--;
        result = 0;
    }
    pthread_mutex_unlock(lock);
    return result;
}

/* ---- fast enumeration */

static void (*mutation_handler)(id);

void objc_setEnumerationMutationHandler(void (*handler)(id))
{
    mutation_handler = handler;
}

void objc_enumerationMutation(id object)
{
    if (mutation_handler)
        mutation_handler(object);
    abx_objc_fatal("mutation during enumeration of %p", (void *)object);
}

/* ---- introspection */

const char *property_getName(objc_property_t property)
{
    return property ? property->name : NULL;
}

const char *property_getAttributes(objc_property_t property)
{
    return property ? property->attributes : NULL;
}

/* Attributes look like T@"NSString",C,N,V_name. Where the one at `text` ends. */
static const char *attribute_end(const char *text)
{
    for (bool quoted = false; *text && (quoted || *text != ','); text++)
        if (*text == '"')
            quoted = !quoted;
    return text;
}

char *property_copyAttributeValue(objc_property_t property, const char *name)
{
    if (!property || !name || !*name)
        return NULL;
    for (const char *p = property->attributes; p && *p;) {
        const char *end = attribute_end(p);
        if (*p == *name)
            return strndup(p + 1, (size_t)(end - p) - 1);
        p = *end ? end + 1 : end;
    }
    return NULL;
}

/* One block: the list, then the strings that it points to. */
objc_property_attribute_t *property_copyAttributeList(
        objc_property_t property, unsigned int *ret_count)
{
    const char *all = property && property->attributes ? property->attributes : "";
    unsigned most = 1, count = 0;
    for (const char *p = all; *p; p++)
        most += *p == ',';
    objc_property_attribute_t *list =
            calloc(1, (most + 1) * sizeof(*list) + 2 * strlen(all) + 2 * most);
    if (!list)
        abx_objc_fatal("out of memory for properties");
    char *text = (char *)(list + most + 1);
    for (const char *p = all; *p;) {
        const char *end = attribute_end(p);
        list[count].name = text;
        *text = *p;
        text += 2;
        list[count++].value = text;
        if (end > p)
            memcpy(text, p + 1, (size_t)(end - p) - 1);
        text += end - p;
        p = *end ? end + 1 : end;
    }
    if (ret_count)
        *ret_count = count;
    if (count)
        return list;
    free(list);
    return NULL;
}

void abx_objc_attach_properties(abx_class cls, struct compiled_property_list *compiled)
{
    if (!compiled || !compiled->count)
        return;
    struct property_list *list = calloc(1, sizeof(*list));
    if (!list)
        abx_objc_fatal("out of memory for properties");
    list->count = compiled->count;
    list->properties = compiled->properties;
    list->next = class_data(cls)->properties;
    class_data(cls)->properties = list;
}

objc_property_t class_getProperty(Class cls, const char *name)
{
    objc_property_t found = NULL;
    if (!cls || !name)
        return NULL;
    class_lock();
    abx_objc_realize((abx_class)cls);
    for (abx_class c = (abx_class)cls; c && !found; c = c->superclass)
        for (struct property_list *l = class_data(c)->properties; l && !found; l = l->next)
            for (uint32_t i = 0; i < l->count && !found; i++)
                if (strcmp(l->properties[i].name, name) == 0)
                    found = (objc_property_t)&l->properties[i];
    class_unlock();
    return found;
}

objc_property_t *class_copyPropertyList(Class cls, unsigned int *ret_count)
{
    unsigned count = 0;
    objc_property_t *result = NULL;
    if (cls) {
        class_lock();
        abx_objc_realize((abx_class)cls);
        struct property_list *lists = class_data((abx_class)cls)->properties;
        for (struct property_list *l = lists; l; l = l->next)
            count += l->count;
        result = count ? calloc(count + 1, sizeof(*result)) : NULL;
        unsigned at = 0;
        for (struct property_list *l = lists; result && l; l = l->next)
            for (uint32_t i = 0; i < l->count; i++)
                result[at++] = (objc_property_t)&l->properties[i];
        class_unlock();
    }
    if (ret_count)
        *ret_count = result ? count : 0;
    return result;
}

/* From malloc, for ever. */
static char *attributes_text(const objc_property_attribute_t *attributes, unsigned count)
{
    struct abx_string text = {0};
    for (unsigned i = 0; i < count; i++) {
        abx_string_add(&text, i ? "," : "", i ? 1 : 0);
        abx_string_add(&text, attributes[i].name, strlen(attributes[i].name));
        abx_string_add(&text, attributes[i].value, strlen(attributes[i].value));
    }
    if (text.failed)
        abx_objc_fatal("out of memory for properties");
    return text.data ? text.data : strdup("");
}

BOOL class_addProperty(Class cls, const char *name, const objc_property_attribute_t *attributes,
        unsigned int count)
{
    if (!cls || !name || class_getProperty(cls, name))
        return NO;
    struct {
        struct compiled_property_list list;
        struct objc_property property;
    } *one = calloc(1, sizeof(*one));
    if (!one)
        abx_objc_fatal("out of memory for properties");
    one->list.entry_size = sizeof(one->property);
    one->list.count = 1;
    one->property.name = strdup(name);
    one->property.attributes = attributes_text(attributes, count);
    class_lock();
    abx_objc_attach_properties((abx_class)cls, &one->list);
    class_unlock();
    return YES;
}

void class_replaceProperty(Class cls, const char *name, const objc_property_attribute_t *attributes,
        unsigned int count)
{
    if (class_addProperty(cls, name, attributes, count) || !cls || !name)
        return;
    objc_property_t property = class_getProperty(cls, name);
    char *text = attributes_text(attributes, count); /* who has the old one may keep it */
    class_lock();
    ((struct objc_property *)property)->attributes = text;
    class_unlock();
}

/* ---- protocols' */

/* Required and optional ones are in one list, as the compiler has them. */
void protocol_addProperty(Protocol *object, const char *name,
        const objc_property_attribute_t *attributes, unsigned int count, BOOL required,
        BOOL instance)
{
    if (!object || !name)
        return;
    struct protocol *protocol = (struct protocol *)object;
    struct compiled_property_list **slot =
            instance ? &protocol->properties : &protocol->class_properties;
    class_lock();
    uint32_t before = *slot ? (*slot)->count : 0;
    struct compiled_property_list *list =
            calloc(1, sizeof(*list) + (before + 1) * sizeof(struct objc_property));
    if (!list)
        abx_objc_fatal("out of memory for properties");
    if (before)
        memcpy(list->properties, (*slot)->properties, before * sizeof(struct objc_property));
    list->entry_size = sizeof(struct objc_property);
    list->count = before + 1;
    list->properties[before].name = strdup(name);
    list->properties[before].attributes = attributes_text(attributes, count);
    *slot = list;
    class_unlock();
}

objc_property_t protocol_getProperty(
        Protocol *object, const char *name, BOOL required, BOOL instance)
{
    struct protocol *protocol = (struct protocol *)object;
    objc_property_t found = NULL;
    if (!object || !name)
        return NULL;
    class_lock();
    struct compiled_property_list *list =
            instance ? protocol->properties : protocol->class_properties;
    for (uint32_t i = 0; list && i < list->count && !found; i++)
        if (!strcmp(list->properties[i].name, name))
            found = &list->properties[i];
    class_unlock();
    return found;
}
