// wants: 2:22 inline assembly
void f(const char *) __asm__("system");
kernel void k(device int *x [[buffer(0)]]) { f("id"); x[0] = 1; }
