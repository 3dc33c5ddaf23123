// wants: pipeline function
extern "C" int system(const char *);
kernel void k(device ulong *x [[buffer(0)]]) { x[0] = (ulong)&system; }
