/* `scatter` at the host: see scatter.h. Runs in a worker of arcboxd-scatter, all of whose clients
 * speak it. The RAM and the eventfds come from whoever would be the hypervisor and are trusted; all
 * else is hostile. */
#include "host/transport/transport.h"
#include "scatter.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_WAITING 64u /* payloads that a guest has not fetched */

struct scatter_host {
    struct abx_host_transport base;
    int sock, interrupts, fds[SCATTER_FDS];
    uint64_t ram_bytes, next_tag;
    struct waiting {
        uint64_t tag; /* 0: free */
        int fd;
    } waiting[MAX_WAITING];
};

static struct scatter_host *of(struct abx_host_transport *t)
{
    return (struct scatter_host *)t;
}

/* ---- guest memory */

/* RAM where [offset, offset + bytes) lies, mapped for a moment; NULL. */
static void *window(
        struct scatter_host *t, uint64_t offset, uint64_t bytes, void **ret_map, size_t *ret_bytes)
{
    uint64_t first = offset / SCATTER_PAGE * SCATTER_PAGE;
    size_t length = (size_t)(offset + bytes - first);
    void *p = mmap(
            NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, t->fds[SCATTER_RAM], (off_t)first);
    if (p == MAP_FAILED)
        return NULL;
    *ret_map = p;
    *ret_bytes = length;
    return (char *)p + (offset - first);
}

static int copy_list(
        struct scatter_host *t, const struct scatter_head *head, struct scatter_entry **ret)
{
    uint64_t bytes = (uint64_t)head->count * sizeof **ret;
    if (head->count == 0 || head->count > SCATTER_MAX_ENTRIES || head->list % 8 ||
            !abx_range_ok(head->list, bytes, t->ram_bytes))
        return -EINVAL;
    void *map;
    size_t map_bytes;
    const void *there = window(t, head->list, bytes, &map, &map_bytes);
    struct scatter_entry *list = malloc(bytes);
    if (there && list)
        memcpy(list, there, bytes);
    if (there)
        munmap(map, map_bytes);
    if (!there || !list) {
        free(list);
        return -ENOMEM;
    }
    *ret = list;
    return 0;
}

/* Pieces may lie over each other: that is the guest's own memory twice, and the host never reads
 * anything twice there. */
static int take_parcel(
        struct scatter_host *t, const struct scatter_head *head, struct abx_parcel *ret)
{
    struct scatter_entry *list;
    int r = copy_list(t, head, &list);
    if (r < 0)
        return r;
    struct abx_run *runs = calloc(head->count, sizeof *runs);
    uint32_t count = 0;
    for (uint32_t i = 0; runs && r == 0 && i < head->count; i++) {
        const struct scatter_entry *e = &list[i];
        if (e->bytes == 0 || e->bytes % SCATTER_PAGE || e->offset % SCATTER_PAGE ||
                !abx_range_ok(e->offset, e->bytes, t->ram_bytes))
            r = -EINVAL;
        else if (count && runs[count - 1].offset + runs[count - 1].bytes == e->offset)
            runs[count - 1].bytes += e->bytes;
        else
            runs[count++] = (struct abx_run){e->offset, e->bytes};
    }
    free(list);
    if (r < 0 || !runs) {
        free(runs);
        return r < 0 ? r : -ENOMEM;
    }
    ret->runs = runs;
    ret->run_count = count;
    return 0;
}

static int check(struct abx_host_transport *t, const struct abx_parcel *parcel, uint64_t bytes)
{
    uint64_t left = bytes;
    for (uint32_t i = 0; i < parcel->run_count && left; i++)
        left -= parcel->runs[i].bytes < left ? parcel->runs[i].bytes : left;
    return left || !bytes ? -EINVAL : 0;
}

/* [offset, offset + bytes) of the parcel, at `at`. */
static int map_part(struct scatter_host *t, const struct abx_parcel *parcel, uint64_t offset,
        uint8_t *at, uint64_t bytes)
{
    for (uint32_t i = 0; i < parcel->run_count && bytes; i++) {
        const struct abx_run *run = &parcel->runs[i];
        if (offset >= run->bytes) {
            offset -= run->bytes;
            continue;
        }
        uint64_t n = run->bytes - offset < bytes ? run->bytes - offset : bytes;
        if (mmap(at, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, t->fds[SCATTER_RAM],
                    (off_t)(run->offset + offset)) == MAP_FAILED)
            return -ENOMEM;
        at += n;
        bytes -= n;
        offset = 0;
    }
    return bytes ? -EINVAL : 0;
}

static int map(
        struct abx_host_transport *t, const struct abx_parcel *parcel, void *at, uint64_t bytes)
{
    return map_part(of(t), parcel, 0, at, bytes);
}

