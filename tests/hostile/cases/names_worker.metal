// wants: runs
extern "C" int abx_entry(int a) { return a * 3; }
extern "C" int abx_rt_give(int a) { return a * 3; }
extern "C" float sinf(float a) { return a * 3; }
kernel void k(device int *x [[buffer(0)]]) { x[1] = abx_entry(x[1]) + abx_rt_give(x[2]) + (int)sinf(2); }
