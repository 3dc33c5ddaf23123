/* vmm: the vhost-user protocol, at the device's end. The hypervisor is not trusted: the guest may
 * have taken it over. One thread; nothing here waits. */
#ifndef ABX_VMM_VHOST_H
#define ABX_VMM_VHOST_H

#include "vmm/gpu.h"
#include "vmm/virtqueue.h"

#define ABX_VMM_QUEUES 2u         /* control, cursor */
#define ABX_VHOST_MAX_BYTES 1024u /* of one message's body */

/* As it lies on the socket: the body right behind a head of 12 bytes. */
struct __attribute__((packed)) abx_vhost_message {
    uint32_t request, flags, bytes;
    union __attribute__((packed)) {
        uint64_t number;
        struct {
            uint32_t index, value;
        } state;
        struct {
            uint32_t index, flags;
            uint64_t descriptors, used, available, log;
        } address;
        struct {
            uint32_t count, padding;
            struct {
                uint64_t address, bytes, user, offset;
            } regions[ABX_VMM_MAX_REGIONS];
        } memory;
        struct {
            uint32_t offset, bytes, flags;
            uint8_t data[256];
        } config;
        uint8_t raw[ABX_VHOST_MAX_BYTES];
    };
};
#define ABX_VHOST_HEAD_BYTES 12u
_Static_assert(offsetof(struct abx_vhost_message, number) == ABX_VHOST_HEAD_BYTES, "no padding");

struct abx_vhost {
    int sock;    /* to the hypervisor */
    int display; /* what it shows the guest's screen through; nothing is sent there */
    struct abx_vmm_ram ram;
    struct abx_vmm_gpu *gpu;
    struct abx_vmm_queue queues[ABX_VMM_QUEUES];
    uint64_t features;
    uint8_t *request;                             /* of the queues, one at a time */
    struct abx_vmm_reply held[ABX_VMM_QUEUE_MAX]; /* of the control queue, by their heads */
    /* What has come of the next message. */
    struct abx_vhost_message message;
    size_t have;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count;
    bool resetting; /* the message is held until workers have let go of the guest's memory */
};

/* `sock` is taken over. 0 or -errno. */
int abx_vhost_start(struct abx_vhost *v, int sock, const char *worker_socket);
void abx_vhost_finish(struct abx_vhost *v);
/* One round: waits until there is something to do, and does it; at most `timeout_ms`. -EPIPE: the
 * hypervisor has gone, or what it says makes no sense. */
int abx_vhost_serve(struct abx_vhost *v, int timeout_ms);

/* One whole message, as the sockets bring it: for tests too. 0 or -errno; the descriptors are
 * closed. *ret_answer bytes of v->message are the answer. One that resets the guest may be held:
 * v->resetting. */
int abx_vhost_message(struct abx_vhost *v, uint32_t *ret_answer);

#endif
