// wants: runs
kernel void k(device int *é [[buffer(0)]]) { é[0] = 1; }
