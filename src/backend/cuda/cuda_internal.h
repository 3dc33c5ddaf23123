/* backend/cuda, private. Worker process. Threads: one a queue (queue.c), which issues the queue's
 * work to a stream and tells of its end; one that registers memory (memory.c); the driver's own.
 *
 * The context is the tenant's: its kernels cannot reach another process's memory. A kernel that
 * faults, or that has to be ended, takes the context with it: the device is lost then, and the
 * worker ends. */
#ifndef ABX_BACKEND_CUDA_INTERNAL_H
#define ABX_BACKEND_CUDA_INTERNAL_H

#include "backend/backend.h"
#include "backend/cuda/driver.h"
#include "shader/abi/nvptx.h"

#include <pthread.h>
#include <stdatomic.h>

/* What memory is mapped in, wherever the driver says so less. */
#define ABX_CUDA_SLOT_BYTES (2ull << 20)
#define ABX_CUDA_WORD_BYTES 16u /* that a thread of the kernel that carries moves at a time */

/* Behind memory: programs read a little past its end. */
#define ABX_CUDA_GUARD_BYTES 4096u

struct abx_cuda_window;
struct abx_cuda_file;
struct abx_cuda_mirror;

struct abx_device_memory {
    struct abx_device *device;
    abx_cu_address address;
    uint64_t bytes;
    struct abx_cuda_window *window; /* NULL: the driver's own allocation */
    bool imported;
    bool registered;
    bool guarded; /* there is a page of zeros behind it */
    struct abx_device_memory *next_live, *next_exposed;
    size_t last_slot;                         /* private: with what is behind it */
    struct abx_cuda_file *file;               /* private, and begins with what that has; or NULL */
    _Atomic(struct abx_cuda_mirror *) mirror; /* imported, and it is asked for; or NULL */
    _Atomic uint32_t
            in_flight; /* imported: resources of submissions that have begun and are not over */
    /* an import under way */
    void (*done)(void *user, int error);
    void *user;
    struct abx_device_memory *next;
};

struct abx_pipeline {
    struct abx_code code;
    struct abx_ptx info;
    struct abx_device *device;
    uint64_t number; /* never another's, also when this is gone */
    abx_cu_module module;
    abx_cu_function function, few; /* few: NULL, or for ABX_PTX_FEW threads at most */
    struct abx_pipeline_info limits;
    bool waits; /* for the kernels before it, itself, and they may let it come early */
};

struct abx_device {
    struct abx_device_config config;
    int number;         /* CUdevice */
    bool early;         /* kernels may be there before those that they wait for are over */
    uint32_t processor; /* as in shader/abi/code.h */
    uint32_t processors;
    _Atomic bool cubin_refused; /* it has been said */
    abx_cu_context context;
    _Atomic bool lost;
    _Atomic uint64_t pipelines; /* made so far */
    /* Held only for moments, whatever the device does: the watchdog takes it. Before a queue's. */
    pthread_mutex_t queues_lock;
    struct abx_queue *queues;
    uint64_t words_used[64];
    pthread_mutex_t lock; /* windows, imports, zeroing */
    struct abx_cuda_window *windows;
    /* words that the device writes, two a queue: the mark that its stream has reached, and the
     * command whose kernel began last */
    uint32_t *words;
    abx_cu_address words_address;
    /* private memory is zeroed on a stream of its own, which queues wait for */
    abx_cu_stream zero_stream;
    abx_cu_event zero_event;
    _Atomic uint64_t zeroings;
    /* imports */
    pthread_t importer;
    pthread_cond_t import_wake;
    struct abx_device_memory *imports, **imports_end;
    struct abx_device_memory *live; /* imported, and not destroyed */
    bool closing;
    /* mirrors: who carries words between them and the guest's pages does it after who did it last;
     * the lock is held for long where one is made */
    pthread_mutex_t merge_lock;
    abx_cu_event merge_event;
    _Atomic(struct abx_device_memory *) exposed; /* mirrored, and each submission's */
    abx_cu_stream merged_by;                     /* NULL: nothing has to be waited for */
    abx_cu_module merge_module;
    abx_cu_function merge;
    struct lt_handle *matrices; /* matrix.c; NULL: there is no library for them */
    unsigned cpus;              /* that this process may use */
    abx_cu_module clock_module; /* clock.c */
    abx_cu_function clock;
    _Atomic int64_t clock_more; /* CLOCK_MONOTONIC is so much more than the GPU's */
};
#define ABX_CUDA_QUEUES (64u * 64u)
#define ABX_CUDA_WORDS (2u * ABX_CUDA_QUEUES)
#define ABX_CUDA_CLOCK_WORD ABX_CUDA_WORDS /* clock.c's, behind the queues': three numbers */

