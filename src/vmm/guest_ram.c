/* vmm: the memory of the virtual machine: the hypervisor's table, and lists of pages as pieces of
 * one file. Runs in the device process. See guest_ram.h for whom it trusts: nobody. */
#include "vmm/guest_ram.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_RUNS (1u << 20) /* of one piece of memory: 16 MB here */

/* ---- the table */

void abx_vmm_ram_finish(struct abx_vmm_ram *ram)
{
    for (unsigned i = 0; i < ram->count; i++) {
        struct abx_vmm_region *r = &ram->regions[i];
        if (r->map)
            munmap(r->map, r->bytes);
        if (r->fd >= 0)
            close(r->fd);
    }
    *ram = (struct abx_vmm_ram){0};
}

static bool overlaps(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
    return a < b + b_bytes && b < a + a_bytes;
}

static int check_region(const struct abx_vmm_ram *ram, const struct abx_vmm_region *r)
{
    uint64_t sum;
    if (r->bytes == 0 || r->bytes % ABX_VMM_PAGE || r->offset % ABX_VMM_PAGE ||
            r->address % ABX_VMM_PAGE || __builtin_add_overflow(r->address, r->bytes, &sum) ||
            __builtin_add_overflow(r->user, r->bytes, &sum) ||
            __builtin_add_overflow(r->offset, r->bytes, &sum) || sum > INT64_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < ram->count; i++)
        if (overlaps(r->address, r->bytes, ram->regions[i].address, ram->regions[i].bytes))
            return -EINVAL;
    return r->fd < 0 ? -EBADF : abx_memfd_check(r->fd, sum);
}

int abx_vmm_ram_set(struct abx_vmm_ram *ram, const struct abx_vmm_region *regions, unsigned count)
{
    int r = count > ABX_VMM_MAX_REGIONS ? -EINVAL : 0;
    abx_vmm_ram_finish(ram);
    for (unsigned i = 0; i < count; i++) {
        struct abx_vmm_region region = regions[i];
        region.map = NULL;
        if (r == 0)
            r = check_region(ram, &region);
        void *p = r < 0 ? NULL
                        : mmap(NULL, region.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd,
                                  (off_t)region.offset);
        if (p == MAP_FAILED)
            r = -errno;
        if (r == 0) {
            region.map = p;
            ram->regions[ram->count++] = region;
        } else if (region.fd >= 0)
            close(region.fd);
    }
    if (r < 0)
        abx_vmm_ram_finish(ram);
    return r;
}

static const struct abx_vmm_region *region_of(
        const struct abx_vmm_ram *ram, uint64_t address, uint64_t bytes)
{
    for (unsigned i = 0; i < ram->count; i++) {
        const struct abx_vmm_region *r = &ram->regions[i];
        if (address >= r->address && abx_range_ok(address - r->address, bytes, r->bytes))
            return r;
    }
    return NULL;
}

void *abx_vmm_ram_at(const struct abx_vmm_ram *ram, uint64_t address, uint64_t bytes)
{
    const struct abx_vmm_region *r = region_of(ram, address, bytes);
    return r ? r->map + (address - r->address) : NULL;
}

void *abx_vmm_ram_user(const struct abx_vmm_ram *ram, uint64_t user, uint64_t bytes)
{
    for (unsigned i = 0; i < ram->count; i++) {
        const struct abx_vmm_region *r = &ram->regions[i];
        if (user >= r->user && abx_range_ok(user - r->user, bytes, r->bytes))
            return r->map + (user - r->user);
    }
    return NULL;
}

static const struct abx_vmm_region *largest(const struct abx_vmm_ram *ram)
{
    const struct abx_vmm_region *best = NULL;
    for (unsigned i = 0; i < ram->count; i++)
        if (!best || ram->regions[i].bytes > best->bytes)
            best = &ram->regions[i];
    return best;
}

int abx_vmm_ram_file(const struct abx_vmm_ram *ram)
{
    const struct abx_vmm_region *r = largest(ram);
    return r ? r->fd : -1;
}

static bool same_file(int a, int b)
{
    struct stat one, two;
    return a == b || (fstat(a, &one) == 0 && fstat(b, &two) == 0 && one.st_dev == two.st_dev &&
                             one.st_ino == two.st_ino);
}

/* ---- runs */

