// extern "C", before braces and before one declaration.
#include <metal_stdlib>
using namespace metal;

extern "C" struct Params {
    uint height;
    uint width;
};
extern "C" {
struct Other {
    uint a;
};
}
extern "C" float half_of(float x)
{
    return x / 2;
}
kernel void k(device float *x [[buffer(0)]], constant Params &p [[buffer(1)]],
        constant Other &o [[buffer(2)]], uint i [[thread_position_in_grid]])
{
    x[i] = half_of(x[i]) + p.height + o.a;
}
// expect: kernel k
