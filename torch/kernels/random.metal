// Philox 4x32, 10 rounds: four numbers for each thread, of the key that the generator drew for this launch
// and the thread's place. Elements lie without gaps.
#define c_kind c_constant1 // ABX_TORCH_UNIFORM ...: 0 uniform, 1 normal, 2 bernoulli, 3 exponential, 4 integers, 5 Cauchy, 6 log-normal, 7 geometric

struct parameters {
    ulong key, count;
    float a, b; // uniform: from, to; normal: mean, deviation; bernoulli: the chance; exponential: lambda; Cauchy: median, scale;
                // log-normal: as normal; geometric: the chance
    long from;
    ulong range; // integers: from + n % range; 0: any
};

static inline uint4 philox(ulong key, ulong place, uint turn = 0)
{
    uint2 k = uint2(uint(key), uint(key >> 32));
    uint4 c = uint4(uint(place), uint(place >> 32), turn, 0);
    for (int round = 0; round < 10; round++) {
        ulong x = ulong(0xD2511F53u) * c.x, y = ulong(0xCD9E8D57u) * c.z;
        c = uint4(uint(y >> 32) ^ c.y ^ k.x, uint(y), uint(x >> 32) ^ c.w ^ k.y, uint(x));
        k += uint2(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

static inline float unit(uint bits) // from 0 to below 1
{
    return float(bits >> 8) * 5.9604645e-8f;
}

static inline float drawn(constant parameters &p, uint4 bits, int n)
{
    if (c_kind == 0) {
        float v = p.a + unit(bits[n]) * (p.b - p.a);
        return v < p.b ? v : p.a;
    }
    if (c_kind == 2)
        return unit(bits[n]) < p.a;
    if (c_kind == 3)
        return -log(1 - unit(bits[n])) / p.a;
    if (c_kind == 5)
        return p.a + p.b * tan(M_PI_F * (unit(bits[n]) - 0.5f));
    if (c_kind == 7) // p.b: the logarithm of the chance that there is another
        return max(ceil(log(1 - unit(bits[n])) / p.b), 1.0f);
    return 0;
}

// Two for two.
static inline float2 normal(constant parameters &p, uint a, uint b)
{
    float radius = p.b * sqrt(-2 * log(1 - unit(a))), angle = 6.2831853f * unit(b), other;
    float of_sine = sincos(angle, other);
    return p.a + radius * float2(other, of_sine);
}

kernel void draw(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]], uint at [[thread_position_in_grid]])
{
    uint4 bits = philox(p.key, at);
    if (c_kind == 1 || c_kind == 6) {
        float4 v = float4(normal(p, bits.x, bits.y), normal(p, bits.z, bits.w));
        v = c_kind == 6 ? exp(v) : v;
        to += ulong(at) * 4 * size_of(c_type0);
        for (int n = 0; n < 4; n++)
            if (ulong(at) * 4 + n < p.count)
                store(to + n * size_of(c_type0), c_type0, v[n]);
        return;
    }
    for (int n = 0; n < 4; n++) {
        ulong i = ulong(at) * 4 + n;
        if (i >= p.count)
            return;
        device uchar *there = to + i * size_of(c_type0);
        if (c_kind != 4) {
            store(there, c_type0, drawn(p, bits, n));
            continue;
        }
        ulong v = ulong(bits[n]) | ulong(bits[n ^ 1]) << 32;
        store(there, c_type0, p.from + long(p.range ? (p.range <= 0xFFFFFFFFul ? bits[n] % p.range : v % p.range) : v));
    }
}

// By Stirling's series from 8 on.
static inline float log_of_factorial(float k)
{
    float less = 1, x = k + 1;
    for (; x < 8; x += 1)
        less *= x;
    float r = 1 / x;
    return (x - 0.5f) * log(x) - x + 0.91893853f + r * (0.083333333f - r * r * (0.0027777778f - r * r * 0.00079365079f)) - log(less);
}

// Poisson's: how often what happens at this rate does. Few by multiplying until nothing is left, many by rejection
// (Hoermann, The transformed rejection method for generating Poisson random variables: PTRS).
static inline float few(constant parameters &p, uint at, float rate)
{
    float left = exp(-rate), product = 1, count = 0;
    for (uint turn = 0; turn < 64; turn++) {
        uint4 bits = philox(p.key, at, turn);
        for (int n = 0; n < 4; n++) {
            product *= 1 - unit(bits[n]);
            if (product <= left)
                return count;
            count += 1;
        }
    }
    return count;
}

static inline float many(constant parameters &p, uint at, float rate)
{
    float b = 0.931f + 2.53f * sqrt(rate), a = -0.059f + 0.02483f * b, inverse = 1.1239f + 1.1328f / (b - 3.4f);
    float sure = 0.9277f - 3.6224f / (b - 2), k = rate;
    for (uint turn = 0; turn < 256; turn++) {
        uint4 bits = philox(p.key, at, turn);
        float u = unit(bits.x) - 0.5f, v = 1 - unit(bits.y), us = 0.5f - fabs(u);
        k = floor((2 * a / us + b) * u + rate + 0.43f);
        if (us >= 0.07f && v <= sure)
            return k;
        if (k < 0 || (us < 0.013f && v > us))
            continue;
        if (log(v * inverse / (a / (us * us) + b)) <= k * log(rate) - rate - log_of_factorial(k))
            return k;
    }
    return k;
}

kernel void count_events(constant parameters &p [[buffer(0)]], device uchar *to [[buffer(1)]], device const uchar *rates [[buffer(2)]],
        uint at [[thread_position_in_grid]])
{
    float rate = load<float>(rates + long(at) * size_of(c_type0), c_type0);
    store(to + long(at) * size_of(c_type0), c_type0, !(rate > 0) ? 0.0f : rate < 10 ? few(p, at, rate) : many(p, at, rate));
}
