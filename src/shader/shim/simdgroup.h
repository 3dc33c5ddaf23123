/* shim: barriers, SIMD-group and quad-group functions, 8x8 matrices: the public overloads of
 * <metal_simdgroup>, <metal_simdgroup_matrix>, <metal_quadgroup> and the synchronisation part of
 * <metal_compute>, on the code generator's markers (markers.h).
 *
 * Needs before it: base.h and metal::vec (with operator[]). Defines mem_flags, memory_order and
 * thread_scope as well, which atomics share. */
#pragma once
#pragma GCC system_header
#include "markers.h"

extern "C" {
__attribute__((const, nothrow)) unsigned __abx_builtin(unsigned);
__attribute__((convergent, nothrow)) void __abx_barrier(unsigned);
// For rewrite/leave_out.c. It never has a body, and unlike these markers' its name says so: __abx_...
// would count as code that can be made (frontend/reflect_sure.c).
__attribute__((convergent, nothrow)) void __lacks_textures();
__attribute__((convergent, nothrow)) void __abx_simd_barrier(unsigned);
__attribute__((convergent, nothrow)) unsigned long __abx_simd(
        unsigned, unsigned long, unsigned long);
#define __ABX_MATRIX_MARKERS(T, name)                                                              \
    __attribute__((convergent, nothrow, pure)) T __abx_matrix_load_##name(                         \
            const void *, unsigned long, unsigned);                                                \
    __attribute__((convergent, nothrow)) void __abx_matrix_store_##name(                           \
            void *, unsigned long, unsigned, T, T);
__ABX_MATRIX_MARKERS(float, f32)
__ABX_MATRIX_MARKERS(_Float16, f16)
__ABX_MATRIX_MARKERS(__bf16, bf16)
#undef __ABX_MATRIX_MARKERS
__attribute__((convergent, nothrow, const)) float __abx_matrix_multiply(
        unsigned, float, float, float, float, float, float);
__attribute__((convergent, nothrow)) void __abx_matrix_elements(void);
}

#define __ABX_FN __attribute__((always_inline)) inline
#define __ABX_SYNC __attribute__((convergent, always_inline)) inline

namespace metal
{
enum memory_order {
    memory_order_relaxed = 0,
    memory_order_acquire = 2,
    memory_order_release = 3,
    memory_order_acq_rel = 4,
    memory_order_seq_cst = 5
};
enum thread_scope {
    thread_scope_thread,
    thread_scope_simdgroup,
    thread_scope_threadgroup,
    thread_scope_device
};
/* In a namespace of their own, so that only these flags find the operators; see vec.h. The barriers
 * are there because a program may leave it to the flags to find them. */
namespace __flags
{
enum class mem_flags : uint {
    mem_none = 0,
    mem_device = 1,
    mem_threadgroup = 2,
    mem_texture = 4,
    mem_threadgroup_imageblock = 8,
    mem_object_data = 16
};
__ABX_FN constexpr mem_flags operator|(mem_flags a, mem_flags b)
{
    return mem_flags(uint(a) | uint(b));
}
__ABX_FN constexpr mem_flags operator&(mem_flags a, mem_flags b)
{
    return mem_flags(uint(a) & uint(b));
}
__ABX_SYNC void threadgroup_barrier(mem_flags flags, thread_scope = thread_scope_threadgroup)
{
    __abx_barrier((uint)flags);
}
__ABX_SYNC void simdgroup_barrier(mem_flags flags, thread_scope = thread_scope_simdgroup)
{
    __abx_simd_barrier((uint)flags);
}
} // namespace __flags
using __flags::mem_flags;
using __flags::simdgroup_barrier;
using __flags::threadgroup_barrier;
} // namespace metal

