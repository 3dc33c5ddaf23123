/* shim: <metal_cooperative_tensor>: a matrix that the threads of a SIMD-group, or of several, hold
 * together, each some of its elements; and which ones they are. matmul2d (primitives.h) hands them
 * out. */
#pragma once
#pragma GCC system_header
#include "fragments.h"
namespace __abx
{
constexpr int round_up(int n, int to)
{
    return (n + to - 1) / to * to;
}
/* How many parts side by side `groups` SIMD-groups make of a matrix: so that no more is padded than
 * has to be, and the parts are as square as they get. */
constexpr int parts_beside(int rows, int columns, int groups)
{
    int best = 1;
    long least = -1;
    for (int n = 1; n <= groups; n++) {
        if (groups % n)
            continue;
        long r = round_up((rows * n + groups - 1) / groups, 8), c = round_up((columns + n - 1) / n, 8);
        long cost = r * c * 1024 + r + c;
        if (least < 0 || cost < least)
            least = cost, best = n;
    }
    return best;
}

/* Rows x Columns among Groups SIMD-groups, each of which has a part of 8x8 blocks. */
template <int Rows, int Columns, int Groups, class Kind> struct tile {
    typedef Kind kind;
    static constexpr int rows = Rows, columns = Columns, groups = Groups,
                         beside = parts_beside(Rows, Columns, Groups), above = Groups / beside,
                         part_rows = round_up((Rows + above - 1) / above, 8),
                         part_columns = round_up((Columns + beside - 1) / beside, 8),
                         down = part_rows / 8, across = part_columns / 8, /* blocks */
            blocks = down * across, capacity = 2 * blocks;
    static constexpr bool of_threads = false, is_apples = __is_same(Kind, apples),
                          in_fragments = part_rows % 16 == 0 && part_columns % 16 == 0,
                          is_full = part_rows * above == Rows && part_columns * beside == Columns;
    static_assert(!is_apples || in_fragments);

    static __ABX_FN constexpr int block_down(int b)
    {
        return in_fragments ? b / 4 / (across / 2) * 2 + (b >> 1 & 1) : b / across;
    }
    static __ABX_FN constexpr int block_across(int b)
    {
        return in_fragments ? b / 4 % (across / 2) * 2 + (b & 1) : b % across;
    }
    static __ABX_FN constexpr int block(int i, int j)
    {
        return in_fragments ? (i / 2 * (across / 2) + j / 2) * 4 + (i & 1) * 2 + (j & 1)
                            : i * across + j;
    }
    /* Where the SIMD-group's part begins. */
    static __ABX_FN place origin()
    {
        if constexpr (Groups == 1)
            return {0, 0};
        int group = (int)__abx_builtin(ABX_BUILTIN_SIMDGROUP * 4);
        return {group / beside * part_rows, group % beside * part_columns};
    }
    static __ABX_FN place at(int i)
    {
        place p = origin();
        int b = i / 2;
        p.row += 8 * block_down(b) + block_row(i & 1);
        if constexpr (is_apples)
            p.column += block_across(b) / 2 * 16 + (block_column(0) & 6) * 2 +
                        (block_across(b) & 1) * 2 + (i & 1);
        else
            p.column += 8 * block_across(b) + block_column(i & 1);
        return p;
    }
    static __ABX_FN bool is_valid(int i)
    {
        if constexpr (is_full)
            return true;
        place p = at(i);
        return p.row < Rows && p.column < Columns;
    }
    /* The element's row and column among those that the thread has. */
    static __ABX_FN constexpr int row_of(int i)
    {
        return block_down(i / 2);
    }
    static __ABX_FN constexpr int column_of(int i)
    {
        return 2 * block_across(i / 2) + (i & 1);
    }
    static constexpr int thread_rows = down, thread_columns = 2 * across, each = 2;
    /* How many elements lie in the matrix's first rows, or with others that do. Known only when it
     * runs, so that the code that goes element by element stays a loop. */
    static __ABX_FN int reach(int first_rows)
    {
        int in = first_rows - origin().row;
        in = in < part_rows ? in : part_rows;
        return in_fragments ? (in + 15) / 16 * 4 * across : (in + 7) / 8 * 2 * across;
    }
    static __ABX_FN void look()
    {
        __abx_matrix_elements();
    }
};

/* A thread has it all: execution_thread. */
template <int Rows, int Columns> struct thread_tile {
    static constexpr int rows = Rows, columns = Columns, groups = 0, beside = 1, above = 1,
                         capacity = Rows * Columns, thread_rows = Rows, thread_columns = Columns,
                         each = 1;
    static constexpr bool of_threads = true, is_full = true;
    static __ABX_FN int reach(int first_rows)
    {
        return (first_rows < Rows ? first_rows : Rows) * Columns;
    }
    static __ABX_FN place at(int i)
    {
        return {i / Columns, i % Columns};
    }
    static __ABX_FN bool is_valid(int)
    {
        return true;
    }
    static __ABX_FN constexpr int row_of(int i)
    {
        return i / Columns;
    }
    static __ABX_FN constexpr int column_of(int i)
    {
        return i % Columns;
    }
    static __ABX_FN void look()
    {
    }
};

/* What is left of a tile when its rows, or columns, are reduced to one number each. */
template <class Tile, bool OfRows> struct reduced {
    typedef Tile tile;
    static constexpr int capacity = OfRows ? Tile::thread_rows : Tile::thread_columns;
    static __ABX_FN constexpr int from(int i)
    {
        return OfRows ? Tile::row_of(i) : Tile::column_of(i);
    }
    static __ABX_FN int line(int i)
    {
        int k = 0; /* the first of that line */
        for (int n = Tile::capacity - 1; n >= 0; n--)
            k = from(n) == i ? n : k;
        place p = Tile::at(k);
        return OfRows ? p.row : p.column;
    }
    static __ABX_FN bool is_valid(int i)
    {
        if constexpr (Tile::is_full)
            return true;
        return line(i) < (OfRows ? Tile::rows : Tile::columns);
    }
    static __ABX_FN void look()
    {
        Tile::look();
    }
};
/* ---- to and from memory: whole blocks where the part lies in the matrix; its elements one by one, by
 * short code, where it does not, or is not in blocks */
template <class L, class V> __ABX_FN bool is_inside(const V &v)
{
    if constexpr (!is_matrix_type<typename V::value>)
        return false;
    if constexpr (L::of_threads || !L::is_full)
        return false;
    else if constexpr (L::is_apples)
        return false;
    else {
        place p = L::origin();
        return v.step == 1 && p.row + L::part_rows <= v.rows &&
               p.column + L::part_columns <= v.columns;
    }
}
template <class L, class T, class V> __ABX_SYNC void load_tile(T *e, const V &v)
{
    if (is_inside<L>(v)) {
        if constexpr (!L::of_threads && is_matrix_type<typename V::value>) {
            place p = L::origin();
            for (int b = 0; b < L::blocks; b++) {
                auto x = load_rows(v, p.row + 8 * L::block_down(b), p.column + 8 * L::block_across(b));
                e[2 * b] = converted_to<T>(x[0]);
                e[2 * b + 1] = converted_to<T>(x[1]);
            }
        }
    } else {
        T all[L::capacity] = {};
        for (int i = 0, end = L::reach(v.rows); i < end; i += L::each) {
            for (int n = 0; n < L::each; n++) {
                place p = L::at(i + n);
                all[i + n] = L::is_valid(i + n) ? converted_to<T>(v.get(p.row, p.column)) : T(0);
            }
        }
        for (int i = 0; i < L::capacity; i++)
            e[i] = all[i];
    }
}
template <class L, class T, class V> __ABX_SYNC void store_tile(const T *e, const V &v)
{
    typedef typename V::value U;
    if (is_inside<L>(v)) {
        if constexpr (!L::of_threads && is_matrix_type<U>) {
            place p = L::origin();
            for (int b = 0; b < L::blocks; b++) {
                auto *to = v.data + v.offset(p.row + 8 * L::block_down(b),
                                            p.column + 8 * L::block_across(b));
                matrix_store<false>(metal::vec<U, 2>(converted_to<U>(e[2 * b]),
                                            converted_to<U>(e[2 * b + 1])),
                        to, (ulong)v.per_row);
            }
        }
    } else {
        T all[L::capacity];
        for (int i = 0; i < L::capacity; i++)
            all[i] = e[i];
        for (int i = 0, end = L::reach(v.rows); i < end; i += L::each) {
            for (int n = 0; n < L::each; n++) {
                place p = L::at(i + n);
                if (L::is_valid(i + n))
                    v.set(p.row, p.column, all[i + n]);
            }
        }
    }
}

template <class L> constexpr bool is_reduced = false;
template <class Tile, bool OfRows> constexpr bool is_reduced<reduced<Tile, OfRows>> = true;
} // namespace __abx

