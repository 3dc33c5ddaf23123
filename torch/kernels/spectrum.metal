// Fourier transforms along the middle of three dimensions (outer, count, inner), of complex numbers in floats, without
// gaps. One pass for each factor of the count (Stockham's, which leaves them in order); other counts go through a
// convolution with a chirp (Bluestein's).
#define c_radix c_constant0
#define c_source c_constant1 // 0 complex, 1 real, 2 the first half of what is symmetric
#define c_result c_constant2 // 0 complex, 1 real, 2 the first half

struct parameters {
    uint count, product; // product: of the radices before this one
    uint inner, padded;
    float scale, sign; // sign: of the exponent
    uint table;        // where this pass's factors begin
    uint across;       // the grid's x, which is rounded up to whole SIMD-groups
    uint radix[32];    // of all passes; 0 behind them
};

static inline float2 times(float2 a, float2 b) { return float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }

// exp(sign * 2 pi i * n / of), from an angle below an eighth of a turn, whose rounding is small.
static inline float2 unit(float sign, uint n, uint of)
{
    uint quarter = uint(4 * (float(n) / float(of)) + 0.5f);
    float a = M_PI_2_F * (float(int(n * 4 - quarter * of)) / float(of)), c = cos(a), s = sin(a);
    float2 v = quarter & 1 ? float2(-s, c) : float2(c, s);
    return float2(1, sign) * (quarter & 2 ? -v : v);
}

// `row` is where the line of `count` elements begins.
static inline float2 read(device const float *from, uint count, uint inner, ulong outer, uint n, uint at)
{
    if (c_source == 1)
        return float2(from[(outer * count + n) * inner + at], 0);
    if (c_source == 2) {
        uint kept = count / 2 + 1, m = n < kept ? n : count - n;
        float2 v = ((device const float2 *)from)[(outer * kept + m) * inner + at];
        return float2(v.x, n < kept ? v.y : -v.y);
    }
    return ((device const float2 *)from)[(outer * count + n) * inner + at];
}
static inline void write(device float *to, uint count, uint inner, ulong outer, int n, uint at, float2 v)
{
    int kept = c_result == 2 ? count / 2 + 1 : count;
    long o = (long(outer) * kept + n) * inner + at;
    if (c_result == 1) {
        to[o] = v.x;
    } else if (c_result == 0 || n < kept) {
        ((device float2 *)to)[o] = v;
    }
}

// For each pass what elements are multiplied by, row by row as the pass takes them, and then the roots of its radix.
kernel void roots(constant parameters &p [[buffer(0)]], device float2 *to [[buffer(1)]], uint at [[thread_position_in_grid]])
{
    uint product = 1, n = at;
    for (int t = 0; t < 32 && p.radix[t]; t++) {
        uint radix = p.radix[t], factors = product * (radix - 1);
        if (n < factors)
            to[at] = unit(p.sign, (n / product + 1) * (n % product), product * radix);
        else if (n < factors + radix)
            to[at] = unit(p.sign, n - factors, radix);
        if (n < factors + radix)
            return;
        n -= factors + radix;
        product *= radix;
    }
}

// The transform of `radix` elements, whose roots these are.
static inline void small(int radix, thread float2 *v, float sign, device const float2 *roots)
{
    if (radix == 2) {
        float2 a = v[0];
        v[0] = a + v[1];
        v[1] = a - v[1];
    } else if (radix == 4) {
        float2 a = v[0] + v[2], b = v[0] - v[2], c = v[1] + v[3], d = v[1] - v[3];
        d = sign * float2(-d.y, d.x);
        v[0] = a + c;
        v[2] = a - c;
        v[1] = b + d;
        v[3] = b - d;
    } else if (radix > 1) {
        float2 r[13];
        for (int i = 0; i < radix; i++) {
            r[i] = v[0];
            for (int j = 1; j < radix; j++)
                r[i] += times(v[j], roots[i * j % radix]);
        }
        for (int i = 0; i < radix; i++)
            v[i] = r[i];
    }
}

// `radix` elements as they were read become what a pass leaves of them. k: which of the `product` of them.
static inline void combine(int radix, thread float2 *v, float sign, device const float2 *table, uint product, uint k)
{
    if (product > 1)
        for (int q = 1; q < radix; q++)
            v[q] = times(v[q], table[(q - 1) * product + k]);
    small(radix, v, sign, table + product * (radix - 1));
}

// A thread takes c_radix elements that lie far apart and puts them where the next pass wants them. Where there are
// others between those of a line, x is these (c_inner); else x is all (c_product, a small one), or one of the product.
#define c_inner c_constant3
#define c_product c_constant4
#define c_is_wider c_constant5 // the grid
kernel void pass(constant parameters &p [[buffer(0)]], device float *to [[buffer(1)]],
        device const float *from [[buffer(2)]], device const float2 *table [[buffer(3)]], uint3 at [[thread_position_in_grid]])
{
    simdgroup_barrier(mem_flags::mem_none); // a processor's vectors are made of threads
    if (c_is_wider && at.x >= p.across)
        return;
    const uint inner = c_inner ? p.inner : 1, x = c_inner ? at.x : 0, product = c_product ? c_product : p.product;
    uint k = c_inner ? at.y % product : c_product ? at.x % c_product : at.x;
    uint i = c_inner ? at.y : c_product ? at.x : at.y * product + at.x;
    float2 v[13];
    for (int q = 0; q < c_radix; q++)
        v[q] = read(from, p.count, inner, at.z, i + q * (p.count / uint(c_radix)), x);
    combine(c_radix, v, p.sign, table + p.table, product, k);
    uint first = (i - k) * c_radix + k;
    for (int q = 0; q < c_radix; q++)
        write(to, p.count, inner, at.z, first + q * product, x, v[q] * p.scale);
}

