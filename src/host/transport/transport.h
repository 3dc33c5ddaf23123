/* host: how a session reaches its guest. One transport a file; table.c says which one serves the
 * clients that the supervisor hands over.
 *
 * A transport may have got no descriptor from the guest, a guest page and a host page in memory
 * that the guest can write, chunks in many pieces, and no futex that a guest would hear. Sessions
 * therefore read nothing back from the host page, and know memory only as a parcel.
 *
 * Runs in the worker. Everything that comes from the guest, parcels too, is hostile. */
#ifndef ABX_HOST_TRANSPORT_TRANSPORT_H
#define ABX_HOST_TRANSPORT_TRANSPORT_H

#include "wire/wire.h"

struct abx_host_transport;

/* A piece of a file that is guest memory. */
struct abx_run {
    uint64_t offset, bytes;
};

/* Memory that came with a message: a descriptor, or a list of runs. Copied from the guest's memory
 * before it is looked at. */
struct abx_parcel {
    int fd;               /* -1: none */
    struct abx_run *runs; /* NULL: none; from malloc() */
    uint32_t run_count;
    /* The descriptor is an ordinary file, which may get shorter: from `file_offset` on its pages
     * are mapped for reading, and what is written there nobody else sees. The session says so. */
    bool is_file;
    uint64_t file_offset;
};

enum abx_host_woken {
    ABX_WOKEN_RUNG = 1, /* or interrupted: hush it before looking at the ring for the last time */
    ABX_WOKEN_MESSAGE = 2, /* or the guest has gone: receive says which */
};

struct abx_host_transport_ops {
    const char *name;
    bool guest_drains; /* the guest calls abx_session_kick(): the session's thread leaves the ring
                        */

    /* Sleeps until the guest has rung, sent something or gone, or somebody has interrupted;
     * timeout_ms < 0: for ever. enum abx_host_woken. One thread at a time. */
    unsigned (*wait)(struct abx_host_transport *t, int timeout_ms);
    /* Forgets that the guest has rung. As above. */
    void (*hush)(struct abx_host_transport *t);
    /* Makes wait return. Any thread. */
    void (*interrupt)(struct abx_host_transport *t);
    /* The next message: its length, 0 when the guest has gone, -EAGAIN when there is none, or
     * another -errno when the message cannot be. The parcel is the caller's. Never waits. */
    ssize_t (*receive)(struct abx_host_transport *t, union abx_message *message,
            struct abx_parcel *ret_parcel);
    /* Maps the guest page, which came with its hello, and where the host page is the guest's memory
     * that too, at the address it has. 0 or -errno. */
    int (*greet)(struct abx_host_transport *t, const struct abx_parcel *parcel);
    /* One message, and with it the contents of a memory file, or -1; a welcome tells the guest
     * where the host page is. Never waits: -EAGAIN when the guest does not read; -errno: it has
     * gone. */
    int (*send)(struct abx_host_transport *t, const void *message, size_t bytes, int fd);
    /* Maps `bytes` of a parcel, readable and writable, as one range at `at`, over what is there.
     * 0; -EINVAL, -EPERM, -EBADF: it is no such memory, and nothing has changed. -ENOMEM, -ENOTSUP:
     * it cannot be mapped here; what then lies at `at` is the caller's to replace. */
    int (*map)(struct abx_host_transport *t, const struct abx_parcel *parcel, void *at,
            uint64_t bytes);
    /* 0: `map` would find memory of at least so many bytes in it. */
    int (*check)(struct abx_host_transport *t, const struct abx_parcel *parcel, uint64_t bytes);
    /* The parcel's `bytes` as a memory file that nobody can change any more; the caller's, out of
     * the parcel when it was there. Or -errno. */
    int (*file)(struct abx_host_transport *t, struct abx_parcel *parcel, uint64_t bytes);
    /* (optional) Nothing of the memory that came for `address` is mapped any more. Any thread. */
    void (*released)(struct abx_host_transport *t, uint64_t address);
    /* Wakes guest threads that sleep on `word`, of either page. Any thread. */
    void (*wake)(struct abx_host_transport *t, const _Atomic uint64_t *word);
    /* page->lost was set: wakes every guest thread. Also in signal handlers. */
    void (*tell_lost)(struct abx_host_transport *t);
    /* The guest has gone. Any thread. */
    bool (*is_gone)(struct abx_host_transport *t);
    /* Unmaps both pages and frees. Nothing else is under way. */
    void (*close)(struct abx_host_transport *t);
};

/* One connection. Transports put it first into a structure of their own. */
struct abx_host_transport {
    const struct abx_host_transport_ops *ops;
    struct abx_host_page *page;   /* from the beginning, at this address until the end */
    struct abx_guest_page *guest; /* NULL until greeted */
    /* Messages come by way of another process, and perhaps after records that need them. */
    bool late;
};

/* A connection that the supervisor hands over. host_page: a memory file for struct abx_host_page,
 * or -1. Both descriptors are the transport's from here on, on failure too. 0 or -errno. */
int abx_host_transport_open(int sock, int host_page, struct abx_host_transport **ret);

void abx_parcel_drop(struct abx_parcel *parcel);

#endif
