// An array of pointers that a short loop goes through is registers: what they point to is known to be
// device memory then, and nothing lies in a thread's own.
// no PTX: (ld|st)\.local
// PTX: ld\.global
// no PTX: ld\.(f32|u32|b32)
#include <metal_stdlib>
using namespace metal;

kernel void private_pointers(device const float *in [[buffer(0)]], device float *out [[buffer(1)]],
        constant uint &stride [[buffer(2)]], uint i [[thread_position_in_grid]])
{
    device const float *rows[4];
    float sums[4] = {0.f};
    for (short r = 0; r < 4; r++)
        rows[r] = in + r * stride;
    for (uint k = i; k < stride; k += 32)
        for (short r = 0; r < 4; r++)
            for (short e = 0; e < 8; e++)
                sums[r] += rows[r][k + e] * e;
    for (short r = 0; r < 4; r++)
        out[4 * i + r] = sums[r];
}
