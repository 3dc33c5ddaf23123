// metal::vec: a class around clang's ext_vector_type. Components are union members, so they are
// lvalues; multi-component swizzles are property members, generated (gen_swizzles.py). Operators are
// hidden friends: a namespace-scope operator template visible inside a user's template trips clang
// on `a.yzx * b.zxy`.
#pragma GCC system_header
namespace metal
{
// Of an array's type: the count in `template <class T, uint N> void f(vec<T, N>)` is deduced whatever
// its type, as only an array's is.
template <class Array> struct __vec;
template <class T, int N> using vec = __vec<T[N]>;
template <class Array> struct __packed_vec;
template <class T, int N> using packed_vec = __packed_vec<T[N]>;

// bool components are stored as bytes.
template <class T> struct __vec_storage {
    typedef T type;
};
template <> struct __vec_storage<bool> {
    typedef uchar type;
};

#define __MSL_SWIZZLE2R(name, a, b)                                                                \
    __declspec(property(get = __get_##name)) vec<T, 2> name;                                       \
    __MSL_AI constexpr vec<T, 2> __get_##name() const                                              \
    {                                                                                              \
        return vec<T, 2>(__v[a], __v[b]);                                                          \
    }
#define __MSL_SWIZZLE3R(name, a, b, c)                                                             \
    __declspec(property(get = __get_##name)) vec<T, 3> name;                                       \
    __MSL_AI constexpr vec<T, 3> __get_##name() const                                              \
    {                                                                                              \
        return vec<T, 3>(__v[a], __v[b], __v[c]);                                                  \
    }
#define __MSL_SWIZZLE4R(name, a, b, c, d)                                                          \
    __declspec(property(get = __get_##name)) vec<T, 4> name;                                       \
    __MSL_AI constexpr vec<T, 4> __get_##name() const                                              \
    {                                                                                              \
        return vec<T, 4>(__v[a], __v[b], __v[c], __v[d]);                                          \
    }
#define __MSL_SWIZZLE2W(name, a, b)                                                                \
    __declspec(property(get = __get_##name, put = __put_##name)) vec<T, 2> name;                   \
    __MSL_AI constexpr vec<T, 2> __get_##name() const                                              \
    {                                                                                              \
        return vec<T, 2>(__v[a], __v[b]);                                                          \
    }                                                                                              \
    __MSL_AI constexpr vec<T, 2> __put_##name(vec<T, 2> o)                                         \
    {                                                                                              \
        __v[a] = o.__v[0], __v[b] = o.__v[1];                                                      \
        return o;                                                                                  \
    }
#define __MSL_SWIZZLE3W(name, a, b, c)                                                             \
    __declspec(property(get = __get_##name, put = __put_##name)) vec<T, 3> name;                   \
    __MSL_AI constexpr vec<T, 3> __get_##name() const                                              \
    {                                                                                              \
        return vec<T, 3>(__v[a], __v[b], __v[c]);                                                  \
    }                                                                                              \
    __MSL_AI constexpr vec<T, 3> __put_##name(vec<T, 3> o)                                         \
    {                                                                                              \
        __v[a] = o.__v[0], __v[b] = o.__v[1], __v[c] = o.__v[2];                                   \
        return o;                                                                                  \
    }
#define __MSL_SWIZZLE4W(name, a, b, c, d)                                                          \
    __declspec(property(get = __get_##name, put = __put_##name)) vec<T, 4> name;                   \
    __MSL_AI constexpr vec<T, 4> __get_##name() const                                              \
    {                                                                                              \
        return vec<T, 4>(__v[a], __v[b], __v[c], __v[d]);                                          \
    }                                                                                              \
    __MSL_AI constexpr vec<T, 4> __put_##name(vec<T, 4> o)                                         \
    {                                                                                              \
        __v[a] = o.__v[0], __v[b] = o.__v[1], __v[c] = o.__v[2], __v[d] = o.__v[3];                \
        return o;                                                                                  \
    }

#define __MSL_VEC_BINARY(op)                                                                       \
    friend __MSL_AI constexpr __vec operator op(__vec a, __vec b)                                  \
    {                                                                                              \
        return __vec(__raw{}, a.__v op b.__v);                                                     \
    }                                                                                              \
    __MSL_AI constexpr __vec &operator op##=(__vec b)                                              \
    {                                                                                              \
        __v = __v op b.__v;                                                                        \
        return *this;                                                                              \
    }                                                                                              \
    template <class = void> __MSL_AI void operator op##=(__vec b) volatile                         \
    {                                                                                              \
        __v = __v op b.__v;                                                                        \
    }
// Metal takes a shift count modulo the width; in C++ a larger one is undefined.
#define __MSL_VEC_SHIFT(N, op)                                                                     \
    friend __MSL_AI constexpr __vec operator op(__vec a, __vec b)                                  \
    {                                                                                              \
        return __vec(__raw{}, a.__v op(b.__v &(__V)(__S)(sizeof(T) * 8 - 1)));                     \
    }                                                                                              \
    template <class U, class = enable_if_t<!__is_same(U, T)>>                                      \
    friend __MSL_AI constexpr __vec operator op(__vec a, vec<U, N> b)                              \
    {                                                                                              \
        return a op __vec(b);                                                                      \
    }                                                                                              \
    __MSL_AI constexpr __vec &operator op##=(__vec b)                                              \
    {                                                                                              \
        return *this = *this op b;                                                                 \
    }
#define __MSL_VEC_COMPARE(N, op)                                                                   \
    friend __MSL_AI constexpr vec<bool, N> operator op(__vec a, __vec b)                           \
    {                                                                                              \
        return vec<bool, N>::__from_mask(a.__v op b.__v);                                          \
    }
#define __MSL_VEC_LOGICAL(N, op, bit_op)                                                           \
    friend __MSL_AI constexpr vec<bool, N> operator op(__vec a, __vec b)                           \
    {                                                                                              \
        return vec<bool, N>::__from_mask((a.__v != (__V)(__S)0)bit_op(b.__v != (__V)(__S)0));      \
    }

// Of volatile vectors there are copies, assignments and elements. Templates: a class with a copy
// constructor of its own would no longer be passed in registers.
#define __MSL_VEC_COMMON(N)                                                                        \
    typedef typename __vec_storage<T>::type __S;                                                   \
    typedef __S __V __attribute__((ext_vector_type(N)));                                           \
    struct __raw {                                                                                 \
    };                                                                                             \
    static constexpr constant int __n = N;                                                         \
    typedef T value_type;                                                                          \
    __vec() = default;                                                                             \
    __MSL_AI constexpr __vec(__raw, __V v) : __v(v)                                                \
    {                                                                                              \
    }                                                                                              \
    template <class M> static __MSL_AI constexpr __vec __from_mask(M m)                            \
    {                                                                                              \
        return __vec(__raw{}, __builtin_convertvector(-m, __V));                                   \
    }                                                                                              \
    template <class U, class = enable_if_t<__is_number<U>>>                                        \
    __MSL_AI constexpr __vec(U s) : __v((__V)(__S)__msl_cast<T>(s))                                \
    {                                                                                              \
    }                                                                                              \
    template <class U, class = enable_if_t<!__is_same(U, T)>>                                      \
    __MSL_AI constexpr explicit __vec(vec<U, N> o) : __v(__convert<__V, T>(o))                     \
    {                                                                                              \
    }                                                                                              \
    template <class = void> __MSL_AI __vec(const volatile __vec &o) : __v(o.__v)                   \
    {                                                                                              \
    }                                                                                              \
    template <class = void> __MSL_AI void operator=(const __vec &o) volatile                       \
    {                                                                                              \
        __v = o.__v;                                                                               \
    }                                                                                              \
    __MSL_AI volatile T &operator[](int i) volatile                                                \
    {                                                                                              \
        return ((volatile T *)&__v)[i];                                                            \
    }                                                                                              \
    __MSL_AI constexpr __vec(const packed_vec<T, N> &o);                                           \
    template <class = void>                                                                        \
    __MSL_AI __vec(const volatile packed_vec<T, N> &o) : __vec(packed_vec<T, N>(o))                \
    {                                                                                              \
    }                                                                                              \
    template <class U, class = enable_if_t<!__is_same(U, T)>>                                      \
    __MSL_AI constexpr explicit __vec(const packed_vec<U, N> &o) : __vec(vec<U, N>(o))             \
    {                                                                                              \
    }                                                                                              \
    __MSL_AI constexpr T operator[](int i) const                                                   \
    {                                                                                              \
        return T(__v[i]);                                                                          \
    }                                                                                              \
    __MSL_AI T &operator[](int i)                                                                  \
    {                                                                                              \
        return ((T *)&__v)[i];                                                                     \
    }                                                                                              \
    __MSL_VEC_BINARY(+)                                                                            \
    __MSL_VEC_BINARY(-)                                                                            \
    __MSL_VEC_BINARY(*)                                                                            \
    __MSL_VEC_BINARY(/)                                                                            \
    __MSL_VEC_BINARY(%)                                                                            \
    __MSL_VEC_BINARY(&)                                                                            \
    __MSL_VEC_BINARY(|)                                                                            \
    __MSL_VEC_BINARY(^)                                                                            \
    __MSL_VEC_SHIFT(N, <<)                                                                         \
    __MSL_VEC_SHIFT(N, >>)                                                                         \
    __MSL_VEC_COMPARE(N, <)                                                                        \
    __MSL_VEC_COMPARE(N, >)                                                                        \
    __MSL_VEC_COMPARE(N, <=)                                                                       \
    __MSL_VEC_COMPARE(N, >=)                                                                       \
    __MSL_VEC_COMPARE(N, ==)                                                                       \
    __MSL_VEC_COMPARE(N, !=)                                                                       \
    __MSL_VEC_LOGICAL(N, &&, &)                                                                    \
    __MSL_VEC_LOGICAL(N, ||, |)                                                                    \
    __MSL_AI constexpr __vec operator-() const                                                     \
    {                                                                                              \
        return __vec(__raw{}, -__v);                                                               \
    }                                                                                              \
    __MSL_AI constexpr __vec operator+() const                                                     \
    {                                                                                              \
        return *this;                                                                              \
    }                                                                                              \
    __MSL_AI constexpr __vec operator~() const                                                     \
    {                                                                                              \
        return __vec(__raw{}, ~__v);                                                               \
    }                                                                                              \
    __MSL_AI constexpr vec<bool, N> operator!() const                                              \
    {                                                                                              \
        return vec<bool, N>::__from_mask(__v == (__V)(__S)0);                                      \
    }                                                                                              \
    __MSL_AI constexpr __vec &operator++()                                                         \
    {                                                                                              \
        __v = __v + (__V)(__S)1;                                                                   \
        return *this;                                                                              \
    }                                                                                              \
    __MSL_AI constexpr __vec operator++(int)                                                       \
    {                                                                                              \
        __vec t = *this;                                                                           \
        ++*this;                                                                                   \
        return t;                                                                                  \
    }                                                                                              \
    __MSL_AI constexpr __vec &operator--()                                                         \
    {                                                                                              \
        __v = __v - (__V)(__S)1;                                                                   \
        return *this;                                                                              \
    }                                                                                              \
    __MSL_AI constexpr __vec operator--(int)                                                       \
    {                                                                                              \
        __vec t = *this;                                                                           \
        --*this;                                                                                   \
        return t;                                                                                  \
    }

// half <-> bfloat goes through float: converting directly makes clang emit invalid IR. Float to
// integer goes component by component: that is where clang emits the saturating conversion.
template <class V, class T, class U, int N> __MSL_AI constexpr V __convert(vec<U, N> o)
{
    if constexpr (__is_same(T, bool)) {
        return __builtin_convertvector(-(o.__v != 0), V);
    } else if constexpr (__is_float<U> && !__is_float<T>) {
        V r{};
        for (int i = 0; i < N; i++)
            r[i] = (T)(float)o.__v[i];
        return r;
    } else if constexpr ((__is_same(T, half) && __is_same(U, bfloat)) ||
                         (__is_same(T, bfloat) && __is_same(U, half))) {
        typedef float F __attribute__((ext_vector_type(N)));
        return __builtin_convertvector(__builtin_convertvector(o.__v, F), V);
    } else {
        return __builtin_convertvector(o.__v, V);
    }
}

template <class T> struct __vec<T[2]> {
    __MSL_VEC_COMMON(2)
    union {
        __V __v;
        struct {
            T x, y;
        };
        struct {
            T r, g;
        };
    };
    __MSL_AI constexpr __vec(T a, T b) : __v{(__S)a, (__S)b}
    {
    }
#include "swizzle2.h"
};
template <class T> struct __vec<T[3]> {
    __MSL_VEC_COMMON(3)
    union {
        __V __v;
        struct {
            T x, y, z;
        };
        struct {
            T r, g, b;
        };
    };
    __MSL_AI constexpr __vec(T a, T b, T c) : __v{(__S)a, (__S)b, (__S)c}
    {
    }
    // What an initialiser list leaves out is zero.
    __MSL_AI constexpr __vec(T a, T b) : __v{(__S)a, (__S)b, (__S)0}
    {
    }
    __MSL_AI constexpr __vec(vec<T, 2> a, T c) : __v{a.__v[0], a.__v[1], (__S)c}
    {
    }
    __MSL_AI constexpr __vec(T c, vec<T, 2> a) : __v{(__S)c, a.__v[0], a.__v[1]}
    {
    }
#include "swizzle3.h"
};
template <class T> struct __vec<T[4]> {
    __MSL_VEC_COMMON(4)
    union {
        __V __v;
        struct {
            T x, y, z, w;
        };
        struct {
            T r, g, b, a;
        };
    };
    __MSL_AI constexpr __vec(T a, T b, T c, T d) : __v{(__S)a, (__S)b, (__S)c, (__S)d}
    {
    }
    // What an initialiser list leaves out is zero.
    __MSL_AI constexpr __vec(T a, T b, T c) : __v{(__S)a, (__S)b, (__S)c, (__S)0}
    {
    }
    __MSL_AI constexpr __vec(T a, T b) : __v{(__S)a, (__S)b, (__S)0, (__S)0}
    {
    }
    __MSL_AI constexpr __vec(vec<T, 2> a, T c, T d) : __v{a.__v[0], a.__v[1], (__S)c, (__S)d}
    {
    }
    __MSL_AI constexpr __vec(T c, vec<T, 2> a, T d) : __v{(__S)c, a.__v[0], a.__v[1], (__S)d}
    {
    }
    __MSL_AI constexpr __vec(T c, T d, vec<T, 2> a) : __v{(__S)c, (__S)d, a.__v[0], a.__v[1]}
    {
    }
    __MSL_AI constexpr __vec(vec<T, 2> a, vec<T, 2> b) : __v{a.__v[0], a.__v[1], b.__v[0], b.__v[1]}
    {
    }
    __MSL_AI constexpr __vec(vec<T, 3> a, T d) : __v{a.__v[0], a.__v[1], a.__v[2], (__S)d}
    {
    }
    __MSL_AI constexpr __vec(T d, vec<T, 3> a) : __v{(__S)d, a.__v[0], a.__v[1], a.__v[2]}
    {
    }
#include "swizzle4.h"
};

#define __MSL_FOR_NUMBERS(X)                                                                       \
    X(char) X(uchar) X(short) X(ushort) X(int) X(uint) X(long) X(ulong) X(half) X(bfloat) X(float)
#define __MSL_FOR_SCALARS(X) X(bool) __MSL_FOR_NUMBERS(X)
#define __MSL_VEC_NAMES(T)                                                                         \
    typedef vec<T, 2> T##2;                                                                        \
    typedef vec<T, 3> T##3;                                                                        \
    typedef vec<T, 4> T##4;
__MSL_FOR_SCALARS(__MSL_VEC_NAMES)

// A component-wise function of vectors from the scalar one of the same name.
#define __MSL_EACH1(name, R)                                                                       \
    template <class T, int N> __MSL_FN vec<R, N> name(vec<T, N> x)                                 \
    {                                                                                              \
        vec<R, N> r;                                                                               \
        _Pragma("unroll") for (int i = 0; i < N; i++) r.__v[i] = name((T)x.__v[i]);                \
        return r;                                                                                  \
    }
#define __MSL_EACH2(name, R)                                                                       \
    template <class T, int N> __MSL_FN vec<R, N> name(vec<T, N> x, __same_as<vec<T, N>> y)         \
    {                                                                                              \
        vec<R, N> r;                                                                               \
        _Pragma("unroll") for (int i = 0; i < N; i++) r.__v[i] = name((T)x.__v[i], (T)y.__v[i]);   \
        return r;                                                                                  \
    }
#define __MSL_EACH3(name, R)                                                                       \
    template <class T, int N>                                                                      \
    __MSL_FN vec<R, N> name(vec<T, N> x, __same_as<vec<T, N>> y, __same_as<vec<T, N>> z)           \
    {                                                                                              \
        vec<R, N> r;                                                                               \
        _Pragma("unroll") for (int i = 0; i < N; i++) r.__v[i] =                                   \
                name((T)x.__v[i], (T)y.__v[i], (T)z.__v[i]);                                       \
        return r;                                                                                  \
    }
} // namespace metal
