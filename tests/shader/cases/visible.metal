// Visible functions, tables of them, and calls by name of what another library defines.
#include <metal_stdlib>
#include <metal_visible_function_table>
using namespace metal;
struct Big { float4 a, b; int c; };
struct Small { float x; int y; };
[[visible]] float twice(float x) { return 2 * x; }
[[visible]] float half_of(float x) { return x / 2; }
namespace shapes { [[visible, host_name("box")]] Big box(Big b, device float *p, uint i) { b.c += p[i]; return b; } }
[[visible]] void store(device int *p, Small s) { *p = s.y; }
[[visible]] float4 mix4(float4 a, float t) { return a * t + twice(t); }
using scalar = float(float);
kernel void run(device float *x [[buffer(0)]], visible_function_table<scalar> table [[buffer(1)]],
        visible_function_table<Big(Big, device float *, uint)> boxes [[buffer(2)]], device int *n [[buffer(3)]],
        visible_function_table<void(device int *, Small)> stores, constant uint &which,
        visible_function_table<float4(float4, float)> mixes, uint i [[thread_position_in_grid]])
{
    if (i < table.size() && !is_null_visible_function_table(table))
        [[function_groups("group")]] x[i] = table[i](x[i]);
    Big b = {1, 2, 3};
    b = boxes[which](b, x, i);
    auto f = stores[0];
    if (f)
        f(n, {b.a.x, b.c});
    x[i] += mixes[i % 2](float4(b.b), 0.5f).x;
    if (table.empty())
        n[1] = 1;
}
struct Tables { visible_function_table<scalar> first; device int *n; visible_function_table<scalar> more[2]; };
kernel void in_arguments(constant Tables &t [[buffer(0)]], device float *x [[buffer(1)]], uint i [[thread_index_in_simdgroup]])
{
    x[i] = simd_sum(t.first[i](x[i])) + t.more[1][0](1);
}
// expect: visible twice entry=__abx_v_0
// expect: visible half_of entry=__abx_v_1
// expect: visible box entry=__abx_v_2
// expect: visible store entry=__abx_v_3
// expect: visible mix4 entry=__abx_v_4
// expect: kernel run entry=__abx_k_5
// expect:   buffer table type=visible_function_table<scalar> index=1 access=read size=8 align=8 data_type=115
// expect:   buffer stores
// expect:   buffer which type=uint index=5
// expect:   buffer mixes
// expect: kernel in_arguments
// expect:     .first offset=0 id=-1 data_type=115 size=8
// expect:     .more offset=16 id=-1 data_type=2 size=16 count=2
