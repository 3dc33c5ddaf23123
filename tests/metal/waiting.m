/* Threads that wait for each other through memory: SIMD-groups of one threadgroup, and threadgroups
 * that a GPU holds at once. Every kernel runs in several shapes and ends, with the right values. */
#include "program.h"

static NSString *const source = @""
    "#include <metal_stdlib>\n"
    "using namespace metal;\n"
    /* Each SIMD-group waits for the one after it, so that the last has to run first. */
    "kernel void chain(device atomic_uint *flag [[buffer(0)]], device uint *out [[buffer(1)]],\n"
    "    uint s [[simdgroup_index_in_threadgroup]], uint n [[simdgroups_per_threadgroup]],\n"
    "    uint lane [[thread_index_in_simdgroup]], uint g [[threadgroup_position_in_grid]]) {\n"
    "  device atomic_uint *mine = flag + g * 32;\n"
    "  if (s + 1 < n) while (atomic_load_explicit(mine + s + 1, memory_order_relaxed) == 0) {}\n"
    "  uint v = s + 1 < n ? out[(g * 32 + s + 1) * 32 + lane] : 0;\n"
    "  out[(g * 32 + s) * 32 + lane] = v + lane;\n"
    "  simdgroup_barrier(mem_flags::mem_device);\n"
    "  if (lane == 0) atomic_store_explicit(mine + s, 1, memory_order_relaxed);\n"
    "}\n"
    /* The same through threadgroup memory, then a barrier, in a loop that all threads take. */
    "kernel void relay(device uint *out [[buffer(1)]], uint s [[simdgroup_index_in_threadgroup]],\n"
    "    uint n [[simdgroups_per_threadgroup]], uint i [[thread_index_in_threadgroup]],\n"
    "    uint g [[threadgroup_position_in_grid]], uint size [[threads_per_threadgroup]]) {\n"
    "  threadgroup atomic_uint turn;\n"
    "  threadgroup uint sum[1024];\n"
    "  if (i == 0) atomic_store_explicit(&turn, n, memory_order_relaxed);\n"
    "  sum[i] = i;\n"
    "  threadgroup_barrier(mem_flags::mem_threadgroup);\n"
    "  uint total = 0;\n"
    "  for (uint round = 0; round < 3; round++) {\n"
    "    while (atomic_load_explicit(&turn, memory_order_relaxed) != s + 1) {}\n"
    "    sum[i] += simd_sum(i & 31);\n"
    "    simdgroup_barrier(mem_flags::mem_threadgroup);\n"
    "    if ((i & 31) == 0) atomic_fetch_sub_explicit(&turn, 1, memory_order_relaxed);\n"
    "    threadgroup_barrier(mem_flags::mem_threadgroup);\n"
    "    if (i == 0) atomic_store_explicit(&turn, n, memory_order_relaxed);\n"
    "    total += sum[(i + 1) % size];\n"
    "    threadgroup_barrier(mem_flags::mem_threadgroup);\n"
    "  }\n"
    "  out[g * size + i] = total;\n"
    "}\n"
    /* A persistent kernel: all threadgroups meet at a counter, twice. */
    "void meet(device atomic_uint *counter, uint want, uint i) {\n"
    "  threadgroup_barrier(mem_flags::mem_device);\n"
    "  if (i == 0) {\n"
    "    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);\n"
    "    while (atomic_load_explicit(counter, memory_order_relaxed) < want) {}\n"
    "  }\n"
    "  threadgroup_barrier(mem_flags::mem_device);\n"
    "}\n"
    "kernel void grid(device atomic_uint *counter [[buffer(0)]], device uint *out [[buffer(1)]],\n"
    "    uint g [[threadgroup_position_in_grid]], uint groups [[threadgroups_per_grid]],\n"
    "    uint i [[thread_index_in_threadgroup]], uint size [[threads_per_threadgroup]]) {\n"
    "  out[g * size + i] = g + i;\n"
    "  meet(counter, groups, i);\n"
    "  uint v = out[(g + 1) % groups * size + i];\n"
    "  meet(counter, 2 * groups, i);\n"
    "  out[g * size + i] = v;\n"
    "}\n"
    /* The same with a volatile word and no barrier: one thread a threadgroup, first waits for last. */
    "kernel void line(device volatile uint *flag [[buffer(0)]], device uint *out [[buffer(1)]],\n"
    "    uint g [[threadgroup_position_in_grid]], uint groups [[threadgroups_per_grid]]) {\n"
    "  if (g + 1 < groups) while (flag[g + 1] == 0) {}\n"
    "  out[g] = g + 1 < groups ? out[g + 1] + 1 : 0;\n"
    "  flag[g] = 1;\n"
    "}\n"
    /* A lock that each thread takes; a sum by compare and exchange, which waits for nobody. */
    "kernel void locked(device atomic_uint *lock [[buffer(0)]], device uint *out [[buffer(1)]],\n"
    "    device atomic_uint *sum [[buffer(2)]], uint i [[thread_index_in_threadgroup]]) {\n"
    "  if ((i & 31) == 0) {\n"
    "    while (atomic_exchange_explicit(lock, 1, memory_order_relaxed) != 0) {}\n"
    "    out[0] += i / 32 + 1;\n"
    "    atomic_store_explicit(lock, 0, memory_order_relaxed);\n"
    "  }\n"
    "  uint old = atomic_load_explicit(sum, memory_order_relaxed);\n"
    "  while (!atomic_compare_exchange_weak_explicit(sum, &old, old + i, memory_order_relaxed,\n"
    "      memory_order_relaxed)) {}\n"
    "}\n"
    /* Decoupled look-back: the inclusive prefix of each tile's sum. */
    "kernel void scan(device atomic_uint *state [[buffer(0)]], device uint *out [[buffer(1)]],\n"
    "    device atomic_uint *ticket [[buffer(2)]], uint i [[thread_index_in_threadgroup]]) {\n"
    "  threadgroup uint tile, before;\n"
    "  if (i == 0) tile = atomic_fetch_add_explicit(ticket, 1, memory_order_relaxed);\n"
    "  threadgroup_barrier(mem_flags::mem_threadgroup);\n"
    "  uint t = tile, sum = t % 7 + 1;\n"
    "  if (i == 0) {\n"
    "    atomic_store_explicit(state + t, sum << 2 | (t ? 1 : 2), memory_order_relaxed);\n"
    "    uint prefix = 0;\n"
    "    for (int at = int(t) - 1; at >= 0; at--) {\n"
    "      uint s;\n"
    "      do s = atomic_load_explicit(state + at, memory_order_relaxed); while ((s & 3) == 0);\n"
    "      prefix += s >> 2;\n"
    "      if ((s & 3) == 2) break;\n"
    "    }\n"
    "    before = prefix;\n"
    "    atomic_store_explicit(state + t, (prefix + sum) << 2 | 2, memory_order_relaxed);\n"
    "  }\n"
    "  threadgroup_barrier(mem_flags::mem_threadgroup);\n"
    "  if (i < sum) out[before + i] = t;\n"
    "}\n";

