// macro: void=int
// wants: 3:13 a kernel function must return 'void'
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
