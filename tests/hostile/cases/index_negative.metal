// wants: library
kernel void k(device int *x [[buffer(-1)]]) { x[0] = 1; }
