/* The client side of the wire against a pretend host: arenas, commits, memory, events, compiles, a
 * full ring, fork, and a host that dies. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../check.h"
#include "encode_gen.h"
#include "fake_host.h"
#include "wire/client.h"

static struct fake_host host;
static struct abx_client *c;

static void submit(struct abx_client_queue *q, struct abx_arena *arena, uint64_t *sequence,
        uint32_t *result, unsigned records)
{
    abx_arena_init(arena, q->client);
    for (unsigned i = 0; i < records; i++)
        abx_encode_memory_barrier(&arena->encoder, 1);
    int r;
    while ((r = abx_client_commit(q, arena, sequence, result)) == -EAGAIN)
        usleep(100);
    CHECK(r == 0);
}

static void test_commits(void)
{
    struct abx_client_queue q;
    CHECK(abx_client_queue_create(c, &q) == 0);
    for (unsigned n = 1; n <= 100000; n *= 10) { /* the last one needs large blocks */
        struct abx_arena arena;
        uint64_t sequence, before = atomic_load(&host.records);
        uint32_t result;
        submit(&q, &arena, &sequence, &result, n);
        CHECK(abx_client_queue_wait(&q, sequence, -1, 0) == 0);
        struct abx_result outcome;
        abx_client_result(c, result, &outcome);
        CHECK(outcome.sequence == sequence);
        CHECK(atomic_load(&host.records) - before == n);
        abx_client_result_free(c, result);
        abx_arena_finish(&arena);
    }
    struct abx_arena empty;
    uint64_t sequence;
    uint32_t result;
    submit(&q, &empty, &sequence, &result, 0);
    CHECK(abx_client_queue_wait(&q, sequence, -1, 0) == 0);
    abx_client_result_free(c, result);
    abx_arena_finish(&empty);
    struct abx_client_counters counters;
    abx_client_counters(c, &counters);
    CHECK(counters.encode_trips == 0 && counters.wait_trips <= counters.commits);
    /* Past the cap of one command buffer: refused, said so, nothing sent. */
    struct abx_arena arena;
    abx_arena_init(&arena, c);
    static uint8_t bytes[4096];
    unsigned written = 0;
    while (abx_encode_set_bytes(&arena.encoder, 0, sizeof bytes, bytes))
        CHECK(++written < 20000);
    CHECK(written > 10000);
    CHECK(abx_client_commit(&q, &arena, &sequence, &result) == -E2BIG);
    abx_arena_finish(&arena);
    abx_client_queue_destroy(&q);
}

/* More commits than the ring or the result table holds. */
static void test_flood(void)
{
    struct abx_client_queue q;
    CHECK(abx_client_queue_create(c, &q) == 0);
    struct abx_arena arena;
    uint64_t sequence = 0;
    uint32_t results[64];
    for (unsigned i = 0; i < 20000; i++) {
        submit(&q, &arena, &sequence, &results[i % 64], 1);
        if (i % 64 == 63) {
            CHECK(abx_client_queue_wait(&q, sequence, -1, 0) == 0);
            for (unsigned k = 0; k < 64; k++)
                abx_client_result_free(c, results[k]);
        }
        abx_arena_finish(&arena); /* a memory_barrier too early does not matter here */
        if (i == 0)
            CHECK(sequence == 1);
    }
    CHECK(sequence == 20000);
    CHECK(abx_client_queue_wait(&q, sequence, -1, 0) == 0);
    for (unsigned k = 0; k < 20000 % 64; k++)
        abx_client_result_free(c, results[k]);
    /* Out of result slots: -EAGAIN, not a hang. */
    atomic_store(&host.hold, 1);
    unsigned taken = 0;
    uint32_t *all = calloc(ABX_MAX_RESULTS, sizeof *all);
    abx_arena_init(&arena, c);
    int r;
    while ((r = abx_client_commit(&q, &arena, &sequence, &all[taken])) == 0)
        CHECK(++taken <= ABX_MAX_RESULTS);
    CHECK(r == -EAGAIN && taken == ABX_MAX_RESULTS);
    CHECK(abx_client_queue_wait(&q, sequence, 1000000, 0) == -ETIMEDOUT);
    atomic_store(&host.hold, 0);
    CHECK(abx_client_queue_wait(&q, sequence, -1, 0) == 0);
    for (unsigned k = 0; k < taken; k++)
        abx_client_result_free(c, all[k]);
    free(all);
    abx_client_queue_destroy(&q);
}

