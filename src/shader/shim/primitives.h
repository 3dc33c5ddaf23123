/* shim: <MetalPerformancePrimitives/MetalPerformancePrimitives.h>: products of tensors,
 * mpp::tensor_ops::matmul2d, in which the threads of the execution scope take part together. Built on
 * the products of 8x8 matrices (simdgroup.h), of which every target makes its best (cpu/wide/product.c,
 * nvptx/matrix.c). */
#pragma once
#pragma GCC system_header
#include "cooperative.h"
namespace metal
{
template <size_t N> struct execution_threads {
    static_assert(N == 1, "of execution_threads there is only execution_thread, which is one");
    static constexpr size_t static_size = N;
    constexpr uint size() const
    {
        return (uint)N;
    }
};
template <size_t N> struct execution_simdgroups {
    static_assert(N > 0, "an operation is executed by at least one SIMD-group");
    static constexpr size_t static_size = N;
    constexpr uint size() const
    {
        return (uint)N;
    }
};
typedef execution_threads<1> execution_thread;
typedef execution_simdgroups<1> execution_simdgroup;
template <class S> constexpr constant bool is_execution_thread_v = __is_same(S, execution_thread);
template <class S> constexpr constant bool is_execution_simdgroups_v = false;
template <size_t N>
constexpr constant bool is_execution_simdgroups_v<execution_simdgroups<N>> = true;
} // namespace metal

namespace mpp::tensor_ops
{
template <class T> struct dynamic_length {
    static constexpr constant T value = metal::numeric_limits<T>::max();
};
template <class T> constexpr constant T dynamic_length_v = dynamic_length<T>::value;

struct matmul2d_descriptor {
    enum class mode { multiply, multiply_accumulate };
    int m, n, k;
    bool transpose_left, transpose_right, relaxed_precision;
    mode matmul_mode;
    constexpr matmul2d_descriptor(int m, int n, int k = (int)metal::dynamic_extent,
            bool transpose_left = false, bool transpose_right = false,
            bool relaxed_precision = false, mode matmul_mode = mode::multiply)
        : m(m), n(n), k(k), transpose_left(transpose_left), transpose_right(transpose_right),
          relaxed_precision(relaxed_precision), matmul_mode(matmul_mode)
    {
    }
    /* k may be left to the operands: dynamic_extent, 0 or dynamic_length_v<int>. */
    constexpr bool __has_k() const
    {
        return k > 0 && k != metal::numeric_limits<int>::max();
    }
};
} // namespace mpp::tensor_ops

