// wants: 2:48 '__builtin_trap' is not supported
kernel void k(device ulong *x [[buffer(0)]]) { __builtin_trap(); }
