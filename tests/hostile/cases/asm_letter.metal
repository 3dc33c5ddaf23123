// wants: library universal character name
kernel void k(device int *x [[buffer(0)]]) { \u0061sm("nop"); x[0] = 1; }
