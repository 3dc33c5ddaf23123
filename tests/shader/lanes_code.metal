// Kernels that are fast only when the code for lanes is what it should be. See lanes_code.py.
#include <metal_stdlib>
using namespace metal;

// `rows` is alike in all lanes: where they meet after the inner branch, those that took it and those
// that did not bring the same value, and none comes from the outer one. Attention kernels leave blocks
// that are masked out so, through a variable that says where to go on.
kernel void meets_with_one_value(device const half4 *k [[buffer(0)]], device float *out [[buffer(1)]],
        constant uint2 &count [[buffer(2)]], threadgroup float *sum [[threadgroup(0)]],
        uint lane [[thread_index_in_simdgroup]], uint group [[threadgroup_position_in_grid]])
{
    uint rows = count.x;
    if (count.y > group) {
        rows = count.y - group;
        if (lane < 16)
            sum[lane] = 1;
    }
    float total = 0;
    for (uint n = 0; n < rows; n++)
        total += simd_sum(dot(float4(k[n * 32 + lane]), float4(1)));
    out[group * 32 + lane] = total + sum[lane];
}

// Two by four tiles of sums over four steps, the factors in threadgroup memory, as ggml multiplies: one
// product of matrices, whose factors are loaded and not permuted.
kernel void multiplies_tiles(device float *out [[buffer(0)]], threadgroup half *factors [[threadgroup(0)]],
        uint group [[threadgroup_position_in_grid]])
{
    simdgroup_float8x8 sum[8];
    for (int i = 0; i < 8; i++)
        sum[i] = make_filled_simdgroup_matrix<float, 8, 8>(1);
#pragma unroll
    for (int k = 0; k < 4; k++) {
        simdgroup_half8x8 left[2], right[4];
        simdgroup_barrier(mem_flags::mem_none);
        for (int i = 0; i < 4; i++)
            simdgroup_load(right[i], factors + 64 * (4 * k + i));
        simdgroup_barrier(mem_flags::mem_none);
        for (int i = 0; i < 2; i++)
            simdgroup_load(left[i], factors + 1024 + 64 * (2 * k + i));
        for (int i = 0; i < 8; i++)
            simdgroup_multiply_accumulate(sum[i], left[i / 4], right[i % 4], sum[i]);
    }
    for (int i = 0; i < 8; i++)
        simdgroup_store(sum[i], out + 512 * group + 64 * i);
}

// Sums that go on over a loop's barriers, of matrices whose elements the program looks at: each turn's
// products begin with the registers that the one before ended with.
kernel void carries_sums(device float *out [[buffer(0)]], constant uint &steps [[buffer(1)]],
        device const half *rows [[buffer(2)]], threadgroup half *factors [[threadgroup(0)]],
        uint lane [[thread_index_in_threadgroup]], uint group [[threadgroup_position_in_grid]])
{
    simdgroup_float8x8 sum[8];
    for (int i = 0; i < 8; i++)
        sum[i] = make_filled_simdgroup_matrix<float, 8, 8>(0);
    for (uint k = 0; k < steps; k++) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        factors[lane] = rows[k * 128 + lane];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_half8x8 left[2], right[4];
        for (int i = 0; i < 4; i++)
            simdgroup_load(right[i], factors + 64 * i);
        for (int i = 0; i < 2; i++)
            simdgroup_load(left[i], factors + 256 + 64 * i);
        for (int i = 0; i < 8; i++)
            simdgroup_multiply_accumulate(sum[i], left[i / 4], right[i % 4], sum[i]);
    }
    for (int i = 0; i < 8; i++) {
        sum[i].thread_elements()[0] += 1;
        simdgroup_store(sum[i], out + 512 * group + 64 * i);
    }
}

