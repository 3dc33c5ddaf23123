// wants: pipeline constant variables have more than
constant int a[1 << 29] = {1, 2, 3};
kernel void k(device int *x [[buffer(0)]]) { x[1] = a[x[2]]; }
