/* metal: libraries the compiler service made, until newLibraryWithData: asks for them: handing one
 * over saves the second trip to the host. Runs in the guest's process. Any thread. */
#ifndef ABX_METAL_PRECOMPILED_H
#define ABX_METAL_PRECOMPILED_H

#include "wire/client.h"

/* Takes over the library and what compiling gave (its reflection is malloc()ed). */
void abx_precompiled_keep(struct abx_client *client, const void *request, size_t bytes,
        abx_handle library, const struct abx_client_compile *compiled);
/* True when there was one made from the same request: it is the caller's then. */
bool abx_precompiled_take(struct abx_client *client, const void *request, size_t bytes,
        abx_handle *ret_library, struct abx_client_compile *ret_compiled);

#endif
