// expect: kernel every_builtin
#include <metal_stdlib>
using namespace metal;
kernel void every_builtin(device uint *out, uint a [[thread_position_in_grid]],
        uint2 b [[thread_position_in_threadgroup]], ushort3 c [[threadgroup_position_in_grid]],
        uint3 d [[threads_per_threadgroup]], uint3 e [[threadgroups_per_grid]],
        uint f [[threads_per_grid]], ushort g [[thread_index_in_threadgroup]],
        uint h [[thread_index_in_simdgroup]], uint i [[simdgroup_index_in_threadgroup]],
        uint j [[threads_per_simdgroup]], uint k [[simdgroups_per_threadgroup]],
        uint l [[thread_index_in_quadgroup]], uint m [[quadgroup_index_in_threadgroup]],
        uint n [[dispatch_threads_per_threadgroup]], uint o [[thread_execution_width]])
{
    out[a] = b.x + c.y + d.z + e.x + f + g + h + i + j + k + l + m + n + o;
}
