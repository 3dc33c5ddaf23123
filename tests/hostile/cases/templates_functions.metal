// wants: limit
template <int a, int b> int f(int x) { return f<a - 1, b * 2>(x) + f<a - 1, b * 2 + 1>(x) * 3; }
template <> int f<0, 0>(int x) { return x; }
template <int b> struct G { static int f(int x) { return x; } };
template <int a, int b> int g(int x) {
  if constexpr (a == 0) return x * b;
  else return g<a - 1, b * 2>(x) + g<a - 1, b * 2 + 1>(x) * 3;
}
kernel void k(device int *x [[buffer(0)]]) { x[0] = g<24, 1>(x[0]); }