/* ---- values to and from the marker's 64 bits */
namespace __abx
{
__ABX_FN uint lane()
{
    return __abx_builtin(ABX_BUILTIN_LANE * 4);
}

template <class T>
constexpr bool is_float =
        __is_same(T, float) || __is_same(T, _Float16) || __is_same(T, __bf16);
template <class T> constexpr bool is_number = __is_integral(T) || is_float<T>;

template <class T> constexpr uint type_code()
{
    if constexpr (is_float<T>)
        return ABX_SIMD_F32;
    else if constexpr (sizeof(T) == 8)
        return __is_signed(T) ? ABX_SIMD_I64 : ABX_SIMD_U64;
    else
        return __is_signed(T) ? ABX_SIMD_I32 : ABX_SIMD_U32;
}
template <class T> __ABX_FN unsigned long encode(T v)
{
    if constexpr (is_float<T>)
        return __builtin_bit_cast(unsigned, (float)v);
    else if constexpr (sizeof(T) == 8)
        return (unsigned long)v;
    else
        return (unsigned)v;
}
template <class T> __ABX_FN T decode(unsigned long v)
{
    if constexpr (is_float<T>)
        return (T)__builtin_bit_cast(float, (unsigned)v);
    else
        return (T)v;
}
template <class T> __ABX_SYNC T simd(uint op, T v)
{
    return decode<T>(__abx_simd(op | type_code<T>(), encode(v), 0));
}
template <class T> __ABX_SYNC T shuffle(T v, uint lane)
{
    return decode<T>(__abx_simd(ABX_SIMD_SHUFFLE | type_code<T>(), encode(v), lane));
}
} // namespace __abx

