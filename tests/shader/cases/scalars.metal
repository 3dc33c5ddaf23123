#include <metal_stdlib>
using namespace metal;
static_assert(
        sizeof(bool) == 1 && sizeof(char) == 1 && sizeof(uchar) == 1 && sizeof(short) == 2, "");
static_assert(sizeof(int) == 4 && sizeof(long) == 8 && sizeof(ulong) == 8 && sizeof(half) == 2 &&
                      sizeof(bfloat) == 2 && sizeof(float) == 4,
        "");
static_assert(sizeof(size_t) == 8 && sizeof(ptrdiff_t) == 8 && sizeof(uintptr_t) == 8 &&
                      sizeof(intptr_t) == 8,
        "");
static_assert(is_same_v<int8_t, char> || sizeof(int8_t) == 1, "");
static_assert(is_same_v<unsigned char, uchar> && is_same_v<unsigned short, ushort> &&
                      is_same_v<unsigned int, uint> && is_same_v<unsigned long, ulong>,
        "");
static_assert(is_same_v<uint32_t, uint> && is_same_v<int64_t, long> && is_same_v<uint64_t, ulong> &&
                      is_same_v<uint16_t, ushort>,
        "");
static_assert(is_same_v<decltype(0.5), float> && is_same_v<decltype(0.5h), half> &&
                      is_same_v<decltype(0.5bf), bfloat> && is_same_v<decltype(1e3F), float>,
        "");
static_assert(is_same_v<decltype(1.0H), half> && is_same_v<decltype(1.BF), bfloat>, "");
static_assert(
        is_same_v<decltype(half(1) + half(1)), half> && is_same_v<decltype(half(1) + 1.0f), float>,
        "");
static_assert(is_same_v<decltype(half(1) + 1), half> &&
                      is_same_v<decltype(bfloat(1) + 1.0f), float> &&
                      is_same_v<decltype(bfloat(1) * bfloat(2)), bfloat>,
        "");
static_assert(is_same_v<decltype(char(1) + char(1)), int> && is_same_v<decltype(1u + 1), uint> &&
                      is_same_v<decltype(1L), long>,
        "");
static_assert('a' == 97 && char(-1) < 0, "");
kernel void k(device half *h, device bfloat *b, device float *f, device long *l, device ulong *u,
        device bool *p, device size_t *s)
{
    h[0] = 1.5h;
    b[0] = 2.5bf;
    f[1] = f[0] + h[0];
    l[0] = 1l << 40;
    u[0] = ~0ul;
    p[0] = l[0] && u[0];
    s[0] = sizeof(float3);
    h[1] = half(b[0]);
    b[1] = bfloat(h[0]);
    h[2] = f[0];
    b[2] = static_cast<bfloat>(f[0]);
    f[2] = 0x1.8p3 + 0x1p-2f + 0x1.8p3h + 0xffull;
    f[3] = 1'000.0;
    f[4] = .5;
    f[5] = 1e-3;
    u[1] = 0b1011;
    h[3] += 1;
    h[3] *= 2.0h;
    b[3] -= b[0];
    b[3]++;
    --h[3];
    f[6] = as_type<float>(1u);
    u[2] = as_type<ulong>(float2(1, 2));
    h[4] = as_type<half>(ushort(3));
    b[4] = as_type<bfloat>(ushort(4));
}
