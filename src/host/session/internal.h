/* host: private declarations. See host.h for who runs this and whom it trusts.
 *
 * Threads and locks. Each client has one engine: whoever holds session->lock reads its socket and
 * ring and owns its handle table, chunks and decoder. Backend threads call back into queues.c and
 * events.c; the compiler thread into pipelines. Those take only, in this order, never two at once
 * unless said: queue->lock, event->lock, space lock, session->inbox_lock, session->pool_lock.
 * References are atomic: the last one may be dropped on any thread. */
#ifndef ABX_HOST_HOST_INTERNAL_H
#define ABX_HOST_HOST_INTERNAL_H

#include "host/session/host.h"
#include "records_gen.h"
#include "shader/shader.h"

#include <pthread.h>
#include <stdatomic.h>

/* Executable form of all command buffers in flight of one client: set_bytes is copied into every
 * dispatch that uses it, so a guest could otherwise make 64 MB of records into terabytes. */
#define ABX_MAX_EXEC_BYTES (256u << 20)
/* Compiles a client may have pending: the compiler caps their bytes. */
#define ABX_MAX_COMPILES_PENDING 64u
/* Pages of zeros where a client's kernels read past buffers' ends: each may take two of the
 * worker's mappings, of which there are 65530. */
#define ABX_MAX_STRAY_PAGES 4096u
/* Mappings of all clients' memory, which may come in small pieces, and of one's: below
 * vm.max_map_count (65,530), beyond which the worker itself gets no memory any more, with room for
 * stray pages and threads. */
#define ABX_MAX_MAPPINGS 53248u
#define ABX_MAX_CLIENT_MAPPINGS 45056u
/* All threadgroups of one dispatch: products stay far from overflowing 64 bits. */
#define ABX_MAX_GROUPS (1ull << 40)

struct abx_broker;
struct abx_kept_library;

struct abx_host {
    const struct abx_backend *backend;
    struct abx_device *device;
    struct abx_device_info info;
    char tenant[ABX_TENANT_NAME_BYTES];
    struct abx_control_limits limits;
    struct abx_worker_stats *stats;
    bool own_stats;
    bool quiet;                  /* logs nothing: fuzzers */
    _Atomic uint64_t log_second; /* lines of this second, and which: see abx_host_log() */
    struct abx_broker *broker;   /* NULL: compiles fail */
    void (*device_lost)(struct abx_host *host);
    void (*compiler_lost)(struct abx_host *host), (*end_compiler)(struct abx_host *host);
    _Atomic uint64_t memory_used, device_used; /* bytes: see abx_host_charge() */
    _Atomic uint32_t mappings;
    _Atomic uint64_t last_number; /* of a session */
    pthread_mutex_t lock;         /* clients[] changes, and the memory words of their pages */
    struct abx_session *_Atomic sessions[ABX_MAX_CLIENTS];
};

/* ---- objects */
struct abx_object {
    abx_handle handle;
    _Atomic uint32_t references;
    uint8_t class;  /* enum abx_object_class */
    uint8_t poison; /* enum abx_reason: creation failed, each use fails with this */
    uint64_t poison_value, poison_limit;
    uint32_t bytes; /* charged for it */
    uint64_t stamp; /* last submission that took a reference; the engine's */
    struct abx_session *session;
};

enum abx_range_state { ABX_RANGE_NEW, ABX_RANGE_IMPORTING, ABX_RANGE_READY, ABX_RANGE_FAILED };

/* Memory both sides map, or private memory: a range of the client's window, and one piece of memory
 * of the backend's. */
struct abx_range {
    _Atomic uint32_t references; /* one is the import's, while it is under way */
    _Atomic bool named;          /* the guest has not given it up yet */
    _Atomic int state;           /* enum abx_range_state: of the import */
    bool is_private;             /* nothing is mapped in this process */
    bool is_file;                /* whose pages can go: this process itself never reads there */
    struct abx_session *session;
    struct abx_device_memory *memory; /* NULL: poisoned */
    uint32_t poison;                  /* enum abx_reason: could not be mapped; the engine's */
    uint32_t mappings;                /* charged */
    uint64_t address, bytes;          /* window-relative */
    uint64_t mirror_bytes;            /* charged; 0: it has no mirror */
    struct abx_range *left, *right;   /* space.c */
};

