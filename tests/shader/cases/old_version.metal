// option: -l 2.2
// expect: kernel k
#include <metal_stdlib>
#if __METAL_VERSION__ != 220 || defined(__HAVE_BFLOAT__) || defined(__HAVE_SIMDGROUP_MATRIX__)
#error not 2.2
#endif
kernel void k(device int *x)
{
    x[0] = __METAL_VERSION__;
}
