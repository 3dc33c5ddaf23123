/* host: what a worker says of itself: one memory file a worker, written by the worker only, read by
 * the supervisor, who shows it. */
#ifndef ABX_HOST_STATS_H
#define ABX_HOST_STATS_H

#include "host/control/limits.h"

#include <stdatomic.h>

struct abx_client_stats {
    _Atomic uint32_t active;
    _Atomic uint32_t queues;
    _Atomic uint32_t waiting, compiling; /* command buffers and compiles that have not ended */
    char program[64];
    _Atomic uint64_t memory_used, command_buffers, failed_command_buffers, commands, kernels;
    _Atomic uint64_t busy_ns, compiles, compiles_cached, round_trips;
};

struct abx_worker_stats {
    char device[64];
    char lost[192]; /* why the worker ended itself; "" when it did not */
    _Atomic uint64_t memory_used;
    struct abx_client_stats clients[ABX_MAX_CLIENTS];
};

/* Exit status of a worker that ended itself; `lost` of its statistics says why. */
#define ABX_EXIT_FAULT 4

#endif
