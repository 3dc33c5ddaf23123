/* wire, guest side: a unix socket that carries memory files, futexes in the shared pages, and an
 * eventfd as the bell: what the transports of one machine have in common. Runs in the guest's
 * process. */
#include "wire/transport/socket.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/reflection.h"

/* Diagnostics come before a reflection. */
#define PAYLOAD_MAX_BYTES (ABX_REFLECTION_MAX_BYTES + (1u << 20))

static struct abx_transport_socket *of(struct abx_transport *t)
{
    return (struct abx_transport_socket *)t;
}

struct abx_transport_socket *abx_socket_new(const struct abx_transport_ops *ops)
{
    struct abx_transport_socket *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->base.ops = ops;
    t->sock = t->doorbell = -1;
    return t;
}

/* ---- connecting */

int abx_socket_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int sock = abx_fd_high(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (sock < 0)
        return -errno;
    int r;
    do
        r = connect(sock, (struct sockaddr *)&address, sizeof address);
    while (r < 0 && errno == EINTR);
    if (r < 0) {
        r = -errno;
        close(sock);
        return r;
    }
    return sock;
}

int abx_socket_hello(struct abx_transport_socket *t, const struct abx_greeting *greeting)
{
    int fd = abx_memfd_create("arcbox-guest", sizeof(struct abx_guest_page));
    if (fd < 0)
        return fd;
    void *p = mmap(NULL, sizeof(struct abx_guest_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int r = p == MAP_FAILED ? -errno : 0;
    if (r == 0) {
        t->base.guest = p;
        r = abx_sock_send(t->sock, &greeting->hello, sizeof greeting->hello, &fd, 1);
    }
    close(fd);
    return r;
}

/* The host page and the bell, of a welcome. Both descriptors are taken over. */
static int take_page(struct abx_transport_socket *t, const int fds[2])
{
    void *page = mmap(NULL, sizeof(struct abx_host_page), PROT_READ, MAP_SHARED, fds[0], 0);
    int r = page == MAP_FAILED ? -errno : 0;
    close(fds[0]);
    if (r == 0) {
        t->base.host = page;
        t->doorbell = fds[1];
    } else
        close(fds[1]);
    return r;
}

int abx_socket_welcome(struct abx_transport_socket *t, struct abx_greeting *greeting)
{
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    struct timeval patience = {.tv_sec = ABX_ANSWER_SECONDS}, for_ever = {0};
    setsockopt(t->sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    greeting->answer_bytes =
            abx_sock_receive(t->sock, &greeting->answer, sizeof greeting->answer, fds, &fd_count);
    setsockopt(t->sock, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof for_ever);
    if (greeting->answer_bytes > 0 && greeting->answer.type == ABX_MESSAGE_WELCOME && fd_count == 2)
        return take_page(t, fds);
    for (unsigned i = 0; i < fd_count; i++)
        close(fds[i]);
    return 0;
}

/* ---- memory */

int abx_socket_share(
        struct abx_transport *t, const struct abx_message_chunk *chunk, struct abx_shared *memory)
{
    int fd = abx_memfd_create("arcbox-memory", chunk->bytes);
    if (fd < 0)
        return fd;
    void *p = mmap(NULL, chunk->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int r = p == MAP_FAILED ? -errno : abx_sock_send(of(t)->sock, chunk, sizeof *chunk, &fd, 1);
    close(fd);
    if (r < 0) {
        if (p != MAP_FAILED)
            munmap(p, chunk->bytes);
        return r;
    }
    memory->pointer = p;
    memory->told = true;
    return 0;
}

/* Maps the pages of the file before and after the caller's, elsewhere. */
static int map_rims(struct abx_shared *memory, uint64_t bytes, int fd)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), at[2] = {0, bytes - page};
    const bool there[2] = {
            memory->whole_offset, memory->whole_offset + memory->whole_bytes != bytes};
    for (unsigned i = 0; i < 2; i++) {
        if (!there[i])
            continue;
        void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at[i]);
        if (p == MAP_FAILED)
            return -errno;
        memory->rim[i] = p;
    }
    return 0;
}

static int map_whole(const struct abx_shared *memory, int fd)
{
    off_t at = (off_t)memory->whole_offset;
    if (lseek(fd, at, SEEK_SET) < 0)
        return -errno;
    /* EFAULT, not a crash, on a bad pointer */
    int r = abx_write_all(fd, memory->whole, memory->whole_bytes);
    if (r < 0)
        return r;
    return mmap(memory->whole, memory->whole_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                   fd, at) == MAP_FAILED
                   ? -errno
                   : 0;
}

/* From so many bytes on the program's own pages are the file's, for itself alone, when the chunk is
 * gone: a copy would take longer than its later writes do. */
#define KEEP_FILE_BYTES (16u << 20)

int abx_socket_lend(struct abx_transport *t, const struct abx_message_chunk *chunk, int fd)
{
    return abx_sock_send(of(t)->sock, chunk, sizeof *chunk, &fd, 1);
}

int abx_socket_adopt(
        struct abx_transport *t, const struct abx_message_chunk *chunk, struct abx_shared *memory)
{
    int fd = abx_memfd_create("arcbox-adopted", chunk->bytes);
    struct stat info;
    int r = fd < 0 ? fd : fstat(fd, &info) < 0 ? -errno : map_rims(memory, chunk->bytes, fd);
    if (r == 0)
        r = abx_sock_send(of(t)->sock, chunk, sizeof *chunk, &fd, 1);
    memory->told = r == 0;
    if (r == 0) {
        memory->inode = info.st_ino;
        r = map_whole(memory, fd);
    }
    memory->file = r == 0 && chunk->bytes >= KEEP_FILE_BYTES ? fd : -1;
    if (fd >= 0 && memory->file < 0)
        close(fd);
    return r;
}

/* ---- messages */

int abx_socket_send(struct abx_transport *t, const void *message, size_t bytes, const void *payload,
        size_t payload_bytes)
{
    if (!payload)
        return abx_sock_send(of(t)->sock, message, bytes, NULL, 0);
    int fd = abx_memfd_create("arcbox-payload", payload_bytes);
    int r = fd < 0 ? fd : abx_write_all(fd, payload, payload_bytes);
    if (r == 0)
        r = abx_memfd_seal(fd); /* the host reads it in place */
    if (r == 0)
        r = abx_sock_send(of(t)->sock, message, bytes, &fd, 1);
    if (fd >= 0)
        close(fd);
    return r;
}

ssize_t abx_socket_receive(struct abx_transport *t, union abx_message *message,
        struct abx_attachment *ret_payload, int timeout_ms)
{
    struct pollfd p = {.fd = of(t)->sock, .events = POLLIN};
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    if (timeout_ms >= 0 && poll(&p, 1, timeout_ms) == 0)
        return -ETIMEDOUT;
    ssize_t n = abx_sock_receive(p.fd, message, sizeof *message, fds, &fd_count);
    *ret_payload = (struct abx_attachment){0};
    /* A memory file's position is shared with whoever wrote it. */
    if (fd_count && lseek(fds[0], 0, SEEK_SET) == 0)
        (void)abx_read_fd(fds[0], PAYLOAD_MAX_BYTES, &ret_payload->data, &ret_payload->bytes);
    while (fd_count)
        close(fds[--fd_count]);
    return n;
}

/* ---- sleeping */

void abx_socket_sleep(
        struct abx_transport *t, const _Atomic uint64_t *word, uint64_t expected, int64_t limit_ns)
{
    abx_futex_wait(abx_low_half(word), (uint32_t)expected, limit_ns);
}

void abx_socket_wake(struct abx_transport *t, const _Atomic uint64_t *word)
{
    abx_futex_wake(abx_low_half(word), INT32_MAX);
}

bool abx_socket_alive(struct abx_transport *t)
{
    struct pollfd p = {.fd = of(t)->sock, .events = POLLRDHUP};
    return p.fd >= 0 &&
           (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)));
}

/* ---- the end */

void abx_socket_abandon(struct abx_transport *t)
{
    if (of(t)->sock >= 0)
        close(of(t)->sock);
    if (of(t)->doorbell >= 0)
        close(of(t)->doorbell);
    of(t)->sock = of(t)->doorbell = -1;
}

void abx_socket_disconnect(struct abx_transport *t)
{
    abx_socket_abandon(t);
    if (t->guest)
        munmap(t->guest, sizeof *t->guest);
    if (t->host)
        munmap((void *)t->host, sizeof *t->host);
    free(t);
}
