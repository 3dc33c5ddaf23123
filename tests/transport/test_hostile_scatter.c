/* A guest whose memory arrives in pieces, and who is hostile: lists of pieces that lie, that change
 * while they are read; a host page written by the guest; bells without end; payloads that nobody
 * fetches. Each ends its own client or nothing; a neighbour in the same worker never notices. */
#include "guest.h"
#include "scatter_guest.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/compile.h"

#define PAGES_BYTES (sizeof(struct abx_guest_page) + sizeof(struct abx_host_page))

static const char *path;
static struct guest neighbour;

static void check_neighbour(void)
{
    static uint8_t value;
    struct abx_encoder *e = guest_begin(&neighbour);
    abx_encode_blit_begin(e);
    abx_encode_fill_buffer(e, DATA, 0, 16, ++value);
    abx_encode_encoder_end(e);
    CHECK(guest_run(&neighbour).error == 0);
    CHECK(neighbour.data[0] == value && neighbour.data[15] == value);
}

/* ---- a client whose every byte is the test's */

struct raw {
    struct scatter_guest guest;
    struct scatter_memory pages;
    struct abx_guest_page *page;
    struct abx_host_page *host;
    uint64_t tail;
};

static const struct abx_message_hello hello = {.type = ABX_MESSAGE_HELLO,
        .magic = ABX_WIRE_MAGIC,
        .version = ABX_WIRE_VERSION,
        .program = "hostile"};

static void raw_begin(struct raw *r)
{
    memset(r, 0, sizeof *r);
    CHECK(scatter_begin(&r->guest, guest_dial(path)) == 0);
    CHECK(scatter_alloc(&r->guest, PAGES_BYTES, &r->pages) == 0);
    void *p = scatter_map(&r->guest, &r->pages, 0, PAGES_BYTES, NULL);
    CHECK(p);
    r->page = p;
    r->host = (struct abx_host_page *)((char *)p + sizeof *r->page);
}

static void raw_open(struct raw *r)
{
    struct scatter_frame frame;
    raw_begin(r);
    CHECK(scatter_send(&r->guest, SCATTER_MESSAGE, 0, &hello, sizeof hello, &r->pages) == 0);
    CHECK(scatter_receive(&r->guest, &frame, 20000) == sizeof frame.message.welcome);
    CHECK(frame.message.type == ABX_MESSAGE_WELCOME);
}

static void raw_close(struct raw *r)
{
    munmap(r->page, PAGES_BYTES);
    free(r->pages.entries);
    scatter_end(&r->guest);
}

/* The host has closed the connection. */
static void expect_end(struct raw *r, const char *what)
{
    struct scatter_frame frame;
    ssize_t n;
    while ((n = scatter_receive(&r->guest, &frame, 20000)) > 0)
        ; /* a refusal may come first */
    if (n == -ETIMEDOUT) {
        fprintf(stderr, "%s: the client was not ended\n", what);
        exit(1);
    }
    raw_close(r);
    check_neighbour();
}

/* A frame with a head as it is given. */
static void send_head(struct raw *r, struct scatter_head head, const void *message, size_t bytes)
{
    struct scatter_frame frame = {.head = head};
    memcpy(&frame.message, message, bytes);
    CHECK(abx_sock_send(r->guest.sock, &frame, sizeof frame.head + bytes, NULL, 0) == 0);
}

/* ---- lists */

