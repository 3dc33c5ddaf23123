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

// Two loads a turn, and the compiler's choice: several turns' are under way together.
kernel void by_itself(device float *out [[buffer(0)]], device const float *in [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    float sum = 0;
    for (int n = 0; n < 512; n++)
        sum += in[i + n * 1000] * in[n * 7];
    out[i] = sum;
}

// More sums than a thread of 1,024 has registers.
#define EACH _Pragma("clang loop unroll(full)") for (int k = 0; k < 49; k++)
kernel void many_sums(device float *out [[buffer(0)]], device const float *in [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    float sums[49], values[49];
    EACH sums[k] = 0;
    for (int n = 0; n < 512; n++) {
        EACH values[k] = in[i * 25088 + n * 49 + k];
        EACH sums[k] += values[k] * in[n] + values[48 - k] * in[n + 512];
    }
    EACH out[i * 49 + k] = sums[k];
}
