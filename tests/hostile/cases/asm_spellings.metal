// wants: 2:46 inline assembly
kernel void k(device int *x [[buffer(0)]]) { __asm("nop"); __asm__("nop"); x[0] = 1; }
