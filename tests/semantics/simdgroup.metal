// SIMD-group functions against the same computed from memory, one thread for all: by full and partial
// SIMD-groups, and by callers that diverge.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

struct Place {
    uint i;      // thread in the grid
    uint lane;   // in the SIMD-group
    uint first;  // thread in the grid of the SIMD-group's first
    uint count;  // threads of the SIMD-group that exist
};

Place place(uint i, uint lane, uint in_group, uint group_size)
{
    uint start = i - lane;
    uint left = group_size - (in_group - lane);
    return {i, lane, start, min(left, 32u)};
}

#define ARGUMENTS                                                                                  \
    device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],                        \
            uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]],           \
            uint in_group [[thread_index_in_threadgroup]], uint size [[threads_per_threadgroup]]

// What lane l of the caller's SIMD-group has.
template <typename T> T value(device const uint *data, Place p, uint l)
{
    return T(int(data[(p.first + l) * 3 % 4096] >> 8) % 9 - 4);
}

// Lanes for which a bit of `mask` is set take part.
template <typename T>
void reductions(device uint *line, device const uint *data, Place p, uint mask)
{
    uint i = p.i;
    T mine = value<T>(data, p, p.lane);
    T sum = 0, product = 1, low = 0, high = 0, before_sum = 0, before_product = 1;
    bool any_yet = false;
    uint first = 0;
    for (uint l = 0; l < p.count; l++) {
        if (!(mask >> l & 1))
            continue;
        T v = value<T>(data, p, l);
        if (l < p.lane)
            before_sum += v, before_product *= v;
        first = any_yet ? first : l;
        low = any_yet ? min(low, v) : v;
        high = any_yet ? max(high, v) : v;
        sum += v, product *= v;
        any_yet = true;
    }
    CHECK(simd_sum(mine) == sum);
    CHECK(simd_product(mine) == product);
    CHECK(simd_min(mine) == low);
    CHECK(simd_max(mine) == high);
    CHECK(simd_prefix_exclusive_sum(mine) == before_sum);
    CHECK(simd_prefix_inclusive_sum(mine) == T(before_sum + mine));
    CHECK(simd_prefix_exclusive_product(mine) == before_product);
    CHECK(simd_prefix_inclusive_product(mine) == T(before_product * mine));
    CHECK(simd_broadcast_first(mine) == value<T>(data, p, first));
    CHECK(simd_is_first() == (p.lane == first));
    vec<T, 3> v3 = vec<T, 3>(mine, T(1), T(mine + T(1)));
    vec<T, 3> sums = simd_sum(v3);
    CHECK(sums.x == sum && sums.y == T(popcount(mask & (p.count < 32 ? (1u << p.count) - 1 : ~0u))));
    CHECK(simd_max(v3).x == high && simd_min(v3).x == low && simd_max(v3).y == T(1));
}

template <typename T> void integer_reductions(device uint *line, device const uint *data, Place p, uint mask)
{
    uint i = p.i;
    T mine = value<T>(data, p, p.lane), a = T(~T(0)), o = 0, x = 0;
    for (uint l = 0; l < p.count; l++)
        if (mask >> l & 1) {
            T v = value<T>(data, p, l);
            a = T(a & v), o = T(o | v), x = T(x ^ v);
        }
    CHECK(simd_and(mine) == a);
    CHECK(simd_or(mine) == o);
    CHECK(simd_xor(mine) == x);
    CHECK(all(simd_xor(vec<T, 2>(mine, mine)) == vec<T, 2>(x)));
}

void votes(device uint *line, device const uint *data, Place p, uint mask)
{
    uint i = p.i, all_lanes = 0, yes = 0;
    for (uint l = 0; l < p.count; l++)
        if (mask >> l & 1) {
            all_lanes |= 1u << l;
            yes |= uint(value<int>(data, p, l) > 0) << l;
        }
    bool mine = value<int>(data, p, p.lane) > 0;
    CHECK((simd_vote::vote_t)simd_ballot(mine) == yes);
    CHECK((simd_vote::vote_t)simd_active_threads_mask() == all_lanes);
    CHECK(simd_any(mine) == (yes != 0));
    CHECK(simd_all(mine) == (yes == all_lanes));
    CHECK(simd_any(false) == false && simd_all(true) == true);
    CHECK(!simd_is_helper_thread());
}

void every_reduction(device uint *line, device const uint *data, Place p, uint mask)
{
    reductions<int>(line, data, p, mask);
    reductions<uint>(line, data, p, mask);
    reductions<short>(line, data, p, mask);
    reductions<uchar>(line, data, p, mask);
    reductions<char>(line, data, p, mask);
    integer_reductions<int>(line, data, p, mask);
    integer_reductions<ushort>(line, data, p, mask);
    votes(line, data, p, mask);
}

kernel void uniform_reductions(ARGUMENTS)
{
    every_reduction(line, data, place(i, lane, in_group, size), ~0u);
}

