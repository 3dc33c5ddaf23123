// expect: kernel k
#include <metal_stdlib>
using namespace metal;
static_assert(is_same_v<decltype(1.0), float> && is_same_v<decltype(1e3), float>, "no double");
static_assert(is_same_v<decltype(.5), float> && is_same_v<decltype(1.), float>, "no double");
static_assert(is_same_v<decltype(0x1.8p1), float> && is_same_v<decltype(1.0f), float>, "no double");
static_assert(is_same_v<decltype(1.0h), half> && is_same_v<decltype(2.0bf), bfloat>, "suffixes");
static_assert(1'000'000 == 1000000 && 0xe == 14 && 0b101 == 5, "integers");
kernel void k(device float *x)
{
    x[0] = 1.5 * INFINITY + M_PI_F + FLT_MAX + float(INT_MAX);
}
