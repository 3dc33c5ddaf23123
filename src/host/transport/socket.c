/* host: a unix socket that carries memory files, futexes in the shared pages, and an eventfd as the
 * bell. Runs in the worker. Descriptors are the guest's: only files sealed against shrinking are
 * mapped, and of others what kernels alone read. See transport.h. */
#include "host/transport/socket.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static struct abx_host_socket *of(struct abx_host_transport *t)
{
    return (struct abx_host_socket *)t;
}

/* ---- the beginning */

static int map_host_page(struct abx_host_socket *t)
{
    if (t->page_fd < 0) {
        t->page_fd = abx_fd_high(memfd_create("arcbox-host", MFD_CLOEXEC | MFD_ALLOW_SEALING));
        if (t->page_fd < 0 || ftruncate(t->page_fd, sizeof(struct abx_host_page)) < 0)
            return -errno;
    }
    void *p = mmap(
            NULL, sizeof(struct abx_host_page), PROT_READ | PROT_WRITE, MAP_SHARED, t->page_fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    t->base.page = p;
    /* From here on nobody else can map it for writing. */
    if (fcntl(t->page_fd, F_ADD_SEALS,
                F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
        return -errno;
    return 0;
}

int abx_host_socket_open(const struct abx_host_transport_ops *ops, int sock, int host_page,
        struct abx_host_transport **ret)
{
    struct abx_host_socket *t = calloc(1, sizeof *t);
    if (!t) {
        close(sock);
        if (host_page >= 0)
            close(host_page);
        return -ENOMEM;
    }
    *t = (struct abx_host_socket){
            .base.ops = ops, .sock = sock, .page_fd = host_page, .ram = -1, .call = -1};
    /* Answers never block: a client that does not read them is ended. */
    fcntl(sock, F_SETFL, O_NONBLOCK);
    t->doorbell = abx_fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    int r = t->doorbell < 0 ? -EMFILE : map_host_page(t);
    if (r < 0) {
        abx_host_socket_close(&t->base);
        return r;
    }
    *ret = &t->base;
    return 0;
}

void abx_host_socket_close(struct abx_host_transport *base)
{
    struct abx_host_socket *t = of(base);
    if (t->base.guest)
        munmap(t->base.guest, sizeof *t->base.guest);
    if (t->base.page)
        munmap(t->base.page, sizeof *t->base.page);
    close(t->sock);
    if (t->doorbell >= 0)
        close(t->doorbell);
    if (t->page_fd >= 0)
        close(t->page_fd);
    if (t->ram >= 0)
        close(t->ram);
    if (t->call >= 0)
        close(t->call);
    free(t);
}

/* ---- sleeping and waking */

unsigned abx_host_socket_wait(struct abx_host_transport *t, int timeout_ms)
{
    struct pollfd p[2] = {{of(t)->doorbell, POLLIN, 0}, {of(t)->sock, POLLIN, 0}};
    if (poll(p, 2, timeout_ms) <= 0)
        return 0;
    return (p[0].revents ? ABX_WOKEN_RUNG : 0u) | (p[1].revents ? ABX_WOKEN_MESSAGE : 0u);
}

void abx_host_socket_hush(struct abx_host_transport *t)
{
    uint64_t count;
    (void)!read(of(t)->doorbell, &count, sizeof count);
}

void abx_host_socket_interrupt(struct abx_host_transport *t)
{
    uint64_t one = 1;
    (void)!write(of(t)->doorbell, &one, sizeof one);
}

/* A virtual machine hears no futex of ours. */
static bool call(struct abx_host_transport *t)
{
    uint64_t one = 1;
    int fd = atomic_load(&of(t)->call);
    if (fd >= 0)
        (void)!write(fd, &one, sizeof one);
    return fd >= 0;
}

void abx_host_socket_wake(struct abx_host_transport *t, const _Atomic uint64_t *word)
{
    if (!call(t))
        abx_futex_wake((const uint32_t *)word, INT32_MAX);
}

void abx_host_socket_tell_lost(struct abx_host_transport *t)
{
    struct abx_host_page *page = t->page;
    if (call(t))
        return;
    atomic_fetch_add(&page->lost_wake, 1);
    abx_futex_wake((const uint32_t *)&page->lost_wake, INT32_MAX);
    abx_futex_wake((const uint32_t *)&page->ring_head, INT32_MAX);
    for (unsigned i = 0; i < ABX_MAX_QUEUES; i++)
        abx_futex_wake((const uint32_t *)&page->completed[i], INT32_MAX);
}

bool abx_host_socket_is_gone(struct abx_host_transport *t)
{
    struct pollfd p = {of(t)->sock, POLLRDHUP, 0};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* ---- messages */

/* What comes with a hello and a chunk of a virtual machine is a list of pieces. */
static ssize_t take_pieces(struct abx_host_socket *t, const union abx_message *message,
        struct abx_parcel *parcel, ssize_t bytes)
{
    int fd = parcel->fd;
    if (fd < 0 || (message->type != ABX_MESSAGE_HELLO && message->type != ABX_MESSAGE_CHUNK))
        return bytes;
    parcel->fd = -1;
    int r = abx_host_vm_runs(t, fd, parcel);
    close(fd);
    return r < 0 ? r : bytes;
}

ssize_t abx_host_socket_receive(
        struct abx_host_transport *t, union abx_message *message, struct abx_parcel *ret_parcel)
{
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    ssize_t n = abx_sock_receive(of(t)->sock, message, sizeof *message, fds, &fd_count);
    *ret_parcel = (struct abx_parcel){.fd = fd_count ? fds[0] : -1};
    if (n > 0 && message->type == ABX_MESSAGE_HELLO && fd_count == 3 && of(t)->ram < 0) {
        int r = abx_host_vm_begin(of(t), fds[1], fds[2]);
        n = r < 0 ? r : n;
        fd_count = 1;
    }
    while (fd_count > 1)
        close(fds[--fd_count]);
    return n > 0 && of(t)->ram >= 0 ? take_pieces(of(t), message, ret_parcel, n) : n;
}

int abx_host_socket_send(struct abx_host_transport *t, const void *message, size_t bytes, int fd)
{
    const union abx_message *m = message;
    int page[2] = {of(t)->page_fd, of(t)->doorbell};
    if (m->type == ABX_MESSAGE_WELCOME)
        return abx_sock_send(of(t)->sock, message, bytes, page, 2);
    return abx_sock_send(of(t)->sock, message, bytes, &fd, fd >= 0);
}

/* ---- memory */

int abx_host_socket_greet(struct abx_host_transport *t, const struct abx_parcel *parcel)
{
    if (parcel->runs)
        return abx_host_vm_greet(of(t), parcel);
    int r = abx_host_socket_check(t, parcel, sizeof(struct abx_guest_page));
    if (r < 0)
        return r;
    void *p = mmap(
            NULL, sizeof(struct abx_guest_page), PROT_READ | PROT_WRITE, MAP_SHARED, parcel->fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    t->guest = p;
    return 0;
}

int abx_host_socket_check(
        struct abx_host_transport *t, const struct abx_parcel *parcel, uint64_t bytes)
{
    if (parcel->runs)
        return abx_host_vm_check(parcel, bytes);
    if (parcel->fd < 0)
        return -EBADF;
    if (parcel->is_file)
        return abx_file_check_mappable(parcel->fd, parcel->file_offset, bytes);
    return abx_memfd_check(parcel->fd, bytes);
}

int abx_host_socket_map(
        struct abx_host_transport *t, const struct abx_parcel *parcel, void *at, uint64_t bytes)
{
    if (parcel->runs)
        return abx_host_vm_map(of(t), parcel, at, bytes);
    int how = parcel->is_file ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
    void *p = mmap(at, bytes, PROT_READ | PROT_WRITE, how | MAP_FIXED, parcel->fd,
            (off_t)(parcel->is_file ? parcel->file_offset : 0));
    return p == MAP_FAILED ? -ENOMEM : 0;
}

int abx_host_socket_file(struct abx_host_transport *t, struct abx_parcel *parcel, uint64_t bytes)
{
    int fd = parcel->fd, r = fd < 0 ? -EBADF : abx_memfd_check_sealed(fd, bytes);
    if (r < 0)
        return r;
    parcel->fd = -1;
    return fd;
}
