// wants: 2:46 inline assembly
kernel void k(device int *x [[buffer(0)]]) { asm volatile("syscall"); x[0] = 1; }