namespace metal
{
/* Numbers of up to 32 bits; the name is Apple's, whose errors have it. Programs bring overloads of
 * their own for 64 bits. */
template <class T>
struct __is_valid_simdgroup_type : bool_constant<__abx::is_number<T> && sizeof(T) < 8> {
};

/* One overload for scalars, one that applies it to each component of a vector. */
#define __ABX_REDUCE(name, op)                                                                     \
    template <class T, enable_if_t<__is_valid_simdgroup_type<T>::value, int> = 0>                     \
    __ABX_SYNC T name(T v)                                                                         \
    {                                                                                              \
        return __abx::simd<T>(op, v);                                                              \
    }                                                                                              \
    template <class T, int N> __ABX_SYNC vec<T, N> name(vec<T, N> v)                               \
    {                                                                                              \
        vec<T, N> r;                                                                               \
        for (int i = 0; i < N; i++)                                                                \
            r[i] = name((T)v[i]);                                                                  \
        return r;                                                                                  \
    }
__ABX_REDUCE(simd_sum, ABX_SIMD_ADD)
__ABX_REDUCE(simd_product, ABX_SIMD_MUL)
__ABX_REDUCE(simd_min, ABX_SIMD_MIN)
__ABX_REDUCE(simd_max, ABX_SIMD_MAX)
__ABX_REDUCE(simd_and, ABX_SIMD_AND)
__ABX_REDUCE(simd_or, ABX_SIMD_OR)
__ABX_REDUCE(simd_xor, ABX_SIMD_XOR)
__ABX_REDUCE(simd_broadcast_first, ABX_SIMD_FIRST)
__ABX_REDUCE(simd_prefix_inclusive_sum, ABX_SIMD_SCAN_ADD)
__ABX_REDUCE(simd_prefix_inclusive_product, ABX_SIMD_SCAN_MUL)
__ABX_REDUCE(simd_prefix_exclusive_sum, ABX_SIMD_XSCAN_ADD)
__ABX_REDUCE(simd_prefix_exclusive_product, ABX_SIMD_XSCAN_MUL)
__ABX_REDUCE(quad_sum, ABX_SIMD_ADD | ABX_SIMD_QUAD)
__ABX_REDUCE(quad_product, ABX_SIMD_MUL | ABX_SIMD_QUAD)
__ABX_REDUCE(quad_min, ABX_SIMD_MIN | ABX_SIMD_QUAD)
__ABX_REDUCE(quad_max, ABX_SIMD_MAX | ABX_SIMD_QUAD)
__ABX_REDUCE(quad_and, ABX_SIMD_AND | ABX_SIMD_QUAD)
__ABX_REDUCE(quad_or, ABX_SIMD_OR | ABX_SIMD_QUAD)
__ABX_REDUCE(quad_xor, ABX_SIMD_XOR | ABX_SIMD_QUAD)
__ABX_REDUCE(quad_broadcast_first, ABX_SIMD_FIRST | ABX_SIMD_QUAD)
__ABX_REDUCE(quad_prefix_inclusive_sum, ABX_SIMD_SCAN_ADD | ABX_SIMD_QUAD)
__ABX_REDUCE(quad_prefix_inclusive_product, ABX_SIMD_SCAN_MUL | ABX_SIMD_QUAD)
__ABX_REDUCE(quad_prefix_exclusive_sum, ABX_SIMD_XSCAN_ADD | ABX_SIMD_QUAD)
__ABX_REDUCE(quad_prefix_exclusive_product, ABX_SIMD_XSCAN_MUL | ABX_SIMD_QUAD)
#undef __ABX_REDUCE

/* A function of one value and a lane number, mask or distance `d`; `l` is the caller's lane. */
#define __ABX_SHUFFLE(name, ...)                                                                   \
    template <class T, enable_if_t<__is_valid_simdgroup_type<T>::value, int> = 0>                     \
    __ABX_SYNC T name(T v, ushort d)                                                               \
    {                                                                                              \
        uint l = __abx::lane();                                                                    \
        __VA_ARGS__                                                                                \
    }                                                                                              \
    template <class T, int N> __ABX_SYNC vec<T, N> name(vec<T, N> v, ushort d)                     \
    {                                                                                              \
        vec<T, N> r;                                                                               \
        for (int i = 0; i < N; i++)                                                                \
            r[i] = name((T)v[i], d);                                                               \
        return r;                                                                                  \
    }
__ABX_SHUFFLE(simd_shuffle, (void)l; return __abx::shuffle(v, d);)
__ABX_SHUFFLE(simd_broadcast, (void)l; return __abx::shuffle(v, d);)
__ABX_SHUFFLE(simd_shuffle_xor, return __abx::shuffle(v, l ^ d);)
__ABX_SHUFFLE(simd_shuffle_down, T r = __abx::shuffle(v, l + d); return l + d < 32 ? r : v;)
__ABX_SHUFFLE(simd_shuffle_up, T r = __abx::shuffle(v, l - d); return l >= d ? r : v;)
__ABX_SHUFFLE(simd_shuffle_rotate_down, return __abx::shuffle(v, (l + d) & 31);)
__ABX_SHUFFLE(simd_shuffle_rotate_up, return __abx::shuffle(v, (l - d) & 31);)
__ABX_SHUFFLE(quad_shuffle, return __abx::shuffle(v, (l & ~3u) | (d & 3));)
__ABX_SHUFFLE(quad_broadcast, return __abx::shuffle(v, (l & ~3u) | (d & 3));)
__ABX_SHUFFLE(quad_shuffle_xor, return __abx::shuffle(v, (l & ~3u) | ((l ^ d) & 3));)
__ABX_SHUFFLE(quad_shuffle_down, T r = __abx::shuffle(v, (l & ~3u) | ((l + d) & 3));
              return (l & 3) + d < 4 ? r : v;)
__ABX_SHUFFLE(quad_shuffle_up, T r = __abx::shuffle(v, (l & ~3u) | ((l - d) & 3));
              return (l & 3) >= d ? r : v;)
__ABX_SHUFFLE(quad_shuffle_rotate_down, return __abx::shuffle(v, (l & ~3u) | ((l + d) & 3));)
__ABX_SHUFFLE(quad_shuffle_rotate_up, return __abx::shuffle(v, (l & ~3u) | ((l - d) & 3));)
#undef __ABX_SHUFFLE

#define __ABX_FILL(name, width, ...)                                                               \
    template <class T, enable_if_t<__is_valid_simdgroup_type<T>::value, int> = 0>                     \
    __ABX_SYNC T name(T v, T fill, ushort d, ushort modulo = width)                                \
    {                                                                                              \
        uint l = __abx::lane(), m = modulo, i = l % m, start = l - i;                              \
        __VA_ARGS__                                                                                \
    }                                                                                              \
    template <class T, int N>                                                                      \
    __ABX_SYNC vec<T, N> name(vec<T, N> v, vec<T, N> fill, ushort d, ushort modulo = width)        \
    {                                                                                              \
        vec<T, N> r;                                                                               \
        for (int i = 0; i < N; i++)                                                                \
            r[i] = name((T)v[i], (T)fill[i], d, modulo);                                           \
        return r;                                                                                  \
    }
#define __ABX_FILL_UP                                                                              \
    T a = __abx::shuffle(v, l - d), b = __abx::shuffle(fill, start + (i + m - d) % m);             \
    return i >= d ? a : b;
#define __ABX_FILL_DOWN                                                                            \
    T a = __abx::shuffle(v, l + d), b = __abx::shuffle(fill, start + (i + d) % m);                 \
    return i + d < m ? a : b;
__ABX_FILL(simd_shuffle_and_fill_up, 32, __ABX_FILL_UP)
__ABX_FILL(simd_shuffle_and_fill_down, 32, __ABX_FILL_DOWN)
__ABX_FILL(quad_shuffle_and_fill_up, 4, __ABX_FILL_UP)
__ABX_FILL(quad_shuffle_and_fill_down, 4, __ABX_FILL_DOWN)
#undef __ABX_FILL
#undef __ABX_FILL_UP
#undef __ABX_FILL_DOWN

/* ---- votes */
struct simd_vote {
    typedef ulong vote_t;
    explicit constexpr simd_vote(vote_t v = 0) : __bits(v)
    {
    }
    explicit constexpr operator vote_t() const
    {
        return __bits;
    }
    constexpr bool all() const
    {
        return __bits == 0xffffffffu;
    }
    constexpr bool any() const
    {
        return __bits != 0;
    }
    vote_t __bits;
};
struct quad_vote {
    typedef ushort vote_t;
    explicit constexpr quad_vote(vote_t v = 0) : __bits(v)
    {
    }
    explicit constexpr operator vote_t() const
    {
        return __bits;
    }
    constexpr bool all() const
    {
        return __bits == 15;
    }
    constexpr bool any() const
    {
        return __bits != 0;
    }
    vote_t __bits;
};
__ABX_SYNC simd_vote simd_ballot(bool p)
{
    return simd_vote(__abx_simd(ABX_SIMD_BALLOT | ABX_SIMD_U32, p, 0));
}
__ABX_SYNC simd_vote simd_active_threads_mask()
{
    return simd_ballot(true);
}
__ABX_SYNC bool simd_any(bool p)
{
    return __abx_simd(ABX_SIMD_BALLOT | ABX_SIMD_U32, p, 0) != 0;
}
__ABX_SYNC bool simd_all(bool p)
{
    return __abx_simd(ABX_SIMD_BALLOT | ABX_SIMD_U32, !p, 0) == 0;
}
__ABX_SYNC bool simd_is_first()
{
    return (uint)__builtin_ctz((uint)simd_ballot(true).__bits) == __abx::lane();
}
__ABX_SYNC bool simd_is_helper_thread()
{
    return false;
}
__ABX_SYNC bool quad_is_helper_thread()
{
    return false;
}
__ABX_SYNC quad_vote quad_ballot(bool p)
{
    return quad_vote((simd_ballot(p).__bits >> (__abx::lane() & ~3u)) & 15);
}
__ABX_SYNC quad_vote quad_active_threads_mask()
{
    return quad_ballot(true);
}
__ABX_SYNC bool quad_any(bool p)
{
    return quad_ballot(p).__bits != 0;
}
__ABX_SYNC bool quad_all(bool p)
{
    return quad_ballot(!p).__bits == 0;
}
__ABX_SYNC bool quad_is_first()
{
    return (uint)__builtin_ctz((uint)quad_ballot(true).__bits) == (__abx::lane() & 3);
}

/* ---- 8x8 matrices. Each lane holds two elements; which ones is the code generator's choice until a
 * program looks (thread_elements): then, as on Apple's hardware, two neighbours of one row. */
template <class T, int Columns, int Rows = Columns> struct simdgroup_matrix {
    typedef vec<T, 2> storage_type;
    vec<T, 2> __elements;
    simdgroup_matrix() = default;
    __ABX_FN explicit simdgroup_matrix(T diagonal);
    __ABX_FN thread storage_type &thread_elements()
    {
        __abx_matrix_elements();
        return __elements;
    }
    __ABX_FN const thread storage_type &thread_elements() const
    {
        __abx_matrix_elements();
        return __elements;
    }
    /* A hidden friend: see vec.h. */
    friend __ABX_SYNC simdgroup_matrix operator*(simdgroup_matrix a, simdgroup_matrix b)
    {
        simdgroup_matrix r;
        simdgroup_multiply(r, a, b);
        return r;
    }
};
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
typedef simdgroup_matrix<bfloat, 8, 8> simdgroup_bfloat8x8;

template <class T, int C, int R> __ABX_FN simdgroup_matrix<T, C, R>::simdgroup_matrix(T diagonal)
{
    bool on0 = __abx_builtin(ABX_BUILTIN_MATRIX_E0 * 4) ==
               __abx_builtin(ABX_BUILTIN_MATRIX_E0 * 4 + 1);
    bool on1 = __abx_builtin(ABX_BUILTIN_MATRIX_E1 * 4) ==
               __abx_builtin(ABX_BUILTIN_MATRIX_E1 * 4 + 1);
    __elements = vec<T, 2>(on0 ? diagonal : T(0), on1 ? diagonal : T(0));
}
template <class T, int C, int R = C>
__ABX_FN simdgroup_matrix<T, C, R> make_filled_simdgroup_matrix(typename type_identity<T>::type v)
{
    simdgroup_matrix<T, C, R> m;
    m.__elements = vec<T, 2>(v);
    return m;
}
template <class T, int C, int R = C>
__ABX_FN simdgroup_matrix<T, C, R> make_diagonal_simdgroup_matrix(
        typename type_identity<T>::type v)
{
    return simdgroup_matrix<T, C, R>(v);
}
} // namespace metal

