/* Malformed streams: each ends its client, and nobody else notices. Random streams end or not, and
 * nobody else notices. An arena that changes while the host reads it gains nothing. */
#include "guest.h"

#include <fcntl.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct abx_control *control;
static const char *path;
static struct guest neighbour; /* same tenant, so same worker: must never notice */

static void check_neighbour(void)
{
    struct abx_encoder *e = guest_begin(&neighbour);
    abx_encode_blit_begin(e);
    abx_encode_fill_buffer(e, DATA, 0, 16, 7);
    abx_encode_encoder_end(e);
    CHECK(guest_run(&neighbour).error == 0);
}

static void expect_death(struct guest *g, const char *what, const char *text)
{
    if (!guest_is_dead(g) || !strstr(g->host->lost_text, text)) {
        fprintf(stderr, "%s: lost %u, \"%s\"\n", what, atomic_load(&g->host->lost),
                g->host->lost_text);
        exit(1);
    }
    guest_close(g);
    check_neighbour();
}

/* ---- the ring */

static void push_raw(const char *what, const void *bytes, size_t length, const char *text)
{
    struct guest g;
    guest_open(&g, path);
    guest_push(&g, bytes, length);
    expect_death(&g, what, text);
}

static void check_ring(void)
{
    static const struct {
        const char *what;
        struct abx_record head;
    } heads[] = {
            {"no bytes", {ABX_OP_DESTROY, 0, 0}},
            {"short", {ABX_OP_DESTROY, 0, 8}},
            {"odd", {ABX_OP_DESTROY, 0, 17}},
            {"past the end", {ABX_OP_DESTROY, 0, 4096}},
            {"huge", {ABX_OP_DESTROY, 0, UINT32_MAX - 7}},
            {"unknown", {60000, 0, 16}},
            {"of an arena", {ABX_OP_SET_PIPELINE, 0, 16}},
            {"reserved", {ABX_OP_DESTROY, 1, 16}},
    };
    struct guest g;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(heads); i++) {
        uint64_t record[2] = {0, DATA};
        memcpy(record, &heads[i].head, 8);
        push_raw(heads[i].what, record, 16, "");
    }
    guest_open(&g, path);
    atomic_store(&g.page->ring_tail, g.tail + ABX_RING_BYTES + 8);
    guest_ring(&g);
    expect_death(&g, "tail too far", "ring position");
    guest_open(&g, path);
    while (atomic_load(&g.host->ring_head) != g.tail)
        usleep(100);
    atomic_store(&g.page->ring_tail, g.tail - 8);
    guest_ring(&g);
    expect_death(&g, "tail behind", "ring position");
    guest_open(&g, path);
    atomic_store(&g.page->ring_tail, g.tail + 4);
    guest_ring(&g);
    expect_death(&g, "tail unaligned", "ring position");
}

