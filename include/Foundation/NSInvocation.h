#ifndef ARCBOX_NSINVOCATION_H
#define ARCBOX_NSINVOCATION_H
#include <Foundation/NSObject.h>

#ifdef __OBJC__
/* Up to 16 arguments: numbers, pointers, objects and structures. Structures with floating point in them of up
 * to 16 bytes, unions, and results of more than 16 bytes raise NSInvalidArgumentException by name. */
@interface NSInvocation : NSObject
+ (NSInvocation *)invocationWithMethodSignature:(NSMethodSignature *)signature;
@property(readonly, retain) NSMethodSignature *methodSignature;
@property(assign) id target; /* nil: invoke does nothing */
@property SEL selector;
@property(readonly) BOOL argumentsRetained;
- (void)retainArguments; /* objects are retained, C strings copied, until the invocation goes */
/* Index 0 is the target, 1 the selector. As many bytes as the argument's type has. */
- (void)setArgument:(void *)value atIndex:(NSInteger)index;
- (void)getArgument:(void *)value atIndex:(NSInteger)index;
- (void)setReturnValue:(void *)value;
- (void)getReturnValue:(void *)value;
- (void)invoke;
- (void)invokeWithTarget:(id)target;
@end
#endif

#endif
