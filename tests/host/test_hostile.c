/* Wrong calls: each fails its command buffer with the reason, the operation and the numbers, and
 * the client goes on. Records are encoded well; what they say is wrong. */
#include "guest.h"

#include <sys/mman.h>

#include "wire/limits.h"
#include "wire/reflection.h"

#define KERNEL HANDLE(11)
#define SHARING HANDLE(18) /* one with threadgroup memory */
#define SMALL HANDLE(3)    /* 64 bytes */
#define ODD HANDLE(7)      /* begins at an odd address */
#define FENCE HANDLE(4)
#define EVENT HANDLE(5)
#define ICB HANDLE(6)
#define SLOTS 4u
#define ICB_OFFSET (512u << 10) /* of the data chunk */
#define HUGE_OFFSET (UINT64_MAX - 15)

static struct guest g;
static struct abx_encoder *e;
static uint32_t one[3] = {1, 1, 1};

static void expect(
        const char *what, enum abx_reason reason, enum abx_op op, uint64_t value, uint64_t limit)
{
    struct abx_result r = guest_run(&g);
    if (r.error_reason != reason || r.error_op != op || r.error_value != value ||
            r.error_limit != limit || !r.error != !reason) {
        fprintf(stderr, "%s: error %u reason %u op %u value %#llx limit %#llx\n", what, r.error,
                r.error_reason, r.error_op, (unsigned long long)r.error_value,
                (unsigned long long)r.error_limit);
        exit(1);
    }
    /* And the next one works. */
    guest_begin(&g);
    abx_encode_blit_begin(&g.e);
    abx_encode_fill_buffer(&g.e, DATA, 0, 16, 7);
    abx_encode_encoder_end(&g.e);
    r = guest_run(&g);
    CHECK(r.error == 0);
}

static void compute(void)
{
    e = guest_begin(&g);
    abx_encode_compute_begin(e, 0);
}

static void dispatchable(void)
{
    compute();
    abx_encode_set_pipeline(e, KERNEL);
    abx_encode_set_buffer(e, DATA, 0, 0);
}

static void blit(void)
{
    e = guest_begin(&g);
    abx_encode_blit_begin(e);
}

static void end(void)
{
    abx_encode_encoder_end(e);
}

/* ---- handles */

static void check_handles(void)
{
    static const abx_handle forged[] = {
            HANDLE(999), HANDLE(ABX_MAX_HANDLES - 1), UINT64_MAX, 1, 1ull << 32, 7ull << 32 | 2};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(forged); i++) {
        compute();
        abx_encode_set_buffer(e, forged[i], 0, 0);
        end();
        expect("forged", ABX_REASON_HANDLE_UNKNOWN, ABX_OP_SET_BUFFER, forged[i], 0);
    }
    compute();
    abx_encode_set_buffer(e, KERNEL, 0, 0);
    end();
    expect("a pipeline as buffer", ABX_REASON_HANDLE_TYPE, ABX_OP_SET_BUFFER, KERNEL, 0);
    compute();
    abx_encode_set_pipeline(e, DATA);
    end();
    expect("a buffer as pipeline", ABX_REASON_HANDLE_TYPE, ABX_OP_SET_PIPELINE, DATA, 0);
    compute();
    abx_encode_set_pipeline(e, 0);
    end();
    expect("no pipeline", ABX_REASON_HANDLE_UNKNOWN, ABX_OP_SET_PIPELINE, 0, 0);
    blit();
    abx_encode_copy_buffer(e, DATA, 0, FENCE, 0, 16);
    end();
    expect("a fence as buffer", ABX_REASON_HANDLE_TYPE, ABX_OP_COPY_BUFFER, FENCE, 0);
    compute();
    abx_encode_update_fence(e, EVENT);
    end();
    expect("an event as fence", ABX_REASON_HANDLE_TYPE, ABX_OP_UPDATE_FENCE, EVENT, 0);
    e = guest_begin(&g);
    abx_encode_signal_event(e, FENCE, 1);
    expect("a fence as event", ABX_REASON_HANDLE_TYPE, ABX_OP_SIGNAL_EVENT, FENCE, 0);
    /* Use after release; the place taken again by another object. */
    GUEST_PUSH(&g, buffer_create, HANDLE(50), DATA_CHUNK, 0, 4096);
    GUEST_PUSH(&g, destroy, HANDLE(50));
    compute();
    abx_encode_use_resource(e, HANDLE(50), 1);
    end();
    expect("released", ABX_REASON_HANDLE_UNKNOWN, ABX_OP_USE_RESOURCE, HANDLE(50), 0);
    GUEST_PUSH(&g, buffer_create, 2ull << 32 | 50, DATA_CHUNK, 0, 4096);
    compute();
    abx_encode_use_resource(e, HANDLE(50), 1);
    end();
    expect("stale", ABX_REASON_HANDLE_UNKNOWN, ABX_OP_USE_RESOURCE, HANDLE(50), 0);
}

