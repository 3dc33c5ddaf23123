/* tests: the list of backends of arcboxd-test, in the place of src/backend/list.c. */
#include "discrete.h"

const struct abx_backend *const abx_backends[] = {
        &abx_backend_cpu, &abx_backend_null, &discrete_backend, &elsewhere_backend, NULL};
