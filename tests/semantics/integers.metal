// <metal_integer> against the same done bit by bit or in a wider type, for every integer type and for
// vectors.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

template <typename T> T random(device const uint *data, uint i)
{
    ulong low = data[i % 4096], high = data[(i * 7 + 11) % 4096];
    ulong all = low | high << 32;
    // The notable words, at the top of narrow types too.
    return T(i & 1 ? all : all >> (64 - 8 * sizeof(T)));
}

template <typename T> bool bit(T x, uint n)
{
    return ulong(x) >> n & 1;
}

// a * b in twice the width: low and high half.
template <typename T> void multiply(T a, T b, thread T &low, thread T &high)
{
    typedef make_unsigned_t<T> U;
    const uint width = sizeof(T) * 8;
    U l = 0, h = 0, ua = U(a), ub = U(b);
    for (uint n = 0; n < width; n++)
        if (bit(ub, n)) {
            U part = U(ua << n), before = l;
            l = U(l + part);
            h = U(h + U(l < before) + (n ? U(ua >> (width - n)) : U(0)));
        }
    // Of the unsigned product: a negative operand counts 2^width too much.
    if (is_signed_v<T>) {
        if (a < T(0))
            h = U(h - ub);
        if (b < T(0))
            h = U(h - ua);
    }
    low = T(l), high = T(h);
}

template <typename T> void bits(device uint *line, device const uint *data, uint i, uint k)
{
    typedef make_unsigned_t<T> U;
    const uint width = sizeof(T) * 8;
    T x = random<T>(data, k), y = random<T>(data, k + 1);
    uint ones = 0, leading = 0, trailing = 0;
    U reversed = 0;
    bool seen = false;
    for (uint n = 0; n < width; n++) {
        ones += bit(x, n);
        reversed = U(reversed | U(U(bit(x, n)) << (width - 1 - n)));
        leading = bit(x, n) ? 0 : leading + 1;
        seen = seen || bit(x, n);
        trailing += !seen;
    }
    CHECK(popcount(x) == T(ones));
    CHECK(clz(x) == T(leading));
    CHECK(ctz(x) == T(trailing));
    CHECK(reverse_bits(x) == T(reversed));
    uint by = uint(y) % width;
    U turned = 0;
    for (uint n = 0; n < width; n++)
        turned = U(turned | U(U(bit(x, n)) << ((n + by) % width)));
    CHECK(rotate(x, T(by)) == T(turned));
    uint offset = data[k % 4096] % width, count = data[(k + 3) % 4096] % (width - offset + 1);
    U field = 0, inserted = U(y);
    for (uint n = 0; n < count; n++) {
        field = U(field | U(U(bit(x, offset + n)) << n));
        U mask = U(U(1) << (offset + n));
        inserted = U((inserted & ~mask) | (bit(x, n) ? mask : U(0)));
    }
    if (is_signed_v<T> && count && bit(field, count - 1))
        for (uint n = count; n < width; n++)
            field = U(field | U(U(1) << n));
    CHECK(extract_bits(x, offset, count) == T(field));
    CHECK(insert_bits(y, x, offset, count) == T(inserted));
    CHECK(all(popcount(vec<T, 3>(x, y, x)) == vec<T, 3>(popcount(x), popcount(y), popcount(x))));
    CHECK(all(rotate(vec<T, 2>(x, y), vec<T, 2>(T(by))) == vec<T, 2>(rotate(x, T(by)), rotate(y, T(by)))));
}

