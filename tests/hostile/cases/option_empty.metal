// macro: 
// wants: library preprocessor macros are malformed
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