namespace __abx
{
template <class T> using number_of = typename metal::__element<T>::value;
template <class T> constexpr bool is_cooperative = metal::is_cooperative_tensor_v<T>;
template <class S> constexpr int groups_of = metal::is_execution_thread_v<S> ? 0 : (int)S::static_size;

template <int Rows, int Columns, int Groups, class Kind> struct tile_for {
    typedef tile<Rows, Columns, Groups, Kind> type;
};
template <int Rows, int Columns, class Kind> struct tile_for<Rows, Columns, 0, Kind> {
    typedef thread_tile<Rows, Columns> type;
};

__ABX_FN int least(int a, int b)
{
    return a < b ? a : b;
}

/* ---- operands: blocks of a left or right factor, at blocks of 8 along k */

/* In memory. `first`: the row or column of the SIMD-group's part. */
template <class V> struct factor_in_memory {
    V v;
    int first;
    static constexpr bool is_loaded = false;
    template <bool Whole> __ABX_SYNC auto left(int i, int k) const
    {
        return load_block<Whole>(v, first + 8 * i, k);
    }
    template <bool Whole, class Kind> __ABX_SYNC auto right(int k, int j) const
    {
        typedef typename V::value T;
        if constexpr (__is_same(Kind, natural)) {
            return load_block<Whole>(v, k, first + 8 * j);
        } else {
            int column = first + j / 2 * 16 + (block_column(0) & 6) * 2 + (j & 1) * 2;
            return metal::vec<T, 2>(v.get(k + block_row(0), column), v.get(k + block_row(1), column + 1));
        }
    }
};

/* In registers: a cooperative tensor's fragments, in the layout that the product wants. */
template <class T, class Tile> struct factor_in_registers {
    static constexpr bool is_loaded = true;
    T e[Tile::capacity];
    /* What is turned are the blocks' places: each fragment is already. */
    template <bool Turned> __ABX_SYNC auto block(int i, int j) const
    {
        int b = Tile::block(Turned ? j / 2 * 2 + (i & 1) : i, Turned ? i / 2 * 2 + (j & 1) : j);
        return metal::vec<T, 2>(e[2 * b], e[2 * b + 1]);
    }
};
template <class T, class Tile, bool Turned> struct factor_of_tensor : factor_in_registers<T, Tile> {
    template <bool> __ABX_SYNC auto left(int i, int k) const
    {
        return this->template block<Turned>(i, k / 8);
    }
    template <bool, class> __ABX_SYNC auto right(int k, int j) const
    {
        return this->template block<Turned>(k / 8, j);
    }
};
template <bool Turned, class Kind, class T, class E, class Tile>
__ABX_SYNC auto factor_of(const metal::cooperative_tensor<T, E, Tile> &t)
{
    factor_of_tensor<T, Tile, Turned> f;
    Tile::look();
    for (int i = 0; i < Tile::capacity; i += 8)
        move_fragment<typename Tile::kind, Kind, Turned>(t.__e + i, f.e + i, (int)lane());
    return f;
}

/* ---- the product of one SIMD-group's part, in floats */
template <class Tile, int K, bool Whole, class Left, class Right>
__ABX_SYNC void multiply_steps(const Left &l, const Right &r, float *c, int k0)
{
    constexpr int each = K % 16 ? 1 : 2;
    for (int k = 0; k < K; k += 8 * each) {
        float a[Tile::down][each][2], b[Tile::across][each][2];
        for (int i = 0; i < Tile::down; i++)
            for (int n = 0; n < each; n++) {
                auto x = l.template left<Whole>(i, k0 + k + 8 * n);
                a[i][n][0] = factor(x[0]), a[i][n][1] = factor(x[1]);
            }
        for (int j = 0; j < Tile::across; j++)
            for (int n = 0; n < each; n++) {
                auto x = r.template right<Whole, typename Tile::kind>(k0 + k + 8 * n, j);
                b[j][n][0] = factor(x[0]), b[j][n][1] = factor(x[1]);
            }
        for (int q = 0; q < each; q++)
            for (int n = 0; n < Tile::blocks; n++) {
                float *s = c + 2 * n, *x = a[Tile::block_down(n)][q], *y = b[Tile::block_across(n)][q];
                float s0 = __abx_matrix_multiply(0, x[0], x[1], y[0], y[1], s[0], s[1]);
                float s1 = __abx_matrix_multiply(ABX_MATRIX_E1, x[0], x[1], y[0], y[1], s[0], s[1]);
                s[0] = s0, s[1] = s1;
            }
    }
}

/* So many terms at once that a run of products has them all (cpu/wide/product.c), and that their code
 * stays in the processor's first cache: of large parts, whose sums no registers hold, the least. */
template <class Tile> constexpr int steps_together(int k)
{
    int most = Tile::blocks > 16 ? 8 : 32;
    while (most > 8 && (most / 8 * Tile::down > 16 || most / 8 * Tile::across > 32))
        most /= 2;
    while (most > 8 && k > 0 && k % most)
        most /= 2;
    return most;
}

/* Where the part does not lie in both factors as a whole, or for what is left of k: short code, a
 * row of blocks at a time. Of those that lie outside nothing is computed. */
template <class Tile, class Left, class Right>
__ABX_SYNC void multiply_at_edges(const Left &l, const Right &r, float *c, int k0, int k, int rows)
{
    float part[Tile::down][2 * Tile::across];
    for (int n = 0; n < Tile::capacity; n++)
        part[Tile::row_of(n)][Tile::column_of(n)] = c[n];
    for (int i = 0; 8 * i < rows; i++) {
        float sum[2 * Tile::across];
        for (int n = 0; n < 2 * Tile::across; n++)
            sum[n] = part[i][n];
        for (int at = k0; at < k; at += 8) {
            auto x = l.template left<false>(i, at);
            float x0 = factor(x[0]), x1 = factor(x[1]);
            for (int j = 0; j < Tile::across; j++) {
                auto y = r.template right<false, typename Tile::kind>(at, j);
                float y0 = factor(y[0]), y1 = factor(y[1]), *s = sum + 2 * j;
                float s0 = __abx_matrix_multiply(0, x0, x1, y0, y1, s[0], s[1]);
                float s1 = __abx_matrix_multiply(ABX_MATRIX_E1, x0, x1, y0, y1, s[0], s[1]);
                s[0] = s0, s[1] = s1;
            }
        }
        for (int n = 0; n < 2 * Tile::across; n++)
            part[i][n] = sum[n];
    }
    for (int n = 0; n < Tile::capacity; n++)
        c[n] = part[Tile::row_of(n)][Tile::column_of(n)];
}

/* From k0 up to k, which both factors have; `whole`: the part lies in both as a whole. */
template <class Tile, int Steps, class Left, class Right>
__ABX_SYNC void multiply_in_memory(
        const Left &l, const Right &r, float *c, int k0, int k, bool whole)
{
    if (whole)
        for (; k0 + Steps <= k; k0 += Steps)
            multiply_steps<Tile, Steps, true>(l, r, c, k0);
    if (k0 < k)
        multiply_at_edges<Tile>(l, r, c, k0, k, least(l.v.rows - l.first, Tile::part_rows));
}

/* ---- one thread alone */
template <bool Turned, class T, class E, class... Tags>
__ABX_FN auto element_of(
        const metal::tensor<T, E, metal::tensor_inline, Tags...> &t, int row, int column)
{
    return view_of<Turned>(t).get(row, column);
}
template <bool Turned, class T, class E, class L>
__ABX_FN T element_of(const metal::cooperative_tensor<T, E, L> &t, int row, int column)
{
    return t.__e[Turned ? column * L::columns + row : row * L::columns + column];
}

template <mpp::tensor_ops::matmul2d_descriptor D, class Scope> struct product {
    static constexpr int groups = groups_of<Scope>;
    static constexpr bool adds = D.matmul_mode ==
                                 mpp::tensor_ops::matmul2d_descriptor::mode::multiply_accumulate;
    template <class Kind> using tile = typename tile_for<D.m, D.n, groups, Kind>::type;

    /* ---- how far the operands reach */
    template <class Left> static __ABX_FN int left_rows(const Left &l)
    {
        if constexpr (is_cooperative<Left>)
            return D.m;
        else
            return least(D.m, (int)l.get_extent(D.transpose_left ? 0 : 1));
    }
    template <class Right> static __ABX_FN int right_columns(const Right &r)
    {
        if constexpr (is_cooperative<Right>)
            return D.n;
        else
            return least(D.n, (int)r.get_extent(D.transpose_right ? 1 : 0));
    }
    template <class Left, class Right> static __ABX_FN int length(const Left &l, const Right &r)
    {
        int k = D.__has_k() ? D.k : metal::numeric_limits<int>::max();
        if constexpr (!is_cooperative<Left>)
            k = least(k, (int)l.get_extent(D.transpose_left ? 1 : 0));
        if constexpr (!is_cooperative<Right>)
            k = least(k, (int)r.get_extent(D.transpose_right ? 0 : 1));
        return k;
    }

    /* ---- SIMD-groups */
    template <class Operand> static constexpr void check()
    {
        typedef typename Operand::element_type T;
        constexpr bool shared = !__is_same(metal::remove_addrspace_t<T>, T);
        static_assert(shared, "threads multiply together what lies in device or threadgroup memory, not "
                              "in a thread's own");
    }
    template <class Tile, class Left> static __ABX_SYNC auto left_factor(const Left &l, int k)
    {
        if constexpr (is_cooperative<Left>) {
            return factor_of<D.transpose_left, natural>(l);
        } else {
            check<Left>();
            auto v = view_of<D.transpose_left>(l);
            v.rows = left_rows(l), v.columns = k;
            return factor_in_memory<decltype(v)>{v, Tile::origin().row};
        }
    }
    template <class Tile, class Right> static __ABX_SYNC auto right_factor(const Right &r, int k)
    {
        if constexpr (is_cooperative<Right>) {
            return factor_of<D.transpose_right, typename Tile::kind>(r);
        } else {
            check<Right>();
            auto v = view_of<D.transpose_right>(r);
            v.columns = right_columns(r), v.rows = k;
            return factor_in_memory<decltype(v)>{v, Tile::origin().column};
        }
    }
    template <class Tile, class Left, class Right>
    static __ABX_FN bool is_whole(const Left &l, const Right &r)
    {
        if constexpr (is_cooperative<Left> || is_cooperative<Right> || Tile::is_apples)
            return false;
        else
            return Tile::origin().row + Tile::part_rows <= left_rows(l) &&
                   Tile::origin().column + Tile::part_columns <= right_columns(r) &&
                   (!is_matrix_type<number_of<typename Left::element_type>> || l.get_stride(0) == 1) &&
                   (!is_matrix_type<number_of<typename Right::element_type>> || r.get_stride(0) == 1);
    }
    /* Adds the product's terms from k0 up to k. */
    template <class Tile, class Left, class Right>
    static __ABX_SYNC void add_floats(const Left &l, const Right &r, float *c, int k0, int k)
    {
        auto a = left_factor<Tile>(l, k);
        auto b = right_factor<Tile>(r, k);
        if constexpr (a.is_loaded || b.is_loaded) {
            multiply_steps<Tile, D.k, false>(a, b, c, 0);
        } else {
            multiply_in_memory<Tile, steps_together<Tile>(D.__has_k() ? D.k : 0)>(
                    a, b, c, k0, k, is_whole<Tile>(l, r));
        }
    }
    /* Sums of whole numbers are exact: in floats as long as they are below 2^24, then added up. */
    template <class Tile, class Left, class Right, class T>
    static __ABX_SYNC void add_integers(const Left &l, const Right &r, T *c, int k)
    {
        constexpr int most = 256; /* 255 * 255 * 256 < 2^24 */
        for (int k0 = 0; k0 < k; k0 += most) {
            float sum[Tile::capacity] = {};
            add_floats<Tile>(l, r, sum, k0, least(k, k0 + most));
            for (int i = 0; i < Tile::capacity; i++)
                c[i] += (T)sum[i];
        }
    }
    template <class Tile, class Left, class Right, class T>
    static __ABX_SYNC void add(const Left &l, const Right &r, T *c)
    {
        int k = length(l, r);
        if (Tile::origin().row >= left_rows(l) || Tile::origin().column >= right_columns(r))
            return;
        if constexpr (__is_same(T, float)) {
            add_floats<Tile>(l, r, c, 0, k);
        } else if constexpr (__is_integral(T)) {
            typedef number_of<typename Left::element_type> left_t;
            typedef number_of<typename Right::element_type> right_t;
            constexpr bool fits = __is_integral(left_t) && __is_integral(right_t) &&
                                  sizeof(left_t) == 1 && sizeof(right_t) == 1;
            static_assert(fits,
                    "matmul2d's whole sums are of products of 4-bit and 8-bit whole numbers");
            add_integers<Tile>(l, r, c, k);
        } else {
            float sum[Tile::capacity];
            for (int i = 0; i < Tile::capacity; i++)
                sum[i] = (float)c[i];
            add_floats<Tile>(l, r, sum, 0, k);
            for (int i = 0; i < Tile::capacity; i++)
                c[i] = (T)sum[i];
        }
    }

    /* ---- one thread */
    template <class Left, class Right, class T>
    static __ABX_FN void add_alone(const Left &l, const Right &r, T *c)
    {
        int k = length(l, r);
        for (int row = 0; row < D.m; row++)
            for (int column = 0; column < D.n; column++) {
                typedef metal::conditional_t<__is_integral(T), T, float> sum_t;
                sum_t sum = (sum_t)c[row * D.n + column];
                for (int i = 0; i < k; i++)
                    sum += (sum_t)element_of<D.transpose_left>(l, row, i) *
                           (sum_t)element_of<D.transpose_right>(r, i, column);
                c[row * D.n + column] = (T)sum;
            }
    }

    template <class L, class Left, class Right, class T>
    static __ABX_SYNC void add_any(const Left &l, const Right &r, T *c)
    {
        if constexpr (!adds)
            for (int i = 0; i < L::capacity; i++)
                c[i] = T(0);
        if constexpr (L::of_threads)
            add_alone(l, r, c);
        else
            add<L>(l, r, c);
    }
    template <class Left, class Right, class Destination>
    static __ABX_SYNC void run(const Left &l, const Right &r, Destination &d)
    {
        if constexpr (is_cooperative<Destination>) {
            typedef typename Destination::layout L;
            constexpr bool fits = L::rows == D.m && L::columns == D.n && L::groups == groups;
            static_assert(fits, "the destination is a cooperative tensor of another operation");
            add_any<L>(l, r, d.__e);
        } else {
            typedef tile<natural> L;
            typedef number_of<typename Destination::element_type> T;
            typedef metal::conditional_t<__is_integral(T), T, float> sum_t;
            sum_t c[L::capacity];
            auto v = view_of<false>(d);
            v.rows = least(v.rows, D.m), v.columns = least(v.columns, D.n);
            if constexpr (adds)
                load_tile<L>(c, v);
            add_any<L>(l, r, c);
            store_tile<L>(c, v);
        }
    }
};
} // namespace __abx

