/* backend/cpu: what the worker asks about kernels that misbehave. Guest code runs natively on the
 * threads of this backend. One that faults, or runs for too long, is left where it stands: a signal
 * handler jumps out of it, its command buffer fails, and the thread goes on with the next. That is
 * safe for us because kernels hold no lock and own nothing but memory that the next one overwrites;
 * it does not make a process trustworthy whose memory a kernel may have written to. */
#ifndef ABX_BACKEND_CPU_CPU_H
#define ABX_BACKEND_CPU_CPU_H

#include "backend/backend.h"

#include <signal.h>

/* The signal sent to threads whose kernel is to end: its handler, which is there already, calls
 * abx_cpu_stop(). 0, as at first: none, and kernels are not interrupted. */
void abx_cpu_use_signal(int number);

/* The submission whose kernel the calling thread is running, NULL when none. Async-signal-safe:
 * meant for the handler of SIGSEGV, SIGBUS, SIGFPE and SIGILL. */
struct abx_submission *abx_cpu_current_submission(void);

/* From the handler of a fault, on a thread's signal stack. When the thread is inside a kernel or a
 * copy, does not return: the command buffer fails with ABX_EXEC_PAGE_FAULT, its error_value being
 * the address (SIGSEGV, SIGBUS; else 0) and its error_limit the signal. `context` is the handler's.
 */
void abx_cpu_fault(const siginfo_t *info, const void *context);
/* From the handler of that signal: leaves the kernel, or returns when it is over. */
void abx_cpu_stop(const void *context);

/* A command buffer may use so many times the limit of one kernel: honest training puts minutes of
 * small ones into one. */
#define ABX_CPU_BUFFER_LIMIT 60u
/* Ends kernels that have used more than `limit_ns` of processor time on one thread: their command
 * buffers fail with ABX_EXEC_TIMEOUT, error_limit being the limit in milliseconds. Time in which
 * the thread waits for a processor does not count. Call every 100 ms or so, from one thread; the
 * signal must have a handler. What a kernel uses before the first call that sees it is free. */
void abx_cpu_watchdog(struct abx_device *device, uint64_t limit_ns);

#endif
