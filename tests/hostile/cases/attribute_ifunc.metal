// wants: pipeline ifunc
extern "C" { void *resolve() { return 0; } }
__attribute__((ifunc("resolve"))) int f();
kernel void k(device int *x [[buffer(0)]]) { x[0] = f(); }
