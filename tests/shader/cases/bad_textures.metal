#include <metal_stdlib>
using namespace metal;
kernel void k(texture2d<float, access::read> t [[texture(0)]],
        depth2d<float> d [[texture(1)]], device float4 *x)
{
    constexpr sampler s(filter::linear);
    x[0] = t.sample(s, float2(0));
}
// error: 3:15 textures are not supported yet
// error: 3:50 textures are not supported yet
// error: 4:9 textures are not supported yet
// error: 4:28 textures are not supported yet
// error: 6:15 samplers are not supported yet