static const struct bad_list {
    const char *what;
    uint32_t count; /* as the head says */
    uint64_t list;  /* 0: where the entries below lie */
    struct scatter_entry entries[2];
} bad_lists[] = {
        {"no entries", 0, 0, {{0}}},
        {"more entries than there may be", SCATTER_MAX_ENTRIES + 1, 4096, {{0}}},
        {"all entries that there can be", UINT32_MAX, 4096, {{0}}},
        {"a list past the memory", 1, 1ull << 62, {{0}}},
        {"a list that ends past the memory", 2, (64ull << 30) - 16, {{0}}},
        {"a list whose end overflows", SCATTER_MAX_ENTRIES, UINT64_MAX - 7, {{0}}},
        {"a list between words", 1, 4097, {{0}}},
        {"a piece of no bytes", 1, 0, {{1 << 20, 0}}},
        {"a piece of half a page", 1, 0, {{1 << 20, 2048}}},
        {"a piece between pages", 1, 0, {{(1 << 20) + 8, 4096}}},
        {"a piece past the memory", 1, 0, {{64ull << 30, 4096}}},
        {"a piece that ends past the memory", 1, 0, {{(64ull << 30) - 4096, 8192}}},
        {"a piece whose end overflows", 1, 0, {{UINT64_MAX - 4095, 8192}}},
        {"a piece of all bytes", 1, 0, {{1 << 20, UINT64_MAX - 4095}}},
        {"pieces whose sum overflows", 2, 0, {{0, 1ull << 63}, {0, 1ull << 63}}},
        {"too few pieces", 1, 0, {{1 << 20, 4096}}},
};

static void send_list(struct raw *r, const struct bad_list *bad, const void *message, size_t bytes)
{
    struct scatter_head head = {.kind = SCATTER_MESSAGE, .count = bad->count, .list = bad->list};
    if (!head.list)
        CHECK(scatter_list(&r->guest, bad->entries, 2, &head.list) == 0);
    send_head(r, head, message, bytes);
}

static void check_lists(void)
{
    const struct abx_message_chunk chunk = {
            .type = ABX_MESSAGE_CHUNK, .chunk = 9, .bytes = 1 << 20, .address = 64 << 20};
    struct abx_message_chunk huge = chunk;
    struct raw r;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(bad_lists); i++) {
        raw_begin(&r);
        send_list(&r, &bad_lists[i], &hello, sizeof hello);
        expect_end(&r, bad_lists[i].what);
        raw_open(&r);
        send_list(&r, &bad_lists[i], &chunk, sizeof chunk);
        expect_end(&r, bad_lists[i].what);
    }
    static const uint64_t sizes[] = {0, UINT64_MAX, UINT64_MAX - 4095, 1ull << 40};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(sizes); i++) {
        raw_open(&r);
        huge.bytes = sizes[i];
        CHECK(scatter_send(&r.guest, SCATTER_MESSAGE, 0, &huge, sizeof huge, &r.pages) == 0);
        expect_end(&r, "a chunk of another size than its memory");
    }
}

/* Pieces over each other, and over the host's own page, are the guest's memory twice. */
static void check_overlaps(void)
{
    struct raw r;
    raw_open(&r);
    struct scatter_memory twice = {.count = 1024, .bytes = 1024 * 8192};
    twice.entries = calloc(twice.count, sizeof *twice.entries);
    CHECK(twice.entries);
    for (uint32_t i = 0; i < twice.count; i++)
        twice.entries[i] = (struct scatter_entry){r.pages.entries[i % 3].offset, 4096};
    struct abx_message_chunk chunk = {.type = ABX_MESSAGE_CHUNK,
            .chunk = 9,
            .bytes = twice.count * 4096ull,
            .address = 64 << 20};
    CHECK(scatter_send(&r.guest, SCATTER_MESSAGE, 0, &chunk, sizeof chunk, &twice) == 0);
    struct abx_message_prepare ask = {.type = ABX_MESSAGE_PREPARE, .tag = 5};
    struct scatter_frame frame;
    CHECK(scatter_send(&r.guest, SCATTER_MESSAGE, 0, &ask, sizeof ask, NULL) == 0);
    CHECK(scatter_receive(&r.guest, &frame, 20000) == sizeof frame.message.prepared);
    free(twice.entries);
    raw_close(&r);
    check_neighbour();
}

