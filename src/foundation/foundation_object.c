/* foundation: what NSObject needs of other classes: descriptions, unrecognised messages, key-value
 * coding, delayed and threaded performing; and NSNull. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <stdio.h>

ABX_OBJC_CLASS(NSNull)
ABX_OBJC_CLASS(NSMethodSignature)

id abx_ns_description(id object)
{
    if (!object)
        return abx_ns_string("(null)");
    if (abx_ns_is_string(object))
        return object;
    id description = ABX_MSG(id, (id, SEL), object, "description");
    return description ? description : abx_ns_string("(null)");
}

NSUInteger abx_ns_hash(id object)
{
    return ABX_MSG(NSUInteger, (id, SEL), object, "hash");
}

bool abx_ns_is_equal(id a, id b)
{
    return a == b || (a && b && ABX_MSG(BOOL, (id, SEL, id), a, "isEqual:", b));
}

id abx_ns_copy(id object)
{
    return ABX_MSG(id, (id, SEL), object, "copy");
}

id abx_ns_copy_immutable(id self, SEL cmd, void *zone)
{
    return objc_retain(self);
}

/* ---- descriptions */

static id object_description(id self, SEL cmd)
{
    return abx_ns_string_printf("<%s: %p>", object_getClassName(self), (void *)self);
}

static id class_description(id self, SEL cmd)
{
    return abx_ns_string(class_getName((Class)self));
}

static id debug_description(id self, SEL cmd)
{
    return ABX_MSG(id, (id, SEL), self, "description");
}

static id class_name(id self, SEL cmd)
{
    return abx_ns_string(object_getClassName(self));
}

/* ---- messages nobody answers */

/* Said before it is raised, as on a Mac: what may catch it, Rust or C++, knows nothing of its
 * reason. */
static void does_not_recognize(id self, SEL cmd, SEL selector)
{
    bool class_side = object_isClass(self);
    const char *name = class_side ? class_getName((Class)self) : object_getClassName(self);
    const char *kind = class_side ? "class" : "instance";
    char sign = class_side ? '+' : '-';
    fprintf(stderr, "arcbox: %c[%s %s]: unrecognized selector sent to %s %p\n", sign, name,
            sel_getName(selector), kind, (void *)self);
    abx_ns_raise_argument("%c[%s %s]: unrecognized selector sent to %s %p", sign, name,
            sel_getName(selector), kind, (void *)self);
}

struct method_signature {
    Class isa;
    char *types;
};

const char *abx_ns_signature_types(id signature)
{
    return ((struct method_signature *)signature)->types;
}

static id signature_of(Method method)
{
    const char *types = method_getTypeEncoding(method);
    if (!types)
        return nil;
    id signature = class_createInstance(ABX_CLASS(NSMethodSignature), 0);
    ((struct method_signature *)signature)->types = strdup(types);
    return objc_autorelease(signature);
}

static id signature_for_selector(id self, SEL cmd, SEL selector)
{
    return signature_of(class_getInstanceMethod(object_getClass(self), selector));
}

static id instance_signature_for_selector(id self, SEL cmd, SEL selector)
{
    return signature_of(class_getInstanceMethod((Class)self, selector));
}

static id signature_with_types(id cls, SEL cmd, const char *types)
{
    struct objc_method {
        SEL name;
        const char *types;
        IMP imp;
    } method = {NULL, types, NULL};
    return types ? signature_of((Method)&method) : nil;
}

static Method as_method(id signature, void *storage[3])
{
    storage[0] = NULL;
    storage[1] = ((struct method_signature *)signature)->types;
    storage[2] = NULL;
    return (Method)storage;
}

static NSUInteger signature_arguments(id self, SEL cmd)
{
    void *storage[3];
    return method_getNumberOfArguments(as_method(self, storage));
}

static const char *kept(char *text)
{
    return text ? abx_ns_data_bytes(abx_ns_data_adopt(text, strlen(text) + 1)) : NULL;
}

static const char *signature_argument_type(id self, SEL cmd, NSUInteger index)
{
    void *storage[3];
    if (index >= signature_arguments(self, cmd))
        abx_ns_raise_argument("-[NSMethodSignature getArgumentTypeAtIndex:]: index (%lu) out of "
                              "bounds [0, %lu]",
                index, signature_arguments(self, cmd) - 1);
    return kept(method_copyArgumentType(as_method(self, storage), (unsigned)index));
}

static const char *signature_return_type(id self, SEL cmd)
{
    void *storage[3];
    return kept(method_copyReturnType(as_method(self, storage)));
}

static void signature_dealloc(id self, SEL cmd)
{
    free(((struct method_signature *)self)->types);
    abx_objc_dealloc_super(self, ABX_CLASS(NSMethodSignature));
}

/* ---- key-value coding: accessor methods and instance variables, boxed by their type */

