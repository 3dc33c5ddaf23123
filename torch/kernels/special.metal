// Functions of few operators, which their kernels have in front.

static inline float digamma(float x)
{
    if (x == 0)
        return copysign(INFINITY, -x);
    float sum = 0;
    if (x < 0) { // reflected
        float rest = x - trunc(x);
        if (rest == 0)
            return NAN;
        sum = -M_PI_F / tan(M_PI_F * rest);
        x = 1 - x;
    }
    for (; x < 10; x++)
        sum -= 1 / x;
    float z = 1 / (x * x);
    float tail = z * (1 / 12.0f - z * (1 / 120.0f - z * (1 / 252.0f - z * (1 / 240.0f - z / 132))));
    return sum + log(x) - 0.5f / x - tail;
}

// Stirling's series from 8 on; what is less is multiplied up to there.
static inline float log_gamma_positive(float x)
{
    float product = 1;
    for (; x < 8; x++)
        product *= x;
    float z = 1 / (x * x);
    float tail = (1 / 12.0f - z * (1 / 360.0f - z / 1260)) / x;
    return (x - 0.5f) * log(x) - x + 0.91893853f + tail - log(product);
}
static inline float log_gamma(float x)
{
    if (isinf(x) || (x <= 0 && x == floor(x)))
        return INFINITY;
    if (x >= 0.5f || isnan(x))
        return isnan(x) ? x : log_gamma_positive(x);
    float rest = fabs(x) - floor(fabs(x));
    return log(M_PI_F / fabs(sin(M_PI_F * rest))) - log_gamma_positive(1 - x);
}

// Hurwitz's, by the sum of the first terms and the formula of Euler and Maclaurin for the rest.
static inline float hurwitz_zeta(float x, float q)
{
    if (x == 1)
        return INFINITY;
    if (x < 1 || isnan(x) || isnan(q))
        return NAN;
    if (q <= 0) {
        if (q == floor(q))
            return INFINITY;
        if (x != floor(x))
            return NAN;
    }
    const float terms[12] = {12.0f, -720.0f, 30240.0f, -1209600.0f, 47900160.0f, -1.8924375803183791606e9f,
        7.47242496e10f, -2.950130727918164224e12f, 1.1646782814350067249e14f, -4.5979787224074726105e15f,
        1.8152105401943546773e17f, -7.1661652561756670113e18f};
    const float least = 5.9604645e-8f;
    float a = q, b, sum = pow(q, -x);
    for (int i = 0; i < 9 || a <= 9; i++) {
        a += 1;
        b = pow(a, -x);
        sum += b;
        if (-least * sum < b && b < least * sum)
            return sum;
    }
    sum += b * a / (x - 1) - 0.5f * b;
    float factor = 1;
    for (int i = 0, k = 0; i < 12; i++, k += 2) {
        factor *= x + k;
        b /= a;
        float t = factor * b / terms[i];
        sum += t;
        if (fabs(t / sum) < least)
            break;
        factor *= x + k + 1;
        b /= a;
    }
    return sum;
}

static inline float trigamma(float x)
{
    float sign = 1, sum = 0;
    if (x < 0.5f) {
        float s = sin(M_PI_F * x);
        sign = -1;
        sum = -M_PI_F * M_PI_F / (s * s);
        x = 1 - x;
    }
    for (int i = 0; i < 6; i++, x++)
        sum += 1 / (x * x);
    float z = 1 / (x * x);
    return sign * (sum + (1 + 1 / (2 * x) + z * (1 / 6.0f - z * (1 / 30.0f - z / 42))) / x);
}
static inline float polygamma(float n, float x)
{
    if (n == 0)
        return digamma(x);
    if (n == 1)
        return trigamma(x);
    return (fmod(n, 2) != 0 ? 1 : -1) * exp(log_gamma(n + 1)) * hurwitz_zeta(n + 1, x);
}

