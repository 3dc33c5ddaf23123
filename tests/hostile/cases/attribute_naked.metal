// wants: pipeline naked
__attribute__((naked, noinline)) int f() {}
kernel void k(device int *x [[buffer(0)]]) { x[0] = f(); }