// A whole line for a SIMD-group, which is a threadgroup. The radices of its passes are constants, four bits each, so
// that all places are known.
#define c_radices c_constant3
constant int LINE = 2048; // as core/spectrum.c has it
static inline int line_radix(int pass) { return uint(c_radices) >> 4 * pass & 15; }

struct line_places {
    constant parameters &p;
    device float *to;
    device const float *from;
    threadgroup float2 *room;
    int count, row, lane;
};

// Element k of the product's, of which `first` is where the pass begins to read and `to` where it begins to write.
template <int T> static inline void line_step(thread line_places &o, device const float2 *table, int product, int k, int first,
        int to)
{
    const int radix = line_radix(T), part = o.count / radix;
    const bool last = product * radix == o.count;
    threadgroup float2 *read_room = o.room + (T & 1) * LINE, *write_room = o.room + (~T & 1) * LINE;
    float2 v[13];
    for (int q = 0; q < radix; q++)
        v[q] = T ? read_room[first + k + q * part] : read(o.from, o.count, 1, o.row, first + k + q * part, 0);
    combine(radix, v, o.p.sign, table, product, k);
    for (int q = 0; q < radix; q++) {
        if (last)
            write(o.to, o.count, 1, o.row, to + k + q * product, 0, v[q] * o.p.scale);
        else
            write_room[to + k + q * product] = v[q];
    }
}

template <int T> static inline void line_pass(thread line_places &o, device const float2 *table, int product)
{
    const int radix = line_radix(T), part = o.count / radix;
    if (product < 32 || product % 32 == 0) {
        for (int begin = 0; begin < part; begin += 32) {
            int i = begin + o.lane, k = 32 % product ? i % product : o.lane % product, first = i - k, to = first * radix;
            if (product % 32 == 0) {
                k = begin % product + o.lane;
                first = begin - begin % product;
                to = first * radix;
            } else if (32 % product == 0) {
                to = begin * radix + (o.lane - k) * radix;
            }
            if (i < part)
                line_step<T>(o, table, product, k, first, to);
        }
    } else {
        for (int first = 0; first < part; first += product)
            for (int k = o.lane; k < product; k += 32)
                line_step<T>(o, table, product, k, first, first * radix);
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
    if (product * radix != o.count)
        line_pass<T + 1>(o, table + product * (radix - 1) + radix, product * radix);
}
template <> void line_pass<8>(thread line_places &, device const float2 *, int) {}

kernel void line(constant parameters &p [[buffer(0)]], device float *to [[buffer(1)]],
        device const float *from [[buffer(2)]], device const float2 *table [[buffer(3)]],
        uint row [[threadgroup_position_in_grid]], uint lane [[thread_index_in_simdgroup]])
{
    threadgroup float2 room[2 * LINE];
    int count = 1;
    for (int t = 0; t < 8; t++)
        count *= max(line_radix(t), 1);
    line_places o = {p, to, from, room, count, int(row), int(lane)};
    line_pass<0>(o, table, 1);
}

// The chirp: exp(sign * pi i * n^2 / count).
kernel void chirp(constant parameters &p [[buffer(0)]], device float2 *to [[buffer(1)]], uint n [[thread_position_in_grid]])
{
    to[n] = unit(p.sign, uint(ulong(n) * n % (2 * ulong(p.count))), 2 * p.count);
}

// x: an element of a line, and what lies between (c_inner).
static inline uint2 line_place(constant parameters &p, uint x)
{
    return c_inner ? uint2(x / p.inner, x % p.inner) : uint2(x, 0);
}

// Each element times the chirp, in a line of `padded` elements with 0 behind.
kernel void chirp_in(constant parameters &p [[buffer(0)]], device float2 *to [[buffer(1)]],
        device const float *from [[buffer(2)]], device const float2 *chirp [[buffer(3)]], uint2 at [[thread_position_in_grid]])
{
    const uint inner = c_inner ? p.inner : 1;
    uint2 n = line_place(p, at.x);
    float2 v = 0;
    if (n.x < p.count)
        v = times(read(from, p.count, inner, at.y, n.x, n.y), chirp[n.x]);
    to[ulong(at.y) * p.padded * inner + at.x] = v;
}

// The chirp that they are convolved with: one line.
kernel void chirp_filter(constant parameters &p [[buffer(0)]], device float2 *to [[buffer(1)]],
        device const float2 *chirp [[buffer(2)]], uint n [[thread_position_in_grid]])
{
    uint m = min(n, p.padded - n);
    to[n] = m < p.count ? float2(chirp[m].x, -chirp[m].y) : float2(0);
}

kernel void filter(constant parameters &p [[buffer(0)]], device float2 *to [[buffer(1)]],
        device const float2 *by [[buffer(2)]], uint2 at [[thread_position_in_grid]])
{
    ulong o = ulong(at.y) * p.padded * p.inner + at.x;
    to[o] = times(to[o], by[line_place(p, at.x).x]);
}

kernel void chirp_out(constant parameters &p [[buffer(0)]], device float *to [[buffer(1)]],
        device const float2 *from [[buffer(2)]], device const float2 *chirp [[buffer(3)]], uint2 at [[thread_position_in_grid]])
{
    const uint inner = c_inner ? p.inner : 1;
    uint2 n = line_place(p, at.x);
    float2 v = times(from[ulong(at.y) * p.padded * inner + at.x], chirp[n.x]);
    write(to, p.count, inner, at.y, n.x, n.y, v * p.scale);
}
