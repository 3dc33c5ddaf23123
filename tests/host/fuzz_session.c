/* Fuzzes whole sessions: from hello, or what says it is one, through memory, compiles, pipelines
 * and linked ones to command buffers, with a compiler that answers as the source says. The null
 * backend executes. With libFuzzer (-Dfuzzers=true) it searches; as an ordinary test it replays
 * good sessions and mutations of them, made from a fixed seed: fuzz_session [COUNT [folder to write
 * seeds to]]
 *
 * Input: blocks of {u8 kind, u8 spare, u16 bytes, payload}. After each run nothing may be left. */
#include "encode_gen.h"
#include "fuzz_records.h"
#include "host/compiler/compiler.h"
#include "host/session/internal.h"
#include "host/transport/socket.h"
#include "wire/compile.h"
#include "wire/reflection.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK_BYTES 65536u
#define HANDLE(n) (1ull << 32 | (n))
#define SETTLE_MS 2000
enum { QUEUE = 1, DATA, LIBRARY, LIBRARY_2, KERNEL, VISIBLE, PIPELINE, LINKED, ICB, EVENT };
enum block_kind { HELLO, MESSAGE, CHUNK, SOURCE, RING, COMMANDS, WAIT, KINDS };
RECORDS_MUTATOR(KINDS, 1u << COMMANDS | 1u << RING);
#define SERVED 0x80 /* in the first block's `spare`: by a thread, as in a worker */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the compiler. The first byte of the source says how it goes. */

static struct {
    struct abx_reflection head;
    struct abx_reflection_function functions[4];
    struct abx_reflection_argument arguments[3];
    struct abx_reflection_constant constants[1];
    char strings[20]; /* the whole is a multiple of 8 */
} reflection = {
        {ABX_REFLECTION_MAGIC, ABX_REFLECTION_VERSION, sizeof reflection, 4, 3, 1, 20, 0, 0, 0},
        {{.name = 1, .kind = ABX_FUNCTION_KERNEL, .argument_count = 3, .max_threads = 64},
                {.name = 3, .kind = ABX_FUNCTION_KERNEL, .constant_count = 1, .needed_count = 1},
                {.name = 5, .kind = ABX_FUNCTION_VISIBLE},
                {.name = 7, .kind = ABX_FUNCTION_KERNEL, .required_threads = {8, 1, 1}}},
        {{.kind = ABX_ARGUMENT_BUFFER, .index = 0}, {.kind = ABX_ARGUMENT_BUFFER, .index = 3},
                {.kind = ABX_ARGUMENT_THREADGROUP}},
        {{.name = 9, .type = 33, .size = 4}}, "\0a\0b\0c\0d\0e"};

static void answer_with(
        int sock, struct abx_compiler_answer *a, const char *text, const void *data, size_t bytes)
{
    a->message_bytes = text ? (uint32_t)strlen(text) : 0;
    a->payload_bytes = bytes;
    size_t at = abx_align_up(a->message_bytes, 8);
    int fd = text || bytes ? memfd_create("answer", MFD_CLOEXEC) : -1;
    if (fd >= 0 &&
            (ftruncate(fd, (off_t)(at + bytes)) < 0 || pwrite(fd, text, a->message_bytes, 0) < 0 ||
                    pwrite(fd, data, bytes, (off_t)at) < 0))
        abort();
    abx_sock_send(sock, a, sizeof *a, &fd, fd >= 0);
    if (fd >= 0)
        close(fd);
}

static void compile_library(int sock, const struct abx_compiler_request *r, int fd)
{
    struct abx_compiler_answer a = {.id = r->id};
    char mood = 0;
    (void)!pread(fd, &mood, 1, sizeof(struct abx_shader_options));
    memset(a.key, mood, sizeof a.key);
    switch (mood) {
    case 'e':
        a.error = -EINVAL;
        answer_with(sock, &a, "error: it is wrong", NULL, 0);
        break;
    case 'n':
        a.error = -EIO;
        answer_with(sock, &a, NULL, NULL, 0);
        break;
    case 'b': /* a compiler with a bug */
        answer_with(sock, &a, "broken", &reflection, sizeof reflection - 64);
        break;
    default:
        answer_with(sock, &a, mood == 'w' ? "warning: well" : NULL, &reflection, sizeof reflection);
    }
}

