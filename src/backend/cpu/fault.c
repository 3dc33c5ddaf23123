/* backend/cpu: leaving kernels that fault or run too long. Worker process; signal handlers, the
 * watchdog's thread and the threads of executors. The kernel is the guest's and may have written to
 * anything in this process, whose only use it is to run that guest's kernels.
 *
 * A kernel that faults, or runs for too long, is left where it stands: a signal handler jumps out
 * of it, its command buffer fails, and the thread goes on with the next. That is safe for us
 * because kernels hold no lock and own nothing but memory that the next one overwrites; it does not
 * make a process trustworthy whose memory a kernel may have written to. */
#include "backend/cpu/cpu_internal.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* A command buffer may use so many times the limit of one kernel: honest training puts minutes of
 * small ones into one. */
#define BUFFER_LIMIT 60u

static _Thread_local struct abx_cpu_executor *current;
static _Atomic int stop_signal;

void abx_cpu_executor_bind(struct abx_cpu_executor *e)
{
    stack_t stack = {.ss_sp = e->signal_stack, .ss_size = sizeof e->signal_stack}, old;
    if (sigaltstack(NULL, &old) == 0 && (old.ss_flags & SS_DISABLE))
        sigaltstack(&stack, NULL);
    e->guard.thread = (int)syscall(SYS_gettid);
    if (atomic_load(&stop_signal)) { /* the program's thread that made this one may block all */
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, atomic_load(&stop_signal));
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
    current = e;
}

void abx_cpu_executor_unbind(struct abx_cpu_executor *e)
{
    stack_t off = {.ss_flags = SS_DISABLE};
    if (current != e)
        return;
    current = NULL;
    sigaltstack(&off, NULL);
}

static struct abx_submission *running(void)
{
    return current ? atomic_load_explicit(&current->submission, memory_order_relaxed) : NULL;
}

static void jump(struct abx_cpu_guard *g, int error, uint64_t value, uint64_t limit)
{
    g->armed = false;
    g->error = error;
    g->value = value;
    g->limit = limit;
    siglongjmp(g->landing, 1);
}

static bool is_overdue(const struct abx_cpu_guard *g)
{
    return atomic_load_explicit(&g->overdue, memory_order_acquire) ==
           atomic_load_explicit(&g->turn, memory_order_relaxed);
}

bool abx_cpu_arm_job(struct abx_cpu_executor *e, struct abx_cpu_job *job)
{
    abx_cpu_arm(e);
    /* Armed first: whoever fails the job looks for armed threads after that. */
    if (abx_cpu_cancelled(job->cancel))
        jump(&e->guard, ABX_EXEC_DEVICE_REMOVED, 0, 0);
    if (is_overdue(&e->guard))
        jump(&e->guard, ABX_EXEC_TIMEOUT, 0, e->guard.limit_ms);
    if (!atomic_load_explicit(&job->failed, memory_order_relaxed))
        return true;
    abx_cpu_disarm(e);
    return false;
}

/* ---- in handlers */

static void leave(
        struct abx_cpu_guard *g, const void *context, int error, uint64_t value, uint64_t limit)
{
    /* The landing keeps no mask, since that would be a system call for every dispatch. */
    pthread_sigmask(SIG_SETMASK, &((const ucontext_t *)context)->uc_sigmask, NULL);
    jump(g, error, value, limit);
}

static void fault(const siginfo_t *info, const void *context)
{
    if (!current || !current->guard.armed)
        return;
    bool memory = info->si_signo == SIGSEGV || info->si_signo == SIGBUS;
    leave(&current->guard, context, ABX_EXEC_PAGE_FAULT,
            memory ? (uint64_t)(uintptr_t)info->si_addr : 0, (uint64_t)info->si_signo);
}

