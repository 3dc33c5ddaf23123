/* The vector types Metal programs share with their shaders, and the few functions on them. Sizes
 * and alignments are Apple's: a 3-vector takes the room of a 4-vector. clang only. */
#ifndef SIMD_SIMD_H_
#define SIMD_SIMD_H_

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__clang__)
#define SIMD_VECTOR_(type, name)                                                                   \
    typedef type simd_##name##1;                                                                   \
    typedef __attribute__((__ext_vector_type__(2))) type simd_##name##2;                           \
    typedef __attribute__((__ext_vector_type__(3))) type simd_##name##3;                           \
    typedef __attribute__((__ext_vector_type__(4))) type simd_##name##4;                           \
    typedef __attribute__((__ext_vector_type__(8))) type simd_##name##8;                           \
    typedef __attribute__((__ext_vector_type__(16))) type simd_##name##16;                         \
    typedef simd_##name##2 vector_##name##2;                                                       \
    typedef simd_##name##3 vector_##name##3;                                                       \
    typedef simd_##name##4 vector_##name##4;
SIMD_VECTOR_(signed char, char)
SIMD_VECTOR_(unsigned char, uchar)
SIMD_VECTOR_(short, short)
SIMD_VECTOR_(unsigned short, ushort)
SIMD_VECTOR_(int, int)
SIMD_VECTOR_(unsigned int, uint)
SIMD_VECTOR_(float, float)
SIMD_VECTOR_(long, long)
SIMD_VECTOR_(unsigned long, ulong)
SIMD_VECTOR_(double, double)
#undef SIMD_VECTOR_
typedef __attribute__((__ext_vector_type__(2), __aligned__(4))) float simd_packed_float2;
typedef __attribute__((__ext_vector_type__(4), __aligned__(4))) float simd_packed_float4;
typedef simd_packed_float2 packed_float2;
typedef simd_packed_float4 packed_float4;

typedef struct {
    simd_float2 columns[2];
} simd_float2x2;
typedef struct {
    simd_float3 columns[3];
} simd_float3x3;
typedef struct {
    simd_float3 columns[4];
} simd_float4x3;
typedef struct {
    simd_float4 columns[4];
} simd_float4x4;
typedef simd_float2x2 matrix_float2x2;
typedef simd_float3x3 matrix_float3x3;
typedef simd_float4x4 matrix_float4x4;
typedef struct {
    simd_float4 vector;
} simd_quatf;

#define SIMD_INLINE_ static __inline__ __attribute__((always_inline, unused))
#define SIMD_CFUNC SIMD_INLINE_