kernel void divergent_reductions(ARGUMENTS)
{
    Place p = place(i, lane, in_group, size);
    if (lane % 3 == 1) {
        uint mask = 0;
        for (uint l = 1; l < 32; l += 3)
            mask |= 1u << l;
        reductions<int>(line, data, p, mask);
        integer_reductions<uint>(line, data, p, mask);
        votes(line, data, p, mask);
    } else if (lane > 20) {
        uint mask = 0;
        for (uint l = 21; l < 32; l++)
            mask |= uint(l % 3 != 1) << l;
        reductions<short>(line, data, p, mask);
        votes(line, data, p, mask);
    }
}

// Floats: sums of small whole numbers are exact in any order.
kernel void float_reductions(ARGUMENTS)
{
    Place p = place(i, lane, in_group, size);
    float mine = value<float>(data, p, lane), sum = 0, low = INFINITY, high = -INFINITY, before = 0;
    for (uint l = 0; l < p.count; l++) {
        float v = value<float>(data, p, l);
        before += l < lane ? v : 0;
        sum += v, low = fmin(low, v), high = fmax(high, v);
    }
    CHECK(simd_sum(mine) == sum);
    CHECK(simd_min(mine) == low && simd_max(mine) == high);
    CHECK(simd_prefix_exclusive_sum(mine) == before);
    CHECK(simd_prefix_inclusive_sum(mine) == before + mine);
    CHECK(simd_sum(half(mine)) == half(sum));
    CHECK(simd_max(half(mine)) == half(high));
    CHECK(simd_product(float(lane < 6 ? 2 : 1)) == float(1u << min(p.count, 6u)));
    CHECK(all(simd_sum(float4(mine, 1, 2, -mine)) == float4(sum, p.count, 2 * p.count, -sum)));
}

template <typename T> void shuffles(device uint *line, device const uint *data, Place p)
{
    uint i = p.i;
    T mine = value<T>(data, p, p.lane);
    for (ushort d = 0; d < ushort(p.count); d++) {
        CHECK(simd_shuffle(mine, d) == value<T>(data, p, d));
        CHECK(simd_broadcast(mine, d) == value<T>(data, p, d));
        // Lanes past the end give nothing defined, so only those that exist are looked at.
        T down = simd_shuffle_down(mine, d), up = simd_shuffle_up(mine, d);
        if (p.lane + d < p.count)
            CHECK(down == value<T>(data, p, p.lane + d));
        if (p.lane >= d)
            CHECK(up == value<T>(data, p, p.lane - d));
        T rotated_down = simd_shuffle_rotate_down(mine, d), rotated_up = simd_shuffle_rotate_up(mine, d);
        if ((p.lane + d) % 32 < p.count)
            CHECK(rotated_down == value<T>(data, p, (p.lane + d) % 32));
        if ((p.lane + 32 - d) % 32 < p.count)
            CHECK(rotated_up == value<T>(data, p, (p.lane + 32 - d) % 32));
        T crossed = simd_shuffle_xor(mine, d);
        if ((p.lane ^ d) < p.count)
            CHECK(crossed == value<T>(data, p, p.lane ^ d));
        T other = T(mine + T(7));
        T filled_down = simd_shuffle_and_fill_down(mine, other, d);
        T filled_up = simd_shuffle_and_fill_up(mine, other, d);
        if (p.lane + d < p.count)
            CHECK(filled_down == value<T>(data, p, p.lane + d));
        if (p.lane + d >= 32)
            CHECK(filled_down == T(value<T>(data, p, p.lane + d - 32) + T(7)));
        if (p.lane >= d)
            CHECK(filled_up == value<T>(data, p, p.lane - d));
        else if (p.count == 32)
            CHECK(filled_up == T(value<T>(data, p, 32 + p.lane - d) + T(7)));
    }
    if (p.count == 32) {
        vec<T, 4> v(mine, T(0), T(1), T(mine + T(1)));
        vec<T, 4> got = simd_shuffle(v, ushort(31 - p.lane));
        T want = value<T>(data, p, 31 - p.lane);
        CHECK(got.x == want && got.y == T(0) && got.z == T(1) && got.w == T(want + T(1)));
        // In groups of eight.
        T filled = simd_shuffle_and_fill_down(mine, T(mine + T(1)), 3, 8);
        uint from = p.lane % 8 + 3, start = p.lane - p.lane % 8;
        CHECK(filled == T(value<T>(data, p, start + from % 8) + T(from < 8 ? 0 : 1)));
        filled = simd_shuffle_and_fill_up(mine, T(mine + T(1)), 3, 8);
        from = p.lane % 8 + 8 - 3;
        CHECK(filled == T(value<T>(data, p, start + from % 8) + T(from >= 8 ? 0 : 1)));
    }
}
// A kernel for each type: LLVM takes more than twice as long for code that is twice as long.
#define SHUFFLES(T)                                                                                \
    kernel void shuffles_of_##T(ARGUMENTS)                                                         \
    {                                                                                              \
        Place p = place(i, lane, in_group, size);                                                  \
        shuffles<T>(line, data, p);                                                                \
    }
SHUFFLES(int)
SHUFFLES(float)
SHUFFLES(half)
SHUFFLES(bfloat)
SHUFFLES(uchar)