template <typename T> void arithmetic(device uint *line, device const uint *data, uint i, uint k)
{
    typedef make_unsigned_t<T> U;
    const T lowest = numeric_limits<T>::lowest(), highest = numeric_limits<T>::max();
    T x = random<T>(data, k), y = random<T>(data, k + 1), z = random<T>(data, k + 2);
    T sum = T(U(x) + U(y)), difference = T(U(x) - U(y));
    bool over = is_signed_v<T> ? (y > T(0) && x > T(highest - y)) : x > T(highest - y);
    bool under = is_signed_v<T> && y < T(0) && x < T(lowest - y);
    CHECK(addsat(x, y) == (over ? highest : under ? lowest : sum));
    over = is_signed_v<T> && y < T(0) && x > T(highest + y);
    under = is_signed_v<T> ? y > T(0) && x < T(lowest + y) : x < y;
    CHECK(subsat(x, y) == (over ? highest : under ? lowest : difference));
    CHECK(absdiff(x, y) == (x > y ? U(U(x) - U(y)) : U(U(y) - U(x))));
    CHECK(abs(x) == (x < T(0) ? T(U(0) - U(x)) : x));
    // (x + y) >> 1 and (x + y + 1) >> 1 with the carry.
    T half_sum = T((x >> 1) + (y >> 1) + (x & y & T(1)));
    CHECK(hadd(x, y) == half_sum);
    CHECK(rhadd(x, y) == T(half_sum + ((x ^ y) & T(1))));
    T low, high;
    multiply(x, y, low, high);
    CHECK(mulhi(x, y) == high);
    CHECK(madhi(x, y, z) == T(U(high) + U(z)));
    U carried = U(U(low) + U(z));
    U carry = U(U(carried < U(low)) - (z < T(0) ? U(1) : U(0)));
    U top = U(U(high) + carry);
    bool fits = is_signed_v<T> ? top == (bit(carried, sizeof(T) * 8 - 1) ? U(~U(0)) : U(0)) : top == U(0);
    T bound = is_signed_v<T> && bit(top, sizeof(T) * 8 - 1) ? lowest : highest;
    CHECK(madsat(x, y, z) == (fits ? T(carried) : bound));
    T a = min(x, y), b = max(x, y);
    CHECK(a <= b && (a == x || a == y) && (b == x || b == y));
    CHECK(clamp(z, a, b) == (z < a ? a : z > b ? b : z));
    CHECK(min3(x, y, z) == min(x, min(y, z)) && max3(x, y, z) == max(x, max(y, z)));
    CHECK(median3(x, y, z) == (z < a ? a : z > b ? b : z));
    CHECK(select(x, y, true) == y && select(x, y, false) == x);
    vec<T, 4> v(x, y, z, lowest), w(y, z, x, highest), m = mulhi(v, w), s = addsat(v, w);
    CHECK(m.x == high && m.y == mulhi(y, z) && m.w == mulhi(lowest, highest));
    CHECK(s.x == addsat(x, y) && s.z == addsat(z, x) && s.w == addsat(lowest, highest));
    CHECK(all(madsat(v, w, v).xy == vec<T, 2>(madsat(x, y, x), madsat(y, z, y))));
    CHECK(all(absdiff(v, w).xy == vec<U, 2>(absdiff(x, y), absdiff(y, z))));
}

// Operators: wrap-around, shifts modulo the width, comparisons.
template <typename T> void operators(device uint *line, device const uint *data, uint i, uint k)
{
    T x = random<T>(data, k), y = random<T>(data, k + 1);
    vec<T, 4> v(x, y, T(1), T(0)), w(y, x, T(2), T(3));
    CHECK(all(v + w - w == v) && all((v ^ w) == ((v | w) & ~(v & w))));
    CHECK(all((v << vec<T, 4>(T(1))) == v + v) && all(-v == vec<T, 4>(T(0)) - v));
    CHECK(all((v == w) == !(v != w)) && all((v < w) == !(v >= w)) && all((v > w) == (w < v)));
    T d = y == T(0) || y == T(-1) ? T(3) : y;
    CHECK(T(x / d * d + x % d) == x);
    vec<T, 2> q = vec<T, 2>(x, y) / vec<T, 2>(d), r = vec<T, 2>(x, y) % vec<T, 2>(d);
    CHECK(q.x == T(x / d) && q.y == T(y / d) && r.x == T(x % d));
    if (is_signed_v<T>) { // also what has no positive counterpart
        typedef make_unsigned_t<T> U;
        T minus = T(int(i >> 20) - 1), negative = T(U(0) - U(x));
        vec<T, 2> pair = vec<T, 2>(x, y), divisors = vec<T, 2>(minus, d);
        CHECK(T(x / minus) == negative && T(x % minus) == T(0));
        CHECK(T(x / T(-1)) == negative && T(x % T(-1)) == T(0));
        CHECK((pair / divisors).x == negative && (pair % divisors).x == T(0));
        CHECK((pair / divisors).y == T(y / d) && (pair % divisors).y == T(y % d));
    }
    v += T(1);
    v++;
    CHECK(v.x == T(x + T(2)) && v.w == T(2));
    v = select(v, w, bool4(true, false, true, false));
    CHECK(v.x == y && v.y == T(y + T(2)));
}

#define KERNEL(T)                                                                                  \
    kernel void T##_functions(device uint *line [[buffer(0)]],                                     \
            device const uint *data [[buffer(1)]], uint i [[thread_position_in_grid]])             \
    {                                                                                              \
        for (uint k = 0; k < 3; k++) {                                                             \
            bits<T>(line, data, i, i * 5 + k * 1021);                                              \
            arithmetic<T>(line, data, i, i * 5 + k * 1021);                                        \
            operators<T>(line, data, i, i * 5 + k * 1021);                                         \
        }                                                                                          \
    }
KERNEL(char)
KERNEL(uchar)
KERNEL(short)
KERNEL(ushort)
KERNEL(int)
KERNEL(uint)
KERNEL(long)
KERNEL(ulong)

