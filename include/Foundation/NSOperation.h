#ifndef _FOUNDATION_NSOPERATION_H_
#define _FOUNDATION_NSOPERATION_H_

#import <Foundation/NSArray.h>
#import <Foundation/NSString.h>
#include <dispatch/dispatch.h>

#ifdef __OBJC__
typedef NS_ENUM(NSInteger, NSOperationQueuePriority) {
    NSOperationQueuePriorityVeryLow = -8,
    NSOperationQueuePriorityLow = -4,
    NSOperationQueuePriorityNormal = 0,
    NSOperationQueuePriorityHigh = 4,
    NSOperationQueuePriorityVeryHigh = 8
};
enum { NSOperationQueueDefaultMaxConcurrentOperationCount = -1 };

@interface NSOperation : NSObject
- (void)start;
- (void)main;
- (void)cancel;
@property(readonly, getter=isCancelled) BOOL cancelled;
@property(readonly, getter=isExecuting) BOOL executing;
@property(readonly, getter=isFinished) BOOL finished;
@property(readonly, getter=isConcurrent) BOOL concurrent;
@property(readonly, getter=isAsynchronous) BOOL asynchronous;
@property(readonly, getter=isReady) BOOL ready;
- (void)addDependency:(NSOperation *)operation;
- (void)removeDependency:(NSOperation *)operation;
@property(readonly, copy) NSArray<NSOperation *> *dependencies;
@property NSOperationQueuePriority queuePriority;
#ifdef __BLOCKS__
@property(copy) void (^completionBlock)(void);
#endif
- (void)waitUntilFinished;
@property NSQualityOfService qualityOfService;
@property(copy) NSString *name;
/* How a subclass that ends after start has returned says that isFinished changed. */
- (void)willChangeValueForKey:(NSString *)key;
- (void)didChangeValueForKey:(NSString *)key;
@end

#ifdef __BLOCKS__
@interface NSBlockOperation : NSOperation
+ (instancetype)blockOperationWithBlock:(void (^)(void))block;
- (void)addExecutionBlock:(void (^)(void))block;
@property(readonly, copy) NSArray *executionBlocks;
@end
#endif

@interface NSOperationQueue : NSObject
@property(class, readonly, strong) NSOperationQueue *mainQueue;
@property(class, readonly, strong) NSOperationQueue *currentQueue;
- (void)addOperation:(NSOperation *)operation;
- (void)addOperations:(NSArray<NSOperation *> *)operations waitUntilFinished:(BOOL)wait;
#ifdef __BLOCKS__
- (void)addOperationWithBlock:(void (^)(void))block;
#endif
@property NSInteger maxConcurrentOperationCount;
@property(getter=isSuspended) BOOL suspended;
@property(copy) NSString *name;
@property NSQualityOfService qualityOfService;
@property(assign) dispatch_queue_t underlyingQueue;
@property(readonly) NSUInteger operationCount;
- (void)cancelAllOperations;
- (void)waitUntilAllOperationsAreFinished;
@end
#endif

#endif
