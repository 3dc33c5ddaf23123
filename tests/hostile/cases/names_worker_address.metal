// wants: pipeline function pointers
extern "C" int abx_entry(int a) { return a * 3; }
typedef int (*fn)(int);
kernel void k(device int *x [[buffer(0)]]) { fn f = abx_entry; x[0] = ((volatile fn &)f)(3); }
