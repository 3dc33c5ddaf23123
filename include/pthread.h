/* <pthread.h> and what macOS has there beside it. */
#pragma GCC system_header
#if defined(__APPLE__) && !defined(__linux__) /* as sched.h says */
#include <sched.h>
#define cpu_set_t __arcbox_cpu_set_t
#define pthread_setaffinity_np __arcbox_pthread_setaffinity_np
#define pthread_getaffinity_np __arcbox_pthread_getaffinity_np
#endif
#include_next <pthread.h>
#if defined(__APPLE__) && !defined(__linux__)
#undef cpu_set_t
#undef pthread_setaffinity_np
#undef pthread_getaffinity_np
#endif
#ifndef _ARCBOX_PTHREAD_H_
#define _ARCBOX_PTHREAD_H_
#ifdef __cplusplus
extern "C" {
#endif
extern unsigned int pthread_mach_thread_np(pthread_t thread); /* the kernel's number of it; 0 when it has ended */
#ifdef __cplusplus
}
#endif
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
