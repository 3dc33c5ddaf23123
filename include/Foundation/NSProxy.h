#ifndef ARCBOX_NSPROXY_H
#define ARCBOX_NSPROXY_H
#include <Foundation/NSInvocation.h>
#include <Foundation/NSObject.h>

#ifdef __OBJC__
/* What its subclasses do not answer goes through their methodSignatureForSelector: and forwardInvocation:. */
FOUNDATION_EXPORT NS_ROOT_CLASS
@interface NSProxy <NSObject> {
    Class isa;
}
+ (id)alloc;
+ (id)allocWithZone:(NSZone *)zone;
+ (Class)class;
- (void)forwardInvocation:(NSInvocation *)invocation;
- (NSMethodSignature *)methodSignatureForSelector:(SEL)selector;
- (void)dealloc;
+ (BOOL)respondsToSelector:(SEL)selector;
@property(readonly, copy) NSString *description;
@end
#endif

#endif