struct abx_buffer_object {
    struct abx_object head;
    struct abx_range *range;
    struct abx_device_memory *memory; /* the range's */
    uint64_t offset, length;          /* of it */
    uint32_t resource; /* its place among those of the submission that last took a reference */
};

/* The first bytes of a sealed file, which has as many (not 0), to be given to abx_contents_free()
 * with the same count. */
int abx_contents_take(int fd, size_t bytes, void **ret_contents);
void abx_contents_free(void *contents, size_t bytes);

struct abx_library_object {
    struct abx_object head;
    uint8_t key[32];
    struct abx_kept_library *kept; /* the broker's */
    void *contents;                /* message and reflection, as sent to the client */
    size_t contents_bytes;         /* charged */
    const struct abx_reflection *reflection;
};

struct abx_function_object {
    struct abx_object head;
    struct abx_library_object *library; /* one reference */
    uint32_t index, constant_count;
    struct abx_shader_constant constants[];
};

enum abx_pipeline_state { ABX_PIPELINE_COMPILING, ABX_PIPELINE_READY, ABX_PIPELINE_FAILED };

struct abx_prepare_waiter {
    struct abx_prepare_waiter *next;
    uint32_t tag;
};

struct abx_pipeline_object {
    struct abx_object head;
    _Atomic int state; /* enum abx_pipeline_state; what it decides is set before it changes */
    struct abx_pipeline *backend;
    char *text;        /* why it failed */
    size_t code_bytes; /* charged */
    uint32_t cached;
    uint32_t buffers_used;    /* bit i: the function has an argument at [[buffer(i)]], */
    uint32_t buffers_written; /* and may write to it */
    uint32_t groups_used;     /* bit i: it has an argument at [[threadgroup(i)]] */
    uint32_t binding_count;   /* highest used index + 1 */
    uint32_t max_threads;     /* in a threadgroup, as the function says */
    /* Once it is READY: */
    uint32_t static_threadgroup_bytes;
    uint32_t device_threads; /* in a threadgroup, as its code says */
    uint32_t required_threads[3];
    struct abx_prepare_waiter *waiters; /* the engine's */
};

struct abx_event_waiter {
    struct abx_event_waiter *next;
    uint64_t value;
    void (*wake)(void *user);
    void *user;
};

struct abx_event {
    struct abx_object head;
    uint32_t slot;
    _Atomic bool dead;    /* the client is gone: every wait is over */
    pthread_mutex_t lock; /* waiters */
    struct abx_event_waiter *waiters;
};

struct abx_icb_object {
    struct abx_object head;
    struct abx_range *range;
    uint64_t offset; /* in the chunk */
    uint32_t count, max_buffers, inherit;
};

enum abx_submission_state {
    ABX_SUBMISSION_READY,   /* decoded; may wait for pipelines */
    ABX_SUBMISSION_FAILED,  /* refused; completes when it is its queue's first */
    ABX_SUBMISSION_RUNNING, /* the backend has it */
    ABX_SUBMISSION_DONE,
};

struct abx_queue_object;

/* A dispatch whose pipeline was not ready when it was decoded: filled in before it is submitted. */
struct abx_patch {
    size_t at;                            /* of the dispatch in `exec` */
    struct abx_pipeline_object *pipeline; /* among the submission's objects */
};

struct abx_host_submission {
    struct abx_submission base;
    struct abx_queue_object *queue;
    struct abx_host_submission *next;
    uint64_t sequence;
    uint32_t result_slot;
    int state;    /* enum abx_submission_state; queue->lock */
    bool imports; /* uses memory whose import was under way when it was decoded */
    struct abx_result result;
    char text[ABX_RESULT_TEXT_BYTES]; /* why it failed, in the backend's words, or "" */
    struct abx_patch *patches;
    uint32_t patch_count, patch_capacity, patched; /* so many are done */
    struct abx_object **objects;                   /* one reference each */
    uint32_t object_count, object_capacity;
    struct abx_exec_resource *resources; /* the buffers among them */
    uint32_t resource_capacity;
    uint32_t records;
    uint8_t *exec; /* the executable form */
    size_t exec_bytes, exec_capacity;
    size_t charged; /* for objects and exec */
    uint64_t stamp;
    _Atomic uint64_t running_since; /* CLOCK_MONOTONIC; 0: not with the backend */
};