kernel void multiply_24(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    int a = int(data[i % 4096] << 8) >> 8, b = int(data[(i + 1) % 4096] << 8) >> 8;
    uint c = data[(i + 2) % 4096];
    CHECK(mul24(a, b) == int(uint(a) * uint(b)));
    CHECK(mad24(a, b, int(c)) == int(uint(a) * uint(b) + c));
    uint ua = uint(a) & 0xffffff, ub = uint(b) & 0xffffff;
    CHECK(mul24(ua, ub) == ua * ub && mad24(ua, ub, c) == ua * ub + c);
    CHECK(all(mul24(int2(a, b), int2(b, 3)) == int2(mul24(a, b), b * 3)));
}

// What overflows has no defined value, and what is divided by 0 none, but the kernel goes on. These
// divisors would be 0 or -1, and the compiler may take them for other numbers: two factors are not 0,
// or not negative.
template <typename T> void divide_by(device uint *line, T x, T zero, T minus, uint i, uint none)
{
    T q = T(x / zero) + T(x % zero) + T(x / minus) + T(x % minus);
    vec<T, 2> divisors(zero, minus), both = vec<T, 2>(x) / divisors + vec<T, 2>(x) % divisors;
    line[i] |= uint(q | both.x | both.y) & none;
}

template <typename T> void divide(device uint *line, T x, T half, T lowest, uint i, uint none)
{
    // A number of half the bits, and one less; of the lowest number, the half is a factor too.
    T a = half | T(none), b = (half * T(3)) | T(none), c = (half - T(1)) | T(none);
    divide_by<T>(line, x, a * b, (half + T(1)) * c, i, none);
    divide_by<T>(line, T(lowest + T(none)), a * b, T(-1) + T(none), i, none);
    divide_by<T>(line, a * (half / T(2)), b * a, T(-1) + T(none), i, none);
}

kernel void divisors_that_overflow(device uint *line [[buffer(0)]],
        device const uint *data [[buffer(1)]], uint i [[thread_position_in_grid]],
        uint threads [[threads_per_grid]])
{
    uint x = data[i % 4096], none = i >> 20, none_of_all = threads >> 20;
    divide<int>(line, int(x), 0x10000, int(0x80000000), i, none);
    divide<int>(line, int(x), 0x10000, int(0x80000000), i, none_of_all);
    divide<long>(line, long(x) << 20, 0x100000000, long(1) << 63, i, none);
    divide<long>(line, long(x) << 20, 0x100000000, long(1) << 63, i, none_of_all);
    if (x & 1)
        divide<int>(line, int(x), 0x10000, int(0x80000000), i, none);
    simdgroup_barrier(mem_flags::mem_none);
    if (x & 2)
        divide<long>(line, long(x) << 20, 0x100000000, long(1) << 63, i, none);
}

// Nor do indices that overflow reach past an array: the compiler may take the product for INT_MAX at
// least, and each of these indices for one that is inside.
kernel void indices_that_overflow(device uint *line [[buffer(0)]],
        device const uint *data [[buffer(1)]], uint i [[thread_position_in_grid]])
{
    uint x = data[i % 4096], none = i >> 20;
    int a = int((none & 1) | 0x10000), b = int((none & 0x7fff) | 0x10000);
    uint before[8] = {x, x, x, x, x, x, x, x}, at[8] = {1, 2, 3, 4, 5, 6, 7, none},
         after[8] = {x, x, x, x, x, x, x, x};
    before[x & 7]++;
    after[x >> 3 & 7]++;
    at[0x7fffffff - a * b] += x;
    at[(0x7fffffff - a * b) >> 8] += x;
    at[(a * b + (0xffff << 15)) >> 29] += x;
    for (uint k = 0; k < 8; k++) {
        CHECK(before[(k + x) & 7] == x + (((k + x) & 7) == (x & 7)));
        CHECK(after[(k + x) & 7] == x + (((k + x) & 7) == (x >> 3 & 7)));
    }
    line[i] |= at[x & 7] & none;
}

// A constant with two letters is a long as one with one is: the functions take it.
kernel void long_constants(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    long x = data[i % 4096];
    CHECK(max(2LL, x) == max(2L, x) && min(x, 1ll) == min(x, 1L) && clamp(x * 10LL, 11LL, 23LL) == clamp(x * 10, 11L, 23L));
    CHECK(popcount(4294967296LL) == 1 && popcount(0xfULL) == 4 && reverse_bits(1ULL) == 0x8000000000000000ull);
    CHECK((is_same_v<decltype(1LL), long> && is_same_v<decltype(1uLL), ulong>));
    CHECK((is_same_v<decltype(0x1LLU), ulong>));
    CHECK(abs(-2LL) == 2 && (1LLU << 40) == 1ul << 40);
}
