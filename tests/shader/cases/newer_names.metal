#include <TargetConditionals.h>
#include <metal_logging>
#include <metal_stdlib>
// What a program finds without `using namespace metal`, or says in other words than it could.
#if !defined(TARGET_OS_SIMULATOR) || TARGET_OS_IPHONE || !TARGET_OS_OSX
#error the target's macros
#endif
kernel void barriers(device int *o, device metal::atomic_int *n, uint i [[thread_position_in_grid]])
{
    threadgroup int t[64];
    t[i & 63] = (int)i;
    threadgroup_barrier(metal::mem_flags::mem_threadgroup | metal::mem_flags::mem_device);
    simdgroup_barrier(metal::mem_flags::mem_none);
    atomic_thread_fence(metal::mem_flags::mem_device, metal::memory_order_seq_cst,
            metal::thread_scope_device);
    atomic_fetch_add_explicit(n, t[63 - (i & 63)], metal::memory_order_relaxed);
}
using namespace metal;
template <typename T, uint N> T sum_u(vec<T, N> v)
{
    T s = 0;
    for (uint i = 0; i < N; i++)
        s += v[i];
    return s;
}
template <typename T, size_t N> T sum_z(thread const packed_vec<T, N> &v)
{
    return T(v[N - 1]);
}
template <typename T, short N> constexpr int count(array<T, N>)
{
    return N;
}
template <typename T, ulong N> constexpr int length(thread const T (&)[N])
{
    return N;
}
template <typename T> struct Wide;
template <typename T, char N> struct Wide<vec<T, N>> {
    typedef vec<float, N> type;
};
template <typename T, int N> vec<T, N> twice(vec<T, N> v, vec<T, N> w)
{
    return v + w;
}
kernel void counts(device float *o)
{
    int c[6] = {};
    array<half, 5> a;
    packed_short3 p = packed_short3(1, 2, 3);
    Wide<uchar3>::type w(1);
    o[0] = sum_u(float3(1, 2, 3)) + sum_z(p) + count(a) + length(c) + w.z;
    o[1] = twice(float2(1), float2(2)).x;
}
kernel void limits(device float4 *o)
{
    o[0] = numeric_limits<float4>::max() + numeric_limits<float4>::infinity();
    o[1] = numeric_limits<float4>::is_specialized + numeric_limits<half2>::digits;
}
kernel void packed(device float4 *v, device uint *o)
{
    o[0] = pack_float_to_srgb_unorm4x8(v[0]) + pack_half_to_srgb_unorm4x8(half4(v[0]));
    v[2] = unpack_unorm4x8_srgb_to_float(o[0]) + float4(unpack_unorm4x8_srgb_to_half(o[0]));
}
kernel void logs(device half *in, constant packed_uchar4 &c)
{
    os_log_default.log("%v2hf %v4hlf %v3hlu", half2(in[0], in[1]), float4(1, 2, 3, 4), uint3(1));
    os_log_default.log_error("%v4hhu %d", c, 3);
}
kernel void memory(coherent device uint *c, device coherent uint *d, coherent(device) device uint *e,
        coherent const device uint &f)
{
    c[0] = d[0] + e[0] + f;
    int coherent = 3;
    coherent++;
    c[1] = coherent;
}
kernel void factors(device MTLQuadTessellationFactorsHalf *q,
        device MTLTriangleTessellationFactorsHalf *t)
{
    q->edgeTessellationFactor[3] = q->insideTessellationFactor[1];
    t->insideTessellationFactor = t->edgeTessellationFactor[2];
}
// expect: kernel memory
// expect: buffer c type=uint index=0 access=read_write size=4
// expect: buffer d type=uint index=1 access=read_write size=4
// expect: buffer f type=uint index=3 access=read size=4
