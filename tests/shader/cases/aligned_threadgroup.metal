#include <metal_stdlib>
using namespace metal;
kernel void k(device float *o [[buffer(0)]], uint i [[thread_index_in_threadgroup]])
{
    alignas(8) threadgroup char bytes[64];
    alignas(4) alignas(float4) threadgroup char more[64];
    threadgroup float *f = (threadgroup float *)&bytes[0], *g = (threadgroup float *)&more[0];
    f[i] = o[i];
    g[i] = f[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    o[i] = f[i ^ 1] + g[i ^ 2];
}
// expect: kernel k
