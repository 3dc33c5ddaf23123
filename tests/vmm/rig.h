/* A virtual machine without a machine, for tests of its device: RAM in a memory file, a control
 * queue in it, and somebody who listens where the tenant's worker would. */
#ifndef ABX_TESTS_VMM_RIG_H
#define ABX_TESTS_VMM_RIG_H

#include <linux/virtio_gpu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/vhost.h"
#include "wire/transport/virtgpu.h"

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define RAM_BYTES (16u << 20)
#define RAM_AT 0x40000000ull       /* as the guest has it */
#define RAM_USER 0x7f0000000000ull /* as the hypervisor has it */
#define QUEUE_SIZE 256u
#define TABLE_AT 0u /* offsets in RAM */
#define AVAILABLE_AT 8192u
#define USED_AT 12288u
#define REQUEST_AT 65536u /* where requests are written; 2 MiB and more */
#define ANSWER_AT (4u << 20)
#define FREE_AT (8u << 20) /* for buffers */

struct ring_descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

struct rig {
    struct abx_vhost vhost;
    int hypervisor; /* the other end of its socket */
    int listener;
    char folder[64], path[80];
    int memory;
    uint8_t *ram;
    struct ring_descriptor *table;
    volatile uint16_t *available; /* flags, position, ring */
    volatile uint16_t *used;
    uint16_t used_seen;
    int kick, call;
};

/* Everything set up as QEMU does. */
void rig_start(struct rig *rig);
void rig_finish(struct rig *rig);
/* One message of the hypervisor's: what the device makes of it. The descriptor is closed. */
int rig_message(struct rig *rig, uint32_t request, const void *body, uint32_t bytes, int fd);
/* Publishes a chain and lets the device look. */
void rig_offer(struct rig *rig, uint16_t head);
void rig_serve(struct rig *rig); /* as often as there is something to do */
/* Whether a chain has come back; *ret_bytes is how much was written. */
bool rig_taken(struct rig *rig, uint32_t *ret_head, uint32_t *ret_bytes);

/* One command of the guest's driver: the type of the answer, 0 when it is held. */
uint32_t rig_command(struct rig *rig, const void *request, uint32_t bytes);
/* A context; a resource with `pages` at `offset` of RAM, attached to it; what our library says. */
uint32_t rig_context(struct rig *rig, uint32_t context);
uint32_t rig_resource(
        struct rig *rig, uint32_t context, uint32_t resource, uint64_t offset, uint32_t pages);
uint32_t rig_submit(struct rig *rig, uint32_t context, const struct abx_virtgpu_command *head,
        const uint32_t *resources, const void *message);
/* Opens a connection, whose pages are `resource` at `offset`: the worker's end, after its hello. */
int rig_open(struct rig *rig, uint32_t context, uint32_t resource, uint64_t offset);
struct abx_virtgpu_pages *rig_pages(struct rig *rig, uint64_t offset);

#endif
