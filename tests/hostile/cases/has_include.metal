// wants: runs
#if __has_include("/etc/passwd") || __has_include(</usr/include/stdio.h>) || __has_include(<stdio.h>)
#error a file of the host is seen
#endif
#if __has_include("/proc/self/exe") || __has_include_next("/etc/passwd")
#error a file of the host is seen
#endif
#ifdef __has_embed
#if __has_embed("/etc/passwd")
#error a file of the host is seen
#endif
#endif
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
