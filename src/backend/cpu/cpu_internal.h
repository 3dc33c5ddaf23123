/* backend/cpu, private. Threads: one a queue (queue.c), which runs the queue's submissions in
 * order, and the pool's helpers (pool.c), which take threadgroups of big dispatches. Each owns an
 * executor: the memory a threadgroup needs while it runs. */
#ifndef ABX_BACKEND_CPU_INTERNAL_H
#define ABX_BACKEND_CPU_INTERNAL_H

#include "backend/backend.h"
#include "backend/cpu/object.h"
#include "shader/shim/markers.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>

#define ABX_CPU_MAX_THREADS 256u
/* A thread each; queues past that have command buffers that fail. */
#define ABX_CPU_MAX_EXECUTORS 4096u
/* Threadgroup arguments start on lines of their own. */
#define ABX_CPU_GROUP_ALIGN 128u
#define ABX_CPU_GROUP_MEMORY                                                                       \
    (2u * ABX_MAX_THREADGROUP_BYTES + ABX_MAX_THREADGROUP_BINDINGS * ABX_CPU_GROUP_ALIGN)
/* Private memory of all threads of a threadgroup that waits at a barrier. */
#define ABX_CPU_MAX_FRAMES (256ull << 20)
/* Kernels without barriers keep private memory on the thread's stack. */
#define ABX_CPU_STACK_BYTES (16ull << 20)
/* A kernel that overflows it must still find a stack to run the fault handler on. Registers saved
 * there take up to 11 KB (AMX). */
#define ABX_CPU_SIGNAL_STACK_BYTES (64u << 10)

struct abx_pipeline {
    struct abx_code code;
    struct abx_cpu_code info;
    struct abx_cpu_object object;
    _Atomic uint32_t group_cost; /* pool.c */
};

enum abx_cpu_owner {
    ABX_CPU_IMPORTED, /* both sides' */
    ABX_CPU_PLACED,   /* ours, in a window */
    ABX_CPU_OWN,      /* ours */
};

struct abx_device_memory {
    char *address;
    uint64_t bytes;
    enum abx_cpu_owner owner;
};

/* Of a queue: submissions numbered below `cancelled` are to end at once. */
struct abx_cpu_cancel {
    _Atomic uint64_t cancelled, finished;
};
static inline bool abx_cpu_cancelled(const struct abx_cpu_cancel *c)
{
    return atomic_load_explicit(&c->cancelled, memory_order_acquire) >
           atomic_load_explicit(&c->finished, memory_order_relaxed);
}

/* fault.c: how a thread leaves a kernel before its end. */
struct abx_cpu_guard {
    sigjmp_buf landing;  /* set before `armed` */
    volatile bool armed; /* inside code that may be left: the thread's own, and its handlers' */
    volatile bool faults_only; /* of that: left for faults, and not for what others want */
    int thread;                /* its kernel id */
    struct abx_cpu_job *job;
    const struct abx_cpu_cancel *cancel; /* of the queue it works for */
    _Atomic uint64_t turn;               /* counts the jobs entered */
    _Atomic uint64_t overdue;            /* the turn that is to end */
    uint64_t limit_ms;
    uint64_t seen_turn, seen_ns; /* the watchdog's: processor time when it first saw this turn */
    /* why it was left */
    int error;
    uint64_t value, limit;
};

/* A threadgroup that is under way beside others (resident.c). */
struct abx_cpu_group {
    struct abx_kernel_call call;
    char *group_memory, *frames;
    size_t frame_bytes;
    uint32_t count; /* coroutines; 0: no threadgroup */
    void *handles[ABX_MAX_THREADS_PER_THREADGROUP];
    struct abx_kernel_lane lanes[ABX_MAX_THREADS_PER_THREADGROUP];
};
/* Threadgroups that one thread keeps under way when they wait for each other: more than any kernel
 * that counts on it may start, since GPUs hold some tens for each core. */
#define ABX_CPU_MAX_RESIDENT 256u

