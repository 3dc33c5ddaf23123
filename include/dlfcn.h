/* <dlfcn.h>, with what macOS shows unasked and glibc where _GNU_SOURCE is defined. */
#pragma GCC system_header
#include_next <dlfcn.h>
#ifndef _ARCBOX_DLFCN_H_
#define _ARCBOX_DLFCN_H_
#if defined(__USE_MISC) && !defined(__USE_GNU)
#define RTLD_NEXT ((void *)-1l)
#define RTLD_DEFAULT ((void *)0)
typedef struct {
    const char *dli_fname;
    void *dli_fbase;
    const char *dli_sname;
    void *dli_saddr;
} Dl_info;
extern int dladdr(const void *address, Dl_info *info);
#endif
#endif
