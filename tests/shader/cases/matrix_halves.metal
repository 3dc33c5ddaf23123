// Products of halves and of bfloats are the tensor cores', two at a time where they share a matrix, and
// what is not looked at is not exchanged.
// PTX: mma\.sync\.aligned\.m16n8k8\.row\.col\.f32\.f16\.f16\.f32
// PTX: mma\.sync\.aligned\.m16n8k8\.row\.col\.f32\.bf16\.bf16\.f32
// no PTX: shfl
#include <metal_stdlib>
using namespace metal;

template <typename T>
void multiply(threadgroup const T *left, threadgroup const T *right, device float *out)
{
    simdgroup_matrix<T, 8, 8> a[2], b;
    simdgroup_float8x8 sum[2];
    for (short i = 0; i < 2; i++)
        sum[i] = make_filled_simdgroup_matrix<float, 8>(0.f);
    for (short k = 0; k < 4; k++) {
        simdgroup_load(b, right + 64 * k);
        for (short i = 0; i < 2; i++) {
            simdgroup_load(a[i], left + 64 * (2 * k + i));
            simdgroup_multiply_accumulate(sum[i], a[i], b, sum[i]);
        }
    }
    for (short i = 0; i < 2; i++)
        simdgroup_store(sum[i], out + 64 * i);
}

kernel void halves(threadgroup const half *left [[threadgroup(0)]], threadgroup const half *right [[threadgroup(1)]],
        device float *out [[buffer(0)]])
{
    multiply(left, right, out);
}

kernel void bfloats(threadgroup const bfloat *left [[threadgroup(0)]],
        threadgroup const bfloat *right [[threadgroup(1)]], device float *out [[buffer(0)]])
{
    multiply(left, right, out);
}
