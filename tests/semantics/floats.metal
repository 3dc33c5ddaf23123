// Functions of floating point numbers that are exact: classification, selection, rounding, taking apart
// and putting together, conversions. Against the bits.
#include <metal_stdlib>
using namespace metal;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition) && !line[i])                                                              \
            line[i] = __LINE__;                                                                    \
    } while (0)

template <typename T> struct Format;
template <> struct Format<float> {
    typedef uint bits;
    static constexpr constant uint mantissa = 23, exponent = 8;
};
template <> struct Format<half> {
    typedef ushort bits;
    static constexpr constant uint mantissa = 10, exponent = 5;
};

template <typename T> struct Number {
    typedef typename Format<T>::bits B;
    T value;
    B bits;
    uint exponent; // as stored
    B fraction;
    bool negative, nan, infinite, zero;
    Number(B b)
    {
        const uint m = Format<T>::mantissa, e = Format<T>::exponent, top = (1u << e) - 1;
        // Signalling NaNs need not be supported: aarch64's minimum gives them back.
        if (((b >> m) & top) == top && (b & ((1u << m) - 1)) != 0)
            b |= B(1) << (m - 1);
        bits = b, value = as_type<T>(b);
        exponent = (b >> m) & top;
        fraction = B(b & ((1u << m) - 1));
        negative = b >> (m + e);
        nan = exponent == top && fraction != 0;
        infinite = exponent == top && fraction == 0;
        zero = exponent == 0 && fraction == 0;
    }
    bool same(T other) const
    {
        return nan ? isnan(other) : as_type<B>(other) == bits;
    }
};

template <typename T> Number<T> random(device const uint *data, uint k)
{
    return Number<T>(typename Format<T>::bits(data[k % 4096] >> (k & 1 ? 0 : 32 - 8 * sizeof(T))));
}

template <typename T> void classify(device uint *line, device const uint *data, uint i, uint k)
{
    const uint top = (1u << Format<T>::exponent) - 1;
    Number<T> x = random<T>(data, k), y = random<T>(data, k + 1);
    CHECK(isnan(x.value) == x.nan);
    CHECK(isinf(x.value) == x.infinite);
    CHECK(isfinite(x.value) == (x.exponent != top));
    CHECK(isnormal(x.value) == (x.exponent != top && x.exponent != 0));
    CHECK(signbit(x.value) == x.negative);
    CHECK(isordered(x.value, y.value) == (!x.nan && !y.nan));
    CHECK(isunordered(x.value, y.value) == (x.nan || y.nan));
    vec<T, 2> v(x.value, y.value);
    CHECK(all(isnan(v) == bool2(x.nan, y.nan)) && all(signbit(v) == bool2(x.negative, y.negative)));
    CHECK(any(isinf(v)) == (x.infinite || y.infinite));
    CHECK(x.same(select(y.value, x.value, true)) && y.same(select(y.value, x.value, false)));
    T magnitude = fabs(x.value), signed_as_y = copysign(x.value, y.value);
    CHECK(x.nan || (!signbit(magnitude) && (magnitude == x.value || magnitude == -x.value)));
    CHECK(x.nan || (signbit(signed_as_y) == y.negative && fabs(signed_as_y) == magnitude));
    CHECK(x.nan || abs(x.value) == magnitude);
    CHECK(sign(x.value) == (x.nan || x.zero ? T(0) : x.negative ? T(-1) : T(1)));
}

