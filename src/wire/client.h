/* wire, guest side: one process's connection to its worker, and the memory both share.
 * Runs in the guest's process. It trusts that process, and the worker for answers, never for
 * progress: a worker that stops answering ends in ABX_REASON_LOST, not in a hang.
 *
 * Threads: everything here may be called from any thread. Encoding into an arena takes no lock; a
 * commit or a creation takes the ring's lock for the copy of one record.
 *
 * fork(): the child's first abx_client_get() makes a connection of its own. Objects made before the
 * fork keep the parent's client, which is lost from the child's point of view. */
#ifndef ABX_WIRE_CLIENT_H
#define ABX_WIRE_CLIENT_H

#include "base/base.h"
#include "wire/encoder.h"
#include "wire/reflection.h"
#include "wire/wire.h"

struct abx_client;

/* The process's connection, made on first use. NULL when there is no host runtime; why it failed is
 * printed to stderr once. The client lives until the process ends. */
struct abx_client *abx_client_get(void);
/* The connection if there is one; makes none. */
struct abx_client *abx_client_peek(void);
const struct abx_message_welcome *abx_client_welcome(const struct abx_client *client);
/* True once the worker is gone, or in a fork()ed child. Looks at the connection: may cost a system
 * call. Everything not completed by then never will be. */
bool abx_client_lost(struct abx_client *client);
/* As above but only what is known already: one load. */
bool abx_client_known_lost(const struct abx_client *client);
/* True in a fork()ed child for the parent's client: its locks, and those of objects made with it,
 * may be held for ever. */
bool abx_client_forked(const struct abx_client *client);
/* "the device was lost: " and why: the words that every error and message has for it. */
const char *abx_client_lost_text(struct abx_client *client);

/* ---- handles: never 0; freed ones come back with another generation */
abx_handle abx_client_handle_new(struct abx_client *client); /* 0: ABX_MAX_HANDLES are in use */
void abx_client_handle_free(struct abx_client *client, abx_handle handle);
/* Tells the host that the object is gone, and frees the handle. 0 is ignored. */
void abx_client_destroy(struct abx_client *client, abx_handle handle);

/* ---- ring */
enum abx_client_push_flag {
    ABX_PUSH_WAKE = 1, /* wake the host now; else the record waits for the next one that does */
};
/* Sends one whole ring record (struct abx_record first). 0, or -ENODEV when the host is lost. */
int abx_client_push(struct abx_client *client, const void *record, unsigned flags);

/* ---- memory both sides map */
struct abx_memory {
    uint8_t *pointer; /* NULL for private memory */
    uint64_t bytes;   /* whole allocation, rounded up */
    uint64_t address; /* relative to the window */
    uint64_t offset;  /* in the chunk */
    uint32_t chunk;   /* id, 0 for private memory */
    uint32_t blocks;  /* sub-allocated: number of blocks, else 0 */
    struct abx_chunk *owner;
};
/* Zeroed memory of at least `bytes`, 256-byte aligned. -ENOMEM: the tenant's cap (or the machine)
 * is reached. */
int abx_client_alloc(struct abx_client *client, uint64_t bytes, struct abx_memory *ret);
/* Only an address range in the window, for memory the device alone sees. */
int abx_client_alloc_private(struct abx_client *client, uint64_t bytes, struct abx_memory *ret);
/* Whether the device may take memory that command buffers use again and again into its own
 * (chunk_mirror), and the kernel tells what is written there; the same for good. */
bool abx_client_mirrors(struct abx_client *client);
/* A command buffer that is about to be committed uses these chunks, several times perhaps. all: and
 * any that are mirrored already. */
void abx_client_mirror_use(
        struct abx_client *client, const uint32_t *chunks, uint32_t count, bool all);
/* One that used them, which may be named more than once, is complete, and has taken so long. */
void abx_client_mirror_spent(
        struct abx_client *client, const uint32_t *chunks, uint32_t count, uint64_t nanoseconds);
/* The program does not know where the memory, a chunk of its own, is: nothing is exchanged. */
void abx_client_mirror_unseen(struct abx_client *client, const struct abx_memory *memory);
/* It is about to. True: what the device wrote is there once a command buffer that is said to write
 * to the chunk, and is committed after this, is over. */
bool abx_client_mirror_see(struct abx_client *client, uint32_t chunk);
/* The chunk may be reached by its address, by command buffers that do not name it. Those that are
 * not mirrored yet never are: they may be in use at any time. */
void abx_client_mirror_expose(struct abx_client *client, uint32_t chunk);
/* The device sees what the program wrote, in command buffers that are under way too, once they have
 * waited for an event that is signalled after this. */
void abx_client_mirror_tell(struct abx_client *client);
/* Turns the caller's memory into shared memory in place: same addresses, same contents. Whole pages
 * are; where it begins or ends inside a page, that page stays the caller's, and the host has
 * another, zeroed, whose contents the caller exchanges (abx_client_rims()). Memory that is shared
 * already is shared once more. Writes by other threads during the call may be lost.
 * -ENOTSUP: too small, shared only in part, or a mapping that files or other processes see: to be
 * copied. -EFAULT: nothing is there. */
int abx_client_adopt(
        struct abx_client *client, void *pointer, uint64_t bytes, struct abx_memory *ret);
/* The parts of adopted memory that are not shared in place, and where the host sees them. */
struct abx_rim {
    uint8_t *user, *shared;
    uint64_t bytes;
};
unsigned abx_client_rims(const struct abx_memory *memory, struct abx_rim ret[static 2]);
bool abx_client_is_adopted(const struct abx_memory *memory);
/* False: the program has let go of (part of) the memory that was adopted. Asks the kernel. */
bool abx_client_is_there(struct abx_client *client, const struct abx_memory *memory);
/* Gives memory back. The host must have been told before that the buffers in it are gone. Adopted
 * pages become ordinary private memory again, contents kept. */
