// wants: timeout
#include <metal_stdlib>
using namespace metal;
kernel void k(device atomic_uint *x [[buffer(0)]]) {
  while (atomic_load_explicit(x, memory_order_relaxed) != 0xffffffff) {}
}