/* Of numbers, and of shorter and longer vectors: what is not given is 0. */
#define SIMD_MAKE_(type, name)                                                                     \
    SIMD_INLINE_ __attribute__((overloadable)) simd_##name##2 simd_make_##name##2(type x, type y)  \
    {                                                                                              \
        return (simd_##name##2){x, y};                                                             \
    }                                                                                              \
    SIMD_INLINE_                                                                                   \
            __attribute__((overloadable)) simd_##name##2 simd_make_##name##2(simd_##name##3 v)     \
    {                                                                                              \
        return (simd_##name##2){v.x, v.y};                                                         \
    }                                                                                              \
    SIMD_INLINE_                                                                                   \
            __attribute__((overloadable)) simd_##name##2 simd_make_##name##2(simd_##name##4 v)     \
    {                                                                                              \
        return (simd_##name##2){v.x, v.y};                                                         \
    }                                                                                              \
    SIMD_INLINE_ __attribute__((overloadable)) simd_##name##3 simd_make_##name##3(                 \
            type x, type y, type z)                                                                \
    {                                                                                              \
        return (simd_##name##3){x, y, z};                                                          \
    }                                                                                              \
    SIMD_INLINE_ __attribute__((overloadable)) simd_##name##3 simd_make_##name##3(                 \
            simd_##name##2 v, type z)                                                              \
    {                                                                                              \
        return (simd_##name##3){v.x, v.y, z};                                                      \
    }                                                                                              \
    SIMD_INLINE_                                                                                   \
            __attribute__((overloadable)) simd_##name##3 simd_make_##name##3(simd_##name##4 v)     \
    {                                                                                              \
        return (simd_##name##3){v.x, v.y, v.z};                                                    \
    }                                                                                              \
    SIMD_INLINE_ __attribute__((overloadable)) simd_##name##4 simd_make_##name##4(                 \
            type x, type y, type z, type w)                                                        \
    {                                                                                              \
        return (simd_##name##4){x, y, z, w};                                                       \
    }                                                                                              \
    SIMD_INLINE_ __attribute__((overloadable)) simd_##name##4 simd_make_##name##4(                 \
            simd_##name##3 v, type w)                                                              \
    {                                                                                              \
        return (simd_##name##4){v.x, v.y, v.z, w};                                                 \
    }                                                                                              \
    SIMD_INLINE_ __attribute__((overloadable)) simd_##name##4 simd_make_##name##4(                 \
            simd_##name##2 a, simd_##name##2 b)                                                    \
    {                                                                                              \
        return (simd_##name##4){a.x, a.y, b.x, b.y};                                               \
    }                                                                                              \
    SIMD_INLINE_                                                                                   \
            __attribute__((overloadable)) simd_##name##4 simd_make_##name##4(simd_##name##3 v)     \
    {                                                                                              \
        return (simd_##name##4){v.x, v.y, v.z, 0};                                                 \
    }
SIMD_MAKE_(signed char, char)
SIMD_MAKE_(unsigned char, uchar)
SIMD_MAKE_(short, short)
SIMD_MAKE_(unsigned short, ushort)
SIMD_MAKE_(int, int)
SIMD_MAKE_(unsigned int, uint)
SIMD_MAKE_(long, long)
SIMD_MAKE_(unsigned long, ulong)
SIMD_MAKE_(float, float)
SIMD_MAKE_(double, double)
#undef SIMD_MAKE_
#define SIMD_REDUCE_(n, sum)                                                                       \
    SIMD_INLINE_ __attribute__((overloadable)) float simd_dot(simd_float##n a, simd_float##n b)    \
    {                                                                                              \
        simd_float##n p = a * b;                                                                   \
        return sum;                                                                                \
    }                                                                                              \
    SIMD_INLINE_ __attribute__((overloadable)) float simd_length_squared(simd_float##n a)          \
    {                                                                                              \
        return simd_dot(a, a);                                                                     \
    }                                                                                              \
    SIMD_INLINE_ __attribute__((overloadable)) float simd_length(simd_float##n a)                  \
    {                                                                                              \
        return sqrtf(simd_dot(a, a));                                                              \
    }                                                                                              \
    SIMD_INLINE_ __attribute__((overloadable)) simd_float##n simd_normalize(simd_float##n a)       \
    {                                                                                              \
        return a / simd_length(a);                                                                 \
    }
SIMD_REDUCE_(2, p.x + p.y)
SIMD_REDUCE_(3, p.x + p.y + p.z)
SIMD_REDUCE_(4, p.x + p.y + p.z + p.w)
#undef SIMD_REDUCE_
SIMD_INLINE_ simd_float3 simd_cross(simd_float3 a, simd_float3 b)
{
    return (simd_float3){a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
SIMD_INLINE_ simd_float4x4 simd_matrix(simd_float4 a, simd_float4 b, simd_float4 c, simd_float4 d)
{
    simd_float4x4 m = {{a, b, c, d}};
    return m;
}
SIMD_INLINE_ __attribute__((overloadable)) simd_float4 simd_mul(simd_float4x4 m, simd_float4 v)
{
    return m.columns[0] * v.x + m.columns[1] * v.y + m.columns[2] * v.z + m.columns[3] * v.w;
}
SIMD_INLINE_ __attribute__((overloadable)) simd_float4x4 simd_mul(simd_float4x4 a, simd_float4x4 b)
{
    simd_float4x4 m = {{simd_mul(a, b.columns[0]), simd_mul(a, b.columns[1]),
            simd_mul(a, b.columns[2]), simd_mul(a, b.columns[3])}};
    return m;
}
SIMD_INLINE_ simd_float4x4 simd_transpose(simd_float4x4 a)
{
    simd_float4x4 m = {{{a.columns[0].x, a.columns[1].x, a.columns[2].x, a.columns[3].x},
            {a.columns[0].y, a.columns[1].y, a.columns[2].y, a.columns[3].y},
            {a.columns[0].z, a.columns[1].z, a.columns[2].z, a.columns[3].z},
            {a.columns[0].w, a.columns[1].w, a.columns[2].w, a.columns[3].w}}};
    return m;
}
/* Of vectors of every type: any and all look at the sign bits, as comparisons give them. */
#define SIMD_WHOLE_(type, name, n)                                                                 \
    SIMD_INLINE_ __attribute__((overloadable)) simd_##name##n simd_min(                            \
            simd_##name##n a, simd_##name##n b)                                                    \
    {                                                                                              \
        return __builtin_elementwise_min(a, b);                                                    \
    }                                                                                              \
    SIMD_INLINE_ __attribute__((overloadable)) simd_##name##n simd_max(                            \
            simd_##name##n a, simd_##name##n b)                                                    \
    {                                                                                              \
        return __builtin_elementwise_max(a, b);                                                    \
    }                                                                                              \
    SIMD_INLINE_ __attribute__((overloadable)) simd_##name##n simd_clamp(                          \
            simd_##name##n x, simd_##name##n low, simd_##name##n high)                             \
    {                                                                                              \
        return simd_min(simd_max(x, low), high);                                                   \
    }                                                                                              \
    SIMD_INLINE_ __attribute__((overloadable)) type simd_reduce_add(simd_##name##n x)              \
    {                                                                                              \
        type sum = x[0];                                                                           \
        for (int i = 1; i < n; i++)                                                                \
            sum += x[i];                                                                           \
        return sum;                                                                                \
    }
#define SIMD_WHOLES_(type, name)                                                                   \
    SIMD_WHOLE_(type, name, 2) SIMD_WHOLE_(type, name, 3) SIMD_WHOLE_(type, name, 4)
SIMD_WHOLES_(int, int)
SIMD_WHOLES_(unsigned int, uint)
SIMD_WHOLES_(short, short)
SIMD_WHOLES_(unsigned short, ushort)
SIMD_WHOLES_(float, float)
SIMD_WHOLES_(double, double)
#undef SIMD_WHOLE_
#undef SIMD_WHOLES_
#define SIMD_SIGNS_(name, n)                                                                       \
    SIMD_INLINE_ __attribute__((overloadable)) bool simd_any(simd_##name##n x)                     \
    {                                                                                              \
        return __builtin_reduce_or(x) >> (8 * sizeof x[0] - 1);                                    \
    }                                                                                              \
    SIMD_INLINE_ __attribute__((overloadable)) bool simd_all(simd_##name##n x)                     \
    {                                                                                              \
        return __builtin_reduce_and(x) >> (8 * sizeof x[0] - 1);                                   \
    }
#define SIMD_SIGNSES_(name) SIMD_SIGNS_(name, 2) SIMD_SIGNS_(name, 3) SIMD_SIGNS_(name, 4)
typedef __attribute__((
        __ext_vector_type__(2))) char simd_plain_char2; /* as comparisons of bytes give */
typedef __attribute__((__ext_vector_type__(3))) char simd_plain_char3;
typedef __attribute__((__ext_vector_type__(4))) char simd_plain_char4;
SIMD_SIGNSES_(plain_char)
SIMD_SIGNSES_(char)
SIMD_SIGNSES_(short)
SIMD_SIGNSES_(int)
SIMD_SIGNSES_(long)
#undef SIMD_SIGNS_
#undef SIMD_SIGNSES_
SIMD_INLINE_ __attribute__((overloadable)) float simd_distance(simd_float2 a, simd_float2 b)
{
    return simd_length(a - b);
}
SIMD_INLINE_ __attribute__((overloadable)) float simd_distance(simd_float3 a, simd_float3 b)
{
    return simd_length(a - b);
}
SIMD_INLINE_ __attribute__((overloadable)) float simd_distance(simd_float4 a, simd_float4 b)
{
    return simd_length(a - b);
}
static const simd_float4x4 matrix_identity_float4x4
        __attribute__((unused)) = {{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}}};
#define vector2(x, y) simd_make_float2(x, y)
#define vector3(x, y, z) simd_make_float3(x, y, z)
#define vector4(x, y, z, w) simd_make_float4(x, y, z, w)

#if defined(__cplusplus)
namespace simd
{
#define SIMD_NAMES_(name)                                                                          \
    typedef ::simd_##name##1 name##1;                                                              \
    typedef ::simd_##name##2 name##2;                                                              \
    typedef ::simd_##name##3 name##3;                                                              \
    typedef ::simd_##name##4 name##4;                                                              \
    typedef ::simd_##name##8 name##8;
SIMD_NAMES_(char)
SIMD_NAMES_(uchar)
SIMD_NAMES_(short)
SIMD_NAMES_(ushort)
SIMD_NAMES_(int)
SIMD_NAMES_(uint)
SIMD_NAMES_(long)
SIMD_NAMES_(ulong)
SIMD_NAMES_(float)
SIMD_NAMES_(double)
#undef SIMD_NAMES_
typedef ::simd_float2x2 float2x2;
typedef ::simd_float3x3 float3x3;
typedef ::simd_float4x4 float4x4;
} // namespace simd
#endif
#endif
#endif
