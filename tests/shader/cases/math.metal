// expect: kernel k
#include <metal_stdlib>
using namespace metal;
kernel void k(device float4 *x, device half3 *h, device int *n, uint i [[thread_position_in_grid]])
{
    float4 v = x[i];
    v += exp(v) + exp2(v) + log(v) + log2(v) + log10(v) + sin(v) + cos(v) + tan(v) + sqrt(v);
    v += rsqrt(v) + floor(v) + ceil(v) + trunc(v) + round(v) + rint(v) + fract(v) + sign(v);
    v += asin(v) + acos(v) + atan(v) + sinh(v) + cosh(v) + tanh(v) + asinh(v) + acosh(v) + atanh(v);
    v += precise::sin(v) + fast::exp(v) + precise::sqrt(v);
    v += pow(v, 2.0f) + powr(v, v) + atan2(v, v) + fmod(v, 3.0f) + fmin(v, 1.0f) + fmax(v, v);
    v += mix(v, float4(1), 0.5f) + smoothstep(0.0f, 1.0f, v) + step(0.5f, v) + clamp(v, 0.0f, 1.0f);
    v += fma(v, v, v) + abs(v) + min3(v, v, v) + median3(v, v, v) + copysign(v, -v) + ldexp(v, int4(2));
    float4 whole, cosine;
    int4 exponent;
    v += modf(v, whole) + sincos(v, cosine) + frexp(v, exponent);
    v.x += dot(v, v) + length(v.xyz) + distance(v, whole) + length_squared(v);
    v = normalize(v) + reflect(v, whole) + float4(exponent) + float4(isnan(v)) + float4(signbit(v));
    h[i] = normalize(h[i]) * sin(h[i]) + max(h[i], half3(0));
    n[i] = popcount(n[i]) + clz(n[i]) + ctz(n[i]) + reverse_bits(n[i]) + rotate(n[i], 3) +
           mulhi(n[i], n[i]) + addsat(n[i], 1) + absdiff(n[i], 3) + extract_bits(n[i], 2, 5) +
           insert_bits(n[i], 1, 2, 5) + abs(n[i]) + clamp(n[i], 0, 9) + max(n[i], 2) + ilogb(v.x);
    x[i] = v + unpack_unorm4x8_to_float(pack_float_to_unorm4x8(v)) + float(numeric_limits<int>::max());
}
