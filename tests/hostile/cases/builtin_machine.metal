// wants: 2:55 '__builtin_ia32_rdtsc' is not supported
kernel void k(device ulong *x [[buffer(0)]]) { x[0] = __builtin_ia32_rdtsc(); }
