#include <metal_stdlib>
using namespace metal;
kernel void k(device float *x [[buffer(31)]])
{
}
// error: 3:13 'buffer' attribute parameter is out of bounds: must be between 0 and 30
