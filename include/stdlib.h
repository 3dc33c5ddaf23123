/* <stdlib.h>. macOS's qsort_r() has its arguments in another order than glibc's, and programs that are told they are on a
 * Mac (and not on Linux) call that one, or declare it themselves. */
#pragma GCC system_header
#if defined(__APPLE__) && !defined(__linux__) && !defined(__cplusplus)
#define qsort_r __arcbox_gnu_qsort_r
#endif
#include_next <stdlib.h>
#if defined(__APPLE__) && !defined(__linux__)
#ifndef __cplusplus
#undef qsort_r
#endif
#ifndef _ARCBOX_STDLIB_H_
#define _ARCBOX_STDLIB_H_
/* In C++ beside glibc's, which <cstdlib> may have brought. */
extern void qsort_r(void *base, size_t count, size_t size, void *context,
        int (*compare)(void *context, const void *a, const void *b)) __asm__("arcbox_bsd_qsort_r");
#endif
#endif