void abx_client_free(struct abx_client *client, struct abx_memory *memory);
/* Bytes of this client's allocations that the cap counts. */
uint64_t abx_client_allocated(struct abx_client *client);

/* ---- arenas: where command buffers are recorded. Not thread-safe: one command buffer belongs to
 * one thread at a time, as Metal asks. */
struct abx_arena_block;
struct abx_arena {
    struct abx_encoder encoder; /* what abx_encode_*() (encode_gen.h) take */
    struct abx_client *client;
    struct abx_arena_block *blocks; /* newest first */
    uint32_t block_count;
    uint64_t closed_bytes; /* in the blocks before the current one */
    int error;             /* 0, or the -errno that ended the recording */
};
void abx_arena_init(struct abx_arena *arena, struct abx_client *client);
/* Gives the blocks back. The host must be done with them. */
void abx_arena_finish(struct abx_arena *arena);

/* ---- queues and completion */
struct abx_client_queue {
    struct abx_client *client;
    abx_handle handle;
    uint32_t slot;
    uint64_t submitted;       /* sequence of the last commit; the caller's lock covers it */
    _Atomic uint32_t spin_ns; /* how long a wait spins; adapts: a lost update costs nothing */
    uint32_t longest_spin;    /* that is worth while here; ns */
};
int abx_client_queue_create(struct abx_client *client, struct abx_client_queue *ret);
void abx_client_queue_destroy(struct abx_client_queue *queue); /* everything completed, or lost */
/* Commits what the arena holds; *ret_result is the slot of the outcome, the caller's until
 * abx_client_result_free(). Calls for one queue must not overlap. -EAGAIN: every result slot is
 * taken: wait for a command buffer, take its result, try again. */
int abx_client_commit(struct abx_client_queue *queue, struct abx_arena *arena,
        uint64_t *ret_sequence, uint32_t *ret_result);
/* The outcome so far; its times are this process's CLOCK_MONOTONIC. */
void abx_client_result(struct abx_client *client, uint32_t result, struct abx_result *ret);
/* The host's CLOCK_MONOTONIC, nanoseconds: an estimate where it is not this process's. */
uint64_t abx_client_host_ns(const struct abx_client *client);
/* What the host says of its error, or "". */
void abx_client_result_text(
        struct abx_client *client, uint32_t result, char ret[static ABX_RESULT_TEXT_BYTES]);
void abx_client_result_free(struct abx_client *client, uint32_t result);
uint64_t abx_client_queue_completed(const struct abx_client_queue *queue);
/* Waits until `sequence` is complete. 0; -ETIMEDOUT (timeout_ns < 0: never); -ENODEV when it never
 * will be. */
enum abx_client_wait_flag {
    ABX_WAIT_BACKGROUND = 1, /* a service thread's: sleeps at once, and is no round trip */
    ABX_WAIT_SOON = 2, /* with it: looks for a moment first, since there are processors enough */
};
int abx_client_queue_wait(
        struct abx_client_queue *queue, uint64_t sequence, int64_t timeout_ns, unsigned flags);

/* ---- events: words in the guest page */
int abx_client_event_create(struct abx_client *client, uint32_t *ret_slot, abx_handle *ret_handle);
void abx_client_event_destroy(struct abx_client *client, uint32_t slot, abx_handle handle);
uint64_t abx_client_event_value(const struct abx_client *client, uint32_t slot);
/* The CPU's signal: stores the value and tells the host. */
void abx_client_event_set(
        struct abx_client *client, uint32_t slot, abx_handle handle, uint64_t value);
int abx_client_event_wait(struct abx_client *client, uint32_t slot, uint64_t value,
        int64_t timeout_ns, unsigned flags);

/* ---- compiles: the only blocking requests */
struct abx_client_compile {
    int error;                         /* 0 or -errno; -EINVAL: the source has errors */
    char *message;                     /* malloc()ed, or NULL; warnings too */
    struct abx_reflection *reflection; /* malloc()ed and checked; NULL on an error */
    bool cached;
    uint8_t key[32]; /* equal for equal requests, until the host's compiler changes */
};
/* request: struct abx_shader_options, macros, source in this order. library 0: keep nothing. */
void abx_client_compile(struct abx_client *client, abx_handle library, const void *request,
        size_t bytes, struct abx_client_compile *ret);
/* Waits until a pipeline's code is ready. 0, or -errno and the reason in `text`.
 * *ret_threadgroup_bytes: threadgroup memory its own variables take. */
int abx_client_prepare(struct abx_client *client, abx_handle pipeline,
        uint32_t *ret_threadgroup_bytes, char text[static 512]);

/* Where kernels see the first byte of a buffer, when the welcome says that this is to be asked for.
 * 0 or -errno. */
int abx_client_address(struct abx_client *client, abx_handle buffer, uint64_t *ret);

/* ---- what really happened */
struct abx_client_counters {
    uint64_t encode_trips; /* times an encode, a create or a commit had to wait for the host */
    uint64_t wait_trips;   /* waits that were not satisfied on entry */
    uint64_t wait_sleeps;  /* of those: how many slept in the kernel */
    uint64_t compile_trips, prepare_trips, address_trips;
    uint64_t commits;
};
void abx_client_counters(struct abx_client *client, struct abx_client_counters *ret);
/* One line: device, backend, kernels, command buffers, bytes shared, round trips. Returns the
 * length snprintf() would; "" when nothing was ever connected. */
ABX_EXPORT size_t abx_report_line(char *text, size_t capacity);

#endif
