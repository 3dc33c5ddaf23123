/* Fuzzes the whole host side below the socket: streams through the ring, arenas and messages, into
 * the null backend, or into the cpu backend (FUZZ_CPU) or the cuda backend over a driver that is
 * made up (FUZZ_CUDA: its folder), behind a wall that fails as the input says.
 * With libFuzzer (-Dfuzzers=true) it searches; as an ordinary test it replays good streams and
 * mutations of them, made from a fixed seed:
 *     fuzz_host_null [COUNT [folder to write seeds to]]
 *
 * Input: blocks of {u8 kind, u8 spare, u16 bytes, payload}; commands with an odd spare are given
 * time to run. After each run nothing may be left: no memory charged, no submission with the
 * backend. */
#include "encode_gen.h"
#include "fuzz_records.h"
#include "host/session/internal.h"
#include "shader/abi/nvptx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define ARENA_BYTES 65536u
#define DATA_BYTES 65536u
#define HANDLE(n) (1ull << 32 | (n))
enum { QUEUE = 1, DATA, PRIVATE, FENCE, EVENT, ICB, PIPELINE, QUEUE_2, LATE };
enum block_kind { COMMANDS, RING, MESSAGE, EVENT_WORD, FAILURES, SHARED, KINDS };
RECORDS_MUTATOR(KINDS, 1u << COMMANDS | 1u << RING);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- a backend that fails when the input says so */

static uint32_t failures; /* bit n: the n-th call from now on fails */
static unsigned long submitted;

static bool fails(void)
{
    bool f = failures & 1;
    failures >>= 1;
    return f;
}

#if defined FUZZ_CPU
#define REAL abx_backend_cpu
#elif defined FUZZ_CUDA
#define REAL abx_backend_cuda
/* In the place of src/backend/cuda/library.c. */
const char *const abx_cuda_library = FUZZ_CUDA;
const char *const abx_cuda_matrix_libraries[] = {NULL};
const char *const abx_cuda_control_file = "/dev/null";
#else
#define REAL abx_backend_null
#endif

static int wall_import(struct abx_device *d, void *address, uint64_t bytes,
        void (*done)(void *user, int error), void *user, struct abx_device_memory **ret)
{
    return fails() ? -ENOMEM : REAL.memory->import(d, address, bytes, done, user, ret);
}

static int wall_private(
        struct abx_device *d, void *place, uint64_t bytes, struct abx_device_memory **ret)
{
    return fails() ? -ENOMEM : REAL.memory->create_private(d, place, bytes, ret);
}

static int wall_queue(struct abx_device *d, struct abx_queue **ret)
{
    return fails() ? -ENOMEM : REAL.queue->create(d, ret);
}

/* Some submissions end in an error that no validation could foresee. */
static void wall_submit(struct abx_queue *queue, struct abx_submission *s)
{
    submitted += s->bytes > 0;
    if (fails()) {
        s->result = (struct abx_exec_result){.error = ABX_EXEC_OUT_OF_MEMORY,
                .source = 1,
                .text = "injected",
                .start_ns = 1,
                .end_ns = 2};
        s->done(s, &s->result);
    } else
        REAL.queue->submit(queue, s);
}

/* The one pipeline is every client's. */
static void wall_keep(struct abx_pipeline *pipeline) {}

static struct abx_pipeline_ops wall_pipeline_ops;
static struct abx_memory_ops wall_memory_ops;
static struct abx_queue_ops wall_queue_ops;
static struct abx_backend wall;
static struct abx_host *host;
static struct abx_pipeline *pipeline_code;