static void test_memory(void)
{
    struct abx_memory a, b, big;
    CHECK(abx_client_alloc(c, 0, &a) == -EINVAL);
    CHECK(abx_client_alloc(c, 1000, &a) == 0);
    CHECK(abx_client_alloc(c, 1, &b) == 0);
    /* 256 bytes lie between them that nobody has */
    CHECK(a.bytes == 1024 && b.bytes == 256 && a.chunk == b.chunk && a.offset + 1280 == b.offset);
    CHECK(a.pointer + 1280 == b.pointer && a.address % 256 == 0);
    memset(a.pointer, 0xff, a.bytes);
    uint64_t old = a.address;
    abx_client_free(c, &a);
    CHECK(abx_client_alloc(c, 512, &a) == 0 && a.address == old);
    for (unsigned i = 0; i < 512; i++)
        CHECK(a.pointer[i] == 0); /* reused memory is zeroed */
    /* What is as large as a page begins with one; what is larger than 1 MiB has a chunk of its own.
     */
    CHECK(abx_client_alloc(c, 500000, &big) == 0);
    CHECK(big.chunk == a.chunk && big.address % 4096 == 0 && (uintptr_t)big.pointer % 4096 == 0);
    memset(big.pointer, 1, big.bytes);
    old = big.address;
    abx_client_free(c, &big);
    CHECK(abx_client_alloc(c, 1 << 20, &big) == 0 && big.address == old);
    for (unsigned i = 0; i < 1 << 20; i++)
        CHECK(big.pointer[i] == 0);
    abx_client_free(c, &big);
    CHECK(abx_client_alloc(c, (1 << 20) + 1, &big) == 0);
    CHECK(big.chunk != a.chunk && big.offset == 0 && big.pointer[1 << 20] == 0);
    big.pointer[0] = 1;
    abx_client_free(c, &big);
    abx_client_free(c, &a);
    abx_client_free(c, &b);
    CHECK(abx_client_allocated(c) == 0);
    /* The cap is decided here, and what is freed can be had again. */
    CHECK(abx_client_alloc(c, (1ull << 32) - (1 << 20), &big) == -ENOMEM);
    for (unsigned i = 0; i < 20; i++) {
        CHECK(abx_client_alloc(c, 3ull << 30, &big) == 0);
        CHECK(abx_client_alloc_private(c, 2ull << 30, &a) == -ENOMEM);
        abx_client_free(c, &big);
    }
    CHECK(abx_client_alloc_private(c, 1000, &a) == 0 && !a.pointer && a.bytes == 4096);
    abx_client_free(c, &a);
}

static void test_random_memory(void)
{
    enum { N = 300 };
    static struct abx_memory m[N];
    memset(m, 0, sizeof m);
    unsigned seed = 1;
    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned k = (seed >> 8) % N;
        if (m[k].owner) {
            CHECK(m[k].pointer[0] == (uint8_t)k && m[k].pointer[m[k].bytes - 1] == (uint8_t)k);
            abx_client_free(c, &m[k]);
            continue;
        }
        uint64_t bytes = (seed >> 16) % 50 ? (seed >> 16) % 9000 + 1 : 70000;
        CHECK(abx_client_alloc(c, bytes, &m[k]) == 0);
        CHECK(m[k].bytes >= bytes && m[k].pointer[0] == 0 && m[k].pointer[m[k].bytes - 1] == 0);
        m[k].pointer[0] = m[k].pointer[m[k].bytes - 1] = (uint8_t)k;
    }
    for (unsigned k = 0; k < N; k++)
        abx_client_free(c, &m[k]);
    CHECK(abx_client_allocated(c) == 0);
}

