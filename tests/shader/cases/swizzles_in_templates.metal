// expect: kernel k
#include <metal_stdlib>
using namespace metal;
template <typename T> T mixed(T a, T b)
{
    return ((a.yx | b.xy) & a.xx) + b.yx * a.xy - (a.xx ^ b.yy) / b.yx % a.xy;
}
template <typename T> T turned(T a, T b)
{
    return a.yzx * b.zxy - a.zxy * b.yzx;
}
kernel void k(device uint2 *x, device float3 *y, uint i [[thread_position_in_grid]])
{
    x[i] = mixed(x[i], x[i + 1]);
    y[i] = turned(y[i], y[i + 1]);
    threadgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup);
}
