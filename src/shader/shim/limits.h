// <metal_limits>.
#pragma GCC system_header
namespace metal
{
template <class T> struct _numeric_limits_impl {
    static constexpr constant bool is_specialized = false;
};
// Apple's own layering; clients specialise the implementation class for their own types.
template <class T> struct numeric_limits : _numeric_limits_impl<T> {
};
template <class T> struct numeric_limits<const T> : numeric_limits<T> {
};

#define __MSL_INTEGER_LIMITS(T, low, high, is_signed_, bits)                                       \
    template <> struct _numeric_limits_impl<T> {                                                   \
        static constexpr constant bool is_specialized = true, is_signed = is_signed_,              \
                                       is_integer = true, is_exact = true, has_infinity = false,   \
                                       has_quiet_NaN = false, has_signaling_NaN = false,           \
                                       is_bounded = true;                                          \
        static constexpr constant int digits = bits, digits10 = (bits) * 3 / 10, radix = 2;        \
        static constexpr T min()                                                                   \
        {                                                                                          \
            return (T)(low);                                                                       \
        }                                                                                          \
        static constexpr T max()                                                                   \
        {                                                                                          \
            return (T)(high);                                                                      \
        }                                                                                          \
        static constexpr T lowest()                                                                \
        {                                                                                          \
            return (T)(low);                                                                       \
        }                                                                                          \
        static constexpr T infinity()                                                              \
        {                                                                                          \
            return T(0);                                                                           \
        }                                                                                          \
    };
__MSL_INTEGER_LIMITS(bool, 0, 1, false, 1)
__MSL_INTEGER_LIMITS(char, -128, 127, true, 7)
__MSL_INTEGER_LIMITS(__schar, -128, 127, true, 7)
__MSL_INTEGER_LIMITS(uchar, 0, 255, false, 8)
__MSL_INTEGER_LIMITS(short, -32768, 32767, true, 15)
__MSL_INTEGER_LIMITS(ushort, 0, 65535, false, 16)
__MSL_INTEGER_LIMITS(int, INT_MIN, INT_MAX, true, 31)
__MSL_INTEGER_LIMITS(uint, 0, UINT_MAX, false, 32)
__MSL_INTEGER_LIMITS(long, LONG_MIN, LONG_MAX, true, 63)
__MSL_INTEGER_LIMITS(ulong, 0, ULONG_MAX, false, 64)
__MSL_INTEGER_LIMITS(__llong, LONG_MIN, LONG_MAX, true, 63)
__MSL_INTEGER_LIMITS(__ullong, 0, ULONG_MAX, false, 64)

#define __MSL_FLOAT_LIMITS(T, low, high, eps, denorm, bits, low_exp, high_exp)                     \
    template <> struct _numeric_limits_impl<T> {                                                   \
        static constexpr constant bool is_specialized = true, is_signed = true,                    \
                                       is_integer = false, is_exact = false, has_infinity = true,  \
                                       has_quiet_NaN = true, has_signaling_NaN = true,             \
                                       is_bounded = true, is_iec559 = true;                        \
        static constexpr constant int digits = bits, digits10 = ((bits)-1) * 3 / 10, radix = 2,    \
                                      min_exponent = low_exp, max_exponent = high_exp;             \
        static constexpr T min()                                                                   \
        {                                                                                          \
            return (T)(low);                                                                       \
        }                                                                                          \
        static constexpr T max()                                                                   \
        {                                                                                          \
            return (T)(high);                                                                      \
        }                                                                                          \
        static constexpr T lowest()                                                                \
        {                                                                                          \
            return -(T)(high);                                                                     \
        }                                                                                          \
        static constexpr T epsilon()                                                               \
        {                                                                                          \
            return (T)(eps);                                                                       \
        }                                                                                          \
        static constexpr T round_error()                                                           \
        {                                                                                          \
            return (T)0.5f;                                                                        \
        }                                                                                          \
        static constexpr T infinity()                                                              \
        {                                                                                          \
            return (T)__builtin_inff();                                                            \
        }                                                                                          \
        static constexpr T quiet_NaN()                                                             \
        {                                                                                          \
            return (T)__builtin_nanf("");                                                          \
        }                                                                                          \
        static constexpr T signaling_NaN()                                                         \
        {                                                                                          \
            return (T)__builtin_nanf("");                                                          \
        }                                                                                          \
        static constexpr T denorm_min()                                                            \
        {                                                                                          \
            return (T)(denorm);                                                                    \
        }                                                                                          \
    };
__MSL_FLOAT_LIMITS(float, FLT_MIN, FLT_MAX, FLT_EPSILON, 1.40129846e-45f, 24, -125, 128)
__MSL_FLOAT_LIMITS(half, HALF_MIN, HALF_MAX, HALF_EPSILON, 5.96046448e-08f, 11, -13, 16)
__MSL_FLOAT_LIMITS(bfloat, BFLT_MIN, BFLT_MAX, BFLT_EPSILON, 9.18354962e-41f, 8, -125, 128)
} // namespace metal
