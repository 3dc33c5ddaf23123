// wants: library poisoned
#pragma GCC poison kernel
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
