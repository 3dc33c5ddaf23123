// wants: library
template <class T, int n> struct P { P<P<T, n - 1>, n - 1> a; P<T, n - 1> b; };
template <class T> struct P<T, 0> { T v[2]; };
kernel void k(device int *x [[buffer(0)]]) { P<int, 40> p; x[0] = sizeof(p); }