/* As many pieces as would take the worker the mappings that everybody in it needs. */
static void check_many_pieces(void)
{
    struct raw r;
    struct guest other;
    raw_open(&r);
    struct scatter_memory many = {.count = 100};
    many.entries = calloc(many.count, sizeof *many.entries);
    CHECK(many.entries);
    for (uint32_t i = 0; i < many.count; i++)
        many.entries[i] = (struct scatter_entry){r.pages.entries[i % 2].offset, 4096};
    for (uint32_t i = 0; i < 700; i++) { /* to the brim, were there no limit */
        struct abx_message_chunk chunk = {.type = ABX_MESSAGE_CHUNK,
                .chunk = 9 + i,
                .bytes = many.count * 4096ull,
                .address = (64ull + i) << 20};
        CHECK(scatter_send(&r.guest, SCATTER_MESSAGE, 0, &chunk, sizeof chunk, &many) == 0);
    }
    struct abx_message_prepare ask = {.type = ABX_MESSAGE_PREPARE, .tag = 5};
    struct scatter_frame frame;
    CHECK(scatter_send(&r.guest, SCATTER_MESSAGE, 0, &ask, sizeof ask, NULL) == 0);
    CHECK(scatter_receive(&r.guest, &frame, 20000) == sizeof frame.message.prepared);
    for (unsigned i = 0; i < 10; i++) { /* newcomers find room */
        guest_open(&other, path);
        struct abx_encoder *e = guest_begin(&other);
        abx_encode_blit_begin(e);
        abx_encode_fill_buffer(e, DATA, 0, DATA_BYTES, 7);
        abx_encode_encoder_end(e);
        CHECK(guest_run(&other).error == 0 && other.data[DATA_BYTES - 1] == 7);
        guest_close(&other);
    }
    free(many.entries);
    raw_close(&r);
    check_neighbour();
}

/* ---- lists that change while they are read */

static _Atomic bool enough;

struct scribbled {
    volatile uint64_t *words;
    size_t count;
    uint64_t random;
};

static void *scribble(void *argument)
{
    struct scribbled *s = argument;
    while (!atomic_load(&enough)) {
        s->random ^= s->random << 13;
        s->random ^= s->random >> 7;
        s->random ^= s->random << 17;
        volatile uint64_t *word = &s->words[s->random % s->count];
        uint64_t old = *word;
        *word = s->random >> 8;
        for (unsigned i = 0; i < 50; i++)
            abx_cpu_relax();
        *word = s->random & 7 ? old : s->random << 12;
    }
    return NULL;
}

static void check_changing_list(void)
{
    unsigned ended = 0, taken = 0;
    for (unsigned round = 0; round < 30; round++) {
        struct raw r;
        struct scatter_memory m;
        pthread_t thread;
        raw_open(&r);
        CHECK(scatter_alloc(&r.guest, 1 << 20, &m) == 0);
        struct scatter_head head = {.kind = SCATTER_MESSAGE, .count = m.count};
        CHECK(scatter_list(&r.guest, m.entries, m.count, &head.list) == 0);
        uint64_t first = head.list / SCATTER_PAGE * SCATTER_PAGE;
        void *there = mmap(NULL, 2 * SCATTER_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
                r.guest.fds[SCATTER_RAM], (off_t)first);
        CHECK(there != MAP_FAILED);
        struct scribbled s = {(void *)((char *)there + (head.list - first)), m.count * 2,
                round + 88172645463325252u};
        atomic_store(&enough, false);
        CHECK(pthread_create(&thread, NULL, scribble, &s) == 0);
        for (uint32_t i = 1; i <= 100; i++) {
            struct abx_message_chunk chunk = {.type = ABX_MESSAGE_CHUNK,
                    .chunk = i,
                    .bytes = 1 << 20,
                    .address = (uint64_t)i << 24};
            struct scatter_frame frame = {.head = head, .message.chunk = chunk};
            if (abx_sock_send(r.guest.sock, &frame, sizeof frame.head + sizeof chunk, NULL, 0) < 0)
                break;
        }
        struct abx_message_prepare ask = {.type = ABX_MESSAGE_PREPARE, .tag = 5};
        struct scatter_frame frame;
        scatter_send(&r.guest, SCATTER_MESSAGE, 0, &ask, sizeof ask, NULL);
        if (scatter_receive(&r.guest, &frame, 20000) > 0)
            taken++;
        else
            ended++;
        atomic_store(&enough, true);
        pthread_join(thread, NULL);
        munmap(there, 2 * SCATTER_PAGE);
        free(m.entries);
        raw_close(&r);
    }
    check_neighbour();
    fprintf(stderr, "changing lists: %u clients ended, %u went on\n", ended, taken);
    CHECK(ended + taken == 30);
}

