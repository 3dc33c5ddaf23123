/* shim: pieces of matrices that a SIMD-group holds together, for cooperative tensors and products of
 * tensors: 8x8 blocks, of which each lane has two elements, as of a simdgroup_matrix (simdgroup.h),
 * and 16x16 fragments of four of them.
 *
 * A fragment's eight elements in a lane are numbered 4 * (lower half) + 2 * (right block) + (second
 * element). There are two layouts, both with the same rows in a lane, which is also how Apple's
 * compiler has rows:
 *
 *   natural  blocks are what they seem: four matrices. What is loaded from and stored to memory.
 *   apples   a lane has four neighbours of each of its two rows, as in Apple's 16x16 fragments. Seen
 *            as blocks its columns are permuted: column c of block b is column
 *            4 * (c / 2) + 2 * b + c % 2. A product whose right factor and sum are both permuted so
 *            is right as it stands. */
#pragma once
#pragma GCC system_header
#include "tensor.h"
namespace __abx
{
template <class T> constexpr bool is_matrix_type = is_float<T>; /* that markers load and store */

/* The row and column of a block's elements, in the layout that the code generator chose. */
__ABX_FN int block_row(int e)
{
    return (int)(e ? __abx_builtin(ABX_BUILTIN_MATRIX_E1 * 4) : __abx_builtin(ABX_BUILTIN_MATRIX_E0 * 4));
}
__ABX_FN int block_column(int e)
{
    return (int)(e ? __abx_builtin(ABX_BUILTIN_MATRIX_E1 * 4 + 1)
                   : __abx_builtin(ABX_BUILTIN_MATRIX_E0 * 4 + 1));
}

struct place {
    int row, column;
};
struct holder {
    int lane, index;
};
struct natural {
    static __ABX_FN constexpr place at(int lane, int i)
    {
        return {(lane >> 2 & 4) + (lane >> 1 & 3) + 8 * (i >> 2),
                (lane >> 1 & 4) + (lane << 1 & 2) + 8 * (i >> 1 & 1) + (i & 1)};
    }
    static __ABX_FN constexpr holder of(place p)
    {
        int r = p.row & 7, c = p.column & 7;
        return {(r & 4) << 2 | (r & 3) << 1 | (c & 4) << 1 | c >> 1 & 1,
                4 * (p.row >> 3) + 2 * (p.column >> 3) + (c & 1)};
    }
};
struct apples {
    static __ABX_FN constexpr place at(int lane, int i)
    {
        return {(lane >> 2 & 4) + (lane >> 1 & 3) + 8 * (i >> 2),
                (lane & 8) + (lane << 2 & 4) + (i & 3)};
    }
    static __ABX_FN constexpr holder of(place p)
    {
        int r = p.row & 7, g = p.column >> 2;
        return {(r & 4) << 2 | (r & 3) << 1 | (g & 2) << 2 | (g & 1),
                4 * (p.row >> 3) + (p.column & 3)};
    }
};
template <class From, class To, bool Turned> __ABX_FN constexpr holder source_of(int lane, int i)
{
    place p = To::at(lane, i);
    return From::of(Turned ? place{p.column, p.row} : p);
}
template <class From, class To, bool Turned> constexpr bool is_source(int i, int from)
{
    for (int lane = 0; lane < 32; lane++)
        if (source_of<From, To, Turned>(lane, i).index == from)
            return true;
    return false;
}
/* Element I of a fragment in another layout, or of its transpose, from the lanes that have it. */
template <class From, class To, bool Turned, int I, int K, class T>
__ABX_SYNC T moved_element(const T *from, int l, T r)
{
    if constexpr (K < 8) {
        if constexpr (is_source<From, To, Turned>(I, K)) {
            holder h = source_of<From, To, Turned>(l, I);
            T v = shuffle(from[K], (uint)h.lane);
            r = h.index == K ? v : r;
        }
        return moved_element<From, To, Turned, I, K + 1>(from, l, r);
    } else {
        return r;
    }
}
template <class From, class To, bool Turned, int I = 0, class T>
__ABX_SYNC void move_fragment(const T *from, T *to, int l)
{
    if constexpr (I < 8) {
        if constexpr (__is_same(From, To) && !Turned)
            to[I] = from[I];
        else
            to[I] = moved_element<From, To, Turned, I, 0>(from, l, T(0));
        move_fragment<From, To, Turned, I + 1>(from, to, l);
    }
}

/* Clang has no conversion between the 16-bit floats. */
template <class T, class U> __ABX_FN T converted_to(U v)
{
    if constexpr (is_float<T> && is_float<U> && !__is_same(T, U))
        return (T)(float)v;
    else
        return (T)v;
}

/* A matrix in memory as a product sees it: element (row, column) at row * per_row + column, or where
 * it is turned at column * per_row + row; those from `rows` and `columns` on are not there. `step`,
 * the distance of neighbours, is 1 but in what a program made itself. */
template <class T, bool Turned> struct view {
    typedef metal::__element<T> element;
    typedef typename element::stored stored;
    typedef typename element::value value;
    stored *data;
    long per_row, step;
    int rows, columns;

    __ABX_FN long offset(long row, long column) const
    {
        return Turned ? column * per_row + row * step : row * per_row + column * step;
    }
    __ABX_FN value get(int row, int column) const
    {
        bool there = row < rows && column < columns;
        long at = there ? offset(row, column) : 0;
        return there ? element::get(data, at) : value(0);
    }
    template <class U> __ABX_FN void set(int row, int column, U v) const
    {
        if (row < rows && column < columns)
            data[offset(row, column)] = converted_to<value>(v);
    }
};
template <bool Turned, class T, class E, class... Tags>
__ABX_FN view<T, Turned> view_of(const metal::tensor<T, E, metal::tensor_inline, Tags...> &t)
{
    constexpr bool two = E::rank() == 2;
    static_assert(two, "matmul2d multiplies tensors of two dimensions");
    int outer = (int)t.get_extent(1), inner = (int)t.get_extent(0);
    return {t.data(), (long)t.get_stride(1), (long)t.get_stride(0), Turned ? inner : outer,
            Turned ? outer : inner};
}

/* The number as a factor. Small integers are halves, which have them all, on their way to floats. */
template <class T> __ABX_FN float factor(T v)
{
    if constexpr (__is_integral(T) && sizeof(T) == 1)
        return (float)(_Float16)(int)v;
    else
        return (float)v;
}

/* The block at (row, column), which is there as a whole; or, where some of it may not be, with zeros
 * for the rest. */
template <bool Whole, class V>
__ABX_SYNC metal::vec<typename V::value, 2> load_block(const V &v, int row, int column)
{
    typedef typename V::value T;
    if constexpr (Whole) {
        return load_rows(v, row, column);
    } else {
        return metal::vec<T, 2>(v.get(row + block_row(0), column + block_column(0)),
                v.get(row + block_row(1), column + block_column(1)));
    }
}
template <class T, bool Turned>
__ABX_SYNC metal::vec<typename view<T, Turned>::value, 2> load_rows(
        const view<T, Turned> &v, int row, int column)
{
    typedef typename view<T, Turned>::value E;
    if constexpr (is_matrix_type<E>)
        return matrix_load<Turned>(metal::vec<E, 2>(), v.data + v.offset(row, column), (ulong)v.per_row);
    else
        return metal::vec<E, 2>(
                view<T, Turned>::element::get(v.data, v.offset(row + block_row(0), column + block_column(0))),
                view<T, Turned>::element::get(v.data, v.offset(row + block_row(1), column + block_column(1))));
}
} // namespace __abx