static id box(const char *type, const void *value)
{
    while (*type && strchr("rnNoORV", *type))
        type++;
    switch (*type) {
    case '@':
    case '#':
        return *(const id *)value;
    case 'c':
    case 'B':
        return abx_ns_number_bool(*(const char *)value);
    case 'C':
        return abx_ns_number_uint(*(const unsigned char *)value);
    case 's':
        return abx_ns_number_int(*(const short *)value);
    case 'S':
        return abx_ns_number_uint(*(const unsigned short *)value);
    case 'i':
        return abx_ns_number_int(*(const int *)value);
    case 'I':
        return abx_ns_number_uint(*(const unsigned *)value);
    case 'q':
    case 'l':
        return abx_ns_number_int(*(const long *)value);
    case 'Q':
    case 'L':
        return abx_ns_number_uint(*(const unsigned long *)value);
    case 'f':
        return abx_ns_number_double((double)*(const float *)value);
    case 'd':
        return abx_ns_number_double(*(const double *)value);
    default:
        return nil;
    }
}

static id call_getter(id self, Method method)
{
    const char *type = method_getTypeEncoding(method);
    IMP function = method_getImplementation(method);
    SEL selector = method_getName(method);
    while (*type && strchr("rnNoORV", *type))
        type++;
    if (*type == 'f') {
        float value = ((float (*)(id, SEL))function)(self, selector);
        return box(type, &value);
    }
    if (*type == 'd') {
        double value = ((double (*)(id, SEL))function)(self, selector);
        return box(type, &value);
    }
    if (*type == '{' || *type == 'v')
        return nil;
    uint64_t value = ((uint64_t (*)(id, SEL))function)(self, selector);
    return box(type, &value);
}

static id value_for_key(id self, SEL cmd, id key)
{
    const char *name = abx_ns_string_utf8(key);
    char text[256];
    enum { PLAIN, IS, UNDERSCORE, FORMS };
    for (int form = PLAIN; name && form < FORMS; form++) {
        if (form == IS)
            snprintf(text, sizeof(text), "is%c%s",
                    *name >= 'a' && *name <= 'z' ? *name - 32 : *name, *name ? name + 1 : "");
        else
            snprintf(text, sizeof(text), "%s%s", form == UNDERSCORE ? "_" : "", name);
        Method method = class_getInstanceMethod(object_getClass(self), sel_registerName(text));
        if (method && method_getNumberOfArguments(method) == 2)
            return call_getter(self, method);
    }
    Ivar ivar = NULL;
    for (int underscore = 1; name && underscore >= 0 && !ivar; underscore--) {
        snprintf(text, sizeof(text), "%s%s", underscore ? "_" : "", name);
        ivar = class_getInstanceVariable(object_getClass(self), text);
    }
    if (ivar)
        return box(ivar_getTypeEncoding(ivar), (char *)self + ivar_getOffset(ivar));
    return ABX_MSG(id, (id, SEL, id), self, "valueForUndefinedKey:", key);
}

static id value_for_undefined_key(id self, SEL cmd, id key)
{
    abx_ns_raise("NSUnknownKeyException",
            "[<%s %p> valueForUndefinedKey:]: this class is not key value coding-compliant for the "
            "key %s.",
            object_getClassName(self), (void *)self, abx_ns_string_utf8(key));
}

static id value_for_key_path(id self, SEL cmd, id path)
{
    id parts = ABX_MSG(id, (id, SEL, id), path, "componentsSeparatedByString:", abx_ns_string("."));
    id value = self;
    for (NSUInteger i = 0; i < abx_ns_array_count(parts); i++)
        value = ABX_MSG(id, (id, SEL, id), value, "valueForKey:", abx_ns_array_at(parts, i));
    return value;
}

static void unbox(const char *type, id value, void *to)
{
    switch (*type) {
    case '@':
        objc_storeStrong(to, value);
        break;
    case 'c':
    case 'C':
    case 'B':
        *(char *)to = (char)abx_ns_number_get_int(value);
        break;
    case 's':
    case 'S':
        *(short *)to = (short)abx_ns_number_get_int(value);
        break;
    case 'i':
    case 'I':
        *(int *)to = (int)abx_ns_number_get_int(value);
        break;
    case 'f':
        *(float *)to = (float)abx_ns_number_get_double(value);
        break;
    case 'd':
        *(double *)to = abx_ns_number_get_double(value);
        break;
    case 'q':
    case 'Q':
        *(int64_t *)to = abx_ns_number_get_int(value);
        break;
    default:
        abx_ns_raise_argument("setValue:forKey: cannot set a variable of type %s", type);
    }
}

