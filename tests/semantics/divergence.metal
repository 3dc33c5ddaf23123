// Threads that go different ways: what a thread does not do itself must not happen to it, and each
// SIMD-group function sees the threads that are at it in the same turn.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)
#define ARGUMENTS                                                                                  \
    device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],                        \
            uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]]

template <typename T> bool is_quotient(T x, T d, T q, T r)
{
    typedef make_unsigned_t<T> U;
    U rest = r < T(0) ? U(U(0) - U(r)) : U(r), all = d < T(0) ? U(U(0) - U(d)) : U(d);
    return T(q * d + r) == x && rest < all;
}

template <typename T> T guarded(device uint *line, uint i, T x, T d)
{
    T q = 0, r = 0;
    if (d != T(0)) {
        q = x / d;
        r = x % d;
    }
    if (d != T(0) && !(x == numeric_limits<T>::min() && d == T(-1)))
        CHECK(is_quotient(x, d, q, r));
    else if (d == T(0))
        CHECK(q == T(0) && r == T(0));
    // Not guarded: some number, and no fault.
    return T(x / d + x % d);
}

kernel void division(ARGUMENTS, device uint *scratch [[buffer(2)]])
{
    ulong any = 0;
    for (uint k = 0; k < 8; k++) {
        uint x = data[(i + k) % 4096], d = data[(i * 3 + k) % 4096] >> (k * 4);
        d = (i + k) % 3 ? d : 0;
        any += ulong(guarded<uint>(line, i, x, d));
        any += ulong(guarded<int>(line, i, int(x), (i & 7) ? int(d) : -1));
        any += ulong(guarded<ulong>(line, i, ulong(x) << 32 | d, d));
        any += ulong(guarded<long>(line, i, long(ulong(x) << 32 | d), (i & 7) ? long(int(d)) : -1));
        any += ulong(guarded<ushort>(line, i, ushort(x), ushort(d)));
        any += ulong(guarded<short>(line, i, short(x), short(d)));
        any += ulong(guarded<uchar>(line, i, uchar(x), uchar(d)));
        any += ulong(guarded<char>(line, i, char(x), char(d)));
    }
    any += ulong(guarded<int>(line, i, INT_MIN, -1));
    any += ulong(guarded<int>(line, i, INT_MIN, int(i % 2) - 1));
    scratch[i % 64] = uint(any);
    CHECK(simd_sum(1) >= 1); // makes it a kernel of lanes
}

// Euclid's algorithm takes each thread its own number of steps.
kernel void greatest_common_divisor(ARGUMENTS, uint index [[thread_index_in_threadgroup]])
{
    threadgroup uint all[1024];
    uint x = data[i % 4096] | 1, y = data[(i + 1) % 4096], a = x, b = y, odd = 0;
    while (y != 0) {
        uint t = x % y;
        x = y;
        y = t;
        odd += 1;
    }
    all[index] = x;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    CHECK(all[index] != 0 && a % all[index] == 0 && b % all[index] == 0);
    CHECK(odd <= 48);
}

// In turn k there are the lanes that have not left yet.
kernel void turns_of_different_counts(ARGUMENTS)
{
    uint mine = data[i % 4096] % 7, before = uint(ulong(simd_ballot(true)));
    for (uint k = 0; k < mine; k++) {
        uint here = uint(ulong(simd_ballot(true)));
        CHECK((here >> lane & 1) && (here & ~before) == 0);
        // Those that skip a function in this turn are not in it in the next one either.
        if ((k + lane) % 3 == 0) {
            uint some = uint(ulong(simd_ballot(true)));
            CHECK((some & ~here) == 0 && (some >> lane & 1));
            for (uint n = 0; n < 32; n++)
                if (some >> n & 1)
                    CHECK((k + n) % 3 == 0);
        }
        CHECK(simd_max(k) == k && simd_min(k) == k);
        if (k == 4 && lane % 2)
            break;
        CHECK(simd_min(k) == k && simd_max(k) == k);
        before = here;
    }
    CHECK(simd_max(lane) < 32);
    uint total = simd_sum(mine), count = 0;
    for (uint n = 0; n < 32; n++)
        count += simd_sum(n < mine ? 1u : 0u);
    CHECK(total == count);
}

