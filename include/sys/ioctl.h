/* <sys/ioctl.h>, and BSD's names for a terminal's settings. The kernel's structure is the beginning of glibc's, so what
 * was read can be changed and set again; speeds are not in it. */
#pragma GCC system_header
#include_next <sys/ioctl.h>
#define TIOCGETA TCGETS
#define TIOCSETA TCSETS
#define TIOCSETAW TCSETSW
#define TIOCSETAF TCSETSF
