// wants: library
constexpr int f(int n) { return n ? f(n + 1) : 0; }
static_assert(f(1) == 0, "");
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
