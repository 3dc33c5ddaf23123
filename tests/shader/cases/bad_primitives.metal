#include <metal_stdlib>
#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>
using namespace metal;
kernel void k(device float *x)
{
    mpp::tensor_ops::matmul2d_descriptor d(64, 32, 0);
}
// error: 1:2 MetalPerformancePrimitives (tensor operations) is not supported yet
