// <metal_limits>.
#pragma GCC system_header
namespace metal
{
enum float_denorm_style { denorm_indeterminate = -1, denorm_absent = 0, denorm_present = 1 };
enum float_round_style {
    round_indeterminate = -1,
    round_toward_zero = 0,
    round_to_nearest = 1,
    round_toward_infinity = 2,
    round_toward_neg_infinity = 3
};

template <class T> struct _numeric_limits_impl;
// Apple's own layering; clients specialise the implementation class for their own types.
template <class T> struct numeric_limits : _numeric_limits_impl<T> {
};
template <class T> struct numeric_limits<const T> : numeric_limits<T> {
};
template <class T> struct numeric_limits<volatile T> : numeric_limits<T> {
};
template <class T> struct numeric_limits<const volatile T> : numeric_limits<T> {
};

#define __MSL_LIMIT(T, name, value)                                                                \
    static constexpr T name()                                                                      \
    {                                                                                              \
        return (T)(value);                                                                         \
    }
// As in C++: what is known of no type.
template <class T> struct _numeric_limits_impl {
    static constexpr constant bool is_specialized = false, is_signed = false, is_integer = false,
                                   is_exact = false, has_infinity = false, has_quiet_NaN = false,
                                   has_signaling_NaN = false, is_bounded = false,
                                   is_iec559 = false, is_modulo = false, traps = false,
                                   tinyness_before = false, has_denorm_loss = false;
    static constexpr constant float_denorm_style has_denorm = denorm_absent;
    static constexpr constant float_round_style round_style = round_toward_zero;
    static constexpr constant int digits = 0, digits10 = 0, max_digits10 = 0, radix = 0,
                                  min_exponent = 0, min_exponent10 = 0, max_exponent = 0,
                                  max_exponent10 = 0;
    __MSL_LIMIT(T, min, T())
    __MSL_LIMIT(T, max, T())
    __MSL_LIMIT(T, lowest, T())
    __MSL_LIMIT(T, epsilon, T())
    __MSL_LIMIT(T, round_error, T())
    __MSL_LIMIT(T, infinity, T())
    __MSL_LIMIT(T, quiet_NaN, T())
    __MSL_LIMIT(T, signaling_NaN, T())
    __MSL_LIMIT(T, denorm_min, T())
};
#define __MSL_INTEGER_LIMITS(T, low, high, is_signed_, bits)                                       \
    template <> struct _numeric_limits_impl<T> {                                                   \
        static constexpr constant bool is_specialized = true, is_signed = is_signed_,              \
                                       is_integer = true, is_exact = true, has_infinity = false,   \
                                       has_quiet_NaN = false, has_signaling_NaN = false,           \
                                       is_bounded = true, is_iec559 = false,                       \
                                       is_modulo = !is_signed_, traps = false,                     \
                                       tinyness_before = false, has_denorm_loss = false;           \
        static constexpr constant float_denorm_style has_denorm = denorm_absent;                   \
        static constexpr constant float_round_style round_style = round_toward_zero;               \
        static constexpr constant int digits = bits, digits10 = (bits)*301 / 1000,                 \
                                      max_digits10 = 0, radix = 2, min_exponent = 0,               \
                                      min_exponent10 = 0, max_exponent = 0, max_exponent10 = 0;    \
        __MSL_LIMIT(T, min, low)                                                                   \
        __MSL_LIMIT(T, max, high)                                                                  \
        __MSL_LIMIT(T, lowest, low)                                                                \
        __MSL_LIMIT(T, epsilon, 0)                                                                 \
        __MSL_LIMIT(T, round_error, 0)                                                             \
        __MSL_LIMIT(T, infinity, 0)                                                                \
        __MSL_LIMIT(T, quiet_NaN, 0)                                                               \
        __MSL_LIMIT(T, signaling_NaN, 0)                                                           \
        __MSL_LIMIT(T, denorm_min, 0)                                                              \
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

// prefix: of the macros in macros.h
#define __MSL_FLOAT_LIMITS(T, prefix, denorm)                                                      \
    template <> struct _numeric_limits_impl<T> {                                                   \
        static constexpr constant bool is_specialized = true, is_signed = true,                    \
                                       is_integer = false, is_exact = false, has_infinity = true,  \
                                       has_quiet_NaN = true, has_signaling_NaN = true,             \
                                       is_bounded = true, is_iec559 = true, is_modulo = false,     \
                                       traps = false, tinyness_before = false,                     \
                                       has_denorm_loss = false;                                    \
        static constexpr constant float_denorm_style has_denorm = denorm_present;                  \
        static constexpr constant float_round_style round_style = round_to_nearest;                \
        static constexpr constant int digits = prefix##_MANT_DIG, digits10 = prefix##_DIG,         \
                                      max_digits10 = prefix##_DECIMAL_DIG, radix = 2,              \
                                      min_exponent = prefix##_MIN_EXP,                             \
                                      min_exponent10 = prefix##_MIN_10_EXP,                        \
                                      max_exponent = prefix##_MAX_EXP,                             \
                                      max_exponent10 = prefix##_MAX_10_EXP;                        \
        __MSL_LIMIT(T, min, prefix##_MIN)                                                          \
        __MSL_LIMIT(T, max, prefix##_MAX)                                                          \
        __MSL_LIMIT(T, lowest, -prefix##_MAX)                                                      \
        __MSL_LIMIT(T, epsilon, prefix##_EPSILON)                                                  \
        __MSL_LIMIT(T, round_error, 0.5f)                                                          \
        __MSL_LIMIT(T, infinity, __builtin_inff())                                                 \
        __MSL_LIMIT(T, quiet_NaN, __builtin_nanf(""))                                              \
        __MSL_LIMIT(T, signaling_NaN, __builtin_nanf(""))                                          \
        __MSL_LIMIT(T, denorm_min, denorm)                                                         \
    };
__MSL_FLOAT_LIMITS(float, FLT, 1.40129846e-45f)
__MSL_FLOAT_LIMITS(half, HALF, 5.96046448e-08f)
__MSL_FLOAT_LIMITS(bfloat, BFLT, 9.18354962e-41f)
} // namespace metal
