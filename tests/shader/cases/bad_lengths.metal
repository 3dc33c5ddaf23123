#include <metal_stdlib>
using namespace metal;
kernel void k(device int *x)
{
    int variable[x[2]];
    variable[0] = 1;
    x[0] = as_type<int>(1ul) + as_type<int>(variable[0]);
}
// error: 5:18 variable length arrays are not supported in Metal
// error: 7:12 no matching function for call to 'as_type'
