// expect: kernel all_kinds entry=__abx_k_0
// expect: buffer a type=float index=2 access=read size=4 align=4 data_type=3
// expect: buffer b type=float4 index=0 access=read_write size=16 align=16 data_type=6
// expect: buffer p type=Params index=5 access=read size=16 align=8 data_type=1
// expect: buffer packed type=packed_float3 index=6 access=read_write size=12 align=4
// expect: threadgroup scratch type=half index=1 access=read_write size=2
// expect: builtin position type=uint3
// expect: kernel implied
// expect: buffer first type=int index=0
// expect: buffer second type=uchar index=4
// expect: buffer third type=Params index=5
// expect: threadgroup memory type=int index=0
#include <metal_stdlib>
using namespace metal;
struct Params {
    uint count;
    float scale;
    ulong seed;
};
kernel void all_kinds(device const float *a [[buffer(2)]], device float4 *b [[buffer(0)]],
        constant Params &p [[buffer(5)]], device packed_float3 *packed [[buffer(6)]],
        threadgroup half *scratch [[threadgroup(1)]], uint3 position [[thread_position_in_grid]],
        ushort lane [[thread_index_in_simdgroup]])
{
    scratch[lane] = half(a[position.x]);
    b[position.x] = float4(scratch[lane] * p.scale) + packed[0].x;
}
kernel void implied(device int *first, device uchar *second [[buffer(4)]], constant Params *third,
        threadgroup int *memory, uint i [[thread_position_in_grid]])
{
    memory[i] = second[i];
    first[i] = memory[i] + int(third->count);
}
