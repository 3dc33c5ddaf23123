#include <metal_stdlib>
using namespace metal;
template <typename T> kernel void k(device T *x)
{
    x[0] = x.missing;
}
template [[host_name("k_float")]] kernel void k<float>(device float *);
// error: 5:13 member reference base type 'device T *' is not a structure or union
