/* backend/cpu: what the worker asks about kernels that misbehave. Guest code runs natively on the
 * threads of this backend; when it faults or never ends, only the process can be ended. Before
 * that, the worker uses these to fail the right command buffers. */
#ifndef ABX_BACKEND_CPU_CPU_H
#define ABX_BACKEND_CPU_CPU_H

#include "backend/backend.h"

/* The submission whose kernel the calling thread is running, NULL when none. Async-signal-safe:
 * meant for the handler of SIGSEGV, SIGBUS, SIGFPE and SIGILL. */
struct abx_submission *abx_cpu_current_submission(void);

struct abx_cpu_running {
    struct abx_submission *submission;
    uint64_t since_ns; /* CLOCK_MONOTONIC: when the dispatch running now began */
};

/* What each thread of the device runs now: at most `capacity` entries, one a thread that runs a
 * kernel (several can name one submission). Returns their number. For a watchdog; any thread,
 * async-signal-safe. An entry can be over by the time it is read: compare two readings, and take no
 * lock that done() takes before naming a submission dead. */
size_t abx_cpu_running(
        struct abx_device *device, struct abx_cpu_running *ret_running, size_t capacity);

#endif