static id<MTLLibrary> library;
static id<MTLBuffer> flags, out, more;

static void dispatch(NSString *name, NSUInteger groups, NSUInteger threads)
{
    id<MTLComputePipelineState> state = pipeline_of(library, name);
    memset(flags.contents, 0, flags.length);
    memset(out.contents, 0, out.length);
    memset(more.contents, 0, more.length);
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> e) {
        [e setComputePipelineState:state];
        [e setBuffer:flags offset:0 atIndex:0];
        [e setBuffer:out offset:0 atIndex:1];
        [e setBuffer:more offset:0 atIndex:2];
        [e dispatchThreadgroups:MTLSizeMake(groups, 1, 1)
                threadsPerThreadgroup:MTLSizeMake(threads, 1, 1)];
    }));
}

static void test_simdgroups(void)
{
    const uint32_t *x = out.contents;
    for (unsigned groups = 1; groups <= 9; groups += 4)
        for (unsigned simdgroups = 1; simdgroups <= 32; simdgroups *= 2) {
            dispatch(@"chain", groups, simdgroups * 32);
            for (unsigned g = 0; g < groups; g++)
                for (unsigned s = 0; s < simdgroups; s++)
                    for (unsigned lane = 0; lane < 32; lane++)
                        CHECK(x[(g * 32 + s) * 32 + lane] == (simdgroups - s) * lane);
            unsigned size = simdgroups * 32;
            dispatch(@"relay", groups, size);
            for (unsigned i = 0; i < groups * size; i++) {
                unsigned other = (i % size + 1) % size, total = 0;
                for (unsigned round = 1; round <= 3; round++)
                    total += other + round * 496;
                CHECK(x[i] == total);
            }
        }
}

static void test_threadgroups(void)
{
    const uint32_t *x = out.contents;
    static const unsigned sizes[] = {1, 32, 48, 256};
    for (unsigned groups = 1; groups <= 128; groups *= 2)
        for (unsigned k = 0; k < 4; k++) {
            dispatch(@"grid", groups, sizes[k]);
            for (unsigned i = 0; i < groups * sizes[k]; i++)
                CHECK(x[i] == (i / sizes[k] + 1) % groups + i % sizes[k]);
        }
    dispatch(@"line", 200, 1);
    for (unsigned g = 0; g < 200; g++)
        CHECK(x[g] == 199 - g);
}

static void test_locks(void)
{
    for (unsigned simdgroups = 1; simdgroups <= 32; simdgroups *= 2) {
        dispatch(@"locked", 6, simdgroups * 32);
        CHECK(*(uint32_t *)out.contents == 6 * simdgroups * (simdgroups + 1) / 2);
        unsigned threads = simdgroups * 32;
        CHECK(*(uint32_t *)more.contents == 6 * (threads * (threads - 1) / 2));
    }
}

static void test_scan(void)
{
    dispatch(@"scan", 3000, 64);
    const uint32_t *x = out.contents;
    for (uint32_t t = 0, at = 0; t < 3000; t++)
        for (uint32_t i = 0; i < t % 7 + 1; i++, at++)
            CHECK(x[at] == t);
}

int main(void)
{
    static const struct test tests[] = {{"SIMD-groups", test_simdgroups},
            {"threadgroups", test_threadgroups}, {"locks", test_locks}, {"scan", test_scan}};
    @autoreleasepool {
        device = MTLCreateSystemDefaultDevice();
        library = library_from(source, nil);
        flags = [device newBufferWithLength:1 << 16 options:0];
        out = [device newBufferWithLength:1 << 18 options:0];
        more = [device newBufferWithLength:4096 options:0];
    }
    return run_tests(tests, sizeof tests / sizeof *tests);
}