static void stop(const void *context)
{
    struct abx_cpu_guard *g = current ? &current->guard : NULL;
    if (!g || !g->armed || g->faults_only)
        return;
    if (abx_cpu_cancelled(g->cancel)) /* a copy, too */
        leave(g, context, ABX_EXEC_DEVICE_REMOVED, 0, 0);
    if (!g->job)
        return;
    int failed = (int)atomic_load(&g->job->failed);
    if (is_overdue(g))
        leave(g, context, ABX_EXEC_TIMEOUT, 0, g->limit_ms);
    if (failed) /* another thread of the job faulted */
        leave(g, context, failed, 0, 0);
}

/* ---- after the jump */

static void use_signal(int number)
{
    atomic_store(&stop_signal, number);
}

static void signal_thread(const struct abx_cpu_executor *e)
{
    int number = atomic_load(&stop_signal);
    if (!number)
        return;
    /* A thread that is gone meanwhile, or in another job, takes no notice. */
    syscall(SYS_tgkill, getpid(), e->guard.thread, number);
}

int abx_cpu_landed(struct abx_device *device, struct abx_cpu_executor *e, struct abx_cpu_job *job)
{
    uint32_t none = ABX_EXEC_OK;
    int error = e->guard.error;
    if (e->guard.faults_only) {
        e->guard.faults_only = false;
        abx_cpu_matrix_left();
    }
    if (!job || !atomic_compare_exchange_strong(&job->failed, &none, (uint32_t)error))
        return error;
    job->error_value = e->guard.value;
    job->error_limit = e->guard.limit;
    /* The others may be waiting for what this thread will not do any more. */
    abx_cpu_interrupt(device, job->submission);
    return error;
}

void abx_cpu_interrupt(struct abx_device *device, const struct abx_submission *submission)
{
    pthread_mutex_lock(&device->lock);
    for (size_t i = 0; i < device->executor_end; i++) {
        struct abx_cpu_executor *e = atomic_load(&device->executors[i]);
        if (e && e != current && atomic_load(&e->submission) == submission)
            signal_thread(e);
    }
    pthread_mutex_unlock(&device->lock);
}

/* ---- the watchdog */

/* Processor time of a thread of this process, 0 when it is gone. The clock's number is the thread's
 * (see clock_getcpuclockid): pthread_getcpuclockid() may not be asked about one that has ended. */
static uint64_t thread_time_ns(int thread)
{
    enum { SCHEDULED = 2, OF_A_THREAD = 4 };
    struct timespec t;
    clockid_t clock = (clockid_t)((~(unsigned)thread << 3) | SCHEDULED | OF_A_THREAD);
    if (clock_gettime(clock, &t) < 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void watch(struct abx_cpu_executor *e, uint64_t limit_ns)
{
    struct abx_cpu_guard *g = &e->guard;
    if (!atomic_load(&e->submission))
        return;
    uint64_t turn = atomic_load(&g->turn), now = thread_time_ns(g->thread);
    if (!now)
        return;
    if (g->seen_turn != turn) {
        g->seen_turn = turn;
        g->seen_ns = now;
    } else if (now - g->seen_ns > limit_ns) {
        g->limit_ms = limit_ns / 1000000u;
        atomic_store(&g->overdue, turn);
        signal_thread(e);
    }
}

/* Time in which a thread waits for a processor does not count; what a kernel uses before the first
 * call that sees it is free. */
void abx_cpu_watchdog(struct abx_device *device, uint64_t limit_ns)
{
    atomic_store(&device->buffer_limit_ns, limit_ns * BUFFER_LIMIT);
    pthread_mutex_lock(&device->lock); /* no executor goes away meanwhile */
    for (size_t i = 0; i < device->executor_end; i++) {
        struct abx_cpu_executor *e = atomic_load(&device->executors[i]);
        if (e)
            watch(e, limit_ns);
    }
    pthread_mutex_unlock(&device->lock);
}

const struct abx_native_ops abx_cpu_native_ops = {
        .use_signal = use_signal,
        .stop = stop,
        .fault = fault,
        .running = running,
};