static void *compiler(void *argument)
{
    static union {
        struct abx_compiler_request request;
        uint8_t bytes[ABX_COMPILER_MAX_REQUEST_BYTES];
    } m;
    int sock = *(int *)argument, fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count;
    while (abx_sock_receive(sock, &m, sizeof m, fds, &fd_count) > 0) {
        struct abx_compiler_answer a = {.id = m.request.id};
        if (m.request.type == ABX_COMPILER_LIBRARY)
            compile_library(sock, &m.request, fd_count ? fds[0] : -1);
        else if (m.request.type == ABX_COMPILER_PIPELINE && m.request.function == 3) {
            a.error = -EINVAL;
            answer_with(sock, &a, "error: no code", NULL, 0);
        } else if (m.request.type == ABX_COMPILER_PIPELINE)
            answer_with(sock, &a, NULL, m.request.link_count > 2 ? "xxxxxxxx" : "oooooooo", 8);
        while (fd_count)
            close(fds[--fd_count]);
    }
    return NULL;
}

/* ---- the backend: code is a letter */

static int make_code(
        struct abx_device *d, const void *object, size_t bytes, struct abx_pipeline **ret)
{
    *ret = *(const char *)object == 'o' ? malloc(1) : NULL;
    return *ret ? 0 : -EINVAL;
}

static void code_info(const struct abx_pipeline *pipeline, struct abx_pipeline_info *ret)
{
    *ret = (struct abx_pipeline_info){64, 512};
}

static void free_code(struct abx_pipeline *pipeline)
{
    free(pipeline);
}

static const struct abx_pipeline_ops codes = {
        .create = make_code, .info = code_info, .destroy = free_code};
static struct abx_backend backend;
static struct abx_host *host;

static void open_host(void)
{
    static int pair[2];
    pthread_t thread;
    backend = abx_backend_null;
    backend.pipeline = &codes;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
            pthread_create(&thread, NULL, compiler, &pair[1]))
        abort();
    struct abx_host_config config = {.backend = &backend, .tenant = "fuzz", .compiler = pair[0]};
    config.limits.memory_bytes = 64 << 20;
    config.limits.threads = 1;
    abx_control_default_limits(&config.limits);
    if (abx_host_open(&config, &host) < 0)
        abort();
    host->quiet = !getenv("FUZZ_LOG");
}

/* ---- one client */

struct fuzzed {
    struct abx_session *session;
    struct abx_guest_page *page;
    uint8_t *arena;
    int sock, doorbell; /* ours, as a guest has its own */
    uint64_t tail, sequence;
    bool served;
    pthread_t thread;
};

static void push(struct fuzzed *f, const void *bytes, size_t length)
{
    for (size_t i = 0; f->page && i < length; i++)
        f->page->ring[(f->tail + i) % ABX_RING_BYTES] = ((const uint8_t *)bytes)[i];
    f->tail += length;
    if (f->page)
        atomic_store(&f->page->ring_tail, f->tail);
}

static void send_hello(struct fuzzed *f, uint8_t spare, const uint8_t *p, uint16_t bytes)
{
    size_t size = spare & 1 ? 4096 : sizeof *f->page;
    int fd = abx_memfd_create("guest", size);
    if (!f->page && !(spare & 1)) {
        f->page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        atomic_store(&f->page->ring_tail, f->tail = 0);
        atomic_store(&f->page->waiters, spare >> 2 & 1);
    }
    abx_sock_try_send(f->sock, p, bytes, &fd, !(spare & 2));
    close(fd);
}

/* The first chunk is the arena. */
static void send_chunk(struct fuzzed *f, uint8_t spare, const uint8_t *p, uint16_t bytes)
{
    int fd =
            spare & 1 ? memfd_create("loose", MFD_CLOEXEC) : abx_memfd_create("chunk", CHUNK_BYTES);
    if (!f->arena && !(spare & 1))
        f->arena = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    abx_sock_try_send(f->sock, p, bytes, &fd, 1);
    close(fd);
}

/* The message, then the file. */
static void send_source(struct fuzzed *f, uint8_t spare, const uint8_t *p, uint16_t bytes)
{
    size_t head = sizeof(struct abx_message_compile);
    if (bytes < head)
        return;
    int fd = abx_memfd_create("source", bytes - head + 1);
    abx_write_all(fd, p + head, bytes - head);
    if (!(spare & 1))
        abx_memfd_seal(fd);
    abx_sock_try_send(f->sock, p, head, &fd, !(spare & 2));
    close(fd);
}

