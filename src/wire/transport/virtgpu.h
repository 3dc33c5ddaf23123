/* wire: what a guest of a virtual machine and the device process (src/vmm) say to each other, over
 * the stock virtio-gpu driver. The guest is hostile to the device; it believes the device's
 * answers.
 *
 * Down: each EXECBUFFER is one abx_virtgpu_command, then `resources` resource numbers (uint32_t,
 * padded to 8), then a message of wire.h. Memory is resources, in order, `bytes` of them together.
 * Up: the control area, which lies in the guest's memory behind both pages of wire.h.
 *
 * A fence says only that somebody should look again: all of a machine's fences are on one line, and
 * each that is signalled signals the older ones. */
#ifndef ABX_WIRE_TRANSPORT_VIRTGPU_H
#define ABX_WIRE_TRANSPORT_VIRTGPU_H

#include "wire/wire.h"

/* Below 31, where Linux 6.1 shifts in 32 bits, and none that is registered (1 to 10). */
#define ABX_VIRTGPU_CAPSET 29u
#define ABX_VIRTGPU_MAGIC 0x31475641u /* "AVG1" */
#define ABX_VIRTGPU_VERSION 1u

/* A piece of memory larger than this is several resources. RESOURCE_CREATE counts in 32 bits, and
 * the list of pages of one resource stays under a megabyte. */
#define ABX_VIRTGPU_RESOURCE_BYTES (256u << 20)
#define ABX_VIRTGPU_MAX_COMMAND_BYTES (64u << 10) /* of one EXECBUFFER */
#define ABX_VIRTGPU_SLOTS 32u                     /* answers that the guest has not read */

/* The contents of the capability set. */
struct abx_virtgpu_caps {
    uint32_t magic, version, wire_version, reserved;
};

enum abx_virtgpu_op {
    ABX_VIRTGPU_OPEN = 1, /* memory: both pages and the control area; message: the hello */
    ABX_VIRTGPU_SHARE,    /* memory: a chunk's; message: that chunk */
    ABX_VIRTGPU_SEND,     /* memory: none, or a payload, copied at once; message */
    ABX_VIRTGPU_FETCH,    /* memory: where the payload of the answer `tag` is wanted */
    ABX_VIRTGPU_RING,     /* the doorbell; also: answers were read */
    ABX_VIRTGPU_SLEEP,    /* its fence is signalled once `wakes` is not the low half of `tag` */
    ABX_VIRTGPU_PING,     /* `tag` comes back in `pong` */
};

struct abx_virtgpu_command {
    uint32_t magic, op;
    uint32_t resources, message_bytes;
    uint64_t bytes, tag;
};

struct abx_virtgpu_slot {
    _Alignas(1024) uint32_t message_bytes; /* each slot lies in one page */
    uint32_t reserved;
    uint64_t payload_bytes; /* not 0: waits to be fetched, under the answer's number */
    union abx_message message;
};

/* Written by the device, but for `taken`. What lies in one line is in one page of memory. */
struct abx_virtgpu_control {
    _Alignas(4096) _Atomic uint32_t wakes; /* how often something happened */
    _Atomic uint32_t gone;                 /* 1: the connection has ended */
    _Atomic uint64_t pong, fetched;        /* tags */
    _Atomic uint64_t posted;               /* answers so far; the n-th is in slot n % SLOTS */
    _Alignas(64) _Atomic uint64_t taken;   /* the guest's: answers it has read */
    _Alignas(4096) struct abx_virtgpu_slot slots[ABX_VIRTGPU_SLOTS];
};

/* The memory of OPEN. */
struct abx_virtgpu_pages {
    struct abx_guest_page guest;
    struct abx_host_page host;
    struct abx_virtgpu_control control;
};

_Static_assert(sizeof(struct abx_virtgpu_command) == 32, "as it lies in a command");
_Static_assert(sizeof(struct abx_virtgpu_slot) == 1024, "four a page");

#endif
