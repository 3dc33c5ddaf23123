/* metal: files that a program keeps between runs: whole or not at all. Runs in the guest's
 * process. */
#ifndef ABX_METAL_FILE_H
#define ABX_METAL_FILE_H

#include "base/base.h"

/* Appends the SHA-256 of `content` to it and puts it in the place of `path`, whose old file stays
 * when that fails. 0 or -errno. */
int abx_metal_file_write(const char *path, struct abx_string *content);
/* The content again: malloc()ed. -EBADMSG: it was cut off or changed. */
int abx_metal_file_read(const char *path, size_t cap, void **ret_data, size_t *ret_bytes);

#endif
