#ifndef _MACHO_DYLD_H_
#define _MACHO_DYLD_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
/* The program's path. -1, and *size as it must be, where it is too small. */
extern int _NSGetExecutablePath(char *path, uint32_t *size);
#ifdef __cplusplus
}
#endif

#endif
