// wants: runs
#pragma clang __debug crash
#pragma clang __debug parser_crash
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
