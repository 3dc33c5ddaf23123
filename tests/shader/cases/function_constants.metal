// option: --target host
// expect: constant mode index=3 type=29 size=4 required=1
// expect: constant tint index=0 type=6 size=16 required=0
// expect: constant enabled index=7 type=53 size=1 required=1
// expect: constant close index=8 type=37 size=2 required=1
// expect: 1 of 1 kernels for host
#include <metal_stdlib>
using namespace metal;
constant int mode [[function_constant(3)]];
constant float4 tint [[function_constant(0)]];
namespace settings
{
constant bool enabled [[function_constant(7)]];
}
constant short close[[function_constant(8)]];
constant bool has_tint = is_function_constant_defined(tint);
kernel void k(device float *x, uint i [[thread_position_in_grid]])
{
    if (settings::enabled && has_tint)
        x[i] = mode == close ? tint.x : tint.w;
}
