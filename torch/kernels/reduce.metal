// Many elements become one. c_type0: the result's type, c_type1: the elements'. In two steps, the first
// leaves out finish(), the second map().
#define c_kept c_constant2    // dimensions of the results
#define c_reduced c_constant3 // dimensions of what becomes one of them
#define c_stage c_constant4   // bits: 1 the first step, 2 the last

#define c_plain c_constant5 // bits: 1 what becomes one lies without gaps, 2 what becomes neighbours does
#define c_side c_constant6  // results of a thread that are side by side with its neighbours', 1 or 4

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

// A thread for each result, of the part `part`.
template <typename A> static inline void column(constant parameters &p, device uchar *to, device const uchar *from,
        uint result, uint part)
{
    place here = place_of(p, result);
    ulong begin = part * p.part, end = min(begin + p.part, p.count);
    A sum = start<A>(p);
    for (ulong n = begin; n < end; n++)
        sum = combine(sum, read<A>(p, from, here.from + element_of(p, n)));
    write(p, to, here.to + part, sum);
}

// The same where neighbours lie side by side, in SIMD-groups that have four times as many results as threads: they
// read longer pieces of each line.
template <typename A> static inline void columns(constant parameters &p, device uchar *to, device const uchar *from,
        uint3 at, uint3 group, uint lane)
{
    if (c_side == 1) {
        column<A>(p, to, from, at.x, at.y);
        return;
    }
    simdgroup_barrier(mem_flags::mem_none); // a processor's vectors are of all 32 then
    uint first = min(group.x * 128, p.kept_count - 128); // the last ones may be another's, too
    ulong begin = group.y * p.part, end = min(begin + p.part, p.count);
    A a = start<A>(p), b = a, c = a, d = a;
    for (ulong n = begin; n < end; n++) {
        long line = element_of(p, n) + first + lane;
        a = combine(a, read<A>(p, from, line));
        b = combine(b, read<A>(p, from, line + 32));
        c = combine(c, read<A>(p, from, line + 64));
        d = combine(d, read<A>(p, from, line + 96));
    }
    first += lane;
    write(p, to, first * p.to_stride[0] + group.y, a);
    write(p, to, (first + 32) * p.to_stride[0] + group.y, b);
    write(p, to, (first + 64) * p.to_stride[0] + group.y, c);
    write(p, to, (first + 96) * p.to_stride[0] + group.y, d);
}

// What a SIMD-group's lanes have.
template <typename A> static inline A across_lanes(A sum)
{
    sum = combine(sum, simd_shuffle_xor(sum, ushort(16)));
    sum = combine(sum, simd_shuffle_xor(sum, ushort(8)));
    sum = combine(sum, simd_shuffle_xor(sum, ushort(4)));
    sum = combine(sum, simd_shuffle_xor(sum, ushort(2)));
    return combine(sum, simd_shuffle_xor(sum, ushort(1)));
}

// What the threads have, as the first one's.
template <typename A> static inline enable_if_t<sizeof(A) == 4, A> across(constant parameters &p, A sum,
        threadgroup A *shared, uint worker)
{
    sum = across_lanes(sum);
    if (c_threads <= 32)
        return sum;
    if (worker % 32 == 0)
        shared[worker / 32] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    return across_lanes(worker % 32 < uint(c_threads) / 32 ? shared[worker % 32] : start<A>(p));
}

// Lanes do not exchange 64 bits; here they are 32.
template <typename A> static inline enable_if_t<sizeof(A) == 8, A> across(constant parameters &, A sum,
        threadgroup A *shared, uint worker)
{
    shared[worker] = sum;
    simdgroup_barrier(mem_flags::mem_threadgroup);
    for (uint n = 1; n < 32 && worker == 0; n++)
        sum = combine(sum, shared[n]);
    return sum;
}

// Threads share a result.
template <typename A> static inline void rows(constant parameters &p, device uchar *to, device const uchar *from,
        threadgroup A *shared, uint3 group, uint worker)
{
    place here = place_of(p, group.y);
    ulong begin = group.z * p.part, end = min(begin + p.part, p.count);
    A sum = start<A>(p);
    // Whole turns first: all threads take them, and nobody asks which.
    ulong n = begin, step = c_threads;
    if (end - begin >= 16 * step) { // four sums, which do not wait for each other
        A b = start<A>(p), c = b, d = b;
        for (; n + 4 * step <= end; n += 4 * step) {
            sum = combine(sum, read<A>(p, from, here.from + element_of(p, n + worker)));
            b = combine(b, read<A>(p, from, here.from + element_of(p, n + worker + step)));
            c = combine(c, read<A>(p, from, here.from + element_of(p, n + worker + 2 * step)));
            d = combine(d, read<A>(p, from, here.from + element_of(p, n + worker + 3 * step)));
        }
        sum = combine(combine(sum, b), combine(c, d));
    }
    for (; n + step <= end; n += step)
        sum = combine(sum, read<A>(p, from, here.from + element_of(p, n + worker)));
    if (n + worker < end)
        sum = combine(sum, read<A>(p, from, here.from + element_of(p, n + worker)));
    sum = across(p, sum, shared, worker);
    if (worker == 0)
        write(p, to, here.to + group.z, sum);
}
