// expect: kernel scale_half
// expect: buffer x type=half index=0 access=read_write size=2
// expect: kernel scale_float
// expect: buffer x type=float index=0 access=read_write size=4
// expect: kernel scale_bfloat
// expect: buffer x type=bfloat index=0
// expect: kernel tiled_8_float
// expect: kernel inner_int
// expect: buffer x type=int
#include <metal_stdlib>
using namespace metal;
template <typename T>
kernel void scale(device T *x [[buffer(0)]], constant T &k [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    x[i] *= k;
}
template [[host_name("scale_half")]] kernel void scale<half>(
        device half *x, constant half &k, uint i);
template [[host_name("scale_float")]] [[kernel]] decltype(scale<float>) scale<float>;
template [[host_name("scale_" "bfloat")]] kernel void scale(
        device bfloat *x, constant bfloat &k, uint i);
typedef decltype(scale<float>) scale_t;
template <int N, typename T = float>
[[kernel]] void tiled(device T *x, uint i [[thread_position_in_grid]])
{
    T tile[N];
#pragma unroll(N)
    for (int j = 0; j < N; j++)
        tile[j] = x[i * N + j];
    x[i] = tile[N - 1];
}
template [[host_name("tiled_8_float")]] [[kernel]] decltype(tiled<8, float>) tiled<8, float>;
namespace space
{
template <typename T> kernel void inner(device T *x, uint i [[thread_position_in_grid]])
{
    x[i] = T(1);
}
template [[host_name("inner_int")]] kernel void inner<int>(device int *, uint);
} // namespace space

// Without a name for the host nothing can find it, but it is compiled.
template <typename T> [[kernel]] void by_attribute(device T *x [[buffer(0)]])
{
    x[0] = 1;
}
template [[kernel]] void by_attribute<int>(device int *);
template kernel void by_attribute<float>(device float *);
template [[host_name("by_attribute_half")]] [[kernel]] void by_attribute<half>(device half *);
// expect: kernel by_attribute_half
