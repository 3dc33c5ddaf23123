// Kernels of the conformance suite, in the form the rewriter gives them to clang: Metal plus one
// __ABX_ENTRY a kernel. The number of an entry is its place in tests/backend/kernels.h.
#include "markers.h"
using namespace metal;
// 64 bits: what precompiled libraries may hold.
template <> struct metal::__is_valid_simdgroup_type<long> : metal::true_type {
};
template <> struct metal::__is_valid_simdgroup_type<ulong> : metal::true_type {
};
#define BUF(n) __abx::A<__abx::BUFFER, n>
#define TG(n) __abx::A<__abx::THREADGROUP, n>
#define AT(b) __abx::A<__abx::BUILTIN, __abx::b>

#define FC(name, type)                                                                             \
    extern const type name __asm__("fc_" #name);                                                   \
    extern const bool given_##name __asm__("fcd_" #name);
FC(mode, int)
FC(gain, float)

void add(device const float *a, device const float *b, device float *r, uint i)
{
    r[i] = a[i] + b[i];
}
__ABX_ENTRY(0, (BUF(0), BUF(1), BUF(2), AT(thread_position_in_grid)), add)

// Writes everything a thread knows about its place: 24 words a thread.
void place(device uint *out, uint3 tid, uint3 lid, uint3 gid, uint3 size, uint3 full, uint3 groups,
        uint3 grid, uint index, uint lane, uint sg, uint sgs)
{
    device uint *o = out + 24 * (tid.x + grid.x * (tid.y + grid.y * tid.z));
    o[0] = lid.x, o[1] = lid.y, o[2] = lid.z;
    o[3] = gid.x, o[4] = gid.y, o[5] = gid.z;
    o[6] = size.x, o[7] = size.y, o[8] = size.z;
    o[9] = full.x, o[10] = full.y, o[11] = full.z;
    o[12] = groups.x, o[13] = groups.y, o[14] = groups.z;
    o[15] = grid.x, o[16] = grid.y, o[17] = grid.z;
    o[18] = index, o[19] = lane, o[20] = sg, o[21] = sgs;
    o[22] += 1;
}
#define PLACE                                                                                      \
    (BUF(0), AT(thread_position_in_grid), AT(thread_position_in_threadgroup),                      \
            AT(threadgroup_position_in_grid), AT(threads_per_threadgroup),                         \
            AT(dispatch_threads_per_threadgroup), AT(threadgroups_per_grid), AT(threads_per_grid), \
            AT(thread_index_in_threadgroup), AT(thread_index_in_simdgroup),                        \
            AT(simdgroup_index_in_threadgroup), AT(simdgroups_per_threadgroup))
__ABX_ENTRY(1, PLACE, place)

void place_barrier(device uint *out, uint3 tid, uint3 lid, uint3 gid, uint3 size, uint3 full,
        uint3 groups, uint3 grid, uint index, uint lane, uint sg, uint sgs)
{
    threadgroup static uint order[1024];
    order[index] = index * 3;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    uint total = size.x * size.y * size.z;
    place(out, tid, lid, gid, size, full, groups, grid, index, lane, sg, sgs);
    out[24 * (tid.x + grid.x * (tid.y + grid.y * tid.z)) + 23] = order[total - 1 - index];
}
__ABX_ENTRY(2, PLACE, place_barrier)

void reduce(device const float *in, device float *out, uint tid, uint tg, uint n)
{
    threadgroup static float sh[256];
    sh[tid] = in[tg * n + tid];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint s = n / 2; s > 0; s >>= 1) {
        if (tid < s)
            sh[tid] += sh[tid + s];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (tid == 0)
        out[tg] = sh[0];
}
__ABX_ENTRY(3,
        (BUF(0), BUF(1), AT(thread_position_in_threadgroup), AT(threadgroup_position_in_grid),
                AT(threads_per_threadgroup)),
        reduce)

// Every SIMD-group function on small integers; 40 words a thread.
void simd_all_of_them(device const int *in, device int *out, uint i, uint l)
{
    int v = in[i];
    device int *o = out + 40 * i;
    o[0] = simd_sum(v);
    o[1] = simd_min(v);
    o[2] = simd_max(v);
    o[3] = simd_and(v);
    o[4] = simd_or(v);
    o[5] = simd_xor(v);
    o[6] = simd_prefix_inclusive_sum(v);
    o[7] = simd_prefix_exclusive_sum(v);
    o[8] = simd_shuffle(v, (ushort)((l * 7 + 3) & 31));
    o[9] = simd_shuffle_xor(v, 5);
    o[10] = simd_shuffle_up(v, 3);
    o[11] = simd_shuffle_down(v, 3);
    o[12] = simd_shuffle_rotate_up(v, 3);
    o[13] = simd_shuffle_rotate_down(v, 3);
    o[14] = simd_broadcast(v, 9);
    o[15] = simd_broadcast_first(v);
    o[16] = (int)(ulong)simd_ballot(v & 1);
    o[17] = simd_any(v == 7);
    o[18] = simd_all(v < 1000);
    o[19] = simd_is_first();
    o[20] = quad_sum(v);
    o[21] = quad_shuffle_xor(v, 1);
    o[22] = quad_broadcast(v, 2);
    o[23] = quad_prefix_inclusive_sum(v);
    o[24] = (int)simd_sum((float)v);
    o[25] = (int)simd_max((float)v * -0.5f);
    o[26] = (int)simd_product((long)((v & 1) + 1));
    o[27] = (int)(uint)simd_min((uint)v);
    o[28] = (int)simd_sum((half)(v & 3));
    o[29] = simd_shuffle_and_fill_up(v, -v, (ushort)2);
    o[30] = simd_shuffle_and_fill_down(v, -v, (ushort)2, (ushort)8);
    o[31] = (int)simd_prefix_inclusive_product((ulong)((v & 1) + 1));
    o[32] = simd_sum(vec<int, 2>(v, 2 * v)).y;
    o[33] = quad_max(v);
    o[34] = (int)simd_prefix_exclusive_sum((float)v);
    o[35] = (int)(ushort)quad_ballot(v & 1);
}
__ABX_ENTRY(4, (BUF(0), BUF(1), AT(thread_position_in_grid), AT(thread_index_in_simdgroup)),
        simd_all_of_them)

// Divergent: only some lanes take part.
void simd_divergent(device const int *in, device int *out, uint i, uint l)
{
    int v = in[i];
    if (l % 3 == 0)
        out[2 * i] = simd_sum(v);
    else
        out[2 * i] = simd_max(v);
    out[2 * i + 1] = simd_sum(v);
}
__ABX_ENTRY(5, (BUF(0), BUF(1), AT(thread_position_in_grid), AT(thread_index_in_simdgroup)),
        simd_divergent)

// 8x8 matrices: C = A * B + C over 32 threads, B transposed and half.
void matrix8(device const float *a, device const half *b, device float *c)
{
    simdgroup_float8x8 A, C;
    simdgroup_half8x8 B;
    simdgroup_load(A, a);
    simdgroup_load(B, b, 8, vec<ulong, 2>(0), true);
    simdgroup_load(C, c);
    simdgroup_multiply_accumulate(C, A, B, C);
    simdgroup_store(C, c);
}
__ABX_ENTRY(6, (BUF(0), BUF(1), BUF(2)), matrix8)

void constants_(device int *out, uint i)
{
    out[i] = (given_mode ? mode : 100) + (int)(gain * 4.0f);
}
__ABX_ENTRY(7, (BUF(0), AT(thread_position_in_grid)), constants_)

void quotients(device const int *a, device const int *b, device int *o, uint i)
{
    o[4 * i] = a[i] / b[i];
    o[4 * i + 1] = a[i] % b[i];
    o[4 * i + 2] = (uint)a[i] / (uint)b[i];
    o[4 * i + 3] = a[i] << b[i];
}
__ABX_ENTRY(8, (BUF(0), BUF(1), BUF(2), AT(thread_position_in_grid)), quotients)

void for_ever(device uint *out, uint i)
{
    while (true)
        ;
}
__ABX_ENTRY(9, (BUF(0), AT(thread_position_in_grid)), for_ever)

void histogram(device const uint *in, device atomic_uint *bins, threadgroup atomic_uint *local,
        uint i, uint l, uint n, uint grid)
{
    for (uint b = l; b < 16; b += n)
        atomic_store_explicit(&local[b], 0u, memory_order_relaxed);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (i < grid)
        atomic_fetch_add_explicit(&local[in[i] & 15], 1u, memory_order_relaxed);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint b = l; b < 16; b += n)
        atomic_fetch_add_explicit(&bins[b], atomic_load_explicit(&local[b], memory_order_relaxed),
                memory_order_relaxed);
}
__ABX_ENTRY(10,
        (BUF(0), BUF(1), TG(0), AT(thread_position_in_grid), AT(thread_position_in_threadgroup),
                AT(threads_per_threadgroup), AT(threads_per_grid)),
        histogram)

