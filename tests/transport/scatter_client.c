/* `scatter` as a transport of the guest library: see scatter.h. Runs in the guest's process. */
#include "scatter_guest.h"
#include "wire/transport/socket.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct abx_transport_ops scatter_ops;

const struct abx_transport_ops *const abx_transports[] = {
        &abx_transport_unix, &abx_transport_inproc, &scatter_ops};
const unsigned abx_transport_count = ABX_ARRAY_SIZE(abx_transports);

struct kept_frame {
    struct kept_frame *next;
    struct scatter_frame frame;
    ssize_t bytes;
};

struct scatter_transport {
    struct abx_transport base;
    struct scatter_guest guest;
    struct scatter_memory pages;
    uint8_t *mapped; /* both pages, the guest's first */
    /* What the interrupt raises: who sleeps looks at its own word again. */
    _Atomic uint32_t interrupts;
    _Atomic bool ending;
    pthread_t thread;
    bool served;
    struct kept_frame *first, **last; /* came while something was fetched */
};

#define PAGES_BYTES (sizeof(struct abx_guest_page) + sizeof(struct abx_host_page))

static struct scatter_transport *of(struct abx_transport *t)
{
    return (struct scatter_transport *)t;
}

/* ---- the beginning and the end */

static void interrupted(struct scatter_transport *t)
{
    atomic_fetch_add(&t->interrupts, 1);
    abx_futex_wake((const uint32_t *)&t->interrupts, INT32_MAX);
}

/* In place of a kernel's interrupt handler: the only one that hears the host. */
static void *serve_interrupts(void *argument)
{
    struct scatter_transport *t = argument;
    uint64_t count;
    while (read(t->guest.fds[SCATTER_CALL], &count, sizeof count) == sizeof count &&
            !atomic_load(&t->ending))
        interrupted(t);
    return NULL;
}

