// wants: limit
template <uint a, uint b> struct F { static constexpr uint v = F<a - 1, b * 2>::v + F<a - 1, b * 2 + 1>::v; };
template <uint b> struct F<0, b> { static constexpr uint v = b; };
kernel void k(device int *x [[buffer(0)]]) { x[0] = F<28, 1>::v; }