static void test_adopt(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = 8 * page;
    uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 42, bytes);
    struct abx_memory a, b;
    /* Little memory that does not fill its pages is to be copied. */
    CHECK(abx_client_adopt(c, p + 1, page, &a) == -ENOTSUP);
    CHECK(abx_client_adopt(c, p, page + 1, &a) == -ENOTSUP);
    CHECK(abx_client_adopt(c, NULL, page, &a) == -EINVAL);
    CHECK(abx_client_adopt(c, p, UINT64_MAX - 1, &a) == -EINVAL);
    CHECK(abx_client_adopt(c, p, bytes, &a) == 0);
    CHECK(a.pointer == p && p[0] == 42 && p[bytes - 1] == 42);
    /* Written after adoption: the host sees it without being told. */
    p[5] = 7;
    struct abx_client_queue q;
    struct abx_arena arena;
    uint64_t sequence;
    uint32_t result;
    CHECK(abx_client_queue_create(c, &q) == 0);
    submit(&q, &arena, &sequence, &result, 1);
    CHECK(abx_client_queue_wait(&q, sequence, -1, 0) == 0);
    abx_client_result_free(c, result);
    abx_arena_finish(&arena);
    CHECK(((uint8_t *)host.chunk[a.chunk].pointer)[5] == 7);
    /* A view into it shares; one that sticks out is refused. */
    CHECK(abx_client_adopt(c, p + page, page, &b) == 0 && b.chunk == a.chunk && b.offset == page);
    struct abx_memory out;
    CHECK(abx_client_adopt(c, p - page, 2 * page, &out) == -ENOTSUP);
    struct abx_rim rims[2];
    CHECK(abx_client_rims(&a, rims) == 0 && abx_client_is_adopted(&a));
    abx_client_free(c, &a);
    CHECK(p[5] == 7);
    abx_client_free(c, &b);
    CHECK(p[5] == 7 && p[bytes - 1] == 42);
    p[0] = 1;
    CHECK(abx_client_adopt(c, (void *)(16 * page), page, &a) == -EFAULT); /* nothing is there */
    munmap(p, bytes);
    abx_client_queue_destroy(&q);
}

/* Memory that begins and ends inside pages: those stay the program's. */
static void test_adopt_rims(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (4u << 20) + 2 * page;
    uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 42, bytes);
    struct abx_memory a, b;
    struct abx_rim rims[2];
    CHECK(abx_client_adopt(c, p + 24, bytes - 25, &a) == 0 && a.pointer == p + 24);
    CHECK(a.offset == 24 && a.bytes == bytes - 25 && p[24] == 42 && p[bytes / 2] == 42);
    CHECK(abx_client_rims(&a, rims) == 2);
    CHECK(rims[0].user == p + 24 && rims[0].bytes == page - 24 && rims[0].shared != p + 24);
    CHECK(rims[1].user == p + bytes - page && rims[1].bytes == page - 1);
    /* A part of what is shared in place has none; one that begins in a rim is to be copied. */
    CHECK(abx_client_adopt(c, p + page + 1, page, &b) == 0 && abx_client_rims(&b, rims) == 0);
    abx_client_free(c, &b);
    CHECK(abx_client_adopt(c, p + 24, 2 * page, &b) == -ENOTSUP);
    abx_client_free(c, &a);
    CHECK(p[0] == 42 && p[24] == 42 && p[page] == 42 && p[bytes - 1] == 42);
    /* A view of a small allocation outlives it. */
    CHECK(abx_client_alloc(c, 100, &a) == 0);
    a.pointer[50] = 9;
    CHECK(abx_client_adopt(c, a.pointer + 50, 8, &b) == 0 && b.address == a.address + 50);
    abx_client_free(c, &a);
    CHECK(b.pointer[0] == 9);
    abx_client_free(c, &b);
    munmap(p, bytes);
}

static void test_events(void)
{
    uint32_t slot;
    abx_handle handle;
    CHECK(abx_client_event_create(c, &slot, &handle) == 0);
    CHECK(abx_client_event_value(c, slot) == 0);
    CHECK(abx_client_event_wait(c, slot, 1, 0, 0) == -ETIMEDOUT);
    CHECK(abx_client_event_wait(c, slot, 1, 2000000, 0) == -ETIMEDOUT);
    struct abx_client_queue q;
    struct abx_arena arena;
    uint64_t sequence;
    uint32_t result;
    CHECK(abx_client_queue_create(c, &q) == 0);
    abx_arena_init(&arena, c);
    abx_encode_signal_event(&arena.encoder, handle, 5);
    CHECK(abx_client_commit(&q, &arena, &sequence, &result) == 0);
    CHECK(abx_client_event_wait(c, slot, 5, -1, 0) == 0 && abx_client_event_value(c, slot) == 5);
    CHECK(abx_client_queue_wait(&q, sequence, -1, 0) == 0);
    abx_client_event_set(c, slot, handle, 9);
    CHECK(abx_client_event_wait(c, slot, 9, 0, 0) == 0);
    abx_client_result_free(c, result);
    abx_arena_finish(&arena);
    abx_client_event_destroy(c, slot, handle);
    abx_client_queue_destroy(&q);
}

static void test_compile(void)
{
    struct abx_client_compile r;
    abx_client_compile(c, abx_client_handle_new(c), "kernel", 6, &r);
    CHECK(r.error == 0 && r.reflection && r.reflection->function_count == 1 && !r.message);
    free(r.reflection);
    abx_client_compile(c, 0, "an error", 8, &r);
    CHECK(r.error == -EINVAL && !r.reflection && r.message && strstr(r.message, "expected"));
    free(r.message);
    char text[512];
    uint32_t bytes = 0;
    CHECK(abx_client_prepare(c, 1, &bytes, text) == 0 && bytes == 48);
}