// Shuffles in loops whose length differs from SIMD-group to SIMD-group, and among callers that diverge.
kernel void divergent_shuffles(ARGUMENTS)
{
    Place p = place(i, lane, in_group, size);
    uint rounds = data[p.first % 4096] % 5 + 1;
    int mine = value<int>(data, p, lane), running = 0, want = 0;
    for (uint r = 0; r < rounds; r++) {
        running += simd_broadcast(mine, ushort(r % p.count));
        want += value<int>(data, p, r % p.count);
    }
    CHECK(running == want);
    if (lane & 1) {
        int next = simd_shuffle_xor(mine, ushort(2));
        if ((lane ^ 2) < p.count)
            CHECK(next == value<int>(data, p, lane ^ 2));
    }
}

// Quad-groups: four lanes each, the last may be short.
template <typename T> void quads(device uint *line, device const uint *data, Place p)
{
    uint i = p.i, q = p.lane & 3, start = p.lane - q, count = min(p.count - start, 4u);
    T mine = value<T>(data, p, p.lane), sum = 0, product = 1, before = 0, low = mine, high = mine;
    for (uint l = 0; l < count; l++) {
        T v = value<T>(data, p, start + l);
        if (l < q)
            before += v;
        sum += v, product *= v, low = min(low, v), high = max(high, v);
    }
    CHECK(quad_sum(mine) == sum && quad_product(mine) == product);
    CHECK(quad_min(mine) == low && quad_max(mine) == high);
    CHECK(quad_prefix_exclusive_sum(mine) == before);
    CHECK(quad_prefix_inclusive_sum(mine) == T(before + mine));
    CHECK(quad_broadcast_first(mine) == value<T>(data, p, start));
    for (ushort d = 0; d < ushort(count); d++) {
        CHECK(quad_shuffle(mine, d) == value<T>(data, p, start + d));
        CHECK(quad_broadcast(mine, d) == value<T>(data, p, start + d));
        T down = quad_shuffle_down(mine, d), up = quad_shuffle_up(mine, d);
        T crossed = quad_shuffle_xor(mine, d), around = quad_shuffle_rotate_down(mine, d);
        T back = quad_shuffle_rotate_up(mine, d), filled = quad_shuffle_and_fill_down(mine, T(mine + T(5)), d);
        if (q + d < count)
            CHECK(down == value<T>(data, p, start + q + d) && filled == down);
        if (q + d >= 4)
            CHECK(filled == T(value<T>(data, p, start + q + d - 4) + T(5)));
        if (q >= d)
            CHECK(up == value<T>(data, p, start + q - d));
        if ((q ^ d) < count)
            CHECK(crossed == value<T>(data, p, start + (q ^ d)));
        if (count == 4)
            CHECK(around == value<T>(data, p, start + (q + d) % 4) &&
                    back == value<T>(data, p, start + (q + 4 - d) % 4));
    }
}
kernel void all_quads(ARGUMENTS)
{
    Place p = place(i, lane, in_group, size);
    quads<int>(line, data, p);
    quads<float>(line, data, p);
    quads<ushort>(line, data, p);
    quads<half>(line, data, p);
    uint q = lane & 3, start = lane - q, count = min(p.count - start, 4u), yes = 0;
    for (uint l = 0; l < count; l++)
        yes |= uint(value<int>(data, p, start + l) > 0) << l;
    bool mine = value<int>(data, p, lane) > 0;
    CHECK((quad_vote::vote_t)quad_ballot(mine) == yes);
    CHECK((quad_vote::vote_t)quad_active_threads_mask() == (1u << count) - 1);
    CHECK(quad_any(mine) == (yes != 0) && quad_all(mine) == (yes == (1u << count) - 1));
    CHECK(quad_is_first() == (q == 0));
}

// Where a program looks at elements of its matrices, lanes may have other numbers than the hardware's.
#define LOOKS_AT_ELEMENTS                                                                          \
    simdgroup_float8x8 matrix = make_filled_simdgroup_matrix<float, 8, 8>(float(i));               \
    CHECK(matrix.thread_elements()[0] == float(i));                                                \
    CHECK(i - lane == place(i, lane, in_group, size).first && lane == in_group % 32);
kernel void reductions_beside_matrices(ARGUMENTS)
{
    LOOKS_AT_ELEMENTS
    every_reduction(line, data, place(i, lane, in_group, size), ~0u);
}
kernel void divergent_reductions_beside_matrices(ARGUMENTS)
{
    LOOKS_AT_ELEMENTS
    uint mask = 0x92492492;
    if (mask >> lane & 1) {
        reductions<int>(line, data, place(i, lane, in_group, size), mask);
        votes(line, data, place(i, lane, in_group, size), mask);
    }
}
kernel void shuffles_beside_matrices(ARGUMENTS)
{
    LOOKS_AT_ELEMENTS
    shuffles<int>(line, data, place(i, lane, in_group, size));
    shuffles<float>(line, data, place(i, lane, in_group, size));
}
kernel void quads_beside_matrices(ARGUMENTS)
{
    LOOKS_AT_ELEMENTS
    quads<int>(line, data, place(i, lane, in_group, size));
}
