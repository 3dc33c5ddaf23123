// wants: pipeline undefined function 'system'
extern "C" int system(const char *);
kernel void k(device int *x [[buffer(0)]]) { x[0] = system("id"); }
