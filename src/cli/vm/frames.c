/* cli: frames.h: cutting a stream into frames. Runs in arcbox, arcbox-vm and in a virtual machine;
 * none believes another's sizes. */
#include "cli/vm/frames.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int abx_vm_read(int fd, struct abx_vm_reader *r)
{
    for (;;) {
        size_t head = sizeof r->head;
        if (r->have >= head && r->head.bytes > sizeof r->data)
            return -EPIPE;
        size_t wanted = r->have < head ? head : head + r->head.bytes;
        if (r->have >= head && r->have == wanted)
            return 1;
        void *at = r->have < head ? (uint8_t *)&r->head + r->have : r->data + (r->have - head);
        ssize_t n = read(fd, at, wanted - r->have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
            return -EPIPE;
        r->have += (size_t)n;
    }
}

void abx_vm_next(struct abx_vm_reader *r)
{
    r->have = 0;
}

uint32_t abx_vm_number(const struct abx_vm_reader *r)
{
    uint32_t number = 0;
    if (r->head.bytes >= sizeof number)
        memcpy(&number, r->data, sizeof number);
    return number;
}

bool abx_vm_put(
        struct abx_vm_writer *w, uint32_t channel, uint32_t kind, const void *data, size_t bytes)
{
    struct abx_vm_head head = {(uint16_t)kind, (uint16_t)channel, (uint32_t)bytes};
    if (sizeof w->bytes - w->length < sizeof head + bytes)
        return false;
    memmove(w->bytes, w->bytes + w->start, w->length);
    w->start = 0;
    memcpy(w->bytes + w->length, &head, sizeof head);
    if (bytes)
        memcpy(w->bytes + w->length + sizeof head, data, bytes);
    w->length += sizeof head + bytes;
    return true;
}

int abx_vm_flush(int fd, struct abx_vm_writer *w)
{
    while (w->length) {
        ssize_t n = write(fd, w->bytes + w->start, w->length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        w->start += (size_t)n;
        w->length -= (size_t)n;
    }
    w->start = 0;
    return 0;
}
