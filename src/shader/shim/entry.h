/* shim: from a kernel written in Metal to the uniform entry point the code generator takes
 * (markers.h). C++ itself types the arguments: the rewriter only lists where each one comes from.
 *
 * Needs before it: the address-space macros (device, constant, threadgroup), uint and metal::vec.
 * For each kernel or explicit instantiation, the front end appends at namespace scope
 *
 *   __ABX_ENTRY(id, (attributes), function)    `void __abx_k_<id>(void)`: what runs
 *   __ABX_RECORD(id, (attributes), function)   `__abx_i_<id>`: what its arguments are
 *
 * attributes: one of these a parameter, comma separated:
 *   __abx::A<__abx::BUFFER, n>       [[buffer(n)]]
 *   __abx::A<__abx::THREADGROUP, n>  [[threadgroup(n)]]
 *   __abx::A<__abx::BUILTIN, __abx::thread_position_in_grid>
 *   __abx::A<__abx::AUTO, 0>         no attribute: the next free index of its address space
 */
#pragma once
#pragma GCC system_header
#include "markers.h"

extern "C" {
__attribute__((const, nothrow)) unsigned __abx_builtin(unsigned);
__attribute__((const, nothrow)) void *__abx_buffer(unsigned);
__attribute__((const, nothrow)) void *__abx_threadgroup(unsigned);
}

