#include <metal_stdlib>
using namespace metal;
// What no function fits is told with the functions there are, as far as they are the user's business.
struct Four {
    float a, b, c, d;
};
kernel void k(device Four *o, device float3 *f, device half2 *h, device ulong *l,
        uint i [[thread_position_in_grid]])
{
    o[i] = simd_sum(o[i]);
    l[i] = simd_shuffle(l[i], ushort(i ^ 1));
    l[i] = quad_max(l[i]);
    f[0] = as_type<float3>(h[0]);
    f[1] = max(f[1], h[0]);
    atomic_int n;
    atomic_store_explicit(&n, 0, memory_order_relaxed);
}
// error: 10:12 no matching function for call to 'simd_sum'
// error: 11:12 no matching function for call to 'simd_shuffle'
// error: 12:12 no matching function for call to 'quad_max'
// error: 13:12 no matching function for call to 'as_type'
// error: 14:12 no matching function for call to 'max'
// error: 16:5 no matching function for call to 'atomic_store_explicit'
// shows: metal_stdlib: note: candidate template ignored: requirement '__is_valid_simdgroup_type<Four>::value' was not satisfied [with T = Four]
// shows: metal_stdlib: note: candidate template ignored: could not match 'vec<T, N>' against 'Four'
// shows: metal_stdlib: note: candidate template ignored: requirement '__is_valid_simdgroup_type<unsigned long>::value' was not satisfied [with T = ulong]
// shows: metal_stdlib: note: candidate template ignored: requirement 'sizeof(vec<float, 3>) == sizeof(vec<half, 2>)' was not satisfied [with T = float3, U = half2]
// shows: metal_stdlib: note: candidate function [with T = int] not viable: cannot pass pointer to address space 'thread' as a pointer to address space 'device' in 1st argument
// shows: metal_stdlib: note: candidate template ignored: deduced conflicting types for parameter 'T' ('vec<float, 3>' vs. 'vec<half, 2>')
