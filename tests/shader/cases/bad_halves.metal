#include <metal_stdlib>
using namespace metal;
kernel void k(device half *h, device bfloat *b, device float *f)
{
    f[0] = h[0] + float(b[0]) + h[1];
    f[1] = h[0] + b[0];
    h[1] += b[1];
}
// error: 6:19 half and bfloat cannot be operands of one operation; convert one of them
// error: 7:13 half and bfloat cannot be operands of one operation; convert one of them
