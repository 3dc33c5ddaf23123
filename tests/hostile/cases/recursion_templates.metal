// wants: library recursive template instantiation exceeded maximum depth
template <int n> struct F { static constexpr int v = F<n + 1>::v + 1; };
kernel void k(device int *x [[buffer(0)]]) { x[0] = F<0>::v; }
