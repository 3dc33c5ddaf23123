/* objc: NSObject, the root class, as far as it needs no other class (Foundation adds the methods
 * that deal in strings and exceptions), and Protocol's class. Guest's process; trusts it. */
#include "objc/objc_private.h"

ABX_OBJC_CLASS(NSObject)
ABX_OBJC_CLASS(Protocol)
ABX_OBJC_CLASS(NSProxy)

#define SEND(ret, types, object, selector, ...)                                                    \
    (((ret(*) types)(uintptr_t)abx_objc_msg_send)((object), (selector), ##__VA_ARGS__))

/* ---- allocation */

static id root_alloc(id cls, SEL cmd)
{
    return SEND(id, (id, SEL, void *), cls, abx_objc_sels.alloc_with_zone, NULL);
}

static id root_alloc_with_zone(id cls, SEL cmd, void *zone)
{
    return class_createInstance((Class)cls, 0);
}

static id root_new(id cls, SEL cmd)
{
    return SEND(id, (id, SEL), objc_alloc((Class)cls), abx_objc_sels.init);
}

static void root_dealloc(id self, SEL cmd)
{
    object_dispose(self);
}

static id root_copy(id self, SEL cmd)
{
    return ABX_MSG(id, (id, SEL, void *), self, "copyWithZone:", NULL);
}

static id root_mutable_copy(id self, SEL cmd)
{
    return ABX_MSG(id, (id, SEL, void *), self, "mutableCopyWithZone:", NULL);
}

static id return_self(id self, SEL cmd)
{
    return self;
}

static id return_self_zone(id self, SEL cmd, void *zone)
{
    return self;
}

static void nothing(id self, SEL cmd) {}

static NSUInteger class_retain_count(id self, SEL cmd)
{
    return (NSUInteger)-1;
}

/* ---- what am I */

static Class root_class(id self, SEL cmd)
{
    return self->isa;
}

static Class root_superclass(id self, SEL cmd)
{
    return class_getSuperclass(self->isa);
}

static Class class_superclass(id self, SEL cmd)
{
    return class_getSuperclass((Class)self);
}

static abx_objc_bool root_is_kind_of(id self, SEL cmd, Class cls)
{
    return abx_objc_is_kind_of(self, cls);
}

static abx_objc_bool root_is_member_of(id self, SEL cmd, Class cls)
{
    return SEND(Class, (id, SEL), self, abx_objc_sels.class_) == cls;
}

static abx_objc_bool class_is_member_of(id self, SEL cmd, Class cls)
{
    return self->isa == cls;
}

static abx_objc_bool class_is_subclass_of(id self, SEL cmd, Class cls)
{
    for (Class c = (Class)self; c; c = class_getSuperclass(c))
        if (c == cls)
            return 1;
    return 0;
}

static abx_objc_bool root_responds(id self, SEL cmd, SEL selector)
{
    return class_respondsToSelector(self->isa, selector);
}

static abx_objc_bool class_instances_respond(id self, SEL cmd, SEL selector)
{
    return class_respondsToSelector((Class)self, selector);
}

static abx_objc_bool conforms(Class cls, Protocol *protocol)
{
    for (; cls; cls = class_getSuperclass(cls))
        if (class_conformsToProtocol(cls, protocol))
            return 1;
    return 0;
}

static abx_objc_bool root_conforms(id self, SEL cmd, Protocol *protocol)
{
    return conforms(self->isa, protocol);
}

static abx_objc_bool class_conforms(id self, SEL cmd, Protocol *protocol)
{
    return conforms((Class)self, protocol);
}

static abx_objc_bool root_is_equal(id self, SEL cmd, id other)
{
    return self == other;
}

static NSUInteger root_hash(id self, SEL cmd)
{
    return (NSUInteger)self >> 4;
}

static abx_objc_bool return_no(id self, SEL cmd)
{
    return 0;
}

static abx_objc_bool return_yes(id self, SEL cmd)
{
    return 1;
}

/* ---- methods by selector */

static IMP root_method_for(id self, SEL cmd, SEL selector)
{
    return class_getMethodImplementation(self->isa, selector);
}

static IMP class_instance_method_for(id self, SEL cmd, SEL selector)
{
    return class_getMethodImplementation((Class)self, selector);
}

static id root_perform(id self, SEL cmd, SEL selector)
{
    return SEND(id, (id, SEL), self, selector);
}

static id root_perform_1(id self, SEL cmd, SEL selector, id a)
{
    return SEND(id, (id, SEL, id), self, selector, a);
}

static id root_perform_2(id self, SEL cmd, SEL selector, id a, id b)
{
    return SEND(id, (id, SEL, id, id), self, selector, a, b);
}

static abx_objc_bool resolve_nothing(id self, SEL cmd, SEL selector)
{
    return 0;
}

static id no_forwarding_target(id self, SEL cmd, SEL selector)
{
    return nil;
}

/* Of both roots, NSObject and NSProxy: what memory, and a table of objects, want of any object. */
static const struct abx_objc_method root_methods[] = {
        {"self", "@@:", return_self},
        {"retain", "@@:", abx_objc_root_retain},
        {"release", "Vv@:", abx_objc_root_release},
        {"autorelease", "@@:", abx_objc_root_autorelease},
        {"retainCount", "Q@:", abx_objc_root_retain_count},
        {"retainWeakReference", "B@:", abx_objc_root_try_retain},
        {"_tryRetain", "B@:", abx_objc_root_try_retain},
        {"allowsWeakReference", "B@:", return_yes},
        {"dealloc", "v@:", root_dealloc},
        {"finalize", "v@:", nothing},
        {"class", "#@:", root_class},
        {"superclass", "#@:", root_superclass},
        {"isEqual:", "B@:@", root_is_equal},
        {"hash", "Q@:", root_hash},
        {"zone", "^{_NSZone=}@:", no_forwarding_target},
        {NULL},
};
static const struct abx_objc_method instance_methods[] = {
        {"init", "@@:", return_self},
        {"copy", "@@:", root_copy},
        {"mutableCopy", "@@:", root_mutable_copy},
        {"isKindOfClass:", "B@:#", root_is_kind_of},
        {"isMemberOfClass:", "B@:#", root_is_member_of},
        {"isProxy", "B@:", return_no},
        {"respondsToSelector:", "B@::", root_responds},
        {"conformsToProtocol:", "B@:@", root_conforms},
        {"methodForSelector:", "^?@::", root_method_for},
        {"performSelector:", "@@::", root_perform},
        {"performSelector:withObject:", "@@::@", root_perform_1},
        {"performSelector:withObject:withObject:", "@@::@@", root_perform_2},
        {"forwardingTargetForSelector:", "@@::", no_forwarding_target},
        {NULL},
};
static const struct abx_objc_method class_methods[] = {
        {"alloc", "@@:", root_alloc},
        {"allocWithZone:", "@@:^{_NSZone=}", root_alloc_with_zone},
        {"new", "@@:", root_new},
        {"initialize", "v@:", nothing},
        {"load", "v@:", nothing},
        {"class", "#@:", return_self},
        {"self", "@@:", return_self},
        {"superclass", "#@:", class_superclass},
        {"retain", "@@:", return_self},
        {"release", "Vv@:", nothing},
        {"autorelease", "@@:", return_self},
        {"retainCount", "Q@:", class_retain_count},
        {"copy", "@@:", return_self},
        {"copyWithZone:", "@@:^{_NSZone=}", return_self_zone},
        {"mutableCopyWithZone:", "@@:^{_NSZone=}", return_self_zone},
        {"isMemberOfClass:", "B@:#", class_is_member_of},
        {"isSubclassOfClass:", "B@:#", class_is_subclass_of},
        {"instancesRespondToSelector:", "B@::", class_instances_respond},
        {"conformsToProtocol:", "B@:@", class_conforms},
        {"instanceMethodForSelector:", "^?@::", class_instance_method_for},
        {"resolveInstanceMethod:", "B@::", resolve_nothing},
        {"resolveClassMethod:", "B@::", resolve_nothing},
        {NULL},
};

/* ---- NSProxy: a root of its own, whose instances answer what memory wants of them and pass on the
 * rest, isKindOfClass: and respondsToSelector: among it */

static const struct abx_objc_method proxy_methods[] = {
        {"isProxy", "B@:", return_yes},
        {NULL},
};

/* ---- Protocol */

static const char *protocol_name(id self, SEL cmd)
{
    return ((struct protocol *)self)->name;
}

static abx_objc_bool protocol_conforms(id self, SEL cmd, Protocol *other)
{
    return protocol_conformsToProtocol((Protocol *)self, other);
}

static abx_objc_bool protocol_equal(id self, SEL cmd, id other)
{
    return self == other || (other && other->isa == (Class)&abx_class_Protocol &&
                                    protocol_isEqual((Protocol *)self, (Protocol *)other));
}

static NSUInteger protocol_hash(id self, SEL cmd)
{
    NSUInteger hash = 5381;
    for (const char *p = ((struct protocol *)self)->name; *p; p++)
        hash = hash * 33 + (uint8_t)*p;
    return hash;
}

static const struct abx_objc_method protocol_methods[] = {
        {"name", "r*@:", protocol_name},
        {"conformsTo:", "B@:@", protocol_conforms},
        {"isEqual:", "B@:@", protocol_equal},
        {"hash", "Q@:", protocol_hash},
        {NULL},
};

__attribute__((constructor(101))) static void define(void)
{
    abx_objc_define_class(&(struct abx_objc_class_spec){ABX_OBJC_CLASS_STORAGE(NSObject),
            .instance_size = sizeof(Class), .instance_methods = root_methods,
            .class_methods = class_methods, .protocols = (const char *const[]){"NSObject", NULL}});
    abx_objc_define_class(&(struct abx_objc_class_spec){ABX_OBJC_CLASS_STORAGE(NSProxy),
            .instance_size = sizeof(Class), .instance_methods = root_methods,
            .class_methods = class_methods, .protocols = (const char *const[]){"NSObject", NULL}});
    abx_objc_add_methods(ABX_CLASS(NSObject), instance_methods, NULL);
    abx_objc_add_methods(ABX_CLASS(NSProxy), proxy_methods, NULL);
    abx_objc_define_class(&(struct abx_objc_class_spec){ABX_OBJC_CLASS_STORAGE(Protocol),
            .superclass = ABX_CLASS(NSObject), .instance_size = sizeof(struct protocol),
            .instance_methods = protocol_methods, .options = ABX_OBJC_IMMORTAL});
    abx_objc_define_block_classes();
}
