// wants: library
kernel void k(device int *x [[buffer(4294967296)]]) { x[0] = 1; }
