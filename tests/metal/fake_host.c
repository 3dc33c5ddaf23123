/* See fake_host.h. Runs in the test's process. */
#include "fake_host.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/limits.h"
#include "wire/reflection.h"

static void wake(struct fake_host *h, const void *word)
{
    if (atomic_load(&h->guest->waiters))
        abx_futex_wake(word, INT_MAX);
}

static void complete(struct fake_host *h, uint64_t queue, uint64_t sequence, uint64_t result)
{
    struct abx_result *r = &h->host->results[result];
    *r = (struct abx_result){.sequence = sequence,
            .start_ns = abx_now_ns(),
            .kernels = 1,
            .error = atomic_exchange(&h->next_error, 0),
            .error_op = ABX_OP_SET_BUFFER,
            .error_reason = atomic_exchange(&h->next_reason, 0),
            .error_value = 99,
            .error_limit = 64};
    r->end_ns = r->start_ns + 1000;
    atomic_fetch_add(&h->host->kernels, 1);
    atomic_fetch_add(&h->host->command_buffers, 1);
    _Atomic uint64_t *word = &h->host->completed[h->queues[queue].slot];
    atomic_store(word, sequence);
    wake(h, (void *)word);
}

static void run_record(struct fake_host *h, const struct abx_record *record)
{
    atomic_fetch_add(&h->records, 1);
    h->log[atomic_load(&h->log_count) % 4096] = record->op;
    atomic_fetch_add(&h->log_count, 1);
    if (record->op == ABX_OP_SIGNAL_EVENT) {
        const struct abx_rec_signal_event *s = (const void *)record;
        const uint8_t *slot = h->events_of[abx_handle_index(s->event)];
        _Atomic uint64_t *word = &h->guest->events[slot[0] | slot[1] << 8];
        atomic_store(word, s->value);
        wake(h, (void *)word);
    } else if (record->op == ABX_OP_FILL_BUFFER) {
        /* The convention of these tests: chunk in the value's place would need a handle table. */
    }
}

static void run_commit(struct fake_host *h, const struct abx_rec_commit *commit)
{
    for (uint32_t i = 0; i < commit->segment_count; i++) {
        const struct abx_wire_segment *s = &commit->segments[i];
        assert(s->chunk && s->chunk < 65536 && h->chunk[s->chunk].pointer);
        assert(abx_range_ok(s->offset, s->bytes, h->chunk[s->chunk].bytes));
        const uint8_t *at = (uint8_t *)h->chunk[s->chunk].pointer + s->offset, *end = at + s->bytes;
        while (at < end) {
            const struct abx_record *record = (const void *)at;
            assert(record->bytes >= 8 && record->bytes % 8 == 0 &&
                    record->bytes <= (size_t)(end - at));
            run_record(h, record);
            at += record->bytes;
        }
    }
    uint32_t queue = abx_handle_index(commit->queue);
    assert(commit->sequence == h->queues[queue].sequence + 1);
    h->queues[queue].sequence = commit->sequence;
    atomic_fetch_add(&h->commits, 1);
    h->held[h->held_count][0] = queue;
    h->held[h->held_count][1] = commit->sequence;
    h->held[h->held_count++][2] = commit->result;
}

static void receive(struct fake_host *h);

static void run_ring_record(struct fake_host *h, const struct abx_record *record)
{
    switch (record->op) {
    case ABX_OP_COMMIT:
        receive(h); /* chunks it uses */
        run_commit(h, (const void *)record);
        break;
    case ABX_OP_QUEUE_CREATE: {
        const struct abx_rec_queue_create *q = (const void *)record;
        h->queues[abx_handle_index(q->queue)] = (struct abx_handle_slot){q->slot, 0};
        atomic_store(&h->host->completed[q->slot], 0);
        break;
    }
    case ABX_OP_EVENT_CREATE: {
        const struct abx_rec_event_create *e = (const void *)record;
        h->events_of[abx_handle_index(e->event)][0] = (uint8_t)e->slot;
        h->events_of[abx_handle_index(e->event)][1] = (uint8_t)(e->slot >> 8);
        break;
    }
    case ABX_OP_DESTROY:
        atomic_fetch_add(&h->destroys, 1);
        break;
    case ABX_OP_CHUNK_FREE: {
        const struct abx_rec_chunk_free *c = (const void *)record;
        receive(h);
        munmap(h->chunk[c->chunk].pointer, h->chunk[c->chunk].bytes);
        atomic_fetch_sub(&h->host->memory_used, h->chunk[c->chunk].bytes);
        h->chunk[c->chunk].pointer = NULL;
        atomic_fetch_add(&h->chunk_frees, 1);
        break;
    }
    case ABX_OP_CHUNK_MIRROR: {
        const struct abx_rec_chunk_mirror *c = (const void *)record;
        atomic_fetch_add(c->unseen ? &h->unseen_mirrors : &h->mirrors, 1);
        break;
    }
    case ABX_OP_CHUNK_SEEN:
        atomic_fetch_add(&h->seens, 1);
        break;
    case ABX_OP_CHUNK_WRITTEN: {
        const struct abx_rec_chunk_written *c = (const void *)record;
        atomic_store(&h->written_chunk, c->chunk);
        atomic_fetch_add(&h->written_bytes, c->length);
        atomic_fetch_add(&h->writtens, 1);
        break;
    }
    default:
        atomic_fetch_add(&h->creates, record->op != ABX_OP_PAD);
    }
}

