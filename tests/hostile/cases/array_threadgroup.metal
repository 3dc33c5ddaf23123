// wants: pipeline exceeds the maximum threadgroup memory
kernel void k(device int *x [[buffer(0)]]) { threadgroup int a[1 << 28]; a[x[0]] = 1; x[1] = a[x[2]]; }
