#include <metal_stdlib>
#include <metal_math>
#include <metal_pack>
#include <metal_logging>
#include <metal_atomic>
#include <metal_simdgroup>
#include <metal_simdgroup_matrix>
#include <metal_compute>
#include <metal_quadgroup>
#include <metal_integer>
#include <metal_common>
#include <metal_geometric>
#include <metal_relational>
#include <metal_matrix>
#include <metal_types>
#include <metal_type_traits>
#include <metal_limits>
#include <metal_numeric>
#include <metal_array>
#include <metal_initializer_list>
#include <metal_tuple>
#include <metal_utility>
#include <metal_uniform>
#include <metal_texture>
#include <metal_graphics>
#include <metal_command_buffer>
#include <metal_raytracing>
#include <metal_visible_function_table>
#include <metal_function_pointer>
#include <metal_imageblocks>
#include <metal_mesh>
#include <metal_extended_vector>
#include <metal_packed_vector>
#include <metal_config>
#include <metal_assert>
#include <metal_limits>
#include <metal_functional>
#include <metal_cooperative_tensor>
#include <metal_tensor>
#include <simd/simd.h>
#include <TargetConditionals.h>
#include <stdint.h>
#include <stddef.h>
using namespace metal;
kernel void a(device int *x [[buffer(0)]]) {}
[[kernel]] void b(device int *x [[buffer(0)]]) {}
[[kernel, max_total_threads_per_threadgroup(256)]] void c(device int *x) {}
kernel [[max_total_threads_per_threadgroup(64)]] void d(device int *x) {}
[[max_total_threads_per_threadgroup(64)]] kernel void e(device int *x) {}
[[required_threads_per_threadgroup(8, 8, 1)]] kernel void f(device int *x) {}
[[host_name("gg")]] kernel void g(device int *x) {}
[[host_name("hh")]] [[kernel]] void h(device int *x) {}
extern "C" kernel void i(device int *x) {}
namespace q
{
kernel void j(device int *x) {}
} // namespace q
template <typename T> kernel void tt(device T *x [[buffer(0)]], uint i [[thread_position_in_grid]])
{
    x[i] = 0;
}
template [[host_name("tt_float")]] kernel void tt<float>(device float *, uint);
template [[host_name("tt_int")]] [[kernel]] void tt<int>(
        device int *x [[buffer(0)]], uint i [[thread_position_in_grid]]);
typedef decltype(tt<half>) tt_t;
template [[host_name("tt_half")]] kernel tt_t tt<half>;
template [[host_name("tt_dc")]] kernel decltype(tt<short>) tt<short>;
template [[host_name("tt_deduced")]] kernel void tt(device uchar *, uint);
[[clang::always_inline]] inline int ai()
{
    return 1;
}
__attribute__((noinline)) int nn()
{
    return 2;
}
kernel void arr(constant int (&m)[4] [[buffer(0)]], constant array<float, 4> &z [[buffer(1)]],
        device int *o [[buffer(2)]], device float *bufs [[buffer(3)]])
{
    o[0] = m[1] + z[2] + ai() + nn() + bufs[1];
}
kernel void stg(device int *o, uint3 tpg [[threads_per_grid]], uint3 gs [[grid_size]],
        uint3 gg [[threadgroups_per_grid]], uint3 d [[dispatch_threads_per_threadgroup]],
        uint ds [[dispatch_simdgroups_per_threadgroup]],
        uint dq [[dispatch_quadgroups_per_threadgroup]], uint qp [[quadgroups_per_threadgroup]],
        uint tes [[thread_execution_width]])
{
    o[0] = tpg.x;
}
kernel void vals(constant float &a [[buffer(0)]], constant uint3 &dims [[buffer(1)]],
        device float *__restrict p [[buffer(2)]], const device float *q [[buffer(3)]],
        device const int *__restrict w [[buffer(4)]], volatile device int *v [[buffer(5)]],
        coherent(device) device int *cd [[buffer(6)]], threadgroup float4 &tg [[threadgroup(0)]])
{
    p[0] = a * dims.x + q[0] + w[0];
    tg = float4(1);
}
kernel void all(device int *x [[buffer(0), access(read)]], uint i [[thread_position_in_grid, mine]])
{
    x[i] = 1;
}
namespace q
{
kernel void min(device int *x [[some_day]])
{
    x[0] = 1;
}
} // namespace q
// expect: kernel a
// expect: kernel b
// expect: kernel c
// expect: kernel d
// expect: kernel e
// expect: kernel f
// expect: kernel gg
// expect: kernel hh
// expect: kernel i
// expect: kernel q::j
// expect: kernel tt_float
// expect: kernel tt_int
// expect: kernel tt_half
// expect: kernel tt_dc
// expect: kernel tt_deduced
// expect:   buffer x type=uchar index=0 access=read_write size=1 align=1 data_type=49
// expect: kernel arr
// expect: kernel stg
// expect: kernel vals
// expect: kernel all
// expect: kernel q::min
