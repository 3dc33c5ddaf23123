// wants: library
__attribute__((interrupt)) void f(void *) {}
__attribute__((target("avx512f"))) int g() { return 1; }
__attribute__((target_clones("avx2", "default"))) int h() { return 1; }
kernel void k(device int *x [[buffer(0)]]) { f(0); x[0] = g() + h(); }