// min and max give the number when the other operand is none.
template <typename T> void choose(device uint *line, device const uint *data, uint i, uint k)
{
    Number<T> x = random<T>(data, k), y = random<T>(data, k + 1), z = random<T>(data, k + 2);
    T low = fmin(x.value, y.value), high = fmax(x.value, y.value);
    if (x.nan || y.nan) {
        CHECK((x.nan ? y : x).same(low) && (x.nan ? y : x).same(high));
        return;
    }
    CHECK(low <= high && (low == x.value || low == y.value) && (high == x.value || high == y.value));
    CHECK(min(x.value, y.value) == low && max(x.value, y.value) == high);
    if (z.nan)
        return;
    T middle = z.value < low ? low : z.value > high ? high : z.value;
    CHECK(clamp(z.value, low, high) == middle);
    CHECK(median3(x.value, y.value, z.value) == middle);
    CHECK(min3(x.value, y.value, z.value) == min(low, z.value));
    CHECK(fmax3(x.value, y.value, z.value) == max(high, z.value));
    CHECK(saturate(z.value) == clamp(z.value, T(0), T(1)));
    CHECK(step(x.value, y.value) == (y.value < x.value ? T(0) : T(1)));
    vec<T, 3> v = max(vec<T, 3>(x.value, y.value, z.value), y.value);
    CHECK(v.x == high && v.y == y.value && v.z == max(z.value, y.value));
}

// By way of the bits: what lies below the binary point is cut off, then looked at.
template <typename T> void round_off(device uint *line, device const uint *data, uint i, uint k)
{
    typedef typename Format<T>::bits B;
    const int m = Format<T>::mantissa, bias = (1 << (Format<T>::exponent - 1)) - 1;
    Number<T> x = random<T>(data, k);
    if (x.nan || x.infinite)
        return;
    int e = int(x.exponent) - bias; // the highest bit's weight
    T whole = x.value;
    if (e < 0)
        whole = as_type<T>(B(x.bits & ~(B(-1) >> 1)));
    else if (e < m)
        whole = as_type<T>(B(x.bits >> (m - e) << (m - e)));
    T rest = fabs(x.value - whole), one = x.negative ? T(-1) : T(1);
    T away = rest == T(0) ? whole : whole + one;
    bool odd = e >= 0 && e <= m && ((e == 0) || ((x.bits >> (m - e)) & 1));
    odd = odd && e >= 0;
    CHECK(trunc(x.value) == whole);
    CHECK(floor(x.value) == (x.negative ? away : whole));
    CHECK(ceil(x.value) == (x.negative ? whole : away));
    CHECK(round(x.value) == (rest >= T(0.5) ? away : whole));
    CHECK(rint(x.value) == (rest > T(0.5) || (rest == T(0.5) && odd) ? away : whole));
    T part, f = modf(x.value, part);
    CHECK(part == whole && f == x.value - whole);
    T fraction = fract(x.value);
    CHECK(fraction >= T(0) && fraction < T(1));
    CHECK(x.negative || fraction == rest);
}

template <typename T> void take_apart(device uint *line, device const uint *data, uint i, uint k)
{
    const int m = Format<T>::mantissa, bias = (1 << (Format<T>::exponent - 1)) - 1;
    Number<T> x = random<T>(data, k);
    if (x.nan || x.infinite || x.zero)
        return;
    int e, want = x.exponent ? int(x.exponent) - bias : int(31 - clz(uint(x.fraction))) - bias - m + 1;
    T f = frexp(x.value, e);
    CHECK(e == want + 1);
    CHECK(fabs(f) >= T(0.5) && fabs(f) < T(1) && signbit(f) == x.negative);
    CHECK(ilogb(x.value) == want);
    CHECK(ldexp(f, e) == x.value);
    T two = ldexp(T(1), int(data[k % 4096] % 20) - 10);
    CHECK(two * ldexp(T(1), 10 - int(data[k % 4096] % 20)) == T(1));
    vec<int, 2> ev;
    vec<T, 2> fv = frexp(vec<T, 2>(x.value, T(8)), ev);
    CHECK(fv.x == f && ev.x == e && fv.y == T(0.5) && ev.y == 4);
    T up = nextafter(x.value, T(INFINITY));
    if (isfinite(up))
        CHECK(up > x.value && nextafter(up, T(-INFINITY)) == x.value);
}

template <typename T> void every(device uint *line, device const uint *data, uint i)
{
    for (uint k = 0; k < 4; k++) {
        classify<T>(line, data, i, i + k * 1009);
        choose<T>(line, data, i, i + k * 1009);
        round_off<T>(line, data, i, i + k * 1009);
        take_apart<T>(line, data, i, i + k * 1009);
    }
}
kernel void float_functions(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    every<float>(line, data, i);
}
kernel void half_functions(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    every<half>(line, data, i);
}

