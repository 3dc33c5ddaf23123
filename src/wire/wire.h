/* wire: what guest and host share. Both sides include this; nothing here trusts either.
 *
 * A client is one connection: a SOCK_SEQPACKET unix socket (hello, memory files, library compiles)
 * and two shared pages.
 *   guest page: written by the guest, read by the host with suspicion (ring, event words).
 *   host page:  written by the host; the guest maps it read-only (completion words, results).
 *
 * Records: the ring and the command arenas hold records, each a struct abx_record followed by its
 * fields, 8-byte aligned, little endian. Layouts are generated from api/ (records_gen.h).
 * - Ring records create and destroy objects and commit command buffers, in order, one way.
 * - Arena records are the contents of command buffers. `commit` names the arena ranges.
 * The host copies records out before it validates them, and validates before it executes.
 *
 * Handles: 64-bit, index in the low 32 bits, generation (never 0) in the high 32; chosen by the
 * guest, looked up by the host in a table that knows each object's type. 0 is "no object". */
#ifndef ABX_WIRE_WIRE_H
#define ABX_WIRE_WIRE_H

#include "base/base.h"

#define ABX_WIRE_MAGIC 0x31584241u /* "ABX1" */
#define ABX_WIRE_VERSION 5u

typedef uint64_t abx_handle;

static inline uint32_t abx_handle_index(abx_handle h)
{
    return (uint32_t)h;
}

static inline uint32_t abx_handle_generation(abx_handle h)
{
    return (uint32_t)(h >> 32);
}

/* ---- caps: everything a guest can size, and why that much */
#define ABX_RING_BYTES (1u << 18)         /* 4,096 commits in flight at 64 bytes */
#define ABX_MAX_QUEUES 256u               /* completion words in one host page */
#define ABX_MAX_RESULTS 4096u             /* command buffers in flight; tinygrad asks for 1,024 */
#define ABX_MAX_EVENTS 4096u              /* event words in the guest page */
#define ABX_MAX_HANDLES (1u << 20)        /* 16 MB of host table at most */
#define ABX_MAX_CHUNKS 65536u             /* under vm.max_map_count with room to spare */
#define ABX_MAX_SEGMENTS 64u              /* arena ranges of one commit */
#define ABX_MAX_SUBMIT_BYTES (64u << 20)  /* records of one command buffer, copied by the host */
#define ABX_MAX_ICB_COMMANDS 65536u       /* of one indirect command buffer */
#define ABX_MAX_COMPILE_BYTES (17u << 20) /* source and options of one library */
#define ABX_MAX_RECORD_BYTES 8192u        /* setBytes: 4,096 and its header */
#define ABX_WINDOW_BYTES (1ull << 40)     /* device addresses one client may use */

/* A compile request that is a .metallib file, in place of source: MLX's has 147 MB. */
#define ABX_MAX_METALLIB_BYTES (192u << 20)

struct abx_record {
    uint16_t op;       /* enum abx_op (records_gen.h) */
    uint16_t reserved; /* 0 */
    uint32_t bytes;    /* whole record, a multiple of 8 */
};

/* ---- the guest page (one memory file, made by the guest, sealed against shrinking) */
struct abx_guest_page {
    /* Ring producer position in bytes, rising for ever; the record at p is at ring[p % RING]. A
     * record never wraps: the guest pads with an `op 0` record to the end. */
    _Alignas(64) _Atomic uint64_t ring_tail;
    /* Number of guest threads asleep on a word of either page, and of those that sleep until the
     * ring is read: the host wakes them while it is not 0. */
    _Alignas(64) _Atomic uint32_t waiters, ring_waiters;
    /* 1 + the CPU on which the guest last committed; 0: it is not one of the host's. A hint. */
    _Atomic uint32_t cpu;
    /* MTLEvent/MTLSharedEvent values; a slot belongs to the event record that named it. Either side
     * stores; 32-bit futexes on the low half. */
    _Alignas(64) _Atomic uint64_t events[ABX_MAX_EVENTS];
    _Alignas(4096) uint8_t ring[ABX_RING_BYTES];
};

/* ---- the host page (one memory file, made by the host, sealed against the guest's writing) */

/* How one command buffer ended. The slot is chosen by the guest in `commit` and the host's to write
 * until the queue's completion word reaches the commit's sequence number. */
struct abx_result {
    uint64_t sequence;                 /* of the commit that wrote it */
    uint64_t start_ns, end_ns;         /* CLOCK_MONOTONIC of the host */
    uint64_t kernels;                  /* dispatches run */
    uint32_t error;                    /* enum abx_exec_error (backend.h): MTLCommandBufferError */
    uint32_t error_op;                 /* enum abx_op of the failing record, 0 if none */
    uint32_t error_reason;             /* enum abx_reason */
    uint32_t error_record;             /* index of the failing record in the command buffer */
    uint64_t error_value, error_limit; /* the offending number and what it had to stay under */
};
_Static_assert(sizeof(struct abx_result) == 64, "one cache line");
#define ABX_RESULT_TEXT_BYTES 128u

