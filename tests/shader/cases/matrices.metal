// expect: kernel k
#include <metal_stdlib>
using namespace metal;
struct Camera {
    float4x4 view;
    float3x3 normal;
};
kernel void k(device float4 *x, constant Camera &camera, device float4x4 *m,
        uint i [[thread_position_in_grid]])
{
    float4x4 a = camera.view * m[i], identity(1.0);
    float2x2 small(1, 2, 3, 4);
    float4x4 columns(float4(1), float4(2), float4(3), float4(4));
    a[1].xy = small * a[0].xy;
    a[2][3] = determinant(small) + determinant(a);
    x[i] = a * x[i] + x[i] * transpose(a) + (columns * 2.0f - identity)[3];
    m[i] = a;
    x[i].xyz = camera.normal * x[i].xyz;
}
