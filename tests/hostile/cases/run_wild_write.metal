// wants: fault
kernel void k(device int *x [[buffer(0)]]) { *(device int *)(ulong)0xdeadbee0 = x[0]; }
