/* foundation: the Core Foundation functions Metal programs call. Its objects are Foundation's, its
 * allocators are ignored. Guest's process; trusts it. */
#include "foundation/foundation_internal.h"

#include <time.h>

OBJC_EXPORT id CFRetain(id object);
id CFRetain(id object)
{
    return objc_retain(object);
}

OBJC_EXPORT void CFRelease(id object);
void CFRelease(id object)
{
    objc_release(object);
}

OBJC_EXPORT id CFAutorelease(id object);
id CFAutorelease(id object)
{
    return objc_autorelease(object);
}

OBJC_EXPORT long CFGetRetainCount(id object);
long CFGetRetainCount(id object)
{
    return ABX_MSG(long, (id, SEL), object, "retainCount");
}

OBJC_EXPORT unsigned char CFEqual(id a, id b);
unsigned char CFEqual(id a, id b)
{
    return abx_ns_is_equal(a, b);
}

OBJC_EXPORT unsigned long CFHash(id object);
unsigned long CFHash(id object)
{
    return abx_ns_hash(object);
}

OBJC_EXPORT id CFCopyDescription(id object);
id CFCopyDescription(id object)
{
    return objc_retain(abx_ns_description(object));
}

OBJC_EXPORT double CFAbsoluteTimeGetCurrent(void);
double CFAbsoluteTimeGetCurrent(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9 - 978307200.0;
}

/* ---- strings */

OBJC_EXPORT unsigned long CFStringGetTypeID(void);
unsigned long CFStringGetTypeID(void)
{
    return 7;
}

static NSUInteger encoding_of(uint32_t cf)
{
    switch (cf) {
    case 0x0600:
        return NSASCIIStringEncoding;
    case 0x0201:
        return NSISOLatin1StringEncoding;
    case 0x0100:
        return NSUnicodeStringEncoding;
    case 0:
        return NSMacOSRomanStringEncoding;
    default:
        return NSUTF8StringEncoding;
    }
}

/* The same object for the same text, for ever. */
OBJC_EXPORT id __CFStringMakeConstantString(const char *text);
id __CFStringMakeConstantString(const char *text)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static id known;
    pthread_mutex_lock(&mutex);
    void *token = objc_autoreleasePoolPush();
    if (!known)
        known = objc_retain(abx_ns_mutable_dictionary());
    id key = abx_ns_string(text), result = abx_ns_dictionary_get(known, key);
    if (!result) {
        result = abx_ns_string_constant(strdup(text));
        abx_ns_dictionary_set(known, key, result);
    }
    objc_autoreleasePoolPop(token);
    pthread_mutex_unlock(&mutex);
    return result;
}

OBJC_EXPORT id CFStringCreateWithBytes(void *allocator, const uint8_t *bytes, long length,
        uint32_t encoding, unsigned char external);
id CFStringCreateWithBytes(void *allocator, const uint8_t *bytes, long length, uint32_t encoding,
        unsigned char external)
{
    return ABX_MSG(id, (id, SEL, const void *, NSUInteger, NSUInteger),
            class_createInstance(ABX_CLASS(NSString), 0), "initWithBytes:length:encoding:", bytes,
            (NSUInteger)length, encoding_of(encoding));
}

OBJC_EXPORT id CFStringCreateWithCString(void *allocator, const char *text, uint32_t encoding);
id CFStringCreateWithCString(void *allocator, const char *text, uint32_t encoding)
{
    return CFStringCreateWithBytes(
            allocator, (const uint8_t *)text, (long)strlen(text), encoding, 0);
}

OBJC_EXPORT id CFStringCreateCopy(void *allocator, id string);
id CFStringCreateCopy(void *allocator, id string)
{
    return abx_ns_copy(string);
}

OBJC_EXPORT id CFStringCreateWithFormat(void *allocator, id options, id format, ...);
id CFStringCreateWithFormat(void *allocator, id options, id format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    id result = abx_ns_string_vprintf(format, arguments);
    va_end(arguments);
    return result;
}

OBJC_EXPORT long CFStringGetLength(id string);
long CFStringGetLength(id string)
{
    return (long)abx_ns_string_units(string);
}

OBJC_EXPORT const char *CFStringGetCStringPtr(id string, uint32_t encoding);
const char *CFStringGetCStringPtr(id string, uint32_t encoding)
{
    struct text t = abx_ns_text(string);
    return t.ascii || encoding_of(encoding) == NSUTF8StringEncoding ? t.data : NULL;
}

OBJC_EXPORT unsigned char CFStringGetCString(
        id string, char *buffer, long capacity, uint32_t encoding);
unsigned char CFStringGetCString(id string, char *buffer, long capacity, uint32_t encoding)
{
    return ABX_MSG(BOOL, (id, SEL, char *, NSUInteger, NSUInteger), string,
                   "getCString:maxLength:encoding:", buffer, (NSUInteger)capacity,
                   encoding_of(encoding)) != 0;
}

OBJC_EXPORT long CFStringGetMaximumSizeForEncoding(long length, uint32_t encoding);
long CFStringGetMaximumSizeForEncoding(long length, uint32_t encoding)
{
    return encoding_of(encoding) == NSUTF8StringEncoding ? length * 3 : length * 2;
}

OBJC_EXPORT long CFStringCompare(id a, id b, unsigned long options);
long CFStringCompare(id a, id b, unsigned long options)
{
    return ABX_MSG(NSInteger, (id, SEL, id, NSUInteger), a, "compare:options:", b, options);
}