/* ---- ranges */

static void check_ranges(void)
{
    compute();
    abx_encode_set_buffer(e, DATA, DATA_BYTES + 1, 0);
    end();
    expect("offset past the end", ABX_REASON_RANGE, ABX_OP_SET_BUFFER, DATA_BYTES + 1, DATA_BYTES);
    compute();
    abx_encode_set_buffer(e, DATA, DATA_BYTES, 0);
    end();
    expect("offset at the end", ABX_REASON_NONE, 0, 0, 0);
    compute();
    abx_encode_set_buffer(e, SMALL, HUGE_OFFSET, 0);
    end();
    expect("huge offset", ABX_REASON_RANGE, ABX_OP_SET_BUFFER, HUGE_OFFSET, 64);
    compute();
    abx_encode_set_buffer(e, SMALL, 0, 31);
    end();
    expect("index 31", ABX_REASON_RANGE, ABX_OP_SET_BUFFER, 31, 30);
    compute();
    abx_encode_set_buffer(e, SMALL, 0, 3);
    abx_encode_set_buffer_offset(e, 65, 3);
    end();
    expect("later offset", ABX_REASON_RANGE, ABX_OP_SET_BUFFER_OFFSET, 65, 64);
    blit();
    abx_encode_copy_buffer(e, DATA, 0, SMALL, 0, 65);
    end();
    expect("copy past the end", ABX_REASON_RANGE, ABX_OP_COPY_BUFFER, 65, 64);
    blit();
    abx_encode_copy_buffer(e, SMALL, HUGE_OFFSET, DATA, 0, 32);
    end();
    expect("copy whose sum overflows", ABX_REASON_OVERFLOW, ABX_OP_COPY_BUFFER, HUGE_OFFSET, 64);
    blit();
    abx_encode_copy_buffer(e, SMALL, 16, DATA, 0, UINT64_MAX);
    end();
    expect("copy of everything", ABX_REASON_OVERFLOW, ABX_OP_COPY_BUFFER, 16, 64);
    blit();
    abx_encode_fill_buffer(e, SMALL, 60, 5, 1);
    end();
    expect("fill past the end", ABX_REASON_RANGE, ABX_OP_FILL_BUFFER, 65, 64);
    blit();
    abx_encode_fill_buffer(e, SMALL, 0, 4, 256);
    end();
    expect("fill value", ABX_REASON_RANGE, ABX_OP_FILL_BUFFER, 256, 255);
    dispatchable();
    abx_encode_dispatch_indirect(e, SMALL, 56, one);
    end();
    expect("indirect past the end", ABX_REASON_RANGE, ABX_OP_DISPATCH_INDIRECT, 68, 64);
    dispatchable();
    abx_encode_dispatch_indirect(e, SMALL, 2, one);
    end();
    expect("indirect unaligned", ABX_REASON_ALIGNMENT, ABX_OP_DISPATCH_INDIRECT, 2, 4);
    compute();
    abx_encode_sample_timestamp(e, SMALL, 64, 0);
    end();
    expect("sample past the end", ABX_REASON_RANGE, ABX_OP_SAMPLE_TIMESTAMP, 72, 64);
    compute();
    abx_encode_sample_timestamp(e, SMALL, HUGE_OFFSET + 8, 0);
    end();
    expect("huge sample", ABX_REASON_OVERFLOW, ABX_OP_SAMPLE_TIMESTAMP, HUGE_OFFSET + 8, 64);
    blit();
    abx_encode_sample_timestamp(e, SMALL, 4, 1);
    end();
    expect("sample unaligned", ABX_REASON_ALIGNMENT, ABX_OP_SAMPLE_TIMESTAMP, 4, 8);
    GUEST_PUSH(&g, buffer_create, ODD, DATA_CHUNK, 4097, 64);
    compute();
    abx_encode_sample_timestamp(e, ODD, 8, 1);
    end();
    if (g.welcome.operations & ABX_OPERATION_TIMESTAMP)
        expect("sample into an odd buffer", ABX_REASON_ALIGNMENT, ABX_OP_SAMPLE_TIMESTAMP, 4105, 8);
    else
        expect("no timestamps", ABX_REASON_UNSUPPORTED, ABX_OP_SAMPLE_TIMESTAMP, 0, 0);
}

