// wants: 2:62 '__builtin_alloca' is not supported
kernel void k(device ulong *x [[buffer(0)]]) { x[0] = (ulong)__builtin_alloca(1 << 30); }
