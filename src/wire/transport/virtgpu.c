/* wire, guest side: the transport of virtual machines: the stock virtio-gpu driver of Linux, whose
 * device is ArcBox's (src/vmm). Runs in the guest's process; nothing of ours is in its kernel.
 * Memory is buffer objects, which the host sees in pieces; messages are EXECBUFFERs; what comes
 * back lies in the control area. To sleep, one thread of the program asks for a fence that is
 * signalled when there is news, and wakes the others. See virtgpu.h and transport.h. */
#include "wire/transport/virtgpu.h"
#include "wire/transport/drm.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEAT_NS 1000000000u /* how often the device is asked whether it is there */
#define PATIENCE_NS (ABX_PATIENCE_SECONDS * 1000000000ull)

/* Memory as the host has it: buffer objects, one after the other. */
struct memory {
    unsigned count;
    struct abx_drm_buffer buffers[];
};

struct virtgpu {
    struct abx_transport base;
    int drm;
    struct memory *pages;
    struct abx_virtgpu_control *control;
    /* Sleeping: one holds the lock and waits for the fence, the others for `interrupts`. */
    pthread_mutex_t leader;
    int fence;   /* asked for and not seen signalled, or -1; the leader's */
    int prodded; /* an eventfd that wakes the leader */
    _Atomic uint32_t interrupts;
    _Atomic uint64_t asked_ns, asked; /* the last ping: when, which */
    _Atomic uint64_t looked_ns;       /* when that was last asked for */
};

static const char *const lost = "the virtual machine has lost its GPU device";

static struct virtgpu *of(struct abx_transport *t)
{
    return (struct virtgpu *)t;
}

/* ---- commands */

/* 0 or -errno. ret_fence: NULL: none is wanted. */
static int command(struct virtgpu *t, enum abx_virtgpu_op op, uint64_t tag,
        const struct memory *memory, uint64_t bytes, const void *message, size_t message_bytes,
        int *ret_fence)
{
    const unsigned count = memory ? memory->count : 0;
    const size_t numbers = abx_align_up(4ull * count, 8);
    const size_t whole = sizeof(struct abx_virtgpu_command) + numbers + message_bytes;
    if (t->drm < 0)
        return -EPIPE;
    if (whole > ABX_VIRTGPU_MAX_COMMAND_BYTES)
        return -ENOMEM;
    uint64_t small[128], *words = whole <= sizeof small ? small : malloc(whole);
    if (!words)
        return -ENOMEM;
    struct abx_virtgpu_command head = {.magic = ABX_VIRTGPU_MAGIC,
            .op = op,
            .resources = count,
            .message_bytes = (uint32_t)message_bytes,
            .bytes = bytes,
            .tag = tag};
    uint8_t *at = (uint8_t *)words;
    memcpy(at, &head, sizeof head);
    for (unsigned i = 0; i < count; i++)
        memcpy(at + sizeof head + 4ull * i, &memory->buffers[i].resource, 4);
    if (message_bytes)
        memcpy(at + sizeof head + numbers, message, message_bytes);
    int r = abx_drm_submit(t->drm, words, (uint32_t)whole, ret_fence);
    if (words != small)
        free(words);
    return r == -ENODEV || r == -EIO ? -EPIPE : r;
}

/* ---- memory */

static void memory_free(struct virtgpu *t, struct memory *m)
{
    for (unsigned i = 0; m && i < m->count; i++)
        abx_drm_buffer_close(t->drm, &m->buffers[i]);
    free(m);
}

