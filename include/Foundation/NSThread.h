#ifndef _FOUNDATION_NSTHREAD_H_
#define _FOUNDATION_NSTHREAD_H_

#import <Foundation/NSDate.h>
#import <Foundation/NSDictionary.h>

#ifdef __OBJC__
@interface NSThread : NSObject
@property(class, readonly, strong) NSThread *currentThread;
@property(class, readonly, strong) NSThread *mainThread;
@property(class, readonly) BOOL isMainThread;
@property(readonly) BOOL isMainThread;
+ (BOOL)isMultiThreaded;
@property(readonly, retain) NSMutableDictionary *threadDictionary;
@property(copy) NSString *name;
+ (void)sleepForTimeInterval:(NSTimeInterval)interval;
+ (void)sleepUntilDate:(NSDate *)date;
+ (void)detachNewThreadSelector:(SEL)selector toTarget:(id)target withObject:(id)argument;
- (instancetype)initWithTarget:(id)target selector:(SEL)selector object:(id)argument;
#ifdef __BLOCKS__
+ (void)detachNewThreadWithBlock:(void (^)(void))block;
- (instancetype)initWithBlock:(void (^)(void))block;
#endif
- (void)main;
- (void)start;
- (void)cancel;
@property(readonly, getter=isExecuting) BOOL executing;
@property(readonly, getter=isFinished) BOOL finished;
@property(readonly, getter=isCancelled) BOOL cancelled;
@property NSQualityOfService qualityOfService;
@property NSUInteger stackSize;
@end
#endif

#endif
