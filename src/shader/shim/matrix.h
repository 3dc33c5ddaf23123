// metal::matrix: columns of vec, column-major as Metal's. Operators are hidden friends; see vec.h.
#pragma GCC system_header
namespace metal
{
template <int> struct __unusable {
    __unusable() = delete;
};
template <class T, int C, int R> struct matrix {
    vec<T, R> columns[C];
    matrix() = default;
    template <class... A, class = enable_if_t<sizeof...(A) == C && (C > 1)>, int = 0>
    __MSL_AI constexpr matrix(A... a) : columns{vec<T, R>(a)...}
    {
    }
    // All elements, column after column.
    template <class... A, class = enable_if_t<sizeof...(A) == C * R>>
    __MSL_AI constexpr matrix(A... a) : columns{}
    {
        T e[] = {T(a)...};
        for (int i = 0; i < C * R; i++)
            columns[i / R].__v[i % R] = e[i];
    }
    // {{1, 2}, {3, 4}}: braces have no type to deduce, so these are no templates.
    template <int N> using __column = conditional_t<N == C, vec<T, R>, __unusable<N>>;
    __MSL_AI constexpr matrix(__column<2> a, __column<2> b) : columns{a, b}
    {
    }
    __MSL_AI constexpr matrix(__column<3> a, __column<3> b, __column<3> c) : columns{a, b, c}
    {
    }
    __MSL_AI constexpr matrix(__column<4> a, __column<4> b, __column<4> c, __column<4> d)
        : columns{a, b, c, d}
    {
    }
    __MSL_AI constexpr explicit matrix(T s) : columns{}
    {
        for (int i = 0; i < C; i++)
            for (int j = 0; j < R; j++)
                columns[i].__v[j] = i == j ? s : T(0);
    }
    template <class U, class = enable_if_t<!__is_same(U, T)>>
    __MSL_AI constexpr explicit matrix(const matrix<U, C, R> &o) : columns{}
    {
        for (int i = 0; i < C; i++)
            columns[i] = vec<T, R>(o.columns[i]);
    }
    __MSL_AI constexpr const vec<T, R> &operator[](int i) const
    {
        return columns[i];
    }
    __MSL_AI constexpr vec<T, R> &operator[](int i)
    {
        return columns[i];
    }
    // A column's address is in the matrix's address space.
#define __MSL_COLUMN(space)                                                                        \
    __MSL_AI space vec<T, R> &operator[](this space matrix &m, int i)                              \
    {                                                                                              \
        return m.columns[i];                                                                       \
    }
    __MSL_COLUMN(device)
    __MSL_COLUMN(const device)
    __MSL_COLUMN(threadgroup)
    __MSL_COLUMN(const threadgroup)
    __MSL_COLUMN(constant)
#undef __MSL_COLUMN
#define __MSL_MATRIX_SUM(op)                                                                       \
    friend __MSL_AI constexpr matrix operator op(const matrix &a, const matrix &b)                 \
    {                                                                                              \
        matrix r{};                                                                                \
        for (int i = 0; i < C; i++)                                                                \
            r.columns[i] = a.columns[i] op b.columns[i];                                           \
        return r;                                                                                  \
    }                                                                                              \
    __MSL_AI constexpr matrix &operator op##=(const matrix &b)                                     \
    {                                                                                              \
        return *this = *this op b;                                                                 \
    }
    __MSL_MATRIX_SUM(+)
    __MSL_MATRIX_SUM(-)
    __MSL_AI constexpr matrix operator-() const
    {
        return *this * T(-1);
    }
    friend __MSL_AI constexpr matrix operator*(const matrix &a, T b)
    {
        matrix r{};
        for (int i = 0; i < C; i++)
            r.columns[i] = a.columns[i] * b;
        return r;
    }
    friend __MSL_AI constexpr matrix operator*(T a, const matrix &b)
    {
        return b * a;
    }
    friend __MSL_AI constexpr matrix operator/(const matrix &a, T b)
    {
        matrix r{};
        for (int i = 0; i < C; i++)
            r.columns[i] = a.columns[i] / b;
        return r;
    }
    friend __MSL_AI constexpr vec<T, R> operator*(const matrix &a, vec<T, C> b)
    {
        vec<T, R> r = a.columns[0] * T(b.__v[0]);
        for (int i = 1; i < C; i++)
            r += a.columns[i] * T(b.__v[i]);
        return r;
    }
    friend __MSL_AI constexpr vec<T, C> operator*(vec<T, R> a, const matrix &b)
    {
        vec<T, C> r{};
        for (int i = 0; i < C; i++) {
            T s = T(a.__v[0]) * T(b.columns[i].__v[0]);
            for (int j = 1; j < R; j++)
                s += T(a.__v[j]) * T(b.columns[i].__v[j]);
            r.__v[i] = s;
        }
        return r;
    }
    template <int K>
    friend __MSL_AI constexpr matrix<T, K, R> operator*(
            const matrix &a, const matrix<T, K, C> &b)
    {
        matrix<T, K, R> r{};
        for (int i = 0; i < K; i++)
            r.columns[i] = a * b.columns[i];
        return r;
    }
    __MSL_AI constexpr matrix &operator*=(const matrix<T, C, C> &b)
    {
        return *this = *this * b;
    }
    __MSL_AI constexpr matrix &operator*=(T b)
    {
        return *this = *this * b;
    }
    friend __MSL_AI constexpr bool operator==(const matrix &a, const matrix &b)
    {
        for (int i = 0; i < C; i++)
            for (int j = 0; j < R; j++)
                if (a.columns[i].__v[j] != b.columns[i].__v[j])
                    return false;
        return true;
    }
    friend __MSL_AI constexpr bool operator!=(const matrix &a, const matrix &b)
    {
        return !(a == b);
    }
};

template <class T, int C, int R> __MSL_CFN matrix<T, R, C> transpose(const matrix<T, C, R> &a)
{
    matrix<T, R, C> r{};
    for (int i = 0; i < C; i++)
        for (int j = 0; j < R; j++)
            r.columns[j].__v[i] = a.columns[i].__v[j];
    return r;
}
template <class T> __MSL_CFN T determinant(const matrix<T, 2, 2> &m)
{
    return T(m[0].__v[0]) * T(m[1].__v[1]) - T(m[1].__v[0]) * T(m[0].__v[1]);
}
// Laplace expansion along the first column.
template <class T, int N> __MSL_CFN T determinant(const matrix<T, N, N> &m)
{
    T sum = T(0);
    for (int row = 0; row < N; row++) {
        matrix<T, N - 1, N - 1> minor{};
        for (int c = 1; c < N; c++)
            for (int r = 0, to = 0; r < N; r++)
                if (r != row)
                    minor.columns[c - 1].__v[to++] = m.columns[c].__v[r];
        T term = T(m.columns[0].__v[row]) * determinant(minor);
        sum += row % 2 ? -term : term;
    }
    return sum;
}

#define __MSL_MATRIX_NAMES(T)                                                                      \
    typedef matrix<T, 2, 2> T##2x2;                                                                \
    typedef matrix<T, 2, 3> T##2x3;                                                                \
    typedef matrix<T, 2, 4> T##2x4;                                                                \
    typedef matrix<T, 3, 2> T##3x2;                                                                \
    typedef matrix<T, 3, 3> T##3x3;                                                                \
    typedef matrix<T, 3, 4> T##3x4;                                                                \
    typedef matrix<T, 4, 2> T##4x2;                                                                \
    typedef matrix<T, 4, 3> T##4x3;                                                                \
    typedef matrix<T, 4, 4> T##4x4;
__MSL_MATRIX_NAMES(float)
__MSL_MATRIX_NAMES(half)
__MSL_MATRIX_NAMES(bfloat)
} // namespace metal

#define __MSL_GLOBAL_MATRIX(T)                                                                     \
    using metal::T##2x2;                                                                           \
    using metal::T##2x3;                                                                           \
    using metal::T##2x4;                                                                           \
    using metal::T##3x2;                                                                           \
    using metal::T##3x3;                                                                           \
    using metal::T##3x4;                                                                           \
    using metal::T##4x2;                                                                           \
    using metal::T##4x3;                                                                           \
    using metal::T##4x4;
__MSL_GLOBAL_MATRIX(float)
__MSL_GLOBAL_MATRIX(half)
