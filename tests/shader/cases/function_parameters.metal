// Functions given to functions: they are known where they are called, and disappear.
#include <metal_stdlib>
using namespace metal;

inline half twice(half x, half y)
{
    return x + y;
}
inline half apply(half x, half (*op)(half, half))
{
    return op(x, x);
}
template <typename F> bfloat apply_any(bfloat x, F f)
{
    return f(x);
}
inline bfloat negate(bfloat x)
{
    return -x;
}
kernel void applied(device half *x [[buffer(0)]], device bfloat *y [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    x[i] = apply(x[i], twice);
    y[i] = apply_any(y[i], negate);
}
// expect: kernel applied