static int add(struct abx_vmm_runs *runs, uint64_t offset, uint64_t bytes)
{
    struct abx_vmm_run *last = runs->count ? &runs->list[runs->count - 1] : NULL;
    if (__builtin_add_overflow(runs->bytes, bytes, &runs->bytes))
        return -EINVAL;
    if (last && last->offset + last->bytes == offset) {
        last->bytes += bytes;
        return 0;
    }
    if (!abx_grow((void **)&runs->list, &runs->capacity, runs->count, sizeof *runs->list, MAX_RUNS))
        return -ENOMEM;
    runs->list[runs->count++] = (struct abx_vmm_run){offset, bytes};
    return 0;
}

void abx_vmm_runs_finish(struct abx_vmm_runs *runs)
{
    free(runs->list);
    *runs = (struct abx_vmm_runs){0};
}

int abx_vmm_runs_make(const struct abx_vmm_ram *ram, const struct abx_vmm_entry *entries,
        uint32_t count, struct abx_vmm_runs *ret)
{
    struct abx_vmm_runs runs = {0};
    const struct abx_vmm_region *main = largest(ram), *known = main;
    int r = count == 0 || count > ABX_VMM_MAX_ENTRIES ? -EINVAL : 0;
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        const struct abx_vmm_entry *e = &entries[i];
        const struct abx_vmm_region *in = region_of(ram, e->address, e->bytes);
        if (!in || e->bytes == 0 || e->address % ABX_VMM_PAGE || e->bytes % ABX_VMM_PAGE)
            r = -EINVAL;
        else if (in != known && !same_file(in->fd, main->fd))
            r = -EINVAL;
        else {
            known = in;
            r = add(&runs, in->offset + (e->address - in->address), e->bytes);
        }
    }
    if (r < 0)
        abx_vmm_runs_finish(&runs);
    else
        *ret = runs;
    return r;
}

int abx_vmm_runs_append(struct abx_vmm_runs *to, const struct abx_vmm_runs *from, uint64_t bytes)
{
    int r = bytes > from->bytes ? -EINVAL : 0;
    for (uint32_t i = 0; r == 0 && bytes; i++) {
        uint64_t n = from->list[i].bytes < bytes ? from->list[i].bytes : bytes;
        r = add(to, from->list[i].offset, n);
        bytes -= n;
    }
    return r;
}

/* What is mapped here of the file of runs. */
static uint8_t *mapped(const struct abx_vmm_ram *ram, uint64_t offset, uint64_t bytes)
{
    const struct abx_vmm_region *main = largest(ram);
    for (unsigned i = 0; i < ram->count; i++) {
        const struct abx_vmm_region *r = &ram->regions[i];
        if (offset >= r->offset && abx_range_ok(offset - r->offset, bytes, r->bytes) &&
                (r == main || same_file(r->fd, main->fd)))
            return r->map + (offset - r->offset);
    }
    return NULL;
}

void *abx_vmm_runs_at(const struct abx_vmm_ram *ram, const struct abx_vmm_runs *runs,
        uint64_t offset, uint64_t bytes)
{
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct abx_vmm_run *run = &runs->list[i];
        if (abx_range_ok(offset, bytes, run->bytes))
            return mapped(ram, run->offset + offset, bytes);
        if (offset < run->bytes)
            return NULL;
        offset -= run->bytes;
    }
    return NULL;
}

int abx_vmm_runs_copy(const struct abx_vmm_ram *ram, const struct abx_vmm_runs *runs,
        uint64_t offset, void *data, uint64_t bytes, bool to_guest)
{
    uint8_t *at = data;
    if (!abx_range_ok(offset, bytes, runs->bytes))
        return -EINVAL;
    for (uint32_t i = 0; i < runs->count && bytes; i++) {
        const struct abx_vmm_run *run = &runs->list[i];
        if (offset >= run->bytes) {
            offset -= run->bytes;
            continue;
        }
        uint64_t n = run->bytes - offset < bytes ? run->bytes - offset : bytes;
        uint8_t *there = NULL;
        /* A joined run may cross from one region into the next. */
        for (uint64_t done = 0; done < n; done += ABX_VMM_PAGE - (offset + done) % ABX_VMM_PAGE) {
            uint64_t part = ABX_VMM_PAGE - (offset + done) % ABX_VMM_PAGE;
            part = part < n - done ? part : n - done;
            there = mapped(ram, run->offset + offset + done, part);
            if (!there)
                return -EFAULT;
            memcpy(to_guest ? there : at + done, to_guest ? at + done : there, part);
        }
        at += n;
        bytes -= n;
        offset = 0;
    }
    return 0;
}
