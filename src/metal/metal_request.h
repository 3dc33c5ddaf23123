/* metal: compile requests. */
#ifndef ABX_METAL_REQUEST_H
#define ABX_METAL_REQUEST_H

#include "metal/metal_internal.h"
#include "wire/compile.h"

/* What the host's COMPILE takes: options, macros, source. options: a MTLCompileOptions or nil. */
void abx_metal_request_build(
        struct abx_string *request, const char *source, size_t bytes, id options);

#endif
