/* shim: <metal_tensor>: tensors that a program makes of a pointer, extents and strides, and slices
 * of them. Read only where a program includes it (build_shim.py), so that others do not pay for it.
 *
 * A tensor that the host binds (tensor_handle) needs MTLTensor, which the guest library has not: it
 * is a type, and a kernel with one is refused where its arguments are fetched. */
#pragma once
#pragma GCC system_header
namespace metal
{
inline constexpr size_t dynamic_extent = ~(size_t)0;

/* Index 0 is the innermost dimension: of a matrix its columns. */
template <class I, size_t... E> struct extents {
    typedef I index_type;
    typedef size_t size_type;
    typedef size_t rank_type;
    static constexpr size_t __static[sizeof...(E) + 1] = {E..., 0};
    I __e[sizeof...(E) + 1];

    static __MSL_AI constexpr rank_type rank()
    {
        return sizeof...(E);
    }
    static __MSL_AI constexpr rank_type rank_dynamic()
    {
        return ((E == dynamic_extent) + ... + 0);
    }
    static __MSL_AI constexpr size_t static_extent(size_t i)
    {
        return __static[i];
    }
    __MSL_AI constexpr extents() : __e{(E == dynamic_extent ? I(0) : I(E))..., I(0)}
    {
    }
    /* All extents, or the dynamic ones alone. */
    template <class... A, class = enable_if_t<(sizeof...(A) > 0) &&
                                  (sizeof...(A) == sizeof...(E) || sizeof...(A) == rank_dynamic())>>
    __MSL_AI constexpr extents(A... a) : extents()
    {
        I given[] = {I(a)...};
        __set(given, sizeof...(A) == sizeof...(E));
    }
    template <class J, size_t N> __MSL_AI constexpr extents(array<J, N> a) : extents()
    {
        I given[N];
        for (size_t i = 0; i < N; i++)
            given[i] = I(a.__e[i]);
        __set(given, N == sizeof...(E));
    }
    __MSL_AI constexpr I extent(size_t i) const
    {
        return __static[i] == dynamic_extent ? __e[i] : I(__static[i]);
    }
    __MSL_AI constexpr I operator[](size_t i) const
    {
        return extent(i);
    }
    __MSL_AI constexpr void __set(const I *given, bool all)
    {
        for (size_t i = 0, k = 0; i < sizeof...(E); i++)
            if (all || __static[i] == dynamic_extent)
                __e[i] = all ? given[i] : given[k++];
    }
};

template <class I, class Numbers> struct __dextents;
template <class I, int... N> struct __dextents<I, __abx::numbers<N...>> {
    typedef extents<I, (N, dynamic_extent)...> type;
};
template <class I, size_t Rank>
using dextents = typename __dextents<I,
        typename __make_integer_seq<__abx::sequence, int, (int)Rank>::type>::type;

/* Four-bit numbers, two a byte: the first one in the lower half. */
struct int4b_format {
};
struct uint4b_format {
};
template <class T> constexpr bool __is_4bit = __is_same(T, int4b_format) || __is_same(T, uint4b_format);

struct tensor_inline {
};
struct tensor_handle {
};
struct tensor_offset {
};
template <class T, class E, class Descriptor = tensor_handle, class... Tags> struct tensor;

template <class T> struct is_tensor_inline : false_type {
};
template <class T, class E, class... A>
struct is_tensor_inline<tensor<T, E, tensor_inline, A...>> : true_type {
};
template <class T> struct is_tensor_handle : false_type {
};
template <class T, class E, class... A>
struct is_tensor_handle<tensor<T, E, tensor_handle, A...>> : true_type {
};
template <class T> struct has_tensor_offset : false_type {
};
template <class T, class E, class... A>
struct has_tensor_offset<tensor<T, E, tensor_offset, A...>> : true_type {
};
template <class T> constexpr constant bool is_tensor_inline_v = is_tensor_inline<T>::value;
template <class T> constexpr constant bool is_tensor_handle_v = is_tensor_handle<T>::value;
template <class T> constexpr constant bool has_tensor_offset_v = has_tensor_offset<T>::value;

/* What a tensor's pointer points to, and one of its elements. Those of four bits are read, not
 * written. */
template <class T, bool = __is_4bit<__remove_cv(remove_addrspace_t<T>)>> struct __element {
    typedef T stored;
    typedef __remove_cv(remove_addrspace_t<T>) value;
    static __MSL_AI value get(const T *p, ptrdiff_t at)
    {
        return p[at];
    }
};
#define __MSL_4BIT(space)                                                                          \
    template <class F> struct __element<space F, true> {                                           \
        typedef space uchar stored;                                                                \
        typedef conditional_t<__is_same(__remove_cv(F), int4b_format), int8_t, uint8_t> value;     \
        static __MSL_AI value get(const space uchar *p, ptrdiff_t at)                              \
        {                                                                                          \
            int v = p[at >> 1] >> (at & 1) * 4 & 15;                                               \
            return __is_same(__remove_cv(F), int4b_format) ? value((v ^ 8) - 8) : value(v);        \
        }                                                                                          \
    };
__MSL_4BIT(device)
__MSL_4BIT(threadgroup)
__MSL_4BIT(__attribute__((opencl_global_host)))
__MSL_4BIT(thread)
#undef __MSL_4BIT

template <class T, class E, class... Tags> struct tensor<T, E, tensor_inline, Tags...> {
    typedef T element_type;
    typedef __remove_cv(remove_addrspace_t<T>) value_type;
    typedef E extents_type;
    typedef typename E::index_type index_type;
    typedef typename E::size_type size_type;
    typedef tensor_inline descriptor_type;
    typedef typename __element<T>::stored __stored;
    static constexpr size_t __rank = E::rank();

    __stored *__data;
    E __extents;
    index_type __strides[__rank + 1];

    tensor() = default;
    /* Without strides elements follow each other. */
    __MSL_AI constexpr tensor(__stored *data, E e = E()) : __data(data), __extents(e)
    {
        index_type step = 1;
        for (size_t i = 0; i < __rank; i++) {
            __strides[i] = step;
            step *= e.extent(i);
        }
    }
    template <class J, size_t N>
    __MSL_AI constexpr tensor(__stored *data, E e, array<J, N> strides) : __data(data), __extents(e)
    {
        static_assert(N == __rank, "a tensor has a stride for each of its extents");
        for (size_t i = 0; i < __rank; i++)
            __strides[i] = index_type(strides.__e[i]);
    }
    static __MSL_AI constexpr size_t rank()
    {
        return __rank;
    }
    static __MSL_AI constexpr size_t get_rank()
    {
        return __rank;
    }
    static __MSL_AI constexpr size_t get_static_extent(size_t i)
    {
        return E::static_extent(i);
    }
    __MSL_AI constexpr E extents() const
    {
        return __extents;
    }
    __MSL_AI constexpr E get_extents() const
    {
        return __extents;
    }
    __MSL_AI constexpr index_type get_extent(size_t i) const
    {
        return __extents.extent(i);
    }
    __MSL_AI constexpr index_type get_stride(size_t i) const
    {
        return __strides[i];
    }
    __MSL_AI constexpr __stored *data() const
    {
        return __data;
    }
    __MSL_AI constexpr __stored *data_handle() const
    {
        return __data;
    }

    /* ---- elements: t[x, y], t[array] and set() and get(); not bounds-checked */
    template <class... A> __MSL_AI constexpr ptrdiff_t __offset(A... a) const
    {
        static_assert(sizeof...(A) == __rank, "a tensor's element has an index for each dimension");
        ptrdiff_t at[] = {ptrdiff_t(a)..., 0}, sum = 0;
        for (size_t i = 0; i < __rank; i++)
            sum += at[i] * __strides[i];
        return sum;
    }
    template <class J> __MSL_AI constexpr ptrdiff_t __offset(array<J, __rank> a) const
    {
        ptrdiff_t sum = 0;
        for (size_t i = 0; i < __rank; i++)
            sum += ptrdiff_t(a.__e[i]) * __strides[i];
        return sum;
    }
    template <class... A> __MSL_AI constexpr decltype(auto) operator[](A... a) const
    {
        if constexpr (__is_4bit<value_type>)
            return __element<T>::get(__data, __offset(a...));
        else
            return (__data[__offset(a...)]);
    }
    template <class... A> __MSL_AI constexpr typename __element<T>::value get(A... a) const
    {
        return __element<T>::get(__data, __offset(a...));
    }
    template <class... A> __MSL_AI constexpr void set(value_type v, A... a) const
    {
        __data[__offset(a...)] = v;
    }

    /* ---- slices */
    template <size_t... S> using __slice_of = tensor<T, metal::extents<index_type, S...>, tensor_inline, Tags...>;
    template <size_t... S, class... A> __MSL_AI constexpr __slice_of<S...> __cut(A... a) const
    {
        __slice_of<S...> r;
        ptrdiff_t at[] = {ptrdiff_t(a)..., 0}, sum = 0;
        for (size_t i = 0; i < __rank; i++) {
            index_type left = index_type(get_extent(i) - at[i]);
            r.__extents.__e[i] = r.get_static_extent(i) == dynamic_extent
                                         ? left
                                         : index_type(r.get_static_extent(i));
            r.__strides[i] = __strides[i];
            sum += at[i] * __strides[i];
        }
        r.__data = __data + (__is_4bit<value_type> ? sum / 2 : sum);
        return r;
    }
    template <class Numbers> struct __dynamic;
    template <int... N> struct __dynamic<__abx::numbers<N...>> {
        template <class... A> static __MSL_AI constexpr auto cut(const tensor &t, A... a)
        {
            return t.template __cut<(N, dynamic_extent)...>(a...);
        }
    };
    /* slice(x, y): what lies behind that element; slice<W, H>(x, y): so much of it, which the
     * program promises to be there. */
    template <size_t... S, class... A,
            class = enable_if_t<sizeof...(A) == __rank &&
                                (sizeof...(S) == __rank || sizeof...(S) == 0)>>
    __MSL_AI constexpr auto slice(A... a) const
    {
        if constexpr (sizeof...(S) == 0)
            return __dynamic<typename __make_integer_seq<__abx::sequence, int,
                    (int)__rank>::type>::cut(*this, a...);
        else
            return __cut<S...>(a...);
    }
    template <size_t... S, class... A> __MSL_AI constexpr auto static_slice(A... a) const
    {
        return slice<S...>(a...);
    }
};
template <class T, class E> tensor(T *, E) -> tensor<T, E, tensor_inline>;
template <class T, class E, class J, size_t N>
tensor(T *, E, array<J, N>) -> tensor<T, E, tensor_inline>;

/* As one of a pointer to whoever uses it; a kernel does not get it (below). */
template <class T, class E, class... Tags>
struct tensor<T, E, tensor_handle, Tags...> : tensor<T, E, tensor_inline, Tags...> {
};
template <class T, class E, class... Tags>
struct tensor<T, E, tensor_offset, Tags...> : tensor<T, E, tensor_inline, Tags...> {
};
} // namespace metal

namespace __abx
{
template <class T, class E, class D, class... Tags> struct pointee<metal::tensor<T, E, D, Tags...>> {
    typedef metal::tensor<T, E, D, Tags...> data;
    static constexpr int space = SPACE_DEVICE, writable = 1;
    static constexpr uint size = sizeof(data), align = alignof(data);
    static data get(void *)
    {
        constexpr bool supported = sizeof(T) == 0;
        static_assert(supported, "tensors that the host binds (tensor_handle) are not supported yet; "
                                 "one can be made of a buffer: tensor(pointer, extents)");
        return data();
    }
};
} // namespace __abx
