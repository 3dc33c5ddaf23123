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