namespace mpp::tensor_ops
{
template <matmul2d_descriptor D, class Scope, class... Arguments> class matmul2d
{
    static constexpr bool __is_scope =
            metal::is_execution_thread_v<Scope> || metal::is_execution_simdgroups_v<Scope>;
    static_assert(__is_scope, "matmul2d's scope is execution_thread, execution_simdgroup or execution_simdgroups<N>");
    static constexpr int __groups = __abx::groups_of<Scope>;
    template <int Rows, int Columns, class Kind>
    using __tile = typename __abx::tile_for<Rows, Columns, __groups, Kind>::type;
    template <class T, class I, class Tile>
    using __cooperative = metal::cooperative_tensor<T,
            metal::extents<I, (size_t)Tile::columns, (size_t)Tile::rows>, Tile>;
    template <class T, class I, class Tile, bool OfRows>
    using __reduced = metal::cooperative_tensor<T,
            metal::extents<I, (size_t)(OfRows ? Tile::rows : Tile::columns)>,
            __abx::reduced<Tile, OfRows>>;
    template <class L, class R>
    static constexpr bool __has_input = __abx::is_cooperative<metal::remove_addrspace_t<L>> ||
                                        __abx::is_cooperative<metal::remove_addrspace_t<R>>;
    /* The sums' layout: as Apple's where the factors are in registers as well, as programs that put
     * their own numbers there count on it. */
    template <class L, class R>
    using __sums = __tile<D.m, D.n,
            metal::conditional_t<__has_input<L, R> && D.m % 16 == 0 && D.n % 16 == 0, __abx::apples,
                    __abx::natural>>;
    template <bool Left, class> struct __input {
        static constexpr bool has_k = D.__has_k();
        static_assert(has_k, "an input that is a cooperative tensor has a static k");
        static constexpr bool one_group = __groups <= 1, of_fragments = __groups == 0 ||
                (D.m % 16 == 0 && D.n % 16 == 0 && D.k % 16 == 0);
        static_assert(one_group, "inputs that are cooperative tensors are of one SIMD-group");
        static_assert(of_fragments, "inputs that are cooperative tensors have multiples of 16 rows and columns");
        static constexpr bool turned = Left ? D.transpose_left : D.transpose_right;
        static constexpr int rows = Left ? D.m : D.k, columns = Left ? D.k : D.n;
        typedef __tile<turned ? columns : rows, turned ? rows : columns, __abx::apples> type;
    };
    /* Of what another operation gave: the same numbers, as an input. */
    template <class To, class T, class E, class L>
    static constexpr bool __converts = false;
    template <class To, class T, class E, int Rows, int Columns, class Kind>
    static constexpr bool __converts<To, T, E, __abx::tile<Rows, Columns, 1, Kind>> =
            To::layout::rows == Rows && To::layout::columns == Columns &&
            __abx::tile<Rows, Columns, 1, Kind>::in_fragments && __groups == 1;
    template <class To, class T, class E, int Rows, int Columns>
    static constexpr bool __converts<To, T, E, __abx::thread_tile<Rows, Columns>> =
            To::layout::rows == Rows && To::layout::columns == Columns && __groups == 0;
    template <class To, class T, class E, class L>
    static __ABX_SYNC To __convert(const metal::cooperative_tensor<T, E, L> &from)
    {
        To to;
        if constexpr (!__converts<To, T, E, L>) {
            ;
        } else if constexpr (__groups == 0) {
            for (int i = 0; i < L::capacity; i++)
                to.__e[i] = __abx::converted_to<typename To::element_type>(from.__e[i]);
        } else {
            T moved[L::capacity];
            L::look();
            for (int i = 0; i < L::capacity; i += 8)
                __abx::move_fragment<typename L::kind, __abx::apples, false>(
                        from.__e + i, moved + i, (int)__abx::lane());
            for (int i = 0; i < L::capacity; i++)
                to.__e[i] = __abx::converted_to<typename To::element_type>(moved[i]);
        }
        return to;
    }

  public:
    static constexpr matmul2d_descriptor descriptor = D;
    typedef Scope scope;

    template <class L, class R, class T, class I = int, class... A>
    using cooperative_tensor_left_input_t =
            __cooperative<__abx::number_of<L>, I, typename __input<true, T>::type>;
    template <class L, class R, class T, class I = int, class... A>
    using cooperative_tensor_right_input_t =
            __cooperative<__abx::number_of<R>, I, typename __input<false, T>::type>;
    template <class L, class R, class T, class I = int, class... A>
    using cooperative_tensor_destination_t = __cooperative<T, I, __sums<L, R>>;
    template <class L, class R, class T, class I = int, class... A>
    using cooperative_tensor_row_reduction_destination_t = __reduced<T, I, __sums<L, R>, true>;
    template <class L, class R, class T, class I = int, class... A>
    using cooperative_tensor_column_reduction_destination_t = __reduced<T, I, __sums<L, R>, false>;

    template <class L, class R, class D_>
    __ABX_SYNC void run(const L &left, const R &right, D_ &&destination) const
    {
        __abx::product<D, Scope>::run(left, right, destination);
    }
    template <class L, class R, class T, class I = int>
    __ABX_SYNC auto get_destination_cooperative_tensor() const
    {
        return cooperative_tensor_destination_t<L, R, T, I>();
    }
    template <class L, class R, class T, class I = int>
    __ABX_SYNC auto get_row_reduction_destination_cooperative_tensor() const
    {
        return cooperative_tensor_row_reduction_destination_t<L, R, T, I>();
    }
    template <class L, class R, class T, class I = int>
    __ABX_SYNC auto get_column_reduction_destination_cooperative_tensor() const
    {
        return cooperative_tensor_column_reduction_destination_t<L, R, T, I>();
    }
#define __ABX_INPUT(side)                                                                          \
    template <class L, class R, class T, class I = int>                                            \
    __ABX_SYNC auto get_##side##_input_cooperative_tensor() const                                  \
    {                                                                                              \
        return cooperative_tensor_##side##_input_t<L, R, T, I>();                                  \
    }                                                                                              \
    template <class L, class R, class T, class I = int, class U, class E, class O>                 \
    __ABX_SYNC auto get_##side##_input_cooperative_tensor(                                         \
            const metal::cooperative_tensor<U, E, O> &from) const                                  \
    {                                                                                              \
        return __convert<cooperative_tensor_##side##_input_t<L, R, T, I>>(from);                   \
    }                                                                                              \
    template <class L, class R, class T, class U, class E, class O>                                \
    __ABX_FN constexpr bool is_compatible_as_##side##_input(                                       \
            const metal::cooperative_tensor<U, E, O> &) const                                      \
    {                                                                                              \
        return __converts<cooperative_tensor_##side##_input_t<L, R, T>, U, E, O>;                  \
    }
    __ABX_INPUT(left)
    __ABX_INPUT(right)