/* ---- the beginning, descriptors, payloads */

static void check_setup(void)
{
    struct raw r;
    struct scatter_setup setup = {.magic = SCATTER_MAGIC, .ram_bytes = 1 << 20};
    int loose = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(loose >= 0 && ftruncate(loose, 1 << 20) == 0);
    int fds[3] = {loose, loose, loose};
    for (unsigned count = 0; count <= 3; count++) {
        raw_begin(&r); /* has its own; this is another connection */
        int sock = guest_dial(path);
        CHECK(abx_sock_send(sock, &setup, sizeof setup, fds, count) == 0);
        char byte;
        CHECK(read(sock, &byte, 1) == 0);
        close(sock);
        raw_close(&r);
    }
    raw_open(&r); /* a second time */
    CHECK(abx_sock_send(r.guest.sock, &setup, sizeof setup, r.guest.fds, 3) == 0);
    expect_end(&r, "a second setup");
    raw_open(&r);
    struct scatter_frame frame = {.head.kind = SCATTER_MESSAGE, .message.hello = hello};
    CHECK(abx_sock_send(r.guest.sock, &frame, sizeof frame, &loose, 1) == 0);
    expect_end(&r, "a descriptor");
    raw_open(&r);
    send_head(&r, (struct scatter_head){.kind = 77}, "", 0);
    expect_end(&r, "a frame of no kind");
    raw_open(&r);
    send_head(&r, (struct scatter_head){.kind = SCATTER_FETCHED, .tag = 1}, "", 0);
    expect_end(&r, "the host's own frame");
    close(loose);
}

static void ask_for_compile(struct raw *r, uint32_t tag)
{
    static const char source[] = "this is no shader";
    struct {
        struct abx_shader_options options;
        char source[sizeof source - 1];
    } request = {0};
    memcpy(request.source, source, sizeof request.source);
    uint64_t bytes = sizeof request.options + sizeof request.source;
    struct scatter_memory m;
    CHECK(scatter_alloc(&r->guest, bytes, &m) == 0);
    CHECK(scatter_write(&r->guest, &m, 0, &request, bytes) == 0);
    struct abx_message_compile c = {
            .type = ABX_MESSAGE_COMPILE, .tag = tag, .library = HANDLE(9 + tag), .bytes = bytes};
    scatter_send(&r->guest, SCATTER_MESSAGE, 0, &c, sizeof c, &m);
    free(m.entries);
}

static void check_payloads(void)
{
    struct raw r;
    struct scatter_frame frame;
    struct scatter_memory m;
    raw_open(&r);
    CHECK(scatter_alloc(&r.guest, 4096, &m) == 0);
    CHECK(scatter_send(&r.guest, SCATTER_FETCH, 1, NULL, 0, &m) == 0);
    expect_end(&r, "a payload that is not there");
    raw_open(&r);
    ask_for_compile(&r, 1);
    CHECK(scatter_receive(&r.guest, &frame, 20000) > 0 && frame.head.bytes);
    CHECK(scatter_send(&r.guest, SCATTER_FETCH, frame.head.tag, NULL, 0, NULL) == 0);
    expect_end(&r, "a payload that is to go nowhere");
    raw_open(&r);
    ask_for_compile(&r, 1);
    CHECK(scatter_receive(&r.guest, &frame, 20000) > 0 && frame.head.bytes);
    uint64_t tag = frame.head.tag;
    CHECK(scatter_send(&r.guest, SCATTER_FETCH, tag, NULL, 0, &m) == 0);
    CHECK(scatter_receive(&r.guest, &frame, 20000) == 0 && frame.head.kind == SCATTER_FETCHED);
    CHECK(scatter_send(&r.guest, SCATTER_FETCH, tag, NULL, 0, &m) == 0);
    expect_end(&r, "a payload fetched twice");
    raw_open(&r); /* asks for ever, fetches nothing */
    for (uint32_t i = 1; i < 1000; i++) {
        ask_for_compile(&r, i);
        if (scatter_receive(&r.guest, &frame, 20000) <= 0)
            break;
        CHECK(i < 100);
    }
    expect_end(&r, "payloads never fetched");
    free(m.entries);
}