// By the polynomials of M. Giles.
static inline float error_inverse(float x)
{
    if (fabs(x) >= 1)
        return fabs(x) == 1 ? copysign(INFINITY, x) : NAN;
    float w = -log((1 - x) * (1 + x)), r;
    if (w < 5) {
        w -= 2.5f;
        r = fma(2.81022636e-08f, w, 3.43273939e-07f);
        r = fma(r, w, -3.5233877e-06f);
        r = fma(r, w, -4.39150654e-06f);
        r = fma(r, w, 0.00021858087f);
        r = fma(r, w, -0.00125372503f);
        r = fma(r, w, -0.00417768164f);
        r = fma(r, w, 0.246640727f);
        return fma(r, w, 1.50140941f) * x;
    }
    w = sqrt(w) - 3;
    r = fma(-0.000200214257f, w, 0.000100950558f);
    r = fma(r, w, 0.00134934322f);
    r = fma(r, w, -0.00367342844f);
    r = fma(r, w, 0.00573950773f);
    r = fma(r, w, -0.0076224613f);
    r = fma(r, w, 0.00943887047f);
    r = fma(r, w, 1.00167406f);
    return fma(r, w, 2.83297682f) * x;
}

static inline float error_complement(float a)
{
    float t = fabs(a), s = a * a;
    if (t <= 0.927734375f)
        return 1 - error_function(a);
    float u = fma(-3.88396438e-3f, t, 2.42546219e-2f);
    float r = fma(fma(-1.72853470e-5f, t, 3.83197126e-4f), s, u);
    r = fma(fma(fma(r, t, -1.06777877e-1f), t, -6.34846687e-1f), t, -1.28717512e-1f);
    r = exp(fma(r, t, -t));
    return isnan(a) ? a : t > 4 ? (a < 0 ? 2.0f : t > 10 ? 0.0f : exp(-s) / (1.7724539f * t) * (1 - 0.5f / s + 0.75f / (s * s) - 1.875f / (s * s * s)))
            : a < 0 ? 2 - r : r;
}

// log(1 + d) - d, which is small beside both.
static inline float log1plus_rest(float d)
{
    if (fabs(d) > 0.1f)
        return log1plus(d) - d;
    return d * d * (-0.5f + d * (1 / 3.0f - d * (0.25f - d * (0.2f - d * (1 / 6.0f - d * (1 / 7.0f - d / 8))))));
}

// x^a exp(-x) / Gamma(a + 1). Of large a the parts would take each other's digits: Stirling's series, about x = a.
static inline float gamma_part(float a, float x)
{
    if (a < 8)
        return exp(a * log(x) - x - log_gamma_positive(a + 1));
    float z = 1 / (a * a);
    return exp(a * log1plus_rest((x - a) / a) - (1 / 12.0f - z * (1 / 360.0f - z / 1260)) / a) * rsqrt(2 * M_PI_F * a);
}

// Temme's uniform expansion, its first term: what is left out is below 1e-7 where a is above 200.
static inline float gamma_of_large(float a, float x, bool upper)
{
    float d = (x - a) / a, half_square = -log1plus_rest(d), eta = copysign(sqrt(2 * half_square), d);
    float c = fabs(eta) > 0.3f ? 1 / d - 1 / eta
        : -1 / 3.0f + eta * (1 / 12.0f - eta * (2 / 135.0f - eta * (1 / 864.0f + eta * (1 / 2835.0f - eta * (139 / 777600.0f)))));
    float rest = exp(-a * half_square) * rsqrt(2 * M_PI_F * a) * c;
    float side = eta * sqrt(0.5f * a);
    return upper ? 0.5f * error_complement(side) + rest : 0.5f * error_complement(-side) - rest;
}

// The regularised incomplete gamma functions: the lower by its series, the upper by its continued fraction (Lentz), each
// the other's complement.
static inline float incomplete_gamma(float a, float x, bool upper)
{
    if (isnan(a) || (isnan(x) && !isinf(a)) || x < 0 || a < 0 || (a == 0 && x == 0) || (isinf(a) && isinf(x)))
        return NAN;
    if (a == 0 || isinf(x))
        return upper ? 0 : 1;
    if (x == 0 || isinf(a))
        return upper ? 1 : 0;
    if (a > 200)
        return gamma_of_large(a, x, upper);
    float part = gamma_part(a, x);
    if (x < a + 1) {
        float term = 1, sum = 1;
        for (int n = 1; n < 300 && term > 1e-8f * sum; n++) {
            term *= x / (a + n);
            sum += term;
        }
        return upper ? 1 - part * sum : part * sum;
    }
    float b = x + 1 - a, c = 1e30f, d = 1 / b, fraction = d;
    for (int n = 1; n < 300; n++) {
        float numerator = -n * (n - a);
        b += 2;
        d = numerator * d + b;
        d = 1 / (fabs(d) < 1e-30f ? 1e-30f : d);
        c = b + numerator / c;
        c = fabs(c) < 1e-30f ? 1e-30f : c;
        fraction *= c * d;
        if (fabs(c * d - 1) < 1e-7f)
            break;
    }
    float high = part * a * fraction;
    return upper ? high : 1 - high;
}

