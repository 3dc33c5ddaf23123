// wants: 2:58 must be between 1 and 1024
[[required_threads_per_threadgroup(64, 64)]] kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
