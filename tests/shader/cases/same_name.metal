#include <metal_stdlib>
using namespace metal;
// A kernel and functions of one name, before and after it, in name spaces, of templates.
inline float scale(float x)
{
    return x * 2;
}
kernel void scale(device float *x [[buffer(0)]], constant float weights[4],
        uint i [[thread_position_in_grid]])
{
    x[i] = scale(x[i]) * weights[i & 3];
}
namespace inner
{
struct Pair {
    float a, b;
};
kernel void add(device Pair *p, uint i [[thread_position_in_grid]]);
float add(float a, float b)
{
    return a + b;
}
kernel void add(device Pair *p, uint i [[thread_position_in_grid]])
{
    p[i].a = add(p[i].a, p[i].b);
}
} // namespace inner
template <typename T> T twice(T x)
{
    return x + x;
}
template <typename T> kernel void twice(device T *x, uint i [[thread_position_in_grid]])
{
    x[i] = twice(x[i]);
}
template [[host_name("twice_half")]] kernel void twice<half>(device half *x, uint i);
template [[host_name("twice_float")]] kernel void twice<float>(
        device float *x, uint i [[thread_position_in_grid]]);
// expect: kernel scale
// expect: weights type=float index=1 access=read size=4
// expect: kernel inner::add
// expect: kernel twice_half
// expect: kernel twice_float
