// wants: 4:46 inline assembly
#define CAT(a, b) CAT_(a, b)
#define CAT_(a, b) a##b
kernel void k(device int *x [[buffer(0)]]) { CAT(as, m)("nop"); x[0] = 1; }