// A number's parts: between 0.5 and 1, and the power of 2.
static inline int exponent_of(float a)
{
    uint bits = as_type<uint>(a) & 0x7fffffffu;
    if (bits == 0 || bits >= 0x7f800000u)
        return 0;
    int lost = bits < 0x800000u ? int(clz(bits)) - 8 : 0; // a denormal's
    return int((bits << lost) >> 23) - lost - 126;
}
static inline float mantissa_of(float a)
{
    uint bits = as_type<uint>(a), size = bits & 0x7fffffffu;
    if (size == 0 || size >= 0x7f800000u)
        return a;
    if (size < 0x800000u)
        size <<= int(clz(size)) - 8;
    return as_type<float>((bits & 0x80000000u) | (size & 0x7fffffu) | 0x3f000000u);
}

// Modified Bessel functions of the first kind times exp(-|x|), by the polynomials of Abramowitz and Stegun, 9.8.
static inline float bessel_i0e(float x)
{
    float a = fabs(x), t = a / 3.75f;
    if (a <= 3.75f) {
        t *= t;
        return exp(-a) * (1 + t * (3.5156229f + t * (3.0899424f + t * (1.2067492f + t * (0.2659732f + t * (0.0360768f + t * 0.0045813f))))));
    }
    t = 1 / t;
    return (0.39894228f + t * (0.01328592f + t * (0.00225319f + t * (-0.00157565f + t * (0.00916281f + t * (-0.02057706f
            + t * (0.02635537f + t * (-0.01647633f + t * 0.00392377f)))))))) / sqrt(a);
}
static inline float bessel_i1e(float x)
{
    float a = fabs(x), t = a / 3.75f;
    if (a <= 3.75f) {
        t *= t;
        return exp(-a) * x * (0.5f + t * (0.87890594f + t * (0.51498869f + t * (0.15084934f + t * (0.02658733f + t * (0.00301532f + t * 0.00032411f))))));
    }
    t = 1 / t;
    return copysign((0.39894228f + t * (-0.03988024f + t * (-0.00362018f + t * (0.00163801f + t * (-0.01031555f + t * (0.02282967f
            + t * (-0.02895312f + t * (0.01787654f + t * -0.00420059f)))))))) / sqrt(a), x);
}

// The next number of the type towards another. Those of 16 bits are the upper halves of float's.
static inline float next_after(float a, float b)
{
    uint step = c_common == BF16 ? 0x10000u : 1u;
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == b)
        return b;
    bool away = (a < b) == (a > 0);
    if (c_common == F16) {
        ushort bits = as_type<ushort>(half(a));
        return a == 0 ? copysign(float(as_type<half>(ushort(1))), b) : float(as_type<half>(ushort(away ? bits + 1 : bits - 1)));
    }
    uint bits = as_type<uint>(a);
    if (a == 0)
        return copysign(as_type<float>(step), b);
    return as_type<float>(away ? bits + step : bits - step);
}

// Of a type's own width: what is shifted out of it is gone.
template <typename C> static inline C shift_left(C a, C b)
{
    return b < 0 || b >= C(8 * size_of(c_common)) ? C(0) : narrowed(C(a << b), c_common);
}
template <typename C> static inline C shift_right(C a, C b)
{
    C most = C(8 * size_of(c_common));
    return b < 0 || b >= most ? C(a < 0 ? -1 : 0) : a >> b;
}

// The greatest common divisor, and the least common multiple.
template <typename C> static inline C divisor(C a, C b)
{
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    while (b != 0) {
        C rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}
template <typename C> static inline C multiple(C a, C b)
{
    C g = divisor(a, b), m = g == 0 ? C(0) : a / g * b;
    return m < 0 ? -m : m;
}
