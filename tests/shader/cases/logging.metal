// Messages from kernels: the default log and one with names, any arguments.
#include <metal_logging>
using namespace metal;
constant os_log mine("a", "b");
kernel void f(device int *x [[buffer(0)]], uint i [[thread_position_in_grid]]) { mine.log("%d", x[i]); os_log_default.log_error("no"); x[i]++; }
// expect: kernel f
