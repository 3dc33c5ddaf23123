#include <metal_stdlib>
using namespace metal;
// Both arms of a conditional have one type, wherever they lie.
struct Pair {
    float a, b;
    Pair operator+(Pair o) const { return {a + o.a, b + o.b}; }
};
struct Holder {
    Pair pair;
    Pair at(int) const { return pair; }
};
constant Pair none = {0, 0};
template <typename T, int K> kernel void pick(device const T *in [[buffer(1)]],
        device T *out [[buffer(0)]], constant T &other [[buffer(2)]],
        uint i [[thread_position_in_grid]])
{
    threadgroup T shared[4];
    T init{};
    device const T *p = in + i;
    shared[i & 3] = i < K ? in[i] : init;
    T v = i < K ? init : in[i];
    v = v + (i > 3 ? *p : shared[1]);
    v = v + (i > 4 ? other : i > 5 ? init : in[2]);
    v = v + (i > 6 ? T{} : i > 7 ? other : init);
    const T w = i > 8 ? other : shared[i & 3];
    out[i] = i > 9 ? v + w : *p;
}
kernel void members(device Holder *h, constant Holder &c, uint i [[thread_position_in_grid]])
{
    Holder mine = h[i];
    Pair x = i > 1 ? h[0].pair : mine.pair;
    Pair y = i > 2 ? c.pair : x + x;
    Pair z = i > 3 ? none : h[1].at(0);
    h[i].pair = i > 4 ? (i > 5 ? x : h[2].pair) : y + z;
}
template [[host_name("pick_pair_1")]] kernel void pick<Pair, 1>(
        device const Pair *, device Pair *, constant Pair &, uint);
template [[host_name("pick_pair_2")]] kernel void pick<Pair, 2>(
        device const Pair *, device Pair *, constant Pair &, uint);
template [[host_name("pick_float")]] kernel void pick<float, 2>(
        device const float *, device float *, constant float &, uint);
template [[host_name("pick_half3")]] kernel void pick<half3, 2>(
        device const half3 *, device half3 *, constant half3 &, uint);
// expect: kernel members
// expect: kernel pick_half3