struct abx_queue_object {
    struct abx_object head;
    uint32_t slot;
    struct abx_queue *backend;
    pthread_mutex_t lock; /* everything below */
    struct abx_host_submission *first, *last, *next_submit;
    uint64_t last_sequence;
    uint64_t idle_since; /* when the one before the first completed */
    bool pumping, again, destroyed, cancelled;
    struct abx_queue_object *ended_next;
};

/* ---- the client */
struct abx_table_entry {
    uint32_t generation; /* of the live object; 0: free */
    struct abx_object *object;
};

enum abx_inbox_kind {
    ABX_INBOX_PIPELINE, /* it is ready, or has failed */
    ABX_INBOX_LIBRARY,  /* its compile ended */
    /* The guest asks, and waits for an answer: whether the pipeline `handle` is ready; */
    ABX_INBOX_PREPARE,
    ABX_INBOX_ADDRESS, /* where kernels see the buffer `handle` */
};

struct abx_inbox_item {
    struct abx_inbox_item *next;
    enum abx_inbox_kind kind;
    uint32_t tag;
    abx_handle handle;
    int error;
    uint32_t cached, microseconds, message_bytes;
    uint64_t reflection_bytes;
    uint8_t key[32];
    int fd;                               /* message and reflection; -1 */
    struct abx_kept_library *kept;        /* of a library without error: the item's */
    struct abx_pipeline_object *pipeline; /* one reference */
};

/* Charged for a question of the guest's, until it is answered. */
#define ABX_QUESTION_BYTES (sizeof(struct abx_inbox_item) + sizeof(struct abx_prepare_waiter) + 32u)

struct abx_binding {
    struct abx_buffer_object *buffer;
    uint64_t offset;
    const uint8_t *bytes; /* set_bytes, in the client's staging memory */
    uint32_t length;
};

/* State of decoding one command buffer (or, submission NULL, the ring). */
struct decoder {
    enum abx_context context;
    uint32_t op;
    struct abx_session *session;
    struct abx_host_submission *submission;
    uint32_t index; /* of the record */
    bool concurrent;
    struct abx_pipeline_object *pipeline;
    uint32_t bound; /* bit i: bindings[i] is set */
    struct abx_binding bindings[ABX_BUFFER_SLOTS];
    uint32_t threadgroup_bytes[ABX_MAX_THREADGROUP_BINDINGS];
    struct abx_buffer_object *range; /* of indirect commands, as in struct abx_exec_dispatch */
    uint64_t range_offset;
    uint32_t range_index;
    uint32_t work; /* slots of indirect command buffers since the last look at the client */
};

struct abx_session {
    struct abx_host *host;
    _Atomic uint32_t references;
    unsigned slot;
    uint64_t number;                      /* no other client of this host has or had it; not 0 */
    struct abx_host_transport *transport; /* NULL once it is closed: inbox_lock */
    struct abx_client_stats *stats;
    struct abx_guest_page *guest; /* the transport's; NULL until greeted */
    /* The transport's. Written only: the guest may be able to write there too. What is added to
     * there (counters) decides nothing. */
    struct abx_host_page *page;
    uint8_t *window;
    uint64_t window_bytes;
    uint32_t pid;     /* as it says */
    char program[64]; /* printable */
    bool greeted;

    pthread_mutex_t lock; /* the engine */
    _Atomic bool dead;
    char death[192]; /* why; "" when it just left */
    uint64_t ring_head;
    struct abx_table_entry *table;
    uint32_t table_size;
    struct abx_range **chunks; /* by id */
    struct abx_queue_object *_Atomic queues[ABX_MAX_QUEUES];
    struct abx_queue_object
            *_Atomic ended_queues; /* backend queues to destroy on the engine's thread */
    _Atomic bool ready;            /* something that submissions may wait for is there */
    _Atomic uint8_t results_busy[ABX_MAX_RESULTS];
    struct abx_event *events[ABX_MAX_EVENTS];
    uint8_t *staging; /* private copy of one command buffer's records */
    size_t staging_capacity;
    uint64_t next_stamp;
    struct decoder ring_decoder, decoder;
    _Atomic uint32_t compiles_pending;

