/* vmm: the memory of the virtual machine, as the hypervisor hands it over. Addresses and sizes come
 * from the guest and from the hypervisor: nothing is believed. One thread. */
#ifndef ABX_VMM_GUEST_RAM_H
#define ABX_VMM_GUEST_RAM_H

#include "base/base.h"

#define ABX_VMM_MAX_REGIONS 8u /* of one vhost-user message */
#define ABX_VMM_PAGE 4096u     /* the guest's */
#define ABX_VMM_MAX_ENTRIES                                                                        \
    (64u << 10) /* of one resource's list: 256 MiB in the smallest pages                           \
                 */

struct abx_vmm_region {
    uint64_t address, bytes; /* as the guest has it */
    uint64_t user;           /* where the hypervisor has it mapped */
    uint64_t offset;         /* in its file */
    uint8_t *map;
    int fd;
};

/* All zeros: no memory. */
struct abx_vmm_ram {
    struct abx_vmm_region regions[ABX_VMM_MAX_REGIONS];
    unsigned count;
};

/* A piece of the file that is the guest's RAM: as struct abx_run of host/transport. */
struct abx_vmm_run {
    uint64_t offset, bytes;
};

struct abx_vmm_runs {
    struct abx_vmm_run *list;
    uint32_t count, capacity;
    uint64_t bytes;
};

/* Maps them; `regions` say where and how much, `fd` is taken over, on failure too. What was there
 * before is gone. -EINVAL: sums wrap, regions overlap; -EPERM: a file that could shrink. */
int abx_vmm_ram_set(struct abx_vmm_ram *ram, const struct abx_vmm_region *regions, unsigned count);
void abx_vmm_ram_finish(struct abx_vmm_ram *ram);

/* Where the guest's [address, address + bytes) lies here; NULL: not in one region. */
void *abx_vmm_ram_at(const struct abx_vmm_ram *ram, uint64_t address, uint64_t bytes);
/* The same by the hypervisor's address. */
void *abx_vmm_ram_user(const struct abx_vmm_ram *ram, uint64_t user, uint64_t bytes);

/* The file that buffers lie in: that of the largest region. -1: there is none. The RAM's. */
int abx_vmm_ram_file(const struct abx_vmm_ram *ram);

/* An entry of a guest's list of pages, as virtio-gpu has it. */
struct abx_vmm_entry {
    uint64_t address;
    uint32_t bytes, padding;
};
/* The runs of the file that they lie in; neighbours are joined. -EINVAL: not whole pages, not in
 * RAM, not in that file, or too many. On failure nothing is left. */
int abx_vmm_runs_make(const struct abx_vmm_ram *ram, const struct abx_vmm_entry *entries,
        uint32_t count, struct abx_vmm_runs *ret);
/* Adds `bytes` of `from`, from its beginning on. -EINVAL: it has fewer. */
int abx_vmm_runs_append(struct abx_vmm_runs *to, const struct abx_vmm_runs *from, uint64_t bytes);
void abx_vmm_runs_finish(struct abx_vmm_runs *runs);
/* Where [offset, offset + bytes) of it lies here; NULL: not in one run. */
void *abx_vmm_runs_at(const struct abx_vmm_ram *ram, const struct abx_vmm_runs *runs,
        uint64_t offset, uint64_t bytes);
/* Copies between [offset, offset + bytes) and `data`. */
int abx_vmm_runs_copy(const struct abx_vmm_ram *ram, const struct abx_vmm_runs *runs,
        uint64_t offset, void *data, uint64_t bytes, bool to_guest);

#endif