struct abx_cpu_executor {
    struct abx_cpu_group *resident[ABX_CPU_MAX_RESIDENT]; /* made when first needed */
    struct abx_kernel_call call;
    char *group_memory; /* ABX_CPU_GROUP_MEMORY; static variables first */
    char *frames;
    size_t frame_bytes;
    void *handles[ABX_MAX_THREADS_PER_THREADGROUP];
    struct abx_kernel_lane lanes[ABX_MAX_THREADS_PER_THREADGROUP];
    _Atomic(struct abx_submission *) submission;
    uint64_t client; /* whose kernels ran here last */
    struct abx_cpu_guard guard;
    uint64_t clock_ns; /* when the command before ended; 0: look at the clock, a tenth of what a
                        * small dispatch costs */
    char signal_stack[ABX_CPU_SIGNAL_STACK_BYTES];
};

/* One dispatch being run. */
struct abx_cpu_job {
    const struct abx_cpu_cancel *cancel;
    struct abx_pipeline *pipeline;
    struct abx_submission *submission;
    struct abx_kernel_call call; /* group memory addresses are each executor's own */
    uint32_t group_offset[ABX_MAX_THREADGROUP_BINDINGS]; /* ~0: none */
    uint64_t groups, chunk;
    _Atomic uint64_t next; /* of those that one thread, or one counter, hands out */
    /* Once it is shared out (share.c), by thread: chunks, of those that begin at `next`. */
    _Atomic uint64_t share[ABX_CPU_MAX_THREADS + 1];
    unsigned shares;                   /* 0: not shared out */
    _Atomic uint32_t failed;           /* enum abx_exec_error: nothing more is begun */
    uint64_t error_value, error_limit; /* of the thread that failed it */
    /* under the pool's lock */
    unsigned helpers;
    bool posted;
    _Atomic uint32_t idle; /* futex: no helper is inside */
    struct abx_cpu_job *next_job;
};

struct abx_cpu_pool {
    pthread_mutex_t lock;
    struct abx_cpu_job *jobs;
    _Atomic uint32_t epoch; /* futex: raised by each post */
    _Atomic uint32_t sleepers;
    _Atomic unsigned started; /* helpers, which have numbers by that */
    _Atomic bool stop;
    unsigned count, spin;
    pthread_t threads[ABX_CPU_MAX_THREADS];
};

struct abx_device {
    struct abx_device_config config;
    struct abx_cpu_pool pool;
    pthread_mutex_t lock; /* executors */
    _Atomic(struct abx_cpu_executor *) executors[ABX_CPU_MAX_EXECUTORS];
    size_t executor_end; /* none is at this place or behind it; under the lock */
    uint32_t spin_ns;
    _Atomic uint64_t buffer_limit_ns; /* of one command buffer; 0: not watched */
};

/* An executor, known to the watchdog. NULL without memory. */
struct abx_cpu_executor *abx_cpu_executor_create(struct abx_device *device);
void abx_cpu_executor_destroy(struct abx_device *device, struct abx_cpu_executor *e);
/* Ties it to the calling thread, until it is destroyed there or the thread has ended. */
void abx_cpu_executor_bind(struct abx_cpu_executor *e);
void abx_cpu_executor_unbind(struct abx_cpu_executor *e);

/* fault.c. Use:
 *     if (sigsetjmp(e->guard.landing, 0))
 *         return abx_cpu_landed(e, job);
 *     abx_cpu_arm(e); ...code that may be left...; abx_cpu_disarm(e);
 * Between arm and disarm no lock is taken and nothing is allocated. */
static inline void abx_cpu_arm(struct abx_cpu_executor *e)
{
    e->guard.armed = true;
    atomic_signal_fence(memory_order_seq_cst);
}
static inline void abx_cpu_disarm(struct abx_cpu_executor *e)
{
    atomic_signal_fence(memory_order_seq_cst);
    e->guard.armed = false;
}
/* Arms for some of the job. False, and not armed: the job has failed. Jumps when the thread's time
 * is up: a signal that said so while nothing was armed has done nothing, and a thread that spends
 * its time in system calls between two turns gets all its signals there. */
