// What Metal's types and functions compute, checked in Metal's own terms; compiled to an object. The
// values come through volatile memory, so that it is the generated code that is checked, not the
// compiler's arithmetic.
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (0)

static volatile float f_one = 1.0f, f_big = 3e9f, f_negative = -1.5f, f_nan = __builtin_nanf("");
static volatile int i_seven = 7, i_minus = -7, i_min = INT_MIN;
static volatile uint u_bits = 0x80f0000fu;

static int vectors()
{
    float4 v(f_one, 2, 3, 4);
    v.xy = v.zw;
    CHECK(all(v == float4(3, 4, 3, 4)));
    v.wzyx += float4(1, 2, 3, 4);
    CHECK(all(v == float4(7, 7, 5, 5)));
    v[2] = 9;
    CHECK(v.z == 9 && v.b == 9 && v.rgb.b == 9 && v.zzz.y == 9);
    uint4 partial = {1, 2, 3};
    CHECK(partial.w == 0 && partial.z == 3);
    bool4 mask = v > float4(6);
    CHECK(mask.x && mask.y && mask.z && !mask.w && any(mask) && !all(mask) && (!mask).w);
    CHECK(all(select(float4(1), float4(2), mask) == float4(2, 2, 2, 1)));
    CHECK(all((int4(1) << int4(33)) == int4(2)));
    CHECK(all(int2(i_minus, i_seven) / 2 == int2(-3, 3)) && all(int2(i_minus) % 4 == int2(-3)));
    packed_float3 p = packed_float3(v.xyz);
    p.y = 1;
    CHECK(all(float3(p) == float3(7, 1, 9)) && all(p + float3(1) == float3(8, 2, 10)));
    CHECK(as_type<uint>(uchar4(1, 2, 3, 4)) == 0x04030201u);
    CHECK(all(cross(float3(1, 0, 0), float3(0, f_one, 0)) == float3(0, 0, 1)));
    CHECK(dot(float3(1, 2, 3), float3(f_one)) == 6 && length(float2(3, 4)) == 5);
    return 0;
}

static int matrices()
{
    float2x3 m(float3(1, 2, 3), float3(4, 5, f_one * 6));
    CHECK(all(m * float2(1, 2) == float3(9, 12, 15)));
    CHECK(all(float3(1, 0, 1) * m == float2(4, 10)));
    CHECK(all(transpose(m)[1] == float2(2, 5)));
    CHECK(all((transpose(m) * m)[0] == float2(14, 32)));
    CHECK(determinant(float3x3(float3(2, 0, 0), float3(0, 3, 0), float3(1, 1, f_one * 4))) == 24);
    return 0;
}

static int conversions()
{
    CHECK(int(f_big) == INT_MAX && uint(f_negative) == 0 && int(f_nan) == 0);
    CHECK(uchar(f_one * 300) == 255 && char(f_negative * 200) == -128);
    CHECK(all(int2(float2(f_big, f_negative)) == int2(INT_MAX, -1)));
    CHECK(all(uchar2(float2(f_big, f_negative)) == uchar2(255, 0)));
    bfloat b = bfloat(f_one * 3.14159f);
    half h = __msl_cast<half>(b);
    CHECK(float(b) == 3.140625f && float(h) == 3.140625f && float(half4(bfloat4(b)).w) == 3.140625f);
    // Each operation rounds to half.
    half third = half(f_one) / half(3);
    CHECK(float(third * half(3)) == 1.0f && float(half(2048) + half(f_one) + half(f_one)) == 2048);
    CHECK(isnan(f_nan) && !isnan(f_one) && isinf(f_big * 1e38f) && signbit(f_negative));
    CHECK(isnan(half(f_nan)) && isnan(bfloat(f_nan)) && !isfinite(half(f_big)));
    return 0;
}

