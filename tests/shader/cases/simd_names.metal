// expect: kernel k
// expect: buffer p type=Uniforms index=1 access=read size=96 align=16
#import <simd/simd.h>
#include <metal_stdlib>
using namespace metal;
typedef enum { Input = 0, UniformBuffer = 1 } Indices;
typedef struct {
    vector_float2 size;
    simd::float3 colour;
    matrix_float4x4 view;
} Uniforms;
kernel void k(device vector_float4 *x [[buffer(Input)]],
        constant Uniforms &p [[buffer(UniformBuffer)]], uint i [[thread_position_in_grid]])
{
    simd_float4 v = p.view * x[i];
    v.xy *= p.size;
    x[i] = v + float4(simd::normalize(simd::min(p.colour, 1.0f)), simd::dot(v.xyz, p.colour));
}