/* To be called first on any thread that calls the driver. An error is seen in the next call. */
static inline void abx_cuda_enter(const struct abx_device *device)
{
    (void)abx_cu.context_set(device->context);
}

/* 0 or -errno: -ENOMEM for want of memory, -EIO for everything else. */
int abx_cuda_errno(int result);
/* After it nothing works in this context any more. */
bool abx_cuda_is_fatal(int result);
/* The device is lost. What it was running fails: `guilty` alone when it is known (NULL: it is not),
 * with `error` and, for a time-out, `limit_ms`. Any thread, no lock held. May not return. */
void abx_cuda_lose(struct abx_device *device, int result, struct abx_queue *guilty, int error,
        uint64_t limit_ms);

/* probe.c */
int abx_cuda_usable(char *ret_why, size_t capacity);
unsigned abx_cuda_probe(char (*ret_names)[64], unsigned capacity);
uint32_t abx_cuda_processor(unsigned index);
/* What is opened before the process gives up its rights. */
int abx_cuda_prepare(char *ret_why, size_t capacity);

/* rights.c: what a worker keeps for the driver */
extern const char *const abx_cuda_files[];
extern const struct abx_backend_call abx_cuda_calls[];

/* memory.c */
extern const struct abx_memory_ops abx_cuda_memory_ops;
int abx_cuda_memory_open(struct abx_device *device);
void abx_cuda_memory_close(struct abx_device *device);

/* files.c: the memory's, whose place is taken, and zeroed on the way. */
int abx_cuda_file_open(struct abx_device_memory *m, int fd, uint64_t offset);
int abx_cuda_file_read(struct abx_device_memory *m);
void abx_cuda_file_close(struct abx_device_memory *m);
/* What has been written to the file is there for what is issued from now on. -EFAULT: part of what
 * is used is behind its end by now; or another -errno. */
int abx_cuda_file_renew(const struct abx_exec_resource *resource);

/* Again, where it was registered once. 0 or -errno. */
int abx_cuda_register(struct abx_device_memory *m);
/* The slots that imported memory and what is behind it lie in are the device's own to map, or not
 * any more. -EINVAL: others lie there, too. */
int abx_cuda_claim(struct abx_device_memory *m);
void abx_cuda_unclaim(struct abx_device_memory *m);

/* mirror.c. These five: abx_memory_ops'. */
uint64_t abx_cuda_mirror_bytes(uint64_t bytes);
int abx_cuda_mirror(struct abx_device_memory *m, bool unseen);
void abx_cuda_seen(struct abx_device_memory *m);
void abx_cuda_exposed(struct abx_device_memory *m);
void abx_cuda_wrote(struct abx_device_memory *m, uint64_t offset, uint64_t bytes);
/* The memory is about to be destroyed. */
void abx_cuda_mirror_close(struct abx_device_memory *m);
int abx_cuda_mirrors_open(struct abx_device *device);
void abx_cuda_mirrors_close(struct abx_device *device);

/* matrix.c */
void abx_cuda_matrix_prepare(void);
void abx_cuda_matrix_open(struct abx_device *device);
void abx_cuda_matrix_close(struct abx_device *device);

/* probe.c: the driver's i-th device, and its processor as in shader/abi/code.h; 0: none that can be
 * used (compute capability 8.0). The driver's result. */
int abx_cuda_device_at(int i, int *ret_device, uint32_t *ret_processor);

/* clock.c */
int abx_cuda_clock_open(struct abx_device *device);

/* pipeline.c */
extern const struct abx_pipeline_ops abx_cuda_pipeline_ops;
/* What is launched for threadgroups of that size, and how many threads its blocks have. */
abx_cu_function abx_cuda_block(
        const struct abx_pipeline *p, const uint32_t threadgroup[3], uint32_t *threads);

/* queue.c */
extern const struct abx_queue_ops abx_cuda_queue_ops;
void abx_cuda_queues_watch(struct abx_device *device, uint64_t limit_ns);
/* The device is lost: ends what the queues run, as abx_cuda_lose() says. */
void abx_cuda_queues_fail(struct abx_device *device, struct abx_queue *guilty, int error,
        uint64_t limit_ms, const char *text);

#endif
