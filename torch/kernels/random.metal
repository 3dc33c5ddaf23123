// Philox 4x32, 10 rounds: four numbers for each thread, of the key that the generator drew for this launch
// and the thread's place. Elements lie without gaps.
#define c_kind c_constant1 // 0 uniform, 1 normal, 2 bernoulli, 3 exponential, 4 integers

struct parameters {
    ulong key, count;
    float a, b; // uniform: from, to; normal: mean, deviation; bernoulli: the chance; exponential: lambda
    long from;
    ulong range; // integers: from + n % range; 0: any
};

static inline uint4 philox(ulong key, ulong place)
{
    uint2 k = uint2(uint(key), uint(key >> 32));
    uint4 c = uint4(uint(place), uint(place >> 32), 0, 0);
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
    if (c_kind == 1) {
        float4 v = float4(normal(p, bits.x, bits.y), normal(p, bits.z, bits.w));
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
