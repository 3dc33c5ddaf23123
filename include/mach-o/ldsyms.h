#ifndef _MACHO_LDSYMS_H_
#define _MACHO_LDSYMS_H_

#include <mach-o/loader.h>

#ifdef __cplusplus
extern "C" {
#endif
/* The program or the library that this is compiled into. */
extern const struct mach_header_64 _mh_execute_header __asm__("__dso_handle");
extern const struct mach_header_64 _mh_dylib_header __asm__("__dso_handle");
extern const struct mach_header_64 _mh_bundle_header __asm__("__dso_handle");
#ifdef __cplusplus
}
#endif

#endif
