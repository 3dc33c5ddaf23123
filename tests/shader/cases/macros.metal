// option: -D WIDTH=4 -D FAST -l 3.1
// expect: kernel with_31
// expect: buffer x type=float4
#include <metal_stdlib>
#include <simd/simd.h>
#ifndef FAST
#error FAST was not passed on
#endif
#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
using namespace metal;
#if __METAL_VERSION__ == 310 && defined(__METAL_MACOS__)
kernel void with_31(device JOIN(float, WIDTH) * x)
{
    x[0] = WIDTH;
}
#endif