namespace __abx
{
#define __ABX_MATRIX_TYPE(T, name)                                                                 \
    template <bool Transpose, class P> __ABX_SYNC metal::vec<T, 2> matrix_load(                    \
            metal::vec<T, 2>, P p, ulong per_row)                                                  \
    {                                                                                              \
        constexpr uint flags = Transpose ? ABX_MATRIX_TRANSPOSE : 0;                               \
        const void *at = (const void *)p;                                                          \
        return metal::vec<T, 2>(__abx_matrix_load_##name(at, per_row, flags),                      \
                __abx_matrix_load_##name(at, per_row, flags | ABX_MATRIX_E1));                     \
    }                                                                                              \
    template <bool Transpose, class P>                                                             \
    __ABX_SYNC void matrix_store(metal::vec<T, 2> v, P p, ulong per_row)                           \
    {                                                                                              \
        __abx_matrix_store_##name((void *)p, per_row, Transpose ? ABX_MATRIX_TRANSPOSE : 0, v[0],  \
                v[1]);                                                                             \
    }
__ABX_MATRIX_TYPE(float, f32)
__ABX_MATRIX_TYPE(_Float16, f16)
__ABX_MATRIX_TYPE(__bf16, bf16)
#undef __ABX_MATRIX_TYPE
} // namespace __abx