// As tinygrad writes a matrix product: an accumulator a thread, a uniform loop.
void gemm(device float *c, device const float *a, device const float *b, constant int &n, uint3 gid,
        uint3 lid)
{
    int x = gid.x * 32 + lid.x, y = gid.y * 4 + lid.y;
    float acc0 = 0.0f, acc1 = 0.0f;
    for (int k = 0; k < n; k++) {
        acc0 = acc0 + a[(2 * y) * n + k] * b[k * n + x];
        acc1 = acc1 + a[(2 * y + 1) * n + k] * b[k * n + x];
    }
    c[2 * y * n + x] = acc0;
    c[(2 * y + 1) * n + x] = acc1;
}
__ABX_ENTRY(11,
        (BUF(0), BUF(1), BUF(2), BUF(3), AT(threadgroup_position_in_grid),
                AT(thread_position_in_threadgroup)),
        gemm)

// Divergent loops with early exits, private arrays with varying indices, nested conditions.
void wander(device const int *in, device int *out, uint i, constant uint &n)
{
    if (i >= n)
        return;
    int v = in[i], steps = 0, seen[8];
    for (int k = 0; k < 8; k++)
        seen[k] = k * v;
    while (v != 1 && steps < 200) {
        if (v <= 0)
            break;
        v = v & 1 ? 3 * v + 1 : v / 2;
        seen[v & 7] += steps;
        if (steps == 17 && (i & 3) == 2) {
            steps += 1000;
            continue;
        }
        steps++;
    }
    int sum = 0;
    for (int k = 0; k < 8; k++)
        sum = sum * 31 + seen[k];
    switch (i % 5) {
    case 0:
        sum += 3;
        break;
    case 3:
        sum ^= 0x55;
        /* fall through */
    case 4:
        sum -= 7;
        break;
    default:
        break;
    }
    out[i] = sum + steps;
}
__ABX_ENTRY(12, (BUF(0), BUF(1), AT(thread_position_in_grid), BUF(2)), wander)

