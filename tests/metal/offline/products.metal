#include <metal_stdlib>
using namespace metal;
#include "shared.h"

kernel void products(device const pair *in [[buffer(0)]], device float *out [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    out[i] = product(in[i]);
}
