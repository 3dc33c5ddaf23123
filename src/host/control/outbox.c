/* host: see outbox.h. Runs in the supervisor and in the compiler; trusts no peer. */
#include "host/control/outbox.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLICE_BYTES (256u << 10) /* a fraction of a millisecond */

struct abx_outgoing {
    struct abx_outgoing *next;
    struct abx_payload *payload;
    int file;     /* what comes along, -1: not begun, or it cannot be made */
    size_t built; /* of it */
    size_t length;
    uint8_t message[];
};

struct abx_payload *abx_payload_new(const void *text, size_t text_bytes, const void *data,
        size_t data_bytes, void (*release)(void *owner), void *owner)
{
    struct abx_payload *p = malloc(sizeof *p);
    if (!p) {
        if (release)
            release(owner);
        return NULL;
    }
    *p = (struct abx_payload){1, -1, text, data, text_bytes, data_bytes, release, owner};
    return p;
}

struct abx_payload *abx_payload_new_file(int fd, size_t text_bytes, size_t data_bytes)
{
    struct abx_payload *p = malloc(sizeof *p);
    if (!p) {
        close(fd);
        return NULL;
    }
    *p = (struct abx_payload){
            .references = 1, .fd = fd, .text_bytes = text_bytes, .data_bytes = data_bytes};
    return p;
}

void abx_payload_unref(struct abx_payload *payload)
{
    if (!payload || --payload->references)
        return;
    if (payload->fd >= 0)
        close(payload->fd);
    if (payload->release)
        payload->release(payload->owner);
    free(payload);
}

static size_t whole_of(const struct abx_payload *p)
{
    return abx_align_up(p->text_bytes, 8) + p->data_bytes;
}

/* A slice more of the file that comes along, in the end sealed against every change. */
static int build(struct abx_outgoing *o)
{
    static const uint64_t padding;
    const struct abx_payload *p = o->payload;
    size_t data_at = abx_align_up(p->text_bytes, 8), whole = whole_of(p), left = SLICE_BYTES;
    int r = 0;
    while (r == 0 && left && o->built < whole) {
        size_t at = o->built, n = at < p->text_bytes ? p->text_bytes - at
                                  : at < data_at     ? data_at - at
                                                     : whole - at;
        const void *from = at < p->text_bytes ? (const char *)p->text + at
                           : at < data_at     ? (const void *)&padding
                                              : (const char *)p->data + (at - data_at);
        n = n < left ? n : left;
        r = abx_write_all(o->file, from, n);
        o->built += n;
        left -= n;
    }
    if (r == 0 && o->built == whole &&
            fcntl(o->file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) <
                    0)
        r = -errno;
    if (r == 0 && o->built == whole)
        lseek(o->file, 0, SEEK_SET);
    return r;
}

/* False: there is more to be made of it, in another turn. */
static bool ready(struct abx_outgoing *o)
{
    const struct abx_payload *p = o->payload;
    if (!p || p->fd >= 0 || (o->built && o->built == whole_of(p)))
        return true;
    if (o->file < 0)
        o->file = memfd_create("arcbox-answer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (o->file >= 0 && build(o) == 0)
        return o->built == whole_of(p);
    if (o->file >= 0) /* it goes without */
        close(o->file);
    o->file = -1;
    o->built = whole_of(p);
    return true;
}

static int send_now(int sock, const struct abx_outgoing *o, const void *message)
{
    int fd = o->payload && o->payload->fd >= 0 ? o->payload->fd : o->file;
    return abx_sock_try_send(sock, message, o->length, &fd, fd >= 0);
}

/* What is small is sent at once, where the socket takes it. */
static int try_small(int sock, const void *message, size_t length, struct abx_payload *payload)
{
    struct abx_outgoing o = {.payload = payload, .length = length, .file = -1};
    if (payload && payload->fd < 0 && whole_of(payload) > SLICE_BYTES)
        return -EAGAIN;
    ready(&o);
    int r = send_now(sock, &o, message);
    if (o.file >= 0)
        close(o.file);
    return r;
}

int abx_outbox_send(struct abx_outbox *box, int sock, const void *message, size_t length,
        struct abx_payload *payload, size_t cap)
{
    int r = box->first ? -EAGAIN : try_small(sock, message, length, payload);
    if (r != -EAGAIN)
        return r;
    size_t bytes = length + (payload ? payload->text_bytes + payload->data_bytes : 0);
    /* One may be larger than all that may wait. */
    struct abx_outgoing *o =
            !box->first || abx_range_ok(box->bytes, bytes, cap) ? malloc(sizeof *o + length) : NULL;
    if (!o)
        return -ENOBUFS;
    *o = (struct abx_outgoing){.payload = payload, .length = length, .file = -1};
    memcpy(o->message, message, length);
    if (payload)
        payload->references++;
    if (box->last)
        box->last->next = o;
    else
        box->first = o;
    box->last = o;
    box->bytes += bytes;
    return 0;
}

static void drop_first(struct abx_outbox *box)
{
    struct abx_outgoing *o = box->first;
    box->first = o->next;
    if (!box->first)
        box->last = NULL;
    box->bytes -= o->length;
    if (o->payload)
        box->bytes -= o->payload->text_bytes + o->payload->data_bytes;
    abx_payload_unref(o->payload);
    if (o->file >= 0)
        close(o->file);
    free(o);
}

int abx_outbox_flush(struct abx_outbox *box, int sock)
{
    while (box->first) {
        if (!ready(box->first))
            return 0;
        int r = send_now(sock, box->first, box->first->message);
        if (r < 0)
            return r == -EAGAIN ? 0 : r;
        drop_first(box);
    }
    return 0;
}

void abx_outbox_finish(struct abx_outbox *box)
{
    while (box->first)
        drop_first(box);
}
