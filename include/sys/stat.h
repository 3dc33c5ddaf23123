/* <sys/stat.h>, and the names that a Mac has for a file's times. */
#pragma GCC system_header
#include_next <sys/stat.h>
#ifdef __USE_MISC
#define st_atimespec st_atim
#define st_mtimespec st_mtim
#define st_ctimespec st_ctim
#endif