static bool drain(struct fake_host *h)
{
    uint64_t tail = atomic_load_explicit(&h->guest->ring_tail, memory_order_acquire);
    bool any = h->head != tail;
    while (h->head != tail) {
        const struct abx_record *record = (const void *)(h->guest->ring + h->head % ABX_RING_BYTES);
        assert(record->bytes >= 8 && h->head % ABX_RING_BYTES + record->bytes <= ABX_RING_BYTES);
        run_ring_record(h, record);
        h->head += record->bytes;
        atomic_store(&h->host->ring_head, h->head);
        wake(h, (void *)&h->host->ring_head);
    }
    if (!atomic_load(&h->hold)) {
        for (uint32_t i = 0; i < h->held_count; i++)
            complete(h, h->held[i][0], h->held[i][1], h->held[i][2]);
        h->held_count = 0;
    }
    return any;
}

/* A source that contains "error" has one; any other has a kernel "k" with two buffers. */
static void answer_compile(struct fake_host *h, const struct abx_message_compile *m, int fd)
{
    char *source = mmap(NULL, m->bytes, PROT_READ, MAP_SHARED, fd, 0);
    bool bad = memmem(source, m->bytes, "error", 5) != NULL;
    munmap(source, m->bytes);
    close(fd);
    struct {
        struct abx_reflection head;
        struct abx_reflection_function function;
        struct abx_reflection_argument arguments[2];
        char strings[24];
    } r = {.head = {.magic = ABX_REFLECTION_MAGIC,
                   .version = ABX_REFLECTION_VERSION,
                   .total_bytes = sizeof r,
                   .function_count = 1,
                   .argument_count = 2,
                   .string_bytes = sizeof r.strings},
            .function = {.name = 1, .kind = ABX_FUNCTION_KERNEL, .argument_count = 2, .entry = 1},
            .arguments = {{.name = 3,
                                  .type_name = 5,
                                  .kind = ABX_ARGUMENT_BUFFER,
                                  .index = 0,
                                  .access = ABX_ACCESS_READ_ONLY,
                                  .data_size = 4,
                                  .data_alignment = 4},
                    {.name = 11,
                            .type_name = 5,
                            .kind = ABX_ARGUMENT_BUFFER,
                            .index = 1,
                            .access = ABX_ACCESS_READ_WRITE,
                            .data_size = 4,
                            .data_alignment = 4}},
            .strings = "\0k\0a\0float\0b"};
    static const char message[] = "program_source:1:1: error: expected expression";
    int out = abx_memfd_create("answer", 4096);
    struct abx_message_compiled answer = {.type = ABX_MESSAGE_COMPILED,
            .tag = m->tag,
            .error = bad ? -EINVAL : 0,
            .message_bytes = bad ? sizeof message - 1 : 0,
            .reflection_bytes = bad ? 0 : sizeof r};
    abx_write_all(out, bad ? (const void *)message : &r, bad ? sizeof message : sizeof r);
    atomic_fetch_add(&h->compiles, 1);
    abx_sock_send(h->sock, &answer, sizeof answer, &out, 1);
    close(out);
}

