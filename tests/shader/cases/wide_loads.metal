// Vectors are loaded whole where the address is found to allow it, and word by word where it does not.
// PTX: @p ld\.global\.v4\.b32
// PTX: @!p ld\.global\.b32
#include <metal_stdlib>
using namespace metal;

kernel void wide_loads(device const half *rows [[buffer(0)]], device float *out [[buffer(1)]],
        constant uint &width [[buffer(2)]], uint2 at [[thread_position_in_grid]])
{
    device const half4 *row = (device const half4 *)(rows + at.y * width);
    float4 sum = 0;
    for (uint i = 0; i < 4; i++)
        sum += float4(row[4 * at.x + i]);
    out[at.y] = sum.x + sum.y + sum.z + sum.w;
}
