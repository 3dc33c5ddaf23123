// A shift's count is taken modulo the width of the shifted operand after its promotion, whether it is
// known to the compiler or not: by variables, constants, constant expressions and template parameters,
// for scalars, elements of vectors and members, in memory of every address space.
#include <metal_stdlib>
using namespace metal;

#define CHECK(...)                                                                           \
    do {                                                                                           \
        if (!(__VA_ARGS__) && !line[i])                                                             \
            line[i] = __LINE__;                                                                    \
    } while (0)

// ---- known when compiled

constant uint programs = 1u << 35;
constexpr constant ulong wide = 1ul << 65;
constant int array_of[1u << 33] = {5, 6};
enum Bits { first = 1 << 32, second = 1 << 33 };
static_assert((1u << 34) == 4, "modulo 32");
static_assert((-8 >> 33) == -4, "modulo 32, signed");
static_assert((1ul << 65) == 2 && (1ul << 32) == 1ul << 96, "modulo 64");
static_assert(uchar(5) >> uchar(32) == 5, "promoted to int");
template <uint N> struct Holder {
    uint value = N;
    uint shifted = N << 33;
};
template <typename T, int N> T left(T x)
{
    return x << N;
}
template <typename T, int N> T right(T x)
{
    x >>= N;
    return x;
}
constexpr uint shift_by(uint x, int n)
{
    return x << n;
}
static_assert(shift_by(3, 33) == 6, "in a function");

kernel void constants(device uint *line, device const uint *data, uint i [[thread_position_in_grid]])
{
    uint x = data[i];
    int s = int(x);
    uchar b = uchar(x);
    short h = short(x);
    ulong l = ulong(x) << 32 | x;
    CHECK(programs == 8 && wide == 2 && array_of[1] == 6 && sizeof(array_of) == 8);
    CHECK(first == 1 && second == 2);
    CHECK(Holder<(1u << 35)>().value == 8 && Holder<3>().shifted == 6);
    CHECK(x << 33 == x << 1 && x >> 36 == x >> 4 && s >> 63 == s >> 31);
    CHECK(x << 32 == x && x >> 32 == x && x << 64 == x && x << -1 == x << 31);
    CHECK(x << 31 << 33 == x << 31 << 1 && 1 + x << 33 == (1 + x) << 1);
    CHECK(b << 33 == b << 1 && b >> 34 == b >> 2 && h >> 35 == h >> 3 && h << 32 == h);
    CHECK(uchar(b << 40) == 0 && uchar(b << 34) == uchar(b << 2));
    CHECK(l << 65 == l << 1 && l >> 100 == l >> 36 && l << 64 == l);
    CHECK(left<uint, 33>(x) == x << 1 && left<int, 40>(s) == s << 8);
    CHECK(left<ulong, 33>(l) == l << 33 && left<ulong, 66>(l) == l << 2);
    CHECK(right<uint, 33>(x) == x >> 1 && right<short, 33>(h) == short(h >> 1));
    CHECK(right<long, 65>(long(l)) == long(l) >> 1);
    const uint k = 40;
    CHECK(x >> k == x >> 8 && 0xff00u >> k == 0xff);
    uint y = x;
    y <<= 34;
    CHECK(y == x << 2);
    y >>= k;
    CHECK(y == (x << 2) >> 8);
    y = x, y >>= 33;
    CHECK(y == x >> 1);
    uint2 v = uint2(x, 1);
    v.y <<= 35;
    v[0] >>= 33u;
    CHECK(v.y == 8 && v.x == x >> 1);
    switch (x & 3) {
    case 1 << 32:
        CHECK((x & 3) == 1);
        break;
    case 1 << 33:
        CHECK((x & 3) == 2);
        break;
    }
}

// Nothing that a program does not want to hear of changes what it computes.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wshift-count-overflow"
#pragma clang diagnostic ignored "-Weverything"
kernel void unheard(device uint *line, device const uint *data, uint i [[thread_position_in_grid]])
{
    uint x = data[i];
    CHECK(x << 33 == x << 1 && (1 << 36) == 16);
}
#pragma clang diagnostic pop

// ---- not known

template <typename T> void variables(device uint *line, uint i, T x, int n)
{
    const uint width = max(uint(sizeof(T)) * 8, 32u);
    uint m = uint(n) % width;
    CHECK((x << n) == (x << m) && (x >> n) == (x >> m));
    T y = x, z = x;
    y <<= n;
    z >>= n;
    CHECK(y == T(x << m) && z == T(x >> m));
    // Vectors are not promoted.
    uint narrow = uint(n) % (sizeof(T) * 8);
    vec<T, 3> v = vec<T, 3>(x, T(1), T(x + 1)), w = v;
    CHECK((v << vec<T, 3>(T(n))).x == T(x << narrow) && (v >> T(n)).z == T(v.z >> narrow));
    w <<= vec<T, 3>(T(n));
    CHECK(w.y == T(T(1) << narrow));
}

kernel void unknown(device uint *line, device const uint *data, uint i [[thread_position_in_grid]])
{
    uint x = data[i];
    for (int n = -70; n < 140; n++) {
        variables<uint>(line, i, x, n);
        variables<int>(line, i, int(x), n);
        variables<uchar>(line, i, uchar(x), n);
        variables<char>(line, i, char(x), n);
        variables<ushort>(line, i, ushort(x), n);
        variables<short>(line, i, short(x), n);
        variables<ulong>(line, i, ulong(x) << 32 | data[i / 2], n);
        variables<long>(line, i, long(ulong(x) << 32 | data[i / 2]), n);
    }
}

// Vectors by constants; a struct's members, in every address space.
struct Parts {
    uint a;
    ushort b;
    uint field : 20;
};
kernel void elsewhere(device uint *line, device const uint *data, uint i [[thread_position_in_grid]])
{
    threadgroup uint shared[1024];
    threadgroup Parts parts[1024];
    uint x = data[i], t = i & 1023;
    shared[t] = x;
    shared[t] <<= 33;
    CHECK(shared[t] == x << 1);
    parts[t].a = x, parts[t].b = ushort(x), parts[t].field = x;
    parts[t].a >>= 40;
    parts[t].b >>= 33;
    CHECK(parts[t].a == x >> 8 && parts[t].b == ushort(x) >> 1);
    CHECK(parts[t].field << 34 == parts[t].field << 2);
    CHECK(all((uint3(x, 1, 2) << 33) == uint3(x << 1, 2, 4)));
    CHECK(all((uchar2(uchar(x), 1) << 9) == uchar2(uchar(x << 1), 2)));
    CHECK(all((short4(-8) >> short4(17)) == short4(-4)));
    CHECK(all((ulong2(1) << 65) == ulong2(2)));
}
