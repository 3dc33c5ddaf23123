/* backend: what executes commands. One implementation a folder, one line in list.c; nothing
 * outside this folder knows one by name.
 *
 * The host decodes and validates a guest's command buffer once into a `struct abx_submission`;
 * everything in it is already checked: handles resolved, ranges inside their buffers, grid and
 * threadgroup sizes within the limits. A backend never sees guest bytes other than buffer contents.
 *
 * Everything is asynchronous: submit returns at once, completion arrives as a callback from any
 * thread. The vtables fit a discrete GPU: private memory may live anywhere, and only `import`ed
 * memory is addressable by the guest. A buffer is an offset and a length in such memory, which is
 * the host's business: backends know whole pieces of memory. */
#ifndef ABX_BACKEND_BACKEND_H
#define ABX_BACKEND_BACKEND_H

#include "base/base.h"
#include "shader/abi/code.h"
#include "wire/limits.h"

#include <signal.h>

struct abx_device;        /* backend's own; one a worker */
struct abx_device_memory; /* backend's own */
struct abx_pipeline;      /* backend's own */
struct abx_queue;         /* backend's own */

/* Where kernels see memory (MTLBuffer.gpuAddress). */
enum abx_address_policy {
    /* At the address that the guest chose in its window. */
    ABX_ADDRESS_GUEST = 0,
    /* At one of the device's choice, which abx_memory_ops.address says. */
    ABX_ADDRESS_DEVICE = 1,
};

struct abx_device_info {
    char name[64];    /* MTLDevice.name, e.g. "ArcBox CPU (AMD EPYC)" */
    char backend[16]; /* "cpu" */
    uint64_t registry_id;
    uint64_t recommended_working_set, max_buffer_length; /* bytes */
    uint32_t unified_memory;                             /* hasUnifiedMemory */
    uint32_t simd_width;                                 /* threadExecutionWidth */
    uint32_t max_threadgroup_bytes;
    uint32_t max_threads_per_threadgroup;
    uint32_t apple_family;  /* highest MTLGPUFamilyApple<n> whose compute features all work */
    uint32_t metal3;        /* 1: MTLGPUFamilyMetal3 */
    uint32_t addresses;     /* enum abx_address_policy */
    uint32_t operations;    /* ABX_OPERATION_*: those that submissions may have */
    uint32_t compute_units; /* multiprocessors, or threads that execute; 0: not known */
    /* What the address of memory that is to have a mirror is a multiple of, and nobody else's
     * memory lies in a piece of that size with it; a power of two. 0: there are no mirrors. */
    uint64_t mirror_align;
};

/* ---- a decoded command buffer */

enum abx_exec_op {
    ABX_EXEC_DISPATCH = 1,
    ABX_EXEC_COPY = 2,
    ABX_EXEC_FILL = 3,
    ABX_EXEC_BARRIER = 4, /* what follows waits for what came before */
    ABX_EXEC_WAIT_EVENT = 5,
    ABX_EXEC_SIGNAL_EVENT = 6,
    ABX_EXEC_WAIT_FENCE = 7,
    ABX_EXEC_UPDATE_FENCE = 8,
    ABX_EXEC_DISPATCH_INDIRECT = 9,
    ABX_EXEC_TIMESTAMP = 10,
    ABX_EXEC_MATRIX_MULTIPLY = 11,
};

/* Each command starts with this; `bytes` (a multiple of 8) leads to the next. */
struct abx_exec_command {
    uint16_t op;    /* enum abx_exec_op */
    uint16_t flags; /* ABX_EXEC_CONCURRENT */
    uint32_t bytes;
    uint32_t source; /* index of the guest's command, and */
    uint32_t origin; /* which it was, for error messages */
};
/* From a concurrent encoder: may overlap the command before it. Backends may ignore it. */
#define ABX_EXEC_CONCURRENT 1u

/* One buffer binding of a dispatch. Either a place in memory, or (memory == NULL) inline bytes at
 * `offset` from the start of the dispatch command; neither (offset 0): nothing bound, the kernel
 * gets a null pointer. `available` bytes may be touched from there on. */
