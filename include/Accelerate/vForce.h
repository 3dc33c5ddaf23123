/* Accelerate: functions of each element. `n` elements, which may lie where the result does. */
#ifndef ABX_ACCELERATE_VFORCE_H
#define ABX_ACCELERATE_VFORCE_H

#include <math.h>

#define ABX_VFORCE(name, T, expression)                                                            \
    static inline void name(T *y, const T *x, const int *n)                                        \
    {                                                                                              \
        for (long i = 0; i < *n; i++)                                                              \
            y[i] = expression;                                                                     \
    }
/* z from y and x, in Apple's order: vvpow is x to the y, vvdiv is y / x, vvatan2 of y and x. */
#define ABX_VFORCE2(name, T, expression)                                                           \
    static inline void name(T *z, const T *y, const T *x, const int *n)                            \
    {                                                                                              \
        for (long i = 0; i < *n; i++)                                                              \
            z[i] = expression;                                                                     \
    }
#define ABX_VFORCE_BOTH(name, function)                                                            \
    ABX_VFORCE(name##f, float, function##f(x[i]))                                                  \
    ABX_VFORCE(name, double, function(x[i]))
#define ABX_VFORCE2_BOTH(name, function, a, b)                                                     \
    ABX_VFORCE2(name##f, float, function##f(a[i], b[i]))                                           \
    ABX_VFORCE2(name, double, function(a[i], b[i]))
ABX_VFORCE_BOTH(vvexp, exp)
ABX_VFORCE_BOTH(vvexp2, exp2)
ABX_VFORCE_BOTH(vvexpm1, expm1)
ABX_VFORCE_BOTH(vvlog, log)
ABX_VFORCE_BOTH(vvlog2, log2)
ABX_VFORCE_BOTH(vvlog10, log10)
ABX_VFORCE_BOTH(vvlog1p, log1p)
ABX_VFORCE_BOTH(vvsqrt, sqrt)
ABX_VFORCE_BOTH(vvcbrt, cbrt)
ABX_VFORCE_BOTH(vvsin, sin)
ABX_VFORCE_BOTH(vvcos, cos)
ABX_VFORCE_BOTH(vvtan, tan)
ABX_VFORCE_BOTH(vvasin, asin)
ABX_VFORCE_BOTH(vvacos, acos)
ABX_VFORCE_BOTH(vvatan, atan)
ABX_VFORCE_BOTH(vvsinh, sinh)
ABX_VFORCE_BOTH(vvcosh, cosh)
ABX_VFORCE_BOTH(vvtanh, tanh)
ABX_VFORCE_BOTH(vvasinh, asinh)
ABX_VFORCE_BOTH(vvacosh, acosh)
ABX_VFORCE_BOTH(vvatanh, atanh)
ABX_VFORCE_BOTH(vvfloor, floor)
ABX_VFORCE_BOTH(vvceil, ceil)
ABX_VFORCE_BOTH(vvint, trunc)
ABX_VFORCE_BOTH(vvnint, rint)
ABX_VFORCE_BOTH(vvfabs, fabs)
ABX_VFORCE(vvrecf, float, 1 / x[i])
ABX_VFORCE(vvrec, double, 1 / x[i])
ABX_VFORCE(vvrsqrtf, float, 1 / sqrtf(x[i]))
ABX_VFORCE(vvrsqrt, double, 1 / sqrt(x[i]))
ABX_VFORCE2_BOTH(vvpow, pow, x, y)
ABX_VFORCE2_BOTH(vvatan2, atan2, y, x)
ABX_VFORCE2_BOTH(vvfmod, fmod, y, x)
ABX_VFORCE2_BOTH(vvremainder, remainder, y, x)
ABX_VFORCE2_BOTH(vvcopysign, copysign, y, x)
ABX_VFORCE2(vvdivf, float, y[i] / x[i])
ABX_VFORCE2(vvdiv, double, y[i] / x[i])
#undef ABX_VFORCE
#undef ABX_VFORCE2
#undef ABX_VFORCE_BOTH
#undef ABX_VFORCE2_BOTH

static inline void vvsincosf(float *sine, float *cosine, const float *x, const int *n)
{
    for (long i = 0; i < *n; i++) {
        float at = x[i];
        sine[i] = sinf(at);
        cosine[i] = cosf(at);
    }
}
#endif
