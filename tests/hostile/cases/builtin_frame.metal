// wants: 2:62 '__builtin_return_address' is not supported
kernel void k(device ulong *x [[buffer(0)]]) { x[0] = (ulong)__builtin_return_address(0); }
