#ifndef _MACHO_GETSECT_H_
#define _MACHO_GETSECT_H_

#include <mach-o/loader.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
/* What -sectcreate (arcbox-cc) put into the program or library that `header`, one of <mach-o/ldsyms.h> or
 * &__dso_handle, lies in; *size in bytes. NULL where there is none of the name, and for sections of the compiler's:
 * they have an ELF file's names. Valid while the library is loaded; any thread. */
extern uint8_t *getsectiondata(
        const struct mach_header_64 *header, const char *segment, const char *section, unsigned long *size);
#ifdef __cplusplus
}
#endif

#endif