enum abx_reason {
    ABX_REASON_NONE = 0,
    ABX_REASON_HANDLE_UNKNOWN, /* error_value: the handle: never made, released, or forged */
    ABX_REASON_HANDLE_TYPE,    /* error_value: the handle: an object of another class */
    ABX_REASON_RANGE,     /* error_value past error_limit (a buffer's length, a table's size) */
    ABX_REASON_ENUM,      /* error_value is not one of the enum's */
    ABX_REASON_ZERO,      /* a size that must not be 0 */
    ABX_REASON_ALIGNMENT, /* error_value is not a multiple of error_limit */
    ABX_REASON_STATE,     /* not allowed here: outside an encoder, no pipeline set, ... */
    ABX_REASON_OVERFLOW,
    ABX_REASON_MEMORY,   /* the host has no more, or the tenant's cap is reached */
    ABX_REASON_PIPELINE, /* the pipeline did not compile */
    ABX_REASON_TIMEOUT,  /* used more processor time than error_limit milliseconds */
    ABX_REASON_FAULT,    /* the kernel touched memory outside its buffers, at error_value, or
                            trapped; error_limit: the signal */
    ABX_REASON_LOST,     /* the worker or the connection is gone */
    ABX_REASON_UNSUPPORTED,
};

struct abx_host_page {
    _Alignas(64) _Atomic uint64_t
            ring_head; /* consumer position; futex for a guest with a full ring */
    /* 1 while the host sleeps: a guest that has raised ring_tail writes 8 bytes to the doorbell
     * eventfd. The guest fences (seq_cst) between the two. */
    _Alignas(64) _Atomic uint32_t need_doorbell;
    /* Not 0 when the device is gone (enum abx_reason); every completion word is then final. */
    _Alignas(64) _Atomic uint32_t lost;
    _Atomic uint32_t lost_wake;               /* futex, raised with `lost` */
    _Atomic uint64_t memory_used, memory_cap; /* bytes of this tenant */
    char lost_text[192];
    /* Commits finished per queue slot, in order. Futex on the low half. */
    _Alignas(4096) _Atomic uint64_t completed[ABX_MAX_QUEUES];
    _Alignas(4096) struct abx_result results[ABX_MAX_RESULTS];
    /* Of those with an error: what the backend says of it, or "". NUL-terminated. */
    char texts[ABX_MAX_RESULTS][ABX_RESULT_TEXT_BYTES];
    /* Counters for `arcbox gpu` and the tests, not for decisions. */
    _Alignas(4096) _Atomic uint64_t commands_executed, command_buffers, kernels, bytes_shared;
    /* Bytes of this tenant in the device's own memory: private memory and lent files. device_cap 0:
     * memory_used counts them. */
    _Atomic uint64_t device_used, device_cap;
};

/* ---- socket messages. Every message starts with `type`; answers carry the request's `tag`. */
enum abx_message_type {
    ABX_MESSAGE_HELLO = 1,    /* guest -> host, fd: guest page */
    ABX_MESSAGE_WELCOME = 2,  /* host -> guest, fds: host page, doorbell eventfd */
    ABX_MESSAGE_REFUSED = 3,  /* host -> guest: then the host closes */
    ABX_MESSAGE_CHUNK = 4,    /* guest -> host, fd: memory; one way */
    ABX_MESSAGE_COMPILE = 5,  /* guest -> host, fd: request, sealed against writing; answered */
    ABX_MESSAGE_COMPILED = 6, /* host -> guest, fd: reflection or diagnostics */
    ABX_MESSAGE_PREPARE =
            7, /* guest -> host; answered when a pipeline's code is ready (or failed) */
    ABX_MESSAGE_PREPARED = 8,
    ABX_MESSAGE_ADDRESS = 9, /* guest -> host; answered when the buffer's memory is there */
    ABX_MESSAGE_ADDRESSED = 10,
    /* host -> the device of a virtual machine: of the memory that came for an address nothing is
     * mapped any more. Guests do not see it. */
    ABX_MESSAGE_RELEASED = 11,
};

struct abx_message_hello {
    uint32_t type, magic, version;
    uint32_t pid;     /* the guest's own number for itself: shown, never trusted */
    char program[64]; /* NUL-terminated */
};

