// expect: kernel k
// expect: kernel multiply
#include <metal_stdlib>
using namespace metal;
kernel void k(device float *x, device half2 *h, uint i [[thread_position_in_grid]])
{
    float v = simd_sum(x[i]) + simd_max(x[i]) + simd_prefix_exclusive_sum(x[i]);
    v += simd_shuffle_xor(v, 1) + simd_shuffle_down(v, 2) + simd_broadcast(v, 3);
    v += simd_any(v > 0) ? simd_broadcast_first(v) : quad_sum(v);
    v += simd_shuffle_and_fill_up(v, 0.0f, 1);
    h[i] = simd_min(h[i]) + quad_shuffle(h[i], 2);
    simd_vote vote = simd_ballot(v > 1);
    x[i] = vote.all() ? v : float(ulong(vote));
    simdgroup_barrier(mem_flags::mem_threadgroup);
}
kernel void multiply(device const half *a, device const half *b, device float *c)
{
    simdgroup_half8x8 x, y;
    simdgroup_float8x8 sum = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    simdgroup_load(x, a, 8);
    simdgroup_load(y, b, 8, ulong2(0, 0), true);
    simdgroup_multiply_accumulate(sum, x, y, sum);
    sum.thread_elements()[1] *= 2.0;
    simdgroup_store(sum, c, 8);
}
