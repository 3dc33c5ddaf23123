#pragma METAL fp math_mode(bogus)
#include <metal_stdlib>
using namespace metal;
#pragma METAL fp contract(off) // taken
#pragma METAL internals : enable
#pragma METAL fp precision(high)
kernel void k(device float *x)
{
    #pragma METAL fp reassociate
    x[0] = x[1];
}
// error: 1:1 unexpected argument to '#pragma METAL fp math_mode'
// error: 6:1 invalid option 'precision' to '#pragma METAL fp'; expected 'math_mode', 'contract' or 'reassociate'
// error: 9:5 invalid option 'reassociate' to '#pragma METAL fp'
