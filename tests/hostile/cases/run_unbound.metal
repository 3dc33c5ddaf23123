// wants: fault
kernel void k(device int *x [[buffer(0)]], device int *y [[buffer(1)]]) { y[x[0] & 1] = 1; }
