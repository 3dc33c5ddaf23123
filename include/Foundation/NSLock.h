#ifndef _FOUNDATION_NSLOCK_H_
#define _FOUNDATION_NSLOCK_H_

#import <Foundation/NSObject.h>

#ifdef __OBJC__
@class NSDate, NSString;

@interface NSLock : NSObject <NSLocking>
- (BOOL)tryLock;
- (BOOL)lockBeforeDate:(NSDate *)limit;
@property(copy) NSString *name;
@end

@interface NSRecursiveLock : NSObject <NSLocking>
- (BOOL)tryLock;
- (BOOL)lockBeforeDate:(NSDate *)limit;
@property(copy) NSString *name;
@end

@interface NSCondition : NSObject <NSLocking>
- (void)wait;
- (BOOL)waitUntilDate:(NSDate *)limit;
- (void)signal;
- (void)broadcast;
@property(copy) NSString *name;
@end
#endif

#endif
