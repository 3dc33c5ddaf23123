/* vmm: one context's connection to the tenant's worker. Runs in the device process. What the guest
 * says goes on as it is: the worker checks it. Memory goes as pieces of the file that the guest's
 * RAM is; what comes back lies in the control area until the guest has read it. See link.h. */
#include "vmm/link.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_UNSENT (64u << 20) /* bytes that a worker has not read, lists and sources */
#define MAX_ANSWER (80u << 20) /* a reflection and its diagnostics */

/* ---- the control area */

static void *control_at(struct abx_vmm_link *link, size_t offset, size_t bytes)
{
    return abx_vmm_runs_at(
            link->ram, &link->pages, offsetof(struct abx_virtgpu_pages, control) + offset, bytes);
}

#define WORD(link, member)                                                                         \
    ((__typeof__(&((struct abx_virtgpu_control *)0)->member))control_at(link,                      \
            offsetof(struct abx_virtgpu_control, member),                                          \
            sizeof(((struct abx_virtgpu_control *)0)->member)))

/* Something happened: who sleeps looks again. */
static void wake(struct abx_vmm_link *link)
{
    _Atomic uint32_t *word = WORD(link, wakes);
    link->wakes++;
    link->woken = true;
    if (word)
        atomic_store(word, link->wakes);
}

/* ---- the beginning and the end */

static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0)
        return -errno;
    if (connect(sock, (struct sockaddr *)&address, sizeof address) < 0) {
        int r = -errno;
        close(sock);
        return r;
    }
    return sock;
}

/* The runs as a file that nobody changes any more; the caller's. */
static int runs_file(const struct abx_vmm_runs *runs)
{
    size_t bytes = runs->count * sizeof *runs->list;
    int fd = abx_memfd_create("arcbox-runs", bytes);
    int r = fd < 0 ? fd : abx_write_all(fd, runs->list, bytes);
    if (r == 0)
        r = abx_memfd_seal(fd);
    if (r < 0 && fd >= 0)
        close(fd);
    return r < 0 ? r : fd;
}

/* The pages without the control area, which is nobody's but ours and the guest's. */
static int say_hello(struct abx_vmm_link *link, const void *hello, size_t bytes)
{
    struct abx_vmm_runs shared = {0};
    int r = abx_vmm_runs_append(&shared, &link->pages, offsetof(struct abx_virtgpu_pages, control));
    int fds[3] = {r < 0 ? r : runs_file(&shared), abx_vmm_ram_file(link->ram), link->call};
    abx_vmm_runs_finish(&shared);
    r = fds[0] < 0 ? fds[0] : abx_sock_try_send(link->sock, hello, bytes, fds, 3);
    if (fds[0] >= 0)
        close(fds[0]);
    return r;
}

int abx_vmm_link_open(struct abx_vmm_link *link, const struct abx_vmm_ram *ram, const char *socket,
        struct abx_vmm_runs *pages, const void *hello, size_t bytes)
{
    *link = (struct abx_vmm_link){
            .ram = ram, .pages = *pages, .sock = -1, .call = -1, .doorbell = -1};
    *pages = (struct abx_vmm_runs){0};
    for (unsigned i = 0; i < ABX_VIRTGPU_SLOTS; i++)
        link->payloads[i].fd = -1;
    int r = link->pages.bytes < sizeof(struct abx_virtgpu_pages) ? -EINVAL : 0;
    if (r == 0)
        r = link->sock = dial(socket);
    if (r >= 0)
        r = link->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return r < 0 ? r : say_hello(link, hello, bytes);
}

static void drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void abx_vmm_link_close(struct abx_vmm_link *link)
{
    for (unsigned i = 0; i < ABX_VIRTGPU_SLOTS; i++)
        drop(&link->payloads[i].fd);
    drop(&link->sock);
    drop(&link->call);
    drop(&link->doorbell);
    if (link->page)
        munmap((void *)link->page, sizeof *link->page);
    abx_outbox_finish(&link->outbox);
    abx_vmm_runs_finish(&link->pages);
}

