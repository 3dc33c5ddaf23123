// wants: pipeline address space
kernel void k(device ulong *x [[buffer(0)]]) { x[0] = *(ulong __attribute__((address_space(257))) *)0; }
