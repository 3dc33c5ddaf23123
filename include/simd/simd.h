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

SIMD_INLINE_ simd_float2 simd_make_float2(float x, float y)
{
    return (simd_float2){x, y};
}
SIMD_INLINE_ simd_float3 simd_make_float3(float x, float y, float z)
{
    return (simd_float3){x, y, z};
}
SIMD_INLINE_ simd_float4 simd_make_float4(float x, float y, float z, float w)
{
    return (simd_float4){x, y, z, w};
}
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
static const simd_float4x4 matrix_identity_float4x4
        __attribute__((unused)) = {{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}}};
#define vector2(x, y) simd_make_float2(x, y)
#define vector3(x, y, z) simd_make_float3(x, y, z)
#define vector4(x, y, z, w) simd_make_float4(x, y, z, w)

#if defined(__cplusplus)
namespace simd
{
typedef ::simd_char2 char2;
typedef ::simd_char3 char3;
typedef ::simd_char4 char4;
typedef ::simd_uchar2 uchar2;
typedef ::simd_uchar3 uchar3;
typedef ::simd_uchar4 uchar4;
typedef ::simd_short2 short2;
typedef ::simd_short4 short4;
typedef ::simd_ushort2 ushort2;
typedef ::simd_ushort4 ushort4;
typedef ::simd_int2 int2;
typedef ::simd_int3 int3;
typedef ::simd_int4 int4;
typedef ::simd_uint2 uint2;
typedef ::simd_uint3 uint3;
typedef ::simd_uint4 uint4;
typedef ::simd_float2 float2;
typedef ::simd_float3 float3;
typedef ::simd_float4 float4;
typedef ::simd_double2 double2;
typedef ::simd_double4 double4;
typedef ::simd_float2x2 float2x2;
typedef ::simd_float3x3 float3x3;
typedef ::simd_float4x4 float4x4;
} // namespace simd
#endif
#endif
#endif
