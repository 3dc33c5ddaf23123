// option: -D COUNT=4
// The macro makes the preprocessor read it first.
#include <metal_stdlib>
using namespace metal;
// Errors that only an instantiation shows, in kernels, in what they call, and in their parameters.
struct Pair {
    float a, b;
};
template <typename T> T twice(T x)
{
    return x.nothing * 2;
}
template <typename T, int K> kernel void pick(
        device const T *in, device T *out, uint i [[thread_position_in_grid]])
{
    T init{};
    out[i] = i < K ? in[i].missing : init;
}
template <typename T> kernel void call(device T *out)
{
    out[0] = twice(out[0]);
}
template <typename T> kernel void lengths(device T *out)
{
    static_assert(sizeof(T) == COUNT, "of another size");
    out[0] = T(0);
}
template <int N> kernel void by_value(device float *out, array<float, N> x)
{
    out[0] = x[0];
}
template [[host_name("pick_1")]] kernel void pick<Pair, 1>(device const Pair *, device Pair *, uint);
template [[host_name("pick_2")]] kernel void pick<Pair, 2>(device const Pair *, device Pair *, uint);
template [[host_name("call_pair")]] kernel void call<Pair>(device Pair *);
template [[host_name("lengths_float")]] kernel void lengths<float>(device float *);
template [[host_name("lengths_half")]] kernel void lengths<half>(device half *);
template [[host_name("by_value_2")]] kernel void by_value<2>(device float *, array<float, 2>);
// error: 17:28 no member named 'missing' in 'Pair'
// error: 11:14 no member named 'nothing' in 'Pair'
// error: 25:19 static assertion failed
// error: 37:50 a kernel's parameters must be pointers or references