static void receive(struct fake_host *h)
{
    struct pollfd p = {.fd = h->sock, .events = POLLIN};
    while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN)) {
        union abx_message m;
        int fds[ABX_SOCK_MAX_FDS];
        unsigned count;
        ssize_t n = abx_sock_receive(h->sock, &m, sizeof m, fds, &count);
        if (n <= 0) {
            atomic_store(&h->stop, 1);
            return;
        }
        if (m.type == ABX_MESSAGE_CHUNK) {
            assert(count == 1 && abx_memfd_check(fds[0], m.chunk.bytes) == 0);
            h->chunk[m.chunk.chunk].pointer =
                    mmap(NULL, m.chunk.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
            h->chunk[m.chunk.chunk].bytes = m.chunk.bytes;
            atomic_fetch_add(&h->host->memory_used, m.chunk.bytes);
            atomic_fetch_add(&h->chunks, 1);
            close(fds[0]);
        } else if (m.type == ABX_MESSAGE_COMPILE) {
            answer_compile(h, &m.compile, fds[0]);
        } else if (m.type == ABX_MESSAGE_PREPARE) {
            struct abx_message_prepared answer = {
                    .type = ABX_MESSAGE_PREPARED, .tag = m.prepare.tag, .threadgroup_bytes = 48};
            abx_sock_send(h->sock, &answer, sizeof answer, NULL, 0);
        }
    }
}

static void welcome(struct fake_host *h)
{
    union abx_message m;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned count;
    ssize_t n = abx_sock_receive(h->sock, &m, sizeof m, fds, &count);
    assert(n == sizeof m.hello && m.type == ABX_MESSAGE_HELLO && count == 1);
    assert(m.hello.magic == ABX_WIRE_MAGIC && m.hello.version == ABX_WIRE_VERSION);
    h->guest = mmap(NULL, sizeof *h->guest, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
    close(fds[0]);
    int page = abx_memfd_create("host-page", sizeof *h->host);
    h->host = mmap(NULL, sizeof *h->host, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0);
    h->host->memory_cap = h->memory_cap;
    struct abx_message_welcome w = {.type = ABX_MESSAGE_WELCOME,
            .version = ABX_WIRE_VERSION,
            .window = 1ull << 40,
            .window_bytes = ABX_WINDOW_BYTES,
            .memory_cap = h->memory_cap,
            .mirror_align = h->mirror_align,
            .operations = ABX_OPERATION_TIMESTAMP,
            .recommended_working_set = 1u << 30,
            .max_buffer_length = 1u << 30,
            .registry_id = 7,
            .unified_memory = 1,
            .simd_width = 32,
            .max_threadgroup_bytes = 32768,
            .max_threads_per_threadgroup = 1024,
            .apple_family = 7,
            .metal3 = 1,
            .device_name = "Fake GPU",
            .backend = "fake",
            .tenant = "test"};
    int send[2] = {page, h->doorbell};
    abx_sock_send(h->sock, &w, sizeof w, send, 2);
    close(page);
}

static void *serve(void *user)
{
    struct fake_host *h = user;
    h->sock = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC);
    if (h->sock < 0)
        return NULL;
    welcome(h);
    while (!atomic_load(&h->stop)) {
        receive(h);
        if (drain(h) || atomic_load(&h->sleepless))
            continue;
        atomic_store(&h->host->need_doorbell, 1);
        atomic_thread_fence(memory_order_seq_cst);
        if (atomic_load(&h->guest->ring_tail) == h->head) {
            struct pollfd p[2] = {
                    {.fd = h->sock, .events = POLLIN}, {.fd = h->doorbell, .events = POLLIN}};
            poll(p, 2, h->held_count ? 1 : 1000);
            uint64_t rung;
            if (p[1].revents && read(h->doorbell, &rung, sizeof rung) < 0)
                atomic_store(&h->stop, 1);
        }
        atomic_store(&h->host->need_doorbell, 0);
    }
    close(h->sock);
    return NULL;
}

void fake_host_start(struct fake_host *h)
{
    static int number;
    uint64_t cap = h->memory_cap, align = h->mirror_align;
    memset(h, 0, sizeof *h);
    h->memory_cap = cap ? cap : 1ull << 32;
    h->mirror_align = align;
    snprintf(h->path, sizeof h->path, "%s/arcbox-test-%d-%d.sock",
            getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid(), number++);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", h->path);
    unlink(h->path); /* left by a test that was killed and had our number */
    h->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (bind(h->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
            listen(h->listener, 4) < 0) {
        perror(h->path);
        exit(1);
    }
    h->doorbell = eventfd(0, EFD_CLOEXEC);
    setenv(ABX_SOCKET_ENV, h->path, 1);
    pthread_create(&h->thread, NULL, serve, h);
}

void fake_host_kill(struct fake_host *h)
{
    atomic_store(&h->stop, 1);
    uint64_t one = 1;
    if (write(h->doorbell, &one, sizeof one) < 0)
        perror("doorbell");
    shutdown(h->listener, SHUT_RDWR);
    pthread_join(h->thread, NULL);
    close(h->listener);
    unlink(h->path);
}

void fake_host_stop(struct fake_host *h)
{
    fake_host_kill(h);
    close(h->doorbell);
}
