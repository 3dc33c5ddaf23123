#include <metal_stdlib>
using namespace metal;
struct V {
    float4 position [[position]];
};
vertex V v(uint i [[vertex_id]])
{
    return {};
}
fragment float4 f(V in [[stage_in]])
{
    return 1;
}
[[stitchable]] float seen(float x)
{
    return x;
}
// error: 6:1 vertex functions are not supported yet
// error: 10:1 fragment functions are not supported yet
// error: 14:3 stitchable functions are not supported yet