#undef __ABX_INPUT
};

/* ---- reductions */
enum class reduction_operation { sum, max, min };
template <class T> struct reduction_operation_identity {
    static constexpr constant T sum_identity = T(0);
    static constexpr constant T max_identity = metal::numeric_limits<T>::lowest();
    static constexpr constant T min_identity = metal::numeric_limits<T>::max();
};
template <class T> __ABX_FN T __reduced_by(reduction_operation op, T a, T b)
{
    return op == reduction_operation::sum   ? T(a + b)
           : op == reduction_operation::max ? (a > b ? a : b)
                                            : (a < b ? a : b);
}
template <class T, class SE, class DE, class Tile, bool OfRows>
__ABX_SYNC void __reduce(const metal::cooperative_tensor<T, SE, Tile> &from,
        metal::cooperative_tensor<T, DE, __abx::reduced<Tile, OfRows>> &to, reduction_operation op,
        T identity)
{
    constexpr bool together = (OfRows ? Tile::beside : Tile::above) == 1;
    static_assert(together, "what is reduced lies in more than one SIMD-group; use execution_simdgroup");
    typedef __abx::reduced<Tile, OfRows> L;
    Tile::look();
    for (int n = 0; n < L::capacity; n++)
        to.__e[n] = identity;
    for (int i = 0; i < Tile::capacity; i++) {
        T next = __reduced_by(op, to.__e[L::from(i)], from.__e[i]);
        to.__e[L::from(i)] = Tile::is_valid(i) ? next : to.__e[L::from(i)];
    }
    if constexpr (!Tile::of_threads)
        for (int n = 0; n < L::capacity; n++)
            for (int bit = 1; bit < 32; bit *= 2)
                if (OfRows == ((bit & 9) != 0)) /* lanes of the same row differ in these */
                    to.__e[n] = __reduced_by(op, to.__e[n], metal::simd_shuffle_xor(to.__e[n], (ushort)bit));
}
template <class T, class SE, class DE, class Tile>
__ABX_SYNC void reduce_rows(metal::cooperative_tensor<T, SE, Tile> &source,
        metal::cooperative_tensor<T, DE, __abx::reduced<Tile, true>> &destination,
        reduction_operation op = reduction_operation::sum,
        metal::__same_as<T> identity = reduction_operation_identity<T>::sum_identity)
{
    __reduce(source, destination, op, identity);
}
template <class T, class SE, class DE, class Tile>
__ABX_SYNC void reduce_columns(metal::cooperative_tensor<T, SE, Tile> &source,
        metal::cooperative_tensor<T, DE, __abx::reduced<Tile, false>> &destination,
        reduction_operation op = reduction_operation::sum,
        metal::__same_as<T> identity = reduction_operation_identity<T>::sum_identity)
{
    __reduce(source, destination, op, identity);
}
/* Whether destination.map_iterator() takes the source's iterators. */
template <class S, class D, class SE, class DE, class SL, class DL>
__ABX_FN constexpr bool is_iterator_compatible(const metal::cooperative_tensor<S, SE, SL> &,
        const metal::cooperative_tensor<D, DE, DL> &)
{
    if constexpr (__abx::is_reduced<DL> && !__abx::is_reduced<SL>)
        return __is_same(typename DL::tile, SL);
    else
        return __is_same(SL, DL);
}

/* ---- what is not there */
struct convolution2d_descriptor {
    template <class... A> constexpr convolution2d_descriptor(A...)
    {
        constexpr bool supported = sizeof...(A) > 1000;
        static_assert(supported, "mpp::tensor_ops::convolution2d is not supported yet");
    }
};
template <auto D, class Scope, class... A> struct convolution2d {
};
} // namespace mpp::tensor_ops
