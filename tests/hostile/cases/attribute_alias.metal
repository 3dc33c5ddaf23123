// wants: pipeline alias
extern "C" int real() { return 4; }
extern "C" __attribute__((alias("real"))) int f();
kernel void k(device int *x [[buffer(0)]]) { x[0] = f(); }
