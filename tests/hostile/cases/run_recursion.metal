// wants: pipeline function pointers
typedef int (*fn)(int, ulong);
int f(int n, ulong self) { return n ? ((fn)self)(n - 1, self) + 1 : 0; }
kernel void k(device int *x [[buffer(0)]]) { x[0] = f(1 << 30, (ulong)&f); }