static int start_interrupts(struct scatter_transport *t)
{
    sigset_t all, old;
    sigfillset(&all); /* the program's signals are for the program's threads */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = -pthread_create(&t->thread, NULL, serve_interrupts, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    t->served = r == 0;
    return r;
}

static void disconnect_ram(struct abx_transport *base)
{
    struct scatter_transport *t = of(base);
    uint64_t one = 1;
    atomic_store(&t->ending, true);
    if (t->served && write(t->guest.fds[SCATTER_CALL], &one, sizeof one) == sizeof one)
        pthread_join(t->thread, NULL);
    if (t->mapped)
        munmap(t->mapped, PAGES_BYTES);
    scatter_end(&t->guest);
    free(t->pages.entries);
    free(t);
}

static void abandon(struct abx_transport *t)
{
    scatter_end(&of(t)->guest);
}

static int greet(struct scatter_transport *t, struct abx_greeting *greeting)
{
    int r = scatter_alloc(&t->guest, PAGES_BYTES, &t->pages);
    if (r < 0)
        return r;
    t->mapped = scatter_map(&t->guest, &t->pages, 0, PAGES_BYTES, NULL);
    if (!t->mapped)
        return -ENOMEM;
    t->base.guest = (struct abx_guest_page *)t->mapped;
    r = scatter_send(
            &t->guest, SCATTER_MESSAGE, 0, &greeting->hello, sizeof greeting->hello, &t->pages);
    if (r < 0)
        return r;
    struct scatter_frame frame;
    ssize_t n = scatter_receive(&t->guest, &frame, ABX_ANSWER_SECONDS * 1000);
    greeting->answer_bytes = n == -ETIMEDOUT ? -EAGAIN : n;
    if (n <= 0)
        return 0;
    memcpy(&greeting->answer, &frame.message, (size_t)n);
    if (greeting->answer.type != ABX_MESSAGE_WELCOME)
        return 0;
    t->base.host = (const struct abx_host_page *)(t->mapped + sizeof(struct abx_guest_page));
    return start_interrupts(t);
}

static int connect_ram(struct abx_greeting *greeting, struct abx_transport **ret)
{
    int sock = abx_socket_find(greeting->place, sizeof greeting->place);
    if (sock < 0)
        return sock;
    struct scatter_transport *t = calloc(1, sizeof *t);
    if (!t) {
        close(sock);
        return -ENOMEM;
    }
    t->base.ops = &scatter_ops;
    t->last = &t->first;
    int r = scatter_begin(&t->guest, sock);
    if (r == 0)
        r = greet(t, greeting);
    if (r < 0) {
        disconnect_ram(&t->base);
        return r;
    }
    *ret = &t->base;
    return 0;
}

/* ---- memory */

static int tell(struct scatter_transport *t, const struct abx_message_chunk *chunk,
        struct abx_shared *memory, const struct scatter_memory *m)
{
    int r = scatter_send(&t->guest, SCATTER_MESSAGE, 0, chunk, sizeof *chunk, m);
    memory->told = r == 0;
    return r;
}

static int share(struct abx_transport *base, const struct abx_message_chunk *chunk,
        struct abx_shared *memory)
{
    struct scatter_transport *t = of(base);
    struct scatter_memory *m = calloc(1, sizeof *m);
    int r = m ? scatter_alloc(&t->guest, chunk->bytes, m) : -ENOMEM;
    if (r == 0) {
        memory->pointer = scatter_map(&t->guest, m, 0, chunk->bytes, NULL);
        r = memory->pointer ? tell(t, chunk, memory, m) : -ENOMEM;
    }
    if (r < 0) {
        if (memory->pointer)
            munmap(memory->pointer, chunk->bytes);
        if (m)
            scatter_free(&t->guest, m);
        free(m);
        return r;
    }
    memory->own = m;
    return 0;
}

static int map_rims(
        struct scatter_transport *t, struct abx_shared *memory, const struct scatter_memory *m)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), at[2] = {0, m->bytes - page};
    const bool there[2] = {
            memory->whole_offset, memory->whole_offset + memory->whole_bytes != m->bytes};
    for (unsigned i = 0; i < 2; i++)
        if (there[i] && !(memory->rim[i] = scatter_map(&t->guest, m, at[i], page, NULL)))
            return -ENOMEM;
    return 0;
}

static int adopt(struct abx_transport *base, const struct abx_message_chunk *chunk,
        struct abx_shared *memory)
{
    struct scatter_transport *t = of(base);
    struct scatter_memory *m = calloc(1, sizeof *m);
    struct stat info;
    int r = m ? scatter_alloc(&t->guest, chunk->bytes, m) : -ENOMEM;
    if (r == 0)
        r = fstat(t->guest.fds[SCATTER_RAM], &info) < 0 ? -errno : map_rims(t, memory, m);
    if (r == 0)
        r = scatter_write(&t->guest, m, memory->whole_offset, memory->whole, memory->whole_bytes);
    if (r == 0)
        r = tell(t, chunk, memory, m);
    if (r == 0) {
        memory->inode = info.st_ino;
        if (!scatter_map(&t->guest, m, memory->whole_offset, memory->whole_bytes, memory->whole))
            r = -ENOMEM;
    }
    if (memory->told)
        memory->own = m;
    else if (m) {
        scatter_free(&t->guest, m);
        free(m);
    }
    return r;
}

static void unshare_memory(struct abx_transport *t, struct abx_shared *memory)
{
    if (of(t)->guest.sock >= 0)
        scatter_free(&of(t)->guest, memory->own);
    free(memory->own);
    memory->own = NULL;
}

/* ---- messages */

/* The payload's memory is only given back with the connection: nobody says when it was read. */
static int send_message(struct abx_transport *base, const void *message, size_t bytes,
        const void *payload, size_t payload_bytes)
{
    struct scatter_transport *t = of(base);
    struct scatter_memory m = {0};
    int r = payload ? scatter_alloc(&t->guest, payload_bytes, &m) : 0;
    if (r == 0 && payload)
        r = scatter_write(&t->guest, &m, 0, payload, payload_bytes);
    if (r == 0)
        r = scatter_send(&t->guest, SCATTER_MESSAGE, 0, message, bytes, payload ? &m : NULL);
    free(m.entries);
    return r;
}

