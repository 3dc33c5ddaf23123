// Address spaces, scalar types and type traits.
#pragma GCC system_header

// Address spaces as in SYCL: overloads on them stay distinct, and all convert to the default space,
// so copies out of `constant T&` and calls of methods through such pointers need nothing special.
#define device __attribute__((opencl_global_device))
#define constant const __attribute__((opencl_global_host))
#define threadgroup __attribute__((opencl_local))
#define thread
// Words that Metal's C++ leaves to the program.
#define char8_t __program_char8_t
#define co_await __program_co_await
#define co_return __program_co_return
#define co_yield __program_co_yield
#define concept __program_concept
#define consteval __program_consteval
#define constinit __program_constinit
#define requires __program_requires
// A library's kernels are compiled one by one: only those that are asked for.
#define kernel inline

#define __MSL_AI __attribute__((always_inline, nodebug))
#define __MSL_FN __MSL_AI inline
#define __MSL_CFN __MSL_AI inline constexpr
#define __MSL_CONVERGENT __attribute__((convergent, always_inline, nodebug)) inline

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef signed char __schar;
typedef long long __llong;
typedef unsigned long long __ullong;
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;
typedef unsigned long size_t;
typedef long ptrdiff_t;
typedef unsigned long uintptr_t;
typedef long intptr_t;
typedef decltype(nullptr) nullptr_t;
typedef _Float16 half;
typedef __bf16 bfloat;

