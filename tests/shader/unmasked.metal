// Kernels in which all lanes take the same way, or meet again before the accesses that count: those
// have to be without masks. See unmasked.py.
#include <metal_stdlib>
using namespace metal;

// `rows` is alike in all lanes: where they meet after the inner branch, those that took it and those
// that did not bring the same value, and none comes from the outer one. Attention kernels leave blocks
// that are masked out so, through a variable that says where to go on.
kernel void meets_with_one_value(device const half4 *k [[buffer(0)]], device float *out [[buffer(1)]],
        constant uint2 &count [[buffer(2)]], threadgroup float *sum [[threadgroup(0)]],
        uint lane [[thread_index_in_simdgroup]], uint group [[threadgroup_position_in_grid]])
{
    uint rows = count.x;
    if (count.y > group) {
        rows = count.y - group;
        if (lane < 16)
            sum[lane] = 1;
    }
    float total = 0;
    for (uint n = 0; n < rows; n++)
        total += simd_sum(dot(float4(k[n * 32 + lane]), float4(1)));
    out[group * 32 + lane] = total + sum[lane];
}
