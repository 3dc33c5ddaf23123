// wants: 2:52 negative size
kernel void k(device int *x [[buffer(0)]]) { int a[-1]; x[0] = a[0]; }
