/* The guest's end of `scatter`: see scatter_guest.h. Runs in the guest's process. */
#include "scatter_guest.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_BYTES (64ull << 30) /* pages that nobody touched cost nothing */
#define LISTS_BYTES (1u << 20)

int scatter_begin(struct scatter_guest *g, int sock)
{
    *g = (struct scatter_guest){.sock = sock, .ram_bytes = RAM_BYTES, .random = 88172645463325252u};
    pthread_mutex_init(&g->lock, NULL);
    g->fds[SCATTER_RAM] = abx_memfd_create("scatter-ram", RAM_BYTES);
    g->fds[SCATTER_KICK] = abx_fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    g->fds[SCATTER_CALL] = abx_fd_high(eventfd(0, EFD_CLOEXEC));
    int r = 0;
    for (unsigned i = 0; i < SCATTER_FDS; i++)
        if (g->fds[i] < 0)
            r = -EMFILE;
    struct scatter_setup setup = {.magic = SCATTER_MAGIC, .ram_bytes = RAM_BYTES};
    if (r == 0)
        r = abx_sock_send(sock, &setup, sizeof setup, g->fds, SCATTER_FDS);
    if (r < 0)
        scatter_end(g);
    return r;
}

void scatter_end(struct scatter_guest *g)
{
    for (unsigned i = 0; i < SCATTER_FDS; i++)
        if (g->fds[i] >= 0)
            close(g->fds[i]);
    if (g->sock >= 0)
        close(g->sock);
    g->sock = g->fds[0] = g->fds[1] = g->fds[2] = -1;
}

/* ---- memory */

static uint64_t random_next(struct scatter_guest *g)
{
    g->random ^= g->random << 13;
    g->random ^= g->random >> 7;
    g->random ^= g->random << 17;
    return g->random;
}

static uint32_t common(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Sizes first, then places, in another order and never side by side. Lock held. */
static void place(struct scatter_guest *g, struct scatter_memory *m, uint64_t bytes)
{
    for (uint64_t left = bytes; left; m->count++) {
        uint64_t size = (1 + random_next(g) % SCATTER_RUN_PAGES) * SCATTER_PAGE;
        m->entries[m->count].bytes = size < left ? size : left;
        left -= m->entries[m->count].bytes;
    }
    uint32_t at = (uint32_t)(random_next(g) % m->count), step = m->count / 2 + 1;
    while (common(step, m->count) != 1) /* so that every piece gets its place */
        step--;
    for (uint32_t i = 0; i < m->count; i++, at = (at + step) % m->count) {
        m->entries[at].offset = g->used;
        g->used += m->entries[at].bytes + SCATTER_PAGE;
    }
}

int scatter_alloc(struct scatter_guest *g, uint64_t bytes, struct scatter_memory *ret)
{
    bytes = abx_align_up(bytes, SCATTER_PAGE);
    struct scatter_memory m = {.bytes = bytes};
    m.entries = calloc(bytes / SCATTER_PAGE, sizeof *m.entries);
    if (!m.entries)
        return -ENOMEM;
    pthread_mutex_lock(&g->lock);
    bool room = bytes <= (g->ram_bytes - g->used) / 2;
    if (room)
        place(g, &m, bytes);
    pthread_mutex_unlock(&g->lock);
    if (!room) {
        free(m.entries);
        return -ENOMEM;
    }
    *ret = m;
    return 0;
}

void scatter_free(struct scatter_guest *g, struct scatter_memory *memory)
{
    for (uint32_t i = 0; i < memory->count; i++)
        (void)fallocate(g->fds[SCATTER_RAM], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                (off_t)memory->entries[i].offset, (off_t)memory->entries[i].bytes);
    free(memory->entries);
    *memory = (struct scatter_memory){0};
}

/* Calls `each` with the pieces of [offset, offset + bytes), until one fails. */
static int for_pieces(struct scatter_guest *g, const struct scatter_memory *memory, uint64_t offset,
        uint64_t bytes, int (*each)(int ram, uint64_t at, uint8_t *p, uint64_t bytes), uint8_t *p)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && bytes && i < memory->count; i++) {
        const struct scatter_entry *e = &memory->entries[i];
        if (offset >= e->bytes) {
            offset -= e->bytes;
            continue;
        }
        uint64_t n = e->bytes - offset < bytes ? e->bytes - offset : bytes;
        r = each(g->fds[SCATTER_RAM], e->offset + offset, p, n);
        p += n;
        bytes -= n;
        offset = 0;
    }
    return r < 0 ? r : bytes ? -EINVAL : 0;
}

