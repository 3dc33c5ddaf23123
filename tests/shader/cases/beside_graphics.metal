// What has to do with graphics, beside kernels that have not: those are in the library, by name.
#include <metal_stdlib>
using namespace metal;
struct Vertex { float4 position [[attribute(0)]]; float2 uv [[attribute(1)]]; };
struct Raster { float4 position [[position]]; float2 uv; };
typedef texture2d<float, access::write> Picture;
struct Textures { texture2d<float> a [[id(0)]]; sampler s [[id(1)]]; };
constexpr sampler linear(coord::normalized, filter::linear);
static float4 look(texture2d<float> t, float2 at) { return t.sample(linear, at); }
vertex Raster corner(Vertex in [[stage_in]], constant float4x4 &m [[buffer(1)]]) { return {m * in.position, in.uv}; }
fragment float4 colour(Raster in [[stage_in]], texture2d<float> t [[texture(0)]]) { return look(t, in.uv); }
[[vertex]] float4 other(uint i [[vertex_id]]) { return float4(i); }
kernel void paint(Picture out [[texture(0)]], uint2 at [[thread_position_in_grid]]) { out.write(float4(1), at); }
kernel void table(constant Textures &t [[buffer(0)]], device float4 *x [[buffer(1)]]) { x[0] = look(t.a, 0); }
template <typename T> kernel void fill(texture2d<T> t [[texture(0)]], device T *x [[buffer(0)]]) { x[0] = t.read(uint2(0)).x; }
template [[host_name("fill_float")]] kernel void fill<float>(texture2d<float> t [[texture(0)]], device float *x [[buffer(0)]]);
kernel void twice(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] *= 2; }
namespace deeper
{
fragment [[early_fragment_tests]] float4 shade(Raster in [[stage_in]], depth2d<float> d [[texture(0)]])
{
    constexpr sampler s(compare_func::less);
    return d.sample_compare(s, in.uv, 0.5);
}
kernel void thrice(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] *= 3; }
}
// A type's name, and a variable's.
struct vertex_data { float4 vertex; };
kernel void names(device vertex_data *x [[buffer(0)]]) { float4 fragment = x[0].vertex; x[1].vertex = fragment; }
// expect: kernel paint
// expect: kernel table
// expect: kernel fill_float
// expect: kernel twice
// expect: buffer x type=float index=0
// expect: kernel deeper::thrice
// expect: kernel names
// expect: buffer x type=vertex_data index=0
// expect: kernel corner entry= 
// expect: kernel colour entry= 
// expect: kernel other entry= 
// expect: kernel shade entry= 
