#include <metal_stdlib>
kernel void k(device float *x, uint i [[thread_position_in_nowhere]])
{
}
// error: 2:41 the parameter attribute 'thread_position_in_nowhere' is not supported yet
