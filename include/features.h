/* <features.h>, which glibc's headers read before all else. macOS's headers show all that they have, whatever
 * standard the compiler is told (-std=c99), unless the program itself asks for less: so do these. */
#pragma GCC system_header
#ifndef _ARCBOX_FEATURES_H_
#define _ARCBOX_FEATURES_H_
#if !defined(_ANSI_SOURCE) && (defined(_DARWIN_C_SOURCE) || !(defined(_POSIX_SOURCE) || defined(_POSIX_C_SOURCE) || defined(_XOPEN_SOURCE)))
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE 1
#endif
#ifndef __STDC_WANT_LIB_EXT2__
#define __STDC_WANT_LIB_EXT2__ 1 /* asprintf, vasprintf */
#endif
#endif
#endif
#include_next <features.h>
