// no code for nvptx: recursive functions are not supported on NVIDIA's processors
#include <metal_stdlib>
using namespace metal;
// What calls itself last only would be a loop.
uint fibonacci(uint n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}
kernel void recursion_twice(device uint *x [[buffer(0)]], uint i [[thread_position_in_grid]])
{
    x[i] = fibonacci(fibonacci(x[i]) - 1);
}
