#include <metal_stdlib>
kernel void k(device float *x)
{
    x[0] = x[1];
#pragma METAL fp math_mode(safe)
    x[1] = x[2];
}
// error: 5:1 '#pragma METAL fp' can only appear at file scope or at the start of a compound statement
