// expect: kernel k
#include <metal_stdlib>
using namespace metal;
static_assert(sizeof(float3) == 16 && sizeof(packed_float3) == 12 && sizeof(half4) == 8, "sizes");
static_assert(alignof(float4) == 16 && alignof(packed_float4) == 4 && sizeof(bool4) == 4, "aligned");
static_assert(sizeof(float4x3) == 64 && sizeof(half3x3) == 24, "matrices");
static_assert(is_same_v<decltype(float3(1) < float3(2)), bool3>, "comparison");
constant float4 weights = float4(0.25, 0.5, 0.125, 1);
kernel void k(device float4 *x, device packed_float3 *p, device half4 *h, device uchar4 *c,
        uint i [[thread_position_in_grid]])
{
    float4 a = x[i], b(1, 2, 3, 4), z = 0;
    a.xy = b.zw;
    a.wzyx += b;
    a.rgb *= 2;
    a = a.yzwx * b.xxyy + weights;
    a[i & 3] = a.x;
    float2 two = {1, 2};
    uint4 partial = {1, 2, 3};
    float3 cross_product = cross(a.xyz, a.yzx * b.zxy);
    p[i] = packed_float3(cross_product);
    p[i].x += float3(p[i + 1]).y;
    h[i] = half4(a) + half4(1.0h, half(two.x), half2(two));
    c[i] = uchar4(saturate(a) * 255.0);
    x[i] = select(a, z, a > b) + float4(all(a == b), any(a != b), partial.x, (a >= b).x);
    x[i] = -x[i] + float4(as_type<uchar4>(as_type<uint>(x[i].x)));
    int4 shifted = (int4(a) << 3) | (int4(3) & ~int4(1));
    x[i].x = shifted.x % 7;
    float3 extended = float3(two, 1) + float3(1, two);
    x[i].yzw = extended.zyx;
}