/* ---- the host page, written by the guest */

static void push_fill(struct raw *r, uint64_t sequence)
{
    uint64_t space[64];
    struct abx_encoder e = {.at = (uint8_t *)space, .end = (uint8_t *)space + sizeof space};
    struct abx_wire_segment segment = {.chunk = ARENA_CHUNK, .bytes = 0};
    if (sequence == 0)
        CHECK(abx_encode_queue_create(&e, QUEUE, 0));
    else
        CHECK(abx_encode_commit(&e, QUEUE, sequence, (uint32_t)sequence % 16, 0, &segment));
    size_t bytes = (size_t)(e.at - (uint8_t *)space);
    CHECK(r->tail + bytes < ABX_RING_BYTES);
    memcpy(r->page->ring + r->tail, space, bytes);
    r->tail += bytes;
    atomic_store(&r->page->ring_tail, r->tail);
    scatter_kick(&r->guest);
}

static void check_scribbled_page(void)
{
    struct raw r;
    pthread_t thread;
    enum { COMMITS = 500 };
    raw_open(&r);
    struct scribbled s = {(void *)r.host, sizeof *r.host / 8, 88172645463325252u};
    atomic_store(&enough, false);
    CHECK(pthread_create(&thread, NULL, scribble, &s) == 0);
    for (uint64_t i = 0; i <= COMMITS; i++) {
        push_fill(&r, i);
        atomic_fetch_add(&r.page->waiters, i % 3 == 0);
        if (i % 50 == 0)
            check_neighbour();
    }
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    memset(r.host, 0xff, sizeof *r.host);
    /* Its own work goes on, as one sees when it no longer writes there. */
    push_fill(&r, COMMITS + 1);
    for (unsigned i = 0; atomic_load(&r.host->completed[0]) != COMMITS + 1; i++) {
        CHECK(i < 20000);
        usleep(1000);
    }
    raw_close(&r);
    check_neighbour();
}

/* ---- bells without end */

static void *ring_for_ever(void *argument)
{
    struct raw *r = argument;
    while (!atomic_load(&enough))
        scatter_kick(&r->guest);
    return NULL;
}

static void check_wake_storm(void)
{
    struct raw r;
    pthread_t threads[2];
    raw_open(&r);
    atomic_store(&r.page->waiters, UINT32_MAX); /* and everything the host does rings here */
    push_fill(&r, 0);
    atomic_store(&enough, false);
    for (unsigned i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, ring_for_ever, &r) == 0);
    for (uint64_t i = 1; i <= 300; i++) {
        push_fill(&r, i);
        check_neighbour();
    }
    atomic_store(&enough, true);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; atomic_load(&r.host->completed[0]) != 300; i++) {
        CHECK(i < 20000);
        usleep(1000);
    }
    raw_close(&r);
    check_neighbour();
}

static struct abx_control *control;

static void start(void)
{
    static struct abx_control_tenant tenant;
    control = daemon_start();
    daemon_tenant(control, "scatter", "cpu", NULL, &tenant);
    path = tenant.socket;
    guest_open(&neighbour, path);
    check_neighbour();
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
            CASE(check_lists),
            CASE(check_overlaps),
            CASE(check_many_pieces),
            CASE(check_changing_list),
            CASE(check_setup),
            CASE(check_payloads),
            CASE(check_scribbled_page),
            CASE(check_wake_storm),
    };
    return check_run(argc, argv, CHECK_SUITE(cases, .seconds = 60, .before = start, .after = stop));
}