struct abx_exec_binding {
    struct abx_device_memory *memory;
    uint64_t offset;
    uint64_t available;
};

struct abx_exec_dispatch {
    struct abx_exec_command head;
    struct abx_pipeline *pipeline;
    uint32_t grid[3];        /* in threads (exact: the edge threadgroups may be partial) */
    uint32_t threadgroup[3]; /* threads; product <= ABX_MAX_THREADS_PER_THREADGROUP, none 0 */
    uint32_t threadgroup_bytes[ABX_MAX_THREADGROUP_BINDINGS]; /* setThreadgroupMemoryLength */
    uint32_t binding_count; /* indices [0, binding_count) follow */
    /* ABX_EXEC_DISPATCH_INDIRECT: the grid in threadgroups (3 x u32) is read from here when the
     * command runs; the memory is at least offset + 12 long. */
    struct abx_device_memory *indirect;
    uint64_t indirect_offset;
    /* Not NULL: a command of an indirect command buffer that runs only when range_index lies in the
     * range (location, length: 2 x u32) read from here when its turn comes; the memory is at least
     * range_offset + 8 long. */
    struct abx_device_memory *range;
    uint64_t range_offset;
    uint32_t range_index, reserved;
    struct abx_exec_binding bindings[];
};

/* Memory that a submission's commands touch: each buffer that is bound, copied or filled, and what
 * the guest says that its kernels reach through pointers. */
enum abx_exec_usage { ABX_USAGE_READ = 1, ABX_USAGE_WRITE = 2 };
struct abx_exec_resource {
    struct abx_device_memory *memory;
    uint64_t offset, length;
    uint32_t usage; /* enum abx_exec_usage; 0: it is kept alive and no more */
    uint32_t reserved;
};

struct abx_exec_copy {
    struct abx_exec_command head;
    struct abx_device_memory *from, *to;
    uint64_t from_offset, to_offset, length;
};

struct abx_exec_fill {
    struct abx_exec_command head;
    struct abx_device_memory *to;
    uint64_t offset, length;
    uint32_t value; /* one byte */
    uint32_t reserved;
};

/* Writes the time at which the commands before it have begun, or with a barrier before it ended: 8
 * bytes, nanoseconds of CLOCK_MONOTONIC, which a device with a clock of its own turns its times
 * into. */
struct abx_exec_timestamp {
    struct abx_exec_command head;
    struct abx_device_memory *to;
    uint64_t offset; /* a multiple of 8 */
};

/* Matrices in memory, in rows; all of them lie in it. */
struct abx_exec_matrices {
    struct abx_device_memory *memory;
    uint64_t offset;       /* of the first element, a multiple of an element's size */
    uint64_t matrix_bytes; /* from one matrix to the next: a multiple, too; 0: all are the same */
    uint32_t row_bytes;    /* from one row to the next: a multiple, too */
    uint32_t element;      /* enum abx_element */
};

/* result = alpha * op(left) * op(right) + beta * result, `batch` times; sums are made in float or
 * better. Where beta is 0 the result is not read. It overlaps neither operand, else anything may
 * come out. */
struct abx_exec_matrix_multiply {
    struct abx_exec_command head;
    struct abx_exec_matrices left, right, result;
    uint32_t rows, columns; /* of the result; none of these is 0 */
    uint32_t inner;         /* columns of op(left), rows of op(right) */
    uint32_t batch;
    uint32_t transpose_left, transpose_right; /* 1: op() transposes: memory has columns as rows */
    double alpha, beta;
};

/* An event is a 64-bit word in memory the guest shares (so its value is untrusted: it can only
 * hold up its own tenant). */
struct abx_exec_event {
    struct abx_exec_command head;
    struct abx_event *event;
    uint64_t value;
};

struct abx_exec_fence {
    struct abx_exec_command head;
    uint64_t fence; /* the guest's handle: identity only */
};

