// Rows of an odd number of halves are read by half2: an NVIDIA GPU traps when a pair is loaded at once
// from an address that is no multiple of four.
// PTX: ld\.global\.u16
// no PTX: ld\.global\.[ub]32
#include <metal_stdlib>
using namespace metal;

kernel void half_pairs(device const half *rows [[buffer(0)]], device float2 *out [[buffer(1)]],
        uint2 at [[thread_position_in_grid]])
{
    device const half2 *row = (device const half2 *)(rows + at.y * 113);
    out[at.y * 56 + at.x] = float2(row[at.x]);
}
