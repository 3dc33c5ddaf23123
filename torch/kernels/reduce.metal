// Many elements become one. c_type0: the result's type, c_type1: the elements'. In two steps, the first
// leaves out finish(), the second map().
#define c_kept c_constant2    // dimensions of the results
#define c_reduced c_constant3 // dimensions of what becomes one of them
#define c_stage c_constant4   // bits: 1 the first step, 2 the last

#define c_plain c_constant5 // bits: 1 what becomes one lies without gaps, 2 what becomes neighbours does

struct parameters {
    uint kept_size[8], reduced_size[8];
    long to_stride[8], from_stride[8], reduced_stride[8];
    ulong count, part;
    uint kept_count, parts;
    float f[2];
    long i[2];
};

static inline float scalar(constant parameters &p, int n, float) { return p.f[n]; }
static inline long scalar(constant parameters &p, int n, long) { return p.i[n]; }
static inline float larger(float a, float b) { return isnan(a) ? a : isnan(b) ? b : max(a, b); }
static inline float smaller(float a, float b) { return isnan(a) ? a : isnan(b) ? b : min(a, b); }
static inline long larger(long a, long b) { return a > b ? a : b; }
static inline long smaller(long a, long b) { return a < b ? a : b; }
template <typename A> static inline A highest();
template <> inline float highest<float>() { return INFINITY; }
template <> inline long highest<long>() { return LONG_MAX; }
template <typename A> static inline A lowest();
template <> inline float lowest<float>() { return -INFINITY; }
template <> inline long lowest<long>() { return LONG_MIN; }

struct place {
    long to, from;
};

static inline place place_of(constant parameters &p, uint result)
{
    place at = {0, 0};
    for (int d = 0; d < c_kept; d++) {
        uint n = d == c_kept - 1 ? result : result % p.kept_size[d];
        at.to += n * p.to_stride[d];
        at.from += d == 0 && c_plain & 2 ? n : n * p.from_stride[d];
        result /= p.kept_size[d];
    }
    return at;
}

static inline long element_of(constant parameters &p, ulong index)
{
    if (c_reduced <= 1)
        return c_plain & 1 ? long(index) : long(index) * p.reduced_stride[0];
    long at = 0;
    uint rest = uint(index);
    for (int d = 0; d < c_reduced; d++) {
        uint n = d == c_reduced - 1 ? rest : rest % p.reduced_size[d];
        at += n * p.reduced_stride[d];
        rest /= p.reduced_size[d];
    }
    return at;
}

template <typename A> static inline A start(constant parameters &p);
template <typename A> static inline A map(constant parameters &p, A v);
template <typename A> static inline A combine(A a, A b);
template <typename A> static inline A finish(constant parameters &p, A a);

template <typename A> static inline A read(constant parameters &p, device const uchar *from, long at)
{
    A v = load<A>(from + at * size_of(c_type1), c_type1);
    return c_stage & 1 ? map(p, v) : v;
}

template <typename A> static inline void write(constant parameters &p, device uchar *to, long at, A v)
{
    store(to + at * size_of(c_type0), c_type0, c_stage & 2 ? finish(p, v) : v);
}

// A thread for each result.
template <typename A> static inline void columns(constant parameters &p, device uchar *to, device const uchar *from, uint2 at)
{
    place here = place_of(p, at.x);
    ulong begin = at.y * p.part, end = min(begin + p.part, p.count);
    A sum = start<A>(p);
    for (ulong n = begin; n < end; n++)
        sum = combine(sum, read<A>(p, from, here.from + element_of(p, n)));
    write(p, to, here.to + at.y, sum);
}

// What a SIMD-group's lanes have, as the first one's.
template <typename A> static inline enable_if_t<sizeof(A) == 4, A> across(A sum, threadgroup A *, uint)
{
    sum = combine(sum, simd_shuffle_xor(sum, ushort(16)));
    sum = combine(sum, simd_shuffle_xor(sum, ushort(8)));
    sum = combine(sum, simd_shuffle_xor(sum, ushort(4)));
    sum = combine(sum, simd_shuffle_xor(sum, ushort(2)));
    return combine(sum, simd_shuffle_xor(sum, ushort(1)));
}

// Lanes do not exchange 64 bits.
template <typename A> static inline enable_if_t<sizeof(A) == 8, A> across(A sum, threadgroup A *shared, uint lane)
{
    shared[lane] = sum;
    simdgroup_barrier(mem_flags::mem_threadgroup);
    for (uint n = 1; n < 32 && lane == 0; n++)
        sum = combine(sum, shared[n]);
    return sum;
}

// A SIMD-group for each result.
template <typename A> static inline void rows(constant parameters &p, device uchar *to, device const uchar *from,
        threadgroup A *shared, uint3 group, uint lane)
{
    place here = place_of(p, group.y);
    ulong begin = group.z * p.part, end = min(begin + p.part, p.count);
    A sum = start<A>(p);
    ulong n = begin + lane;
    if (end - begin >= 512) { // four sums, which do not wait for each other
        A b = start<A>(p), c = b, d = b;
        for (; n + 96 < end; n += 128) {
            sum = combine(sum, read<A>(p, from, here.from + element_of(p, n)));
            b = combine(b, read<A>(p, from, here.from + element_of(p, n + 32)));
            c = combine(c, read<A>(p, from, here.from + element_of(p, n + 64)));
            d = combine(d, read<A>(p, from, here.from + element_of(p, n + 96)));
        }
        sum = combine(combine(sum, b), combine(c, d));
    }
    for (; n < end; n += 32)
        sum = combine(sum, read<A>(p, from, here.from + element_of(p, n)));
    sum = across(sum, shared, lane);
    if (lane == 0)
        write(p, to, here.to + group.z, sum);
}
