#include <metal_stdlib>
kernel void k(device float *x, uint i [[thread_position_in_nowhere]],
        device float *y [[stage_in]], device float *z [[whatever]])
{
}
// error: 2:41 the parameter attribute 'thread_position_in_nowhere' is not supported yet
// error: 3:27 the parameter attribute 'stage_in' is not supported yet
