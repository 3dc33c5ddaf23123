// What is left out for its textures is missed by a kernel: said where it stands, not where it is missed.
#include <metal_stdlib>
using namespace metal;
static float size_of(texture2d<float> t)
{
    return t.get_width();
}
kernel void none(device float *x [[buffer(0)]])
{
    x[0] = size_of({});
}
// error: 4:22 textures are not supported yet
