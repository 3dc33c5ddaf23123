// wants: library expected
#undef kernel
#define device
#define template enum
#define struct union
kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }
template <int a> struct S { };