/* Well-formed ring records that no working guest library sends. */
static void check_objects(void)
{
    struct guest g;
    struct abx_wire_segment segment = {ARENA_CHUNK, 8, 0};
#define DIES(text, name, ...)                                                                      \
    guest_open(&g, path);                                                                          \
    GUEST_PUSH(&g, name, __VA_ARGS__);                                                             \
    expect_death(&g, #name, text)
    DIES("", destroy, HANDLE(77));
    DIES("place is taken", fence_create, DATA);
    DIES("", fence_create, 5);
    DIES("outside the table", fence_create, HANDLE(ABX_MAX_HANDLES));
    DIES("two queues", queue_create, HANDLE(9), 0);
    DIES("", queue_create, HANDLE(9), 256);
    DIES("", event_create, HANDLE(9), 4096);
    DIES("never sent", buffer_create, HANDLE(9), 40, 0, 16);
    DIES("", buffer_create, HANDLE(9), DATA_CHUNK, DATA_BYTES - 8, 16);
    DIES("", buffer_create, HANDLE(9), DATA_CHUNK, UINT64_MAX - 8, 16);
    DIES("", buffer_create, HANDLE(9), DATA_CHUNK, 0, 0);
    DIES("", buffer_create_private, HANDLE(9), 16 << 20, 4096);
    DIES("", buffer_create_private, HANDLE(9), UINT64_MAX & ~4095ull, 8192);
    DIES("", buffer_create_private, HANDLE(9), 1 << 20, UINT64_MAX);
    DIES("", icb_create, HANDLE(9), DATA_CHUNK, 65536, 0, 31, 0);
    DIES("", pipeline_create, HANDLE(9), DATA, 0, 0, NULL);
    DIES("", chunk_free, 9);
    DIES("never sent", chunk_mirror, 40, 0);
    DIES("", chunk_mirror, DATA_CHUNK, 2);
    DIES("never sent", chunk_seen, 40);
    DIES("never sent", chunk_exposed, 40);
    DIES("never sent", chunk_written, 40, 0, 16);
    DIES("", chunk_written, DATA_CHUNK, 0, 0);
    DIES("", chunk_written, DATA_CHUNK, DATA_BYTES - 8, 16);
    DIES("", chunk_written, DATA_CHUNK, UINT64_MAX - 8, 16);
    DIES("after number", commit, QUEUE, 7, 0, 1, &segment);
    DIES("", commit, DATA, 1, 0, 1, &segment);
    segment = (struct abx_wire_segment){ARENA_CHUNK, 16, ARENA_BYTES - 8};
    DIES("outside its memory chunk", commit, QUEUE, 1, 0, 1, &segment);
    segment = (struct abx_wire_segment){ARENA_CHUNK, 16, UINT64_MAX - 7};
    DIES("outside its memory chunk", commit, QUEUE, 1, 0, 1, &segment);
    segment = (struct abx_wire_segment){ARENA_CHUNK, UINT32_MAX - 7, 0};
    DIES("at once", commit, QUEUE, 1, 0, 1, &segment);
#undef DIES
}

/* Truncated command buffers. */
static void check_arena(void)
{
    struct guest g;
    for (uint32_t cut = 8; cut < 56; cut += 8) {
        guest_open(&g, path);
        struct abx_encoder *e = guest_begin(&g);
        abx_encode_blit_begin(e);
        abx_encode_copy_buffer(e, DATA, 0, DATA, 64, 16);
        struct abx_wire_segment segment = {ARENA_CHUNK, cut, 0};
        GUEST_PUSH(&g, commit, QUEUE, 1, 0, 1, &segment);
        if (cut == 8) { /* ends behind blit_begin: an encoder left open, no more */
            CHECK(guest_wait(&g, 0, 1) && g.host->results[0].error_reason == ABX_REASON_STATE);
            guest_close(&g);
        } else
            expect_death(&g, "truncated", "malformed");
    }
}

/* ---- the socket */

static void send_and_die(const char *what, const void *message, size_t bytes, int fd)
{
    struct guest g;
    guest_open(&g, path);
    abx_sock_send(g.sock, message, bytes, &fd, fd >= 0);
    expect_death(&g, what, "");
    if (fd >= 0)
        close(fd);
}

static void check_socket(void)
{
    struct abx_message_chunk chunk = {
            .type = ABX_MESSAGE_CHUNK, .chunk = 9, .bytes = 4096, .address = 64 << 20};
    if (neighbour.transport) /* whose messages have tests of their own */
        return;
    char big[4096] = {3};
    send_and_die("empty type", "\0\0\0", 4, -1);
    send_and_die("short", "ab", 2, -1);
    send_and_die("too long", big, sizeof big, -1);
    send_and_die("chunk without memory", &chunk, sizeof chunk, -1);
    send_and_die("chunk of a pipe", &chunk, sizeof chunk, dup(STDERR_FILENO));
    int loose = memfd_create("loose", MFD_ALLOW_SEALING);
    CHECK(ftruncate(loose, 4096) == 0);
    send_and_die("chunk that can shrink", &chunk, sizeof chunk, loose);
    send_and_die("chunk smaller than said", &chunk, sizeof chunk, abx_memfd_create("x", 4000));
    chunk.address = 16 << 20;
    send_and_die("chunk over another", &chunk, sizeof chunk, abx_memfd_create("x", 4096));
    chunk.address = (16 << 20) - 4096;
    chunk.bytes = 8192;
    send_and_die("chunk into another", &chunk, sizeof chunk, abx_memfd_create("x", 8192));
    chunk.address = ABX_WINDOW_BYTES - 4096;
    send_and_die("chunk past the window", &chunk, sizeof chunk, abx_memfd_create("x", 8192));
    chunk.address = 12345;
    send_and_die("chunk unaligned", &chunk, sizeof chunk, abx_memfd_create("x", 8192));
    chunk.address = 64 << 20;
    chunk.chunk = DATA_CHUNK;
    send_and_die("chunk id taken", &chunk, sizeof chunk, abx_memfd_create("x", 8192));
    chunk.chunk = ABX_MAX_CHUNKS;
    send_and_die("chunk id too large", &chunk, sizeof chunk, abx_memfd_create("x", 8192));
    /* No hello, a wrong hello. */
    int sock = guest_dial(path);
    CHECK(send(sock, &chunk, sizeof chunk, MSG_NOSIGNAL) > 0);
    CHECK(recv(sock, big, sizeof big, 0) == 0);
    close(sock);
    sock = guest_dial(path);
    struct abx_message_hello hello = {
            .type = ABX_MESSAGE_HELLO, .magic = ABX_WIRE_MAGIC, .version = 77};
    CHECK(send(sock, &hello, sizeof hello, MSG_NOSIGNAL) > 0);
    struct abx_message_refused refused = {0};
    CHECK(recv(sock, &refused, sizeof refused, 0) == sizeof refused);
    CHECK(refused.type == ABX_MESSAGE_REFUSED && strstr(refused.text, "version 77"));
    close(sock);
    check_neighbour();
}

/* ---- chunks that are files, which may get shorter */

static int file_of(off_t bytes)
{
    char name[] = "/tmp/arcbox-streams-XXXXXX";
    int fd = mkstemp(name);
    CHECK(fd >= 0 && ftruncate(fd, bytes) == 0 && unlink(name) == 0);
    return fd;
}

static void check_files(void)
{
    struct abx_message_chunk chunk = {.type = ABX_MESSAGE_CHUNK,
            .chunk = 9,
            .bytes = 8192,
            .address = 64 << 20,
            .flags = ABX_CHUNK_FILE};
    if (neighbour.transport)
        return;
    send_and_die("file without a descriptor", &chunk, sizeof chunk, -1);
    send_and_die("folder", &chunk, sizeof chunk, open("/tmp", O_RDONLY));
    send_and_die("device", &chunk, sizeof chunk, open("/dev/zero", O_RDWR));
    send_and_die("socket", &chunk, sizeof chunk, guest_dial(path));
    send_and_die("file of the kernel's", &chunk, sizeof chunk, open("/proc/self/maps", O_RDONLY));
    send_and_die("file's name alone", &chunk, sizeof chunk, open("/bin/sh", O_PATH));
    send_and_die("file smaller than said", &chunk, sizeof chunk, file_of(4096));
    chunk.file_offset = 100;
    send_and_die("file from the middle of a page", &chunk, sizeof chunk, file_of(1 << 20));
    chunk.file_offset = UINT64_MAX - 4095;
    send_and_die("file at a huge offset", &chunk, sizeof chunk, file_of(1 << 20));
    chunk.file_offset = 0;
    chunk.flags = ABX_CHUNK_FILE | 2;
    send_and_die("unknown flags", &chunk, sizeof chunk, file_of(1 << 20));
    chunk.flags = ABX_CHUNK_FILE;
    /* What the host itself reads cannot lie in one: records, and indirect command buffers. */
    for (int i = 0; i < 2; i++) {
        struct guest g;
        guest_open(&g, path);
        int fd = file_of(1 << 20);
        CHECK(abx_sock_send(g.sock, &chunk, sizeof chunk, &fd, 1) == 0);
        close(fd);
        struct abx_wire_segment segment = {9, 64, 0};
        if (i == 0)
            GUEST_PUSH(&g, commit, QUEUE, 1, 0, 1, &segment);
        else
            GUEST_PUSH(&g, icb_create, HANDLE(30), 9, 0, 4, 31, 0);
        guest_ring(&g);
        expect_death(&g, i ? "indirect command buffer in a file" : "records in a file",
                i ? "icb_create" : "outside its memory chunk 9");
    }
}

/* ---- noise */

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void check_random(void)
{
    for (int round = 0; round < 150; round++) {
        struct guest g;
        guest_open(&g, path);
        uint64_t *words = (uint64_t *)g.arena;
        size_t count = 8 + random_next() % 512;
        for (size_t i = 0; i < count; i++)
            words[i] = random_next();
        /* Half of them with plausible heads, so that decoding gets somewhere. */
        for (size_t i = 0; (round & 1) && i < count;) {
            uint32_t bytes = 8 + 8 * (uint32_t)(random_next() % 6);
            struct abx_record head = {(uint16_t)(256 + random_next() % 20), 0, bytes};
            memcpy(&words[i], &head, 8);
            i += bytes / 8;
        }
        struct abx_wire_segment segment = {ARENA_CHUNK, (uint32_t)count * 8, 0};
        GUEST_PUSH(&g, commit, QUEUE, 1, 0, 1, &segment);
        CHECK(guest_wait(&g, 0, 1) || guest_is_dead(&g));
        guest_close(&g);
    }
    for (int round = 0; round < 100; round++) { /* the ring itself */
        struct guest g;
        guest_open(&g, path);
        for (size_t i = 0; i < ABX_RING_BYTES; i += 8) {
            uint64_t word = random_next();
            memcpy(g.page->ring + i, &word, 8);
        }
        atomic_store(&g.page->ring_tail, g.tail + 8 * (1 + random_next() % 4096));
        guest_ring(&g);
        CHECK(guest_is_dead(&g));
        guest_close(&g);
    }
    check_neighbour();
}

/* ---- time of check, time of use */

static _Atomic bool enough;

static void *scribble(void *argument)
{
    struct guest *g = argument;
    volatile uint64_t *words = (volatile uint64_t *)g->arena;
    for (uint64_t i = 0; !atomic_load(&enough); i++) {
        size_t at = random_next() % 64;
        uint64_t old = words[at];
        words[at] = i % 3 ? random_next() : old ^ 1ull << (random_next() % 64);
        for (unsigned wait = 0; wait < 200; wait++)
            abx_cpu_relax();
        words[at] = old;
    }
    return NULL;
}

static void check_changing_arena(void)
{
    unsigned died = 0, failed = 0, ran = 0;
    for (int round = 0; round < 40; round++) {
        struct guest g;
        pthread_t thread;
        guest_open(&g, path);
        atomic_store(&enough, false);
        struct abx_encoder *e = guest_begin(&g);
        for (int i = 0; i < 500; i++) {
            abx_encode_blit_begin(e);
            abx_encode_copy_buffer(e, DATA, 0, DATA, 4096, 64);
            abx_encode_encoder_end(e);
        }
        CHECK(pthread_create(&thread, NULL, scribble, &g) == 0);
        for (int i = 0; i < 100; i++) {
            guest_commit(&g, 0);
            if (!guest_wait(&g, 0, g.sequence)) {
                died++;
                break;
            }
            failed += g.host->results[0].error != 0;
            ran += g.host->results[0].error == 0;
        }
        atomic_store(&enough, true);
        pthread_join(thread, NULL);
        guest_close(&g);
    }
    check_neighbour();
    fprintf(stderr, "changing arena: %u clients ended, %u command buffers failed, %u ran\n", died,
            failed, ran);
    CHECK(died + failed > 0);
}

static void start(void)
{
    static struct abx_control_tenant tenant;
    control = daemon_start();
    daemon_tenant(control, "streams", "cpu", NULL, &tenant);
    path = tenant.socket;
    guest_open(&neighbour, path);
}

static void stop(void)
{
    struct abx_control_tenant *tenants;
    unsigned count;
    CHECK(abx_control_tenants(control, &tenants, &count) == 0 && count == 1);
    CHECK(tenants[0].worker_deaths == 0);
    free(tenants);
    guest_close(&neighbour);
    daemon_stop(control);
}

int main(int argc, char **argv)
{
    const struct check_case cases[] = {
            CASE(check_ring),
            CASE(check_objects),
            CASE(check_arena),
            CASE(check_socket),
            CASE(check_files),
            CASE(check_random),
            CASE(check_changing_arena),
    };
    return check_run(argc, argv, CHECK_SUITE(cases, .seconds = 60, .before = start, .after = stop));
}
