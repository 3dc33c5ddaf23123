/* <string.h> and what macOS has there beside it. */
#pragma GCC system_header
#include_next <string.h>
#ifndef _ARCBOX_STRING_H_
#define _ARCBOX_STRING_H_

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__USE_MISC) && !(defined(__GLIBC_PREREQ) && __GLIBC_PREREQ(2, 38))
extern size_t strlcpy(char *to, const char *from, size_t size);
extern size_t strlcat(char *to, const char *from, size_t size);
#endif
#if defined(__USE_MISC) && !defined(__USE_GNU)
extern void *memmem(const void *all, size_t size, const void *part, size_t part_size);
extern char *strcasestr(const char *text, const char *part);
#endif
#ifdef __USE_MISC
extern char *strnstr(const char *text, const char *part, size_t length);
extern void memset_pattern4(void *to, const void *pattern4, size_t length);
extern void memset_pattern8(void *to, const void *pattern8, size_t length);
extern void memset_pattern16(void *to, const void *pattern16, size_t length);
#endif
#ifdef __cplusplus
}
#endif

#endif
