// <metal_common>, <metal_relational>, <metal_geometric>: min, max, clamp, select, classification,
// dot and friends.
#pragma GCC system_header
namespace metal
{
#define __MSL_SELECTION(T)                                                                         \
    __MSL_CFN T select(T a, T b, bool c)                                                           \
    {                                                                                              \
        return c ? b : a;                                                                          \
    }                                                                                              \
    __MSL_CFN T min3(T a, T b, T c)                                                                \
    {                                                                                              \
        return min(a, min(b, c));                                                                  \
    }                                                                                              \
    __MSL_CFN T max3(T a, T b, T c)                                                                \
    {                                                                                              \
        return max(a, max(b, c));                                                                  \
    }                                                                                              \
    __MSL_CFN T median3(T a, T b, T c)                                                             \
    {                                                                                              \
        return max(min(a, b), min(max(a, b), c));                                                  \
    }
#define __MSL_INTEGER_RANGE(T)                                                                     \
    __MSL_CFN T min(T a, T b)                                                                      \
    {                                                                                              \
        return b < a ? b : a;                                                                      \
    }                                                                                              \
    __MSL_CFN T max(T a, T b)                                                                      \
    {                                                                                              \
        return a < b ? b : a;                                                                      \
    }                                                                                              \
    __MSL_CFN T clamp(T x, T low, T high)                                                          \
    {                                                                                              \
        return x < low ? low : high < x ? high : x;                                                \
    }                                                                                              \
    __MSL_CFN T abs(T x)                                                                           \
    {                                                                                              \
        return x < T(0) ? T(-x) : x;                                                               \
    }                                                                                              \
    __MSL_SELECTION(T)
#define __MSL_FLOAT_RANGE(T)                                                                       \
    __MSL_CFN T min(T a, T b)                                                                      \
    {                                                                                              \
        return __builtin_elementwise_min(a, b);                                                    \
    }                                                                                              \
    __MSL_CFN T max(T a, T b)                                                                      \
    {                                                                                              \
        return __builtin_elementwise_max(a, b);                                                    \
    }                                                                                              \
    __MSL_CFN T clamp(T x, T low, T high)                                                          \
    {                                                                                              \
        return min(max(x, low), high);                                                             \
    }                                                                                              \
    __MSL_CFN T abs(T x)                                                                           \
    {                                                                                              \
        return __builtin_elementwise_abs(x);                                                       \
    }                                                                                              \
    __MSL_SELECTION(T)

#define __MSL_FOR_INTEGERS(X)                                                                      \
    X(char) X(__schar) X(uchar) X(short) X(ushort) X(int) X(uint) X(long) X(ulong)             \
    X(__llong) X(__ullong)
__MSL_INTEGER_RANGE(bool)
__MSL_FOR_INTEGERS(__MSL_INTEGER_RANGE)
__MSL_FLOAT_RANGE(float)
__MSL_FLOAT_RANGE(half)
__MSL_IF_BFLOAT(T) __MSL_CFN T min(T a, T b)
{
    return b < a || a != a ? b : a;
}
__MSL_IF_BFLOAT(T) __MSL_CFN T max(T a, T b)
{
    return a < b || a != a ? b : a;
}
__MSL_IF_BFLOAT(T) __MSL_CFN T clamp(T x, T low, T high)
{
    return min(max(x, low), high);
}
__MSL_IF_BFLOAT(T) __MSL_FN T abs(T x)
{
    return (T)__core::fabs((float)x);
}
__MSL_IF_BFLOAT(T) __MSL_CFN T select(T a, T b, bool c)
{
    return c ? b : a;
}
__MSL_IF_BFLOAT(T) __MSL_CFN T min3(T a, T b, T c)
{
    return min(a, min(b, c));
}
__MSL_IF_BFLOAT(T) __MSL_CFN T max3(T a, T b, T c)
{
    return max(a, max(b, c));
}
__MSL_IF_BFLOAT(T) __MSL_CFN T median3(T a, T b, T c)
{
    return max(min(a, b), min(max(a, b), c));
}

#define __MSL_VECTOR_PAIR(name)                                                                    \
    template <class T, int N> __MSL_FN vec<T, N> name(vec<T, N> a, vec<T, N> b)                    \
    {                                                                                              \
        vec<T, N> r;                                                                               \
        _Pragma("unroll") for (int i = 0; i < N; i++) r.__v[i] = name((T)a.__v[i], (T)b.__v[i]);   \
        return r;                                                                                  \
    }                                                                                              \
    template <class T, int N, class U, class = enable_if_t<__is_number<U>>>                        \
    __MSL_FN vec<T, N> name(vec<T, N> a, U b)                                                      \
    {                                                                                              \
        return name(a, vec<T, N>(b));                                                              \
    }                                                                                              \
    template <class T, int N, class U, class = enable_if_t<__is_number<U>>>                        \
    __MSL_FN vec<T, N> name(U a, vec<T, N> b)                                                      \
    {                                                                                              \
        return name(vec<T, N>(a), b);                                                              \
    }
__MSL_VECTOR_PAIR(min)
__MSL_VECTOR_PAIR(max)
__MSL_EACH1(abs, T)
__MSL_EACH3(clamp, T)
__MSL_EACH3(min3, T)
__MSL_EACH3(max3, T)
__MSL_EACH3(median3, T)
template <class T, int N> __MSL_FN vec<T, N> select(vec<T, N> a, vec<T, N> b, vec<bool, N> c)
{
    vec<T, N> r;
    _Pragma("unroll") for (int i = 0; i < N; i++) r.__v[i] = c.__v[i] ? b.__v[i] : a.__v[i];
    return r;
}
template <class T, int N> __MSL_FN vec<T, N> select(vec<T, N> a, vec<T, N> b, bool c)
{
    return c ? b : a;
}
template <class A, class B, class = enable_if_t<__is_number<A> && __is_number<B> && !__is_same(A, B)>>
__MSL_CFN auto select(A a, B b, bool c) -> decltype(a + b)
{
    return c ? b : a;
}
#define __MSL_FLOAT_SELECTION(name, generic)                                                       \
    __MSL_CFN float name(float a, float b, float c)                                                \
    {                                                                                              \
        return generic(a, b, c);                                                                   \
    }                                                                                              \
    __MSL_CFN half name(half a, half b, half c)                                                    \
    {                                                                                              \
        return generic(a, b, c);                                                                   \
    }                                                                                              \
    __MSL_IF_BFLOAT(T) __MSL_CFN T name(T a, T b, T c)                                             \
    {                                                                                              \
        return generic(a, b, c);                                                                   \
    }                                                                                              \
    __MSL_EACH3(name, T)
__MSL_FLOAT_SELECTION(fmin3, min3)
__MSL_FLOAT_SELECTION(fmax3, max3)
__MSL_FLOAT_SELECTION(fmedian3, median3)
#define __MSL_USING_GEOMETRIC                                                                      \
    using metal::distance;                                                                         \
    using metal::distance_squared;                                                                 \
    using metal::length;                                                                           \
    using metal::length_squared;                                                                   \
    using metal::normalize;
#define __MSL_USING_COMMON                                                                         \
    using metal::abs;                                                                              \
    using metal::clamp;                                                                            \
    using metal::fmax3;                                                                            \
    using metal::fmedian3;                                                                         \
    using metal::fmin3;                                                                            \
    using metal::max;                                                                              \
    using metal::max3;                                                                             \
    using metal::median3;                                                                          \
    using metal::min;                                                                              \
    using metal::min3;
namespace precise
{
__MSL_USING_COMMON
}
namespace fast
{
__MSL_USING_COMMON
}

// Classification looks at the bits: it must hold under fast math too.
#define __MSL_CLASSIFY(T, U, EXPONENT, MANTISSA)                                                   \
    __MSL_CFN bool isnan(T x)                                                                      \
    {                                                                                              \
        return (U)(__builtin_bit_cast(U, x) & (U)(EXPONENT | MANTISSA)) > (U)EXPONENT;             \
    }                                                                                              \
    __MSL_CFN bool isinf(T x)                                                                      \
    {                                                                                              \
        return (U)(__builtin_bit_cast(U, x) & (U)(EXPONENT | MANTISSA)) == (U)EXPONENT;            \
    }                                                                                              \
    __MSL_CFN bool isfinite(T x)                                                                   \
    {                                                                                              \
        return (U)(__builtin_bit_cast(U, x) & (U)EXPONENT) != (U)EXPONENT;                         \
    }                                                                                              \
    __MSL_CFN bool isnormal(T x)                                                                   \
    {                                                                                              \
        return isfinite(x) && (__builtin_bit_cast(U, x) & (U)EXPONENT);                            \
    }                                                                                              \
    __MSL_CFN bool signbit(T x)                                                                    \
    {                                                                                              \
        return __builtin_bit_cast(U, x) >> (sizeof(T) * 8 - 1);                                    \
    }
__MSL_CLASSIFY(float, uint, 0x7f800000u, 0x7fffffu)
__MSL_CLASSIFY(half, ushort, 0x7c00u, 0x3ffu)
__MSL_CLASSIFY(bfloat, ushort, 0x7f80u, 0x7fu)
#define __MSL_ORDERED(T)                                                                           \
    __MSL_CFN bool isordered(T a, T b)                                                             \
    {                                                                                              \
        return !isnan(a) && !isnan(b);                                                             \
    }                                                                                              \
    __MSL_CFN bool isunordered(T a, T b)                                                           \
    {                                                                                              \
        return isnan(a) || isnan(b);                                                               \
    }
__MSL_ORDERED(float)
__MSL_ORDERED(half)
__MSL_ORDERED(bfloat)
__MSL_EACH1(isnan, bool)
__MSL_EACH1(isinf, bool)
__MSL_EACH1(isfinite, bool)
__MSL_EACH1(isnormal, bool)
__MSL_EACH1(signbit, bool)
__MSL_EACH2(isordered, bool)
__MSL_EACH2(isunordered, bool)

__MSL_CFN bool all(bool b)
{
    return b;
}
__MSL_CFN bool any(bool b)
{
    return b;
}
template <int N> __MSL_CFN bool all(vec<bool, N> b)
{
    bool r = true;
    for (int i = 0; i < N; i++)
        r = r && b.__v[i];
    return r;
}
template <int N> __MSL_CFN bool any(vec<bool, N> b)
{
    bool r = false;
    for (int i = 0; i < N; i++)
        r = r || b.__v[i];
    return r;
}

template <class T, int N> __MSL_FN T dot(vec<T, N> a, vec<T, N> b)
{
    T s = T(a.__v[0]) * T(b.__v[0]);
    _Pragma("unroll") for (int i = 1; i < N; i++) s += T(a.__v[i]) * T(b.__v[i]);
    return s;
}
template <class T, int N> __MSL_FN T length_squared(vec<T, N> a)
{
    return dot(a, a);
}
template <class T, int N> __MSL_FN T length(vec<T, N> a)
{
    return sqrt(dot(a, a));
}
template <class T, int N> __MSL_FN T distance_squared(vec<T, N> a, vec<T, N> b)
{
    return length_squared(a - b);
}
template <class T, int N> __MSL_FN T distance(vec<T, N> a, vec<T, N> b)
{
    return length(a - b);
}
template <class T, int N> __MSL_FN vec<T, N> normalize(vec<T, N> a)
{
    return a * rsqrt(dot(a, a));
}
template <class T> __MSL_FN vec<T, 3> cross(vec<T, 3> a, vec<T, 3> b)
{
    return a.yzx * b.zxy - a.zxy * b.yzx;
}
template <class T, int N> __MSL_FN vec<T, N> reflect(vec<T, N> i, vec<T, N> n)
{
    return i - n * (T(2) * dot(n, i));
}
template <class T, int N> __MSL_FN vec<T, N> refract(vec<T, N> i, vec<T, N> n, __same_as<T> eta)
{
    T d = dot(n, i), k = T(1) - eta * eta * (T(1) - d * d);
    return k < T(0) ? vec<T, N>(0) : i * eta - n * (eta * d + sqrt(k));
}
template <class T, int N>
__MSL_FN vec<T, N> faceforward(vec<T, N> n, vec<T, N> i, vec<T, N> reference)
{
    return dot(reference, i) < T(0) ? n : -n;
}
} // namespace metal