#if defined FUZZ_CPU
/* A kernel that reaches no memory: what it would be given is whatever the input bound. */
static void make_pipeline(void)
{
    static const char source[] =
            "#include <metal_stdlib>\nusing namespace metal;\n"
            "kernel void k(device uint *a [[buffer(0)]], constant uint *b [[buffer(3)]],\n"
            "  threadgroup uint *t [[threadgroup(0)]], uint i [[thread_index_in_threadgroup]]) {\n"
            "  if (a == (device uint *)1) a[0] = b[0] + t[i];\n}\n";
    struct abx_shader_options options = {0};
    struct abx_shader_tools tools;
    struct abx_shader_result library, object;
    char *message;
    if (abx_shader_locate(&tools, &message) < 0 ||
            abx_shader_compile(&tools, source, sizeof source - 1, &options, "", &library) < 0 ||
            abx_shader_specialize(NULL, ABX_TARGET_HOST, library.blob, library.blob_bytes, 0, NULL,
                    0, &object) < 0 ||
            REAL.pipeline->create(host->device, object.blob, object.blob_bytes, &pipeline_code) <
                    0) {
        fprintf(stderr, "no pipeline\n");
        exit(1);
    }
    free(library.blob);
    free(library.message);
    free(object.blob);
    free(object.message);
}
#else
/* A kernel that does nothing, as all of that driver's; the null backend takes any. */
static void make_pipeline(void)
{
    static const struct {
        struct abx_code code;
        struct abx_ptx info;
        char text[16];
    } blob = {.code = {.magic = ABX_CODE_MAGIC,
                      .version = ABX_CODE_VERSION,
                      .target = ABX_TARGET_NVPTX,
                      .max_threads = 1024,
                      .body_offset = sizeof blob.code,
                      .body_bytes = sizeof blob - sizeof blob.code},
            .info = {.buffer_count = 2,
                    .threadgroup_count = 1,
                    .parameter_bytes = sizeof(struct abx_ptx_dispatch) + 2 * 8 + 4,
                    .buffers = {0, 3},
                    .ptx_offset = sizeof blob.info,
                    .ptx_bytes = sizeof blob.text,
                    .entry = ABX_PTX_ENTRY "_made_up"},
            .text = ".version 7.0"};
    if (REAL.pipeline->create(host->device, &blob, sizeof blob, &pipeline_code) < 0) {
        fprintf(stderr, "no pipeline\n");
        exit(1);
    }
}
#endif

static void open_host(void)
{
    struct abx_host_config config = {.backend = &wall, .tenant = "fuzz", .compiler = -1};
    wall_memory_ops = *REAL.memory;
    wall_memory_ops.import = wall_import;
    wall_memory_ops.create_private = wall_private;
    wall_pipeline_ops = *REAL.pipeline;
    wall_pipeline_ops.destroy = wall_keep;
    wall_queue_ops = *REAL.queue;
    wall_queue_ops.create = wall_queue;
    wall_queue_ops.submit = wall_submit;
    wall = REAL;
    wall.memory = &wall_memory_ops;
    wall.pipeline = &wall_pipeline_ops;
    wall.queue = &wall_queue_ops;
    config.limits.memory_bytes = 64 << 20;
    config.limits.threads = 1;
    abx_control_default_limits(&config.limits);
    if (abx_host_open(&config, &host) < 0)
        abort();
    host->quiet = !getenv("FUZZ_LOG"); /* a line for each stream that ends its client */
    make_pipeline();
}

/* ---- one client */

struct fuzzed {
    struct abx_session *session;
    struct abx_guest_page *page;
    int sock;
    uint64_t tail, sequence;
    uint32_t result;
    uint8_t *arena, *data;
};

static void send_chunk(struct fuzzed *f, uint32_t id, uint64_t bytes, uint64_t address, void **ret)
{
    struct abx_message_chunk m = {
            .type = ABX_MESSAGE_CHUNK, .chunk = id, .bytes = bytes, .address = address};
    int fd = abx_memfd_create("chunk", bytes);
    if (ret)
        *ret = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    abx_sock_send(f->sock, &m, sizeof m, &fd, 1);
    close(fd);
}

static void push(struct fuzzed *f, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        f->page->ring[(f->tail + i) % ABX_RING_BYTES] = ((const uint8_t *)bytes)[i];
    f->tail += length;
    atomic_store(&f->page->ring_tail, f->tail);
}

#define PUSH(f, name, ...)                                                                         \
    do {                                                                                           \
        uint64_t space_[64];                                                                       \
        struct abx_encoder e_ = {                                                                  \
                .at = (uint8_t *)space_, .end = (uint8_t *)space_ + sizeof space_};                \
        abx_encode_##name(&e_, __VA_ARGS__);                                                       \
        push(f, space_, (size_t)(e_.at - (uint8_t *)space_));                                      \
    } while (0)

/* Pipelines come from a compiler; here they are simply put into the table. */
static void add_pipeline(struct fuzzed *f, abx_handle handle, int state)
{
    struct abx_pipeline_object *p =
            abx_object_create(f->session, handle, ABX_CLASS_PIPELINE, sizeof *p);
    if (!p)
        return;
    p->state = state;
    p->buffers_used = 9;
    p->binding_count = 4;
    p->max_threads = p->device_threads = 1024;
    p->backend = state == ABX_PIPELINE_READY ? pipeline_code : NULL;
}