// Float to integer saturates, NaN gives 0; long's remainders are looked at with powr's below.
template <typename T> void to_integer(device uint *line, uint i, float f)
{
    const float low = float(numeric_limits<T>::lowest()), high = float(numeric_limits<T>::max());
    T got = T(f);
    if (is_same_v<T, long> && fabs(f) >= high)
        return;
    if (isnan(f))
        CHECK(got == T(0));
    else if (f >= high)
        CHECK(got == numeric_limits<T>::max());
    else if (f <= low)
        CHECK(got == numeric_limits<T>::lowest());
    else
        CHECK(float(got) == trunc(f));
    vec<T, 3> v = vec<T, 3>(float3(f, 1.75f, -0.5f));
    CHECK(v.x == got && v.y == T(1) && v.z == T(0));
    CHECK(static_cast<T>(f) == got && (T)f == got);
}
kernel void conversions(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    float f = as_type<float>(data[i]);
    for (int scale = 0; scale < 2; scale++) {
        to_integer<char>(line, i, f), to_integer<uchar>(line, i, f);
        to_integer<short>(line, i, f), to_integer<ushort>(line, i, f);
        to_integer<int>(line, i, f), to_integer<uint>(line, i, f);
        to_integer<long>(line, i, f), to_integer<ulong>(line, i, f);
        f = float(int(data[i])) * 1e-5f; // of a middling size
    }
    CHECK(bool(f) == (f != 0) && bool(half(0.0h)) == false);
    int n = int(data[i]);
    CHECK(fabs(float(n) - float(n >> 8) * 256.0f - float(n & 255)) <= 128.0f);
    CHECK(float(uint(n)) >= 0.0f && float(ushort(n)) == float(uint(n) & 65535));
    // Through half: the nearest, to even on ties.
    ushort h = ushort(data[i]);
    if (!isnan(as_type<half>(h)))
        CHECK(as_type<ushort>(half(float(as_type<half>(h)))) == h);
    CHECK(half(2049.0f) == 2048.0h && half(2051.0f) == 2052.0h && isinf(half(65520.0f)));
    CHECK(half(65519.0f) == 65504.0h && float(half(5.9604645e-8f)) == 5.9604645e-8f);
    // bfloat is the upper half of a float, rounded to even.
    uint bits = as_type<uint>(f), kept = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    if (isfinite(f))
        CHECK(as_type<uint>(float(bfloat(f))) == kept);
    bfloat b = as_type<bfloat>(ushort(data[i]));
    CHECK(as_type<uint>(float(b)) == uint(ushort(data[i])) << 16 || isnan(float(b)));
    CHECK(float(half(bfloat(1.5f))) == 1.5f && float(bfloat(half(-2.5h))) == -2.5f);
    half2 pair = half2(bfloat2(bfloat(1.25f), bfloat(3.0f)));
    CHECK(pair.x == 1.25h && pair.y == 3.0h);
    // Each operation rounds to its type.
    half third = half(float(data[0] + 1)) / 3.0h;
    CHECK(third * 3.0h == 1.0h && half(2048) + 1.0h == 2048.0h);
    bfloat step = bfloat(256.0f) + bfloat(1.0f) + bfloat(float(data[0]));
    CHECK(float(step) == 256.0f);
}

