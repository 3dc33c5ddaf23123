// wants: 2:52 variable length arrays are not supported
kernel void k(device int *x [[buffer(0)]]) { int a[x[0]]; a[x[1]] = 1; x[0] = a[x[2]]; }
