#ifndef _FOUNDATION_NSOBJECT_H_
#define _FOUNDATION_NSOBJECT_H_

#import <Foundation/NSObjCRuntime.h>
#import <objc/NSObject.h>

#ifdef __OBJC__
@class NSInvocation, NSMethodSignature, NSCoder, NSString, NSArray, NSDictionary, NSSet;

@protocol NSCopying
- (id)copyWithZone:(NSZone *)zone;
@end
@protocol NSMutableCopying
- (id)mutableCopyWithZone:(NSZone *)zone;
@end
@protocol NSCoding
@end
@protocol NSSecureCoding <NSCoding>
@end
@protocol NSLocking
- (void)lock;
- (void)unlock;
@end

@interface NSObject (NSKeyValueCoding)
- (id)valueForKey:(NSString *)key;
- (id)valueForKeyPath:(NSString *)path;
- (id)valueForUndefinedKey:(NSString *)key;
- (void)setValue:(id)value forKey:(NSString *)key;
@property(readonly, copy) NSString *className;
@end

@interface NSMethodSignature : NSObject
+ (NSMethodSignature *)signatureWithObjCTypes:(const char *)types;
@property(readonly) NSUInteger numberOfArguments;
- (const char *)getArgumentTypeAtIndex:(NSUInteger)index;
@property(readonly) const char *methodReturnType;
@end

FOUNDATION_EXPORT id NSAllocateObject(Class cls, NSUInteger extraBytes, NSZone *zone)
        NS_AUTOMATED_REFCOUNT_UNAVAILABLE;
FOUNDATION_EXPORT void NSDeallocateObject(id object) NS_AUTOMATED_REFCOUNT_UNAVAILABLE;
#endif

#endif
