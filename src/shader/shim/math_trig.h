// Trigonometric and hyperbolic functions; see math_core.h.
#pragma GCC system_header
namespace metal
{
namespace __core
{
// 2/pi to 224 bits, most significant word first; enough for the largest float.
constexpr constant uint two_over_pi[] = {0x00000000u, 0x00000000u, 0xa2f9836eu, 0x4e441529u,
        0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu};

// Payne and Hanek's reduction for |x| >= 2^28: multiplies the mantissa by just those bits of 2/pi
// that matter to the quadrant and the fraction.
__MSL_FN double reduce_huge(float x, thread uint &quadrant)
{
    uint u = float_to_bits(x);
    uint shift = ((u >> 23) & 255u) - 150u + 32u; // x = mantissa * 2^(shift - 32)
    ulong mantissa = (u & 0x7fffffu) | 0x800000u;
    uint word = shift >> 5, bit = shift & 31u;
    ulong high = ((ulong)two_over_pi[word] << 32) | two_over_pi[word + 1];
    ulong low = ((ulong)two_over_pi[word + 2] << 32) | two_over_pi[word + 3];
    ulong top = bit ? (high << bit) | (low >> (64u - bit)) : high;
    ulong next = low << bit;
    // In units of 2^-96 quadrants, modulo 2^32 quadrants.
    unsigned __int128 product =
            ((unsigned __int128)(mantissa * top) << 64) + (unsigned __int128)mantissa * next;
    ulong below = (ulong)(product >> 32);
    quadrant = (uint)(product >> 96) + (uint)(below >> 63);
    double fraction = (double)(long)below * 0x1p-64;
    bool negative = u >> 31;
    quadrant = negative ? -quadrant : quadrant;
    return (negative ? -fraction : fraction) * 1.57079632679489661923;
}
// x = r + quadrant * pi/2 with |r| <= pi/4
__MSL_FN float reduce(float x, thread uint &quadrant)
{
    double d = x;
    double n = __builtin_elementwise_roundeven(d * 0.636619772367581343076);
    double r = d - n * 1.5707963267341256e+00;
    r = r - n * 6.0771005065061922e-11;
    quadrant = (uint)to_int((float)(n - 4.0 * __builtin_elementwise_floor(n * 0.25)));
    if (__builtin_expect(fabs(x) >= 1048576.0f, 0))
        r = fabs(x) < __builtin_inff() ? reduce_huge(x, quadrant) : (double)__builtin_nanf("");
    return (float)r;
}
__MSL_FN float sin_part(float r)
{
    float z = r * r;
    float p = -1.9515295891e-4f;
    p = p * z + 8.3321608736e-3f;
    p = p * z - 1.6666654611e-1f;
    return p * z * r + r;
}
__MSL_FN float cos_part(float r)
{
    float z = r * r;
    float p = 2.443315711809948e-5f;
    p = p * z - 1.388731625493765e-3f;
    p = p * z + 4.166664568298827e-2f;
    return p * (z * z) - 0.5f * z + 1.0f;
}
__MSL_FN float quadrant_sin(float r, uint quadrant)
{
    float v = quadrant & 1u ? cos_part(r) : sin_part(r);
    return bits_to_float(float_to_bits(v) ^ ((quadrant & 2u) << 30));
}
__MSL_FN float sin(float x)
{
    uint q;
    float r = reduce(x, q);
    return quadrant_sin(r, q);
}
__MSL_FN float cos(float x)
{
    uint q;
    float r = reduce(x, q);
    return quadrant_sin(r, q + 1u);
}
__MSL_FN float sincos(float x, thread float &c)
{
    uint q;
    float r = reduce(x, q);
    c = quadrant_sin(r, q + 1u);
    return quadrant_sin(r, q);
}
__MSL_FN float tan(float x)
{
    uint q;
    float r = reduce(x, q), s = sin_part(r), c = cos_part(r);
    return q & 1u ? -c / s : s / c;
}
// The fraction of x in half turns: exact, so no reduction is needed.
__MSL_FN float reduce_pi(float x, thread uint &quadrant)
{
    float half_turns = x - 2.0f * rint(x * 0.5f);
    float n = rint(half_turns * 2.0f);
    quadrant = (uint)to_int(n + 4.0f);
    float r = (half_turns - n * 0.5f) * 3.14159265358979323846f;
    return fabs(x) < __builtin_inff() ? r : __builtin_nanf("");
}
__MSL_FN float sinpi(float x)
{
    uint q;
    float r = reduce_pi(x, q);
    return quadrant_sin(r, q);
}
__MSL_FN float cospi(float x)
{
    uint q;
    float r = reduce_pi(x, q);
    return quadrant_sin(r, q + 1u);
}
__MSL_FN float tanpi(float x)
{
    uint q;
    float r = reduce_pi(x, q), s = sin_part(r), c = cos_part(r);
    return q & 1u ? -c / s : s / c;
}

__MSL_FN float asin_part(float a, float z)
{
    float p = 4.2163199048e-2f;
    p = p * z + 2.4181311049e-2f;
    p = p * z + 4.5470025998e-2f;
    p = p * z + 7.4953002686e-2f;
    p = p * z + 1.6666752422e-1f;
    return p * z * a + a;
}
__MSL_FN float asin(float x)
{
    float a = fabs(x);
    bool outer = a > 0.5f;
    float z = outer ? 0.5f * (1.0f - a) : a * a;
    float r = asin_part(outer ? sqrt(z) : a, z);
    r = outer ? 1.57079632679489661923f - (r + r) : r;
    return copysign(r, x);
}
__MSL_FN float acos(float x)
{
    float a = fabs(x);
    bool outer = a > 0.5f;
    float z = outer ? 0.5f * (1.0f - a) : a * a;
    float r = asin_part(outer ? sqrt(z) : x, z);
    float far = x < 0.0f ? 3.14159265358979323846f - (r + r) : r + r;
    return outer ? far : 1.57079632679489661923f - r;
}
// atan(num / den) for num, den >= 0, not both zero nor both infinite
__MSL_FN float atan_ratio(float num, float den)
{
    bool steep = num > den * 2.41421356237309505f;
    bool middle = !steep && num > den * 0.41421356237309505f;
    float top = steep ? -den : middle ? num - den : num;
    float bottom = steep ? num : middle ? num + den : den;
    float t = top / bottom, z = t * t;
    float p = 8.05374449538e-2f;
    p = p * z - 1.38776856032e-1f;
    p = p * z + 1.99777106478e-1f;
    p = p * z - 3.33329491539e-1f;
    float base = steep ? 1.57079632679489661923f : middle ? 0.785398163397448309616f : 0.0f;
    return base + (p * z * t + t);
}
__MSL_FN float atan(float x)
{
    float a = fabs(x);
    float r = a < __builtin_inff() ? atan_ratio(a, 1.0f) : 1.57079632679489661923f;
    return x == x ? copysign(r, x) : x;
}
__MSL_FN float atan2(float y, float x)
{
    float ay = fabs(y), ax = fabs(x);
    bool both_huge = ay == __builtin_inff() && ax == __builtin_inff();
    bool both_zero = ay == 0.0f && ax == 0.0f;
    // Keeps the sums inside atan_ratio finite.
    float s = ay > 0x1p125f || ax > 0x1p125f ? 0x1p-4f : 1.0f;
    float num = both_huge ? 1.0f : both_zero ? 0.0f : ay * s;
    float den = both_huge || both_zero ? 1.0f : ax * s;
    float r = ay == __builtin_inff() && !both_huge ? 1.57079632679489661923f
                                                   : atan_ratio(num, den);
    r = ax == __builtin_inff() && !both_huge ? 0.0f : r;
    r = float_to_bits(x) >> 31 ? 3.14159265358979323846f - r : r;
    return x == x && y == y ? copysign(r, y) : x + y;
}

__MSL_FN float tanh(float x)
{
    float a = fabs(x), z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    float near = p * z * x + x;
    float far = 1.0f - 2.0f / (exp(a + a) + 1.0f);
    return a < 0.625f ? near : copysign(far, x);
}
__MSL_FN float sinh(float x)
{
    float a = fabs(x), z = x * x;
    float p = 2.03721912945e-4f;
    p = p * z + 8.33028376239e-3f;
    p = p * z + 1.66667160211e-1f;
    float near = p * z * x + x;
    float t = exp(a * 0.5f); // its square may overflow only when the result does
    float far = 0.5f * t * t - 0.5f / t / t;
    return a < 1.0f ? near : copysign(far, x);
}
__MSL_FN float cosh(float x)
{
    float t = exp(fabs(x) * 0.5f);
    return 0.5f * t * t + 0.5f / t / t;
}
__MSL_FN float asinh(float x)
{
    float a = fabs(x), z = x * x;
    float p = 2.0122003309e-2f;
    p = p * z - 4.2699340972e-2f;
    p = p * z + 7.4847586088e-2f;
    p = p * z - 1.6666288134e-1f;
    float near = p * z * x + x;
    float far = a > 1500.0f ? log(a) + 0.693147180559945309f : log(a + sqrt(z + 1.0f));
    return a < 0.5f ? near : copysign(far, x);
}
__MSL_FN float acosh(float x)
{
    float z = x - 1.0f;
    float p = 1.7596881071e-3f;
    p = p * z - 7.5272886713e-3f;
    p = p * z + 2.6454905019e-2f;
    p = p * z - 1.1784741703e-1f;
    p = p * z + 1.4142135263e0f;
    float near = p * sqrt(z);
    float far = x > 1500.0f ? log(x) + 0.693147180559945309f : log(x + sqrt(z * (x + 1.0f)));
    return z < 0.5f ? near : far; // x < 1: sqrt gives the NaN
}
__MSL_FN float atanh(float x)
{
    float a = fabs(x), z = x * x;
    float p = 1.81740078349e-1f;
    p = p * z + 8.24370301058e-2f;
    p = p * z + 1.46691431730e-1f;
    p = p * z + 1.99782164500e-1f;
    p = p * z + 3.33337300303e-1f;
    float near = p * z * x + x;
    float far = 0.5f * log((1.0f + x) / (1.0f - x));
    return a < 0.5f ? near : far;
}

// Exact: each step subtracts a multiple of y that fits a double's mantissa.
__MSL_FN float fmod(float x, float y)
{
    double a = fabs(x), b = fabs(y);
    if (!(a < (double)__builtin_inff()) || !(b > 0.0))
        return __builtin_nanf("");
    if (!(b < (double)__builtin_inff()))
        return b == b ? x : y;
    while (a >= b) {
        double q = __builtin_elementwise_trunc(a / b);
        if (q >= 536870912.0) {
            // Keep the quotient's highest bits only.
            ulong bits = __builtin_bit_cast(ulong, q) & 0xffffffffe0000000ul;
            q = __builtin_bit_cast(double, bits);
        }
        double rest = a - q * b;
        a = rest < 0.0 ? rest + b : rest;
    }
    return copysign((float)a, x);
}
// B: unsigned, of T's size.
template <class B, class T> __MSL_FN T nextafter(T x, T y)
{
    B u = __builtin_bit_cast(B, x), sign = B(B(1) << (sizeof(B) * 8 - 1));
    B zero = B((__builtin_bit_cast(B, y) & sign) | 1u);
    B r = x == T(0.0f) ? zero : (x < y) == (x > T(0.0f)) ? B(u + 1u) : B(u - 1u);
    return x != x || y != y ? T(x + y) : x == y ? y : __builtin_bit_cast(T, r);
}
} // namespace __core
} // namespace metal
