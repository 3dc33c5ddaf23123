#ifndef _FOUNDATION_NSTIMER_H_
#define _FOUNDATION_NSTIMER_H_

#import <Foundation/NSDate.h>

#ifdef __OBJC__
@interface NSTimer : NSObject
+ (NSTimer *)timerWithTimeInterval:(NSTimeInterval)interval target:(id)target selector:(SEL)selector userInfo:(id)userInfo repeats:(BOOL)repeats;
+ (NSTimer *)scheduledTimerWithTimeInterval:(NSTimeInterval)interval target:(id)target selector:(SEL)selector userInfo:(id)userInfo repeats:(BOOL)repeats;
#ifdef __BLOCKS__
+ (NSTimer *)timerWithTimeInterval:(NSTimeInterval)interval repeats:(BOOL)repeats block:(void (^)(NSTimer *timer))block;
+ (NSTimer *)scheduledTimerWithTimeInterval:(NSTimeInterval)interval repeats:(BOOL)repeats block:(void (^)(NSTimer *timer))block;
#endif
- (void)fire;
- (void)invalidate;
@property(readonly, getter=isValid) BOOL valid;
@property(readonly) NSTimeInterval timeInterval;
@property(copy) NSDate *fireDate;
@property NSTimeInterval tolerance;
@property(readonly, retain) id userInfo;
@end
#endif

#endif