namespace metal
{
#define __ABX_MATRIX_LOAD(SPACE)                                                                   \
    template <class T, class U>                                                                    \
    __ABX_SYNC void simdgroup_load(thread simdgroup_matrix<T, 8, 8> &d, const SPACE U *source,     \
            ulong per_row = 8, vec<ulong, 2> origin = vec<ulong, 2>(0), bool transpose = false)    \
    {                                                                                              \
        source += origin.y * per_row + origin.x;                                                   \
        vec<U, 2> e = transpose ? __abx::matrix_load<true>(vec<U, 2>(), source, per_row)           \
                                : __abx::matrix_load<false>(vec<U, 2>(), source, per_row);         \
        d.__elements = vec<T, 2>((T)e[0], (T)e[1]);                                                \
    }
#define __ABX_MATRIX_STORE(SPACE)                                                                  \
    template <class T, class U>                                                                    \
    __ABX_SYNC void simdgroup_store(simdgroup_matrix<T, 8, 8> s, SPACE U *to, ulong per_row = 8,   \
            vec<ulong, 2> origin = vec<ulong, 2>(0), bool transpose = false)                       \
    {                                                                                              \
        vec<U, 2> e((U)(T)s.__elements[0], (U)(T)s.__elements[1]);                                 \
        to += origin.y * per_row + origin.x;                                                       \
        if (transpose)                                                                             \
            __abx::matrix_store<true>(e, to, per_row);                                             \
        else                                                                                       \
            __abx::matrix_store<false>(e, to, per_row);                                            \
    }
__ABX_MATRIX_LOAD(device)
__ABX_MATRIX_LOAD(threadgroup)
__ABX_MATRIX_LOAD(__attribute__((opencl_global_host)))
__ABX_MATRIX_STORE(device)
__ABX_MATRIX_STORE(threadgroup)
#undef __ABX_MATRIX_LOAD
#undef __ABX_MATRIX_STORE

/* Sums in float whatever the element types, rounded once at the end. */
template <class D, class A, class B, class C>
__ABX_SYNC void simdgroup_multiply_accumulate(thread simdgroup_matrix<D, 8, 8> &d,
        simdgroup_matrix<A, 8, 8> a, simdgroup_matrix<B, 8, 8> b, simdgroup_matrix<C, 8, 8> c)
{
    float a0 = (float)(A)a.__elements[0], a1 = (float)(A)a.__elements[1];
    float b0 = (float)(B)b.__elements[0], b1 = (float)(B)b.__elements[1];
    float c0 = (float)(C)c.__elements[0], c1 = (float)(C)c.__elements[1];
    float d0 = __abx_matrix_multiply(0, a0, a1, b0, b1, c0, c1);
    float d1 = __abx_matrix_multiply(ABX_MATRIX_E1, a0, a1, b0, b1, c0, c1);
    d.__elements = vec<D, 2>((D)d0, (D)d1);
}
template <class D, class A, class B>
__ABX_SYNC void simdgroup_multiply(thread simdgroup_matrix<D, 8, 8> &d,
        simdgroup_matrix<A, 8, 8> a, simdgroup_matrix<B, 8, 8> b)
{
    simdgroup_multiply_accumulate(d, a, b, make_filled_simdgroup_matrix<float, 8, 8>(0.0f));
}
} // namespace metal

/* ---- as Apple's compiler has a matrix: a vector of 64, of which a lane holds two elements, and no
 * more is stored. Programs that bring a matrix class of their own (metal-flash-attention's does)
 * look at the two through a pointer, and multiply by the compiler's name. */
namespace metal
{
template <class T> struct __vec<T[64]> {
    vec<T, 2> __elements;
};
} // namespace metal
template <class D, class A, class B>
__ABX_SYNC metal::vec<D, 64> __metal_simdgroup_matrix_8x8_multiply_accumulate(
        metal::vec<A, 64> a, metal::vec<B, 64> b, metal::vec<D, 64> c, metal::vec<D, 64>)
{
    metal::simdgroup_matrix<A, 8, 8> left;
    metal::simdgroup_matrix<B, 8, 8> right;
    metal::simdgroup_matrix<D, 8, 8> sum;
    left.thread_elements() = a.__elements;
    right.thread_elements() = b.__elements;
    sum.thread_elements() = c.__elements;
    metal::simdgroup_multiply_accumulate(sum, left, right, sum);
    return {sum.thread_elements()};
}