namespace metal
{
using ::bfloat;
using ::half;
using ::int16_t;
using ::int32_t;
using ::int64_t;
using ::int8_t;
using ::intptr_t;
using ::ptrdiff_t;
using ::size_t;
using ::uchar;
using ::uint;
using ::uint16_t;
using ::uint32_t;
using ::uint64_t;
using ::uint8_t;
using ::uintptr_t;
using ::ulong;
using ::ushort;

template <class T, T V> struct integral_constant {
    static constexpr constant T value = V;
    typedef T value_type;
    typedef integral_constant type;
    constexpr operator T() const
    {
        return V;
    }
    constexpr T operator()() const
    {
        return V;
    }
};
template <bool B> using bool_constant = integral_constant<bool, B>;
typedef bool_constant<true> true_type;
typedef bool_constant<false> false_type;

template <bool B, class T = void> struct enable_if {
};
template <class T> struct enable_if<true, T> {
    typedef T type;
};
template <bool B, class T = void> using enable_if_t = typename enable_if<B, T>::type;
template <bool B, class T, class F> struct conditional {
    typedef T type;
};
template <class T, class F> struct conditional<false, T, F> {
    typedef F type;
};
template <bool B, class T, class F> using conditional_t = typename conditional<B, T, F>::type;
template <class T> struct type_identity {
    typedef T type;
};
// A parameter of this type takes no part in template argument deduction.
template <class T> using __same_as = typename type_identity<T>::type;

#define __MSL_TYPE_TRAIT(name, ...)                                                                \
    template <class T> struct name {                                                               \
        typedef __VA_ARGS__ type;                                                                  \
    };                                                                                             \
    template <class T> using name##_t = typename name<T>::type;
__MSL_TYPE_TRAIT(remove_reference, __remove_reference_t(T))
__MSL_TYPE_TRAIT(remove_cv, __remove_cv(T))
__MSL_TYPE_TRAIT(remove_const, __remove_const(T))
__MSL_TYPE_TRAIT(remove_volatile, __remove_volatile(T))
__MSL_TYPE_TRAIT(add_const, const T)
__MSL_TYPE_TRAIT(add_volatile, volatile T)
__MSL_TYPE_TRAIT(add_cv, const volatile T)
__MSL_TYPE_TRAIT(make_signed, __make_signed(T))
__MSL_TYPE_TRAIT(make_unsigned, __make_unsigned(T))
__MSL_TYPE_TRAIT(decay, __decay(T))
__MSL_TYPE_TRAIT(underlying_type, __underlying_type(T))
__MSL_TYPE_TRAIT(remove_extent, __remove_extent(T))
__MSL_TYPE_TRAIT(remove_all_extents, __remove_all_extents(T))

template <class T> struct remove_addrspace {
    typedef T type;
};
template <class T> struct remove_addrspace<device T> {
    typedef T type;
};
template <class T> struct remove_addrspace<threadgroup T> {
    typedef T type;
};
template <class T> struct remove_addrspace<__attribute__((opencl_global_host)) T> {
    typedef T type;
};
template <class T> using remove_addrspace_t = typename remove_addrspace<T>::type;
template <class T> struct remove_pointer {
    typedef T type;
};
template <class T> struct remove_pointer<T *> {
    typedef T type;
};
template <class T> using remove_pointer_t = typename remove_pointer<T>::type;

// No unqualified `forward` or `move`: clients define their own, and these would be ambiguous.
template <class T> T &&declval() noexcept;
template <class T> constexpr T &&__forward(remove_reference_t<T> &t) noexcept
{
    return static_cast<T &&>(t);
}

template <class A, class B> struct is_same : bool_constant<__is_same(A, B)> {
};
template <class A, class B> constexpr constant bool is_same_v = __is_same(A, B);
template <class A, class B> struct is_convertible : bool_constant<__is_convertible(A, B)> {
};
template <class A, class B> constexpr constant bool is_convertible_v = __is_convertible(A, B);
template <class A, class B> struct is_base_of : bool_constant<__is_base_of(A, B)> {
};
template <class A, class B> constexpr constant bool is_base_of_v = __is_base_of(A, B);
template <class T, class... A>
struct is_constructible : bool_constant<__is_constructible(T, A...)> {
};
template <class T, class... A>
constexpr constant bool is_constructible_v = __is_constructible(T, A...);

template <class T>
constexpr bool __is_float = __is_same(__remove_cv(T), float) || __is_same(__remove_cv(T), half) ||
                            __is_same(__remove_cv(T), bfloat);
template <class T> constexpr bool __is_number = __is_integral(T) || __is_float<T>;

#define __MSL_BOOL_TRAIT(name, ...)                                                                \
    template <class T> struct name : bool_constant<(__VA_ARGS__)> {                                \
    };                                                                                             \
    template <class T> constexpr constant bool name##_v = (__VA_ARGS__);
__MSL_BOOL_TRAIT(is_floating_point, __is_float<T>)
__MSL_BOOL_TRAIT(is_integral, __is_integral(T))
__MSL_BOOL_TRAIT(is_arithmetic, __is_number<T>)
__MSL_BOOL_TRAIT(is_scalar, __is_number<T> || __is_pointer(T) || __is_enum(T))
__MSL_BOOL_TRAIT(is_fundamental, __is_number<T> || __is_void(T))
__MSL_BOOL_TRAIT(is_signed, __is_integral(T) ? __is_signed(T) : __is_float<T>)
__MSL_BOOL_TRAIT(is_unsigned, __is_unsigned(T))
__MSL_BOOL_TRAIT(is_pointer, __is_pointer(T))
__MSL_BOOL_TRAIT(is_const, __is_const(T))
__MSL_BOOL_TRAIT(is_volatile, __is_volatile(T))
__MSL_BOOL_TRAIT(is_enum, __is_enum(T))
__MSL_BOOL_TRAIT(is_class, __is_class(T))
__MSL_BOOL_TRAIT(is_union, __is_union(T))
__MSL_BOOL_TRAIT(is_function, __is_function(T))
__MSL_BOOL_TRAIT(is_void, __is_void(T))
__MSL_BOOL_TRAIT(is_reference, __is_reference(T))
__MSL_BOOL_TRAIT(is_trivial, __is_trivial(T))
__MSL_BOOL_TRAIT(is_standard_layout, __is_standard_layout(T))
__MSL_BOOL_TRAIT(is_array, __is_array(T))
__MSL_BOOL_TRAIT(is_trivially_copyable, __is_trivially_copyable(T))

template <class... B> struct disjunction : bool_constant<(false || ... || bool(B::value))> {
};
template <class... B> constexpr constant bool disjunction_v = disjunction<B...>::value;
template <class... B> struct conjunction : bool_constant<(true && ... && bool(B::value))> {
};
template <class... B> constexpr constant bool conjunction_v = conjunction<B...>::value;
template <class B> struct negation : bool_constant<!bool(B::value)> {
};
template <class B> constexpr constant bool negation_v = negation<B>::value;
// Apple's own spellings, which clients use.
template <class... B> using _disjunction = disjunction<B...>;
template <class... B> using _conjunction = conjunction<B...>;
template <class B> using _negation = negation<B>;
} // namespace metal

