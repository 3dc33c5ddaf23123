/* vmm: the commands of virtio-gpu: resources, contexts, fences. Free of how they came: vhost-user
 * here, a library's calls in a hypervisor that loads one. The guest is hostile. One thread. */
#ifndef ABX_VMM_GPU_H
#define ABX_VMM_GPU_H

#include "vmm/guest_ram.h"

#define ABX_VMM_MAX_CONTEXTS 128u /* each is a client of the tenant's worker; it takes as many */
#define ABX_VMM_MAX_RESOURCES (64u << 10)
#define ABX_VMM_MAX_RUNS (4u << 20) /* of all resources: 64 MB here */

struct abx_vmm_gpu;

/* What the guest's device-specific configuration says. */
#define ABX_VMM_CONFIG_BYTES 20u
void abx_vmm_gpu_config(uint8_t ret[ABX_VMM_CONFIG_BYTES]);

/* Makes connections to `socket`, a path. `complete`: a command that was held is answered; `cookie`
 * is its own. NULL: no memory. */
struct abx_vmm_gpu *abx_vmm_gpu_create(const struct abx_vmm_ram *ram, const char *socket,
        void (*complete)(void *owner, uint64_t cookie, const void *answer, uint32_t bytes),
        void *owner);
void abx_vmm_gpu_destroy(struct abx_vmm_gpu *gpu); /* NULL is legal; completes nothing */
/* The guest is to be reset: all that it has at workers is to end. They let go of its memory in the
 * time that a kernel may take, or are ended by their supervisor; before that its pages must not
 * become somebody else's. True: they all have. What was held may be completed meanwhile. */
bool abx_vmm_gpu_settle(struct abx_vmm_gpu *gpu);
/* The guest was reset: nothing is left of it, and nothing is completed. */
void abx_vmm_gpu_reset(struct abx_vmm_gpu *gpu);

/* One command. The length of the answer in `answer`, which has room for ABX_VMM_ANSWER_MAX bytes;
 * 0: it is held, and completed later. */
#define ABX_VMM_ANSWER_MAX 2048u
uint32_t abx_vmm_gpu_command(struct abx_vmm_gpu *gpu, const void *request, uint32_t bytes,
        uint64_t cookie, void *answer);

/* Descriptors that it waits for, and what came of that. */
struct pollfd;
unsigned abx_vmm_gpu_watch(struct abx_vmm_gpu *gpu, struct pollfd *list, unsigned capacity);
void abx_vmm_gpu_ready(struct abx_vmm_gpu *gpu, const struct pollfd *list, unsigned count);

#endif
