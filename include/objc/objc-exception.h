#ifndef _OBJC_EXCEPTION_H
#define _OBJC_EXCEPTION_H
#include <objc/objc.h>
OBJC_EXPORT void objc_exception_throw(id exception) __attribute__((noreturn));
OBJC_EXPORT void objc_exception_rethrow(void) __attribute__((noreturn));
OBJC_EXPORT id objc_begin_catch(void *exc_buf);
OBJC_EXPORT void objc_end_catch(void);
OBJC_EXPORT void objc_terminate(void) __attribute__((noreturn));
typedef void (*objc_uncaught_exception_handler)(id exception, void *context);
typedef void (*_abx_objc_uncaught_handler)(id exception);
OBJC_EXPORT _abx_objc_uncaught_handler objc_setUncaughtExceptionHandler(
        _abx_objc_uncaught_handler handler);
#endif