/* In pieces that end where `cuts` says, and are no larger than a resource may be. */
static int memory_make(
        struct virtgpu *t, const uint64_t *cuts, unsigned cut_count, struct memory **ret)
{
    uint64_t most = 0, at = 0;
    for (unsigned i = 0; i < cut_count; i++)
        most += cuts[i] / ABX_VIRTGPU_RESOURCE_BYTES + 1;
    struct memory *m =
            most < UINT16_MAX ? calloc(1, sizeof *m + most * sizeof m->buffers[0]) : NULL;
    int r = m ? 0 : -ENOMEM;
    for (unsigned i = 0; r == 0 && i < cut_count; i++)
        while (r == 0 && at < cuts[i]) {
            uint64_t left = cuts[i] - at;
            uint64_t n = left < ABX_VIRTGPU_RESOURCE_BYTES ? left : ABX_VIRTGPU_RESOURCE_BYTES;
            r = abx_drm_buffer_make(t->drm, n, &m->buffers[m->count]);
            m->count += r == 0;
            at += n;
        }
    if (r < 0)
        memory_free(t, m);
    else
        *ret = m;
    return r;
}

/* Maps buffers from `first` on, one behind the other, over [at, at + bytes). */
static int map_at(
        struct virtgpu *t, const struct memory *m, unsigned first, void *at, uint64_t bytes)
{
    uint64_t done = 0;
    for (unsigned i = first; done < bytes && i < m->count; i++) {
        int r = abx_drm_buffer_map(t->drm, &m->buffers[i], (uint8_t *)at + done);
        if (r < 0)
            return r;
        done += m->buffers[i].bytes;
    }
    return done == bytes ? 0 : -EINVAL;
}

static int map_whole(struct virtgpu *t, const struct memory *m, uint64_t bytes, void **ret)
{
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    int r = map_at(t, m, 0, p, bytes);
    if (r < 0)
        munmap(p, bytes);
    else
        *ret = p;
    return r;
}

static uint64_t whole_pages(uint64_t bytes)
{
    return abx_align_up(bytes, (uint64_t)sysconf(_SC_PAGESIZE));
}

static int tell(struct virtgpu *t, const struct abx_message_chunk *chunk, struct abx_shared *memory,
        struct memory *m)
{
    int r = command(t, ABX_VIRTGPU_SHARE, 0, m, chunk->bytes, chunk, sizeof *chunk, NULL);
    memory->told = r == 0;
    if (r == 0)
        memory->own = m;
    return r;
}

static int share(struct abx_transport *base, const struct abx_message_chunk *chunk,
        struct abx_shared *memory)
{
    struct virtgpu *t = of(base);
    struct memory *m = NULL;
    void *p = NULL;
    uint64_t bytes = whole_pages(chunk->bytes);
    int r = memory_make(t, &bytes, 1, &m);
    if (r == 0)
        r = map_whole(t, m, bytes, &p);
    if (r == 0)
        r = tell(t, chunk, memory, m);
    if (r < 0) {
        if (p)
            munmap(p, bytes);
        memory_free(t, m);
        return r;
    }
    memory->pointer = p;
    return 0;
}

/* By way of a file: a bad pointer is an error then, not a crash. */
static int copy_caller(const struct abx_shared *memory, void *to)
{
    enum { BLOCK = 1 << 20 };
    int fd = abx_memfd_create("arcbox-adopted", BLOCK), r = fd < 0 ? fd : 0;
    for (uint64_t done = 0; r == 0 && done < memory->whole_bytes; done += BLOCK) {
        uint64_t left = memory->whole_bytes - done, n = left < BLOCK ? left : BLOCK;
        r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : abx_write_all(fd, memory->whole + done, n);
        if (r == 0)
            r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : abx_read_all(fd, (uint8_t *)to + done, n);
    }
    if (fd >= 0)
        close(fd);
    return r;
}

/* The caller's pages, and the pages at both ends, are buffers of their own: the driver maps a
 * buffer from its beginning only. */
