/* Accelerate: vectors and small matrices, with steps in elements. Those of vDSP that are here;
 * there are no Fourier transforms, filters or complex numbers. */
#ifndef ABX_ACCELERATE_VDSP_H
#define ABX_ACCELERATE_VDSP_H

#include <math.h>

typedef unsigned long vDSP_Length;
typedef long vDSP_Stride;

/* Names end in nothing for float, and in D for double. Steps have the name of their vector behind
 * I. */
#define ABX_VDSP_EACH(name, T, arguments, expression)                                              \
    static inline void name arguments                                                              \
    {                                                                                              \
        for (vDSP_Stride i = 0; i < (vDSP_Stride)N; i++)                                           \
            expression;                                                                            \
    }
#define ABX_VDSP_SUM(name, T, arguments, start, each, end)                                         \
    static inline void name arguments                                                              \
    {                                                                                              \
        T sum = start;                                                                             \
        for (vDSP_Stride i = 0; i < (vDSP_Stride)N; i++)                                           \
            each;                                                                                  \
        *C = end;                                                                                  \
    }

/* vsub and vdiv take what is taken away, and what is divided by, first. */
#define ABX_VDSP(T, D_, abs_, sqrt_)                                                               \
    ABX_VDSP_EACH(vDSP_vadd##D_, T,                                                                \
            (const T *A, vDSP_Stride IA, const T *B, vDSP_Stride IB, T *C, vDSP_Stride IC,         \
                    vDSP_Length N),                                                                \
            C[i * IC] = A[i * IA] + B[i * IB])                                                     \
    ABX_VDSP_EACH(vDSP_vsub##D_, T,                                                                \
            (const T *B, vDSP_Stride IB, const T *A, vDSP_Stride IA, T *C, vDSP_Stride IC,         \
                    vDSP_Length N),                                                                \
            C[i * IC] = A[i * IA] - B[i * IB])                                                     \
    ABX_VDSP_EACH(vDSP_vmul##D_, T,                                                                \
            (const T *A, vDSP_Stride IA, const T *B, vDSP_Stride IB, T *C, vDSP_Stride IC,         \
                    vDSP_Length N),                                                                \
            C[i * IC] = A[i * IA] * B[i * IB])                                                     \
    ABX_VDSP_EACH(vDSP_vdiv##D_, T,                                                                \
            (const T *B, vDSP_Stride IB, const T *A, vDSP_Stride IA, T *C, vDSP_Stride IC,         \
                    vDSP_Length N),                                                                \
            C[i * IC] = A[i * IA] / B[i * IB])                                                     \
    ABX_VDSP_EACH(vDSP_vmax##D_, T,                                                                \
            (const T *A, vDSP_Stride IA, const T *B, vDSP_Stride IB, T *C, vDSP_Stride IC,         \
                    vDSP_Length N),                                                                \
            C[i * IC] = A[i * IA] > B[i * IB] ? A[i * IA] : B[i * IB])                             \
    ABX_VDSP_EACH(vDSP_vmin##D_, T,                                                                \
            (const T *A, vDSP_Stride IA, const T *B, vDSP_Stride IB, T *C, vDSP_Stride IC,         \
                    vDSP_Length N),                                                                \
            C[i * IC] = A[i * IA] < B[i * IB] ? A[i * IA] : B[i * IB])                             \
    ABX_VDSP_EACH(vDSP_vsadd##D_, T,                                                               \
            (const T *A, vDSP_Stride IA, const T *B, T *C, vDSP_Stride IC, vDSP_Length N),         \
            C[i * IC] = A[i * IA] + *B)                                                            \
    ABX_VDSP_EACH(vDSP_vsmul##D_, T,                                                               \
            (const T *A, vDSP_Stride IA, const T *B, T *C, vDSP_Stride IC, vDSP_Length N),         \
            C[i * IC] = A[i * IA] * *B)                                                            \
    ABX_VDSP_EACH(vDSP_vsdiv##D_, T,                                                               \
            (const T *A, vDSP_Stride IA, const T *B, T *C, vDSP_Stride IC, vDSP_Length N),         \
            C[i * IC] = A[i * IA] / *B)                                                            \
    ABX_VDSP_EACH(vDSP_svdiv##D_, T,                                                               \
            (const T *A, const T *B, vDSP_Stride IB, T *C, vDSP_Stride IC, vDSP_Length N),         \
            C[i * IC] = *A / B[i * IB])                                                            \
    ABX_VDSP_EACH(vDSP_vsma##D_, T,                                                                \
            (const T *A, vDSP_Stride IA, const T *B, const T *C, vDSP_Stride IC, T *D,             \
                    vDSP_Stride ID, vDSP_Length N),                                                \
            D[i * ID] = A[i * IA] * *B + C[i * IC])                                                \
    ABX_VDSP_EACH(vDSP_vsmsa##D_, T,                                                               \
            (const T *A, vDSP_Stride IA, const T *B, const T *C, T *D, vDSP_Stride ID,             \
                    vDSP_Length N),                                                                \
            D[i * ID] = A[i * IA] * *B + *C)                                                       \
    ABX_VDSP_EACH(vDSP_vma##D_, T,                                                                 \
            (const T *A, vDSP_Stride IA, const T *B, vDSP_Stride IB, const T *C, vDSP_Stride IC,   \
                    T *D, vDSP_Stride ID, vDSP_Length N),                                          \
            D[i * ID] = A[i * IA] * B[i * IB] + C[i * IC])                                         \
    ABX_VDSP_EACH(vDSP_vmsb##D_, T,                                                                \
            (const T *A, vDSP_Stride IA, const T *B, vDSP_Stride IB, const T *C, vDSP_Stride IC,   \
                    T *D, vDSP_Stride ID, vDSP_Length N),                                          \
            D[i * ID] = A[i * IA] * B[i * IB] - C[i * IC])                                         \
    ABX_VDSP_EACH(vDSP_vneg##D_, T,                                                                \
            (const T *A, vDSP_Stride IA, T *C, vDSP_Stride IC, vDSP_Length N),                     \
            C[i * IC] = -A[i * IA])                                                                \
    ABX_VDSP_EACH(vDSP_vabs##D_, T,                                                                \
            (const T *A, vDSP_Stride IA, T *C, vDSP_Stride IC, vDSP_Length N),                     \
            C[i * IC] = abs_(A[i * IA]))                                                           \
    ABX_VDSP_EACH(vDSP_vsq##D_, T,                                                                 \
            (const T *A, vDSP_Stride IA, T *C, vDSP_Stride IC, vDSP_Length N),                     \
            C[i * IC] = A[i * IA] * A[i * IA])                                                     \
    ABX_VDSP_EACH(vDSP_vclip##D_, T,                                                               \
            (const T *A, vDSP_Stride IA, const T *B, const T *C, T *D, vDSP_Stride ID,             \
                    vDSP_Length N),                                                                \
            D[i * ID] = A[i * IA] < *B   ? *B                                                      \
                        : A[i * IA] > *C ? *C                                                      \
                                         : A[i * IA])                                              \
    ABX_VDSP_EACH(vDSP_vthr##D_, T,                                                                \
            (const T *A, vDSP_Stride IA, const T *B, T *C, vDSP_Stride IC, vDSP_Length N),         \
            C[i * IC] = A[i * IA] >= *B ? A[i * IA] : *B)                                          \
    ABX_VDSP_EACH(vDSP_vthres##D_, T,                                                              \
            (const T *A, vDSP_Stride IA, const T *B, T *C, vDSP_Stride IC, vDSP_Length N),         \
            C[i * IC] = A[i * IA] >= *B ? A[i * IA] : 0)                                           \
    ABX_VDSP_EACH(                                                                                 \
            vDSP_vfill##D_, T, (const T *A, T *C, vDSP_Stride IC, vDSP_Length N), C[i * IC] = *A)  \
    ABX_VDSP_EACH(vDSP_vclr##D_, T, (T * C, vDSP_Stride IC, vDSP_Length N), C[i * IC] = 0)         \
    ABX_VDSP_EACH(vDSP_vramp##D_, T,                                                               \
            (const T *A, const T *B, T *C, vDSP_Stride IC, vDSP_Length N),                         \
            C[i * IC] = *A + (T)i * *B)                                                            \
    ABX_VDSP_SUM(vDSP_sve##D_, T, (const T *A, vDSP_Stride IA, T *C, vDSP_Length N), 0,            \
            sum += A[i * IA], sum)                                                                 \
    ABX_VDSP_SUM(vDSP_svemg##D_, T, (const T *A, vDSP_Stride IA, T *C, vDSP_Length N), 0,          \
            sum += abs_(A[i * IA]), sum)                                                           \
    ABX_VDSP_SUM(vDSP_svesq##D_, T, (const T *A, vDSP_Stride IA, T *C, vDSP_Length N), 0,          \
            sum += A[i * IA] * A[i * IA], sum)                                                     \
    ABX_VDSP_SUM(vDSP_meanv##D_, T, (const T *A, vDSP_Stride IA, T *C, vDSP_Length N), 0,          \
            sum += A[i * IA], sum / (T)N)                                                          \
    ABX_VDSP_SUM(vDSP_measqv##D_, T, (const T *A, vDSP_Stride IA, T *C, vDSP_Length N), 0,         \
            sum += A[i * IA] * A[i * IA], sum / (T)N)                                              \
    ABX_VDSP_SUM(vDSP_rmsqv##D_, T, (const T *A, vDSP_Stride IA, T *C, vDSP_Length N), 0,          \
            sum += A[i * IA] * A[i * IA], sqrt_(sum / (T)N))                                       \
    ABX_VDSP_SUM(vDSP_dotpr##D_, T,                                                                \
            (const T *A, vDSP_Stride IA, const T *B, vDSP_Stride IB, T *C, vDSP_Length N), 0,      \
            sum += A[i * IA] * B[i * IB], sum)                                                     \
    ABX_VDSP_SUM(vDSP_distancesq##D_, T,                                                           \
            (const T *A, vDSP_Stride IA, const T *B, vDSP_Stride IB, T *C, vDSP_Length N), 0,      \
            sum += (A[i * IA] - B[i * IB]) * (A[i * IA] - B[i * IB]), sum)                         \
    ABX_VDSP_SUM(vDSP_maxv##D_, T, (const T *A, vDSP_Stride IA, T *C, vDSP_Length N),              \
            (T) - INFINITY, sum = A[i * IA] > sum ? A[i * IA] : sum, sum)                          \
    ABX_VDSP_SUM(vDSP_minv##D_, T, (const T *A, vDSP_Stride IA, T *C, vDSP_Length N), (T)INFINITY, \
            sum = A[i * IA] < sum ? A[i * IA] : sum, sum)                                          \
    ABX_VDSP_SUM(vDSP_maxmgv##D_, T, (const T *A, vDSP_Stride IA, T *C, vDSP_Length N), 0,         \
            sum = abs_(A[i * IA]) > sum ? abs_(A[i * IA]) : sum, sum)                              \
    /* Where it is, in elements from A on. */                                                      \
    static inline void vDSP_maxvi##D_(                                                             \
            const T *A, vDSP_Stride IA, T *C, vDSP_Length *I, vDSP_Length N)                       \
    {                                                                                              \
        *C = (T) - INFINITY, *I = 0;                                                               \
        for (vDSP_Stride i = 0; i < (vDSP_Stride)N; i++)                                           \
            if (A[i * IA] > *C)                                                                    \
                *C = A[i * IA], *I = (vDSP_Length)(i * IA);                                        \
    }                                                                                              \
    static inline void vDSP_minvi##D_(                                                             \
            const T *A, vDSP_Stride IA, T *C, vDSP_Length *I, vDSP_Length N)                       \
    {                                                                                              \
        *C = (T)INFINITY, *I = 0;                                                                  \
        for (vDSP_Stride i = 0; i < (vDSP_Stride)N; i++)                                           \
            if (A[i * IA] < *C)                                                                    \
                *C = A[i * IA], *I = (vDSP_Length)(i * IA);                                        \
    }                                                                                              \
    /* C, of M rows and N columns, is A, of M rows and P, times B, of P rows. */                   \
    static inline void vDSP_mmul##D_(const T *A, vDSP_Stride IA, const T *B, vDSP_Stride IB, T *C, \
            vDSP_Stride IC, vDSP_Length M, vDSP_Length N, vDSP_Length P)                           \
    {                                                                                              \
        for (vDSP_Stride m = 0; m < (vDSP_Stride)M; m++)                                           \
            for (vDSP_Stride n = 0; n < (vDSP_Stride)N; n++) {                                     \
                T sum = 0;                                                                         \
                for (vDSP_Stride p = 0; p < (vDSP_Stride)P; p++)                                   \
                    sum += A[(m * (vDSP_Stride)P + p) * IA] * B[(p * (vDSP_Stride)N + n) * IB];    \
                C[(m * (vDSP_Stride)N + n) * IC] = sum;                                            \
            }                                                                                      \
    }                                                                                              \
    /* C, of M rows and N columns, is A turned. */                                                 \
    static inline void vDSP_mtrans##D_(                                                            \
            const T *A, vDSP_Stride IA, T *C, vDSP_Stride IC, vDSP_Length M, vDSP_Length N)        \
    {                                                                                              \
        for (vDSP_Stride m = 0; m < (vDSP_Stride)M; m++)                                           \
            for (vDSP_Stride n = 0; n < (vDSP_Stride)N; n++)                                       \
                C[(m * (vDSP_Stride)N + n) * IC] = A[(n * (vDSP_Stride)M + m) * IA];               \
    }
ABX_VDSP(float, , fabsf, sqrtf)
ABX_VDSP(double, D, fabs, sqrt)
#undef ABX_VDSP
#undef ABX_VDSP_EACH
#undef ABX_VDSP_SUM
#endif
