// wants: pipeline undefined function 'system'
static int f() __attribute__((weakref("system")));
kernel void k(device int *x [[buffer(0)]]) { x[0] = f(); }
