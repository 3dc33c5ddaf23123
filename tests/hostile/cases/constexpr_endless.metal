// wants: library constant expression
constexpr int f() { int n = 0; for (;;) n++; return n; }
constant int v = f();
static_assert(f() == 0, "");
kernel void k(device int *x [[buffer(0)]]) { x[0] = v; }
