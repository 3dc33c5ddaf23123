/* metal: library data that carries its source. What Apple's compiler calls return is a file that
 * starts with "MTLB" and ends with "ENDT"; ours has the same ends, and between them the compile
 * request, so that newLibraryWithData:error: compiles it on the host with the options it was made
 * with. Several such data one after the other are one library, as Apple's linker makes one of
 * several files (scripts/xcrun). */
#ifndef ABX_METAL_SOURCE_LIBRARY_H
#define ABX_METAL_SOURCE_LIBRARY_H

#include "base/base.h"

/* Bytes that wrap() needs for a request of this length. */
size_t abx_source_library_bytes(size_t request_bytes);
/* Writes the library data of a compile request (struct abx_shader_options, macros, source) to `to`,
 * which has abx_source_library_bytes() bytes. */
void abx_source_library_wrap(void *to, const void *request, size_t request_bytes);
/* Finds the first request in library data, of any alignment; it points into `data`. *ret_used: the
 * bytes of data that are its own; more, if there are, begin another. -EBADMSG: not library data, or
 * damaged. -ENOTSUP: a library compiled by Apple's tools, without source. */
int abx_source_library_unwrap(const void *data, size_t bytes, const void **ret_request,
        size_t *ret_bytes, size_t *ret_used);

#endif