    pthread_mutex_t space_lock; /* the window's ranges */
    pthread_cond_t space_freed;
    struct abx_range *ranges;
    /* Bookkeeping: what is in use, and what of the account it has taken, in larger steps. */
    _Atomic uint64_t books, books_charged;
    _Atomic uint32_t stray_pages; /* kernels read past buffers' ends */
    _Atomic uint32_t mappings;    /* of chunks */

    pthread_mutex_t inbox_lock;
    struct abx_inbox_item *_Atomic inbox;
    struct abx_inbox_item *asked; /* addresses of memory that is not there yet; the engine's */

    pthread_mutex_t pool_lock;
    pthread_cond_t drained;
    struct abx_host_submission *pool;
    uint32_t pooled;
    uint64_t pooled_bytes; /* charged */
    uint32_t in_flight;
    _Atomic uint64_t exec_bytes; /* of submissions in flight */
};

/* session.c: marks the client for its end; the engine's thread does the rest. The first reason is
 * kept. The engine's lock is held. */
void abx_session_kill(struct abx_session *session, const char *format, ...) ABX_PRINTF(2, 3);
/* Wakes the engine's thread; with inbox_lock, or while the session is served. Any thread. */
void abx_session_wake(struct abx_session *session);
/* The same when it may have ended. */
void abx_session_rouse(struct abx_session *session);
/* Wakes guest threads asleep on `word` of the host page or the guest page. Any thread. */
void abx_session_wake_guest(struct abx_session *session, _Atomic uint64_t *word);
/* Puts into the host page what is there from the beginning. */
void abx_session_publish(struct abx_session *session);
/* Reads every socket message that is there. The engine's. */
void abx_session_drain_socket(struct abx_session *session);
/* Reads every record that is there; true when there was one. The engine's. */
bool abx_session_drain_ring(struct abx_session *session);
/* False: the client is gone, and the item stays the caller's. */
bool abx_session_post(struct abx_session *session, struct abx_inbox_item *item);
void abx_session_drain_inbox(struct abx_session *session);
/* Answers what the guest asked about memory that was still being imported. The engine's. */
void abx_session_tell_addresses(struct abx_session *session);
static inline void abx_session_retain(struct abx_session *session)
{
    atomic_fetch_add_explicit(&session->references, 1, memory_order_relaxed);
}

/* host.c: memory of the tenant. on_device: in the device's own memory, if it has some.
 * -ENOMEM over its cap. Any thread. */
int abx_host_charge(struct abx_session *session, bool on_device, uint64_t bytes);
/* The same for what makes things faster, and no more: half of the account is left to others. On the
 * device. */
int abx_host_charge_spare(struct abx_session *session, uint64_t bytes);
void abx_host_uncharge(struct abx_session *session, bool on_device, uint64_t bytes);
/* Of the device's own memory, in bytes. 0: it has none, or it is counted with the rest. */
uint64_t abx_host_device_cap(const struct abx_host *host);
/* The same for what the host itself needs for the client: objects, lists, requests. These may go
 * past the cap by a hundredth, so that a program whose memory is full can still release some. */
int abx_books_charge(struct abx_session *session, uint64_t bytes);
void abx_books_uncharge(struct abx_session *session, uint64_t bytes);
/* Gives back what is charged and not in use. */
void abx_books_settle(struct abx_session *session);

/* objects.c */
/* What a class of objects is: one in each family's file, all of them in a table in objects.c. */
struct abx_object_kind {
    size_t size;                                /* of its structure, which begins with the object */
    void (*destroy)(struct abx_object *object); /* the last reference has gone; any thread */
    /* NULL, or what is to be done when the guest gives up its handle. The engine's. */
    void (*forget)(struct abx_object *object);
};
extern const struct abx_object_kind abx_buffer_kind, abx_icb_kind, abx_event_kind, abx_fence_kind,
        abx_function_kind, abx_library_kind, abx_pipeline_kind, abx_queue_kind;

/* Allocates an object of the class, zeroed, and `extra` bytes behind it (one reference: the
 * table's) under a handle that must be free. NULL: the client was killed for it. The engine's. */
void *abx_object_create(
        struct abx_session *session, abx_handle handle, enum abx_object_class class, size_t extra);
