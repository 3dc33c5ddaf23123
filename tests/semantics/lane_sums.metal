// Sums over lanes of what loops made of rows of elements: the compiler may leave elements in memory's
// order only where nobody can tell. Small whole numbers, so that every order gives the same sum; against
// the same computed by each thread alone.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

#define ARGUMENTS                                                                                  \
    device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],                        \
            uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]],           \
            uint in_group [[thread_index_in_threadgroup]], uint size [[threads_per_threadgroup]]

#define N 8 // elements of a lane's row

struct Place {
    uint lane, count; // lanes of the SIMD-group that exist
};

static Place place(uint lane, uint in_group, uint size)
{
    return {lane, min(size - (in_group - lane), 32u)};
}

static float x(device const uint *data, int b, int k)
{
    return float(data[b * N + k] & 7);
}

static float y(device const uint *data, int b, int k)
{
    return float(data[2048 + b * N + k] >> 29);
}

// The same for one lane's blocks, alone: `l` of all in the group.
#define ALONE(l, turn)                                                                             \
    for (int b = l; b < blocks; b += 32) {                                                        \
        turn                                                                                       \
    }

#define ROW(sum)                                                                                   \
    _Pragma("unroll") for (int k = 0; k < N; k++)                                                 \
        sum += x(data, b, k) * y(data, b, k);

// All lanes every turn, or some of them only at the end, or not even in the first.
kernel void products(ARGUMENTS)
{
    Place p = place(lane, in_group, size);
    for (int blocks : {128, 96, 100, 33, 32, 20, 1, 0}) {
        float sum = 0, all = 0;
        ALONE(lane, ROW(sum))
        for (uint l = 0; l < p.count; l++)
            ALONE(l, for (int k = 0; k < N; k++) all += x(data, b, k) * y(data, b, k);)
        CHECK(simd_sum(sum) == all);
    }
}

// One loop after the other, without a loop around them: sums go from one to the next.
kernel void products_of_two(ARGUMENTS)
{
    Place p = place(lane, in_group, size);
    const int blocks = data[1] + 69, more = blocks + 55;
    float sum = 0, other = 3, all = 0, all_other = 0;
    for (int b = lane; b < blocks; b += 32) {
        ROW(sum)
        _Pragma("unroll") for (int k = 0; k < N; k++) other += x(data, b, k) * 2 * y(data, b, k);
    }
    for (int b = blocks + lane; b < more; b += 32)
        sum += x(data, b, 3);
    for (uint l = 0; l < p.count; l++) {
        for (int b = l; b < blocks; b += 32)
            for (int k = 0; k < N; k++)
                all += x(data, b, k) * y(data, b, k);
        for (int b = blocks + l; b < more; b += 32)
            all += x(data, b, 3);
    }
    for (uint l = 0; l < p.count; l++) {
        all_other += 3;
        for (int b = l; b < blocks; b += 32)
            for (int k = 0; k < N; k++)
                all_other += x(data, b, k) * 2 * y(data, b, k);
    }
    float got = simd_sum(sum), got_other = simd_sum(other);
    CHECK(got == all && got_other == all_other);
}

#define ONE_LOOP(name, turn, behind, result, turn_alone, behind_alone)                             \
    kernel void name(ARGUMENTS)                                                                    \
    {                                                                                              \
        Place p = place(lane, in_group, size);                                                     \
        const int blocks = data[1] + 99;                                                          \
        float sum = 0, all = 0, mine = 0, other = 0; uint seen = 0;                                                     \
        for (int b = lane; b < blocks; b += 32) {                                                 \
            turn;                                                                                  \
        }                                                                                          \
        mine = sum + 0 * other + 0 * seen;                                                                                \
        behind;                                                                                    \
        float got = result;                                                                        \
        for (uint l = 0; l < p.count; l++) {                                                       \
            float its = 0;                                                                         \
            for (int b = l; b < blocks; b += 32) {                                                \
                float row = 0;                                                                     \
                for (int k = 0; k < N; k++) {                                                     \
                    float term = x(data, b, k) * y(data, b, k);                                    \
                    turn_alone;                                                                    \
                    row += term;                                                                   \
                }                                                                                  \
                its += row;                                                                        \
            }                                                                                      \
            behind_alone;                                                                          \
            all += its;                                                                            \
        }                                                                                          \
        CHECK(got == all);                                                                         \
    }

