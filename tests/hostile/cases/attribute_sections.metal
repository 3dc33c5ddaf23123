// wants: runs
__attribute__((constructor)) void c() {}
__attribute__((destructor)) void d() {}
__attribute__((section("evil"))) constant int v = 3;
__attribute__((section(".init_array"))) constant int w = 3;
__attribute__((section(".text,\"ax\",@progbits\n ret\n"), used)) void f() {}
__attribute__((visibility("default"), used)) void vis() {}
__attribute__((retain, used)) constant int r = 4;
kernel void k(device int *x [[buffer(0)]]) { x[0] = v + w + r; }
