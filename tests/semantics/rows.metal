// Sums over lanes of products of two arrays, of which each lane reads pieces: lanes may exchange elements only
// where nobody can tell and pieces lie one after the other, and when all of them are there. Small whole numbers,
// so that every order gives the same sum; against the same computed by each thread alone.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

#define K 16 // elements of a piece

// How many blocks there are, where lane l's piece of block b lies in x and in y, what is added to its sum for
// one element, what becomes of its sum, and what comes of all of them.
#define ROWS(name, X, Y, TERM, OWN, SUM, ALL)                                                      \
    kernel void name(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],       \
            threadgroup float *y [[threadgroup(0)]], uint i [[thread_position_in_grid]],           \
            uint lane [[thread_index_in_simdgroup]],                                               \
            uint in_group [[thread_index_in_threadgroup]], uint size [[threads_per_threadgroup]])  \
    {                                                                                              \
        device const uchar *x = (device const uchar *)data;                                        \
        for (uint n = in_group; n < 1024; n += size)                                               \
            y[n] = float((n * 5 + n / 16) & 7);                                                    \
        threadgroup_barrier(mem_flags::mem_threadgroup);                                           \
        const uint count = min(size - (in_group - lane), 32u);                                     \
        for (int blocks : {128, 96, 100, 33, 32, 20, 1, 0}) {                                      \
            float sum = 0, all = 0;                                                                \
            {                                                                                      \
                const int l = lane;                                                                \
                for (int b = l; b < blocks; b += 32) {                                             \
                    device const uchar *px = x + (X);                                              \
                    threadgroup const float *py = y + (Y);                                         \
                    _Pragma("unroll") for (int k = 0; k < K; k++) sum += TERM;                     \
                }                                                                                  \
                OWN;                                                                               \
            }                                                                                      \
            float got = SUM;                                                                       \
            for (int l = 0; l < int(count); l++) {                                                 \
                float sum = 0;                                                                     \
                for (int b = l; b < blocks; b += 32) {                                             \
                    device const uchar *px = x + (X);                                              \
                    threadgroup const float *py = y + (Y);                                         \
                    for (int k = 0; k < K; k++)                                                    \
                        sum += TERM;                                                               \
                }                                                                                  \
                OWN;                                                                               \
                all = ALL;                                                                         \
            }                                                                                      \
            CHECK(got == all);                                                                     \
        }                                                                                          \
    }

#define PRODUCT float(px[k]) * py[k]
#define PLAIN(name, X, Y) ROWS(name, X, Y, PRODUCT, , simd_sum(sum), all + sum)

// Exchanged.
PLAIN(rows, b * K, (b & 63) * K)
PLAIN(rows_at_any_byte, b * K + 3, (b & 31) * K)
ROWS(rows_added_to, b * K, (b & 63) * K, PRODUCT, for (int n = l; n < blocks; n += 8) sum += float(x[n]),
        simd_sum(sum), all + sum)
ROWS(rows_behind_others, b * K, (b & 63) * K, PRODUCT, if (blocks & 32) sum += float(x[l]), simd_sum(sum), all + sum)
// Never: pieces that do not lie one after the other ...
PLAIN(rows_apart, b * (K + 1), (b & 63) * K)
PLAIN(rows_backwards, (b + 31 - 2 * l) * K, (b & 63) * K)
PLAIN(rows_of_pairs, (b ^ 1) * K, (b & 63) * K)
PLAIN(rows_of_one_vector, b * K, 32)
// ... other pairs, a lane's own factor, factors that differ, some lanes' sums that change or are
// dropped, a lane's sum that is looked at, and what is no sum.
ROWS(rows_of_other_pairs, b * K, (b & 63) * K, float(px[k]) * py[K - 1 - k], , simd_sum(sum), all + sum)
ROWS(rows_with_lanes_factor, b * K, (b & 63) * K, PRODUCT * float(l % 5), , simd_sum(sum), all + sum)
ROWS(rows_with_factors, b * K, (b & 63) * K, PRODUCT * float(k + 1), , simd_sum(sum), all + sum)
ROWS(rows_doubled, b * K, (b & 63) * K, PRODUCT, if (l % 3 == 1) sum += sum, simd_sum(sum), all + sum)
ROWS(rows_dropped, b * K, (b & 63) * K, PRODUCT, if (l % 3 == 1) sum = 1, simd_sum(sum), all + sum)
ROWS(rows_seen, b * K, (b & 63) * K, PRODUCT, sum += float(sum > 1000), simd_sum(sum), all + sum)
ROWS(rows_largest, b * K, (b & 63) * K, PRODUCT, , simd_max(sum), max(all, sum))
ROWS(rows_of_first, b * K, (b & 63) * K, PRODUCT, , simd_broadcast_first(sum), l ? all : sum)

// A row by eight elements a thread, as norms are written (MLX's): threads past its end count less than none of theirs, and
// fill their arrays from there on, far below where they begin.
kernel void past_a_row(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    const uint length = data[(i - lane) % 4096] % 24 + 1;
    const int n = int(length) - int(lane) * 8;
    float x[8], sum = 0, whole = 0;
    if (n >= 8)
        for (int k = 0; k < 8; k++)
            sum += x[k] = float(lane * 8 + k);
    else
        for (int k = 0; k < n; k++)
            sum += x[k] = float(lane * 8 + k);
    const float mean = simd_sum(sum) / float(length);
    if (n < 8)
        for (int k = n; k < 8; k++)
            x[k] = mean;
    sum = 0;
    for (int k = 0; k < 8; k++)
        sum += fabs(x[k] - mean);
    sum = simd_sum(lane < 3 ? sum : 0.0f);
    for (uint k = 0; k < length; k++)
        whole += fabs(float(k) - mean);
    if (n > 0)
        CHECK(fabs(sum - whole) <= 0.001f * (whole + 1));
}
