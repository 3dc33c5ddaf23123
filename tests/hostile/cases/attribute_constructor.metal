// wants: library
struct S { int a; S() : a(system("id")) {} int system(constant char *) { return 1; } };
S global;
kernel void k(device int *x [[buffer(0)]]) { x[0] = global.a; }
