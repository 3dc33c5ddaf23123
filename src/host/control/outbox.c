/* host: see outbox.h. Runs in the supervisor and in the compiler; trusts no peer. */
#include "host/control/outbox.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct abx_outgoing {
    struct abx_outgoing *next;
    struct abx_payload *payload;
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

/* Sealed against every change. */
static int payload_file(const struct abx_payload *p)
{
    static const uint64_t padding;
    int fd = memfd_create("arcbox-answer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int r = abx_write_all(fd, p->text, p->text_bytes);
    if (r == 0)
        r = abx_write_all(fd, &padding, abx_align_up(p->text_bytes, 8) - p->text_bytes);
    if (r == 0)
        r = abx_write_all(fd, p->data, p->data_bytes);
    if (r == 0 &&
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        r = -errno;
    if (r < 0) {
        close(fd);
        return r;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static int try_one(int sock, const void *message, size_t length, const struct abx_payload *payload)
{
    bool there = payload && payload->fd >= 0;
    int fd = there ? payload->fd : payload ? payload_file(payload) : -1;
    int r = abx_sock_try_send(sock, message, length, &fd, fd >= 0);
    if (fd >= 0 && !there)
        close(fd);
    return r;
}

int abx_outbox_send(struct abx_outbox *box, int sock, const void *message, size_t length,
        struct abx_payload *payload, size_t cap)
{
    int r = box->first ? -EAGAIN : try_one(sock, message, length, payload);
    if (r != -EAGAIN)
        return r;
    size_t bytes = length + (payload ? payload->text_bytes + payload->data_bytes : 0);
    struct abx_outgoing *o =
            abx_range_ok(box->bytes, bytes, cap) ? malloc(sizeof *o + length) : NULL;
    if (!o)
        return -ENOBUFS;
    *o = (struct abx_outgoing){.payload = payload, .length = length};
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
    free(o);
}

int abx_outbox_flush(struct abx_outbox *box, int sock)
{
    while (box->first) {
        int r = try_one(sock, box->first->message, box->first->length, box->first->payload);
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