static void call_setter(id self, Method method, id value)
{
    char *type = method_copyArgumentType(method, 2);
    IMP function = method_getImplementation(method);
    SEL selector = method_getName(method);
    if (*type == '@' || *type == '#')
        ((void (*)(id, SEL, id))function)(self, selector, value);
    else if (*type == 'f')
        ((void (*)(id, SEL, float))function)(
                self, selector, (float)abx_ns_number_get_double(value));
    else if (*type == 'd')
        ((void (*)(id, SEL, double))function)(self, selector, abx_ns_number_get_double(value));
    else
        ((void (*)(id, SEL, long))function)(self, selector, abx_ns_number_get_int(value));
    free(type);
}

static void set_value_for_key(id self, SEL cmd, id value, id key)
{
    const char *name = abx_ns_string_utf8(key);
    char text[256];
    if (!name || !*name)
        abx_ns_raise_argument("setValue:forKey: empty key");
    snprintf(text, sizeof(text), "set%c%s:", *name >= 'a' && *name <= 'z' ? *name - 32 : *name,
            name + 1);
    Method method = class_getInstanceMethod(object_getClass(self), sel_registerName(text));
    if (method) {
        call_setter(self, method, value);
        return;
    }
    Ivar ivar = NULL;
    for (int underscore = 1; underscore >= 0 && !ivar; underscore--) {
        snprintf(text, sizeof(text), "%s%s", underscore ? "_" : "", name);
        ivar = class_getInstanceVariable(object_getClass(self), text);
    }
    if (!ivar)
        abx_ns_raise("NSUnknownKeyException",
                "[<%s %p> setValue:forUndefinedKey:]: this class is not key value coding-compliant "
                "for the key %s.",
                object_getClassName(self), (void *)self, name);
    unbox(ivar_getTypeEncoding(ivar), value, (char *)self + ivar_getOffset(ivar));
}

/* ---- NSNull */

static id null_object;

id abx_ns_null(void)
{
    return null_object;
}

static id null_shared(id cls, SEL cmd)
{
    return null_object;
}

static id null_description(id self, SEL cmd)
{
    return abx_ns_string("<null>");
}

static const struct abx_objc_method object_methods[] = {
        METHOD("description", "@@:", object_description),
        METHOD("debugDescription", "@@:", debug_description),
        METHOD("className", "@@:", class_name),
        METHOD("doesNotRecognizeSelector:", "v@::", does_not_recognize),
        METHOD("methodSignatureForSelector:", "@@::", signature_for_selector),
        METHOD("valueForKey:", "@@:@", value_for_key),
        METHOD("valueForKeyPath:", "@@:@", value_for_key_path),
        METHOD("valueForUndefinedKey:", "@@:@", value_for_undefined_key),
        METHOD("setValue:forKey:", "v@:@@", set_value_for_key),
        {NULL},
};
static const struct abx_objc_method object_class_methods[] = {
        METHOD("description", "@@:", class_description),
        METHOD("debugDescription", "@@:", class_description),
        METHOD("instanceMethodSignatureForSelector:", "@@::", instance_signature_for_selector),
        {NULL},
};
static const struct abx_objc_method null_methods[] = {
        METHOD("description", "@@:", null_description),
        METHOD("copyWithZone:", "@@:" ZONE, abx_ns_copy_immutable),
        {NULL},
};
static const struct abx_objc_method null_class_methods[] = {
        METHOD("null", "@@:", null_shared),
        {NULL},
};
static const struct abx_objc_method signature_methods[] = {
        METHOD("numberOfArguments", "Q@:", signature_arguments),
        METHOD("getArgumentTypeAtIndex:", "r*@:Q", signature_argument_type),
        METHOD("methodReturnType", "r*@:", signature_return_type),
        METHOD("dealloc", "v@:", signature_dealloc),
        {NULL},
};
static const struct abx_objc_method signature_class_methods[] = {
        METHOD("signatureWithObjCTypes:", "@@:r*", signature_with_types),
        {NULL},
};

__attribute__((constructor(102))) static void define(void)
{
    static const char *const under_nsobject[] = {"NSCopying", "NSMutableCopying", "NSCoding",
            "NSSecureCoding", "NSFastEnumeration", "NSLocking"};
    static const char *const no_parents[] = {NULL};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(under_nsobject); i++)
        abx_objc_define_protocol(under_nsobject[i], no_parents);
    abx_objc_add_methods(ABX_CLASS(NSObject), object_methods, object_class_methods);
    abx_objc_define_class(&(struct abx_objc_class_spec){ABX_OBJC_CLASS_STORAGE(NSNull),
            .superclass = ABX_CLASS(NSObject), .instance_methods = null_methods,
            .class_methods = null_class_methods, .options = ABX_OBJC_IMMORTAL});
    DEFINE(NSMethodSignature, NSObject, struct method_signature, signature_methods,
            signature_class_methods);
    null_object = class_createInstance(ABX_CLASS(NSNull), 0);
}
