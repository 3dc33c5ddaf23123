// packed_vec: the same components without the vector's alignment. Arithmetic widens to vec.
#pragma GCC system_header
namespace metal
{
#define __MSL_PACKED_COMPONENT(name, i)                                                            \
    __declspec(property(get = __get_##name, put = __put_##name)) T name;                           \
    __MSL_AI constexpr T __get_##name() const                                                      \
    {                                                                                              \
        return __v[i];                                                                             \
    }                                                                                              \
    __MSL_AI constexpr T __put_##name(T o)                                                         \
    {                                                                                              \
        return __v[i] = o;                                                                         \
    }                                                                                              \
    __MSL_AI T __get_##name() const volatile                                                       \
    {                                                                                              \
        return __v[i];                                                                             \
    }                                                                                              \
    __MSL_AI T __put_##name(T o) volatile                                                          \
    {                                                                                              \
        __v[i] = o;                                                                                \
        return o;                                                                                  \
    }
#define __MSL_PACKED_BINARY(op)                                                                    \
    friend __MSL_AI constexpr vec<T, __n> operator op(__packed_vec a, __packed_vec b)              \
    {                                                                                              \
        return vec<T, __n>(a) op vec<T, __n>(b);                                                   \
    }                                                                                              \
    friend __MSL_AI constexpr vec<T, __n> operator op(vec<T, __n> a, __packed_vec b)               \
    {                                                                                              \
        return a op vec<T, __n>(b);                                                                \
    }                                                                                              \
    friend __MSL_AI constexpr vec<T, __n> operator op(__packed_vec a, vec<T, __n> b)               \
    {                                                                                              \
        return vec<T, __n>(a) op b;                                                                \
    }                                                                                              \
    friend __MSL_AI constexpr vec<T, __n> operator op(__packed_vec a, T b)                         \
    {                                                                                              \
        return vec<T, __n>(a) op vec<T, __n>(b);                                                   \
    }                                                                                              \
    friend __MSL_AI constexpr vec<T, __n> operator op(T a, __packed_vec b)                         \
    {                                                                                              \
        return vec<T, __n>(a) op vec<T, __n>(b);                                                   \
    }                                                                                              \
    __MSL_AI constexpr __packed_vec &operator op##=(vec<T, __n> b)                                 \
    {                                                                                              \
        return *this = __packed_vec(vec<T, __n>(*this) op b);                                      \
    }
#define __MSL_PACKED_COMPARE(op)                                                                   \
    friend __MSL_AI constexpr vec<bool, __n> operator op(__packed_vec a, __packed_vec b)           \
    {                                                                                              \
        return vec<T, __n>(a) op vec<T, __n>(b);                                                   \
    }                                                                                              \
    friend __MSL_AI constexpr vec<bool, __n> operator op(vec<T, __n> a, __packed_vec b)            \
    {                                                                                              \
        return a op vec<T, __n>(b);                                                                \
    }                                                                                              \
    friend __MSL_AI constexpr vec<bool, __n> operator op(__packed_vec a, vec<T, __n> b)            \
    {                                                                                              \
        return vec<T, __n>(a) op b;                                                                \
    }                                                                                              \
    friend __MSL_AI constexpr vec<bool, __n> operator op(__packed_vec a, T b)                      \
    {                                                                                              \
        return vec<T, __n>(a) op vec<T, __n>(b);                                                   \
    }                                                                                              \
    friend __MSL_AI constexpr vec<bool, __n> operator op(T a, __packed_vec b)                      \
    {                                                                                              \
        return vec<T, __n>(a) op vec<T, __n>(b);                                                   \
    }

#define __MSL_PACKED_COMMON(N)                                                                     \
    static constexpr constant int __n = N;                                                         \
    typedef T value_type;                                                                          \
    T __v[N];                                                                                      \
    __packed_vec() = default;                                                                      \
    template <class U, class = enable_if_t<__is_number<U>>>                                        \
    __MSL_AI constexpr __packed_vec(U s) : __packed_vec(vec<T, N>(s))                              \
    {                                                                                              \
    }                                                                                              \
    __MSL_AI constexpr __packed_vec(vec<T, N> o) : __v{}                                           \
    {                                                                                              \
        for (int i = 0; i < N; i++)                                                                \
            __v[i] = o.__v[i];                                                                     \
    }                                                                                              \
    template <class = void> __MSL_AI __packed_vec(const volatile __packed_vec &o)                  \
    {                                                                                              \
        for (int i = 0; i < N; i++)                                                                \
            __v[i] = o.__v[i];                                                                     \
    }                                                                                              \
    template <class = void> __MSL_AI void operator=(const __packed_vec &o) volatile                \
    {                                                                                              \
        for (int i = 0; i < N; i++)                                                                \
            __v[i] = o.__v[i];                                                                     \
    }                                                                                              \
    __MSL_AI volatile T &operator[](int i) volatile                                                \
    {                                                                                              \
        return __v[i];                                                                             \
    }                                                                                              \
    template <class U, class = enable_if_t<!__is_same(U, T)>>                                      \
    __MSL_AI constexpr explicit __packed_vec(vec<U, N> o) : __packed_vec(vec<T, N>(o))             \
    {                                                                                              \
    }                                                                                              \
    template <class U, class = enable_if_t<!__is_same(U, T)>>                                      \
    __MSL_AI constexpr explicit __packed_vec(packed_vec<U, N> o) : __packed_vec(vec<U, N>(o))      \
    {                                                                                              \
    }                                                                                              \
    template <class A, class B, class... C>                                                        \
    __MSL_AI constexpr __packed_vec(A a, B b, C... c) : __packed_vec(vec<T, N>(a, b, c...))        \
    {                                                                                              \
    }                                                                                              \
    __MSL_AI constexpr T operator[](int i) const                                                   \
    {                                                                                              \
        return __v[i];                                                                             \
    }                                                                                              \
    __MSL_AI constexpr T &operator[](int i)                                                        \
    {                                                                                              \
        return __v[i];                                                                             \
    }                                                                                              \
    __MSL_PACKED_BINARY(+)                                                                         \
    __MSL_PACKED_BINARY(-)                                                                         \
    __MSL_PACKED_BINARY(*)                                                                         \
    __MSL_PACKED_BINARY(/)                                                                         \
    __MSL_PACKED_BINARY(%)                                                                         \
    __MSL_PACKED_BINARY(&)                                                                         \
    __MSL_PACKED_BINARY(|)                                                                         \
    __MSL_PACKED_BINARY(^)                                                                         \
    __MSL_PACKED_BINARY(<<)                                                                        \
    __MSL_PACKED_BINARY(>>)                                                                        \
    __MSL_PACKED_COMPARE(==)                                                                       \
    __MSL_PACKED_COMPARE(!=)                                                                       \
    __MSL_PACKED_COMPARE(<)                                                                        \
    __MSL_PACKED_COMPARE(>)                                                                        \
    __MSL_PACKED_COMPARE(<=)                                                                       \
    __MSL_PACKED_COMPARE(>=)                                                                       \
    __MSL_AI constexpr vec<T, N> operator~() const                                                 \
    {                                                                                              \
        return ~vec<T, N>(*this);                                                                  \
    }                                                                                              \
    __MSL_AI constexpr vec<bool, N> operator!() const                                              \
    {                                                                                              \
        return !vec<T, N>(*this);                                                                  \
    }                                                                                              \
    __MSL_AI constexpr __packed_vec &operator++()                                                  \
    {                                                                                              \
        return *this = __packed_vec(vec<T, N>(*this) + vec<T, N>(1));                              \
    }                                                                                              \
    __MSL_AI constexpr __packed_vec operator++(int)                                                \
    {                                                                                              \
        __packed_vec t = *this;                                                                    \
        ++*this;                                                                                   \
        return t;                                                                                  \
    }                                                                                              \
    __MSL_AI constexpr __packed_vec &operator--()                                                  \
    {                                                                                              \
        return *this = __packed_vec(vec<T, N>(*this) - vec<T, N>(1));                              \
    }                                                                                              \
    __MSL_AI constexpr __packed_vec operator--(int)                                                \
    {                                                                                              \
        __packed_vec t = *this;                                                                    \
        --*this;                                                                                   \
        return t;                                                                                  \
    }                                                                                              \
    __MSL_AI constexpr vec<T, N> operator-() const                                                 \
    {                                                                                              \
        return -vec<T, N>(*this);                                                                  \
    }

template <class T> struct __packed_vec<T[2]> {
    __MSL_PACKED_COMMON(2)
    __MSL_PACKED_COMPONENT(x, 0)
    __MSL_PACKED_COMPONENT(y, 1)
    __MSL_PACKED_COMPONENT(r, 0)
    __MSL_PACKED_COMPONENT(g, 1)
#include "swizzle2.h"
};
template <class T> struct __packed_vec<T[3]> {
    __MSL_PACKED_COMMON(3)
    __MSL_PACKED_COMPONENT(x, 0)
    __MSL_PACKED_COMPONENT(y, 1)
    __MSL_PACKED_COMPONENT(z, 2)
    __MSL_PACKED_COMPONENT(r, 0)
    __MSL_PACKED_COMPONENT(g, 1)
    __MSL_PACKED_COMPONENT(b, 2)
#include "swizzle3.h"
};
template <class T> struct __packed_vec<T[4]> {
    __MSL_PACKED_COMMON(4)
    __MSL_PACKED_COMPONENT(x, 0)
    __MSL_PACKED_COMPONENT(y, 1)
    __MSL_PACKED_COMPONENT(z, 2)
    __MSL_PACKED_COMPONENT(w, 3)
    __MSL_PACKED_COMPONENT(r, 0)
    __MSL_PACKED_COMPONENT(g, 1)
    __MSL_PACKED_COMPONENT(b, 2)
    __MSL_PACKED_COMPONENT(a, 3)
#include "swizzle4.h"
};

#define __MSL_VEC_FROM_PACKED(N, ...)                                                              \
    template <class T> constexpr __vec<T[N]>::__vec(const packed_vec<T, N> &o) : __v{__VA_ARGS__} \
    {                                                                                              \
    }
__MSL_VEC_FROM_PACKED(2, o.__v[0], o.__v[1])
__MSL_VEC_FROM_PACKED(3, o.__v[0], o.__v[1], o.__v[2])
__MSL_VEC_FROM_PACKED(4, o.__v[0], o.__v[1], o.__v[2], o.__v[3])

#define __MSL_PACKED_NAMES(T)                                                                      \
    typedef packed_vec<T, 2> packed_##T##2;                                                        \
    typedef packed_vec<T, 3> packed_##T##3;                                                        \
    typedef packed_vec<T, 4> packed_##T##4;
__MSL_FOR_SCALARS(__MSL_PACKED_NAMES)

template <class T> struct vec_elements : integral_constant<int, 1> {
};
template <class T, int N> struct vec_elements<vec<T, N>> : integral_constant<int, N> {
};
template <class T, int N> struct vec_elements<packed_vec<T, N>> : integral_constant<int, N> {
};
} // namespace metal

#define __MSL_GLOBAL_NAMES(T)                                                                      \
    using metal::T##2;                                                                             \
    using metal::T##3;                                                                             \
    using metal::T##4;                                                                             \
    using metal::packed_##T##2;                                                                    \
    using metal::packed_##T##3;                                                                    \
    using metal::packed_##T##4;
__MSL_FOR_SCALARS(__MSL_GLOBAL_NAMES)
