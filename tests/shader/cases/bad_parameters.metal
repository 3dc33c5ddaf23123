#include <metal_stdlib>
using namespace metal;
kernel void k(device float *x, uint i)
{
    x[i] = 1;
}
kernel void l(thread float *x, float y [[threads_per_grid]])
{
}
kernel void m(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]])
{
    x[i] = j;
}
// error: 3:13 a kernel's parameters must be
// error: 7:13 a kernel's parameters must be
// error: 12:12 use of undeclared identifier 'j'
