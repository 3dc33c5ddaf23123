/* <pthread.h> and what macOS has there beside it. */
#pragma GCC system_header
#include_next <pthread.h>
#ifndef _ARCBOX_PTHREAD_H_
#define _ARCBOX_PTHREAD_H_
#ifdef __USE_MISC
#ifndef __USE_GNU
extern int pthread_setname_np(pthread_t thread, const char *name);
extern int pthread_getname_np(pthread_t thread, char *name, size_t size);
#endif
#ifdef __cplusplus
#define _ARCBOX_OVERLOAD inline
#elif defined(__clang__)
#define _ARCBOX_OVERLOAD static inline __attribute__((overloadable))
#endif
#ifdef _ARCBOX_OVERLOAD
/* macOS's names the calling thread. A name that is too long here (over 15 bytes) is refused with ERANGE. */
_ARCBOX_OVERLOAD int pthread_setname_np(const char *name)
{
    return pthread_setname_np(pthread_self(), name);
}
#undef _ARCBOX_OVERLOAD
#endif
#endif
#endif
