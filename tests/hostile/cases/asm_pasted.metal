// wants: 2:46 reserved
kernel void k(device int *x [[buffer(0)]]) { __ABX_CAT(as, m)("syscall"); x[0] = 1; }