// What may be left in memory's order ...
ONE_LOOP(plain, ROW(sum), , simd_sum(sum), , )
// ... and what may not: a lane's own factor, factors that differ, other pairs, some lanes' sums that
// are dropped, a sum among some lanes, one of the lanes before, a lane's sum that is looked at.
ONE_LOOP(own_factor, float mine_too = float(lane % 5);
        _Pragma("unroll") for (int k = 0; k < N; k++) sum += x(data, b, k) * y(data, b, k) * mine_too;, ,
        simd_sum(sum),        term *= float(l % 5), )
ONE_LOOP(own_factor_of_block, float row = 0; ROW(row) sum += row * float(data[3000 + b] & 3);, ,
        simd_sum(sum), term *= float(data[3000 + b] & 3), )
ONE_LOOP(factors_that_differ,
        _Pragma("unroll") for (int k = 0; k < N; k++) sum += x(data, b, k) * y(data, b, k) * float(k + 1);
        , , simd_sum(sum), term *= float(k + 1), )
ONE_LOOP(other_pairs,
        _Pragma("unroll") for (int k = 0; k < N; k++) sum += x(data, b, k) * y(data, b, N - 1 - k);, ,
        simd_sum(sum), term = x(data, b, k) * y(data, b, N - 1 - k), )
ONE_LOOP(not_all,
        _Pragma("unroll") for (int k = 0; k < N - 1; k++) sum += x(data, b, k) * y(data, b, k);
        sum += x(data, b, 7), , simd_sum(sum), if (k == 7) term = x(data, b, 7), )
ONE_LOOP(dropped, ROW(sum), if (lane % 3 == 1) { sum = 1; line[i] = 0; }, simd_sum(sum), ,
        if (l % 3 == 1) its = 1)
ONE_LOOP(doubled, ROW(sum), if (lane % 3 == 1) { sum += sum; line[i] = 0; }, simd_sum(sum), ,
        if (l % 3 == 1) its += its)
ONE_LOOP(among_some, ROW(sum), if (lane % 3 == 1) mine = simd_sum(sum),
        lane % 3 == 1 ? mine : all, , if (lane % 3 != 1 || l % 3 != 1) its = 0)
ONE_LOOP(before, ROW(sum), , simd_prefix_exclusive_sum(sum), , if (l >= lane) its = 0)
ONE_LOOP(looked_at, ROW(sum), , mine, , if (l != lane) its = 0)
ONE_LOOP(looked_at_too, ROW(sum), , simd_sum(sum) + mine, , if (l == lane) its += its)
ONE_LOOP(both, ROW(sum), , simd_sum(sum) + simd_max(mine),
        , if (l == 0) { float most = 0; for (uint m = 0; m < p.count; m++) { float s = 0;
            for (int b = m; b < blocks; b += 32) for (int k = 0; k < N; k++) s += x(data, b, k) * y(data, b, k);
            most = max(most, s); } its += most; })
ONE_LOOP(sum_of_sums, ROW(mine) sum += mine, , simd_sum(sum), , {
    its = 0;
    float run = 0;
    for (int b = l; b < blocks; b += 32) {
        for (int k = 0; k < N; k++)
            run += x(data, b, k) * y(data, b, k);
        its += run;
    }
})
ONE_LOOP(element_looked_at, ROW(sum) seen |= data[b * N + 2], , simd_sum(sum) + float(seen & 7), ,
        if (l == lane) {
            uint bits = 0;
            for (int b = l; b < blocks; b += 32)
                bits |= data[b * N + 2];
            its += float(bits & 7);
        })
ONE_LOOP(last_element, ROW(sum) other = x(data, b, 5);, sum += other, simd_sum(sum), ,
        for (int b = l; b < blocks; b += 32) if (b + 32 >= blocks) its += x(data, b, 5))

// Blocks of packed numbers: two lanes (or four) share a block and its factors, and each takes half of
// its numbers apart; they are multiplied by numbers that lie elsewhere and in another order.
struct Packed {
    ushort d, m; // used: 2 bits
    ushort q[8]; // four numbers of four bits each
};

static float d(device const Packed *p)
{
    return float(p->d & 3);
}

static float m(device const Packed *p)
{
    return float(p->m & 1);
}

