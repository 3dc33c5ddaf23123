// vec<T, 8> and vec<T, 16>, which Apple's compiler has beside those of Metal: what a lane has of a fragment
// of a matrix. Elements by index, and arithmetic; no components by name.
#pragma GCC system_header
namespace metal
{
#define __MSL_LONG_OPERATOR(N, op)                                                                 \
    friend __MSL_AI constexpr __vec operator op(const __vec &a, const __vec &b)                    \
    {                                                                                              \
        __vec r = a;                                                                               \
        for (int i = 0; i < N; i++)                                                                \
            r.__v[i] = T(a.__v[i] op b.__v[i]);                                                    \
        return r;                                                                                  \
    }                                                                                              \
    __MSL_AI constexpr __vec &operator op##=(const __vec &b)                                       \
    {                                                                                              \
        return *this = *this op b;                                                                 \
    }
#define __MSL_LONG(N)                                                                              \
    template <class T> struct alignas(N * sizeof(T)) __vec<T[N]> {                                 \
        typedef T value_type;                                                                      \
        T __v[N];                                                                                  \
        __vec() = default;                                                                         \
        __MSL_AI constexpr __vec(T s) : __v{}                                                      \
        {                                                                                          \
            for (int i = 0; i < N; i++)                                                            \
                __v[i] = s;                                                                        \
        }                                                                                          \
        template <class... A, class = enable_if_t<sizeof...(A) == N>>                              \
        __MSL_AI constexpr __vec(A... a) : __v{T(a)...}                                            \
        {                                                                                          \
        }                                                                                          \
        template <class U, class = enable_if_t<!__is_same(U, T)>>                                  \
        __MSL_AI constexpr explicit __vec(const __vec<U[N]> &o) : __v{}                            \
        {                                                                                          \
            for (int i = 0; i < N; i++)                                                            \
                __v[i] = __msl_c_cast<T>(o.__v[i]);                                                \
        }                                                                                          \
        template <class Self> __MSL_AI constexpr auto &operator[](this Self &&self, int i)         \
        {                                                                                          \
            return self.__v[i];                                                                    \
        }                                                                                          \
        __MSL_LONG_OPERATOR(N, +)                                                                  \
        __MSL_LONG_OPERATOR(N, -)                                                                  \
        __MSL_LONG_OPERATOR(N, *)                                                                  \
        __MSL_LONG_OPERATOR(N, /)                                                                  \
    };
__MSL_LONG(8)
__MSL_LONG(16)
#undef __MSL_LONG
#undef __MSL_LONG_OPERATOR
} // namespace metal