static void *encode_thread(void *unused)
{
    struct abx_client_queue q;
    CHECK(abx_client_queue_create(c, &q) == 0);
    for (unsigned i = 0; i < 500; i++) {
        struct abx_arena arena;
        struct abx_memory m;
        uint64_t sequence;
        uint32_t result;
        CHECK(abx_client_alloc(c, i * 7 + 1, &m) == 0);
        submit(&q, &arena, &sequence, &result, i % 300);
        if (i % 50 == 0) {
            struct abx_client_compile r;
            abx_client_compile(c, 0, "kernel", 6, &r);
            CHECK(r.error == 0);
            free(r.reflection);
        }
        CHECK(abx_client_queue_wait(&q, sequence, -1, 0) == 0);
        struct abx_result outcome;
        abx_client_result(c, result, &outcome);
        CHECK(outcome.sequence == sequence);
        abx_client_result_free(c, result);
        abx_arena_finish(&arena);
        abx_client_free(c, &m);
    }
    abx_client_queue_destroy(&q);
    return NULL;
}

static void test_threads(void)
{
    pthread_t t[6];
    for (unsigned i = 0; i < 6; i++)
        pthread_create(&t[i], NULL, encode_thread, NULL);
    for (unsigned i = 0; i < 6; i++)
        pthread_join(t[i], NULL);
}

static void test_handles(void)
{
    abx_handle first = abx_client_handle_new(c);
    abx_client_handle_free(c, first);
    abx_client_handle_free(c, first); /* stale: ignored */
    for (unsigned i = 0; i < 5000; i++) {
        abx_handle h = abx_client_handle_new(c);
        CHECK(h && h != first && abx_handle_generation(h) && abx_handle_index(h) < ABX_MAX_HANDLES);
        abx_client_handle_free(c, h);
    }
}

