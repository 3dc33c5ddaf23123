#include <metal_stdlib>
using namespace metal;
kernel void k(device float4 *x)
{
    x[0] = dot(x[0], half4(1));
}
// error: 5:12 no matching function for call to 'dot'
