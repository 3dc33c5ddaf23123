/* Sending messages by hand. Cast objc_msgSend to the method's own type before calling it. */
#ifndef _OBJC_MESSAGE_H
#define _OBJC_MESSAGE_H

#pragma GCC system_header /* clang has its own idea of objc_msgSend's type */

#include <objc/objc.h>
#include <objc/runtime.h>

#ifndef OBJC_SUPER
#define OBJC_SUPER
struct objc_super {
    __unsafe_unretained id receiver;
    __unsafe_unretained Class super_class;
};
#endif

#if !OBJC_OLD_DISPATCH_PROTOTYPES
OBJC_EXPORT void objc_msgSend(void);
OBJC_EXPORT void objc_msgSendSuper(void);
OBJC_EXPORT void objc_msgSendSuper2(void);
OBJC_EXPORT void objc_msgSend_noarg(void);
#if defined(__x86_64__)
OBJC_EXPORT void objc_msgSend_stret(void);
OBJC_EXPORT void objc_msgSendSuper_stret(void);
OBJC_EXPORT void objc_msgSendSuper2_stret(void);
OBJC_EXPORT void objc_msgSend_fpret(void);
OBJC_EXPORT void objc_msgSend_fp2ret(void);
#endif
OBJC_EXPORT void _objc_msgForward(void);
#if defined(__x86_64__)
OBJC_EXPORT void _objc_msgForward_stret(void);
#endif
#else
OBJC_EXPORT id objc_msgSend(id self, SEL op, ...);
OBJC_EXPORT id objc_msgSendSuper(struct objc_super *super, SEL op, ...);
OBJC_EXPORT id objc_msgSendSuper2(struct objc_super *super, SEL op, ...);
#if defined(__x86_64__)
OBJC_EXPORT void objc_msgSend_stret(id self, SEL op, ...);
OBJC_EXPORT void objc_msgSendSuper_stret(struct objc_super *super, SEL op, ...);
OBJC_EXPORT double objc_msgSend_fpret(id self, SEL op, ...);
#endif
OBJC_EXPORT id _objc_msgForward(id receiver, SEL sel, ...);
#endif

#endif