namespace metal
{
template <class T, class E, class L> struct cooperative_tensor;

template <class Tensor> struct __cooperative_iterator {
    Tensor *__tensor;
    int __i;
    typedef __remove_cv(typename remove_cv_t<Tensor>::element_type) value_type;
    typedef ptrdiff_t difference_type;
    __MSL_AI auto &operator*() const
    {
        return (*__tensor)[__i];
    }
    __MSL_AI auto *operator->() const
    {
        return &(*__tensor)[__i];
    }
    __MSL_AI __cooperative_iterator &operator++()
    {
        __i++;
        return *this;
    }
    __MSL_AI __cooperative_iterator operator++(int)
    {
        return {__tensor, __i++};
    }
    __MSL_AI __cooperative_iterator &operator--()
    {
        __i--;
        return *this;
    }
    __MSL_AI __cooperative_iterator &operator+=(int n)
    {
        __i += n;
        return *this;
    }
    __MSL_AI __cooperative_iterator operator+(int n) const
    {
        return {__tensor, __i + n};
    }
    __MSL_AI int operator-(__cooperative_iterator o) const
    {
        return __i - o.__i;
    }
    __MSL_AI bool operator==(__cooperative_iterator o) const
    {
        return __i == o.__i;
    }
    __MSL_AI bool operator<(__cooperative_iterator o) const
    {
        return __i < o.__i;
    }
    __MSL_AI int get_index() const
    {
        return __i;
    }
    __MSL_AI bool is_valid_element() const
    {
        return __tensor->is_valid_element(__i);
    }
    __MSL_AI auto get_multidimensional_index() const
    {
        return __tensor->get_multidimensional_index(__i);
    }
};

template <class T, class E, class L> struct cooperative_tensor {
    typedef T element_type;
    typedef T value_type;
    typedef E extents_type;
    typedef L layout;
    typedef uint16_t thread_index_type;
    typedef typename E::index_type index_type;
    typedef __cooperative_iterator<cooperative_tensor> iterator;
    typedef __cooperative_iterator<const cooperative_tensor> const_iterator;
    T __e[L::capacity];

    __MSL_AI cooperative_tensor() : __e{}
    {
    }
    static __MSL_AI constexpr uint16_t get_capacity()
    {
        return (uint16_t)L::capacity;
    }
    static __MSL_AI constexpr size_t get_rank()
    {
        return E::rank();
    }
    static __MSL_AI constexpr index_type get_extent(size_t i)
    {
        return E().extent(i);
    }
    __MSL_AI thread T &operator[](int i)
    {
        L::look();
        return __e[i];
    }
    __MSL_AI const thread T &operator[](int i) const
    {
        L::look();
        return __e[i];
    }
    __MSL_AI T get(int i) const
    {
        return (*this)[i];
    }
    __MSL_AI void set(int i, T v)
    {
        (*this)[i] = v;
    }
    /* Whether the thread's element is one of the matrix at all. */
    static __MSL_AI bool is_valid_element(int i)
    {
        return L::is_valid(i);
    }
    static __MSL_AI bool get_mask(int i)
    {
        return L::is_valid(i);
    }
    /* {column, row}; of a reduced one {row} or {column}. */
    static __MSL_AI array<index_type, E::rank()> get_multidimensional_index(int i)
    {
        if constexpr (__abx::is_reduced<L>) {
            return {index_type(L::line(i))};
        } else {
            __abx::place p = L::at(i);
            return {index_type(p.column), index_type(p.row)};
        }
    }
    template <class Tensor>
    static __MSL_AI auto get_multidimensional_index(__cooperative_iterator<Tensor> it)
    {
        return get_multidimensional_index(it.__i);
    }
    __MSL_AI iterator get_iterator(int i)
    {
        return {this, i};
    }
    __MSL_AI iterator begin()
    {
        return {this, 0};
    }
    __MSL_AI iterator end()
    {
        return {this, L::capacity};
    }
    __MSL_AI const_iterator begin() const
    {
        return {this, 0};
    }
    __MSL_AI const_iterator end() const
    {
        return {this, L::capacity};
    }
    __MSL_AI const_iterator cbegin() const
    {
        return begin();
    }
    __MSL_AI const_iterator cend() const
    {
        return end();
    }
    /* The element that stands where another tensor's does: of the same layout, or reduced of it. */
    template <class Tensor> __MSL_AI iterator map_iterator(__cooperative_iterator<Tensor> it)
    {
        return {this, __map<typename remove_cv_t<Tensor>::layout>(it.__i)};
    }
    template <class Tensor>
    __MSL_AI const_iterator map_iterator(__cooperative_iterator<Tensor> it) const
    {
        return {this, __map<typename remove_cv_t<Tensor>::layout>(it.__i)};
    }
    template <class Other> static __MSL_AI int __map(int i)
    {
        if constexpr (__abx::is_reduced<L> && !__abx::is_reduced<Other>)
            return L::from(i);
        else
            return i;
    }

    /* What lies outside the tensor is zero when it is loaded, and is not stored. */
    template <class U, class F, class... Tags>
    __MSL_CONVERGENT void load(const tensor<U, F, tensor_inline, Tags...> &t)
    {
        __abx::load_tile<L>(__e, __abx::view_of<false>(t));
    }
    template <class U, class F, class... Tags>
    __MSL_CONVERGENT void store(const tensor<U, F, tensor_inline, Tags...> &t) const
    {
        __abx::store_tile<L>(__e, __abx::view_of<false>(t));
    }
};
template <class T> struct is_cooperative_tensor : false_type {
};
template <class T, class E, class L>
struct is_cooperative_tensor<cooperative_tensor<T, E, L>> : true_type {
};
template <class T> constexpr constant bool is_cooperative_tensor_v = is_cooperative_tensor<T>::value;
} // namespace metal
