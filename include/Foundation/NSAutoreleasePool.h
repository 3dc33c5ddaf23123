#ifndef _FOUNDATION_NSAUTORELEASEPOOL_H_
#define _FOUNDATION_NSAUTORELEASEPOOL_H_

#import <Foundation/NSObject.h>

#ifdef __OBJC__
NS_AUTOMATED_REFCOUNT_UNAVAILABLE
@interface NSAutoreleasePool : NSObject
+ (void)addObject:(id)object;
- (void)addObject:(id)object;
- (void)drain;
@end
#endif

#endif