// Positions as vectors of three 16-bit numbers.
void narrow(device int *out, uint3 group, vec<ushort, 3> at, vec<ushort, 3> size)
{
    for (int i = at.x; i < 8; i += size.x)
        out[8 * (group.z * 6 + group.y * 2 + group.x) + i] = 1000 * size.y + 100 * size.z + i;
}
__ABX_ENTRY(13, (BUF(0), AT(threadgroup_position_in_grid), AT(thread_position_in_threadgroup),
                AT(threads_per_threadgroup)),
        narrow)

// A loop that is one basic block with barriers in it, whose value is carried around.
void ring(device uint *out, constant uint &rounds, uint t, uint n)
{
    threadgroup static uint next[64];
    uint value = t, k = 0;
    do {
        next[(t + 1) % n] = value * 3 + k;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        value = next[t];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    } while (++k < rounds);
    out[t] = value;
}
__ABX_ENTRY(14, (BUF(0), BUF(1), AT(thread_index_in_threadgroup), AT(threads_per_threadgroup)), ring)

// Vectors and structures of them where only an element may lie.
struct pair {
    vec<float, 4> a;
    vec<int, 2> b;
};
void unaligned(device const char *in, device char *out, uint i)
{
    *(device vec<float, 4> *)(out + 20 * i) = *(device const vec<float, 4> *)(in + 20 * i) * 2.0f;
    *(device pair *)(out + 4004 + 36 * i) = *(device const pair *)(in + 36 * i);
}
__ABX_ENTRY(15, (BUF(0), BUF(1), AT(thread_position_in_grid)), unaligned)

// Elements below 32 bits at addresses that differ, under a mask, at even and odd places.
void scattered(device const short *in, device const char *bytes, device short *out, device char *to,
        uint i)
{
    uint from = (i * 37 + 11) % 64;
    if (simd_sum(i) != 0 && i % 3 != 1) {
        out[from] = in[from + 1] + bytes[63 - from];
        to[63 - from] = bytes[from] - 1;
    }
}
__ABX_ENTRY(16, (BUF(0), BUF(1), BUF(2), BUF(3), AT(thread_position_in_grid)), scattered)