// clang refuses every cast between __bf16 and _Float16; Metal allows the explicit ones. The rewriter
// turns static_cast into this.
template <class T, class U> __MSL_CFN T __msl_cast(U &&u)
{
    typedef __remove_cv(metal::remove_addrspace_t<__remove_reference_t(U)>) V;
    if constexpr ((__is_same(T, half) && __is_same(V, bfloat)) ||
            (__is_same(T, bfloat) && __is_same(V, half)))
        return (T)(float)u;
    else
        return static_cast<T>(static_cast<U &&>(u));
}
template <class T, class U> __MSL_CFN T __msl_c_cast(U &&u)
{
    typedef __remove_cv(metal::remove_addrspace_t<__remove_reference_t(U)>) V;
    if constexpr ((__is_same(T, half) && __is_same(V, bfloat)) ||
            (__is_same(T, bfloat) && __is_same(V, half)))
        return (T)(float)u;
    else
        return (T)static_cast<U &&>(u);
}
// A text of the program's, where Metal has it.
template <unsigned N> __MSL_CFN constant char *__msl_text(const char (&s)[N])
{
    return (constant char *)s;
}
// A prvalue copy: makes both arms of a conditional the same type (frontend/diag.c).
template <class T> __MSL_CFN __remove_cv(metal::remove_addrspace_t<T>) __msl_rvalue(const T &x)
{
    return x;
}
template <class T, class U, class = metal::enable_if_t<sizeof(T) == sizeof(U)>>
__MSL_CFN T as_type(U u)
{
    return __builtin_bit_cast(T, u);
}

// A constant shift count that is not below the width is taken modulo the width, as in Metal, where
// the front end (frontend/diag.c) puts __msl_modulo: `a << __msl_modulo << 40` for `a << 40`, and
// `a <<= __msl_modulo = 40`: so no parentheses are needed around operands.
struct __msl_count {
    int n;
};
struct __msl_modulo_t {
    template <class N> __MSL_AI constexpr __msl_count operator=(N n) const
    {
        return {(int)n};
    }
};
inline constexpr __msl_modulo_t __msl_modulo{};
template <class T> struct __msl_left {
    T v;
};
template <class T> struct __msl_right {
    T v;
};
template <class T> __MSL_CFN auto operator<<(T v, __msl_modulo_t)
{
    return __msl_left<decltype(+v)>{v};
}
template <class T> __MSL_CFN auto operator>>(T v, __msl_modulo_t)
{
    return __msl_right<decltype(+v)>{v};
}
template <class T, class N> __MSL_CFN T operator<<(__msl_left<T> left, N n)
{
    return left.v << ((int)n & (int)(8 * sizeof(T) - 1));
}
template <class T, class N> __MSL_CFN T operator>>(__msl_right<T> left, N n)
{
    return left.v >> ((int)n & (int)(8 * sizeof(T) - 1));
}
template <class T> __MSL_CFN T &operator<<=(T &v, __msl_count count)
{
    v = v << __msl_modulo << count.n;
    return v;
}
template <class T> __MSL_CFN T &operator>>=(T &v, __msl_count count)
{
    v = v >> __msl_modulo >> count.n;
    return v;
}
