/* vmm: one split virtqueue, the device's side. Everything in the ring is the guest's, and may
 * change at any moment: each word is read once. One thread. */
#ifndef ABX_VMM_VIRTQUEUE_H
#define ABX_VMM_VIRTQUEUE_H

#include "vmm/guest_ram.h"

#define ABX_VMM_QUEUE_MAX 1024u /* entries */
/* Of one chain. A list of 65,536 pages lies in 257 pages of the guest's. */
#define ABX_VMM_CHAIN_MAX 1024u
#define ABX_VMM_REQUEST_MAX (2u << 20)   /* bytes that a guest may send in one chain */
#define ABX_VMM_RESPONSE_MAX (16u << 10) /* bytes that are written into one */

struct abx_vmm_part {
    uint64_t address;
    uint32_t bytes;
};

/* Where an answer goes. Addresses are the guest's: looked up when it is written. */
struct abx_vmm_reply {
    uint16_t head;
    unsigned count;
    struct abx_vmm_part parts[8];
};

struct abx_vmm_queue {
    unsigned size;             /* a power of two; 0: not set */
    uint64_t user[3];          /* descriptors, available, used: the hypervisor's addresses */
    bool addressed;            /* `user` is set */
    bool enabled, broken;      /* broken: the guest's driver makes no sense; until it is reset */
    bool event_index;          /* negotiated */
    uint16_t seen, used, told; /* positions: what was taken, given back, told of */
    int kick, call;            /* eventfds, or -1 */
};

void abx_vmm_queue_start(struct abx_vmm_queue *q); /* to what a reset leaves */
void abx_vmm_queue_stop(struct abx_vmm_queue *q);  /* and closes both eventfds */

/* Copies the next chain's readable part to `request`, of ABX_VMM_REQUEST_MAX bytes. 1: there was
 * one. 0: there is none, and the guest kicks when there is. -EINVAL: a chain that is none; it is to
 * be given back with 0 bytes. -EPIPE: the queue is broken. */
int abx_vmm_queue_take(struct abx_vmm_queue *q, const struct abx_vmm_ram *ram, uint8_t *request,
        uint32_t *ret_bytes, struct abx_vmm_reply *ret_reply);
/* Writes an answer, cut to what the guest has room for, and gives the chain back. */
void abx_vmm_queue_give(struct abx_vmm_queue *q, const struct abx_vmm_ram *ram,
        const struct abx_vmm_reply *reply, const void *answer, uint32_t bytes);
/* Tells the guest of what was given back, when it wants to know. */
void abx_vmm_queue_notify(struct abx_vmm_queue *q, const struct abx_vmm_ram *ram);

#endif
