// The arithmetic behind <metal_math>: float functions written out, without calls, so that they are
// inlined and vectorised with the kernel. Accuracy is Metal's documented one for precise math
// (tests/shader/math_accuracy.c measures it). Polynomials are those of Cephes' single-precision
// library (S. Moshier). These functions are exempt from the fast-math flags given to user code:
// reassociating the argument reductions would undo them.
#pragma GCC system_header
namespace metal
{
namespace __core
{
__MSL_FN float bits_to_float(uint u)
{
    return __builtin_bit_cast(float, u);
}
__MSL_FN uint float_to_bits(float f)
{
    return __builtin_bit_cast(uint, f);
}
// Unlike a cast this is a bare conversion, whose result is undefined outside int's range; callers
// clamp, or discard the result.
__MSL_FN int to_int(float f)
{
    typedef float F1 __attribute__((ext_vector_type(1)));
    typedef int I1 __attribute__((ext_vector_type(1)));
    return __builtin_convertvector((F1)f, I1)[0];
}
__MSL_FN float sqrt(float x)
{
    return __builtin_elementwise_sqrt(x);
}
// Rounded correctly: the quotient, corrected by what x * r * r differs from 1.
__MSL_FN float rsqrt(float x)
{
    float r = 1.0f / sqrt(x);
    float h = x * r, low = __builtin_elementwise_fma(x, r, -h);
    float error = __builtin_elementwise_fma(h, r, -1.0f) + low * r;
    float better = r - 0.5f * r * error;
    return r > 0.0f && r < __builtin_inff() ? better : r;
}
// a * b + c of three halves, rounded once. In float the product is exact, but the sum would be rounded
// before it is rounded to half: it is rounded to odd instead.
__MSL_FN float fma_half(float a, float b, float c)
{
    float p = a * b, s = p + c, t = s - p, error = (p - (s - t)) + (c - t);
    uint u = float_to_bits(s);
    bool grows = (error > 0.0f) == (s > 0.0f);
    uint odd = u & 1u ? u : grows ? u + 1u : u - 1u;
    return error > 0.0f || error < 0.0f ? bits_to_float(odd) : s;
}
__MSL_FN float floor(float x)
{
    return __builtin_elementwise_floor(x);
}
__MSL_FN float ceil(float x)
{
    return __builtin_elementwise_ceil(x);
}
__MSL_FN float trunc(float x)
{
    return __builtin_elementwise_trunc(x);
}
__MSL_FN float rint(float x)
{
    return __builtin_elementwise_roundeven(x);
}
__MSL_FN float round(float x)
{
    return __builtin_elementwise_round(x);
}
__MSL_FN float fabs(float x)
{
    return __builtin_elementwise_abs(x);
}
__MSL_FN float copysign(float x, float y)
{
    return __builtin_copysignf(x, y);
}
__MSL_FN float fract(float x)
{
    float f = x - floor(x);
    return f < 0x1.fffffep-1f ? f : (x == x ? 0x1.fffffep-1f : x);
}
__MSL_FN float saturate(float x)
{
    return __builtin_elementwise_min(__builtin_elementwise_max(x, 0.0f), 1.0f);
}
__MSL_FN float sign(float x)
{
    return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x == 0.0f ? x : 0.0f;
}
__MSL_FN float fmin(float a, float b)
{
    return __builtin_elementwise_min(a, b);
}
__MSL_FN float fmax(float a, float b)
{
    return __builtin_elementwise_max(a, b);
}
__MSL_FN float fdim(float a, float b)
{
    return a != a || b != b ? a + b : a > b ? a - b : 0.0f;
}
__MSL_FN float step(float edge, float x)
{
    return x < edge ? 0.0f : 1.0f;
}
__MSL_FN float divide(float a, float b)
{
    return a / b;
}

// p * 2^n for p in [0.5, 2] and |n| <= 300: in two steps, so that a denormal result is rounded once
// and an infinite one is reached.
__MSL_FN float scale(float p, int n)
{
    int half_n = n >> 1;
    return p * bits_to_float((uint)(half_n + 127) << 23) *
           bits_to_float((uint)(n - half_n + 127) << 23);
}
// 2^f for f in [-0.5, 0.5]
__MSL_FN float exp2_fraction(float f)
{
    float p = 1.535336188319500e-4f;
    p = p * f + 1.339887440266574e-3f;
    p = p * f + 9.618437357674640e-3f;
    p = p * f + 5.550332471162809e-2f;
    p = p * f + 2.402264791363012e-1f;
    p = p * f + 6.931472028550421e-1f;
    return p * f + 1.0f;
}
__MSL_FN float exp2(float x)
{
    float c = fmin(fmax(x, -160.0f), 160.0f);
    float n = rint(c);
    float r = scale(exp2_fraction(c - n), to_int(n));
    return x == x ? r : x;
}
__MSL_FN float exp(float x)
{
    float c = fmin(fmax(x, -110.0f), 100.0f);
    float n = rint(c * 1.44269504088896341f);
    float r = c - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    float e = scale(p * (r * r) + r + 1.0f, to_int(n));
    return x == x ? e : x;
}
__MSL_FN float exp10(float x)
{
    float c = fmin(fmax(x, -50.0f), 50.0f);
    float n = rint(c * 3.32192809488736235f);
    float r = c - n * 0.30078125f;
    r = r - n * 2.48745663981195213739e-4f;
    float e = scale(exp2_fraction(r * 3.32192809488736235f), to_int(n));
    return x == x ? e : x;
}

// x = m * 2^e with m in [sqrt(1/2), sqrt(2)); x finite and positive.
__MSL_FN float split(float x, thread float &e)
{
    bool denormal = x < 1.17549435e-38f;
    uint u = float_to_bits(denormal ? x * 8388608.0f : x) - 0x3f3504f3u;
    e = (float)((int)u >> 23) - (denormal ? 23.0f : 0.0f);
    return bits_to_float((u & 0x7fffffu) + 0x3f3504f3u);
}
// log(1 + f) - f for 1 + f in [sqrt(1/2), sqrt(2))
__MSL_FN float log_tail(float f)
{
    float p = 7.0376836292e-2f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    float f2 = f * f;
    return p * f * f2 - 0.5f * f2;
}
__MSL_FN float log_special(float x, float result)
{
    float r = x < __builtin_inff() ? result : x; // +inf and NaN
    r = x == 0.0f ? -__builtin_inff() : r;
    return x < 0.0f ? __builtin_nanf("") : r;
}
__MSL_FN float log(float x)
{
    float e, f = split(x, e) - 1.0f;
    float r = e * -2.12194440e-4f + log_tail(f);
    return log_special(x, e * 0.693359375f + (r + f));
}
__MSL_FN float log2(float x)
{
    float e, f = split(x, e) - 1.0f;
    float t = log_tail(f);
    float r = t * 0.44269504088896341f + f * 0.44269504088896341f + t + f;
    return log_special(x, r + e);
}
__MSL_FN float log10(float x)
{
    float e, f = split(x, e) - 1.0f;
    float t = log_tail(f);
    float r = t * 7.00731903251827651e-4f;
    r = f * 7.00731903251827651e-4f + r;
    r = e * 2.48745663981195214e-4f + r;
    r = t * 4.3359375e-1f + r;
    r = f * 4.3359375e-1f + r;
    return log_special(x, e * 3.0078125e-1f + r);
}

// x^y for x >= 0, through double: the error of log2 x is multiplied by y.
__MSL_FN float pow_positive(float x, float y)
{
    float e;
    double m = split(x, e);
    double s = (m - 1.0) / (m + 1.0), z = s * s;
    double p = 2.0 / 13;
    p = p * z + 2.0 / 11;
    p = p * z + 2.0 / 9;
    p = p * z + 2.0 / 7;
    p = p * z + 2.0 / 5;
    p = p * z + 2.0 / 3;
    p = p * z + 2.0;
    double l = s * p * 1.44269504088896340736 + e;
    l = x == 0.0f ? (double)-__builtin_inff() : x < __builtin_inff() ? l : (double)x;
    double t = (double)y * l;
    double c = t < -160.0 ? -160.0 : t > 160.0 ? 160.0 : t;
    double n = __builtin_elementwise_roundeven(c);
    float r = scale(exp2_fraction((float)(c - n)), to_int((float)n));
    return t == t ? r : __builtin_nanf("");
}
// The magnitude `r` of x^y with its sign, where y is whole.
__MSL_FN float pow_signed(float r, float x, float y)
{
    bool odd = trunc(y) == y && trunc(y * 0.5f) != y * 0.5f;
    uint sign_bit = odd ? float_to_bits(x) & 0x80000000u : 0u;
    return bits_to_float(float_to_bits(r) ^ sign_bit);
}
// For negative x Metal promises nothing; programs write cubes with it, and get them on a Mac.
__MSL_FN float powr(float x, float y)
{
    float r = pow_positive(fabs(x), y);
    return x < 0.0f ? (trunc(y) == y ? pow_signed(r, x, y) : __builtin_nanf("")) : r;
}
__MSL_FN float pow(float x, float y)
{
    float r = pow_signed(pow_positive(fabs(x), y), x, y);
    r = x < 0.0f && trunc(y) != y && x > -__builtin_inff() ? __builtin_nanf("") : r;
    return y == 0.0f || x == 1.0f ? 1.0f : x == -1.0f && fabs(y) == __builtin_inff() ? 1.0f : r;
}
} // namespace __core
} // namespace metal
