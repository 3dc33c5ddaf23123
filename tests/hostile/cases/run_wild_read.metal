// wants: fault
kernel void k(device int *x [[buffer(0)]]) { x[0] = x[(long)1 << 45]; }
