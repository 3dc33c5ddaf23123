#include <metal_stdlib>
using namespace metal;

// What the turns load is under way together where the program wants them unrolled.
kernel void unrolled(device float *out [[buffer(0)]], device const float *in [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    float sum = 0;
#pragma clang loop unroll(full)
    for (short n = 0; n < 48; n++)
        sum = sqrt(sum * 0.5f + in[i + n * 1000] * in[i + n * 1000 + 7]) +
                fabs(sum - in[i + n * 999]) / (1 + sum * sum);
    out[i] = sum;
}
