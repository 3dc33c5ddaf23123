// <metal_pack>: normalised integers to floats and back.
#pragma GCC system_header
namespace metal
{
// How one component is stored: `bits` wide, `top` stands for 1.
#define __MSL_PACKED_FORMAT(name, F, N, bits, T, low, top)                                         \
    __MSL_FN vec<F, N> unpack_##name##_to_##F(uint x)                                              \
    {                                                                                              \
        vec<F, N> r;                                                                               \
        for (int i = 0; i < N; i++) {                                                              \
            float f = (float)(T)(x >> (i * bits)) / (float)top;                                    \
            r.__v[i] = (F)(f < low ? low : f);                                                     \
        }                                                                                          \
        return r;                                                                                  \
    }                                                                                              \
    __MSL_FN uint pack_##F##_to_##name(vec<F, N> v)                                                \
    {                                                                                              \
        uint r = 0;                                                                                \
        for (int i = 0; i < N; i++) {                                                              \
            float f = (float)v.__v[i];                                                             \
            f = f >= low ? f : low; /* NaN gives the lowest value */                               \
            f = f > 1.0f ? 1.0f : f;                                                               \
            uint q = (uint)__core::to_int(__core::rint(f * (float)top));                           \
            r |= (q & ((1u << bits) - 1u)) << (i * bits);                                          \
        }                                                                                          \
        return r;                                                                                  \
    }
__MSL_PACKED_FORMAT(unorm4x8, float, 4, 8, uchar, 0.0f, 255)
__MSL_PACKED_FORMAT(snorm4x8, float, 4, 8, int8_t, -1.0f, 127)
__MSL_PACKED_FORMAT(unorm2x16, float, 2, 16, ushort, 0.0f, 65535)
__MSL_PACKED_FORMAT(snorm2x16, float, 2, 16, short, -1.0f, 32767)
__MSL_PACKED_FORMAT(unorm4x8, half, 4, 8, uchar, 0.0f, 255)
__MSL_PACKED_FORMAT(snorm4x8, half, 4, 8, int8_t, -1.0f, 127)
__MSL_PACKED_FORMAT(unorm2x16, half, 2, 16, ushort, 0.0f, 65535)
__MSL_PACKED_FORMAT(snorm2x16, half, 2, 16, short, -1.0f, 32767)

__MSL_FN float __from_srgb(float c)
{
    return c <= 0.04045f ? c / 12.92f : __core::pow((c + 0.055f) / 1.055f, 2.4f);
}
__MSL_FN float __to_srgb(float c)
{
    c = c >= 0.0f ? c : 0.0f;
    c = c > 1.0f ? 1.0f : c;
    return c < 0.0031308f ? 12.92f * c : 1.055f * __core::pow(c, 1.0f / 2.4f) - 0.055f;
}
__MSL_FN float4 unpack_unorm4x8_srgb_to_float(uint x)
{
    float4 v = unpack_unorm4x8_to_float(x);
    return float4(__from_srgb(v.x), __from_srgb(v.y), __from_srgb(v.z), v.w);
}
__MSL_FN half4 unpack_unorm4x8_srgb_to_half(uint x)
{
    return half4(unpack_unorm4x8_srgb_to_float(x));
}
__MSL_FN uint pack_float_to_srgb_unorm4x8(float4 v)
{
    return pack_float_to_unorm4x8(
            float4(__to_srgb(v.x), __to_srgb(v.y), __to_srgb(v.z), v.w));
}
__MSL_FN uint pack_half_to_srgb_unorm4x8(half4 v)
{
    return pack_float_to_srgb_unorm4x8(float4(v));
}

__MSL_FN float4 unpack_unorm10a2_to_float(uint x)
{
    return float4(float(x & 1023u), float((x >> 10) & 1023u), float((x >> 20) & 1023u), 0.0f) /
                   1023.0f +
           float4(0.0f, 0.0f, 0.0f, float(x >> 30) / 3.0f);
}
__MSL_FN half4 unpack_unorm10a2_to_half(uint x)
{
    return half4(unpack_unorm10a2_to_float(x));
}
__MSL_FN uint pack_float_to_unorm10a2(float4 v)
{
    v = saturate(v);
    uint4 q = uint4(rint(v * float4(1023.0f, 1023.0f, 1023.0f, 3.0f)));
    return q.x | q.y << 10 | q.z << 20 | q.w << 30;
}
__MSL_FN uint pack_half_to_unorm10a2(half4 v)
{
    return pack_float_to_unorm10a2(float4(v));
}
__MSL_FN float3 unpack_unorm565_to_float(ushort x)
{
    return float3(float(x >> 11) / 31.0f, float((x >> 5) & 63) / 63.0f, float(x & 31) / 31.0f);
}
__MSL_FN half3 unpack_unorm565_to_half(ushort x)
{
    return half3(unpack_unorm565_to_float(x));
}
__MSL_FN ushort pack_float_to_unorm565(float3 v)
{
    uint3 q = uint3(rint(saturate(v) * float3(31.0f, 63.0f, 31.0f)));
    return (ushort)(q.x << 11 | q.y << 5 | q.z);
}
__MSL_FN ushort pack_half_to_unorm565(half3 v)
{
    return pack_float_to_unorm565(float3(v));
}
} // namespace metal
