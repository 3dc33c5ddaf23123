#include <metal_stdlib>
using namespace metal;
struct S {
    int a;
};
constant S whole [[function_constant(1)]];
kernel void k(device int *x)
{
    x[0] = whole.a;
}
// error: 6:12 a function constant must be a scalar or vector
