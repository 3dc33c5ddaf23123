// expect: kernel own entry=__abx_k_0
// expect: kernel through_a_function entry=__abx_k_1
// expect: kernel none entry=__abx_k_2
#include <metal_stdlib>
using namespace metal;
kernel void own(device float *x, uint i [[thread_position_in_threadgroup]])
{
    threadgroup __attribute__((aligned(16))) float tile[256];
    threadgroup float4 rows[4];
    threadgroup atomic_uint counter;
    threadgroup float *first = tile;
    threadgroup const float &second = tile[1];
    atomic_store_explicit(&counter, 0u, memory_order_relaxed);
    tile[i] = x[i];
    rows[i & 3] = float4(x[i]);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    x[i] = first[i ^ 1] + second + rows[0].x +
           float(atomic_load_explicit(&counter, memory_order_relaxed));
}
template <typename T> T shared_sum(T v, uint i)
{
    threadgroup T parts[32];
    parts[i] = v;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    return parts[0] + parts[1];
}
kernel void through_a_function(device float *x, uint i [[thread_position_in_threadgroup]])
{
    x[i] = shared_sum(x[i], i);
}
kernel void none(device float *x, uint i [[thread_position_in_threadgroup]])
{
    x[i] = 1;
}
