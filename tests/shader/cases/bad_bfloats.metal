#include <metal_stdlib>
using namespace metal;
// A float becomes a bfloat by a cast only.
typedef bfloat bf;
template <typename T> T narrow(float y)
{
    T z = y;
    return z;
}
void take(bfloat)
{
}
kernel void k(device bf *out, device const bfloat *in, device float *f, device half *h)
{
    out[0] = f[1];
    out[1] = bfloat(f[1]) + (bfloat)0.1;
    out[2] += f[3];
    out[3] = in[1] * 2.5f;
    take(f[2]);
    out[4] = narrow<bfloat>(f[2]);
    out[5] = 0.1f;
    out[6] = in[1] * 2 + in[2];
    out[7] = sqrt(in[0]) + max(in[1], in[2]);
    f[1] = in[0] + narrow<float>(f[0]);
    h[0] = f[0] + narrow<half>(f[1]);
}
// error: 15:14 'bfloat' cannot be given a value of type 'float' without a conversion
// error: 17:15 'bfloat' cannot be given a value of type 'float' without a conversion
// error: 18:20 'bfloat' cannot be given a value of type 'float' without a conversion
// error: 19:10 'bfloat' cannot be given a value of type 'float' without a conversion
// error: 21:14 'bfloat' cannot be given a value of type 'float' without a conversion
// error: 7:11 'bfloat' cannot be given a value of type 'float' without a conversion