static void test_fork(void)
{
    static struct fake_host other; /* the child's */
    struct abx_memory m;
    CHECK(abx_client_alloc(c, 100, &m) == 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK(abx_client_known_lost(c) && abx_client_peek() == NULL);
        CHECK(strstr(abx_client_lost_text(c), "fork"));
        abx_client_free(c, &m); /* nothing, and no hang */
        abx_client_destroy(c, 1);
        if (getenv("ARCBOX_TEST_EMULATED"))
            _exit(0); /* qemu-user dies when a forked child makes a thread */
        fake_host_start(&other);
        struct abx_client *mine = abx_client_get();
        CHECK(mine && mine != c);
        c = mine;
        test_compile();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(!abx_client_lost(c));
    abx_client_free(c, &m);
}

static void test_lost(void)
{
    struct abx_client_queue q;
    struct abx_arena arena;
    uint64_t sequence;
    uint32_t result;
    CHECK(abx_client_queue_create(c, &q) == 0);
    atomic_store(&host.hold, 1);
    submit(&q, &arena, &sequence, &result, 3);
    fake_host_kill(&host);
    CHECK(abx_client_queue_wait(&q, sequence, -1, 0) == -ENODEV);
    CHECK(abx_client_lost(c) && abx_client_known_lost(c) && *abx_client_lost_text(c));
    struct abx_memory m;
    CHECK(abx_client_alloc(c, 100, &m) == -ENODEV);
    struct abx_client_compile r;
    abx_client_compile(c, 0, "kernel", 6, &r);
    CHECK(r.error == -ENODEV);
    CHECK(abx_client_commit(&q, &arena, &sequence, &result) == -ENODEV);
    abx_arena_finish(&arena);
    abx_client_queue_destroy(&q);
    fake_host_start(&host); /* a new worker: the next device works */
    struct abx_client *second = abx_client_get();
    CHECK(second && second != c);
    c = second;
    test_compile();
}

static void test_report(void)
{
    char line[256];
    CHECK(abx_report_line(line, sizeof line) > 0 && strstr(line, "Fake GPU"));
    printf("%s\n", line);
}

/* One more command buffer uses the chunk; the bytes of it that are told as written. */
static uint64_t use(uint32_t chunk)
{
    static struct abx_client_queue q;
    struct abx_arena empty;
    uint64_t sequence;
    uint32_t result;
    if (!q.client)
        CHECK(abx_client_queue_create(c, &q) == 0);
    atomic_store(&host.written_bytes, 0);
    abx_client_mirror_use(c, &chunk, 1, false);
    submit(&q, &empty, &sequence, &result, 0);
    CHECK(abx_client_queue_wait(&q, sequence, -1, 0) == 0);
    abx_client_result_free(c, result);
    abx_arena_finish(&empty);
    abx_client_mirror_spent(c, (uint32_t[]){chunk, chunk}, 2, 400000); /* counts once */
    return atomic_load(&host.written_bytes);
}

/* What is used again and again is mirrored, and then what is written is told: no page more. */
static void test_mirrors(void)
{
    enum { BYTES = 8 << 20, PAGE = 4096 };
    struct abx_memory memory, other;
    if (!abx_client_mirrors(c)) {
        puts("# not looked at: this kernel does not tell what is written (Linux 6.7), or may not");
        return;
    }
    CHECK(abx_client_alloc(c, BYTES, &memory) == 0 && memory.address % host.mirror_align == 0);
    memset(memory.pointer, 1, BYTES);
    for (int i = 0; i < 3; i++)
        CHECK(use(memory.chunk) == 0 && host.mirrors == 0); /* 300 us count, of 660 */
    CHECK(use(memory.chunk) == 0 && host.mirrors == 1);
    CHECK(use(memory.chunk) == 0 && host.writtens == 0);
    memory.pointer[5 * PAGE] = 2;
    CHECK(use(memory.chunk) == PAGE && host.written_chunk == memory.chunk);
    CHECK(use(memory.chunk) == 0);
    for (unsigned i = 0; i < 100; i++)
        memory.pointer[i * 8 * PAGE] = 3;
    CHECK(use(memory.chunk) >= 100 * PAGE && host.writtens < 20); /* in a few pieces */
    int zero = open("/dev/zero", O_RDONLY);
    CHECK(read(zero, memory.pointer + PAGE - 1, 2) == 2);
    close(zero);
    CHECK(use(memory.chunk) == 2 * PAGE);
    /* Where most is written each time nobody looks any more: all counts as written. */
    for (unsigned i = 0; i < 4; i++) {
        memset(memory.pointer, (int)i, BYTES);
        CHECK(use(memory.chunk) >= BYTES);
    }
    CHECK(use(memory.chunk) >= BYTES);
    for (unsigned i = 0; i < 40 && use(memory.chunk); i++)
        ;
    CHECK(use(memory.chunk) == 0);
    abx_client_free(c, &memory);
    /* What the program has not asked for, until it does; what is reached by its address. */
    CHECK(abx_client_alloc(c, BYTES, &memory) == 0 && abx_client_alloc(c, BYTES, &other) == 0);
    abx_client_mirror_unseen(c, &memory);
    abx_client_mirror_expose(c, other.chunk);
    for (int i = 0; i < 8; i++)
        CHECK(use(memory.chunk) == 0 && use(other.chunk) == 0);
    CHECK(host.unseen_mirrors == 1 && host.mirrors == 1 && host.seens == 0);
    CHECK(abx_client_mirror_see(c, memory.chunk) && !abx_client_mirror_see(c, memory.chunk));
    CHECK(!abx_client_mirror_see(c, other.chunk));
    memory.pointer[PAGE] = 1;
    CHECK(use(memory.chunk) == PAGE && host.seens == 1);
    abx_client_free(c, &memory);
    abx_client_free(c, &other);
}

/* Without a host there is no client, and nothing to report; then there is one. */
static void start(void)
{
    char line[256] = "x";
    setenv(ABX_SOCKET_ENV, "/nonexistent/gpu.sock", 1);
    CHECK(abx_client_get() == NULL);
    CHECK(abx_report_line(line, sizeof line) == 0 && !line[0]);
    host.mirror_align = 2 << 20;
    fake_host_start(&host);
    c = abx_client_get();
    CHECK(c && c == abx_client_get() && !abx_client_lost(c));
    CHECK(!strcmp(abx_client_welcome(c)->device_name, "Fake GPU"));
}

static void stop(void)
{
    fake_host_stop(&host);
}

int main(int argc, char **argv)
{
    const struct check_case cases[] = {
            CASE(test_handles), CASE(test_commits), CASE(test_flood), CASE(test_memory),
            CASE(test_random_memory), CASE(test_mirrors), CASE(test_adopt), CASE(test_adopt_rims),
            CASE(test_events), CASE(test_compile), CASE(test_threads), CASE(test_fork),
            CASE(test_report), CASE_KEEPS(test_lost, 2), /* another client */
    };
    return check_run(argc, argv,
            CHECK_SUITE(cases, .seconds = 60, .before = start, .after = stop, .keeps = 4));
}
