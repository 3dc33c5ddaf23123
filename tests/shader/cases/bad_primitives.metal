#include <metal_stdlib>
#include <metal_tensor>
#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>
using namespace metal;
using namespace mpp::tensor_ops;
// Tensors that the host binds; what a program makes of a buffer is in tensors.metal.
kernel void bound(tensor<device half, dextents<int32_t, 2>> A [[buffer(0)]], device float *o [[buffer(1)]])
{
    auto a = A.slice(0, 0);
    o[0] = a.get(0, 0);
}
kernel void convolution(device float *o [[buffer(0)]])
{
    constexpr auto d = convolution2d_descriptor(int4(1, 8, 8, 4), int4(4, 10, 10, 1));
    convolution2d<d, execution_simdgroup> op;
}
kernel void wrong(device half *p [[buffer(0)]], device float *o [[buffer(1)]])
{
    auto t = tensor(p, dextents<int, 2>(16, 16));
    matmul2d<matmul2d_descriptor(16, 16, 0), execution_simdgroup> op;
    auto left = op.get_left_input_cooperative_tensor<half, half, float>();
    matmul2d<matmul2d_descriptor(32, 16, 16), execution_simdgroup> other;
    auto sum = other.get_destination_cooperative_tensor<decltype(t), decltype(t), float>();
    op.run(t, t, sum);
}
kernel void own(device half *p [[buffer(0)]], device float *o [[buffer(1)]])
{
    half mine[256];
    auto t = tensor(p, dextents<int, 2>(16, 16)), out = tensor(p, dextents<int, 2>(16, 16));
    auto left = tensor(mine, dextents<int, 2>(16, 16));
    matmul2d<matmul2d_descriptor(16, 16, 16), execution_simdgroup> op;
    op.run(left, t, out);
}
// error: 7:13 tensors that the host binds (tensor_handle) are not supported yet; one can be made of a buffer: tensor(pointer, extents)
// error: 14:24 mpp::tensor_ops::convolution2d is not supported yet
// error: 21:20 an input that is a cooperative tensor has a static k
// error: 24:8 the destination is a cooperative tensor of another operation
// error: 32:8 threads multiply together what lies in device or threadgroup memory, not in a thread's own
