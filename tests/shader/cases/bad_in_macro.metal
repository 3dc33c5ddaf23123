#include <metal_stdlib>
#define ADD(a, b) ((a) + (b))
using namespace metal;
kernel void k(device float *a, uint i [[thread_position_in_grid]])
{
    a[i] = ADD(1.0, nope)   +   zip;
	a[i] =   ADD(2, 3) + (half)   zap;
}
// error: 6:12 use of undeclared identifier 'nope'
// error: 6:33 use of undeclared identifier 'zip'
// error: 7:32 use of undeclared identifier 'zap'