static bool connect_client(struct fuzzed *f)
{
    int pair[2];
    memset(f, 0, sizeof *f);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    f->sock = pair[0];
    struct abx_host_transport *transport;
    if (abx_host_transport_open(pair[1], -1, &transport) < 0 ||
            abx_session_create(host, transport, 0, &f->session) < 0) {
        close(pair[0]);
        return false;
    }
    int fd = abx_memfd_create("guest", sizeof *f->page);
    f->page = mmap(NULL, sizeof *f->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct abx_message_hello hello = {.type = ABX_MESSAGE_HELLO,
            .magic = ABX_WIRE_MAGIC,
            .version = ABX_WIRE_VERSION,
            .program = "fuzz"};
    abx_sock_send(f->sock, &hello, sizeof hello, &fd, 1);
    close(fd);
    send_chunk(f, 1, ARENA_BYTES, 1 << 20, (void **)&f->arena);
    send_chunk(f, 2, DATA_BYTES, 2 << 20, (void **)&f->data);
    PUSH(f, queue_create, HANDLE(QUEUE), 0);
    PUSH(f, buffer_create, HANDLE(DATA), 2, 0, DATA_BYTES);
    PUSH(f, buffer_create_private, HANDLE(PRIVATE), 4 << 20, 8192);
    PUSH(f, fence_create, HANDLE(FENCE));
    PUSH(f, event_create, HANDLE(EVENT), 0);
    PUSH(f, icb_create, HANDLE(ICB), 2, 8, 4096, 31, 0);
    PUSH(f, queue_create, HANDLE(QUEUE_2), 1);
    if (!abx_session_step(f->session))
        return true;
    add_pipeline(f, HANDLE(PIPELINE), ABX_PIPELINE_READY);
    add_pipeline(f, HANDLE(LATE), ABX_PIPELINE_FAILED);
    return true;
}

static void block(struct fuzzed *f, uint8_t kind, uint8_t spare, const uint8_t *p, uint16_t bytes)
{
    union abx_message reply;
    switch ((enum block_kind)(kind % KINDS)) {
    case COMMANDS: {
        struct abx_wire_segment segment = {1, bytes & ~7u, 0};
        memcpy(f->arena, p, bytes);
        PUSH(f, commit, HANDLE(QUEUE), ++f->sequence, f->result++ % ABX_MAX_RESULTS, 1, &segment);
        break;
    }
    case RING:
        push(f, p, bytes & ~7u);
        break;
    case MESSAGE: {
        int fd = spare & 1 ? abx_memfd_create("x", (uint64_t)(spare >> 1) * 4096 + 8) : -1;
        abx_sock_send(f->sock, p, bytes, &fd, fd >= 0);
        if (fd >= 0)
            close(fd);
        break;
    }
    case EVENT_WORD:
        atomic_store(&f->page->events[0], spare);
        PUSH(f, event_set, HANDLE(EVENT));
        break;
    case SHARED: /* the data, in which an indirect command buffer lies */
        if (bytes <= DATA_BYTES - spare * 256u)
            memcpy(f->data + spare * 256u, p, bytes);
        break;
    case FAILURES:
        failures = spare * 0x01010101u;
        break;
    case KINDS:
        break;
    }
    while (recv(f->sock, &reply, sizeof reply, MSG_DONTWAIT) > 0)
        ;
}

/* What the backend has is over, or waits for something that may never come. */
static void let_run(const struct fuzzed *f)
{
    for (int i = 0; i < 20; i++) {
        pthread_mutex_lock(&f->session->pool_lock);
        bool more = f->session->in_flight;
        pthread_mutex_unlock(&f->session->pool_lock);
        if (!more)
            return;
        usleep(100);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzzed f;
    if (!host)
        open_host();
    failures = 0;
    if (!connect_client(&f))
        return 0;
    bool alive = true;
    for (size_t at = 0; alive && at + 4 <= size;) {
        uint16_t bytes;
        memcpy(&bytes, data + at + 2, 2);
        if (bytes > size - at - 4)
            bytes = (uint16_t)(size - at - 4);
        block(&f, data[at], data[at + 1], data + at + 4, bytes);
        alive = abx_session_step(f.session);
        if (data[at] % KINDS == COMMANDS && data[at + 1] & 1)
            let_run(&f);
        at += 4u + bytes;
    }
    abx_session_finish(f.session);
    if (f.session->in_flight || atomic_load(&host->memory_used) ||
            atomic_load(&host->device_used) || atomic_load(&host->mappings) ||
            atomic_load(&f.session->exec_bytes) || f.session->ranges)
        abort();
    abx_session_release(f.session);
    munmap(f.page, sizeof *f.page);
    munmap(f.arena, ARENA_BYTES);
    munmap(f.data, DATA_BYTES);
    close(f.sock);
    return 0;
}

#ifndef ABX_LIBFUZZER
/* ---- replay: good streams, then mutations of them */

static uint64_t seed = FUZZ_SEED;

static uint32_t next(void)
{
    return fuzz_random(&seed);
}

static size_t add_block(uint8_t *to, uint8_t kind, uint8_t spare, const void *p, size_t bytes)
{
    uint16_t n = (uint16_t)bytes;
    to[0] = kind;
    to[1] = spare;
    memcpy(to + 2, &n, 2);
    memcpy(to + 4, p, bytes);
    return bytes + 4;
}

static size_t good_commands(uint8_t *to)
{
    _Alignas(8) uint8_t space[8192];
    struct abx_encoder enc = {.at = space, .end = space + sizeof space}, *e = &enc;
    uint32_t groups[3] = {1 + next() % 4, 1, 1}, threads[3] = {1 + next() % 64, 1, 1};
    uint8_t bytes[64] = {1};
    abx_encode_compute_begin(e, next() % 2);
    abx_encode_set_pipeline(e, HANDLE(next() % 8 ? PIPELINE : LATE));
    abx_encode_set_buffer(e, HANDLE(DATA + next() % 2), next() % 4096, next() % 5);
    abx_encode_set_bytes(e, 3, 1 + next() % 64, bytes);
    abx_encode_set_threadgroup_memory(e, 0, 16 * (next() % 64));
    abx_encode_use_resource(e, HANDLE(PRIVATE), 3);
    abx_encode_dispatch_threadgroups(e, groups, threads);
    abx_encode_memory_barrier(e, 1);
    abx_encode_set_log(e, next() % 2 ? HANDLE(DATA) : 0);
    abx_encode_dispatch_threads(e, groups, threads);
    abx_encode_set_buffer_offset(e, next() % 4096, 0);
    if (next() % 2)
        abx_encode_dispatch_indirect(e, HANDLE(PRIVATE), 4 * (next() % 16), threads);
    if (next() % 4 == 0)
        abx_encode_execute_icb(e, HANDLE(ICB), next() % 6, next() % 4);
    if (next() % 4 == 0)
        abx_encode_execute_icb_range(e, HANDLE(ICB), HANDLE(DATA), 4 * (next() % 1024));
    abx_encode_update_fence(e, HANDLE(FENCE));
    abx_encode_encoder_end(e);
    abx_encode_blit_begin(e);
    abx_encode_wait_fence(e, HANDLE(FENCE));
    abx_encode_copy_buffer(e, HANDLE(PRIVATE), next() % 4096, HANDLE(DATA), next() % 4096, 64);
    abx_encode_fill_buffer(e, HANDLE(DATA), 4096, next() % 8192, 0);
    if (next() % 4 == 0) /* the null backend has none */
        abx_encode_sample_timestamp(e, HANDLE(DATA), next() % 1024 * 8, next() % 2);
    if (next() % 4 == 0)
        abx_encode_copy_icb(e, HANDLE(ICB), HANDLE(ICB), next() % 6, next() % 4, next() % 6);
    if (next() % 4 == 0)
        abx_encode_reset_icb(e, HANDLE(ICB), next() % 6, next() % 4);
    abx_encode_encoder_end(e);
    abx_encode_signal_event(e, HANDLE(EVENT), next() % 8);
    abx_encode_wait_event(e, HANDLE(EVENT), next() % 8);
    return add_block(to, COMMANDS, (uint8_t)next(), space, (size_t)(e->at - space));
}

static size_t good_ring(uint8_t *to)
{
    _Alignas(8) uint8_t space[1024];
    struct abx_encoder enc = {.at = space, .end = space + sizeof space}, *e = &enc;
    abx_encode_buffer_create(e, HANDLE(100), 2, next() % 4096, 1 + next() % 4096);
    abx_encode_fence_create(e, HANDLE(101));
    abx_encode_destroy(e, HANDLE(100));
    abx_encode_buffer_create_private(e, HANDLE(102), 16 << 20, 4096 * (1 + next() % 8));
    abx_encode_destroy(e, HANDLE(next() % 2 ? 101 : QUEUE_2));
    abx_encode_chunk_free(e, 2);
    return add_block(to, RING, 0, space, (size_t)(e->at - space));
}

static size_t good_mirror(uint8_t *to)
{
    _Alignas(8) uint8_t space[2048];
    struct abx_encoder enc = {.at = space, .end = space + sizeof space}, *e = &enc;
    if (next() % 2)
        abx_encode_chunk_mirror(e, 2, next() % 2);
    for (unsigned i = next() % 40; i--;)
        abx_encode_chunk_written(e, 2, next() % 61440, 1 + next() % 4096);
    if (next() % 4 == 0)
        abx_encode_chunk_exposed(e, 2);
    if (next() % 2)
        abx_encode_chunk_seen(e, 2);
    return add_block(to, RING, 0, space, (size_t)(e->at - space));
}

static size_t good_message(uint8_t *to)
{
    struct abx_message_chunk chunk = {.type = ABX_MESSAGE_CHUNK,
            .chunk = 3 + next() % 8,
            .bytes = 4096,
            .address = (8u << 20) + 4096 * (next() % 64)};
    struct abx_message_prepare prepare = {
            .type = ABX_MESSAGE_PREPARE, .tag = 1, .pipeline = HANDLE(next() % 12)};
    struct abx_message_compile compile = {
            .type = ABX_MESSAGE_COMPILE, .tag = 2, .library = HANDLE(40), .bytes = 8};
    switch (next() % 3) {
    case 0:
        return add_block(to, MESSAGE, 3, &chunk, sizeof chunk);
    case 1:
        return add_block(to, MESSAGE, 0, &prepare, sizeof prepare);
    default:
        return add_block(to, MESSAGE, 1, &compile, sizeof compile);
    }
}

/* Slots of the indirect command buffer: it begins at 4096. */
static size_t good_slots(uint8_t *to)
{
    struct abx_icb_slot slots[3] = {0};
    for (unsigned i = 0; i < 3; i++) {
        slots[i].pipeline = HANDLE(next() % 4 ? PIPELINE : next() % 12);
        slots[i].kind = next() % 16 ? next() % 3 : 3;
        slots[i].barrier = next() % 2;
        for (unsigned k = 0; k < 3; k++)
            slots[i].grid[k] = slots[i].threadgroup[k] = 1 + next() % 4;
        slots[i].bound = 9;
        slots[i].buffers[0].buffer = HANDLE(next() % 8 ? DATA : next() % 12);
        slots[i].buffers[3].buffer = HANDLE(DATA);
        slots[i].buffers[3].offset = next() % 8 ? 0 : next();
        slots[i].threadgroup_bytes[0] = next() % 8 ? 64 : 9;
    }
    return add_block(to, SHARED, 16, slots, sizeof slots);
}

static size_t stream(uint8_t *to)
{
    size_t n = next() % 2 ? good_slots(to) : 0;
    for (unsigned i = 1 + next() % 8; i--;)
        switch (next() % 8) {
        case 0:
            n += good_ring(to + n);
            break;
        case 1:
            n += good_message(to + n);
            break;
        case 2:
            n += add_block(to + n, EVENT_WORD, (uint8_t)next(), "", 0);
            break;
        case 3:
            n += add_block(to + n, FAILURES, (uint8_t)next(), "", 0);
            break;
        case 4:
        case 5:
            n += good_mirror(to + n);
            break;
        default:
            n += good_commands(to + n);
            break;
        }
    return n;
}

static void mutate(uint8_t *data, size_t size)
{
    static const uint64_t numbers[] = {0, 1, 7, 8, 255, 256, 4095, 4096, 65535, 65536, INT32_MAX,
            UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX - 7, 1ull << 40};
    for (unsigned i = next() % 4; i-- && size > 8;) {
        size_t at = next() % (size - 8);
        uint64_t number = numbers[next() % ABX_ARRAY_SIZE(numbers)];
        if (next() % 2)
            data[at] ^= (uint8_t)(1u << next() % 8);
        else
            memcpy(data + at, &number, 1u << next() % 4);
    }
}

int main(int argc, char **argv)
{
    static uint8_t data[65536];
    for (unsigned i = 0; argc > 2 && i < 200; i++) { /* seeds for libFuzzer */
        char path[4096];
        snprintf(path, sizeof path, "%s/%u", argv[2], i);
        FILE *file = fopen(path, "w");
        size_t size = stream(data);
        if (!file || fwrite(data, 1, size, file) != size || fclose(file))
            return 1;
    }
    const char *share = getenv("FUZZ_SHARE"); /* of the count: where each takes much longer */
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    count /= share && atoi(share) > 0 ? (unsigned long)atoi(share) : 1;
    for (unsigned long i = 0; i < count; i++) {
        size_t size = stream(data);
        unsigned changes = next() % 3; /* none, fields and sizes, or records too */
        if (changes)
            mutate(data, size);
        for (unsigned k = changes > 1 ? 1 + next() % 3 : 0; k--;)
            size = mutate_records(data, size, sizeof data, KINDS, 1u << COMMANDS | 1u << RING);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%lu streams, %lu command buffers for the backend\n", count, submitted);
    return count >= 100 && submitted < count / 10; /* else what is to be reached is not */
}
#endif
