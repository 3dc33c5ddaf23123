// Metal's math functions under C names, for math_accuracy.c. Compiled by clang with the shim, to an
// object rather than bitcode.
#define P1(name)                                                                                   \
    extern "C" float probe_##name(float x)                                                         \
    {                                                                                              \
        return metal::name(x);                                                                     \
    }
#define P2(name)                                                                                   \
    extern "C" float probe_##name(float x, float y)                                                \
    {                                                                                              \
        return metal::name(x, y);                                                                  \
    }
P1(exp) P1(exp2) P1(exp10) P1(log) P1(log2) P1(log10) P1(sin) P1(cos) P1(tan) P1(sinpi) P1(cospi)
P1(tanpi) P1(asin) P1(acos) P1(atan) P1(sinh) P1(cosh) P1(tanh) P1(asinh) P1(acosh) P1(atanh)
P1(rsqrt) P1(sqrt) P1(fract) P1(sign) P1(rint) P1(round)
P2(pow) P2(powr) P2(atan2) P2(fmod) P2(fdim) P2(nextafter)
extern "C" float probe_ldexp(float x, int e)
{
    return metal::ldexp(x, e);
}
extern "C" float probe_frexp(float x, int *e)
{
    return metal::frexp(x, *e);
}