struct abx_message_welcome {
    uint32_t type, version;
    uint64_t window; /* first device address; chunk addresses are relative to it */
    uint64_t window_bytes;
    uint64_t memory_cap;
    uint64_t recommended_working_set, max_buffer_length, registry_id;
    uint32_t unified_memory, simd_width, max_threadgroup_bytes, max_threads_per_threadgroup;
    uint32_t apple_family, metal3, shader_version;
    /* 0: kernels see memory at `window` + its address. 1: wherever the device has it, which is to
     * be asked for (ABX_MESSAGE_ADDRESS). */
    uint32_t asks_addresses;
    uint32_t operations;    /* ABX_OPERATION_* that commands may ask for */
    uint32_t compute_units; /* the device has; 0: not known */
    /* Not 0: chunks whose addresses are multiples of so many bytes, and that lie in pages of as
     * many for themselves, may be mirrored (chunk_mirror). A power of two. */
    uint64_t mirror_align;
    uint64_t clock_ns; /* CLOCK_MONOTONIC of the host, now: the guest's may be another */
    char device_name[64], backend[16], tenant[64];
};

struct abx_message_refused {
    uint32_t type, error; /* positive errno */
    char text[248];
};

/* Memory both sides map. The guest chose `address` (window-relative, page aligned, free). Ring
 * records that use the chunk may be read before this message: the host then drains the socket
 * first. */
struct abx_message_chunk {
    uint32_t type, chunk; /* id: 1 .. ABX_MAX_CHUNKS - 1, chosen by the guest */
    uint64_t bytes, address;
    /* With ABX_CHUNK_FILE the descriptor is an ordinary file that the guest reads: `bytes` of it
     * from `file_offset` on, a multiple of the page size, perhaps past its end in the last page.
     * What the device writes there the device alone sees, and no commands or indirect arguments can
     * lie there, because a file may get shorter. */
    uint64_t file_offset;
    uint32_t flags, reserved;
};
#define ABX_CHUNK_FILE 1u

/* fd: a memory file of `bytes`: struct abx_shader_options, macros, source. library: the handle the
 * guest gives the result (ring records may use it after the answer). */
struct abx_message_compile {
    uint32_t type, tag;
    abx_handle library; /* 0: compile only, keep nothing (MTLCompiler's build request) */
    uint64_t bytes;
};

struct abx_message_compiled {
    uint32_t type, tag;
    int32_t error;             /* 0, or negative errno (-EINVAL: the user's source) */
    uint32_t message_bytes;    /* of the fd's first part: diagnostics, warnings too */
    uint64_t reflection_bytes; /* of its second part, which starts at the next multiple of 8 */
    uint32_t cached;           /* 1: nothing was compiled */
    uint32_t microseconds;
    uint8_t key[32]; /* the library's in the host's cache: it names what was compiled, by which
                        compiler; the host never takes one back */
};

struct abx_message_prepare {
    uint32_t type, tag;
    abx_handle pipeline;
};

struct abx_message_prepared {
    uint32_t type, tag;
    int32_t error;
    uint32_t cached;
    uint32_t threadgroup_bytes; /* its own variables', a thing only the finished code tells */
    char text[492];             /* why it failed */
};

/* Where kernels see the first byte of a buffer. */
struct abx_message_address {
    uint32_t type, tag;
    abx_handle buffer;
};

struct abx_message_addressed {
    uint32_t type, tag;
    int32_t error;
    uint32_t reserved;
    uint64_t address;
};

struct abx_message_released {
    uint32_t type, reserved;
    uint64_t address; /* the chunk's */
};

union abx_message {
    uint32_t type;
    struct abx_message_hello hello;
    struct abx_message_welcome welcome;
    struct abx_message_refused refused;
    struct abx_message_chunk chunk;
    struct abx_message_compile compile;
    struct abx_message_compiled compiled;
    struct abx_message_prepare prepare;
    struct abx_message_prepared prepared;
    struct abx_message_address address;
    struct abx_message_addressed addressed;
    struct abx_message_released released;
};

/* Where a guest finds its socket: this variable, else this path. */
#define ABX_SOCKET_ENV "ARCBOX_SOCKET"
#define ABX_SOCKET_PATH "/run/arcbox/gpu.sock"

/* ---- indirect command buffers live in guest memory; the host copies the slots it executes. */
#define ABX_ICB_MAX_BUFFERS 31u
struct abx_icb_slot {
    abx_handle pipeline;
    uint32_t kind;    /* 0 reset (skipped), 1 dispatchThreadgroups, 2 dispatchThreads */
    uint32_t barrier; /* setBarrier */
    uint32_t grid[3]; /* threadgroups or threads, by kind */
    uint32_t threadgroup[3];
    struct {
        abx_handle buffer;
        uint64_t offset;
    } buffers[ABX_ICB_MAX_BUFFERS];
    uint32_t threadgroup_bytes[32];
    uint32_t bound; /* bit i: buffers[i] is set */
    uint32_t reserved;
};

#endif
