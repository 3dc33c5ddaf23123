/* host: what a tenant may use, and how many there may be. */
#ifndef ABX_HOST_LIMITS_H
#define ABX_HOST_LIMITS_H

#include "base/base.h"

#define ABX_MAX_CLIENTS 96u  /* of one worker: each owns a window of 2^40 of the 2^47 addresses */
#define ABX_MAX_TENANTS 256u /* of one daemon */
#define ABX_TENANT_NAME_BYTES 64u /* with the NUL; [A-Za-z0-9_.-], not starting with a dot */

/* Caps of one tenant. 0 in a request: the daemon's default. */
struct abx_control_limits {
    uint64_t memory_bytes; /* chunks and private buffers of all its clients; default: half of RAM */
    /* What of that lies in a device's own memory, when it is counted by itself; 0: it is not.
     * Default: as much as the device has, where memory_bytes is the default, else 0. */
    uint64_t device_bytes;
    /* Processor time of one thread in one kernel, which fails its command buffer when it uses
     * more; default 10 s. */
    uint64_t kernel_ns;
    uint32_t clients;         /* connections at once; default 64, at most ABX_MAX_CLIENTS */
    uint32_t compile_seconds; /* CPU seconds of one compile; default 60 */
    uint32_t threads;         /* of the cpu backend; default: one a CPU */
    uint32_t reserved;
};
/* Fills in what is 0. */
void abx_control_default_limits(struct abx_control_limits *limits);

#endif
