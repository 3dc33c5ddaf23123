#include <metal_stdlib>
using namespace metal;
static_assert(sizeof(float4x4) == 64 && sizeof(float3x3) == 48 && sizeof(half2x3) == 16 &&
                      sizeof(float2x4) == 32 && alignof(half4x4) == 8,
        "");
static_assert(is_same_v<decltype(float4x3(1)[0]), float3 &> ||
                      is_same_v<decltype(float4x3(1)[0]), float3>,
        "");
static_assert(is_same_v<decltype(float2x3(1) * float4x2(1)), float4x3> &&
                      is_same_v<decltype(transpose(half2x3(1.0h))), half3x2>,
        "");
constant float3x3 cm = float3x3(1.0);
constant float2x2 c2 = {{1, 2}, {3, 4}};
struct U {
    float4x4 m;
    float3x3 n;
    half4x4 h;
};
kernel void k(device float4 *o, constant U &u, device float4x4 *om, constant float3x3 *cms,
        device half3 *ho)
{
    float4x4 a(1.0), b = u.m, c = float4x4(float4(1), float4(2), float4(3), float4(4));
    float2x2 d(1, 2, 3, 4), e = float2x2(float2(1, 2), float2(3, 4)), f{{1, 2}, {3, 4}};
    float2x3 g(1, 2, 3, 4, 5, 6);
    a = a * b;
    a = a + b - c;
    a = a * 2.0f;
    a = 2.0f * a;
    a *= b;
    a += c;
    a -= b;
    a = -a;
    o[0] = a * o[1];
    o[2] = o[1] * a;
    o[0].xy = d * float2(1, 2);
    o[0].xyz = g * float2(1, 1);
    a[0] = float4(1);
    a[1][2] = 3;
    a[2].xyz = float3(1);
    o[3] = a[3];
    o[3].x = a[0].x;
    a[1].w = 2;
    om[0] = transpose(a);
    o[4] = determinant(a) + determinant(u.n) + determinant(d) + determinant(e * f);
    om[1] = float4x4(u.h);
    half4x4 hh = half4x4(a);
    ho[0] = hh[0].xyz;
    float4x4 cp(a);
    om[2] = cp;
    om[0][3] = float4(0, 0, 0, 1);
    float3x3 n = cms[0];
    o[5] = float4(n * cm[0], 1);
    n = float3x3(u.n);
    o[6].xyz = u.n * float3(1);
    o[7].xy = c2 * float2(1);
    half2x2 h2(1.0h, 2.0h, 3.0h, 4.0h);
    ho[1].xy = h2 * half2(1);
    float3x3 from(a[0].xyz, a[1].xyz, a[2].xyz);
    o[8].xyz = from[1];
    o[9] = (a * b * c) * o[0];
    bool eq = all(a[0] == b[0]);
    o[10].x = eq;
    o[11].xyz = (transpose(u.n) * from)[0];
    device float4x4 &r = om[3];
    r = a;
    r[0][0] = 1;
    o[12] = om[3] * o[0];
    o[13] = a.columns[1];
    float4x4 z = float4x4(0.0f);
    om[4] = z;
    float4x4 w = float4x4(1);
    om[5] = w;
}