kernel void turns_inside_turns(ARGUMENTS)
{
    for (uint k = 0; k < (lane & 3) + 1; k++)
        for (uint n = 0; n < (data[(i + k) % 4096] & 3); n++) {
            CHECK(simd_min(k) == k && simd_max(k) == k);
            CHECK(simd_min(n) == n && simd_max(n) == n);
            if ((lane + n) & 1)
                continue;
            CHECK(simd_max(k * 100 + n) == k * 100 + n);
        }
}

// What is stored outside a thread's array harms nobody.
kernel void arrays_out_of_range(ARGUMENTS, uint size [[threads_per_threadgroup]])
{
    float before[4] = {1, 2, 3, 4}, row[8] = {0}, after[4] = {5, 6, 7, 8};
    int n = int(data[0] % 5) + 8 - int(lane) * 8; // 8 or more for the first lane only
    for (int k = 0; k < min(n, 8); k++)
        row[k] = float(k);
    before[data[1] % 4] += 1, after[data[1] % 4] += 1;
    if (n < 8)
        for (int k = n; k < 8; k++)
            row[k] = 100.0f; // k from far below 0 on
    float sum = 0;
    for (int k = 0; k < 8; k++)
        sum += row[k];
    CHECK(sum == (n >= 8 ? 28.0f : n <= 0 ? 800.0f : sum));
    row[data[i % 4096]] = 7;
    row[int(data[i % 4096])] += 7;
    CHECK(before[0] + before[1] + before[2] + before[3] == 11);
    CHECK(after[0] + after[1] + after[2] + after[3] == 27);
    CHECK(simd_max(lane) < 32 && size > 0);
}

// The same where the array's address meets others, or walks.
kernel void addresses_out_of_range(ARGUMENTS, uint size [[threads_per_threadgroup]])
{
    uint before[4] = {1, 2, 3, 4}, p[8] = {5, 6, 7, 8, 9, 10, 11, 12}, after[4] = {13, 14, 15, 16};
    uint wild = data[i % 16] | 0x1000;
    before[i % 4] += 0;
    after[i % 4] += 0;
    thread uint *either = data[i % 16] % 2 ? &p[data[i] % 8] : &before[data[i] % 4];
    uint kept = *either;
    // One load or store for LLVM, of a private and a device address.
    uint read = data[i % 7] % 3 ? p[wild] : data[lane];
    for (uint n = 0; n < data[i % 5] % 4; n++)
        read += n % 2 ? p[int(lane) - 40] : data[n];
    if (read == 0x12345678)
        p[wild] = read;
    if (lane % 3)
        p[int(wild % 99) + 8] = 0xbad;
    thread uint *walk = p + int(lane % 5) - 2;
    for (uint n = 0; n < 3 + size % 2; n++) {
        if (walk < p || walk >= p + 8)
            *walk = 0xbad;
        walk += lane % 2 ? 9 : -9;
    }
    thread uint *at = &p[8 + lane % 9];
    for (uint n = 0; n < data[i % 3] % 5 + 1; n++)
        *at++ = 0xbad;
    CHECK(*either == kept);
    for (uint k = 0; k < 4; k++)
        CHECK(before[k] == k + 1 && after[k] == k + 13);
    for (uint k = 0; k < 8; k++)
        CHECK(p[k] == k + 5);
}

// Out of an integer's range: the nearest in it; NaN is 0.
kernel void conversions(ARGUMENTS)
{
    float x = as_type<float>(data[i % 4096]);
    int2 s = int2(float2(x, 3e9f));
    uint2 u = uint2(float2(x, -1.0f));
    CHECK(s.y == INT_MAX && u.y == 0);
    CHECK(isnan(x) ? s.x == 0 && u.x == 0 : true);
    CHECK(x >= 2147483648.0f ? s.x == INT_MAX : x <= -2147483648.0f ? s.x == INT_MIN : s.x == int(x));
    CHECK(x >= 4294967296.0f ? u.x == UINT_MAX : x <= 0 ? u.x == 0 : u.x == uint(x));
    CHECK(all(char2(float2(1e9f, -1e9f)) == char2(127, -128)));
    CHECK(simd_max(lane) < 32);
}