// One of 1, 1.25, 1.5, 1.75: integers would be added as such.
static float number(uint bits)
{
    return float(as_type<half>(ushort(0x3c00 | (bits >> 22 & 0x300))));
}

struct Sums {
    float a[4], y;
};

static void word(device const Packed *p, device const uint *y, int w, thread Sums &s)
{
    float even = number(y[0]), odd = number(y[1]), high = number(y[16]), last = number(y[17]);
    s.y += even + odd + high + last;
    s.a[0] += even * float(p->q[w] & 0x000f);
    s.a[1] += odd * 0.00390625f * float(p->q[w] & 0x0f00);
    s.a[2] += high * 0.0625f * float(p->q[w] & 0x00f0);
    s.a[3] += last * 0.000244140625f * float(p->q[w] & 0xf000);
}

// What lane `part` of a block's `lanes` makes of it, without its factors.
template <int lanes>
static float packed(device const Packed *p, device const uint *y, int part, thread float &sum_of_y)
{
    int w = part * (8 / lanes);
    Sums s = {{0, 0, 0, 0}, 0};
    y += 2 * w;
    word(p, y, w, s);
    word(p, y + 2, w + 1, s);
    if (lanes == 2) {
        word(p, y + 4, w + 2, s);
        word(p, y + 6, w + 3, s);
    }
    sum_of_y = s.y;
    return s.a[0] + s.a[1] + s.a[2] + s.a[3];
}

#define PACKED(name, lanes, what)                                                                  \
    kernel void name(ARGUMENTS)                                                                    \
    {                                                                                              \
        Place place_of = place(lane, in_group, size);                                              \
        const int blocks = data[1] + 99;                                                           \
        device const Packed *rows = (device const Packed *)(data + 8);                             \
        device const uint *ys = data + 1024;                                                       \
        float sum = 0, other = 0, all = 0, all_other = 0;                                          \
        for (int b = lane / lanes; b < blocks; b += 32 / lanes) {                                  \
            device const Packed *p = rows + b;                                                     \
            float y, q = packed<lanes>(p, ys + b * 16, lane % lanes, y);                           \
            what                                                                                   \
        }                                                                                          \
        float got = simd_sum(sum), got_other = simd_sum(other);                                    \
        sum = 0, other = 0;                                                                        \
        for (uint l = 0; l < place_of.count; l++) {                                                \
            uint lane = l;                                                                         \
            for (int b = lane / lanes; b < blocks; b += 32 / lanes) {                              \
                device const Packed *p = rows + b;                                                 \
                float y, q = packed<lanes>(p, ys + b * 16, lane % lanes, y);                       \
                what                                                                               \
            }                                                                                      \
        }                                                                                          \
        all = sum, all_other = other;                                                              \
        CHECK(got == all && got_other == all_other);                                               \
    }

// Numbers of eight bytes at any multiple of two, which are more pieces than a register's elements.
kernel void odd_longs(ARGUMENTS)
{
    Place p = place(lane, in_group, size);
    const int blocks = data[1] + 69;
    device const uchar *rows = (device const uchar *)data + 2;
    float sum = 0, all = 0;
    for (int b = lane; b < blocks; b += 32) {
        device const ulong *row = (device const ulong *)(rows + b * 18);
        sum += float(row[0] & 7) * float(row[1] & 7);
    }
    for (uint l = 0; l < p.count; l++)
        for (int b = l; b < blocks; b += 32)
            all += float(rows[b * 18] & 7) * float(rows[b * 18 + 8] & 7);
    float got = simd_sum(sum);
    CHECK(got == all);
}

PACKED(packed_by_two, 2, sum += d(p) * (y * -8 + q); other += q;)
PACKED(packed_by_four, 4, sum += d(p) * q - m(p) * y; other -= y * 2;)
PACKED(packed_with_own, 2, sum += d(p) * q + float(lane & 3); other += m(p) * (q - y) * float(lane & 1);)
PACKED(packed_negative, 4, sum = -y * d(p) + sum; other += -(q * d(p)) * m(p);)
PACKED(packed_in_two_shapes, 2, sum += (lane & 1 ? d(p) : m(p)) * q;
        other += d(p) * float(p->q[lane % 2 * 4] & 15) + number(ys[b * 16 + lane % 2]);)
