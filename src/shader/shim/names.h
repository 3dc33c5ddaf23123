// Apple-internal names of the functions above, which MLX and its descendants call directly.
#pragma GCC system_header
#define __METAL_MAYBE_FAST_MATH__ 0
#define __METAL_FAST_MATH__ 0
#define __METAL_PRECISE_MATH__ 0

#define __MSL_NAME1(name)                                                                          \
    __MSL_FN float __metal_##name(float x, int = 0)                                                \
    {                                                                                              \
        return metal::__core::name(x);                                                             \
    }
#define __MSL_NAME2(name)                                                                          \
    __MSL_FN float __metal_##name(float x, float y, int = 0)                                       \
    {                                                                                              \
        return metal::__core::name(x, y);                                                          \
    }
__MSL_FOR_MATH1(__MSL_NAME1)
__MSL_FOR_MATH2(__MSL_NAME2)
__MSL_FN float __metal_fract(float x, int = 0)
{
    return metal::fract(x);
}
__MSL_FN float __metal_nextafter(float x, float y, int = 0)
{
    return metal::nextafter(x, y);
}
__MSL_FN float __metal_fma(float a, float b, float c)
{
    return metal::fma(a, b, c);
}
__MSL_FN float __metal_fmax3(float a, float b, float c, int = 0)
{
    return metal::max3(a, b, c);
}
__MSL_FN float __metal_fmin3(float a, float b, float c, int = 0)
{
    return metal::min3(a, b, c);
}
__MSL_FN float __metal_fmedian3(float a, float b, float c, int = 0)
{
    return metal::median3(a, b, c);
}
__MSL_FN float __metal_ldexp(float x, int e, int = 0)
{
    return metal::ldexp(x, e);
}
__MSL_FN float __metal_frexp(float x, thread int *e)
{
    return metal::frexp(x, *e);
}
__MSL_FN uint __metal_get_thread_index_in_simdgroup(ushort)
{
    return __abx::lane();
}
__MSL_FN ushort __metal_get_simdgroup_size(ushort)
{
    return 32;
}

#define __MSL_SIMD1(name)                                                                          \
    template <class T> __MSL_CONVERGENT T __metal_simd_##name(T v)                                 \
    {                                                                                              \
        return metal::simd_##name(v);                                                              \
    }
#define __MSL_SIMD2(name)                                                                          \
    template <class T> __MSL_CONVERGENT T __metal_simd_##name(T v, ushort d)                       \
    {                                                                                              \
        return metal::simd_##name(v, d);                                                           \
    }
#define __MSL_SIMD_FILL(name)                                                                      \
    template <class T> __MSL_CONVERGENT T __metal_simd_##name(T v, T f, ushort d, ushort m = 32)   \
    {                                                                                              \
        return metal::simd_##name(v, f, d, m);                                                     \
    }
__MSL_SIMD1(sum)
__MSL_SIMD1(product)
__MSL_SIMD1(max)
__MSL_SIMD1(min)
__MSL_SIMD1(xor)
__MSL_SIMD1(prefix_inclusive_sum)
__MSL_SIMD1(prefix_inclusive_product)
__MSL_SIMD1(prefix_exclusive_sum)
__MSL_SIMD1(prefix_exclusive_product)
__MSL_SIMD2(shuffle)
__MSL_SIMD2(shuffle_xor)
__MSL_SIMD2(shuffle_up)
__MSL_SIMD2(shuffle_down)
__MSL_SIMD2(shuffle_rotate_up)
__MSL_SIMD2(shuffle_rotate_down)
__MSL_SIMD2(broadcast)
__MSL_SIMD_FILL(shuffle_and_fill_up)
__MSL_SIMD_FILL(shuffle_and_fill_down)
