// Kernels whose threadgroups read pieces of rows: what a later threadgroup will read is to be asked
// for, as far from here as the rows are long. See ahead.py.
#include <metal_stdlib>
using namespace metal;

struct shape {
    int columns, rows;
    ulong row_bytes;
};

// Two rows a threadgroup.
kernel void rows(constant shape &a [[buffer(0)]], device const char *weights [[buffer(1)]],
        device const float4 *v [[buffer(2)]], device float *out [[buffer(3)]],
        uint3 group [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]])
{
    device const half4 *x = (device const half4 *)(weights + group.x * 2 * a.row_bytes);
    float total = 0;
    for (int i = lane; i < a.columns / 16; i += 32)
        for (int k = 0; k < 4; k++)
            total += dot(float4(x[i * 4 + k]), v[i * 4 + k]);
    out[group.x * 32 + lane] = total;
    if (simd_sum(total) == 1)
        out[0] = 0;
}

// Every threadgroup reads the same.
kernel void same(constant shape &a [[buffer(0)]], device const char *weights [[buffer(1)]],
        device const float4 *v [[buffer(2)]], device float *out [[buffer(3)]],
        uint3 group [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]])
{
    device const half4 *x = (device const half4 *)weights;
    float total = 0;
    for (int i = lane; i < a.columns / 16; i += 32)
        for (int k = 0; k < 4; k++)
            total += dot(float4(x[i * 4 + k]), v[i * 4 + k]);
    out[group.x * 32 + lane] = total;
    if (simd_sum(total) == 1)
        out[0] = 0;
}

// A piece of each of many rows a turn, and the pieces beside them in the next.
kernel void tiles(constant shape &a [[buffer(0)]], device const float *x [[buffer(1)]],
        device float *out [[buffer(2)]], threadgroup float *tile [[threadgroup(0)]],
        uint place [[thread_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]])
{
    float total = 0;
    device const float4 *row =
            (device const float4 *)(x + (place / 4) * a.columns + 8 * (place % 4));
    for (int k = 0; k < a.columns; k += 32) {
        float4 p = row[0], q = row[1];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (int i = 0; i < 4; i++)
            tile[8 * place + i] = p[i], tile[8 * place + 4 + i] = q[i];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (int i = 0; i < 32; i++)
            total += tile[(33 * lane + i) % 1024];
        row += 8;
    }
    out[place] = simd_sum(total);
}
// The same of matrices, from where the SIMD-group stands, in a loop within the one with the barrier.
kernel void matrices(constant shape &a [[buffer(0)]], device const float *x [[buffer(1)]],
        device float *to [[buffer(2)]], threadgroup float *shared [[threadgroup(0)]],
        ushort tid [[thread_index_in_threadgroup]], ushort sg [[simdgroup_index_in_threadgroup]])
{
    simdgroup_float8x8 sum = make_filled_simdgroup_matrix<float, 8>(0.0f), left, right;
    for (int k = 0; k < a.columns; k += 32) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        shared[tid] = x[tid];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (int n = 0; n < min(32, a.columns - k); n += 8) {
            simdgroup_load(left, x + sg * 8 * a.columns + k + n, a.columns);
            simdgroup_load(right, shared + n * 8);
            simdgroup_multiply_accumulate(sum, left, right, sum);
        }
    }
    simdgroup_store(sum, to + sg * 64);
}
