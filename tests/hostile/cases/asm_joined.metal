// wants: 2:46 inline assembly
kernel void k(device int *x [[buffer(0)]]) { a\
sm("nop"); x[0] = 1; }
