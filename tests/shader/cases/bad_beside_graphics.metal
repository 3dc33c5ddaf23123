// A mistake is found beside what is left out.
#include <metal_stdlib>
using namespace metal;
vertex float4 corner(uint i [[vertex_id]])
{
    return i;
}
kernel void twice(device float *x [[buffer(0)]])
{
    y[0] *= 2;
}
// error: 10:5 use of undeclared identifier 'y'
