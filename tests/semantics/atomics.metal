// Atomics: totals over all threads, and what each thread gets back. The scratch buffer starts as zeroes.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

// All threads of a threadgroup, in threadgroup memory.
kernel void threadgroup_memory(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]],
        uint size [[threads_per_threadgroup]])
{
    threadgroup atomic_int sum, low, high;
    threadgroup atomic_uint bits_or, bits_and, bits_xor, difference, last, won;
    threadgroup atomic<float> total;
    threadgroup atomic_bool flag;
    if (t == 0) {
        atomic_store_explicit(&sum, 0, memory_order_relaxed);
        atomic_store_explicit(&low, INT_MAX, memory_order_relaxed);
        atomic_store_explicit(&high, INT_MIN, memory_order_relaxed);
        atomic_store_explicit(&bits_or, 0, memory_order_relaxed);
        atomic_store_explicit(&bits_and, ~0u, memory_order_relaxed);
        atomic_store_explicit(&bits_xor, 0u, memory_order_relaxed);
        atomic_store_explicit(&difference, 1000000u, memory_order_relaxed);
        atomic_store_explicit(&last, ~0u, memory_order_relaxed);
        atomic_store_explicit(&won, 0u, memory_order_relaxed);
        atomic_store_explicit(&total, 0.0f, memory_order_relaxed);
        atomic_store_explicit(&flag, false, memory_order_relaxed);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    int mine = int(data[i % 4096] >> 16) - 30000;
    int before = atomic_fetch_add_explicit(&sum, mine, memory_order_relaxed);
    CHECK(size > 1 || before == 0);
    atomic_fetch_min_explicit(&low, mine, memory_order_relaxed);
    atomic_fetch_max_explicit(&high, mine, memory_order_relaxed);
    atomic_fetch_or_explicit(&bits_or, uint(mine), memory_order_relaxed);
    atomic_fetch_and_explicit(&bits_and, uint(mine), memory_order_relaxed);
    atomic_fetch_xor_explicit(&bits_xor, uint(mine), memory_order_relaxed);
    atomic_fetch_sub_explicit(&difference, 3, memory_order_relaxed);
    atomic_fetch_add_explicit(&total, 0.5f, memory_order_relaxed);
    uint previous = atomic_exchange_explicit(&last, t, memory_order_relaxed);
    CHECK(previous == ~0u || previous < size);
    uint none = 0;
    bool first = atomic_compare_exchange_weak_explicit(
            &won, &none, t + 1, memory_order_relaxed, memory_order_relaxed);
    CHECK(first ? none == 0 : none <= size);
    bool was = atomic_exchange_explicit(&flag, true, memory_order_relaxed);
    CHECK(size > 1 || !was);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    int want_sum = 0, want_low = INT_MAX, want_high = INT_MIN;
    uint want_or = 0, want_and = ~0u, want_xor = 0, start = i - t;
    for (uint k = 0; k < size; k++) {
        int v = int(data[(start + k) % 4096] >> 16) - 30000;
        want_sum += v, want_low = min(want_low, v), want_high = max(want_high, v);
        want_or |= uint(v), want_and &= uint(v), want_xor ^= uint(v);
    }
    CHECK(atomic_load_explicit(&sum, memory_order_relaxed) == want_sum);
    CHECK(atomic_load_explicit(&low, memory_order_relaxed) == want_low);
    CHECK(atomic_load_explicit(&high, memory_order_relaxed) == want_high);
    CHECK(atomic_load_explicit(&bits_or, memory_order_relaxed) == want_or);
    CHECK(atomic_load_explicit(&bits_and, memory_order_relaxed) == want_and);
    CHECK(atomic_load_explicit(&bits_xor, memory_order_relaxed) == want_xor);
    CHECK(atomic_load_explicit(&difference, memory_order_relaxed) == 1000000u - 3 * size);
    CHECK(atomic_load_explicit(&total, memory_order_relaxed) == 0.5f * size);
    uint winner = atomic_load_explicit(&won, memory_order_relaxed);
    CHECK(winner >= 1 && winner <= size && (!first || winner == t + 1));
    CHECK(atomic_load_explicit(&flag, memory_order_relaxed));
}

// Threads of different threadgroups take turns on device memory; each ticket is given once.
kernel void tickets(device uint *line [[buffer(0)]], device atomic_uint *scratch [[buffer(2)]],
        uint i [[thread_position_in_grid]], uint threads [[threads_per_grid]])
{
    uint ticket = atomic_fetch_add_explicit(&scratch[0], 1, memory_order_relaxed);
    CHECK(ticket < threads);
    CHECK(atomic_exchange_explicit(&scratch[1 + ticket], 1, memory_order_relaxed) == 0);
}

// Only some threads, by a condition that is not the same within a SIMD-group.
kernel void divergent(device uint *line [[buffer(0)]], device atomic_uint *scratch [[buffer(2)]],
        uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]],
        uint group [[threadgroup_position_in_grid]], uint size [[threads_per_threadgroup]])
{
    device atomic_uint *mine = scratch + group * 4;
    for (uint k = 0; k < t % 5; k++)
        atomic_fetch_add_explicit(mine, 1, memory_order_relaxed);
    if (t % 3 == 0)
        atomic_fetch_max_explicit(mine + 1, t, memory_order_relaxed);
    threadgroup_barrier(mem_flags::mem_device);
    uint want = 0, highest = 0;
    for (uint k = 0; k < size; k++) {
        want += k % 5;
        highest = k % 3 ? highest : k;
    }
    CHECK(atomic_load_explicit(mine, memory_order_relaxed) == want);
    CHECK(atomic_load_explicit(mine + 1, memory_order_relaxed) == highest);
}