static void commit(struct fuzzed *f, const uint8_t *p, uint16_t bytes)
{
    uint64_t space[64];
    struct abx_encoder e = {.at = (uint8_t *)space, .end = (uint8_t *)space + sizeof space};
    struct abx_wire_segment segment = {1, bytes & ~7u, 0};
    if (!f->arena)
        return;
    memcpy(f->arena, p, bytes);
    f->sequence++;
    abx_encode_commit(&e, HANDLE(QUEUE), f->sequence, f->sequence % ABX_MAX_RESULTS, 1, &segment);
    push(f, space, (size_t)(e.at - (uint8_t *)space));
}

static bool step(struct fuzzed *f)
{
    union abx_message reply;
    bool alive = f->served ? !atomic_load(&f->session->dead) : abx_session_step(f->session);
    uint64_t one = 1;
    if (f->served)
        (void)!write(f->doorbell, &one, sizeof one);
    while (recv(f->sock, &reply, sizeof reply, MSG_DONTWAIT) > 0)
        ; /* descriptors in it are dropped by the kernel */
    return alive;
}

static bool compiles(const struct abx_session *session)
{
    if (atomic_load(&session->compiles_pending))
        return true;
    for (uint32_t i = 0; i < session->table_size; i++) {
        const struct abx_object *o = session->table[i].generation ? session->table[i].object : NULL;
        if (o && o->class == ABX_CLASS_PIPELINE &&
                atomic_load(&((const struct abx_pipeline_object *)o)->state) ==
                        ABX_PIPELINE_COMPILING)
            return true;
    }
    return false;
}

static bool block(struct fuzzed *f, uint8_t kind, uint8_t spare, const uint8_t *p, uint16_t bytes)
{
    switch ((enum block_kind)(kind % KINDS)) {
    case HELLO:
        send_hello(f, spare, p, bytes);
        break;
    case MESSAGE:
        abx_sock_try_send(f->sock, p, bytes, NULL, 0);
        break;
    case CHUNK:
        send_chunk(f, spare, p, bytes);
        break;
    case SOURCE:
        send_source(f, spare, p, bytes);
        break;
    case RING:
        if (spare & 1) /* a position that cannot be */
            f->tail += spare * 4096ull + 1;
        push(f, p, bytes & ~7u);
        break;
    case COMMANDS:
        commit(f, p, bytes);
        break;
    case WAIT:         /* until the compiler has answered */
        if (spare & 1) /* as a program does whose host is in it */
            abx_session_kick(f->session);
        if (f->served)
            usleep(300);
        for (unsigned i = 0; !f->served && i < 5000 && step(f) && compiles(f->session); i++)
            usleep(20);
        break;
    case KINDS:
        break;
    }
    return step(f);
}

static void *serve(void *session)
{
    abx_session_serve(session);
    return NULL;
}

