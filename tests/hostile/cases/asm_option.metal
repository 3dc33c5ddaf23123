// macro: NOTHING=asm("nop")
// wants: 3:46 inline assembly
kernel void k(device int *x [[buffer(0)]]) { NOTHING; x[0] = 1; }