static int greet(struct abx_host_transport *t, const struct abx_parcel *parcel)
{
    const uint64_t guest = sizeof(struct abx_guest_page), host = sizeof(struct abx_host_page);
    int r = check(t, parcel, guest + host);
    if (r < 0)
        return r;
    void *p = mmap(NULL, guest, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    r = map_part(of(t), parcel, 0, p, guest);
    if (r == 0)
        r = map_part(of(t), parcel, guest, (uint8_t *)t->page, host);
    if (r < 0) {
        munmap(p, guest);
        return r;
    }
    t->guest = p;
    return 0;
}

/* Copies between the parcel's beginning and `data`. */
static int copy(struct scatter_host *t, const struct abx_parcel *parcel, uint8_t *data,
        uint64_t bytes, bool to_guest)
{
    for (uint32_t i = 0; i < parcel->run_count && bytes; i++) {
        const struct abx_run *run = &parcel->runs[i];
        uint64_t n = run->bytes < bytes ? run->bytes : bytes;
        void *there = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, t->fds[SCATTER_RAM],
                (off_t)run->offset);
        if (there == MAP_FAILED)
            return -ENOMEM;
        memcpy(to_guest ? there : data, to_guest ? data : there, n);
        munmap(there, n);
        data += n;
        bytes -= n;
    }
    return bytes ? -EINVAL : 0;
}

static int file(struct abx_host_transport *t, struct abx_parcel *parcel, uint64_t bytes)
{
    int r = check(t, parcel, bytes);
    int fd = r < 0 ? r : abx_memfd_create("scatter-payload", bytes);
    if (fd < 0)
        return fd;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    r = p == MAP_FAILED ? -ENOMEM : copy(of(t), parcel, p, bytes, false);
    if (p != MAP_FAILED)
        munmap(p, bytes);
    if (r == 0)
        r = abx_memfd_seal(fd);
    if (r < 0)
        close(fd);
    return r < 0 ? r : fd;
}

/* ---- messages */

static int send_frame(struct scatter_host *t, const struct scatter_frame *frame, size_t bytes)
{
    return abx_sock_send(t->sock, frame, sizeof frame->head + bytes, NULL, 0);
}

static int send_message(struct abx_host_transport *base, const void *message, size_t bytes, int fd)
{
    struct scatter_host *t = of(base);
    struct scatter_frame frame = {.head.kind = SCATTER_MESSAGE};
    struct stat info;
    memcpy(&frame.message, message, bytes);
    if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0) {
        struct waiting *w = t->waiting;
        while (w < t->waiting + MAX_WAITING && w->tag)
            w++;
        if (w == t->waiting + MAX_WAITING)
            return -EAGAIN;
        w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (w->fd < 0)
            return -errno;
        frame.head.tag = w->tag = ++t->next_tag;
        frame.head.bytes = (uint64_t)info.st_size;
    }
    return send_frame(t, &frame, bytes);
}

static int fetch(struct scatter_host *t, const struct scatter_head *head)
{
    struct waiting *w = t->waiting;
    struct abx_parcel parcel = {.fd = -1};
    struct stat info;
    while (w < t->waiting + MAX_WAITING && w->tag != head->tag)
        w++;
    if (w == t->waiting + MAX_WAITING || !head->tag)
        return -EPROTO;
    int r = fstat(w->fd, &info) < 0 ? -errno : take_parcel(t, head, &parcel);
    if (r == 0) {
        void *p = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, w->fd, 0);
        r = p == MAP_FAILED ? -ENOMEM : copy(t, &parcel, p, (uint64_t)info.st_size, true);
        if (p != MAP_FAILED)
            munmap(p, (size_t)info.st_size);
    }
    abx_parcel_drop(&parcel);
    close(w->fd);
    w->tag = 0;
    struct scatter_frame done = {.head = {.kind = SCATTER_FETCHED, .tag = head->tag}};
    return r < 0 ? r : send_frame(t, &done, 0);
}

/* The first message of all: what a hypervisor hands over. */
static int set_up(struct scatter_host *t, const struct scatter_setup *setup, size_t bytes,
        int fds[ABX_SOCK_MAX_FDS], unsigned *fd_count)
{
    if (bytes != sizeof *setup || setup->magic != SCATTER_MAGIC || *fd_count != SCATTER_FDS ||
            setup->ram_bytes % SCATTER_PAGE ||
            abx_memfd_check(fds[SCATTER_RAM], setup->ram_bytes) < 0)
        return -EPROTO;
    t->ram_bytes = setup->ram_bytes;
    memcpy(t->fds, fds, sizeof t->fds);
    *fd_count = 0;
    fcntl(t->fds[SCATTER_KICK], F_SETFL, O_NONBLOCK);
    return 0;
}

