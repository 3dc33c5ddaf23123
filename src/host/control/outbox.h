/* host: messages on their way to a peer that need not be trusted. The one way in which a process
 * with more rights (supervisor, compiler) speaks to one with fewer (worker, command): it never
 * blocks. What the socket does not take at once waits here; a peer that lets more wait than the cap
 * is to be ended. Not thread-safe. */
#ifndef ABX_HOST_OUTBOX_H
#define ABX_HOST_OUTBOX_H

#include "base/base.h"

/* What the memory file of a message will hold: a text, padding to 8, and data. The file is made
 * when the message is the next one, so that what waits costs no descriptor, and a slice at a time:
 * abx_outbox_flush() may have to be called for each. Counted: many messages may share one. */
struct abx_payload {
    unsigned references;
    int fd; /* the file itself, as it is; -1: it is made of the following */
    const void *text, *data;
    size_t text_bytes, data_bytes;
    void (*release)(void *owner); /* of what `text` and `data` point into; may be NULL */
    void *owner;
};

/* One reference, the caller's. NULL: no memory, and the owner is released. */
struct abx_payload *abx_payload_new(const void *text, size_t text_bytes, const void *data,
        size_t data_bytes, void (*release)(void *owner), void *owner);
/* The same with a file that is there: `fd` is the payload's, also on failure. */
struct abx_payload *abx_payload_new_file(int fd, size_t text_bytes, size_t data_bytes);
void abx_payload_unref(struct abx_payload *payload); /* NULL is legal */

struct abx_outgoing;
/* All zeros: an empty one. */
struct abx_outbox {
    struct abx_outgoing *first, *last;
    size_t bytes; /* of what waits, payloads included */
};

/* Sends now or later. payload: NULL, or what comes along as a memory file (without one, when none
 * can be made). -ENOBUFS: more than `cap` bytes would wait; another error: the peer is gone. After
 * either the peer is to be ended. */
int abx_outbox_send(struct abx_outbox *box, int sock, const void *message, size_t length,
        struct abx_payload *payload, size_t cap);
/* When the socket is writable. 0, or -errno: the peer is gone. */
int abx_outbox_flush(struct abx_outbox *box, int sock);
static inline bool abx_outbox_waits(const struct abx_outbox *box)
{
    return box->first != NULL;
}
/* Drops what waits. */
void abx_outbox_finish(struct abx_outbox *box);

#endif
