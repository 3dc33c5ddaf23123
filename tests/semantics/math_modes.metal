// What a program excludes from fast math keeps the order and the rounding of its operations, in every
// math mode of the compile options.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

template <typename T> T lost(T x, T big)
{
#pragma METAL fp math_mode(safe)
    return (x + big) - big;
}

float contracted(float x, float p)
{
#pragma METAL fp contract(off)
    return x * x - p;
}

float4 contracted(float4 x, float4 p)
{
    float4 r = 0;
    {
        _Pragma("METAL fp math_mode(safe) contract(off)") for (int c = 0; c < 4; c++) r[c] =
                x[c] * x[c] - p[c];
    }
    return r;
}

kernel void excluded(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        device float *scratch [[buffer(2)]], uint i [[thread_position_in_grid]])
{
    float one = float(data[1]), big = one * 1e8f;
    CHECK(lost(one, big) == 0);
    CHECK(all(lost(float4(one, 2, 3, 100), float4(big)) == float4(0, 0, 0, 96)));
    CHECK(lost(half(one), half(8192) * half(one)) == 0);
    float x = 1 + one * 0x1p-12f;
    scratch[i] = x * x;
    CHECK(contracted(x, scratch[i]) == 0);
    CHECK(all(contracted(float4(x), float4(scratch[i])) == float4(0)));
}

#pragma METAL fp math_mode(safe)
kernel void safe_from_here(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    float one = float(data[1]), big = one * 1e8f;
    CHECK((one + big) - big == 0);
    CHECK(one / 3.0f * 3.0f == 1.0f && (one / 41.0f) * 41.0f != 1.0f);
    float4 v = float4(one, 1, 2, 3);
    CHECK(all((v + big) - big == float4(0)));
    // The sign of zero.
    CHECK(signbit(-0.0f * one + -0.0f) && 1 / (-0.0f * one) < 0);
    // A sum in its order.
    float sum = big;
    for (uint k = 0; k < 8 + (data[1] - 1); k++)
        sum += one;
    CHECK(sum == big);
}
