// expect: kernel k
// expect: buffer counters type=atomic_uint index=0 access=read_write size=4 align=4 data_type=33
#include <metal_stdlib>
using namespace metal;
kernel void k(device atomic_uint *counters, device atomic_int *signed_, device atomic_float *sums,
        device atomic_ulong *wide, device uint *out, uint i [[thread_position_in_grid]])
{
    threadgroup atomic_int local;
    atomic_store_explicit(&local, 0, memory_order_relaxed);
    uint old = atomic_fetch_add_explicit(&counters[0], 1u, memory_order_relaxed);
    old += atomic_fetch_max_explicit(&counters[1], i, memory_order_relaxed);
    atomic_fetch_min_explicit(signed_, -1, memory_order_relaxed);
    atomic_fetch_add_explicit(&local, 2, memory_order_relaxed);
    atomic_fetch_add_explicit(sums, 0.5f, memory_order_relaxed);
    atomic_max_explicit(wide, ulong(i), memory_order_relaxed);
    uint expected = 0;
    if (atomic_compare_exchange_weak_explicit(
                &counters[2], &expected, 7u, memory_order_relaxed, memory_order_relaxed))
        old = atomic_exchange_explicit(&counters[3], expected, memory_order_relaxed);
    atomic_thread_fence(mem_flags::mem_device, memory_order_seq_cst);
    out[i] = old + uint(atomic_load_explicit(&local, memory_order_relaxed));
}
