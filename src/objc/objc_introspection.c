/* objc: the class_, method_ and object_ functions that look at classes and change their methods.
 * Runs in the guest's process; trusts it. */
#include "objc/objc_private.h"

#include <dlfcn.h>

/* ---- objects */

Class object_getClass(id object)
{
    return object ? object->isa : Nil;
}

Class object_setClass(id object, Class cls)
{
    if (!object)
        return Nil;
    Class old = object->isa;
    class_getInstanceSize(cls); /* realizes it */
    __atomic_store_n(&object->isa, cls, __ATOMIC_RELEASE);
    return old;
}

BOOL object_isClass(id object)
{
    return object && class_isMetaClass(object->isa);
}

const char *object_getClassName(id object)
{
    return object ? class_getName(object->isa) : "nil";
}

static id *ivar_slot(id object, Ivar ivar)
{
    return (id *)((char *)object + ivar_getOffset(ivar));
}

id object_getIvar(id object, Ivar ivar)
{
    return object && ivar ? *ivar_slot(object, ivar) : nil;
}

void object_setIvar(id object, Ivar ivar, id value)
{
    if (object && ivar)
        *ivar_slot(object, ivar) = value;
}

void object_setIvarWithStrongDefault(id object, Ivar ivar, id value)
{
    if (object && ivar)
        objc_storeStrong(ivar_slot(object, ivar), value);
}

Ivar object_getInstanceVariable(id object, const char *name, void **ret_value)
{
    Ivar ivar = object ? class_getInstanceVariable(object->isa, name) : NULL;
    if (ret_value)
        *ret_value = ivar ? (void *)*ivar_slot(object, ivar) : NULL;
    return ivar;
}

Ivar object_setInstanceVariable(id object, const char *name, void *value)
{
    Ivar ivar = object ? class_getInstanceVariable(object->isa, name) : NULL;
    if (ivar)
        *ivar_slot(object, ivar) = (id)value;
    return ivar;
}

Ivar object_setInstanceVariableWithStrongDefault(id object, const char *name, void *value)
{
    Ivar ivar = object ? class_getInstanceVariable(object->isa, name) : NULL;
    if (ivar)
        object_setIvarWithStrongDefault(object, ivar, value);
    return ivar;
}

/* ---- classes */

static void realize(Class cls)
{
    if (class_has((abx_class)cls, CLASS_REALIZED))
        return;
    class_lock();
    abx_objc_realize((abx_class)cls);
    class_unlock();
}

const char *class_getName(Class cls)
{
    if (!cls)
        return "nil";
    realize(cls);
    return class_data((abx_class)cls)->name;
}

BOOL class_isMetaClass(Class cls)
{
    if (!cls)
        return NO;
    realize(cls);
    return class_has((abx_class)cls, CLASS_META);
}

Class class_getSuperclass(Class cls)
{
    return cls ? (Class)((abx_class)cls)->superclass : Nil;
}

size_t class_getInstanceSize(Class cls)
{
    if (!cls)
        return 0;
    realize(cls);
    return abx_align_up(class_data((abx_class)cls)->instance_size, 8);
}

int class_getVersion(Class cls)
{
    if (!cls)
        return 0;
    realize(cls);
    return class_data((abx_class)cls)->version;
}

void class_setVersion(Class cls, int version)
{
    if (!cls)
        return;
    realize(cls);
    class_data((abx_class)cls)->version = version;
}

const uint8_t *class_getIvarLayout(Class cls)
{
    if (!cls)
        return NULL;
    realize(cls);
    return class_data((abx_class)cls)->ivar_layout;
}

const uint8_t *class_getWeakIvarLayout(Class cls)
{
    if (!cls)
        return NULL;
    realize(cls);
    return class_data((abx_class)cls)->weak_ivar_layout;
}

/* Of classes that are being made: there nobody has the old one. */
static void keep_layout(const uint8_t **slot, const uint8_t *layout)
{
    free((void *)(uintptr_t)*slot);
    *slot = layout ? (const uint8_t *)strdup((const char *)layout) : NULL;
}

void class_setIvarLayout(Class cls, const uint8_t *layout)
{
    if (cls && class_has((abx_class)cls, CLASS_UNDER_CONSTRUCTION))
        keep_layout(&class_data((abx_class)cls)->ivar_layout, layout);
}

void class_setWeakIvarLayout(Class cls, const uint8_t *layout)
{
    if (cls && class_has((abx_class)cls, CLASS_UNDER_CONSTRUCTION))
        keep_layout(&class_data((abx_class)cls)->weak_ivar_layout, layout);
}

const char *class_getImageName(Class cls)
{
    Dl_info info;
    return cls && dladdr((void *)cls, &info) ? info.dli_fname : NULL;
}

Method class_getInstanceMethod(Class cls, SEL selector)
{
    if (!cls || !selector)
        return NULL;
    class_lock();
    abx_objc_realize((abx_class)cls);
    struct objc_method *method = abx_objc_find_method((abx_class)cls, selector);
    class_unlock();
    return method;
}