// Each bfloat, denormal ones among them, is what its bits say: where it is moved, chosen, compared and rounded to.
template <typename F> static void same_bits(device uint *line, uint i, ushort bits, F of)
{
    CHECK(as_type<ushort>(of(as_type<bfloat>(bits))) == bits);
}
static void each_bfloat(device uint *line, uint i, device const uint *data, ushort bits)
{
    bfloat b = as_type<bfloat>(bits), one = bfloat(float(data[1])), none = bfloat(float(data[0]));
    if (isnan(float(b)))
        return;
    CHECK(as_type<uint>(float(b)) == uint(bits) << 16);
    same_bits(line, i, bits, [](bfloat v) { return bfloat(float(v)); });
    same_bits(line, i, bits, [&](bfloat v) { return v * one; });
    same_bits(line, i, bits, [](bfloat v) { return max(v, v); });
    same_bits(line, i, bits, [&](bfloat v) { return float(v) > float(data[0]) ? max(v, none) : min(v, -none); });
    CHECK(as_type<ushort>(fabs(b)) == (bits & 0x7fff) && as_type<ushort>(-b) == (bits ^ 0x8000));
    CHECK((b == none) == ((bits & 0x7fff) == 0) && (b < none) == (bits > 0x8000));
    CHECK(isinf(float(b)) || as_type<ushort>(bfloat(float(b) * 2.0f)) == as_type<ushort>(b + b));
    // A third of the way to the next is this one.
    if (!isinf(float(b)))
        CHECK(as_type<ushort>(bfloat(as_type<float>((uint(bits) << 16) + 0x5555))) == bits);
}
kernel void bfloats(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    for (uint n = 0; n < 64; n++)
        each_bfloat(line, i, data, ushort(i * 64 + n));
    each_bfloat(line, i, data, ushort(data[i]));
}
kernel void bfloats_of_lanes(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    ushort bits = ushort(i * 64 + simd_max(data[0]));
    for (uint n = 0; n < 64; n++)
        each_bfloat(line, i, data, bits + n);
}

// The edges that Metal's specification fixes for functions of the whole range.
kernel void edges(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    float zero = float(data[0]), one = float(data[1]), inf = as_type<float>(data[8]);
    float minus_inf = as_type<float>(data[9]), nan = as_type<float>(data[10]), minus_zero = -zero;
    CHECK(exp(minus_inf) == 0 && exp(inf) == inf && exp(zero) == 1 && exp2(10 * one) == 1024);
    CHECK(log(zero) == minus_inf && log(one) == 0 && isnan(log(-one)) && log2(8 * one) == 3);
    CHECK(log10(1000 * one) > 2.999999f && log10(1000 * one) < 3.000001f && log(inf) == inf);
    CHECK(sqrt(zero) == 0 && sqrt(inf) == inf && isnan(sqrt(-one)) && rsqrt(inf) == 0 && rsqrt(zero) == inf);
    CHECK(isnan(sin(inf)) && isnan(cos(inf)) && isnan(tan(minus_inf)) && sin(zero) == 0 && cos(zero) == 1);
    CHECK(pow(zero, zero) == 1 && pow(nan, zero) == 1 && pow(one, nan) == 1 && pow(-2 * one, 3.0f) == -8);
    CHECK(long(one * 0x1p62f) == 1l << 62 && long(one * 0x1p63f) == long(1ul << 63) && long(one * -0x1.8p1f) == -3);
    CHECK(long(one * 0x1.000002p64f) == 1l << 41 && long(one * -0x1.000002p64f) == -(1l << 41));
    CHECK(long(inf * one) == 0 && long(-inf * one) == 0 && long(nan * one) == 0 && long(one * 3e38f) == 0);
    CHECK(ulong(one * 3e38f) == ULONG_MAX && int(one * 3e38f) == INT_MAX);
    CHECK(all(long2(float2(0x1.8p64f, -0x1p10f) * one) == long2(long(1ul << 63), -1024)));
    CHECK(powr(-2 * one, 3.0f) == -8 && powr(-2 * one, 2.0f) == 4 && isnan(powr(-2 * one, 0.5f)));
    CHECK(isnan(pow(-2 * one, 0.5f)) && pow(zero, -1.0f) == inf && pow(inf, 2.0f) == inf);
    CHECK(pow(2 * one, inf) == inf && pow(2 * one, minus_inf) == 0 && pow(0.5f * one, inf) == 0);
    CHECK(pow(minus_zero, -3.0f) == minus_inf || pow(minus_zero, -3.0f) == inf);
    CHECK(atan(inf) > 1.570796f && atan(inf) < 1.570797f && atan2(zero, one) == 0);
    CHECK(atan2(zero, -one) > 3.141592f && atan2(one, zero) > 1.570796f && atan2(inf, inf) > 0.785398f);
    CHECK(isnan(asin(2 * one)) && isnan(acos(-2 * one)) && acos(one) == 0 && isnan(acosh(zero)));
    CHECK(atanh(one) == inf && atanh(-one) == minus_inf && tanh(inf) == 1 && tanh(minus_inf) == -1);
    CHECK(sinh(inf) == inf && cosh(minus_inf) == inf && asinh(minus_inf) == minus_inf);
    CHECK(isnan(fmod(one, zero)) && isnan(fmod(inf, one)) && fmod(one, inf) == 1 && fmod(-5.5f * one, 2.0f) == -1.5f);
    CHECK(ldexp(one, 200) == inf && ldexp(one, -200) == 0 && ldexp(one, -149) == as_type<float>(1u));
    CHECK(fma(one * 3, 4.0f, 5.0f) == 17 && isnan(fma(inf, zero, one)) && fdim(3 * one, 1.0f) == 2);
    CHECK(fdim(one, 3.0f) == 0 && isnan(fdim(nan, one)) && ilogb(zero) == FP_ILOGB0 && ilogb(nan) == FP_ILOGBNAN);
    CHECK(fract(-1e-10f * one) < 1.0f && fract(-0.25f * one) == 0.75f);
    CHECK(sinpi(one) == 0 && cospi(0.5f * one) == 0 && sinpi(0.5f * one) == 1 && cospi(one) == -1);
    CHECK(mix(one, 3.0f, 0.5f) == 2 && smoothstep(0.0f, 2 * one, one) == 0.5f && smoothstep(zero, one, 2.0f) == 1);
    float c, s = sincos(one, c);
    CHECK(fabs(s - sin(one)) < 1e-6f && fabs(c - cos(one)) < 1e-6f);
    CHECK(fmin(nan, one) == 1 && fmax(one, nan) == 1 && precise::fmin(one, nan) == 1 && fast::max(one, 2.0f) == 2);
    CHECK(precise::sin(one) == sin(one) && fast::exp(zero) == 1 && metal::precise::clamp(5 * one, 0.0f, 1.0f) == 1);
}

