#include <metal_stdlib>
using namespace metal;
kernel void k(device float *o, uint t [[thread_position_in_grid]])
{
    float s = 2;
    auto f = [](float x) { return x * 2; };
    auto g = [&](float x) -> float {
        s += x;
        return s;
    };
    auto h = [=](float x) mutable { return x + s; };
    o[t] = f(1) + g(2) + h(3) + [](int a) { return a; }(3);
    o[t] += [&] { return o[t] + 1; }();
    auto gen = [](auto x) { return x; };
    o[t] += gen(1) + gen(2.0f);
}
