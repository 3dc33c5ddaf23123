// wants: runs
int f(int n) { return n < 2 ? 1 : f(n - 1) * f(n - 2); }
kernel void k(device int *x [[buffer(0)]]) { x[0] = f(x[0] & 7); }
