// expect: kernel r_8_8
#include <metal_stdlib>
using namespace metal;
float2 __WMMA_8_8_8_half_float(half2 a, half2 b, float2 c){
  simdgroup_half8x8 mat_a, mat_b; simdgroup_float8x8 mat_c;
  mat_a.thread_elements()[0] = a[0]; mat_b.thread_elements()[0] = b[0]; mat_c.thread_elements()[0] = c[0];
  mat_a.thread_elements()[1] = a[1]; mat_b.thread_elements()[1] = b[1]; mat_c.thread_elements()[1] = c[1];
  simdgroup_multiply_accumulate(mat_c, mat_a, mat_b, mat_c);
  return float2(mat_c.thread_elements()[0], mat_c.thread_elements()[1]);
}
kernel void r_8_8(device float* data0_64, device half* data1_64, device half* data2_64, uint3 gid [[threadgroup_position_in_grid]], uint3 lid [[thread_position_in_threadgroup]]) {
  int lidx0 = lid.x; /* 32 */
  half2 val0 = *((device half2*)((data1_64+(lidx0<<1))));
  float2 wmma0 = __WMMA_8_8_8_half_float(val0, val0, float2(0.0f,0.0f));
  *((device float2*)((data0_64+(lidx0<<1)))) = float2(wmma0.x,(wmma0.y*(1/1.5f)));
}