/* ---- sizes */

static void check_sizes(void)
{
    uint32_t zero[3] = {1, 0, 1}, wide[3] = {1025, 1, 1}, cube[3] = {32, 32, 2};
    uint32_t many[3] = {UINT32_MAX, 1, 1}, two[3] = {2, 1, 1};
    uint32_t all[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    dispatchable();
    abx_encode_dispatch_threadgroups(e, zero, one);
    end();
    expect("empty grid", ABX_REASON_ZERO, ABX_OP_DISPATCH_THREADGROUPS, 0, 0);
    dispatchable();
    abx_encode_dispatch_threads(e, one, zero);
    end();
    expect("empty threadgroup", ABX_REASON_ZERO, ABX_OP_DISPATCH_THREADS, 0, 0);
    dispatchable();
    abx_encode_dispatch_threadgroups(e, one, wide);
    end();
    expect("wide threadgroup", ABX_REASON_RANGE, ABX_OP_DISPATCH_THREADGROUPS, 1025, 1024);
    dispatchable();
    abx_encode_dispatch_threadgroups(e, one, cube);
    end();
    expect("large threadgroup", ABX_REASON_RANGE, ABX_OP_DISPATCH_THREADGROUPS, 2048, 1024);
    dispatchable();
    abx_encode_dispatch_threadgroups(e, many, two);
    end();
    expect("grid over 32 bits", ABX_REASON_OVERFLOW, ABX_OP_DISPATCH_THREADGROUPS, UINT32_MAX,
            UINT32_MAX / 2);
    dispatchable();
    abx_encode_dispatch_threadgroups(e, all, one);
    end();
    struct abx_result r = guest_run(&g);
    CHECK(r.error_reason == ABX_REASON_OVERFLOW);
    dispatchable();
    abx_encode_set_pipeline(e, SHARING);
    abx_encode_set_threadgroup_memory(e, 0, 32768);
    abx_encode_set_threadgroup_memory(e, 1, 16);
    abx_encode_dispatch_threadgroups(e, one, one);
    end();
    expect("threadgroup memory", ABX_REASON_RANGE, ABX_OP_DISPATCH_THREADGROUPS, 32784, 32768);
    compute();
    abx_encode_set_threadgroup_memory(e, 0, 17);
    end();
    expect("threadgroup memory unaligned", ABX_REASON_ALIGNMENT, ABX_OP_SET_THREADGROUP_MEMORY, 17,
            16);
    compute();
    abx_encode_set_bytes(e, 0, 0, "");
    end();
    expect("no bytes", ABX_REASON_ZERO, ABX_OP_SET_BYTES, 0, 0);
}

/* ---- state */

static void check_state(void)
{
    compute();
    abx_encode_dispatch_threadgroups(e, one, one);
    end();
    expect("no pipeline set", ABX_REASON_STATE, ABX_OP_DISPATCH_THREADGROUPS, 0, 0);
    e = guest_begin(&g);
    abx_encode_set_buffer(e, DATA, 0, 0);
    expect("outside an encoder", ABX_REASON_STATE, ABX_OP_SET_BUFFER, ABX_CONTEXT_NONE,
            ABX_CONTEXT_COMPUTE);
    blit();
    abx_encode_set_pipeline(e, KERNEL);
    end();
    expect("in a blit encoder", ABX_REASON_STATE, ABX_OP_SET_PIPELINE, ABX_CONTEXT_BLIT,
            ABX_CONTEXT_COMPUTE);
    compute();
    expect("encoder left open", ABX_REASON_STATE, ABX_OP_COMPUTE_BEGIN, ABX_CONTEXT_COMPUTE, 0);
    compute();
    abx_encode_set_buffer_offset(e, 0, 5);
    end();
    expect("offset of nothing", ABX_REASON_NONE, 0, 0, 0);
    compute();
    abx_encode_compute_begin(e, 0);
    end();
    expect("encoder in encoder", ABX_REASON_STATE, ABX_OP_COMPUTE_BEGIN, ABX_CONTEXT_COMPUTE, 0);
    /* Bindings do not outlive their encoder. */
    dispatchable();
    end();
    abx_encode_compute_begin(e, 0);
    abx_encode_dispatch_threadgroups(e, one, one);
    end();
    expect("pipeline of the last encoder", ABX_REASON_STATE, ABX_OP_DISPATCH_THREADGROUPS, 0, 0);
}

/* ---- indirect command buffers: the slots are guest memory */

static struct abx_icb_slot *slot(unsigned i)
{
    struct abx_icb_slot *s = (struct abx_icb_slot *)(g.data + ICB_OFFSET) + i;
    memset(s, 0, sizeof *s);
    *s = (struct abx_icb_slot){
            .pipeline = KERNEL, .kind = 1, .grid = {1, 1, 1}, .threadgroup = {1, 1, 1}, .bound = 1};
    s->buffers[0].buffer = DATA;
    return s;
}

static void execute(uint32_t first, uint32_t count)
{
    compute();
    abx_encode_execute_icb(e, ICB, first, count);
    end();
}

static void check_icb(void)
{
    for (unsigned i = 0; i < SLOTS; i++)
        slot(i);
    execute(0, SLOTS);
    struct abx_result r = guest_run(&g);
    CHECK(r.error == 0 && r.kernels == SLOTS);
    execute(2, SLOTS);
    expect("slots past the end", ABX_REASON_RANGE, ABX_OP_EXECUTE_ICB, SLOTS + 2, SLOTS);
    execute(UINT32_MAX, 2);
    expect("slots whose sum overflows", ABX_REASON_RANGE, ABX_OP_EXECUTE_ICB, UINT32_MAX + 2ull,
            SLOTS);
    slot(1)->kind = 77;
    execute(0, 2);
    expect("kind", ABX_REASON_ENUM, ABX_OP_EXECUTE_ICB, 77, 2);
    slot(1)->pipeline = DATA;
    execute(0, 2);
    expect("pipeline", ABX_REASON_HANDLE_TYPE, ABX_OP_EXECUTE_ICB, DATA, 0);
    slot(1)->buffers[0].buffer = HANDLE(12345);
    execute(1, 1);
    expect("buffer", ABX_REASON_HANDLE_UNKNOWN, ABX_OP_EXECUTE_ICB, HANDLE(12345), 0);
    slot(1)->buffers[0].offset = UINT64_MAX;
    execute(1, 1);
    expect("offset", ABX_REASON_RANGE, ABX_OP_EXECUTE_ICB, UINT64_MAX, DATA_BYTES);
    slot(1)->bound = UINT32_MAX;
    execute(1, 1);
    expect("index", ABX_REASON_HANDLE_UNKNOWN, ABX_OP_EXECUTE_ICB, 0, 0);
    slot(1)->threadgroup[2] = 0;
    execute(1, 1);
    expect("zero", ABX_REASON_ZERO, ABX_OP_EXECUTE_ICB, 0, 0);
    slot(1)->threadgroup_bytes[7] = 40;
    execute(1, 1);
    expect("threadgroup bytes", ABX_REASON_ALIGNMENT, ABX_OP_EXECUTE_ICB, 40, 16);
}

static void setup(const char *path)
{
    static const char source[] = "#include <metal_stdlib>\n"
                                 "kernel void k(device uint *x [[buffer(0)]]) { x[0] += 1; }\n"
                                 "kernel void shares(device uint *x, threadgroup uint *a,\n"
                                 "        threadgroup uint *b) { a[0] = b[0] = 1; x[0] = a[0]; }\n";
    guest_open(&g, path);
    CHECK(guest_compile(&g, source, HANDLE(10)) == 0);
    guest_pipeline(&g, "k", HANDLE(10), KERNEL);
    guest_pipeline(&g, "shares", HANDLE(10), SHARING);
    GUEST_PUSH(&g, buffer_create, SMALL, DATA_CHUNK, 4096, 64);
    GUEST_PUSH(&g, fence_create, FENCE);
    GUEST_PUSH(&g, event_create, EVENT, 0);
    GUEST_PUSH(&g, icb_create, ICB, DATA_CHUNK, SLOTS, ICB_OFFSET, 31, 0);
}

/* ---- library operations: null has none, cpu has those that its libraries do */

/* r.rows, columns, inner and batch; one of the places or strides is wrong. */
static void multiply(const char *what, enum abx_reason reason, uint64_t value, uint64_t limit,
        const struct abx_rec_matrix_multiply *r)
{
    bool there = g.welcome.operations & ABX_OPERATION_MATRIX_MULTIPLY;
    compute();
    abx_encode_matrix_multiply(e, r->left, r->right, r->result, r->left_offset, r->right_offset,
            r->result_offset, r->left_matrix, r->right_matrix, r->result_matrix, r->alpha, r->beta,
            r->left_row, r->right_row, r->result_row, r->rows, r->columns, r->inner, r->batch,
            r->left_type, r->right_type, r->result_type, r->transposed);
    end();
    bool early = reason == ABX_REASON_ZERO || limit == 3; /* the decoder's own */
    enum abx_reason wanted = there || early ? reason : ABX_REASON_UNSUPPORTED;
    if (wanted == ABX_REASON_NONE)
        expect(what, wanted, 0, 0, 0);
    else
        expect(what, wanted, ABX_OP_MATRIX_MULTIPLY, wanted == reason ? value : 0,
                wanted == reason ? limit : 0);
}

static void check_operations(void)
{
    /* 8 x 8 x 8 of floats, twice. */
    const struct abx_rec_matrix_multiply good = {.left = DATA,
            .right = DATA,
            .result = DATA,
            .result_offset = 65536,
            .left_matrix = 256,
            .right_matrix = 256,
            .result_matrix = 256,
            .left_row = 32,
            .right_row = 32,
            .result_row = 32,
            .rows = 8,
            .columns = 8,
            .inner = 8,
            .batch = 2,
            .left_type = 1,
            .right_type = 1,
            .result_type = 1};
    struct abx_rec_matrix_multiply r = good;
    multiply("product", ABX_REASON_NONE, 0, 0, &r);
    r.result_offset = DATA_BYTES - 511;
    multiply("result past the end", ABX_REASON_RANGE, DATA_BYTES + 1, DATA_BYTES, &r);
    r = good, r.left = SMALL;
    multiply("left past the end", ABX_REASON_RANGE, 512, 64, &r);
    r = good, r.right_offset = UINT64_MAX - 3;
    multiply("offset that overflows", ABX_REASON_OVERFLOW, UINT64_MAX - 3, DATA_BYTES, &r);
    r = good, r.left_matrix = 1ull << 63, r.batch = 3;
    multiply("batch that overflows", ABX_REASON_OVERFLOW, 0, DATA_BYTES, &r);
    r = good, r.rows = UINT32_MAX, r.left_row = UINT32_MAX - 3;
    multiply("rows past the end", ABX_REASON_RANGE,
            (uint64_t)(UINT32_MAX - 1) * (UINT32_MAX - 3) + 256 + 32, DATA_BYTES, &r);
    r = good, r.right_row = 28;
    multiply("rows that overlap", ABX_REASON_RANGE, 32, 28, &r);
    r = good, r.left_offset = 2;
    multiply("left unaligned", ABX_REASON_ALIGNMENT, 2, 4, &r);
    r = good, r.result_row = 34;
    multiply("row unaligned", ABX_REASON_ALIGNMENT, 65536, 4, &r);
    r = good, r.left_type = 4;
    multiply("no such type", ABX_REASON_RANGE, 4, 3, &r);
    r = good, r.inner = 0;
    multiply("nothing inside", ABX_REASON_ZERO, 0, 0, &r);
}

/* ---- questions about memory, of any handle, while it is being imported or after it is gone */

static void check_addresses(void)
{
    uint64_t address, again;
    CHECK(guest_address(&g, DATA, &address) == 0 && address);
    CHECK(guest_address(&g, DATA, &again) == 0 && again == address);
    if (!g.welcome.asks_addresses) /* as it can know by itself */
        CHECK(address - g.welcome.window < g.welcome.window_bytes);
    CHECK(guest_address(&g, 0, &address) == -ENOENT);
    CHECK(guest_address(&g, QUEUE, &address) == -ENOENT);
    CHECK(guest_address(&g, HANDLE(77777), &address) == -ENOENT);
    for (uint32_t turn = 0; turn < 20; turn++) {
        uint64_t place = (1ull << 33) + turn * (1u << 20);
        munmap(guest_chunk(&g, 100, 1u << 16, place), 1u << 16);
        GUEST_PUSH(&g, buffer_create, HANDLE(500), 100, 16, 64);
        if (turn % 2)
            CHECK(guest_address(&g, HANDLE(500), &address) == 0 && address % 4096 == 16);
        GUEST_PUSH(&g, destroy, HANDLE(500));
        GUEST_PUSH(&g, chunk_free, 100);
        CHECK(guest_address(&g, HANDLE(500), &address) == -ENOENT);
    }
}

/* test_hostile [BACKEND...] */
static struct abx_control *control;
static const char *backend;

static void start(void)
{
    struct abx_control_tenant tenant;
    control = daemon_start();
    daemon_tenant(control, backend, backend, NULL, &tenant);
    setup(tenant.socket);
}

static void stop(void)
{
    CHECK(atomic_load(&g.host->lost) == 0);
    guest_close(&g);
    daemon_stop(control);
}

/* Arguments: backends, instead of null and cpu. */
int main(int argc, char **argv)
{
    static const char *const usual[] = {"null", "cpu", NULL};
    const struct check_case cases[] = {
            CASE(check_handles),
            CASE(check_ranges),
            CASE(check_sizes),
            CASE(check_state),
            CASE(check_icb),
            CASE(check_operations),
            CASE(check_addresses),
    };
    int failed = 0;
    for (const char *const *b = argc > 1 ? (const char *const *)argv + 1 : usual; *b; b++) {
        backend = *b;
        puts(backend);
        failed |= check_run(
                0, NULL, CHECK_SUITE(cases, .seconds = 60, .before = start, .after = stop));
    }
    return failed;
}
