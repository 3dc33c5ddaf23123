// wants: library raw string
constant char a[] = R"abc(
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
