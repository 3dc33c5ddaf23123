#include <metal_stdlib>
#include <metal_atomic>
using namespace metal;
static_assert(is_same_v<atomic<int>, atomic_int> && is_same_v<atomic<uint>, atomic_uint> &&
                      is_same_v<atomic_float, atomic<float>> &&
                      is_same_v<atomic_bool, atomic<bool>> &&
                      is_same_v<atomic_ulong, atomic<ulong>>,
        "");
struct Counter {
    atomic_uint n;
    atomic<int> m[3];
};
kernel void k(device atomic_int *i, device atomic_uint *u, device atomic_bool *b,
        device atomic_float *f, device atomic_ulong *ul, device Counter *c,
        volatile device atomic_int *vi, device int *out, threadgroup atomic_uint *tg,
        uint t [[thread_position_in_grid]])
{
    threadgroup atomic_int local;
    threadgroup atomic<float> lf;
    threadgroup atomic_bool lb;
    atomic_store_explicit(&local, 0, memory_order_relaxed);
    out[0] = atomic_load_explicit(i, memory_order_relaxed);
    out[1] = atomic_load_explicit(&local, memory_order_relaxed);
    atomic_store_explicit(u, 1u, memory_order_relaxed);
    atomic_store_explicit(b, true, memory_order_relaxed);
    atomic_store_explicit(&lb, false, memory_order_relaxed);
    atomic_store_explicit(f, 1.0, memory_order_relaxed);
    out[2] = atomic_exchange_explicit(i, 1, memory_order_relaxed);
    bool was = atomic_exchange_explicit(b, true, memory_order_relaxed);
    float wf = atomic_exchange_explicit(f, 1, memory_order_relaxed);
    int e = 0;
    was = atomic_compare_exchange_weak_explicit(
            i, &e, 1, memory_order_relaxed, memory_order_relaxed);
    uint eu = 0;
    was = atomic_compare_exchange_weak_explicit(
            tg, &eu, 1, memory_order_relaxed, memory_order_relaxed);
    float ef = 0;
    while (!atomic_compare_exchange_weak_explicit(
            f, &ef, ef + 1, memory_order_relaxed, memory_order_relaxed)) {
    }
    out[3] = atomic_fetch_add_explicit(i, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(u, 1, memory_order_relaxed);
    atomic_fetch_and_explicit(u, 1, memory_order_relaxed);
    atomic_fetch_or_explicit(u, 1u, memory_order_relaxed);
    atomic_fetch_xor_explicit(u, 1, memory_order_relaxed);
    atomic_fetch_max_explicit(i, -1, memory_order_relaxed);
    atomic_fetch_min_explicit(&local, 1, memory_order_relaxed);
    wf = atomic_fetch_add_explicit(f, 1.0, memory_order_relaxed);
    atomic_fetch_sub_explicit(f, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&lf, 1.0f, memory_order_relaxed);
    atomic_max_explicit(ul, 1ul, memory_order_relaxed);
    atomic_min_explicit(ul, 5ul, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->n, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->m[t % 3], -1, memory_order_relaxed);
    atomic_fetch_add_explicit(vi, 1, memory_order_relaxed);
    atomic_fetch_add_explicit((device atomic_uint *)out, 1u, memory_order_relaxed);
    atomic_fetch_add_explicit((volatile device atomic_int *)&out[t], 1, memory_order_relaxed);
    atomic_thread_fence(mem_flags::mem_device, memory_order_seq_cst, thread_scope_device);
    atomic_thread_fence(mem_flags::mem_threadgroup, memory_order_acquire);
    atomic_thread_fence(mem_flags::mem_device | mem_flags::mem_threadgroup, memory_order_acq_rel,
            thread_scope_threadgroup);
    threadgroup_barrier(mem_flags::mem_none);
    threadgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    threadgroup_barrier(mem_flags::mem_texture);
    threadgroup_barrier(mem_flags::mem_threadgroup, thread_scope_threadgroup);
    threadgroup_barrier(metal::mem_flags::mem_threadgroup);
}