namespace __abx {
enum kind { BUFFER = 1, THREADGROUP = 2, BUILTIN = 3, AUTO = 4 };
enum space { SPACE_NONE = 0, SPACE_DEVICE = 1, SPACE_CONSTANT = 2, SPACE_THREADGROUP = 3 };
enum builtin {
    thread_position_in_grid = ABX_BUILTIN_THREAD_IN_GRID,
    thread_position_in_threadgroup = ABX_BUILTIN_THREAD_IN_GROUP,
    threadgroup_position_in_grid = ABX_BUILTIN_GROUP_IN_GRID,
    threads_per_threadgroup = ABX_BUILTIN_GROUP_SIZE,
    dispatch_threads_per_threadgroup = ABX_BUILTIN_DISPATCH_GROUP_SIZE,
    threadgroups_per_grid = ABX_BUILTIN_GROUPS,
    threads_per_grid = ABX_BUILTIN_GRID,
    grid_size = ABX_BUILTIN_GRID,
    grid_origin = ABX_BUILTIN_GRID_ORIGIN,
    thread_index_in_threadgroup = ABX_BUILTIN_THREAD_INDEX,
    thread_index_in_simdgroup = ABX_BUILTIN_LANE,
    simdgroup_index_in_threadgroup = ABX_BUILTIN_SIMDGROUP,
    threads_per_simdgroup = ABX_BUILTIN_SIMD_WIDTH,
    thread_execution_width = ABX_BUILTIN_SIMD_WIDTH,
    simdgroups_per_threadgroup = ABX_BUILTIN_SIMDGROUPS,
    dispatch_simdgroups_per_threadgroup = ABX_BUILTIN_DISPATCH_SIMDGROUPS,
    thread_index_in_quadgroup = ABX_BUILTIN_QUAD_LANE,
    quadgroup_index_in_threadgroup = ABX_BUILTIN_QUADGROUP,
    quadgroups_per_threadgroup = ABX_BUILTIN_QUADGROUPS,
    dispatch_quadgroups_per_threadgroup = ABX_BUILTIN_QUADGROUPS,
};

template <int Kind, int Value> struct A {
    static constexpr int kind = Kind, value = Value;
};
template <class...> struct list {};

/* ---- what a parameter's type says */
template <class T> constexpr uint size_of()
{
    if constexpr (__is_void(T))
        return 0;
    else
        return sizeof(T);
}
template <class T> constexpr uint align_of()
{
    if constexpr (__is_void(T))
        return 1;
    else
        return alignof(T);
}
template <class T> struct pointee {
    static constexpr int space = SPACE_NONE, writable = 0;
    static constexpr uint size = sizeof(T), align = alignof(T);
    typedef T data;
};
template <class T> struct is_const {
    static constexpr int value = 0;
};
template <class T> struct is_const<const T> {
    static constexpr int value = 1;
};
#define __ABX_POINTEE(SPACE, number, mutable_)                                                     \
    template <class T> struct pointee<SPACE T *> {                                                 \
        static constexpr int space = number, writable = mutable_;                                  \
        static constexpr uint size = size_of<T>(), align = align_of<T>();                          \
        typedef T data;                                                                            \
        static __attribute__((always_inline)) SPACE T *get(void *p)                                \
        {                                                                                          \
            return (SPACE T *)p;                                                                   \
        }                                                                                          \
    };                                                                                             \
    template <class T> struct pointee<SPACE T &> {                                                 \
        static constexpr int space = number, writable = mutable_;                                  \
        static constexpr uint size = sizeof(T), align = alignof(T);                                \
        typedef T data;                                                                            \
        static __attribute__((always_inline)) SPACE T &get(void *p)                                \
        {                                                                                          \
            return *(SPACE T *)p;                                                                  \
        }                                                                                          \
    };
__ABX_POINTEE(device, SPACE_DEVICE, !is_const<T>::value)
__ABX_POINTEE(constant, SPACE_CONSTANT, 0)
__ABX_POINTEE(threadgroup, SPACE_THREADGROUP, !is_const<T>::value)
#undef __ABX_POINTEE
/* `device T *const p`: a parameter's own const does not matter. */
template <class T> struct pointee<T *const> : pointee<T *> {};

/* ---- builtins: uint, ushort, int and vectors of two and three */
template <class T> struct gather {
    static __attribute__((always_inline)) T get(uint b)
    {
        return (T)__abx_builtin(b * 4);
    }
};
template <class T> struct gather<metal::vec<T, 2>> {
    static __attribute__((always_inline)) metal::vec<T, 2> get(uint b)
    {
        return metal::vec<T, 2>((T)__abx_builtin(b * 4), (T)__abx_builtin(b * 4 + 1));
    }
};
template <class T> struct gather<metal::vec<T, 3>> {
    static __attribute__((always_inline)) metal::vec<T, 3> get(uint b)
    {
        return metal::vec<T, 3>((T)__abx_builtin(b * 4), (T)__abx_builtin(b * 4 + 1),
                (T)__abx_builtin(b * 4 + 2));
    }
};
template <class T> struct gather<const T> : gather<T> {};

/* What __abx_buffer() is told of an argument beside its index. */
template <class T> struct constant_bits {
    static constexpr uint value = pointee<T>::space == SPACE_CONSTANT ? ABX_BUFFER_CONSTANT : 0;
};
template <class T> struct constant_bits<constant T &> {
    static constexpr uint bytes = sizeof(T) < ABX_BUFFER_BYTES_MOST ? sizeof(T) : ABX_BUFFER_BYTES_MOST,
                          value = ABX_BUFFER_CONSTANT | bytes << ABX_BUFFER_BYTES_SHIFT;
};

template <class Attribute, class T> struct argument {
    static __attribute__((always_inline)) decltype(auto) get()
    {
        if constexpr (Attribute::kind == BUFFER)
            return pointee<T>::get(__abx_buffer(Attribute::value | constant_bits<T>::value));
        else if constexpr (Attribute::kind == THREADGROUP)
            return pointee<T>::get(__abx_threadgroup(Attribute::value));
        else
            return gather<T>::get(Attribute::value);
    }
};

/* Read by the front end from the bitcode. */
struct argument_info {
    int kind, index, space, writable;
    uint size, align;
};

/* ---- AUTO: the next index free in the argument's table. A library has thousands of kernels with
 * types of their own, so this makes one class each: loops over arrays, no list of types. */
template <int N> struct places {
    int kind[N + 1], index[N + 1];
};
template <int N> constexpr places<N> resolve(const int *kinds, const int *values, const int *spaces)
{
    places<N> r = {};
    int next[2] = {0, 0}; /* buffer, threadgroup */
    for (int i = 0; i < N; i++) {
        bool automatic = kinds[i] == AUTO, group = spaces[i] == SPACE_THREADGROUP;
        r.kind[i] = automatic ? group ? THREADGROUP : BUFFER : kinds[i];
        r.index[i] = automatic ? next[group] : values[i];
        if (r.kind[i] == BUFFER || r.kind[i] == THREADGROUP)
            next[r.kind[i] == THREADGROUP] = r.index[i] + 1;
    }
    return r;
}

template <int...> struct numbers {};
template <class T, T... I> struct sequence {
    typedef numbers<I...> type;
};

template <class F, class Attributes, class Numbers, bool Same> struct runner;
template <class... P, class... As, int... I>
struct runner<void(P...), list<As...>, numbers<I...>, true> {
    static constexpr int kinds[] = {As::kind..., 0}, values[] = {As::value..., 0},
                         spaces[] = {pointee<P>::space..., 0};
    static constexpr places<sizeof...(P)> at = resolve<sizeof...(P)>(kinds, values, spaces);
    static constexpr argument_info info[] = {
            {at.kind[I], at.index[I], pointee<P>::space, pointee<P>::writable, pointee<P>::size,
                    pointee<P>::align}...,
            {0, 0, 0, 0, 0, 0}};
    static __attribute__((always_inline)) void go(void (*f)(P...))
    {
        f(argument<A<at.kind[I], at.index[I]>, P>::get()...);
    }
};
template <class F, class Attributes> struct kernel_of;
template <class... P, class... As> struct kernel_of<void(P...), list<As...>> {
    typedef runner<void(P...), list<As...>,
            typename __make_integer_seq<sequence, int, sizeof...(P)>::type,
            sizeof...(P) == sizeof...(As)>
            type;
};
} // namespace __abx

#define __ABX_CAT2(a, b) a##b
#define __ABX_CAT(a, b) __ABX_CAT2(a, b)
#define __ABX_UNPACK(...) __VA_ARGS__
#define __ABX_KERNEL(attributes, ...)                                                              \
    __abx::kernel_of<__remove_reference_t(decltype(__VA_ARGS__)), __abx::list<__ABX_UNPACK attributes>>::type
/* The front end makes it `inline` for entries that are to be instantiated, but not made. */
#define __ABX_ENTRY_KIND __attribute__((used))
#define __ABX_ENTRY(id, attributes, ...)                                                           \
    extern "C" __ABX_ENTRY_KIND void __ABX_CAT(__abx_k_, id)(void)                                 \
    {                                                                                              \
        __ABX_KERNEL(attributes, __VA_ARGS__)::go(&__VA_ARGS__);                                   \
    }
#define __ABX_RECORD(id, attributes, ...)                                                          \
    extern "C" __attribute__((used)) const __abx::argument_info *const __ABX_CAT(__abx_i_, id) =   \
            __ABX_KERNEL(attributes, __VA_ARGS__)::info;
