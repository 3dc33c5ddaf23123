// Fourier transforms along the middle of three dimensions (outer, count, inner), of complex numbers in floats, without
// gaps. One pass for each factor of the count (Stockham's, which leaves them in order); other counts go through a
// convolution with a chirp (Bluestein's).
#define c_radix c_constant0
#define c_source c_constant1 // 0 complex, 1 real, 2 the first half of what is symmetric
#define c_result c_constant2 // 0 complex, 1 real

struct parameters {
    uint count, product; // product: of the radices before this one
    uint inner, padded;
    float scale, sign; // sign: of the exponent
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
        ulong o = ((outer * kept + m) * inner + at) * 2;
        return float2(from[o], n < kept ? from[o + 1] : -from[o + 1]);
    }
    ulong o = ((outer * count + n) * inner + at) * 2;
    return float2(from[o], from[o + 1]);
}
static inline void write(device float *to, uint count, uint inner, ulong outer, uint n, uint at, float2 v)
{
    ulong o = (outer * count + n) * inner + at;
    if (c_result == 1) {
        to[o] = v.x;
    } else {
        to[o * 2] = v.x;
        to[o * 2 + 1] = v.y;
    }
}

// The roots that all passes of a count take theirs from.
kernel void roots(constant parameters &p [[buffer(0)]], device float2 *to [[buffer(1)]], uint n [[thread_position_in_grid]])
{
    to[n] = unit(p.sign, n, p.count);
}

// The transform of c_radix elements; `step` of the roots make one of its own.
static inline void small(thread float2 *v, float sign, device const float2 *roots, uint step)
{
    if (c_radix == 2) {
        float2 a = v[0];
        v[0] = a + v[1];
        v[1] = a - v[1];
    } else if (c_radix == 4) {
        float2 a = v[0] + v[2], b = v[0] - v[2], c = v[1] + v[3], d = v[1] - v[3];
        d = sign * float2(-d.y, d.x);
        v[0] = a + c;
        v[2] = a - c;
        v[1] = b + d;
        v[3] = b - d;
    } else if (c_radix > 1) {
        float2 r[13], w[13];
        for (int i = 0; i < c_radix; i++)
            w[i] = roots[i * step];
        for (int i = 0; i < c_radix; i++) {
            r[i] = v[0];
            for (int j = 1; j < c_radix; j++)
                r[i] += times(v[j], w[i * j % c_radix]);
        }
        for (int i = 0; i < c_radix; i++)
            v[i] = r[i];
    }
}

// A thread takes c_radix elements that lie far apart and puts them where the next pass wants them.
kernel void pass(constant parameters &p [[buffer(0)]], device float *to [[buffer(1)]],
        device const float *from [[buffer(2)]], device const float2 *roots [[buffer(3)]], uint2 at [[thread_position_in_grid]])
{
    uint part = p.count / uint(c_radix), i = at.x / p.inner, inner = at.x % p.inner, k = i % p.product;
    uint step = p.count / (p.product * uint(c_radix)) * k;
    float2 v[13];
    for (int q = 0; q < c_radix; q++) {
        v[q] = read(from, p.count, p.inner, at.y, i + q * part, inner);
        if (q)
            v[q] = times(v[q], roots[q * step]);
    }
    small(v, p.sign, roots, part);
    uint first = (i - k) * c_radix + k;
    for (int q = 0; q < c_radix; q++)
        write(to, p.count, p.inner, at.y, first + q * p.product, inner, v[q] * p.scale);
}

// exp(sign * pi i * n^2 / count)
static inline float2 chirp(float sign, uint n, uint count)
{
    return unit(sign, uint(ulong(n) * n % (2 * ulong(count))), 2 * count);
}

// Each element times the chirp, in a line of `padded` elements with 0 behind.
kernel void chirp_in(constant parameters &p [[buffer(0)]], device float2 *to [[buffer(1)]],
        device const float *from [[buffer(2)]], uint2 at [[thread_position_in_grid]])
{
    uint n = at.x / p.inner, inner = at.x % p.inner;
    float2 v = 0;
    if (n < p.count)
        v = times(read(from, p.count, p.inner, at.y, n, inner), chirp(p.sign, n, p.count));
    to[(ulong(at.y) * p.padded + n) * p.inner + inner] = v;
}

// The chirp that they are convolved with: one line.
kernel void chirp_filter(constant parameters &p [[buffer(0)]], device float2 *to [[buffer(1)]],
        uint n [[thread_position_in_grid]])
{
    uint m = min(n, p.padded - n);
    to[n] = m < p.count ? chirp(-p.sign, m, p.count) : float2(0);
}

kernel void filter(constant parameters &p [[buffer(0)]], device float2 *to [[buffer(1)]],
        device const float2 *by [[buffer(2)]], uint2 at [[thread_position_in_grid]])
{
    ulong o = ulong(at.y) * p.padded * p.inner + at.x;
    to[o] = times(to[o], by[at.x / p.inner]);
}

kernel void chirp_out(constant parameters &p [[buffer(0)]], device float *to [[buffer(1)]],
        device const float2 *from [[buffer(2)]], uint2 at [[thread_position_in_grid]])
{
    uint n = at.x / p.inner, inner = at.x % p.inner;
    float2 v = times(from[(ulong(at.y) * p.padded + n) * p.inner + inner], chirp(p.sign, n, p.count));
    write(to, p.count, p.inner, at.y, n, inner, v * p.scale);
}
