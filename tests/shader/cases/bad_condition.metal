#include <metal_stdlib>
#ifdef X
kernel void k(device int *x)
{
}
// error: 2:2 unterminated conditional directive
