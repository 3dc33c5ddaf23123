#ifndef __COREFOUNDATION_CFBASE__
#define __COREFOUNDATION_CFBASE__
#include <CoreFoundation/CFAvailability.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
#define CF_EXPORT extern "C"
#define CF_EXTERN_C_BEGIN extern "C" {
#define CF_EXTERN_C_END }
#else
#define CF_EXPORT extern
#define CF_EXTERN_C_BEGIN
#define CF_EXTERN_C_END
#endif
#define CF_INLINE static __inline__ __attribute__((always_inline))
#if defined(__clang__)
#define CF_RETURNS_RETAINED __attribute__((cf_returns_retained))
#define CF_RETURNS_NOT_RETAINED __attribute__((cf_returns_not_retained))
#define CF_BRIDGED_TYPE(T) __attribute__((objc_bridge(T)))
#define CF_IMPLICIT_BRIDGING_ENABLED _Pragma("clang arc_cf_code_audited begin")
#define CF_IMPLICIT_BRIDGING_DISABLED _Pragma("clang arc_cf_code_audited end")
#define CF_ASSUME_NONNULL_BEGIN _Pragma("clang assume_nonnull begin")
#define CF_ASSUME_NONNULL_END _Pragma("clang assume_nonnull end")
#else
#define CF_RETURNS_RETAINED
#define CF_RETURNS_NOT_RETAINED
#define CF_BRIDGED_TYPE(T)
#define CF_IMPLICIT_BRIDGING_ENABLED
#define CF_IMPLICIT_BRIDGING_DISABLED
#define CF_ASSUME_NONNULL_BEGIN
#define CF_ASSUME_NONNULL_END
#endif

typedef unsigned char Boolean;
typedef unsigned char UInt8;
typedef signed char SInt8;
typedef unsigned short UInt16;
typedef signed short SInt16;
typedef unsigned int UInt32;
typedef signed int SInt32;
typedef uint64_t UInt64;
typedef int64_t SInt64;
typedef float Float32;
typedef double Float64;
typedef uint16_t UniChar;
typedef SInt32 OSStatus;
typedef SInt16 OSErr;
typedef UInt32 FourCharCode, OSType;
#if !defined(TRUE)
#define TRUE 1
#endif
#if !defined(FALSE)
#define FALSE 0
#endif

enum { kNilOptions = 0 };

typedef const void *CFTypeRef;
typedef const struct CF_BRIDGED_TYPE(NSString) __CFString *CFStringRef;
typedef const struct __CFAllocator *CFAllocatorRef;
typedef const struct CF_BRIDGED_TYPE(NSDictionary) __CFDictionary *CFDictionaryRef;
typedef const struct CF_BRIDGED_TYPE(NSArray) __CFArray *CFArrayRef;
typedef const struct CF_BRIDGED_TYPE(NSData) __CFData *CFDataRef;
typedef const struct CF_BRIDGED_TYPE(NSURL) __CFURL *CFURLRef;
typedef const struct CF_BRIDGED_TYPE(NSNumber) __CFNumber *CFNumberRef;
typedef struct CF_BRIDGED_TYPE(NSError) __CFError *CFErrorRef;
typedef long CFIndex;
typedef unsigned long CFTypeID;
typedef unsigned long CFOptionFlags;
typedef unsigned long CFHashCode;
typedef double CFTimeInterval;
typedef CFTimeInterval CFAbsoluteTime;
typedef enum {
    kCFCompareLessThan = -1L,
    kCFCompareEqualTo = 0,
    kCFCompareGreaterThan = 1
} CFComparisonResult;
typedef struct {
    CFIndex location;
    CFIndex length;
} CFRange;
CF_INLINE CFRange CFRangeMake(CFIndex location, CFIndex length)
{
    CFRange range = {location, length};
    return range;
}
#define kCFNotFound (-1L)
#define kCFAllocatorDefault ((CFAllocatorRef)0)
#define kCFAllocatorMalloc ((CFAllocatorRef)0)

CF_EXTERN_C_BEGIN
CFTypeID CFGetTypeID(CFTypeRef object); /* 1 for what is of no type below */
CFTypeRef CFRetain(CFTypeRef object);
void CFRelease(CFTypeRef object);
CFTypeRef CFAutorelease(CFTypeRef object);
CFIndex CFGetRetainCount(CFTypeRef object);
Boolean CFEqual(CFTypeRef a, CFTypeRef b);
CFHashCode CFHash(CFTypeRef object);
CFStringRef CFCopyDescription(CFTypeRef object);
CFAbsoluteTime CFAbsoluteTimeGetCurrent(void);
CF_EXTERN_C_END

#ifdef __OBJC__
#if __has_feature(objc_arc)
CF_INLINE CF_RETURNS_RETAINED CFTypeRef CFBridgingRetain(id object)
{
    return (__bridge_retained CFTypeRef)object;
}
CF_INLINE id CFBridgingRelease(CFTypeRef CF_CONSUMED_)
{
    return (__bridge_transfer id)CF_CONSUMED_;
}
#else
CF_INLINE CFTypeRef CFBridgingRetain(id object)
{
    return object ? CFRetain((CFTypeRef)object) : 0;
}
CF_INLINE id CFBridgingRelease(CFTypeRef object)
{
    return (id)(object ? CFAutorelease(object) : 0);
}
#endif
#endif
#endif
