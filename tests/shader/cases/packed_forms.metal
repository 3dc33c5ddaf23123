#include <metal_stdlib>
using namespace metal;
kernel void k(device packed_char4 *c, device packed_float4 *f, device packed_float3 *g,
        device float3 *v, device packed_int2 *n)
{
    f[0] = packed_float4(c[0]);
    f[1] = f[0] * 2;
    f[1] = 2 * f[0];
    f[1] = f[0] + f[1];
    f[1] = -f[0];
    f[2] = f[0] * 2.0f;
    f[2] /= f[1];
    f[2] *= 3;
    f[2] += 1.5f;
    g[0] = v[0] * g[1];
    g[0] = g[1] * v[0] + 1;
    v[1] = g[0] - g[1];
    v[2] = cross(g[0], v[0]);
    v[2] = normalize(g[0]);
    float d = dot(g[0], g[1]);
    v[3] = d * g[0];
    v[3] = max(g[0], 0.0f);
    v[3] = sqrt(g[0]);
    n[0] = n[1] << 2;
    n[0] = ~n[1];
    n[0] &= 3;
    n[0]++;
    n[0] = n[1] % 3;
    bool2 b = n[0] == n[1];
    b = n[0] < 3;
    b = n[0] == int2(1);
    b = 3 > n[0];
    n[1] = select(n[0], n[1], b);
    n[1] = packed_int2(f[0].xy);
    n[1].x = d > 1 ? n[0].x : 2;
    int2 q = n[0];
    q = int2(n[0]);
    float2 h = float2(n[0]);
    half3 hh = half3(g[0]);
    g[0] = packed_float3(hh);
    packed_half3 ph(1, 2, 3);
    v[0] = float3(ph);
    g[1] = packed_float3(ph);
    float4 m = float4(g[0], 1);
    m = float4(1, g[0]);
    m.xyz = g[0];
    g[0] = m.xyz;
    g[1] = {1, 2, 3};
    packed_float3 z = {1, 2, 3}, w = 1;
    z[1] = 2;
    w = z;
    v[0] = z + w;
    n[0] = -n[0];
    bool2 nb = !n[0];
    f[3] = true ? f[0] : f[1];
    v[0] = true ? g[0] : g[1];
    v[0] = true ? float3(g[0]) : v[1];
    float x = g[0].x + g[0].r + g[0][2];
    assert(x > 1);
    v[0].xy = nb.x ? h : float2(x);
}
// expect: kernel k
