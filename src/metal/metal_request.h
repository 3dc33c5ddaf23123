/* metal: compile requests, and libraries compiled before they are asked for. */
#ifndef ABX_METAL_REQUEST_H
#define ABX_METAL_REQUEST_H

#include "metal/metal_internal.h"
#include "wire/compile.h"

/* What the host's COMPILE takes: options, macros, source. options: a MTLCompileOptions or nil. */
void abx_metal_request_build(
        struct abx_string *request, const char *source, size_t bytes, id options);

/* Libraries MTLCompiler's build request made already, by their request: handing one over saves the
 * second trip. Takes the library's reference; gives it on. */
void abx_metal_request_keep(const void *request, size_t bytes, id library);
id abx_metal_request_take(id device, const void *request, size_t bytes);

#endif