Method class_getClassMethod(Class cls, SEL selector)
{
    return cls ? class_getInstanceMethod((Class)((abx_class)cls)->isa, selector) : NULL;
}

Method *class_copyMethodList(Class cls, unsigned int *ret_count)
{
    unsigned count = 0;
    Method *result = NULL;
    if (cls) {
        class_lock();
        abx_objc_realize((abx_class)cls);
        struct method_list *lists = class_data((abx_class)cls)->methods;
        for (struct method_list *l = lists; l; l = l->next)
            count += l->count;
        result = count ? calloc(count + 1, sizeof(*result)) : NULL;
        unsigned at = 0;
        for (struct method_list *l = lists; result && l; l = l->next)
            for (uint32_t i = 0; i < l->count; i++)
                result[at++] = &l->methods[i];
        class_unlock();
    }
    if (ret_count)
        *ret_count = result ? count : 0;
    return result;
}

BOOL class_addMethod(Class cls, SEL selector, IMP function, const char *types)
{
    if (!cls || !selector || !function)
        return NO;
    class_lock();
    abx_objc_realize((abx_class)cls);
    bool absent = !abx_objc_find_own_method((abx_class)cls, selector);
    if (absent)
        abx_objc_add_method((abx_class)cls, selector, function, types);
    class_unlock();
    return absent;
}

IMP class_replaceMethod(Class cls, SEL selector, IMP function, const char *types)
{
    if (!cls || !selector || !function)
        return NULL;
    IMP old = NULL;
    class_lock();
    abx_objc_realize((abx_class)cls);
    struct objc_method *method = abx_objc_find_own_method((abx_class)cls, selector);
    if (method) {
        old = method->imp;
        method->imp = function;
        abx_objc_method_changed((abx_class)cls, selector);
    } else {
        abx_objc_add_method((abx_class)cls, selector, function, types);
    }
    class_unlock();
    return old;
}

/* ---- methods */

SEL method_getName(Method method)
{
    return method ? method->name : NULL;
}

IMP method_getImplementation(Method method)
{
    return method ? __atomic_load_n(&method->imp, __ATOMIC_RELAXED) : NULL;
}

const char *method_getTypeEncoding(Method method)
{
    if (!method)
        return NULL;
    class_lock();
    const char *types = abx_objc_types_with_offsets(method->types);
    method->types = types;
    class_unlock();
    return types;
}

/* Which class's caches to correct is not known from a method alone: all that cached it. */
static void method_changed_everywhere(SEL selector)
{
    unsigned count;
    Class *classes = objc_copyClassList(&count);
    class_lock();
    for (unsigned i = 0; i < count; i++)
        if (!((abx_class)classes[i])->superclass) {
            abx_objc_method_changed((abx_class)classes[i], selector);
            abx_objc_method_changed(((abx_class)classes[i])->isa, selector);
        }
    class_unlock();
    free(classes);
}

IMP method_setImplementation(Method method, IMP function)
{
    if (!method || !function)
        return NULL;
    class_lock();
    IMP old = method->imp;
    __atomic_store_n(&method->imp, function, __ATOMIC_RELEASE);
    class_unlock();
    method_changed_everywhere(method->name);
    return old;
}

void method_exchangeImplementations(Method a, Method b)
{
    if (!a || !b)
        return;
    class_lock();
    IMP swap = a->imp;
    __atomic_store_n(&a->imp, b->imp, __ATOMIC_RELEASE);
    __atomic_store_n(&b->imp, swap, __ATOMIC_RELEASE);
    class_unlock();
    method_changed_everywhere(a->name);
    method_changed_everywhere(b->name);
}

unsigned int method_getNumberOfArguments(Method method)
{
    const char *types = method_getTypeEncoding(method);
    unsigned count = 0;
    if (!types)
        return 0;
    for (const char *p = abx_objc_type_next(types); *p; p = abx_objc_type_next(p))
        count++;
    return count;
}

char *method_copyReturnType(Method method)
{
    const char *types = method_getTypeEncoding(method);
    return types ? strndup(types, (size_t)(abx_objc_type_end(types) - types)) : NULL;
}

char *method_copyArgumentType(Method method, unsigned int index)
{
    const char *types = method_getTypeEncoding(method);
    if (!types)
        return NULL;
    const char *p = abx_objc_type_next(types);
    while (*p && index--)
        p = abx_objc_type_next(p);
    return *p ? strndup(p, (size_t)(abx_objc_type_end(p) - p)) : NULL;
}

static void copy_out(char *text, char *to, size_t size)
{
    if (to && size)
        strncpy(to, text ? text : "", size);
    free(text);
}

void method_getReturnType(Method method, char *to, size_t size)
{
    copy_out(method_copyReturnType(method), to, size);
}

void method_getArgumentType(Method method, unsigned int index, char *to, size_t size)
{
    copy_out(method_copyArgumentType(method, index), to, size);
}

struct objc_method_description *method_getDescription(Method method)
{
    method_getTypeEncoding(method);
    return (struct objc_method_description *)method; /* its first two fields */
}
