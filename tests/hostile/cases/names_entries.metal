// wants: 2:17 reserved
extern "C" void __abx_k_0() {}
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
