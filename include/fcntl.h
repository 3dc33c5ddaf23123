/* <fcntl.h> and what macOS's fcntl() has beside it: how a file is to be read, and that it is to be on the disk.
 * For arcbox-cc alone, which links the library that has it: what else sees this folder may not. */
#pragma GCC system_header
#if defined(ARCBOX_AVAILABLE_H) && !defined(_ARCBOX_FCNTL_H_)
#define fcntl __arcbox_gnu_fcntl /* which may be fcntl64() by another name already */
#endif
#include_next <fcntl.h>
#if defined(ARCBOX_AVAILABLE_H) && !defined(_ARCBOX_FCNTL_H_)
#define _ARCBOX_FCNTL_H_
#undef fcntl
#define F_RDADVISE 44  /* struct radvisory *: what will be read */
#define F_RDAHEAD 45   /* int: whether more is read than was asked for */
#define F_NOCACHE 48   /* int: accepted, and what was read is kept all the same */
#define F_FULLFSYNC 51 /* as fsync() */
struct radvisory {
    off_t ra_offset;
    int ra_count; /* bytes */
};
#ifdef __cplusplus
extern "C"
#endif
extern int fcntl(int file, int command, ...) __asm__("arcbox_fcntl");
#endif
