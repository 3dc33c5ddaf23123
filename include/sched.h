/* <sched.h>. macOS's has no sets of processors, and programs that are told they are on a Mac (and not on Linux) define cpu_set_t, CPU_SET()
 * and the like for themselves: glibc's stand back then. */
#pragma GCC system_header
#ifndef _ARCBOX_SCHED_H_
#define _ARCBOX_SCHED_H_
#if defined(__APPLE__) && !defined(__linux__)
#define cpu_set_t __arcbox_cpu_set_t
#endif
#include_next <sched.h>
#if defined(__APPLE__) && !defined(__linux__)
#undef cpu_set_t
#undef CPU_SET
#undef CPU_CLR
#undef CPU_ISSET
#undef CPU_ZERO
#undef CPU_COUNT
#endif
#endif
