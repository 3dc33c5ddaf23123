// wants: runs
kernel void k(device int *x [[buffer(0)]]) { if (x[0] > -1000000) __builtin_unreachable(); x[0] = 1; }