/* Why a command buffer failed; as MTLCommandBufferError. */
enum abx_exec_error {
    ABX_EXEC_OK = 0,
    ABX_EXEC_INTERNAL = 1,
    ABX_EXEC_TIMEOUT = 2,
    ABX_EXEC_PAGE_FAULT = 3,
    ABX_EXEC_ACCESS_REVOKED = 4,
    ABX_EXEC_NOT_PERMITTED = 7,
    ABX_EXEC_OUT_OF_MEMORY = 8,
    ABX_EXEC_INVALID_RESOURCE = 9,
    ABX_EXEC_DEVICE_REMOVED = 11,
};

/* How a submission ended. */
struct abx_exec_result {
    int error;               /* enum abx_exec_error */
    uint32_t source, origin; /* of the failing command */
    const char *text;        /* NULL, or why it failed, in words; valid during the call */
    /* With PAGE_FAULT: the address, or 0, and the signal; with TIMEOUT: 0 and the limit in
     * milliseconds; else 0. */
    uint64_t value, limit;
    uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC around the execution */
    uint64_t kernels;          /* dispatches that ran */
};

struct abx_submission {
    const struct abx_exec_command *commands;
    size_t bytes;                              /* of all commands */
    const struct abx_exec_resource *resources; /* each once */
    uint32_t resource_count;
    /* Called once, from any thread, after the last command (or the failing one). The submission is
     * the backend's to read until then, and the caller's again from the call on. */
    void (*done)(struct abx_submission *submission, const struct abx_exec_result *result);
    void *user;
    /* Whose it is. What kernels of one client leave in threadgroup memory, those of another find
     * zeroed. */
    uint64_t client;
    /* The backend's, while it holds the submission. */
    struct abx_submission *next;
    struct abx_exec_result result;
};

/* ---- events: the host's, waited for by backends. */
struct abx_event_ops {
    /* The event's current value. Any thread. */
    uint64_t (*value)(struct abx_event *event);
    /* Raises the word to at least `value`, wakes guest waiters and backends. Any thread. */
    void (*signal)(struct abx_event *event, uint64_t value);
    /* Calls wake(user) once, from any thread, when the value has reached `value`; returns true
     * when it already has (wake is not called then). Any thread. */
    bool (*notify)(struct abx_event *event, uint64_t value, void (*wake)(void *user), void *user);
};

#define ABX_MAX_BACKEND_DEVICES 16u

/* ---- vtables. Every entry is required unless marked (optional). */

struct abx_device_config {
    const struct abx_event_ops *events;
    unsigned index;   /* which of its devices, as probe() lists them */
    unsigned threads; /* of the host to use; 0: the backend's choice */
    /* The device is gone, or in a state that no command gets it out of: nothing that was submitted
     * will end otherwise, nothing more can be. Once, from any thread; may not return. text: why. */
    void (*lost)(void *user, const char *text);
    void *user;
};

struct abx_device_ops {
    /* Opens the device, in a process that has given up its rights already. 0 or -errno. */
    int (*open)(const struct abx_device_config *config, struct abx_device **ret);
    void (*close)(struct abx_device *device); /* every queue drained and destroyed before */
    void (*info)(struct abx_device *device, struct abx_device_info *ret_info);
    /* Ends kernels that have used more than `limit_ns` of the device's time: their command buffers
     * fail with ABX_EXEC_TIMEOUT. Called every 100 ms or so, from one thread. */
    void (*watchdog)(struct abx_device *device, uint64_t limit_ns);
};

/* Memory of one client lies in its window: addresses of this process, and with ABX_ADDRESS_GUEST
 * the same of the device. */