/* One frame. 0: not one for the session. */
static ssize_t take_frame(struct scatter_host *t, const struct scatter_frame *frame, size_t bytes,
        union abx_message *message, struct abx_parcel *ret_parcel)
{
    if (bytes < sizeof frame->head)
        return -EPROTO;
    bytes -= sizeof frame->head;
    if (frame->head.kind == SCATTER_FETCH)
        return fetch(t, &frame->head);
    if (frame->head.kind != SCATTER_MESSAGE || !bytes)
        return -EPROTO;
    int r = frame->head.count ? take_parcel(t, &frame->head, ret_parcel) : 0;
    memcpy(message, &frame->message, bytes);
    return r < 0 ? r : (ssize_t)bytes;
}

static ssize_t receive(
        struct abx_host_transport *base, union abx_message *message, struct abx_parcel *ret_parcel)
{
    struct scatter_host *t = of(base);
    *ret_parcel = (struct abx_parcel){.fd = -1};
    for (;;) {
        struct scatter_frame frame;
        int fds[ABX_SOCK_MAX_FDS];
        unsigned fd_count = 0;
        ssize_t n = abx_sock_receive(t->sock, &frame, sizeof frame, fds, &fd_count);
        if (n <= 0)
            return n;
        bool new = t->fds[SCATTER_RAM] < 0;
        if (new)
            n = set_up(t, (const struct scatter_setup *)&frame, (size_t)n, fds, &fd_count);
        else
            n = fd_count ? -EPROTO : take_frame(t, &frame, (size_t)n, message, ret_parcel);
        while (fd_count)
            close(fds[--fd_count]);
        if (n)
            return n;
    }
}

/* ---- sleeping and waking */

static unsigned wait_for(struct abx_host_transport *base, int timeout_ms)
{
    struct scatter_host *t = of(base);
    struct pollfd p[3] = {
            {t->sock, POLLIN, 0}, {t->interrupts, POLLIN, 0}, {t->fds[SCATTER_KICK], POLLIN, 0}};
    if (poll(p, 3, timeout_ms) <= 0)
        return 0;
    return (p[0].revents ? ABX_WOKEN_MESSAGE : 0u) |
           (p[1].revents || p[2].revents ? ABX_WOKEN_RUNG : 0u);
}

static void hush(struct abx_host_transport *t)
{
    uint64_t count;
    (void)!read(of(t)->interrupts, &count, sizeof count);
    if (of(t)->fds[SCATTER_KICK] >= 0)
        (void)!read(of(t)->fds[SCATTER_KICK], &count, sizeof count);
}

static void interrupt(struct abx_host_transport *t)
{
    uint64_t one = 1;
    (void)!write(of(t)->interrupts, &one, sizeof one);
}

static void call(struct abx_host_transport *t)
{
    uint64_t one = 1;
    if (of(t)->fds[SCATTER_CALL] >= 0)
        (void)!write(of(t)->fds[SCATTER_CALL], &one, sizeof one);
}

static void wake(struct abx_host_transport *t, const _Atomic uint64_t *word)
{
    call(t);
}

static bool is_gone(struct abx_host_transport *t)
{
    struct pollfd p = {of(t)->sock, POLLRDHUP, 0};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void close_all(struct abx_host_transport *base)
{
    struct scatter_host *t = of(base);
    if (t->base.guest)
        munmap(t->base.guest, sizeof *t->base.guest);
    if (t->base.page)
        munmap(t->base.page, sizeof *t->base.page);
    for (unsigned i = 0; i < MAX_WAITING; i++)
        if (t->waiting[i].tag)
            close(t->waiting[i].fd);
    for (unsigned i = 0; i < SCATTER_FDS; i++)
        if (t->fds[i] >= 0)
            close(t->fds[i]);
    if (t->interrupts >= 0)
        close(t->interrupts);
    close(t->sock);
    free(t);
}

static const struct abx_host_transport_ops scatter_ops = {
        .name = "scatter",
        .wait = wait_for,
        .hush = hush,
        .interrupt = interrupt,
        .receive = receive,
        .greet = greet,
        .send = send_message,
        .map = map,
        .check = check,
        .file = file,
        .wake = wake,
        .tell_lost = call,
        .is_gone = is_gone,
        .close = close_all,
};

/* In place of src/host/transport/table.c. The host page is ordinary memory until the guest's comes
 * to lie there. */
int abx_host_transport_open(int sock, int host_page, struct abx_host_transport **ret)
{
    struct scatter_host *t = calloc(1, sizeof *t);
    if (host_page >= 0)
        close(host_page);
    if (!t) {
        close(sock);
        return -ENOMEM;
    }
    *t = (struct scatter_host){.base.ops = &scatter_ops, .sock = sock, .fds = {-1, -1, -1}};
    fcntl(sock, F_SETFL, O_NONBLOCK);
    t->interrupts = abx_fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    void *p = mmap(NULL, sizeof(struct abx_host_page), PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    t->base.page = p == MAP_FAILED ? NULL : p;
    if (t->interrupts < 0 || !t->base.page) {
        close_all(&t->base);
        return -ENOMEM;
    }
    *ret = &t->base;
    return 0;
}
