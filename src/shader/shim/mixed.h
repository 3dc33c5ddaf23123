// Implicit conversions of arguments. Apple's functions are overloads on concrete types, so that a
// scalar or a packed vector may stand for a vector anywhere; ours deduce the type. Which vector the
// arguments are to become: the type of the first that is one.
#pragma GCC system_header
namespace metal
{
template <class A> struct __vec_of {
    typedef void type;
};
template <class T, int N> struct __vec_of<vec<T, N>> {
    typedef vec<T, N> type;
};
template <class T, int N> struct __vec_of<packed_vec<T, N>> {
    typedef vec<T, N> type;
};
template <class A, class... B> struct __first_vec {
    typedef typename __vec_of<A>::type own;
    typedef typename conditional_t<__is_void(own), __first_vec<B...>, type_identity<own>>::type type;
};
template <class A> struct __first_vec<A> : __vec_of<A> {
};
template <class V, class... A>
constexpr bool __mixes = !(true && ... && __is_same(A, V)) && (true && ... && __is_convertible(A, V));
template <class... A>
using __mixed = enable_if_t<__mixes<typename __first_vec<A...>::type, A...>,
        typename __first_vec<A...>::type>;

#define __MSL_MIXED1(name)                                                                         \
    template <class T, int N> __MSL_FN auto name(packed_vec<T, N> a)                               \
    {                                                                                              \
        return name(vec<T, N>(a));                                                                 \
    }
#define __MSL_MIXED2(name)                                                                         \
    template <class A, class B, class V = __mixed<A, B>> __MSL_FN auto name(A a, B b)              \
    {                                                                                              \
        return name(V(a), V(b));                                                                   \
    }
#define __MSL_MIXED3(name)                                                                         \
    template <class A, class B, class C, class V = __mixed<A, B, C>>                               \
    __MSL_FN auto name(A a, B b, C c)                                                              \
    {                                                                                              \
        return name(V(a), V(b), V(c));                                                             \
    }
#define __MSL_FOR_MIXED1(X)                                                                        \
    __MSL_FOR_MATH1(X)                                                                             \
    X(fract) X(abs) X(isnan) X(isinf) X(isfinite) X(isnormal) X(signbit) X(length)                 \
    X(length_squared) X(normalize) X(popcount) X(clz) X(ctz) X(reverse_bits) X(ilogb)
#define __MSL_FOR_MIXED2(X)                                                                        \
    __MSL_FOR_MATH2(X)                                                                             \
    X(min) X(max) X(nextafter) X(isordered) X(isunordered) X(dot) X(distance) X(distance_squared)  \
    X(cross) X(reflect) X(rotate) X(addsat) X(subsat) X(hadd) X(rhadd) X(absdiff) X(mulhi) X(mul24)
#define __MSL_FOR_MIXED3(X)                                                                        \
    X(clamp) X(min3) X(max3) X(median3) X(fmin3) X(fmax3) X(fmedian3) X(mix) X(smoothstep) X(fma)  \
    X(faceforward) X(madhi) X(madsat) X(mad24)
__MSL_FOR_MIXED1(__MSL_MIXED1)
__MSL_FOR_MIXED2(__MSL_MIXED2)
__MSL_FOR_MIXED3(__MSL_MIXED3)
namespace precise
{
__MSL_USING_MATH
__MSL_USING_COMMON
__MSL_USING_GEOMETRIC
} // namespace precise
namespace fast
{
__MSL_USING_MATH
__MSL_USING_COMMON
__MSL_USING_GEOMETRIC
} // namespace fast
template <class A, class B, int N, class V = __mixed<A, B>>
__MSL_FN V select(A a, B b, vec<bool, N> c)
{
    return select(V(a), V(b), c);
}
template <class A, class B, class V = __mixed<A, B>> __MSL_FN V select(A a, B b, bool c)
{
    return c ? V(b) : V(a);
}
} // namespace metal
