/* foundation: functions that name classes, selectors, types, ranges and folders. Guest's process;
 * trusts it. */
#include "foundation/foundation_internal.h"

#include <pwd.h>
#include <unistd.h>

/* Key-value observing, which there is none of: for those who link its names. */
ABX_NS_CONSTANT(NSKeyValueChangeKindKey, "kind")
ABX_NS_CONSTANT(NSKeyValueChangeNewKey, "new")
ABX_NS_CONSTANT(NSKeyValueChangeOldKey, "old")
ABX_NS_CONSTANT(NSKeyValueChangeIndexesKey, "indexes")
ABX_NS_CONSTANT(NSKeyValueChangeNotificationIsPriorKey, "notificationIsPrior")

OBJC_EXPORT id NSStringFromSelector(SEL selector);
id NSStringFromSelector(SEL selector)
{
    return selector ? abx_ns_string(sel_getName(selector)) : nil;
}

OBJC_EXPORT SEL NSSelectorFromString(id name);
SEL NSSelectorFromString(id name)
{
    return name ? sel_registerName(abx_ns_string_utf8(name)) : NULL;
}

OBJC_EXPORT id NSStringFromClass(Class cls);
id NSStringFromClass(Class cls)
{
    return cls ? abx_ns_string(class_getName(cls)) : nil;
}

OBJC_EXPORT Class NSClassFromString(id name);
Class NSClassFromString(id name)
{
    return name ? objc_lookUpClass(abx_ns_string_utf8(name)) : Nil;
}

OBJC_EXPORT id NSStringFromProtocol(Protocol *protocol);
id NSStringFromProtocol(Protocol *protocol)
{
    return protocol ? abx_ns_string(protocol_getName(protocol)) : nil;
}

OBJC_EXPORT Protocol *NSProtocolFromString(id name);
Protocol *NSProtocolFromString(id name)
{
    return name ? objc_getProtocol(abx_ns_string_utf8(name)) : NULL;
}

OBJC_EXPORT const char *NSGetSizeAndAlignment(
        const char *type, NSUInteger *ret_size, NSUInteger *ret_alignment);
const char *NSGetSizeAndAlignment(const char *type, NSUInteger *ret_size, NSUInteger *ret_alignment)
{
    size_t size = 0, alignment = 0;
    if (abx_objc_type_size(type, &size, &alignment) < 0)
        abx_ns_raise_argument("NSGetSizeAndAlignment: unsupported type encoding '%s'", type);
    if (ret_size)
        *ret_size = size;
    if (ret_alignment)
        *ret_alignment = alignment;
    return abx_objc_type_next(type);
}

OBJC_EXPORT id NSAllocateObject(Class cls, NSUInteger extra, void *zone);
id NSAllocateObject(Class cls, NSUInteger extra, void *zone)
{
    return class_createInstance(cls, extra);
}

OBJC_EXPORT void NSDeallocateObject(id object);
void NSDeallocateObject(id object)
{
    object_dispose(object);
}

OBJC_EXPORT id NSStringFromRange(NSRange range);
id NSStringFromRange(NSRange range)
{
    return abx_ns_string_printf("{%lu, %lu}", range.location, range.length);
}

OBJC_EXPORT NSRange NSUnionRange(NSRange a, NSRange b);
NSRange NSUnionRange(NSRange a, NSRange b)
{
    NSUInteger a_end = a.location + a.length, b_end = b.location + b.length;
    NSUInteger start = a.location < b.location ? a.location : b.location;
    return (NSRange){start, (a_end > b_end ? a_end : b_end) - start};
}

OBJC_EXPORT NSRange NSIntersectionRange(NSRange a, NSRange b);
NSRange NSIntersectionRange(NSRange a, NSRange b)
{
    NSUInteger a_end = a.location + a.length, b_end = b.location + b.length;
    NSUInteger start = a.location > b.location ? a.location : b.location;
    NSUInteger end = a_end < b_end ? a_end : b_end;
    return end > start ? (NSRange){start, end - start} : (NSRange){0, 0};
}

OBJC_EXPORT id NSTemporaryDirectory(void);
id NSTemporaryDirectory(void)
{
    const char *folder = getenv("TMPDIR");
    return abx_ns_string_printf("%s/", folder && *folder ? folder : "/tmp");
}

OBJC_EXPORT id NSHomeDirectory(void);
id NSHomeDirectory(void)
{
    return ABX_MSG(id, (id, SEL), abx_ns_string("~"), "stringByExpandingTildeInPath");
}

OBJC_EXPORT id NSUserName(void);
id NSUserName(void)
{
    struct passwd *entry = getpwuid(getuid());
    return abx_ns_string(entry ? entry->pw_name : "nobody");
}