struct abx_memory_ops {
    /* Takes `bytes` addresses, a multiple of 4096, that nothing is accessible at. 0 or -errno. */
    int (*reserve)(struct abx_device *device, uint64_t bytes, void **ret_window);
    /* Nothing lies in it any more. */
    void (*release)(struct abx_device *device, void *window, uint64_t bytes);
    /* Begins to make [address, address + bytes) usable by commands: whole pages of a window which
     * both sides map, and which overlap nothing that is imported. *ret is there at once;
     * done(user, error) is called once, from any thread, perhaps before import() returns, and only
     * then (error 0) may submissions use it. The mapping stays until destroy. Any thread. */
    int (*import)(struct abx_device *device, void *address, uint64_t bytes,
            void (*done)(void *user, int error), void *user, struct abx_device_memory **ret);
    /* (optional) As import(), of memory of the device's own that begins with what `fd` has from
     * `offset` on, zeros where it has no more: a file that others may change, and cut, meanwhile.
     * `address`: as for create_private(), never NULL. The descriptor stays the caller's. On an
     * error here, -ENOMEM too, it is to be mapped and imported instead. */
    int (*load)(struct abx_device *device, void *address, uint64_t bytes, int fd, uint64_t offset,
            void (*done)(void *user, int error), void *user, struct abx_device_memory **ret);
    /* Zeroed memory that only the device sees. place: where it is to lie, whole pages of a window
     * that nothing else is at; or NULL, as it is with ABX_ADDRESS_DEVICE: anywhere. -ENOMEM when
     * there is none. Any thread. */
    int (*create_private)(
            struct abx_device *device, void *place, uint64_t bytes, struct abx_device_memory **ret);
    /* (optional; all of these or none) What is imported and used again and again may get a mirror,
     * in memory that the device reaches faster, at the same address: commands work there from then
     * on. When that is, if it comes to it, is the backend's choice: what the guest wrote before a
     * submission that uses the memory is seen by that, if it was said with wrote() since mirror()
     * was called; what a submission's commands write, with the usage that its resources say, is in
     * the guest's pages when it is over, and before it signals an event. Between these moments
     * neither side sees the other's writes, nor overwrites them.
     * bytes: how much of the device's memory a mirror of so many takes at most. */
    uint64_t (*mirror_bytes)(uint64_t bytes);
    /* Once for one memory, whose pages are one mapping. unseen: the guest neither reads nor writes
     * it; nothing is carried. 0 or -errno. Any thread. */
    int (*mirror)(struct abx_device_memory *memory, bool unseen);
    /* It does from now on: the next submission that writes to it (of the host's after this), when
     * it is over, has brought all that all of them wrote. Any thread. */
    void (*seen)(struct abx_device_memory *memory);
    /* Kernels may reach it in submissions whose resources it is not among: it is one of all. Where
     * it has no mirror yet it gets none. Any thread. */
    void (*exposed)(struct abx_device_memory *memory);
    /* The guest has written to some of it, in which [offset, offset + bytes) lies. Any thread. */
    void (*wrote)(struct abx_device_memory *memory, uint64_t offset, uint64_t bytes);
    /* The address at which kernels see its first byte. Any thread. */
    uint64_t (*address)(const struct abx_device_memory *memory);
    /* No submission uses it any more, and its import is done. A private one's place is free again.
     * NULL is legal. Any thread, the backend's own too. What was exposed may be touched for
     * submissions that do not name it: that is waited for, as long as what they run takes. */
    void (*destroy)(struct abx_device_memory *memory);
};

struct abx_pipeline_info {
    uint32_t threadgroup_bytes; /* that the kernel's own variables take */
    uint32_t max_threads;       /* in a threadgroup, on this device */
};

struct abx_pipeline_ops {
    /* Makes a pipeline from an object blob (shader/abi/code.h), which stays the caller's.
     * Verifies the blob. Any thread. -EBADMSG on a bad one. */
    int (*create)(
            struct abx_device *device, const void *object, size_t bytes, struct abx_pipeline **ret);
    /* Any thread. */
    void (*info)(const struct abx_pipeline *pipeline, struct abx_pipeline_info *ret);
    void (*destroy)(struct abx_pipeline *pipeline);
};