static int place(struct virtgpu *t, const struct abx_message_chunk *chunk,
        struct abx_shared *memory, struct memory *m)
{
    const uint64_t end = memory->whole_offset + memory->whole_bytes;
    const unsigned first = memory->whole_offset != 0, last = m->count - 1;
    struct stat info;
    void *copy = NULL, *rims[2] = {NULL, NULL};
    int r = fstat(t->drm, &info) < 0 ? -errno : 0;
    void *room = mmap(NULL, memory->whole_bytes, PROT_NONE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    copy = room == MAP_FAILED ? NULL : room;
    if (r == 0)
        r = copy ? map_at(t, m, first, copy, memory->whole_bytes) : -ENOMEM;
    if (r == 0)
        r = copy_caller(memory, copy);
    if (r == 0 && first)
        r = abx_drm_buffer_map_anywhere(t->drm, &m->buffers[0], &rims[0]);
    if (r == 0 && end != whole_pages(chunk->bytes))
        r = abx_drm_buffer_map_anywhere(t->drm, &m->buffers[last], &rims[1]);
    for (unsigned i = 0; i < 2; i++)
        memory->rim[i] = rims[i];
    if (r == 0)
        r = tell(t, chunk, memory, m);
    if (r == 0) {
        memory->inode = info.st_ino;
        r = map_at(t, m, first, memory->whole, memory->whole_bytes);
    }
    if (copy)
        munmap(copy, memory->whole_bytes);
    return r;
}

static int adopt(struct abx_transport *base, const struct abx_message_chunk *chunk,
        struct abx_shared *memory)
{
    struct virtgpu *t = of(base);
    struct memory *m = NULL;
    const uint64_t cuts[] = {memory->whole_offset, memory->whole_offset + memory->whole_bytes,
            whole_pages(chunk->bytes)};
    int r = memory_make(t, cuts, ABX_ARRAY_SIZE(cuts), &m);
    if (r == 0)
        r = place(t, chunk, memory, m);
    if (r < 0 && !memory->told)
        memory_free(t, m);
    return r;
}

static void unshare_memory(struct abx_transport *base, struct abx_shared *memory)
{
    memory_free(of(base), memory->own);
    memory->own = NULL;
}

/* ---- sleeping and waking */

static void interrupted(struct virtgpu *t)
{
    atomic_fetch_add(&t->interrupts, 1);
    abx_futex_wake((const uint32_t *)&t->interrupts, INT32_MAX);
}

/* A fence that was asked for and not seen is asked for still: no second one is needed. */
static void lead(struct virtgpu *t, uint32_t wakes, int64_t limit_ns)
{
    uint64_t count;
    struct timespec limit = {limit_ns / 1000000000, limit_ns % 1000000000};
    if (t->fence < 0 && command(t, ABX_VIRTGPU_SLEEP, wakes, NULL, 0, NULL, 0, &t->fence) < 0) {
        t->fence = -1; /* the caller sees soon that the host has gone */
        limit = (struct timespec){0, 1000000};
    }
    struct pollfd p[2] = {{t->fence, POLLIN, 0}, {t->prodded, POLLIN, 0}};
    if (ppoll(p, 2, limit_ns < 0 ? NULL : &limit, NULL) <= 0)
        return;
    if (p[0].revents) {
        close(t->fence);
        t->fence = -1;
    }
    if (p[1].revents)
        (void)!read(t->prodded, &count, sizeof count);
}

static void sleep_until(struct abx_transport *base, const _Atomic uint64_t *word, uint64_t expected,
        int64_t limit_ns)
{
    struct virtgpu *t = of(base);
    uint32_t seen = atomic_load(&t->interrupts), wakes = atomic_load(&t->control->wakes);
    if ((uint32_t)atomic_load(word) != (uint32_t)expected)
        return;
    if (pthread_mutex_trylock(&t->leader) != 0) {
        abx_futex_wait((const uint32_t *)&t->interrupts, seen, limit_ns);
        return;
    }
    lead(t, wakes, limit_ns);
    pthread_mutex_unlock(&t->leader);
    interrupted(t);
}

static void wake(struct abx_transport *base, const _Atomic uint64_t *word)
{
    struct virtgpu *t = of(base);
    uint64_t one = 1;
    interrupted(t);
    (void)!write(t->prodded, &one, sizeof one);
}

static void ring(struct virtgpu *t)
{
    command(t, ABX_VIRTGPU_RING, 0, NULL, 0, NULL, 0, NULL);
}

static void doorbell(struct abx_transport *t)
{
    if (abx_transport_host_sleeps(t))
        ring(of(t));
}

/* Time in which nobody looked, because the machine did not run (its host slept, or was stopped), is
 * none in which the device was silent: it may not have run either. */
static void leave_out_pause(struct virtgpu *t, uint64_t now)
{
    uint64_t last = atomic_exchange(&t->looked_ns, now);
    if (last && now > last && now - last > 2 * BEAT_NS)
        atomic_fetch_add(&t->asked_ns, now - last - 2 * BEAT_NS);
}

/* A device that has died says nothing: it is asked now and then. */
static bool alive(struct abx_transport *base)
{
    struct virtgpu *t = of(base);
    if (t->drm < 0 || atomic_load(&t->control->gone))
        return false;
    uint64_t now = abx_now_ns();
    leave_out_pause(t, now);
    uint64_t since = atomic_load(&t->asked_ns), last = atomic_load(&t->asked);
    bool answered = atomic_load(&t->control->pong) == last;
    if (!answered)
        return now - since < PATIENCE_NS;
    if (now - since > BEAT_NS && atomic_compare_exchange_strong(&t->asked, &last, last + 1)) {
        atomic_store(&t->asked_ns, now);
        command(t, ABX_VIRTGPU_PING, last + 1, NULL, 0, NULL, 0, NULL);
    }
    return true;
}

/* ---- messages */

/* The device copies a payload before it looks at what comes next, and so before its end. */
static int send_message(struct abx_transport *base, const void *message, size_t bytes,
        const void *payload, size_t payload_bytes)
{
    struct virtgpu *t = of(base);
    struct memory *m = NULL;
    void *p = NULL;
    uint64_t room = whole_pages(payload_bytes);
    int r = payload ? memory_make(t, &room, 1, &m) : 0;
    if (r == 0 && payload)
        r = map_whole(t, m, room, &p);
    if (p) {
        memcpy(p, payload, payload_bytes);
        munmap(p, room);
    }
    if (r == 0)
        r = command(t, ABX_VIRTGPU_SEND, 0, m, payload ? payload_bytes : 0, message, bytes, NULL);
    memory_free(t, m);
    return r;
}

/* Until `word` is at least `wanted`. */
static int wait_for(
        struct virtgpu *t, const _Atomic uint64_t *word, uint64_t wanted, int timeout_ms)
{
    uint64_t start = abx_now_ns(), now;
    while ((now = atomic_load(word)) < wanted) {
        int64_t left = timeout_ms < 0
                               ? INT64_MAX
                               : (int64_t)timeout_ms * 1000000 - (int64_t)(abx_now_ns() - start);
        if (left <= 0)
            return -ETIMEDOUT;
        if (!alive(&t->base))
            return atomic_load(word) >= wanted ? 0 : -ECONNRESET;
        sleep_until(&t->base, word, now, left < 50000000 ? left : 50000000);
    }
    return 0;
}

static int fetch(struct virtgpu *t, uint64_t answer, uint64_t bytes, struct abx_attachment *ret)
{
    struct memory *m = NULL;
    void *p = NULL, *data = malloc(bytes);
    uint64_t room = whole_pages(bytes);
    int r = data ? memory_make(t, &room, 1, &m) : -ENOMEM;
    if (r == 0)
        r = map_whole(t, m, room, &p);
    if (r == 0)
        r = command(t, ABX_VIRTGPU_FETCH, answer, m, room, NULL, 0, NULL);
    if (r == 0)
        r = wait_for(t, &t->control->fetched, answer + 1, -1);
    if (r == 0) {
        memcpy(data, p, bytes);
        *ret = (struct abx_attachment){data, bytes};
    } else
        free(data);
    if (p)
        munmap(p, room);
    memory_free(t, m);
    return r;
}

static ssize_t receive(struct abx_transport *base, union abx_message *message,
        struct abx_attachment *ret_payload, int timeout_ms)
{
    struct virtgpu *t = of(base);
    uint64_t answer = atomic_load(&t->control->taken);
    *ret_payload = (struct abx_attachment){0};
    int r = wait_for(t, &t->control->posted, answer + 1, timeout_ms);
    if (r < 0)
        return r == -ECONNRESET ? 0 : r;
    const struct abx_virtgpu_slot *slot = &t->control->slots[answer % ABX_VIRTGPU_SLOTS];
    size_t n = slot->message_bytes < sizeof *message ? slot->message_bytes : sizeof *message;
    memcpy(message, &slot->message, n);
    if (slot->payload_bytes)
        fetch(t, answer, slot->payload_bytes, ret_payload);
    bool was_full = atomic_load(&t->control->posted) - answer >= ABX_VIRTGPU_SLOTS;
    atomic_store(&t->control->taken, answer + 1);
    if (was_full)
        ring(t);
    return (ssize_t)n;
}

/* ---- the beginning and the end */

static void abandon(struct abx_transport *base)
{
    struct virtgpu *t = of(base);
    int *fds[] = {&t->drm, &t->fence, &t->prodded};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(fds); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

static void disconnect(struct abx_transport *base)
{
    struct virtgpu *t = of(base);
    if (t->base.guest)
        munmap(t->base.guest, sizeof(struct abx_virtgpu_pages));
    memory_free(t, t->pages);
    abandon(base);
    pthread_mutex_destroy(&t->leader);
    free(t);
}

static int make_pages(struct virtgpu *t)
{
    uint64_t bytes = sizeof(struct abx_virtgpu_pages);
    void *p;
    int r = memory_make(t, &bytes, 1, &t->pages);
    if (r == 0)
        r = map_whole(t, t->pages, bytes, &p);
    if (r < 0)
        return r;
    struct abx_virtgpu_pages *pages = p;
    t->base.guest = &pages->guest;
    t->control = &pages->control;
    return 0;
}

static int greet(struct virtgpu *t, struct abx_greeting *greeting)
{
    struct abx_attachment nothing;
    int r = make_pages(t);
    if (r == 0)
        r = command(t, ABX_VIRTGPU_OPEN, 0, t->pages, sizeof(struct abx_virtgpu_pages),
                &greeting->hello, sizeof greeting->hello, NULL);
    if (r < 0)
        return r;
    ssize_t n = receive(&t->base, &greeting->answer, &nothing, ABX_ANSWER_SECONDS * 1000);
    free(nothing.data);
    greeting->answer_bytes = n == -ETIMEDOUT ? -EAGAIN : n;
    if (n > 0 && greeting->answer.type == ABX_MESSAGE_WELCOME)
        t->base.host = &((struct abx_virtgpu_pages *)t->base.guest)->host;
    return 0;
}

static int connect_device(struct abx_greeting *greeting, struct abx_transport **ret)
{
    struct virtgpu *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->base.ops = &abx_transport_virtgpu;
    pthread_mutex_init(&t->leader, NULL);
    t->fence = -1;
    t->drm = abx_drm_find(greeting->place, sizeof greeting->place);
    t->prodded = abx_fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    int r = t->drm < 0 ? t->drm : t->prodded < 0 ? -EMFILE : greet(t, greeting);
    if (r == -EPIPE)
        greeting->why = lost;
    if (r < 0) {
        disconnect(&t->base);
        return r;
    }
    *ret = &t->base;
    return 0;
}

static bool offered(void)
{
    char place[64];
    int drm = abx_drm_find(place, sizeof place);
    if (drm >= 0)
        close(drm);
    return drm >= 0;
}

const struct abx_transport_ops abx_transport_virtgpu = {
        .name = "virtgpu",
        .offered = offered,
        .connect = connect_device,
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
        .disconnect = disconnect,
};