// A sum of floats by compare and exchange, and the atomics of 64 bits.
kernel void loops(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        device atomic_ulong *scratch [[buffer(2)]], uint i [[thread_position_in_grid]],
        uint t [[thread_index_in_threadgroup]], uint group [[threadgroup_position_in_grid]],
        uint size [[threads_per_threadgroup]])
{
    device atomic_ulong *most = scratch + group * 4, *least = most + 1;
    device atomic_float *sum = (device atomic_float *)(most + 2);
    ulong mine = ulong(data[i % 4096]) << 20 | t, highest = 0;
    atomic_max_explicit(most, mine, memory_order_relaxed);
    atomic_min_explicit(least, mine, memory_order_relaxed); // from 0: stays
    float seen = atomic_load_explicit(sum, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
            sum, &seen, seen + 2.0f, memory_order_relaxed, memory_order_relaxed)) {
    }
    atomic_thread_fence(mem_flags::mem_device, memory_order_seq_cst, thread_scope_device);
    threadgroup_barrier(mem_flags::mem_device);
    for (uint k = 0; k < size; k++)
        highest = max(highest, ulong(data[(i - t + k) % 4096]) << 20 | k);
    CHECK(((device ulong *)most)[0] == highest && ((device ulong *)least)[0] == 0);
    CHECK(atomic_load_explicit(sum, memory_order_relaxed) == 2.0f * size);
}

// What one thread writes before a barrier, others see after it: forward, backward, twice.
kernel void barriers(device uint *line [[buffer(0)]], device uint *scratch [[buffer(2)]],
        threadgroup uint *shared [[threadgroup(0)]], uint i [[thread_position_in_grid]],
        uint t [[thread_index_in_threadgroup]], uint size [[threads_per_threadgroup]],
        uint lane [[thread_index_in_simdgroup]])
{
    shared[t] = t * 7;
    scratch[i] = t * 11;
    threadgroup_barrier(mem_flags::mem_threadgroup | mem_flags::mem_device);
    uint other = (t + size / 2) % size;
    CHECK(shared[other] == other * 7 && scratch[i - t + other] == other * 11);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint round = 0; round < 3; round++) {
        shared[size - 1 - t] += round;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        CHECK(shared[other] == other * 7 + round * (round + 1) / 2);
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    shared[t] = t;
    simdgroup_barrier(mem_flags::mem_threadgroup);
    uint first = t - lane;
    CHECK(shared[first] == first);
}
