#include <metal_stdlib>
kernel int k(device float *x)
{
    return 1;
}
// error: 2:12 a kernel function must return 'void'
