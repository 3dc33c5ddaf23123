// wants: pipeline undefined function
extern "C" int printf(const char *, ...);
extern "C" void *malloc(unsigned long);
kernel void k(device int *x [[buffer(0)]]) { x[0] = printf("id %p", malloc(4)); }
