// expect: kernel k
#include <metal_stdlib>
using namespace metal;
template <typename T, typename U> T to(U u)
{
    return static_cast<T>(u);
}
kernel void k(device half *h, device bfloat *b, device float *f, device half4 *h4,
        device bfloat4 *b4, uint i [[thread_position_in_grid]])
{
    h[i] = (half)b[i] + half(b[i + 1]) + to<half>(b[i]) + 0.5h + 1.0H;
    b[i] = (bfloat)(h[i]) + bfloat(h[i]) + static_cast<bfloat>(h[i]) + 0.5bf;
    f[i] = float(h[i]) * b[i] + -(half)b[i];
    h4[i] = half4(b4[i]);
    b4[i] = bfloat4(h4[i]) * b[i];
    half2 pair = half2((half)b[i], (half)b[i + 1]);
    h[i] += pair.x + exp(h[i]) + max(h[i], 0.0h) + fma(h[i], h[i], 1.0h);
    b[i] += exp(b[i]) + max(b[i], b[0]) + abs(b[i]);
    f[i] += isnan(h[i]) ? 1.0 : isinf(b[i]) ? 2.e-1 : 0x1p-3;
}
inline void fill(threadgroup half (&tile)[2][4], thread bfloat (*row)[4], device half (&out)[4])
{
    tile[1][3] = half(3);
    row[0][1] = bfloat(tile[1][3]);
    out[0] = half(row[0][1]);
}
kernel void array_references(device half *x)
{
    threadgroup half tile[2][4];
    bfloat row[1][4];
    fill(tile, row, *(device half (*)[4])x);
}
