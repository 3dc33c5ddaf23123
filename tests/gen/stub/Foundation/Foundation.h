/* The least of Foundation that the Metal headers mention, so that their encodings can be compared
 * for any processor without building the guest library. */
#pragma once
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef int int32_t;
typedef long int64_t;
typedef unsigned long uint64_t;
typedef unsigned long NSUInteger;
typedef long NSInteger;
#if defined(__aarch64__)
typedef _Bool BOOL;
#else
typedef signed char BOOL;
#endif
typedef double NSTimeInterval, CFTimeInterval;
typedef struct _NSRange {
    NSUInteger location, length;
} NSRange;
typedef struct _NSZone NSZone;
@protocol NSObject
@end
@protocol NSCopying
@end
@protocol NSSecureCoding
@end
__attribute__((objc_root_class)) @interface NSObject <NSObject>
@end
@interface NSArray<__covariant T> : NSObject
@end
@interface NSDictionary<__covariant K, __covariant V> : NSObject
@end
@class NSString, NSError, NSURL, NSBundle, NSData;
typedef NSString *NSErrorDomain, *NSErrorUserInfoKey;
@protocol OS_dispatch_queue;
@protocol OS_dispatch_data;
typedef NSObject<OS_dispatch_queue> *dispatch_queue_t;
typedef NSObject<OS_dispatch_data> *dispatch_data_t;