static int keep(struct scatter_transport *t, const struct scatter_frame *frame, ssize_t bytes)
{
    struct kept_frame *k = malloc(sizeof *k);
    if (!k)
        return -ENOMEM;
    *k = (struct kept_frame){.frame = *frame, .bytes = bytes};
    *t->last = k;
    t->last = &k->next;
    return 0;
}

static ssize_t next_frame(struct scatter_transport *t, struct scatter_frame *ret, int timeout_ms)
{
    struct kept_frame *k = t->first;
    if (!k)
        return scatter_receive(&t->guest, ret, timeout_ms);
    t->first = k->next;
    if (!t->first)
        t->last = &t->first;
    ssize_t n = k->bytes;
    *ret = k->frame;
    free(k);
    return n;
}

static int fetch(
        struct scatter_transport *t, const struct scatter_head *head, struct abx_attachment *ret)
{
    struct scatter_memory m;
    struct scatter_frame frame;
    int r = scatter_alloc(&t->guest, head->bytes, &m);
    if (r < 0)
        return r;
    r = scatter_send(&t->guest, SCATTER_FETCH, head->tag, NULL, 0, &m);
    while (r == 0) {
        ssize_t n = scatter_receive(&t->guest, &frame, -1);
        r = n < 0 ? (int)n : n == 0 && frame.head.kind != SCATTER_FETCHED ? -ECONNRESET : 0;
        if (r == 0 && frame.head.kind == SCATTER_FETCHED)
            break;
        if (r == 0)
            r = keep(t, &frame, n);
    }
    void *data = r == 0 ? malloc(head->bytes) : NULL;
    if (data && scatter_read(&t->guest, &m, data, head->bytes) == 0)
        *ret = (struct abx_attachment){data, head->bytes};
    else
        free(data);
    scatter_free(&t->guest, &m);
    return r;
}

static ssize_t receive(struct abx_transport *base, union abx_message *message,
        struct abx_attachment *ret_payload, int timeout_ms)
{
    struct scatter_frame frame = {0};
    *ret_payload = (struct abx_attachment){0};
    ssize_t n = next_frame(of(base), &frame, timeout_ms);
    if (n <= 0)
        return n;
    memcpy(message, &frame.message, (size_t)n);
    int r = frame.head.bytes ? fetch(of(base), &frame.head, ret_payload) : 0;
    return r < 0 ? r : n;
}

/* ---- sleeping and waking */

static void doorbell(struct abx_transport *t)
{
    if (abx_transport_host_sleeps(t))
        scatter_kick(&of(t)->guest);
}

static void sleep_until(
        struct abx_transport *t, const _Atomic uint64_t *word, uint64_t expected, int64_t limit_ns)
{
    uint32_t seen = atomic_load(&of(t)->interrupts);
    if ((uint32_t)atomic_load(word) == (uint32_t)expected)
        abx_futex_wait((const uint32_t *)&of(t)->interrupts, seen, limit_ns);
}

static void wake(struct abx_transport *t, const _Atomic uint64_t *word)
{
    interrupted(of(t));
}

static bool alive(struct abx_transport *t)
{
    struct pollfd p = {.fd = of(t)->guest.sock, .events = POLLRDHUP};
    return p.fd >= 0 &&
           (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)));
}

static const struct abx_transport_ops scatter_ops = {
        .name = "scatter",
        .connect = connect_ram,
        .share = share,
        .adopt = adopt,
        .unshare = unshare_memory,
        .send = send_message,
        .receive = receive,
        .doorbell = doorbell,
        .sleep = sleep_until,
        .wake = wake,
        .alive = alive,
        .abandon = abandon,
        .disconnect = disconnect_ram,
};