/* Why the worker ended, where the guest's library looks for it. */
static void pass_reason(struct abx_vmm_link *link)
{
    const size_t host = offsetof(struct abx_virtgpu_pages, host);
    char text[sizeof link->page->lost_text];
    _Atomic uint32_t *lost = abx_vmm_runs_at(
            link->ram, &link->pages, host + offsetof(struct abx_host_page, lost), sizeof *lost);
    uint32_t reason = link->page ? atomic_load(&link->page->lost) : 0;
    if (!reason || !lost)
        return;
    memcpy(text, link->page->lost_text, sizeof text);
    text[sizeof text - 1] = 0;
    if (abx_vmm_runs_copy(link->ram, &link->pages, host + offsetof(struct abx_host_page, lost_text),
                text, sizeof text, true) == 0)
        atomic_store(lost, reason);
}

void abx_vmm_link_end(struct abx_vmm_link *link)
{
    _Atomic uint32_t *gone = WORD(link, gone);
    if (link->gone)
        return;
    link->gone = true;
    pass_reason(link);
    if (link->sock >= 0)
        shutdown(link->sock, SHUT_WR);
    link->over |= link->sock < 0;
    if (gone)
        atomic_store(gone, 1);
    wake(link);
}

/* ---- down */

static void post(
        struct abx_vmm_link *link, struct abx_payload *payload, const void *message, size_t bytes)
{
    if (!link->gone &&
            abx_outbox_send(&link->outbox, link->sock, message, bytes, payload, MAX_UNSENT) < 0)
        abx_vmm_link_end(link);
    abx_payload_unref(payload);
}

void abx_vmm_link_share(
        struct abx_vmm_link *link, struct abx_vmm_runs *runs, const void *message, size_t bytes)
{
    struct abx_payload *p = abx_payload_new(
            NULL, 0, runs->list, runs->count * sizeof *runs->list, free, runs->list);
    *runs = (struct abx_vmm_runs){0};
    if (p)
        post(link, p, message, bytes);
    else
        abx_vmm_link_end(link);
}

void abx_vmm_link_send(struct abx_vmm_link *link, const struct abx_vmm_runs *runs,
        uint64_t payload_bytes, const void *message, size_t bytes)
{
    struct abx_payload *p = NULL;
    if (payload_bytes) {
        void *copy = payload_bytes <= runs->bytes ? malloc(payload_bytes) : NULL;
        if (copy && abx_vmm_runs_copy(link->ram, runs, 0, copy, payload_bytes, false) == 0)
            p = abx_payload_new(NULL, 0, copy, payload_bytes, free, copy);
        else
            free(copy);
        if (!p) {
            abx_vmm_link_end(link);
            return;
        }
    }
    post(link, p, message, bytes);
}

void abx_vmm_link_ring(struct abx_vmm_link *link)
{
    uint64_t one = 1;
    if (link->doorbell >= 0)
        (void)!write(link->doorbell, &one, sizeof one);
}

void abx_vmm_link_ping(struct abx_vmm_link *link, uint64_t tag)
{
    _Atomic uint64_t *pong = WORD(link, pong);
    if (pong)
        atomic_store(pong, tag);
}

/* ---- up */

static void take_welcome(struct abx_vmm_link *link, int page, int doorbell)
{
    void *p = mmap(NULL, sizeof *link->page, PROT_READ, MAP_SHARED, page, 0);
    close(page);
    if (link->page || link->doorbell >= 0 || p == MAP_FAILED) {
        if (p != MAP_FAILED)
            munmap(p, sizeof *link->page);
        close(doorbell);
        return;
    }
    link->page = p;
    link->doorbell = doorbell;
}

/* One answer into its slot. `fd` is taken over. */
static void put(struct abx_vmm_link *link, const union abx_message *message, size_t bytes, int fd)
{
    unsigned n = (unsigned)(link->posted % ABX_VIRTGPU_SLOTS);
    struct abx_virtgpu_slot *slot = control_at(
            link, offsetof(struct abx_virtgpu_control, slots) + n * sizeof *slot, sizeof *slot);
    _Atomic uint64_t *posted = WORD(link, posted);
    struct stat info;
    uint64_t payload =
            fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0 && info.st_size <= MAX_ANSWER
                    ? (uint64_t)info.st_size
                    : 0;
    drop(&link->payloads[n].fd);
    if (payload) {
        link->payloads[n].fd = fd;
        link->payloads[n].answer = link->posted;
        link->payloads[n].bytes = payload;
    } else if (fd >= 0)
        close(fd);
    if (!slot || !posted)
        return;
    slot->message_bytes = (uint32_t)bytes;
    slot->payload_bytes = payload;
    memcpy(&slot->message, message, bytes);
    atomic_store(posted, ++link->posted);
    wake(link);
}

