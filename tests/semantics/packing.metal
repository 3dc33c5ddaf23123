// <metal_pack>: every value of a component unpacks to what the specification says and packs back.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

kernel void unpack_and_pack(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    for (uint k = 0; k < 4; k++) {
        uint x = data[(i + k * 1000) % 4096];
        float4 u = unpack_unorm4x8_to_float(x), s = unpack_snorm4x8_to_float(x);
        for (uint c = 0; c < 4; c++) {
            uint byte = x >> (8 * c) & 255;
            float want = max(float(char(byte)) / 127.0f, -1.0f);
            CHECK(fabs(u[c] - float(byte) / 255.0f) <= 6e-8f && fabs(s[c] - want) <= 6e-8f);
        }
        CHECK(pack_float_to_unorm4x8(u) == x);
        CHECK(pack_half_to_unorm4x8(unpack_unorm4x8_to_half(x)) == x);
        uint packed = pack_float_to_snorm4x8(s); // -128 comes back as -127
        for (uint c = 0; c < 4; c++)
            CHECK(max(int(char(x >> (8 * c))), -127) == int(char(packed >> (8 * c))));
        float2 u2 = unpack_unorm2x16_to_float(x), s2 = unpack_snorm2x16_to_float(x);
        CHECK(fabs(u2.x - float(x & 65535) / 65535.0f) <= 6e-8f && fabs(u2.y - float(x >> 16) / 65535.0f) <= 6e-8f);
        CHECK(fabs(s2.x - max(float(short(x)) / 32767.0f, -1.0f)) <= 6e-8f);
        CHECK(pack_float_to_unorm2x16(u2) == x);
        CHECK(short(pack_float_to_snorm2x16(s2)) == max(int(short(x)), -32767));
        float4 ten = unpack_unorm10a2_to_float(x);
        CHECK(fabs(ten.x - float(x & 1023) / 1023.0f) <= 6e-8f && fabs(ten.w - float(x >> 30) / 3.0f) <= 6e-8f);
        CHECK(pack_float_to_unorm10a2(ten) == x);
        float3 five = unpack_unorm565_to_float(ushort(x));
        CHECK(pack_float_to_unorm565(five) == ushort(x));
        CHECK(fabs(five.y - float(x >> 5 & 63) / 63.0f) <= 6e-8f);
        CHECK(pack_half_to_unorm565(unpack_unorm565_to_half(ushort(x))) == ushort(x));
        float4 srgb = unpack_unorm4x8_srgb_to_float(x);
        CHECK(pack_float_to_srgb_unorm4x8(srgb) == x);
        float one = float(x & 255) / 255.0f;
        float linear = one <= 0.04045f ? one / 12.92f : pow((one + 0.055f) / 1.055f, 2.4f);
        CHECK(fabs(srgb.x - linear) < 1e-6f && fabs(srgb.w - float(x >> 24) / 255.0f) < 1e-6f);
    }
    // Out of range is clamped, halfway goes to even, NaN to the lowest.
    float one = float(data[1]);
    CHECK(pack_float_to_unorm4x8(float4(-one, 2 * one, 0.5f / 255 * one, 1.5f / 255 * one)) == 0x0200ff00u);
    CHECK(pack_float_to_snorm4x8(float4(-2 * one, 2 * one, 0, one)) == 0x7f007f81u);
    CHECK((pack_float_to_unorm4x8(float4(NAN * one, 0, 0, 0)) & 255) == 0);
}
