/* host: clients in a virtual machine, which the machine's device process (src/vmm) brings. They
 * speak as others do, but for what memory is: pieces of one file, the guest's RAM, which comes with
 * the hello, and the bell that the device hears. Both pages lie in that RAM too, so the guest can
 * write to the host page. Runs in the worker. Lists come from the device, which a guest may have
 * taken over, or from a program that says it is one: every piece is checked. See socket.h. */
#include "host/transport/socket.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_RUNS (1u << 20) /* of one piece of memory; space.c counts what they cost */

/* The device gives the machine its memory back only then: a machine whose program has let go of it,
 * or was killed, has other uses for it. */
void abx_host_vm_released(struct abx_host_transport *base, uint64_t address)
{
    struct abx_host_socket *t = (struct abx_host_socket *)base;
    const struct abx_message_released m = {.type = ABX_MESSAGE_RELEASED, .address = address};
    if (t->ram >= 0 && abx_sock_send(t->sock, &m, sizeof m, NULL, 0) < 0)
        shutdown(t->sock, SHUT_RDWR); /* it does not read: its end tells it as well */
}

/* ---- lists of pieces */

static int check_runs(const struct abx_host_socket *t, const struct abx_run *runs, uint32_t count)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), sum = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!runs[i].bytes || runs[i].bytes % page || runs[i].offset % page ||
                !abx_range_ok(runs[i].offset, runs[i].bytes, t->ram_bytes) ||
                __builtin_add_overflow(sum, runs[i].bytes, &sum))
            return -EINVAL;
    return 0;
}

int abx_host_vm_runs(struct abx_host_socket *t, int fd, struct abx_parcel *ret)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return -errno;
    uint64_t bytes = (uint64_t)info.st_size, count = bytes / sizeof(struct abx_run);
    int r = count == 0 || count > MAX_RUNS || bytes % sizeof(struct abx_run)
                    ? -EINVAL
                    : abx_memfd_check_sealed(fd, bytes);
    struct abx_run *runs = r < 0 ? NULL : malloc(bytes);
    if (r == 0 && !runs)
        r = -ENOMEM;
    if (r == 0)
        r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : abx_read_all(fd, runs, bytes);
    if (r == 0)
        r = check_runs(t, runs, (uint32_t)count);
    if (r < 0) {
        free(runs);
        return r;
    }
    ret->runs = runs;
    ret->run_count = (uint32_t)count;
    return 0;
}

int abx_host_vm_begin(struct abx_host_socket *t, int ram, int call)
{
    struct stat info;
    int r = fstat(ram, &info) < 0 ? -errno : abx_memfd_check(ram, (uint64_t)info.st_size);
    if (r < 0 || fcntl(call, F_SETFL, O_NONBLOCK) < 0) {
        close(ram);
        close(call);
        return r < 0 ? r : -EBADF;
    }
    t->base.late = true;
    t->ram = ram;
    t->ram_bytes = (uint64_t)info.st_size;
    atomic_store(&t->call, call);
    return 0;
}

int abx_host_vm_check(const struct abx_parcel *parcel, uint64_t bytes)
{
    uint64_t left = bytes;
    for (uint32_t i = 0; i < parcel->run_count && left; i++)
        left -= parcel->runs[i].bytes < left ? parcel->runs[i].bytes : left;
    return left || !bytes ? -EINVAL : 0;
}

/* ---- mapping */

/* [offset, offset + bytes) of the parcel, at `at`, over what is there. */
static int map_part(const struct abx_host_socket *t, const struct abx_parcel *parcel,
        uint64_t offset, uint8_t *at, uint64_t bytes)
{
    for (uint32_t i = 0; i < parcel->run_count && bytes; i++) {
        const struct abx_run *run = &parcel->runs[i];
        if (offset >= run->bytes) {
            offset -= run->bytes;
            continue;
        }
        uint64_t n = run->bytes - offset < bytes ? run->bytes - offset : bytes;
        if (mmap(at, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, t->ram,
                    (off_t)(run->offset + offset)) == MAP_FAILED)
            return -ENOMEM;
        at += n;
        bytes -= n;
        offset = 0;
    }
    return bytes ? -EINVAL : 0;
}

int abx_host_vm_map(
        struct abx_host_socket *t, const struct abx_parcel *parcel, void *at, uint64_t bytes)
{
    return map_part(t, parcel, 0, at, bytes);
}

int abx_host_vm_greet(struct abx_host_socket *t, const struct abx_parcel *parcel)
{
    const uint64_t guest = sizeof(struct abx_guest_page), host = sizeof(struct abx_host_page);
    int r = abx_host_vm_check(parcel, guest + host);
    if (r < 0)
        return r;
    void *p = mmap(NULL, guest, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    r = map_part(t, parcel, 0, p, guest);
    if (r == 0)
        r = map_part(t, parcel, guest, (uint8_t *)t->base.page, host);
    if (r < 0) { /* the session goes on with its page until it ends */
        munmap(p, guest);
        if (mmap(t->base.page, host, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
            abort();
        return r;
    }
    t->base.guest = p;
    return 0;
}
