/* wire, guest side: how a program reaches its host. One transport a file; table.c lists them.
 *
 * A transport may not pass descriptors, may have a host whose clock is another, may have shared
 * memory that arrives in pieces at the host, and may have no futex that the host can wake: what is
 * below says nothing of these. It runs in the guest's process and trusts that process; of the host
 * it believes answers, never progress.
 *
 * Threads: all but connect, abandon and disconnect are called from any thread, at once. receive is
 * called by one thread at a time. After fork() the child calls abandon alone. */
#ifndef ABX_WIRE_TRANSPORT_H
#define ABX_WIRE_TRANSPORT_H

#include <stdatomic.h>

#include "wire/transport/names.h"
#include "wire/wire.h"

#define ABX_ANSWER_SECONDS 20 /* a host that says nothing to a hello for so long never will */

/* One connection. Transports put it first into a structure of their own. */
struct abx_transport {
    const struct abx_transport_ops *ops;
    struct abx_guest_page *guest;
    const struct abx_host_page *host; /* the guest may be able to write there; it does not */
};

/* A hello, what came of it, and what to tell the user when that is nothing. */
struct abx_greeting {
    struct abx_message_hello hello;
    union abx_message answer;
    ssize_t answer_bytes; /* 0: the host closed the connection; or -errno: -EAGAIN: it is silent */
    char place[128];      /* where the host was looked for */
    const char *why;      /* static; NULL: what the error says is enough */
};

/* Memory that host and guest see. */
struct abx_shared {
    uint8_t *pointer; /* share: where it was mapped */
    /* adopt: in, pages of the caller's, and where they lie in the memory; out, the pages of the
     * memory before and after them, mapped elsewhere, NULL where there are none. */
    uint8_t *whole;
    uint64_t whole_offset, whole_bytes;
    uint8_t *rim[2];
    uint64_t inode; /* of what is mapped there, as /proc/self/maps shows it */
    int file;       /* adopt: the memory's, the caller's to close; -1: none was kept */
    bool told;      /* the host has the chunk, also when the call failed after that */
    void *own;      /* the transport's */
};

/* What came with a message: `bytes` from malloc(), the receiver's. */
struct abx_attachment {
    void *data;
    size_t bytes;
};

struct abx_transport_ops {
    const char *name;
    bool same_kernel; /* guest and host are processes of one: its clock, its CPUs are theirs */

    /* (optional) This system has a host that only this one reaches: it is used unless another one
     * is named. */
    bool (*offered)(void);
    /* Finds the host, makes both pages, says hello and takes the first answer. 0: there was one, or
     * the end of the connection, in `greeting`; ->host is mapped when it was a welcome. */
    int (*connect)(struct abx_greeting *greeting, struct abx_transport **ret);
    /* Makes chunk->bytes of zeroed memory, maps it, and tells the host: message `chunk`. Unmapping
     * is the caller's. On failure nothing is left. */
    int (*share)(struct abx_transport *t, const struct abx_message_chunk *chunk,
            struct abx_shared *memory);
    /* The same, but maps it over the pages memory->whole, whose contents it takes over, and its
     * rims. -EFAULT: nothing is there. On failure the caller's pages hold what they held, and the
     * rims are the caller's to unmap. */
    int (*adopt)(struct abx_transport *t, const struct abx_message_chunk *chunk,
            struct abx_shared *memory);
    /* (optional) Tells the host of a part of a file, message `chunk` with ABX_CHUNK_FILE, which it
     * maps as it is. The descriptor stays the caller's. */
    int (*lend)(struct abx_transport *t, const struct abx_message_chunk *chunk, int fd);
    /* (optional) The host has read that the chunk is gone, and nothing of it is mapped here. */
    void (*unshare)(struct abx_transport *t, struct abx_shared *memory);
    /* One message, and a payload or none, which the host sees as it was at the call. 0 or -errno;
     * -EPIPE, -ECONNRESET, -EBADF: the host has gone. */
    int (*send)(struct abx_transport *t, const void *message, size_t bytes, const void *payload,
            size_t payload_bytes);
    /* The next message: its length, 0 when the host has gone, -ETIMEDOUT after timeout_ms (< 0:
     * never), or -errno. A payload that cannot be had is NULL. */
    ssize_t (*receive)(struct abx_transport *t, union abx_message *message,
            struct abx_attachment *ret_payload, int timeout_ms);
    /* guest->ring_tail was raised: wakes the host when host->need_doorbell says that it sleeps. */
    void (*doorbell)(struct abx_transport *t);
    /* Sleeps while the low half of `word`, in either page, is `expected`'s, at most limit_ns; may
     * wake for nothing. The caller has counted itself in guest->waiters. */
    void (*sleep)(struct abx_transport *t, const _Atomic uint64_t *word, uint64_t expected,
            int64_t limit_ns);
    /* Wakes threads of this program that sleep on `word`, of the guest page. */
    void (*wake)(struct abx_transport *t, const _Atomic uint64_t *word);
    /* Looks whether the host is still there; may cost a system call. */
    bool (*alive)(struct abx_transport *t);
    /* In a fork()ed child: gives up what the child must not hold. The pages stay mapped; only
     * alive, which says no, may be called after it. */
    void (*abandon)(struct abx_transport *t);
    /* Frees everything. Nothing is shared yet. */
    void (*disconnect)(struct abx_transport *t);
};

/* The first is the default, where none is offered. */
extern const struct abx_transport_ops *const abx_transports[];
extern const unsigned abx_transport_count;

/* After raising ring_tail: true when the host sleeps and has to be woken. */
static inline bool abx_transport_host_sleeps(const struct abx_transport *t)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&t->host->need_doorbell, memory_order_relaxed);
}

static inline uint32_t *abx_low_half(const _Atomic uint64_t *word)
{
    return (uint32_t *)(uintptr_t)word; /* little endian */
}

#endif
