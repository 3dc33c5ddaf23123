// wants: 2:53 '__builtin_printf' is not supported
kernel void k(device int *x [[buffer(0)]]) { x[0] = __builtin_printf("id"); }
