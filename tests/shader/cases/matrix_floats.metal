// Products of floats are the tensor cores', of parts of which each is taken whole; the right matrix is loaded turned.
// PTX: mma\.sync[^;]*tf32
// no PTX: shfl
#include <metal_stdlib>
using namespace metal;

kernel void floats(threadgroup const float *left [[threadgroup(0)]], threadgroup const float *right [[threadgroup(1)]],
        device float *out [[buffer(0)]])
{
    simdgroup_float8x8 a, b, sum;
    simdgroup_load(a, left);
    simdgroup_load(b, right);
    simdgroup_multiply(sum, a, b);
    simdgroup_store(sum, out);
}
