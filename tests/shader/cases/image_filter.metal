// expect: kernel sobel
#include <metal_stdlib>
using namespace metal;
struct Image {
    uint width, height, stride;
};
static inline float luminance(uchar4 c)
{
    return dot(float3(c.rgb) / 255.0, float3(0.299, 0.587, 0.114));
}
kernel void sobel(device const uchar4 *in [[buffer(0)]], device uchar4 *out [[buffer(1)]],
        constant Image &image [[buffer(2)]], uint2 at [[thread_position_in_grid]])
{
    if (at.x >= image.width || at.y >= image.height)
        return;
    float gx = 0, gy = 0;
    for (int y = -1; y <= 1; y++) {
        for (int x = -1; x <= 1; x++) {
            int2 p = clamp(int2(at) + int2(x, y), int2(0), int2(image.width, image.height) - 1);
            float l = luminance(in[p.y * image.stride + p.x]);
            gx += l * x * (2 - abs(y));
            gy += l * y * (2 - abs(x));
        }
    }
    float edge = saturate(length(float2(gx, gy)));
    out[at.y * image.stride + at.x] = uchar4(uchar3(edge * 255), 255);
}