static int map_piece(int ram, uint64_t at, uint8_t *p, uint64_t bytes)
{
    return mmap(p, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, ram, (off_t)at) ==
                           MAP_FAILED
                   ? -errno
                   : 0;
}

static int write_piece(int ram, uint64_t at, uint8_t *p, uint64_t bytes)
{
    for (ssize_t n; bytes; at += (uint64_t)n, p += n, bytes -= (uint64_t)n)
        if ((n = pwrite(ram, p, bytes, (off_t)at)) < 0)
            return -errno;
    return 0;
}

static int read_piece(int ram, uint64_t at, uint8_t *p, uint64_t bytes)
{
    for (ssize_t n; bytes; at += (uint64_t)n, p += n, bytes -= (uint64_t)n)
        if ((n = pread(ram, p, bytes, (off_t)at)) <= 0)
            return n ? -errno : -EIO;
    return 0;
}

void *scatter_map(struct scatter_guest *g, const struct scatter_memory *memory, uint64_t offset,
        uint64_t bytes, void *at)
{
    void *p = at ? at : mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (for_pieces(g, memory, offset, bytes, map_piece, p) == 0)
        return p;
    if (!at)
        munmap(p, bytes);
    return NULL;
}

int scatter_write(struct scatter_guest *g, const struct scatter_memory *memory, uint64_t offset,
        const void *from, uint64_t bytes)
{
    return for_pieces(g, memory, offset, bytes, write_piece, (uint8_t *)(uintptr_t)from);
}

int scatter_read(
        struct scatter_guest *g, const struct scatter_memory *memory, void *to, uint64_t bytes)
{
    return for_pieces(g, memory, 0, bytes, read_piece, to);
}

/* ---- frames */

int scatter_list(
        struct scatter_guest *g, const struct scatter_entry *entries, uint32_t count, uint64_t *ret)
{
    uint64_t bytes = count * sizeof *entries, at = 0;
    pthread_mutex_lock(&g->lock);
    if (bytes > g->lists_left) {
        uint64_t more = abx_align_up(bytes > LISTS_BYTES ? bytes : LISTS_BYTES, SCATTER_PAGE);
        g->lists_at = g->used;
        g->lists_left = more;
        g->used += more;
    }
    at = g->lists_at;
    g->lists_at += bytes;
    g->lists_left -= bytes;
    pthread_mutex_unlock(&g->lock);
    *ret = at;
    return write_piece(g->fds[SCATTER_RAM], at, (uint8_t *)(uintptr_t)entries, bytes);
}

int scatter_send(struct scatter_guest *g, uint32_t kind, uint64_t tag, const void *message,
        size_t bytes, const struct scatter_memory *memory)
{
    struct scatter_frame frame = {.head = {.kind = kind, .tag = tag}};
    if (bytes > sizeof frame.message)
        return -EMSGSIZE;
    if (memory) {
        int r = scatter_list(g, memory->entries, memory->count, &frame.head.list);
        if (r < 0)
            return r;
        frame.head.count = memory->count;
    }
    memcpy(&frame.message, message, bytes);
    return abx_sock_send(g->sock, &frame, sizeof frame.head + bytes, NULL, 0);
}

ssize_t scatter_receive(struct scatter_guest *g, struct scatter_frame *ret, int timeout_ms)
{
    struct pollfd p = {.fd = g->sock, .events = POLLIN};
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    if (poll(&p, 1, timeout_ms) == 0)
        return -ETIMEDOUT;
    ssize_t n = abx_sock_receive(g->sock, ret, sizeof *ret, fds, &fd_count);
    while (fd_count)
        close(fds[--fd_count]);
    if (n <= 0)
        return n;
    return n < (ssize_t)sizeof ret->head ? -EPROTO : n - (ssize_t)sizeof ret->head;
}

void scatter_kick(struct scatter_guest *g)
{
    uint64_t one = 1;
    (void)!write(g->fds[SCATTER_KICK], &one, sizeof one);
}