/* NULL when there is none of that handle. */
struct abx_object *abx_object_find(struct abx_session *session, abx_handle handle);
/* Takes the handle away; the object lives on while command buffers use it. */
void abx_object_forget(struct abx_session *session, struct abx_object *object);
static inline void abx_object_retain(struct abx_object *object)
{
    atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
}
void abx_object_release(struct abx_object *object); /* any thread */
void abx_object_poison(
        struct abx_object *object, enum abx_reason why, uint64_t value, uint64_t limit);

/* buffers.c: buffers and indirect command buffers, which both lie in a chunk. */
void abx_buffer_create(struct abx_session *session, const struct abx_rec_buffer_create *r,
        struct abx_range *chunk);
void abx_buffer_create_private(
        struct abx_session *session, const struct abx_rec_buffer_create_private *r);
void abx_icb_create(
        struct abx_session *session, const struct abx_rec_icb_create *r, struct abx_range *chunk);

/* space.c */
/* Takes the client's window from the backend. 0 or -errno. */
int abx_space_open(struct abx_session *session);
/* Gives it back, once all ranges in it are gone. */
void abx_space_close(struct abx_session *session);
/* Reserves a range of the window. 0, -EEXIST when it overlaps one in use (waits a while for one
 * whose last user is still running), -EINVAL outside the window. parcel: of the guest's, checked,
 * or NULL for zeroed private memory. *ret has one reference; poisoned when there was no memory. */
int abx_space_map(struct abx_session *session, uint64_t address, uint64_t bytes,
        const struct abx_parcel *parcel, struct abx_range **ret);
/* The guest uses the range again and again: the backend may give it a mirror, where it has such and
 * the tenant may have so much more of the device's memory. unseen: it does not look there yet. */
void abx_range_mirror(struct abx_range *range, bool unseen);
void abx_range_release(struct abx_range *range); /* any thread */
/* Of the account that the range is in, bytes. */
uint64_t abx_range_cap(const struct abx_range *range);
/* A read of `address` faulted: when it is in the window, zeros are read there from now on.
 * Async-signal-safe. */
bool abx_space_read_zeros(struct abx_session *session, const void *address);

/* decode.c: one record of the ring; one command buffer. */
void abx_decode_ring(struct abx_session *session, const struct abx_record *record, uint32_t bytes);
void abx_decode_commands(struct abx_session *session, struct abx_host_submission *submission,
        const uint8_t *records, size_t bytes);

/* commands.c: the executable form. The violation of a command buffer is kept in its submission. */
void abx_commands_fail(
        struct decoder *d, enum abx_reason why, uint32_t op, uint64_t value, uint64_t limit);
bool abx_commands_hold(struct decoder *d, struct abx_object *object);
/* Of a buffer that the submission holds: commands do this with it (enum abx_exec_usage). */
static inline void abx_commands_use(
        struct decoder *d, const struct abx_buffer_object *buffer, uint32_t usage)
{
    d->submission->resources[buffer->resource].usage |= usage;
}
void abx_commands_begin(struct decoder *d, bool concurrent);
/* What a dispatch would use: lengths that an encoder has from before, for arguments that this
 * function has not, do not count. Its own variables' part is 0 until the pipeline is ready. */
uint64_t abx_threadgroup_memory(
        const struct abx_pipeline_object *pipeline, const uint32_t *threadgroup_bytes);
/* The most threads in a threadgroup; less, perhaps, once the pipeline is ready. */
uint32_t abx_max_threads(const struct abx_pipeline_object *pipeline);
void abx_commands_dispatch(struct decoder *d, const uint32_t grid[3], const uint32_t threads[3],
        bool in_groups, struct abx_buffer_object *indirect, uint64_t indirect_offset);
/* range: NULL, or a buffer that says at range_offset which of them run. */
void abx_commands_icb(struct decoder *d, struct abx_icb_object *icb, uint32_t first, uint32_t count,
        struct abx_buffer_object *range, uint64_t range_offset);
void abx_commands_reset_icb(
        struct decoder *d, struct abx_icb_object *icb, uint32_t first, uint32_t count);
void abx_commands_copy_icb(struct decoder *d, struct abx_icb_object *from, uint32_t first,
        uint32_t count, struct abx_icb_object *to, uint32_t at);
