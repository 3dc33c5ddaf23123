#include "host/control/limits.h"

#define DEFAULT_KERNEL_NS 10000000000ull
#define DEFAULT_CLIENTS 64u
#define DEFAULT_COMPILE_SECONDS 60u

void abx_control_default_limits(struct abx_control_limits *limits)
{
    if (!limits->memory_bytes) {
        limits->memory_bytes = abx_memory_limit() / 2;
        limits->device_bytes = UINT64_MAX;
    }
    if (!limits->kernel_ns)
        limits->kernel_ns = DEFAULT_KERNEL_NS;
    if (!limits->clients)
        limits->clients = DEFAULT_CLIENTS;
    if (limits->clients > ABX_MAX_CLIENTS)
        limits->clients = ABX_MAX_CLIENTS;
    if (!limits->compile_seconds)
        limits->compile_seconds = DEFAULT_COMPILE_SECONDS;
}
