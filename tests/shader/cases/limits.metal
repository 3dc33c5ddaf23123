// expect: kernel a entry=__abx_k_0 max_threads=256 required=0,0,0
// expect: kernel b entry=__abx_k_1 max_threads=128
// expect: kernel c entry=__abx_k_2 max_threads=0 required=8,4,1
#include <metal_stdlib>
using namespace metal;
constant constexpr int lanes = 32;
[[max_total_threads_per_threadgroup(256)]] kernel void a(device int *x)
{
    x[0] = 1;
}
[[kernel, max_total_threads_per_threadgroup(lanes * 4)]] void b(device int *x)
{
    x[0] = 1;
}
[[required_threads_per_threadgroup(8, 4)]] kernel void c(device int *x)
{
    x[0] = 1;
}
