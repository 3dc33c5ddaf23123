// wants: 2:10 'program_source' file not found
#include __FILE__
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