bool abx_cpu_arm_job(struct abx_cpu_executor *e, struct abx_cpu_job *job);
/* Interrupts whoever works for the submission: a look at what was cancelled. */
void abx_cpu_interrupt(struct abx_device *device, const struct abx_submission *submission);
/* As abx_device_ops.watchdog: processor time. */
void abx_cpu_watchdog(struct abx_device *device, uint64_t limit_ns);
/* After a jump: the other threads of the job (or NULL) end, too. Returns the abx_exec_error. */
int abx_cpu_landed(struct abx_device *device, struct abx_cpu_executor *e, struct abx_cpu_job *job);

/* threadgroup.c: makes the executor ready for the job (0 or an abx_exec_error), then runs some of
 * its threadgroups; none once the job has failed. */
int abx_cpu_prepare(struct abx_cpu_executor *e, struct abx_cpu_job *job);
void abx_cpu_run_groups(
        struct abx_cpu_executor *e, struct abx_cpu_job *job, uint64_t first, uint64_t count);

/* Private memory of a threadgroup's coroutines, and room for it. False: no memory. */
uint64_t abx_cpu_frame_bytes(const struct abx_cpu_code *info, const uint32_t size[3]);
bool abx_cpu_grow_frames(char **frames, size_t *frame_bytes, uint64_t bytes);
/* Starts threadgroup call->group, whose size it sets: the number of coroutines in handles. */
uint32_t abx_cpu_start_group(struct abx_pipeline *p, struct abx_kernel_call *call, char *frames,
        void **handles, struct abx_kernel_lane *lanes);
void abx_cpu_place_group(struct abx_kernel_call *call, uint64_t number);
static inline bool abx_cpu_ended(void *handle)
{
    return *(void *const *)handle == NULL;
}
static inline void abx_cpu_resume(void *handle)
{
    (*(void (*const *)(void *))handle)(handle);
}
/* Lanes that wait for their SIMD-group go on until all wait for more than that, or one yields. */
void abx_cpu_run_simdgroup(struct abx_kernel_lane *lane, void **handle, uint32_t count);

/* resident.c: runs threadgroups of a pipeline that yields, several at a time, until none is left.
 */
void abx_cpu_run_resident(struct abx_cpu_executor *e, struct abx_cpu_job *job);
void abx_cpu_drop_resident(struct abx_cpu_executor *e);

/* share.c: shares out, for so many threads, what threadgroups are left of a job: all from `next`
 * on, in chunks of `chunk`. Before others see the job. */
void abx_cpu_share_out(struct abx_cpu_job *job, unsigned threads);
/* A chunk for the thread with this number (below that of share_out's, each used by one thread at a
 * time): its own next one, or what it takes over from another thread. False: none is left. Any
 * thread. */
bool abx_cpu_next_chunk(
        struct abx_cpu_job *job, unsigned thread, uint64_t *ret_first, uint64_t *ret_count);
/* Any thread. What one is just taking over is seen with nobody, which is no harm: that one runs it.
 */
bool abx_cpu_has_chunks(const struct abx_cpu_job *job);

/* pool.c */
int abx_cpu_pool_open(struct abx_device *device, unsigned helpers);
void abx_cpu_pool_close(struct abx_device *device);
/* Runs the whole job on the calling thread and, when it is long enough to pay, the helpers. An
 * abx_exec_error. */
int abx_cpu_pool_run(
        struct abx_device *device, struct abx_cpu_executor *e, struct abx_cpu_job *job);

/* matrix.c: products through OpenBLAS, where the system has it. prepare: as abx_backend's; without
 * it, or where there is none, no operations. */
int abx_cpu_matrix_prepare(char *ret_why, size_t capacity);
uint32_t abx_cpu_matrix_operations(void);
/* A thread left the library in its middle. */
void abx_cpu_matrix_left(void);
/* An abx_exec_error. The job is the queue's. */
int abx_cpu_matrix_multiply(struct abx_device *device, struct abx_cpu_executor *e,
        struct abx_cpu_job *job, const struct abx_exec_matrix_multiply *c);

/* elements.c: `count` elements of a kind to floats, and back, rounded to the nearest even. */
void abx_cpu_to_floats(float *to, const void *from, uint32_t element, size_t count);
void abx_cpu_from_floats(void *to, const float *from, uint32_t element, size_t count);

extern const struct abx_queue_ops abx_cpu_queue_ops;
extern const struct abx_native_ops abx_cpu_native_ops;

#endif