static bool has_room(struct abx_vmm_link *link)
{
    _Atomic uint64_t *taken = WORD(link, taken);
    uint64_t unread = taken ? link->posted - atomic_load(taken) : ABX_VIRTGPU_SLOTS;
    link->full = unread >= ABX_VIRTGPU_SLOTS;
    return !link->full;
}

static void receive(struct abx_vmm_link *link)
{
    while (!link->gone && has_room(link)) {
        union abx_message message;
        int fds[ABX_SOCK_MAX_FDS];
        unsigned count = 0;
        ssize_t n = abx_sock_receive(link->sock, &message, sizeof message, fds, &count);
        if (n == -EAGAIN)
            return;
        if (n < (ssize_t)sizeof message.type) {
            while (n > 0 && count)
                close(fds[--count]);
            link->over |= n <= 0;
            abx_vmm_link_end(link);
            return;
        }
        if (message.type == ABX_MESSAGE_RELEASED) {
            link->released(link->owner, message.released.address);
            continue;
        }
        if (message.type == ABX_MESSAGE_WELCOME && count == 2) {
            take_welcome(link, fds[0], fds[1]);
            count = 0;
        }
        while (count > 1)
            close(fds[--count]);
        put(link, &message, (size_t)n, count ? fds[0] : -1);
    }
}

/* Read, not mapped: whoever made the file may have cut it off. */
static int copy_file(
        struct abx_vmm_link *link, const struct abx_vmm_runs *to, int fd, uint64_t bytes)
{
    uint8_t block[16384];
    for (uint64_t at = 0; at < bytes;) {
        uint64_t want = bytes - at < sizeof block ? bytes - at : sizeof block;
        ssize_t n = pread(fd, block, want, (off_t)at);
        if (n <= 0)
            return -EIO;
        int r = abx_vmm_runs_copy(link->ram, to, at, block, (uint64_t)n, true);
        if (r < 0)
            return r;
        at += (uint64_t)n;
    }
    return 0;
}

int abx_vmm_link_fetch(struct abx_vmm_link *link, uint64_t answer, const struct abx_vmm_runs *to)
{
    unsigned n = (unsigned)(answer % ABX_VIRTGPU_SLOTS);
    _Atomic uint64_t *fetched = WORD(link, fetched);
    if (link->payloads[n].fd < 0 || link->payloads[n].answer != answer || !fetched)
        return -EINVAL;
    int r = copy_file(link, to, link->payloads[n].fd, link->payloads[n].bytes);
    drop(&link->payloads[n].fd);
    if (r < 0)
        return r;
    atomic_store(fetched, answer + 1);
    wake(link);
    return 0;
}

/* What is said now is for nobody; that it ends is what is waited for. */
static void hear_end(struct abx_vmm_link *link)
{
    char byte;
    ssize_t n = 1;
    while (!link->over && n > 0)
        n = recv(link->sock, &byte, 1, MSG_DONTWAIT | MSG_TRUNC);
    link->over |= n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    if (link->over)
        drop(&link->sock);
}

void abx_vmm_link_ready(struct abx_vmm_link *link, short sock_events, short call_events)
{
    uint64_t count;
    if (call_events & POLLIN) {
        (void)!read(link->call, &count, sizeof count);
        wake(link);
    }
    if (link->gone)
        hear_end(link);
    if (link->gone || !sock_events)
        return;
    if (link->full && (sock_events & (POLLHUP | POLLERR))) { /* its last answers are lost */
        abx_vmm_link_end(link);
        return;
    }
    if (abx_outbox_waits(&link->outbox) && abx_outbox_flush(&link->outbox, link->sock) < 0) {
        abx_vmm_link_end(link);
        return;
    }
    receive(link);
}
