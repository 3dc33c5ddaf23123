/* macOS's sysctl by name, for the hardware facts programs ask. */
#ifndef _ABX_SYS_SYSCTL_H_
#define _ABX_SYS_SYSCTL_H_
#include <stddef.h>
#include <sys/types.h>
#ifdef __cplusplus
extern "C" {
#endif
/* hw.memsize, hw.ncpu, hw.cputype, hw.physicalcpu, hw.logicalcpu, hw.activecpu, hw.pagesize, hw.cachelinesize,
 * hw.model, hw.machine, machdep.cpu.brand_string, kern.ostype, kern.osrelease, kern.osversion,
 * kern.osproductversion, kern.hostname. Others: -1, errno ENOENT. */
int sysctlbyname(
        const char *name, void *old, size_t *old_length, void *new_value, size_t new_length);
#ifdef __cplusplus
}
#endif
#endif
