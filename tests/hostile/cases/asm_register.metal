// wants: library inline assembly
kernel void k(device ulong *x [[buffer(0)]]) { register ulong r asm("rsp"); x[0] = r; }
