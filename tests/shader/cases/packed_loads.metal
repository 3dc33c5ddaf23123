// Numbers of two bytes at addresses that are multiples of two are taken out of words.
// PTX: prmt\.b32
#include <metal_stdlib>
using namespace metal;

struct block {
    ushort scale, numbers[8];
};

kernel void packed_loads(device const block *blocks [[buffer(0)]], device uint *out [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    uint sum = blocks[i].scale;
#pragma unroll
    for (uint k = 0; k < 8; k++)
        sum += blocks[i].numbers[k] * k;
    out[i] = sum;
}
