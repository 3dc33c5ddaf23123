/* tests/backend: see rig.h. */
#include "rig.h"

const struct abx_backend *const rig_suite_backend = &abx_backend_cpu;
