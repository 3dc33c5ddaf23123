// wants: library expected member name
struct S { ,,,, int a;;, b, , ; };
kernel void k(device S *x [[buffer(0)]]) { x[0].a = 1; }
