/* Types, macros and functions that every other Foundation header uses. */
#ifndef _FOUNDATION_NSOBJCRUNTIME_H_
#define _FOUNDATION_NSOBJCRUNTIME_H_

#include <Availability.h>
#include <AvailabilityMacros.h>
#include <TargetConditionals.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <CoreFoundation/CFAvailability.h>
#include <objc/NSObjCRuntime.h>

#ifdef __cplusplus
#define FOUNDATION_EXTERN extern "C"
#else
#define FOUNDATION_EXTERN extern
#endif
#define FOUNDATION_EXPORT FOUNDATION_EXTERN
#define FOUNDATION_IMPORT FOUNDATION_EXTERN
#define NS_INLINE static __inline__ __attribute__((always_inline))

#define NS_ENUM(...) CF_ENUM(__VA_ARGS__)
#define NS_OPTIONS(type, name) CF_OPTIONS(type, name)
#define NS_CLOSED_ENUM(type, name) CF_ENUM(type, name)
#define NS_ERROR_ENUM(...) CF_ENUM(NSInteger, NS_ERROR_ENUM_NAME_(__VA_ARGS__))
#define NS_ERROR_ENUM_NAME_(domain, name) name
#define NS_TYPED_ENUM
#define NS_TYPED_EXTENSIBLE_ENUM
#define NS_STRING_ENUM
#define NS_EXTENSIBLE_STRING_ENUM

#if defined(__clang__)
#define NS_ASSUME_NONNULL_BEGIN _Pragma("clang assume_nonnull begin")
#define NS_ASSUME_NONNULL_END _Pragma("clang assume_nonnull end")
#define NS_RETURNS_RETAINED __attribute__((ns_returns_retained))
#define NS_RETURNS_NOT_RETAINED __attribute__((ns_returns_not_retained))
#define NS_RETURNS_INNER_POINTER __attribute__((objc_returns_inner_pointer))
#define NS_CONSUMED __attribute__((ns_consumed))
#define NS_NOESCAPE __attribute__((noescape))
#define NS_FORMAT_FUNCTION(F, A) __attribute__((format(__NSString__, F, A)))
#define NS_FORMAT_ARGUMENT(A) __attribute__((format_arg(A)))
#define NS_REQUIRES_SUPER __attribute__((objc_requires_super))
#define NS_ROOT_CLASS __attribute__((objc_root_class))
#else
#define NS_ASSUME_NONNULL_BEGIN
#define NS_ASSUME_NONNULL_END
#define NS_RETURNS_RETAINED
#define NS_RETURNS_NOT_RETAINED
#define NS_RETURNS_INNER_POINTER
#define NS_CONSUMED
#define NS_NOESCAPE
#define NS_FORMAT_FUNCTION(F, A)
#define NS_FORMAT_ARGUMENT(A)
#define NS_REQUIRES_SUPER
#define NS_ROOT_CLASS
#endif
#define NS_HEADER_AUDIT_BEGIN(...) NS_ASSUME_NONNULL_BEGIN
#define NS_HEADER_AUDIT_END(...) NS_ASSUME_NONNULL_END
#define NS_REQUIRES_NIL_TERMINATION __attribute__((sentinel(0, 1)))
#define NS_AVAILABLE(...)
#define NS_AVAILABLE_MAC(...)
#define NS_AVAILABLE_IOS(...)
#define NS_CLASS_AVAILABLE(...)
#define NS_CLASS_AVAILABLE_MAC(...)
#define NS_ENUM_AVAILABLE(...)
#define NS_ENUM_AVAILABLE_MAC(...)
#define NS_DEPRECATED(...)
#define NS_DEPRECATED_MAC(...)
#define NS_UNAVAILABLE __attribute__((unavailable))
#define NS_SWIFT_NAME(...)
#define NS_SWIFT_UNAVAILABLE(...)
#define NS_SWIFT_SENDABLE
#define NS_SWIFT_NONISOLATED
#define NS_SWIFT_UI_ACTOR
#define NS_SWIFT_ASYNC(...)
#define NS_SWIFT_ASYNC_NAME(...)
#define NS_SWIFT_DISABLE_ASYNC
#define NS_REFINED_FOR_SWIFT
#define NS_SWIFT_NOTHROW
#define NS_AUTOMATED_REFCOUNT_UNAVAILABLE OBJC_ARC_UNAVAILABLE
#define NS_AUTOMATED_REFCOUNT_WEAK_UNAVAILABLE

typedef NS_CLOSED_ENUM(NSInteger, NSComparisonResult){
        NSOrderedAscending = -1L, NSOrderedSame, NSOrderedDescending};
typedef NS_OPTIONS(NSUInteger, NSEnumerationOptions){
        NSEnumerationConcurrent = 1UL << 0, NSEnumerationReverse = 1UL << 1};
typedef NS_OPTIONS(NSUInteger, NSSortOptions){
        NSSortConcurrent = 1UL << 0, NSSortStable = 1UL << 4};
typedef NS_ENUM(NSInteger, NSQualityOfService){NSQualityOfServiceUserInteractive = 0x21,
        NSQualityOfServiceUserInitiated = 0x19, NSQualityOfServiceUtility = 0x11,
        NSQualityOfServiceBackground = 0x09, NSQualityOfServiceDefault = -1};
#ifdef __BLOCKS__
typedef NSComparisonResult (^NSComparator)(id obj1, id obj2);
#endif

static const NSInteger NSNotFound = NSIntegerMax;
typedef double NSTimeInterval;
typedef struct _NSZone NSZone;

#ifndef MAX
#define MAX(a, b) \
    __extension__({ \
        __typeof__(a) max_a_ = (a); \
        __typeof__(b) max_b_ = (b); \
        max_a_ < max_b_ ? max_b_ : max_a_; \
    })
#endif
#ifndef MIN
#define MIN(a, b) \
    __extension__({ \
        __typeof__(a) min_a_ = (a); \
        __typeof__(b) min_b_ = (b); \
        min_a_ < min_b_ ? min_a_ : min_b_; \
    })
#endif
#ifndef ABS
#define ABS(a) \
    __extension__({ \
        __typeof__(a) abs_a_ = (a); \
        abs_a_ < 0 ? -abs_a_ : abs_a_; \
    })
#endif

#ifdef __OBJC__
@class NSString, Protocol;
FOUNDATION_EXPORT NSString *NSStringFromSelector(SEL selector);
FOUNDATION_EXPORT SEL NSSelectorFromString(NSString *name);
FOUNDATION_EXPORT NSString *NSStringFromClass(Class cls);
FOUNDATION_EXPORT Class NSClassFromString(NSString *name);
FOUNDATION_EXPORT NSString *NSStringFromProtocol(Protocol *protocol);
FOUNDATION_EXPORT Protocol *NSProtocolFromString(NSString *name);
FOUNDATION_EXPORT const char *NSGetSizeAndAlignment(
        const char *type, NSUInteger *size, NSUInteger *alignment);
FOUNDATION_EXPORT void NSLog(NSString *format, ...) NS_FORMAT_FUNCTION(1, 2);
FOUNDATION_EXPORT void NSLogv(NSString *format, va_list arguments) NS_FORMAT_FUNCTION(1, 0);
#endif

#endif
