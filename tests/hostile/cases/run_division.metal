// wants: runs
kernel void k(device int *x [[buffer(0)]]) { x[3] = x[1] / (x[2] - x[2]); x[4] = (x[2] - x[2] + -2147483647 - 1) / (x[2] - x[2] - 1); }
