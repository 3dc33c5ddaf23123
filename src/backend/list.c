/* backend: all there are, the default first. Tests link a list of their own (tests/backend/list.c).
 */
#include "backend/backend.h"

const struct abx_backend *const abx_backends[] = {
        &abx_backend_cuda, &abx_backend_cpu, &abx_backend_null, NULL};