/* What the compiler still works on is the session's until it answers. */
static void finish(struct fuzzed *f)
{
    struct abx_session *session = f->session;
    if (f->served) {
        shutdown(f->sock, SHUT_RDWR);
        pthread_join(f->thread, NULL);
    } else
        abx_session_finish(session);
    for (unsigned i = 0; i < SETTLE_MS * 10 && atomic_load(&session->references) > 1; i++)
        usleep(100);
    bool left = session->in_flight || atomic_load(&session->exec_bytes) || session->ranges ||
                atomic_load(&session->references) > 1;
    abx_session_release(session);
    if (left || atomic_load(&host->memory_used)) {
        fprintf(stderr, "%llu bytes are left\n",
                (unsigned long long)atomic_load(&host->memory_used));
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzzed f = {0};
    int pair[2];
    if (!host)
        open_host();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return 0;
    f.sock = pair[0];
    struct abx_host_transport *transport;
    if (abx_host_transport_open(pair[1], -1, &transport) < 0 ||
            abx_session_create(host, transport, 0, &f.session) < 0) {
        close(f.sock);
        return 0;
    }
    f.doorbell = fcntl(((struct abx_host_socket *)transport)->doorbell, F_DUPFD_CLOEXEC, 3);
    f.served = size > 2 && (data[1] & SERVED) &&
               pthread_create(&f.thread, NULL, serve, f.session) == 0;
    bool alive = true;
    for (size_t at = 0; alive && at + 4 <= size;) {
        uint16_t bytes;
        memcpy(&bytes, data + at + 2, 2);
        if (bytes > size - at - 4)
            bytes = (uint16_t)(size - at - 4);
        alive = block(&f, data[at], data[at + 1], data + at + 4, bytes);
        at += 4u + bytes;
    }
    finish(&f);
    if (f.page)
        munmap(f.page, sizeof *f.page);
    if (f.arena)
        munmap(f.arena, CHUNK_BYTES);
    close(f.sock);
    close(f.doorbell);
    return 0;
}

#ifndef ABX_LIBFUZZER
/* ---- replay: good sessions, then mutations of them */

static uint64_t seed = FUZZ_SEED;

static uint32_t next(uint32_t below)
{
    return fuzz_random_below(&seed, below);
}

struct writer {
    uint8_t *at;
};

static void add_block(struct writer *w, uint8_t kind, uint8_t spare, const void *p, size_t bytes)
{
    uint16_t n = (uint16_t)bytes;
    w->at[0] = kind;
    w->at[1] = spare;
    memcpy(w->at + 2, &n, 2);
    memcpy(w->at + 4, p, bytes);
    w->at += bytes + 4;
}

static void add_hello(struct writer *w)
{
    struct abx_message_hello hello = {.type = ABX_MESSAGE_HELLO,
            .magic = ABX_WIRE_MAGIC,
            .version = ABX_WIRE_VERSION,
            .program = "fuzz"};
    add_block(w, HELLO, (next(4) ? 0 : SERVED) | (next(2) ? 4 : 0), &hello, sizeof hello);
}

static void add_chunks(struct writer *w)
{
    for (uint32_t id = 1; id < 3; id++) {
        struct abx_message_chunk m = {.type = ABX_MESSAGE_CHUNK,
                .chunk = id,
                .bytes = CHUNK_BYTES,
                .address = (uint64_t)id << 20};
        add_block(w, CHUNK, 0, &m, sizeof m);
    }
}

static void add_library(struct writer *w, uint32_t tag, abx_handle library, const char *source)
{
    struct {
        struct abx_message_compile message;
        struct abx_shader_options options;
        char source[64];
    } m = {{.type = ABX_MESSAGE_COMPILE, .tag = tag, .library = library}, {0}, ""};
    snprintf(m.source, sizeof m.source, "%s", source);
    m.message.bytes = sizeof m.options + strlen(source);
    add_block(w, SOURCE, 0, &m, sizeof m.message + m.message.bytes);
    add_block(w, WAIT, (uint8_t)next(2), "", 0);
}

static void add_ring(struct writer *w, struct abx_encoder *e, uint64_t *space)
{
    add_block(
            w, RING, next(40) ? 0 : (uint8_t)next(256), space, (size_t)(e->at - (uint8_t *)space));
    e->at = (uint8_t *)space;
}

static void add_pipelines(struct writer *w)
{
    uint64_t space[512];
    struct abx_encoder e = {.at = (uint8_t *)space, .end = (uint8_t *)space + sizeof space};
    struct abx_wire_constant constants[3] = {{.index = 0, .type = 33, .value_low = 7}};
    struct abx_wire_link links[4] = {{.object = HANDLE(VISIBLE), .kind = next(2)},
            {.object = HANDLE(LIBRARY_2), .kind = ABX_LINK_LIBRARY},
            {.object = HANDLE(VISIBLE), .kind = 1}, {.object = HANDLE(QUEUE), .kind = 0}};
    abx_encode_pipeline_create(&e, HANDLE(PIPELINE), HANDLE(LIBRARY), next(5) ? 0 : 3, 0, NULL);
    abx_encode_pipeline_create(
            &e, HANDLE(30), HANDLE(LIBRARY), next(6) ? 1 : next(4), next(4), constants);
    abx_encode_function_create(
            &e, HANDLE(KERNEL), HANDLE(LIBRARY), next(8) ? 1 : next(5), next(4), constants);
    abx_encode_function_create(
            &e, HANDLE(VISIBLE), HANDLE(LIBRARY_2), next(8) ? 2 : next(5), next(4), constants);
    abx_encode_pipeline_create_linked(
            &e, HANDLE(LINKED), HANDLE(next(9) ? KERNEL : VISIBLE), next(5), links);
    add_ring(w, &e, space);
    for (uint32_t i = 0; i < 3; i++) {
        struct abx_message_prepare m = {.type = ABX_MESSAGE_PREPARE,
                .tag = 10 + i,
                .pipeline = HANDLE(i ? LINKED : PIPELINE)};
        add_block(w, MESSAGE, 0, &m, sizeof m);
        if (next(2))
            add_block(w, WAIT, (uint8_t)next(2), "", 0);
    }
}

static void add_objects(struct writer *w)
{
    uint64_t space[512];
    struct abx_encoder e = {.at = (uint8_t *)space, .end = (uint8_t *)space + sizeof space};
    abx_encode_queue_create(&e, HANDLE(QUEUE), 0);
    abx_encode_buffer_create(&e, HANDLE(DATA), 2, 0, CHUNK_BYTES);
    abx_encode_icb_create(&e, HANDLE(ICB), 2, 8, 4096, 31, 0);
    abx_encode_event_create(&e, HANDLE(EVENT), 0);
    add_ring(w, &e, space);
}

static void add_commands(struct writer *w)
{
    _Alignas(8) uint8_t space[4096];
    struct abx_encoder e = {.at = space, .end = space + sizeof space};
    uint32_t groups[3] = {1 + next(4), 1, 1}, threads[3] = {1 + next(64), 1, 1};
    abx_encode_compute_begin(&e, next(2));
    abx_encode_set_pipeline(&e, HANDLE(next(3) ? PIPELINE : LINKED));
    abx_encode_set_buffer(&e, HANDLE(DATA), next(4096), 0);
    abx_encode_set_buffer(&e, HANDLE(DATA), next(4096), 3);
    abx_encode_set_threadgroup_memory(&e, 0, 16 * next(64));
    abx_encode_dispatch_threadgroups(&e, groups, threads);
    abx_encode_execute_icb(&e, HANDLE(ICB), next(8), next(4));
    abx_encode_encoder_end(&e);
    abx_encode_signal_event(&e, HANDLE(EVENT), next(8));
    add_block(w, COMMANDS, 0, space, (size_t)(e.at - space));
}

static void add_end(struct writer *w)
{
    uint64_t space[512];
    struct abx_encoder e = {.at = (uint8_t *)space, .end = (uint8_t *)space + sizeof space};
    static const uint32_t objects[] = {PIPELINE, LIBRARY, KERNEL, VISIBLE, LINKED, LIBRARY_2, 30};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(objects); i++)
        if (next(4))
            abx_encode_destroy(&e, HANDLE(objects[i]));
    add_ring(w, &e, space);
}

