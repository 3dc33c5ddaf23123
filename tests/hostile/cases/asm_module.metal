// wants: 2:1 inline assembly
__asm__(".globl evil\nevil: ret");
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