/* Appends a command of `bytes` (zeroed, head filled in), NULL when the submission failed. The
 * pointer is good until the next append. */
void *abx_commands_append(struct decoder *d, enum abx_exec_op op, size_t bytes);

/* operations.c: of a command buffer's records. */
void abx_operation_matrix_multiply(struct decoder *d, const struct abx_rec_matrix_multiply *r,
        struct abx_buffer_object *left, struct abx_buffer_object *right,
        struct abx_buffer_object *result);

/* queues.c */
struct abx_host_submission *abx_submission_create(struct abx_session *session);
/* It will not run, and completes with this when it is its queue's first. The call and the record
 * that were wrong are the caller's to fill in. */
void abx_submission_fail(struct abx_host_submission *submission, enum abx_exec_error error,
        enum abx_reason reason, uint64_t value, uint64_t limit);
/* Takes the submission over: it runs when it is its turn and its pipelines are ready. */
void abx_queue_add(struct abx_queue_object *queue, struct abx_host_submission *submission);
/* Submits what can be submitted. Any thread. */
void abx_queue_pump(struct abx_queue_object *queue);
/* Of all queues: something that they may wait for is there. The engine's. */
void abx_queues_pump(struct abx_session *session);
int abx_queue_create(struct abx_session *session, abx_handle handle, uint32_t slot);
/* Destroys backend queues whose last user has gone. The engine's thread. */
void abx_queues_reap(struct abx_session *session);
/* Fails what has not started. */
void abx_queue_cancel(struct abx_queue_object *queue);
/* Waits until no submission of the client is with the backend, then frees the pool; false when that
 * takes longer. */
bool abx_submissions_drain(struct abx_session *session, unsigned timeout_ms);

/* events.c */
extern const struct abx_event_ops abx_host_event_ops;
int abx_event_create(struct abx_session *session, abx_handle handle, uint32_t slot);
void abx_event_check(struct abx_event *event); /* wakes what waits for the value reached */
void abx_event_kill(struct abx_event *event);  /* every wait is over */

/* broker.c: the requests to the compiler. Any thread. */
struct abx_compiler_request;
struct abx_compiler_answer;
/* `sock` is the broker's from here on; on failure the caller's. */
int abx_broker_create(struct abx_host *host, int sock, struct abx_broker **ret);
/* Another compiler, after host->compiler_lost. */
void abx_broker_set_compiler(struct abx_broker *broker, int sock);
void abx_broker_destroy(struct abx_broker *broker);
/* fd stays the caller's; sealed against writing. 0 or -errno; the answer comes to the client's
 * inbox. */
int abx_broker_compile(
        struct abx_session *session, uint32_t tag, abx_handle library, int fd, uint64_t bytes);
int abx_broker_pipeline(
        struct abx_pipeline_object *pipeline, const struct abx_compiler_request *message);
/* The library is no longer needed. NULL is legal. */
void abx_broker_drop(struct abx_broker *broker, struct abx_kept_library *kept);

/* pipelines.c, libraries.c */
/* The broker's thread. map: message and object, or NULL. */
void abx_pipeline_answer(struct abx_pipeline_object *pipeline, const struct abx_compiler_answer *a,
        const uint8_t *map);
void abx_library_add(struct abx_session *session, struct abx_inbox_item *item);
void abx_pipeline_create(struct abx_session *session, abx_handle handle,
        struct abx_library_object *library, const struct abx_rec_pipeline_create *r);
/* The object of a pipeline still to be asked for; NULL: the session ends. */
struct abx_pipeline_object *abx_pipeline_new(struct abx_session *session, abx_handle handle,
        struct abx_library_object *library, uint32_t function);
void abx_pipeline_request(
        struct abx_pipeline_object *pipeline, struct abx_compiler_request *message);
void abx_pipeline_fail(struct abx_pipeline_object *pipeline, const char *text, size_t length);
void abx_constants_read(
        struct abx_shader_constant *to, const struct abx_wire_constant *from, uint32_t count);

/* functions.c */
void abx_function_create(struct abx_session *session, struct abx_library_object *library,
        const struct abx_rec_function_create *r);
void abx_pipeline_create_linked(struct abx_session *session, struct abx_function_object *kernel,
        const struct abx_rec_pipeline_create_linked *r);

#endif
