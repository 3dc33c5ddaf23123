#include <metal_stdlib>
using namespace metal;
#define SIZES(T, n)                                                                                \
    static_assert(sizeof(T##2) == 2 * n && alignof(T##2) == 2 * n && sizeof(T##3) == 4 * n &&      \
                          alignof(T##3) == 4 * n && sizeof(T##4) == 4 * n,                         \
            #T);                                                                                   \
    static_assert(sizeof(packed_##T##2) == 2 * n && alignof(packed_##T##2) == n &&                 \
                          sizeof(packed_##T##3) == 3 * n && sizeof(packed_##T##4) == 4 * n &&      \
                          alignof(packed_##T##4) == n,                                             \
            #T);                                                                                   \
    static_assert(is_same_v<T##3, vec<T, 3>>, #T);
SIZES(bool, 1)
SIZES(char, 1) SIZES(uchar, 1) SIZES(short, 2) SIZES(ushort, 2) SIZES(int, 4) SIZES(uint, 4)
        SIZES(long, 8) SIZES(ulong, 8) SIZES(half, 2) SIZES(bfloat, 2)
                SIZES(float, 4) static_assert(is_same_v<decltype(float4().xyz), float3> &&
                                                      is_same_v<decltype(float4().x), float>,
                        "");
static_assert(
        is_same_v<decltype(float4(1) < float4(2)), bool4> && is_same_v<decltype(!int2(1)), bool2>,
        "");
static_assert(is_same_v<decltype(int4(1) == 2), bool4>, "");
static_assert(vec_elements<float4>::value == 4, "");
constant float4 table[2] = {float4(1, 2, 3, 4), {5, 6, 7, 8}};
constant float3 axis = {0, 1, 0};
struct S {
    float2 a;
    float3 b;
    packed_float3 c;
};
kernel void k(device float4 *o, constant S &s, device packed_float3 *p, device int4 *q,
        device uchar4 *u, device bool4 *bv, device packed_half4 *ph, device long2 *l2)
{
    float4 a = float4(1.0f), b = float4(float2(1, 2), 3, 4), c = float4(float3(1), 2),
           d = float4(1, float2(2), 3), e = float4(1, 2, float2(3));
    float4 f(float2(1), float2(2)), g(1, float3(2)), h{1, 2, 3, 4}, i = {1, 2, 3, 4}, j = 1.0,
                                                                    k = (1, 2);
    float3 m(float2(1), 2), n(1, float2(2));
    a.xy = b.zw;
    a.wzyx = b;
    a.xyz += c.rgb;
    a.x = 1;
    a.rgba = d;
    a[0] = e[3];
    a.gb *= 2;
    a = a + b * c - d / e;
    a = -a;
    a += 1;
    a *= b;
    a = 2 * a;
    a = a / 2.0;
    a = fmod(a, 2);
    float2 sw = a.xx;
    float4 sw4 = sw.xyxy;
    sw4 = a.x > 0 ? b : c;
    q[0] = int4(1) << 2;
    q[1] = q[0] >> int4(1);
    q[2] = (q[0] & 3) | (q[1] ^ ~q[2]);
    q[3] = q[0] % 3;
    q[0] <<= 1;
    q[1] &= q[2];
    q[2]++;
    --q[3];
    q[4] = int4(a);
    q[5] = as_type<int4>(a);
    u[0] = uchar4(255);
    u[1] = uchar4(a * 255);
    u[2] = as_type<uchar4>(1u);
    bv[0] = a > b;
    bv[1] = bv[0] && (a < c);
    bv[2] = !bv[0] || bv[1];
    bv[3] = bool4(q[0]);
    bv[4] = bv[0] & bv[1];
    bv[5] = bv[0] == bv[1];
    p[0] = packed_float3(1, 2, 3);
    p[0] = m;
    m = p[0];
    p[0].x = 2;
    m = p[0] + n;
    m = p[0] * 2;
    p[0] += m;
    p[1] = p[0];
    m = float3(p[1]);
    p[0][1] = 3;
    a.xyz = p[0].xyz;
    a.xy = p[0].xy;
    p[0].xy = float2(1);
    ph[0] = half4(1);
    ph[1] = ph[0] * ph[1];
    half4 hh = ph[0];
    o[0] = a + b + c + d + e + f + g + h + i + j + k + table[1] + float4(axis, 0) +
           float4(s.a, s.b.xy) + float4(s.c, 1) + sw4 + float4(hh);
    thread float4 *pa = &a;
    (*pa).y = 3;
    pa->xy = pa->yx;
    thread float &rx = a.x;
    rx = 4;
    float arr[4] = {a.x, a.y, a.z, a.w};
    o[1] = float4(arr[0], arr[1], arr[2], arr[3]);
    l2[0] = long2(1, 2) * 3;
    o[2] = select(a, b, c < d);
    o[3] = float4(bv[0]);
    o[4] = a.xyzw;
    o[5].wxyz = a;
    o[6] = vec<float, 4>(1);
    o[7] = any(a > 0) ? a : b;
    int idx = q[0].x & 3;
    a[idx] = 5;
    o[8] = a;
    o[9] = o[8][idx];
    auto z = float4(1).zyx;
    o[10].xyz = z;
    ushort4 us(1, 2, 3, 4);
    o[11] = float4(us);
    uint2 gid = uint2(us.xy);
    o[12].xy = float2(gid) / float2(2, 3);
}
