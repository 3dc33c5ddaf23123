// Products of tensors are the tensor cores', and what is not looked at is not exchanged; what their headers
// have is there after an include of one of them, in any order, and Metal 4 says that it has them.
// option: -l 4.0
// PTX: mma\.sync\.aligned\.m16n8k8\.row\.col\.f32\.f16\.f16\.f32
// PTX: mma\.sync\.aligned\.m16n8k8\.row\.col\.f32\.bf16\.bf16\.f32
// no PTX: shfl
#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>
#include <metal_stdlib>
#include <metal_tensor>
#include <metal_cooperative_tensor>
using namespace metal;
#if !defined(__HAVE_TENSOR__) || !defined(__HAVE_INT4B_FORMAT_TYPE__)
#error Metal 4 has tensors
#endif

template <typename T>
void multiply(device T *left, threadgroup T *right, device float *out, int m, int n, int k)
{
    using namespace mpp::tensor_ops;
    auto a = tensor(left, dextents<int, 2>(k, m)).slice(0, 32);
    auto b = tensor<threadgroup T, dextents<int32_t, 2>, tensor_inline>(right, dextents<int32_t, 2>(n, k));
    constexpr auto of = matmul2d_descriptor(32, 16, static_cast<int>(dynamic_extent), false, false, false, matmul2d_descriptor::mode::multiply_accumulate);
    matmul2d<of, execution_simdgroups<2>> op;
    auto sum = op.template get_destination_cooperative_tensor<decltype(a), decltype(b), float>();
    op.run(a, b, sum);
    sum.store(tensor(out, extents<int, 16, 32>()));
}
kernel void halves(device half *left [[buffer(0)]], threadgroup half *right [[threadgroup(0)]], device float *out [[buffer(1)]],
        constant int3 &size [[buffer(2)]])
{
    multiply(left, right, out, size.x, size.y, size.z);
}
kernel void bfloats(device bfloat *left [[buffer(0)]], threadgroup bfloat *right [[threadgroup(0)]],
        device float *out [[buffer(1)]], constant int3 &size [[buffer(2)]])
{
    multiply(left, right, out, size.x, size.y, size.z);
}
