// wants: library too large
kernel void k(device int *x [[buffer(0)]]) { int a[1ul << 62]; a[x[0]] = 1; x[1] = a[x[2]]; }
