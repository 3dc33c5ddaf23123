// wants: library must be between 1 and 1024
[[max_total_threads_per_threadgroup(-1)]] kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
