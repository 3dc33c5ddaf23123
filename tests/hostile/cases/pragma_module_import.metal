// wants: 2:29 module 'std' not found
#pragma clang module import std
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