static size_t good_session(uint8_t *to)
{
    static const char *const sources[] = {"ok", "warn", "error", "nothing", "broken", "", "x"};
    struct writer w = {to};
    add_hello(&w);
    add_chunks(&w);
    add_objects(&w);
    add_library(&w, 1, HANDLE(LIBRARY), sources[next(4) ? 0 : next(7)]);
    add_library(&w, 2, next(4) ? HANDLE(LIBRARY_2) : 0, sources[next(3) ? 1 : next(7)]);
    for (unsigned i = 1 + next(2); i--;) {
        add_pipelines(&w);
        add_commands(&w);
        if (next(2))
            add_commands(&w);
        if (next(2))
            add_end(&w);
    }
    return (size_t)(w.at - to);
}

static void mutate(uint8_t *data, size_t size)
{
    static const uint64_t numbers[] = {0, 1, 7, 8, 255, 256, 4095, 4096, 65535, 65536, INT32_MAX,
            UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX - 7, 1ull << 40};
    for (unsigned i = next(4); i-- && size > 8;) {
        size_t at = next((uint32_t)size - 8);
        uint64_t number = numbers[next(ABX_ARRAY_SIZE(numbers))];
        if (next(2))
            data[at] ^= (uint8_t)(1u << next(8));
        else
            memcpy(data + at, &number, 1u << next(4));
    }
}

int main(int argc, char **argv)
{
    static uint8_t data[65536];
    const char *share = getenv("FUZZ_SHARE"); /* of the count: where each takes much longer */
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    count /= share && atoi(share) > 0 ? (unsigned long)atoi(share) : 1;
    for (unsigned i = 0; argc > 2 && i < 200; i++) { /* seeds for libFuzzer */
        char path[4096];
        snprintf(path, sizeof path, "%s/%u", argv[2], i);
        size_t size = good_session(data);
        if (abx_write_file(path, data, size) < 0)
            return 1;
    }
    for (unsigned long i = 0; i < count; i++) {
        size_t size = good_session(data);
        if (i % 4 == 1)
            mutate(data, size);
        for (unsigned k = i % 4; k > 1; k--)
            size = mutate_records(data, size, sizeof data, KINDS, 1u << COMMANDS | 1u << RING);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%lu sessions\n", count);
    return 0;
}
#endif