// Each lane's row of numbers, from addresses that nothing is known of, cut to half precision and stored
// transposed: eight columns follow each other in memory, and are stored together.
kernel void fills_tile(device const float *rows [[buffer(0)]], device const uint *row [[buffer(1)]],
        device half *out [[buffer(2)]], threadgroup half *tile [[threadgroup(0)]],
        ushort lane [[thread_index_in_threadgroup]])
{
    device const float4x4 *from = (device const float4x4 *)(rows + 16 * row[lane]);
    half4x4 cut = half4x4(*from);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    _Pragma("clang loop unroll(full)") for (short i = 0; i < 16; i++) {
        const short block = 8 * (i / 8) + lane / 8;
        *(tile + 64 * block + 8 * (i % 8) + lane % 8) = cut[i / 4][i % 4];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (short i = 0; i < 16; i++)
        out[32 * i + lane] = simd_max(tile[32 * i + lane]);
}

// The same rows, stored as they are: they are cut as memory has them, and never brought into lanes.
kernel void copies_rows(device const float *rows [[buffer(0)]], device const uint *row [[buffer(1)]],
        device half *out [[buffer(2)]], threadgroup half *tile [[threadgroup(0)]],
        ushort lane [[thread_index_in_threadgroup]])
{
    *(threadgroup half2x4 *)(tile + 8 * lane) = half2x4(*(device const float2x4 *)(rows + 8 * row[lane]));
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (short i = 0; i < 8; i++)
        out[32 * i + lane] = simd_max(tile[32 * i + lane]);
}

struct image {
    int width, height, left, top;
    uint pitch;
};

// What lies outside is 0.
kernel void pads_rows(constant image &i [[buffer(0)]], device const float *from [[buffer(1)]],
        device float *to [[buffer(2)]], uint2 at [[thread_position_in_grid]])
{
    int x = int(at.x) - i.left, y = int(at.y) - i.top;
    float v = 0;
    if (x >= 0 && x < i.width && y >= 0 && y < i.height)
        v = from[y * long(i.pitch) + x];
    to[at.y * long(i.pitch) + at.x] = v;
}

kernel void sums_columns(constant image &i [[buffer(0)]], device const float *from [[buffer(1)]],
        device float *to [[buffer(2)]], uint at [[thread_position_in_grid]])
{
    float sum = 0;
    for (int y = 0; y < i.height; y++)
        sum += from[y * long(i.pitch) + at];
    to[at] = sum;
}

// The same of a grid that is wider than the image: mostly no thread leaves.
kernel void sums_columns_inside(constant image &i [[buffer(0)]], device const float *from [[buffer(1)]],
        device float *to [[buffer(2)]], uint at [[thread_position_in_grid]])
{
    if (at >= uint(i.width))
        return;
    float sum = 0;
    for (int y = 0; y < i.height; y++)
        sum += from[y * long(i.pitch) + at];
    to[at] = sum;
}

// Two guards, one behind the other.
kernel void sums_columns_between(constant image &i [[buffer(0)]], device const float *from [[buffer(1)]],
        device float *to [[buffer(2)]], uint at [[thread_position_in_grid]])
{
    if (at >= uint(i.width))
        return;
    float sum = from[at];
    if (sum < i.left)
        return;
    for (int y = 1; y < i.height; y++)
        sum += from[y * long(i.pitch) + at];
    to[at] = simd_max(sum);
}

// And a barrier behind a guard.
kernel void sums_columns_met(constant image &i [[buffer(0)]], device const float *from [[buffer(1)]],
        device float *to [[buffer(2)]], uint at [[thread_position_in_grid]],
        threadgroup float *sums [[threadgroup(0)]], ushort t [[thread_index_in_threadgroup]])
{
    if (at >= uint(i.width))
        return;
    float sum = 0;
    for (int y = 0; y < i.height; y++)
        sum += from[y * long(i.pitch) + at];
    sums[t] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    to[at] = sum - sums[0];
}

kernel void sums_rows(constant image &i [[buffer(0)]], device const float *from [[buffer(1)]],
        device float *to [[buffer(2)]], uint at [[thread_position_in_grid]])
{
    float sum = 0;
    for (int x = 0; x < i.width; x++)
        sum += from[at * long(i.pitch) + x];
    to[at] = sum;
}

// Called from so many places that it stays a function: inlined, it would be 16 times as much code as
// there is text, and take its square in time.
struct Limbs {
    uint w[8];
};
#define ROUND(a, b, c, d) a = (a ^ b) * 0x9e3779b9u + rotate(c, uint(d))
#define ROUNDS(n)                                                                                  \
    ROUND(x.w[0], x.w[1], x.w[3], n), ROUND(x.w[1], x.w[2], x.w[4], n + 1),                        \
            ROUND(x.w[2], x.w[3], x.w[5], n), ROUND(x.w[3], x.w[4], x.w[6], n + 1),                \
            ROUND(x.w[4], x.w[5], x.w[7], n), ROUND(x.w[5], x.w[6], x.w[0], n + 1),                \
            ROUND(x.w[6], x.w[7], x.w[1], n), ROUND(x.w[7], x.w[0], x.w[2], n + 1)
inline Limbs mixed(Limbs x, uint key)
{
    x.w[0] += key;
    ROUNDS(1), ROUNDS(3), ROUNDS(5), ROUNDS(7), ROUNDS(9), ROUNDS(11), ROUNDS(13), ROUNDS(15);
    ROUNDS(2), ROUNDS(4), ROUNDS(6), ROUNDS(8), ROUNDS(10), ROUNDS(12), ROUNDS(14), ROUNDS(16);
    return x;
}
#define MIX(n) if (x.w[(n) % 8] & (n)) x = mixed(x, n);
#define MIX8(n) MIX(n) MIX(n + 1) MIX(n + 2) MIX(n + 3) MIX(n + 4) MIX(n + 5) MIX(n + 6) MIX(n + 7)
kernel void calls_from_many_places(device Limbs *data [[buffer(0)]], uint i [[thread_position_in_grid]])
{
    Limbs x = data[i];
    MIX8(1) MIX8(9) MIX8(17) MIX8(25) MIX8(33) MIX8(41) MIX8(49) MIX8(57)
    data[i] = x;
}

// Loops in loops, each short: unrolled for their arrays they would be the product.
kernel void multiplies_in_a_field(device uchar *data [[buffer(0)]], uint i [[thread_position_in_grid]])
{
    uchar state[64], row[8];
    for (uint n = 0; n < 64; n++)
        state[n] = data[i * 64 + n];
    for (uint round = 0; round < 10; round++)
        for (uint column = 0; column < 8; column++) {
            for (uint n = 0; n < 8; n++) {
                uchar sum = 0;
                for (uint k = 0; k < 8; k++) {
                    uchar a = uchar((n * 3 + k) % 7), b = state[column * 8 + k];
                    for (uint bit = 0; bit < 8; bit++) {
                        sum ^= b & 1 ? a : uchar(0);
                        a = (a << 1) ^ ((a >> 7) * 0x1b);
                        b >>= 1;
                    }
                }
                row[n] = sum;
            }
            for (uint n = 0; n < 8; n++)
                state[((column + n) % 8) * 8 + n] ^= row[n];
        }
    for (uint n = 0; n < 64; n++)
        data[i * 64 + n] = state[n];
}

// The loop is unrolled; what a thread at an end does not read there is no reason to read the weights one by one.
kernel void weighs_neighbours(device float *to [[buffer(0)]], device const float *from [[buffer(1)]],
        device const float *weights [[buffer(2)]], constant int &n [[buffer(3)]], uint i [[thread_position_in_grid]])
{
    float sum = 0;
    for (int k = 0; k < 7; k++) {
        int at = int(i) + k - 3;
        if (at >= 0 && at < n)
            sum += from[at] * weights[k];
    }
    to[i] = sum;
}

// A factor is transposed on its way in, and both are made floats; the program looks at its sums' elements.
kernel void multiplies_bfloats(device float *to [[buffer(0)]], device const bfloat *a [[buffer(1)]],
        device const bfloat *b [[buffer(2)]], constant float &scale [[buffer(3)]], uint lane [[thread_index_in_simdgroup]])
{
    simdgroup_matrix<float, 8, 8> sum(0);
    for (uint k = 0; k < 4; k++) {
        simdgroup_matrix<bfloat, 8, 8> left, right;
        simdgroup_load(left, a + 8 * k, 32);
        simdgroup_load(right, b + 8 * k, 32, 0, true);
        simdgroup_multiply_accumulate(sum, left, right, sum);
    }
    sum.thread_elements() *= scale * float(lane);
    simdgroup_store(sum, to, 8);
}

// The last loop ends early at some rows, and is unrolled all the same: the pointers are registers then, and what lanes
// read lies side by side. As an array they were numbers of each lane.
kernel void sums_over_groups(device float *to [[buffer(0)]], device const float *from [[buffer(1)]],
        constant int &rows [[buffer(2)]], threadgroup float *shared [[threadgroup(0)]], uint group [[threadgroup_position_in_grid]],
        ushort lane [[thread_index_in_simdgroup]], ushort simdgroup [[simdgroup_index_in_threadgroup]])
{
    threadgroup float *part[2];
    const int first = group * 2;
    for (short row = 0; row < 2; row++) {
        part[row] = shared + 32 * row;
        float sum = simd_sum(from[(first + row) * 128 + 32 * simdgroup + lane]);
        if (lane == 0)
            part[row][simdgroup] = sum;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (short row = 0; row < 2 && first + row < rows; row++) {
        float sum = simd_sum(part[row][lane]);
        if (lane == 0 && simdgroup == 0)
            to[first + row] = sum;
    }
}

// Whole turns first, then what is left: its place is the same expression in both, and stays one.
kernel void sums_a_row_and_its_end(constant ulong *p [[buffer(0)]], device float *to [[buffer(1)]],
        device const float *from [[buffer(2)]], uint group [[threadgroup_position_in_grid]],
        uint lane [[thread_index_in_simdgroup]])
{
    float sum = 0;
    ulong n = 0, end = p[0];
    for (; n + 32 <= end; n += 32)
        sum += from[group * p[1] + n + lane];
    if (n + lane < end)
        sum += from[group * p[1] + n + lane];
    sum = simd_sum(sum);
    if (lane == 0)
        to[group] = sum;
}

// Floats that become integers: the nearest, of each width.
kernel void makes_integers(device const float *from [[buffer(0)]], device int4 *to [[buffer(1)]],
        uint lane [[thread_index_in_simdgroup]], uint group [[threadgroup_position_in_grid]])
{
    float v = simd_sum(from[group * 32 + lane]) * lane;
    to[group * 32 + lane] = int4(int(v), int(uint(v)), short(v), uchar(v));
}

// Bfloats: computed with as floats, and rounded as integers.
kernel void adds_bfloats(device const bfloat *a [[buffer(0)]], device const bfloat *b [[buffer(1)]],
        device bfloat *to [[buffer(2)]], uint i [[thread_position_in_grid]])
{
    to[i] = bfloat(float(a[i]) + float(b[i]));
}