// A product of a matrix and a few vectors: pointers that go on, and a sum of each, as many as there are. The
// sums are no multiple of their array's alignment, and are made zero at once.
kernel void sums_of_odd_number(ARGUMENTS, device uint *scratch [[buffer(2)]])
{
    int count = int(scratch[0]) + 4; // 4, which the compiler does not know
    device const uint *row[5];
    for (int j = 0; j < 5; j++)
        row[j] = j < count ? data + j * count + lane : data;
    float sum[5] = {};
    for (int k = 0; k < count; k++)
        for (int j = 0; j < 5; j++) {
            sum[j] += float(row[j][k] & 7);
            row[j] += 3;
        }
    for (int j = 0; j < 5; j++)
        sum[j] = simd_sum(sum[j]);
    device uint *out = scratch + 8 + i;
    if (lane == 0)
        for (int j = 0; j < 5 && j < count; j++)
            out[j] = uint(sum[j]);
    for (int j = 0; j < 4; j++) {
        uint expected = 0;
        for (int k = 0; k < 4; k++)
            expected += simd_sum(data[j * 4 + lane + 4 * k] & 7);
        CHECK(lane || out[j] == expected);
    }
}

// A thread's own array, indexed by what differs between threads, from before a barrier to behind it.
kernel void arrays_over_barriers(ARGUMENTS, device uint *scratch [[buffer(2)]])
{
    uint own = data[i], add = lane + simd_min(own), all[4] = {};
    uint array[8] = {1, 2, 3, 4, 5, 6, 7, own};
    for (uint k = 0; k < (data[1] & 0) + 3; k++) {
        array[uint(int(short(own))) & 7] += add;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        scratch[i] += add;
        all[k] = own;
    }
    uint was = (own & 7) == 7 ? own : (own & 7) + 1;
    CHECK(array[own & 7] == was + 3 * add && all[2] == own);
}

// The first thread of a vector is past the edge and the others are not: what they read is found from where
// it would have read.
kernel void edges(ARGUMENTS)
{
    uint mine = data[i];
    for (ushort reach = 1; reach < 32; reach += 3) {
        int x = int(i) - reach;
        uint v = 7, other = simd_shuffle_up(mine, reach);
        if (x >= 0 && x < 4000)
            v = data[x];
        CHECK(x < 0 ? v == 7 : lane < reach || v == other);
    }
}

// Guards behind each other, of which all lanes pass none, one or both.
kernel void leaves_twice(ARGUMENTS)
{
    uint mine = data[i], sum = 0;
    uint stay = simd_sum(uint(i < 4000 && !(mine % 2 == 0 && i > 2000) && i % 64 != 5));
    if (i >= 4000)
        return;
    if (mine % 2 == 0 && i > 2000)
        return;
    if (i % 64 == 5)
        return;
    CHECK(simd_sum(1u) == stay);
    for (uint k = 0; k < mine % 5; k++)
        sum += data[k];
    for (uint k = 0; k < mine % 5; k++)
        sum -= data[k];
    CHECK(sum == 0);
}

// Threads that have returned are not waited for, at a barrier that others of their SIMD-group come to.
kernel void meets_after_leaving(ARGUMENTS, uint t [[thread_index_in_threadgroup]],
        uint count [[threads_per_threadgroup]])
{
    threadgroup uint seen[1024];
    device const uint *group = data + (i - t);
    seen[t] = 0;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (t / 32 == 1)
        return;
    if (data[i] % 3 == 0)
        return;
    for (uint turn = 1; turn <= 3; turn++) {
        seen[t] = turn * 1000 + t;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint k = 0; k < count; k++)
            CHECK(seen[k] == (k / 32 == 1 || group[k] % 3 == 0 ? 0 : turn * 1000 + k));
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
}
