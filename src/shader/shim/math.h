// <metal_math>: the overload families over __core, for float, half, bfloat, integers and vectors.
// precise:: and fast:: are the same functions: they are within the precise bounds, and vectorise.
#pragma GCC system_header
namespace metal
{
// Overloads for bfloat are templates: as plain functions they would make calls with integers
// ambiguous, and clients declare their own beside them.
#define __MSL_IF_BFLOAT(T) template <class T, class = enable_if_t<__is_same(T, bfloat)>, int = 0>
// What clients declare for integers themselves is better than these: the empty pack says so.
#define __MSL_IF_INTEGER(T)                                                                        \
    template <class T, class... None, class = enable_if_t<__is_integral(T) && !sizeof...(None)>>

#define __MSL_MATH1(name)                                                                          \
    __MSL_FN float name(float x)                                                                   \
    {                                                                                              \
        return metal::__core::name(x);                                                             \
    }                                                                                              \
    __MSL_FN half name(half x)                                                                     \
    {                                                                                              \
        return (half)metal::__core::name((float)x);                                                \
    }                                                                                              \
    __MSL_IF_BFLOAT(T) __MSL_FN T name(T x)                                                        \
    {                                                                                              \
        return (T)metal::__core::name((float)x);                                                   \
    }                                                                                              \
    __MSL_IF_INTEGER(T) __MSL_FN float name(T x, None...)                                          \
    {                                                                                              \
        return metal::__core::name((float)x);                                                      \
    }                                                                                              \
    template <class T, int N> __MSL_FN vec<T, N> name(vec<T, N> x)                                 \
    {                                                                                              \
        vec<T, N> r;                                                                               \
        _Pragma("unroll") for (int i = 0; i < N; i++) r.__v[i] =                                   \
                (T)metal::__core::name((float)x.__v[i]);                                           \
        return r;                                                                                  \
    }
#define __MSL_MATH2(name)                                                                          \
    __MSL_FN float name(float x, float y)                                                          \
    {                                                                                              \
        return metal::__core::name(x, y);                                                          \
    }                                                                                              \
    __MSL_FN half name(half x, half y)                                                             \
    {                                                                                              \
        return (half)metal::__core::name((float)x, (float)y);                                      \
    }                                                                                              \
    __MSL_IF_BFLOAT(T) __MSL_FN T name(T x, T y)                                                   \
    {                                                                                              \
        return (T)metal::__core::name((float)x, (float)y);                                         \
    }                                                                                              \
    template <class A, class B,                                                                    \
            class = enable_if_t<__is_number<A> && __is_number<B> &&                                \
                                (__is_integral(A) || __is_integral(B) || !__is_same(A, B))>>       \
    __MSL_FN float name(A x, B y)                                                                  \
    {                                                                                              \
        return metal::__core::name((float)x, (float)y);                                            \
    }                                                                                              \
    template <class T, int N> __MSL_FN vec<T, N> name(vec<T, N> x, vec<T, N> y)                    \
    {                                                                                              \
        vec<T, N> r;                                                                               \
        _Pragma("unroll") for (int i = 0; i < N; i++) r.__v[i] =                                   \
                (T)metal::__core::name((float)x.__v[i], (float)y.__v[i]);                          \
        return r;                                                                                  \
    }                                                                                              \
    template <class T, int N, class U, class = enable_if_t<__is_number<U>>>                        \
    __MSL_FN vec<T, N> name(vec<T, N> x, U y)                                                      \
    {                                                                                              \
        return name(x, vec<T, N>(y));                                                              \
    }                                                                                              \
    template <class T, int N, class U, class = enable_if_t<__is_number<U>>>                        \
    __MSL_FN vec<T, N> name(U x, vec<T, N> y)                                                      \
    {                                                                                              \
        return name(vec<T, N>(x), y);                                                              \
    }
#define __MSL_FOR_MATH1(X)                                                                         \
    X(exp) X(exp2) X(exp10) X(log) X(log2) X(log10) X(sin) X(cos) X(tan) X(sqrt) X(rsqrt)          \
    X(sinpi) X(cospi) X(tanpi) X(floor) X(ceil) X(trunc) X(rint) X(round) X(fabs)                  \
    X(saturate) X(sign) X(asin) X(acos) X(atan) X(sinh) X(cosh) X(tanh) X(asinh) X(acosh) X(atanh)
#define __MSL_FOR_MATH2(X)                                                                         \
    X(fmin) X(fmax) X(copysign) X(fmod) X(pow) X(powr) X(atan2) X(fdim) X(step) X(divide)

__MSL_FOR_MATH1(__MSL_MATH1)
__MSL_FOR_MATH2(__MSL_MATH2)

__MSL_FN float fma(float a, float b, float c)
{
    return __builtin_elementwise_fma(a, b, c);
}
__MSL_FN half fma(half a, half b, half c)
{
    return (half)__core::fma_half((float)a, (float)b, (float)c);
}
__MSL_IF_BFLOAT(T) __MSL_FN T fma(T a, T b, T c)
{
    return (T)__builtin_elementwise_fma((float)a, (float)b, (float)c);
}
__MSL_EACH3(fma, T)

// Less than 1 in the type's own precision.
__MSL_FN float fract(float x)
{
    return __core::fract(x);
}
__MSL_FN half fract(half x)
{
    half f = (half)__core::fract((float)x);
    return f == (half)1.0f ? (half)0x1.ffcp-1f : f;
}
__MSL_IF_BFLOAT(T) __MSL_FN T fract(T x)
{
    T f = (T)__core::fract((float)x);
    return f == (T)1.0f ? (T)0x1.fep-1f : f;
}
__MSL_EACH1(fract, T)
// In the type's own steps.
__MSL_FN float nextafter(float x, float y)
{
    return __core::nextafter<uint>(x, y);
}
__MSL_FN half nextafter(half x, half y)
{
    return __core::nextafter<ushort>(x, y);
}
__MSL_IF_BFLOAT(T) __MSL_FN T nextafter(T x, T y)
{
    return __core::nextafter<ushort>(x, y);
}
__MSL_EACH2(nextafter, T)

// HEAD: nothing, or what makes each a template for bfloat alone.
#define __MSL_WIDE(HEAD, T)                                                                        \
    HEAD __MSL_FN T ldexp(T x, int e)                                                              \
    {                                                                                              \
        int c = e < -300 ? -300 : e > 300 ? 300 : e;                                               \
        float f = (float)x * __core::bits_to_float((uint)((c >> 1) / 2 + 127) << 23);              \
        int rest = c - (c >> 1) / 2;                                                               \
        int third = rest / 3;                                                                      \
        f *= __core::bits_to_float((uint)(third + 127) << 23);                                     \
        f *= __core::bits_to_float((uint)(third + 127) << 23);                                     \
        return (T)(f * __core::bits_to_float((uint)(rest - 2 * third + 127) << 23));               \
    }                                                                                              \
    HEAD __MSL_FN T modf(T x, thread T &whole)                                                     \
    {                                                                                              \
        float w = __core::trunc((float)x);                                                         \
        whole = (T)w;                                                                              \
        return (T)__core::copysign(                                                                \
                __core::fabs(w) < __builtin_inff() ? (float)x - w : 0.0f, (float)x);               \
    }                                                                                              \
    HEAD __MSL_FN T sincos(T x, thread T &cosine)                                                  \
    {                                                                                              \
        float c, s = __core::sincos((float)x, c);                                                  \
        cosine = (T)c;                                                                             \
        return (T)s;                                                                               \
    }                                                                                              \
    HEAD __MSL_FN T frexp(T x, thread int &exponent)                                               \
    {                                                                                              \
        float f = (float)x;                                                                        \
        bool denormal = __core::fabs(f) < 0x1p-126f;                                               \
        uint u = __core::float_to_bits(denormal ? f * 0x1p32f : f), e = (u >> 23) & 255u;          \
        bool plain = f != 0.0f && e != 255u;                                                       \
        exponent = plain ? (int)e - 126 - (denormal ? 32 : 0) : 0;                                 \
        return plain ? (T)__core::bits_to_float((u & 0x807fffffu) | 0x3f000000u) : x;              \
    }                                                                                              \
    HEAD __MSL_FN int ilogb(T x)                                                                   \
    {                                                                                              \
        int e;                                                                                     \
        if (x != x || __core::fabs((float)x) == __builtin_inff())                                  \
            return FP_ILOGBNAN;                                                                    \
        frexp(x, e);                                                                               \
        return x == (T)0.0f ? FP_ILOGB0 : e - 1;                                                   \
    }                                                                                              \
    HEAD __MSL_CFN T mix(T a, T b, T t)                                                            \
    {                                                                                              \
        return a + (b - a) * t;                                                                    \
    }                                                                                              \
    HEAD __MSL_CFN T smoothstep(T low, T high, T x)                                                \
    {                                                                                              \
        T t = (x - low) / (high - low);                                                            \
        t = t < T(0) ? T(0) : t > T(1) ? T(1) : t;                                                 \
        return t * t * (T(3) - T(2) * t);                                                          \
    }                                                                                              \
    HEAD __MSL_CFN T mad(T a, T b, T c)                                                            \
    {                                                                                              \
        return a * b + c;                                                                          \
    }
#define __MSL_NOTHING
__MSL_WIDE(__MSL_NOTHING, float)
__MSL_WIDE(__MSL_NOTHING, half)
#define __MSL_BFLOAT_HEAD __MSL_IF_BFLOAT(T)
__MSL_WIDE(__MSL_BFLOAT_HEAD, T)
__MSL_EACH3(mix, T)
__MSL_EACH3(smoothstep, T)
template <class T, int N>
__MSL_FN vec<T, N> smoothstep(T low, T high, vec<T, N> x)
{
    return smoothstep(vec<T, N>(low), vec<T, N>(high), x);
}
template <class T, int N> __MSL_FN vec<T, N> ldexp(vec<T, N> x, vec<int, N> e)
{
    vec<T, N> r;
    for (int i = 0; i < N; i++)
        r.__v[i] = ldexp((T)x.__v[i], (int)e.__v[i]);
    return r;
}
template <class T, int N> __MSL_FN vec<T, N> modf(vec<T, N> x, thread vec<T, N> &whole)
{
    vec<T, N> r;
    for (int i = 0; i < N; i++) {
        T w;
        r.__v[i] = modf((T)x.__v[i], w);
        whole.__v[i] = w;
    }
    return r;
}
template <class T, int N> __MSL_FN vec<T, N> sincos(vec<T, N> x, thread vec<T, N> &cosine)
{
    vec<T, N> r;
    for (int i = 0; i < N; i++) {
        T c;
        r.__v[i] = sincos((T)x.__v[i], c);
        cosine.__v[i] = c;
    }
    return r;
}
template <class T, int N> __MSL_FN vec<T, N> frexp(vec<T, N> x, thread vec<int, N> &exponent)
{
    vec<T, N> r;
    for (int i = 0; i < N; i++) {
        int e;
        r.__v[i] = frexp((T)x.__v[i], e);
        exponent.__v[i] = e;
    }
    return r;
}
template <class T, int N> __MSL_FN vec<int, N> ilogb(vec<T, N> x)
{
    vec<int, N> r;
    for (int i = 0; i < N; i++)
        r.__v[i] = ilogb((T)x.__v[i]);
    return r;
}

#define __MSL_USING(name) using metal::name;
#define __MSL_USING_MATH                                                                           \
    __MSL_FOR_MATH1(__MSL_USING)                                                                   \
    __MSL_FOR_MATH2(__MSL_USING)                                                                   \
    using metal::fma;                                                                              \
    using metal::fract;                                                                            \
    using metal::frexp;                                                                            \
    using metal::ilogb;                                                                            \
    using metal::ldexp;                                                                            \
    using metal::mix;                                                                              \
    using metal::modf;                                                                             \
    using metal::nextafter;                                                                        \
    using metal::sincos;                                                                           \
    using metal::smoothstep;
namespace precise
{
__MSL_USING_MATH
}
namespace fast
{
__MSL_USING_MATH
}
} // namespace metal