// A product and a sum in one expression are rounded once, of every type; of vectors, whose operators are
// functions here, where the program lets operations be contracted.
template <typename T> void fused(device uint *line, uint i, uint bits)
{
    T a = T(float(bits % 509) / 8), b = T(float(bits / 509 % 251) / 16), c = T(float(bits / 3 % 127));
    CHECK(a * b + c == T(fma(float(a), float(b), float(c))));
#ifdef __FAST_MATH__
    const vec<T, 2> both = vec<T, 2>(a, b) * vec<T, 2>(b, a) + vec<T, 2>(c, a);
    CHECK(both.y == T(fma(float(b), float(a), float(a))));
#endif
    CHECK(c - a * b == T(fma(-float(a), float(b), float(c))));
}

kernel void products_and_sums(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    fused<half>(line, i, data[i] >> 3);
    fused<bfloat>(line, i, data[i] >> 5);
}

// Casts to a template's type: between half and bfloat too, and of all that a C-style cast takes.
template <typename To, class From> To as(From from) { return (To) from + (To) (*(thread From *)&from); }
template <typename P> uint bits_at(thread uint *from) { return *(P)from; }
template <class T> T cast_of_first(device const uint *data) { return (T) *((device T *)data); }
kernel void template_casts(device uint *line [[buffer(0)]], device const uint *data [[buffer(1)]],
        uint i [[thread_position_in_grid]])
{
    float x = float(data[i] % 8);
    CHECK(as<bfloat>(half(x)) == bfloat(2 * x) && as<half>(bfloat(x)) == half(2 * x));
    CHECK(as<float>(bfloat(x)) == 2 * x && as<int>(x) == int(2 * x) && as<bfloat>(x) == bfloat(2 * x));
    uint bits = data[i];
    CHECK(bits_at<thread uint *>(&bits) == bits && cast_of_first<uint>(data) == data[0]);
}