static int integers()
{
    CHECK(popcount(u_bits) == 9 && clz(u_bits) == 0 && ctz(u_bits) == 0 && clz(0u) == 32);
    CHECK(clz(uchar(i_seven)) == 5 && ctz(ushort(0)) == 16 && reverse_bits(uchar(i_seven)) == 0xe0);
    CHECK(rotate(u_bits, 4u) == 0x0f0000f8u && rotate(uchar(0x81), uchar(1)) == 3);
    CHECK(addsat(INT_MAX, i_seven) == INT_MAX && subsat(i_min, i_seven) == INT_MIN);
    CHECK(addsat(uchar(250), uchar(i_seven)) == 255 && subsat(uchar(3), uchar(i_seven)) == 0);
    CHECK(mulhi(u_bits, 4u) == 2 && mulhi(i_min, 2) == -1);
    CHECK(mulhi(ulong(u_bits) << 32, 16ul) == 8 && absdiff(i_min, i_seven) == 2147483655u);
    CHECK(hadd(INT_MAX, INT_MAX - i_seven) == INT_MAX - 4 && rhadd(1, i_seven - 5) == 2);
    CHECK(extract_bits(u_bits, 20, 4) == 15 && extract_bits(int(u_bits), 28, 4) == -8);
    CHECK(insert_bits(0u, u_bits, 8, 4) == 0xf00u && insert_bits(~0u, 0u, 0, 32) == 0);
    CHECK(madsat(100, i_seven * 100000000, 5) == INT_MAX && mad24(3, i_seven, 1) == 22);
    CHECK(clamp(i_minus, -3, 3) == -3 && min3(i_seven, 2, 9) == 2 && median3(i_seven, 2, 9) == 7);
    CHECK(abs(i_minus) == 7 && all(abs(int2(i_minus, 3)) == int2(7, 3)));
    return 0;
}

static int floats()
{
    CHECK(max(f_nan, f_one) == 1 && min(f_one, f_nan) == 1 && clamp(f_big, 0.0f, 2.0f) == 2);
    CHECK(fract(f_negative) == 0.5f && saturate(f_negative) == 0 && sign(f_negative) == -1);
    CHECK(mix(1.0f, 3.0f, f_one * 0.5f) == 2 && smoothstep(0.0f, 2.0f, f_one) == 0.5f);
    CHECK(step(f_one, 0.5f) == 0 && copysign(f_one, f_negative) == -1 && fmod(-7.5f, f_one * 2) == -1.5f);
    float whole;
    CHECK(modf(f_negative, whole) == -0.5f && whole == -1);
    int exponent;
    CHECK(frexp(f_one * 12, exponent) == 0.75f && exponent == 4 && ilogb(f_one * 12) == 3);
    CHECK(ldexp(f_one, -149) == as_type<float>(1u) && ldexp(f_one, 127) == 0x1p127f);
    CHECK(rint(f_one * 2.5f) == 2 && round(f_one * 2.5f) == 3 && trunc(f_negative) == -1);
    return 0;
}

static int packing()
{
    CHECK(pack_float_to_unorm4x8(float4(0, f_one, 0.5f, 2)) == 0xff80ff00u);
    CHECK(pack_float_to_snorm2x16(float2(-1, f_one)) == 0x7fff8001u);
    CHECK(all(unpack_unorm4x8_to_float(0xff00ff00u) == float4(0, 1, 0, 1)));
    CHECK(all(unpack_snorm4x8_to_float(0x7f818000u) == float4(0, -1, -1, 1)));
    CHECK(all(unpack_unorm10a2_to_float(0xc00003ffu) == float4(1, 0, 0, 1)));
    CHECK(pack_float_to_unorm10a2(float4(f_one, 0, 0, 1)) == 0xc00003ffu);
    CHECK(pack_float_to_unorm565(float3(f_one, 0, 1)) == 0xf81f);
    CHECK(abs(unpack_unorm4x8_srgb_to_float(0x00000080u).x - 0.21586f) < 1e-4f);
    return 0;
}

// The line of the first check that does not hold, 0 when all do.
extern "C" int semantics_failure()
{
    int (*const groups[])() = {vectors, matrices, conversions, integers, floats, packing};
    for (auto group : groups)
        if (int line = group())
            return line;
    return 0;
}
