/* What Metal's math functions must give, for the tests: references in double, the errors the
 * specification allows (single precision, precise math; fast math allows more), the ranges to look
 * at closely, and edges. */
#ifndef TESTS_SHADER_MATH_TABLE_H
#define TESTS_SHADER_MATH_TABLE_H

#include "base/base.h"

#include <math.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

static float random_float(float low, float high)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    if (low == 0 && high == INFINITY) { /* any finite bits */
        uint32_t bits = (uint32_t)(state >> 32);
        float f;
        if ((bits & 0x7f800000u) == 0x7f800000u)
            bits &= ~0x00800000u;
        memcpy(&f, &bits, 4);
        return f;
    }
    return low + (high - low) * (float)((state >> 11) * 0x1p-53);
}

static double ulp_error(float got, double want)
{
    float rounded = (float)want;
    if (isnan(rounded) || isnan(got))
        return isnan(rounded) && isnan(got) ? 0 : INFINITY;
    if (got == rounded)
        return 0;
    if (isinf(got) || isinf(rounded))
        return fabs(want) > 3.4028e38 && fabsf(got) > 3.4027e38f ? 1 : INFINITY;
    int e;
    frexp(want, &e);
    return fabs((double)got - want) / ldexp(1, (e < -125 ? -125 : e) - 24);
}

static double c_rsqrt(double x)
{
    return 1 / sqrt(x);
}
static double c_exp10(double x)
{
    return pow(10, x);
}
static double pi_times(double x)
{
    return M_PI * x;
}
/* Exact at the multiples where the product with pi is not. */
static double c_sinpi(double x)
{
    double r = fmod(x, 2);
    return fabs(r) == 1 || r == 0 ? 0 * x : sin(pi_times(r));
}
static double c_cospi(double x)
{
    double r = fabs(fmod(x, 2));
    return r == 0.5 || r == 1.5 ? 0 : cos(pi_times(r));
}
static double c_tanpi(double x)
{
    double r = fmod(x, 1);
    return r == 0 ? 0 * x : fabs(r) == 0.5 ? r * INFINITY : tan(pi_times(r));
}

#define ONE(X)                                                                                     \
    X(exp, exp, -104, 89, 4)                                                                       \
    X(exp2, exp2, -151, 129, 4)                                                                    \
    X(exp10, c_exp10, -46, 39, 4)                                                                  \
    X(log, log, 0, INFINITY, 4)                                                                    \
    X(log2, log2, 0, INFINITY, 4)                                                                  \
    X(log10, log10, 0, INFINITY, 4)                                                                \
    X(log, log, 0.5f, 2, 4)                                                                        \
    X(log2, log2, 0.5f, 2, 4)                                                                      \
    X(sin, sin, -10, 10, 4)                                                                        \
    X(sin, sin, -1e6f, 1e6f, 4)                                                                    \
    X(sin, sin, 0, INFINITY, 4)                                                                    \
    X(cos, cos, -10, 10, 4)                                                                        \
    X(cos, cos, 0, INFINITY, 4)                                                                    \
    X(tan, tan, -10, 10, 6)                                                                        \
    X(tan, tan, 0, INFINITY, 6)                                                                    \
    X(sinpi, c_sinpi, -20, 20, 4)                                                                  \
    X(cospi, c_cospi, -20, 20, 4)                                                                  \
    X(tanpi, c_tanpi, -20, 20, 6)                                                                  \
    X(asin, asin, -1, 1, 4)                                                                        \
    X(acos, acos, -1, 1, 4)                                                                        \
    X(atan, atan, -20, 20, 5)                                                                      \
    X(atan, atan, 0, INFINITY, 5)                                                                  \
    X(sinh, sinh, -90, 90, 4)                                                                      \
    X(sinh, sinh, -2, 2, 4)                                                                        \
    X(cosh, cosh, -90, 90, 4)                                                                      \
    X(tanh, tanh, -10, 10, 5)                                                                      \
    X(asinh, asinh, -5, 5, 4)                                                                      \
    X(asinh, asinh, 0, INFINITY, 4)                                                                \
    X(acosh, acosh, 1, 10, 4)                                                                      \
    X(atanh, atanh, -1, 1, 5)                                                                      \
    X(rsqrt, c_rsqrt, 0, INFINITY, 0.51)                                                           \
    X(sqrt, sqrt, 0, INFINITY, 0.51)                                                               \
    X(rint, rint, -1e6f, 1e6f, 0)                                                                  \
    X(round, round, -1e6f, 1e6f, 0)
#define TWO(X)                                                                                     \
    X(pow, pow, 0, INFINITY, -20, 20, 16)                                                          \
    X(pow, pow, 0.5f, 2, -120, 120, 16)                                                            \
    X(powr, pow, 0.01f, 100, -15, 15, 16)                                                          \
    X(atan2, atan2, 0, INFINITY, -1e10f, 1e10f, 6)                                                 \
    X(atan2, atan2, -2, 2, -2, 2, 6)                                                               \
    X(fmod, fmod, 0, INFINITY, -100, 100, 0)                                                       \
    X(fmod, fmod, -1000, 1000, -10, 10, 0)                                                         \
    X(fdim, fdim, -10, 10, -10, 10, 0.51)

#define SAMPLES 20000
static const float edges[] = {0.0f, -0.0f, 1.0f, -1.0f, 0.5f, -0.5f, 2.0f, 3.0f, -3.0f, INFINITY,
        -INFINITY, NAN, 1e-45f, -1e-45f, 1.17549435e-38f, 3.4028235e38f, -3.4028235e38f, 1e-30f,
        100.0f, 16777216.0f, 1.5707964f, 3.1415927f, 1048575.9f, 1048576.0f, 1e10f};

#endif