struct abx_queue_ops {
    /* What one takes of the host's and the device's memory, for its client's account; 0: little. */
    uint64_t bytes;
    int (*create)(struct abx_device *device, struct abx_queue **ret);
    /* Runs submissions of one queue in order; different queues may overlap. Never blocks. One
     * thread at a time per queue. */
    void (*submit)(struct abx_queue *queue, struct abx_submission *submission);
    /* (optional) Everything submitted so far ends with ABX_EXEC_DEVICE_REMOVED as soon as it can,
     * what runs included. A call may come too early for what is just beginning: called again until
     * all is done. */
    void (*cancel)(struct abx_queue *queue);
    void (*destroy)(struct abx_queue *queue); /* drained */
};

/* What a backend does whose kernels run as machine code on threads of this process. Functions for
 * signal handlers are async-signal-safe. */
struct abx_native_ops {
    /* The signal sent to threads whose kernel is to end: its handler, which is there already and
     * runs on the thread's signal stack, calls stop(). 0, as at first: none, and kernels are not
     * interrupted. */
    void (*use_signal)(int number);
    void (*stop)(const void *context);
    /* From the handler of SIGSEGV, SIGBUS, SIGFPE or SIGILL: does not return when a kernel did it,
     * whose command buffer then fails. */
    void (*fault)(const siginfo_t *info, const void *context);
    /* The submission whose kernel the calling thread runs, or NULL. Async-signal-safe. */
    struct abx_submission *(*running)(void);
};

struct abx_backend_call {
    int number;
    const char *why;
};

/* What the rest of ArcBox has to know of a backend. */
struct abx_backend {
    const char *name; /* as in --backend and ARCBOX_BACKEND: [a-z]{1,15} */
    bool simulated;   /* executes nothing: it measures the bridge */
    uint32_t target;  /* enum abx_shader_target: what its pipelines' code is made for */
    /* The names of the devices there are, as abx_device_info.name, at most `capacity` of them;
     * returns how many. In any process, without opening one. */
    unsigned (*probe)(char (*ret_names)[64], unsigned capacity);
    /* (optional) 0: there is a device that can be used. -errno: there is none, and one line that
     * says why and what to do. In any process, without opening one. */
    int (*usable)(char *ret_why, size_t capacity);
    /* (optional) Which processor of `target` code for its index-th device may be for, besides for
     * all of them: a number as in shader/abi/code.h, 0: none. In any process, without opening one.
     */
    uint32_t (*processor)(unsigned index);
    /* (optional) Loads what a worker has to load before its file system goes. 0, or -errno and one
     * line. In a process of one thread, and it stays one. */
    int (*prepare)(char *ret_why, size_t capacity);
    /* (optional) Device files and folders that a worker keeps, NULL-terminated: absent ones are
     * skipped. And system calls that it needs beside every worker's. */
    const char *const *files;
    const struct abx_backend_call *calls; /* the last has why == NULL */
    const struct abx_device_ops *device;
    const struct abx_memory_ops *memory;
    const struct abx_pipeline_ops *pipeline;
    const struct abx_queue_ops *queue;
    const struct abx_native_ops *native; /* NULL: its kernels run elsewhere */
};

/* For the list, and for tests and benchmarks of one. */
extern const struct abx_backend abx_backend_cpu, abx_backend_cuda, abx_backend_null;
/* All there are, those first that are the default where they can be used; the last is NULL. */
extern const struct abx_backend *const abx_backends[];
/* NULL or "": the default. NULL when there is none of that name. A device that is not a backend's
 * first has its number behind: "cuda:1". */
const struct abx_backend *abx_backend_find(const char *name);
unsigned abx_backend_index(const char *name);
/* As abx_backend.usable, which need not be there. */
int abx_backend_usable(const struct abx_backend *backend, char *ret_why, size_t capacity);
/* As abx_backend.processor, of the device that `name` is, as abx_backend_find() takes it. */
uint32_t abx_backend_processor(const char *name);
/* "cpu, null": for messages. Static. */
const char *abx_backend_names(void);

#endif
