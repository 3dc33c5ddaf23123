// wants: pipeline function pointers
typedef void (*fn)();
kernel void k(device ulong *x [[buffer(0)]]) { ((fn)x[0])(); }
