/* Accelerate: products and sums of vectors and matrices. -framework Accelerate links OpenBLAS,
 * which computes them; numbers of rows, columns and steps are of 32 bits. */
#ifndef ABX_ACCELERATE_CBLAS_H
#define ABX_ACCELERATE_CBLAS_H

#ifdef __cplusplus
extern "C" {
#endif

enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor = 102 };
enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans = 112, CblasConjTrans = 113 };
enum CBLAS_UPLO { CblasUpper = 121, CblasLower = 122 };
enum CBLAS_DIAG { CblasNonUnit = 131, CblasUnit = 132 };
enum CBLAS_SIDE { CblasLeft = 141, CblasRight = 142 };
typedef enum CBLAS_ORDER CBLAS_ORDER, CBLAS_LAYOUT;
typedef enum CBLAS_TRANSPOSE CBLAS_TRANSPOSE;
typedef enum CBLAS_UPLO CBLAS_UPLO;
typedef enum CBLAS_DIAG CBLAS_DIAG;
typedef enum CBLAS_SIDE CBLAS_SIDE;

float cblas_sdsdot(int n, float alpha, const float *x, int incx, const float *y, int incy);
double cblas_dsdot(int n, const float *x, int incx, const float *y, int incy);

/* T: the elements; V: what is passed by value, for complex numbers a pointer; P: a pointer to
 * elements. */
#define ABX_BLAS_SHARED(p, V, C, P)                                                                \
    void cblas_##p##swap(int n, P x, int incx, P y, int incy);                                     \
    void cblas_##p##copy(int n, C x, int incx, P y, int incy);                                     \
    void cblas_##p##axpy(int n, V alpha, C x, int incx, P y, int incy);                            \
    void cblas_##p##axpby(int n, V alpha, C x, int incx, V beta, P y, int incy);                   \
    void cblas_##p##scal(int n, V alpha, P x, int incx);                                           \
    void cblas_##p##gemv(CBLAS_ORDER order, CBLAS_TRANSPOSE trans, int m, int n, V alpha, C a,     \
            int lda, C x, int incx, V beta, P y, int incy);                                        \
    void cblas_##p##gbmv(CBLAS_ORDER order, CBLAS_TRANSPOSE trans, int m, int n, int kl, int ku,   \
            V alpha, C a, int lda, C x, int incx, V beta, P y, int incy);                          \
    void cblas_##p##trmv(CBLAS_ORDER order, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,                \
            CBLAS_DIAG diag, int n, C a, int lda, P x, int incx);                                  \
    void cblas_##p##trsv(CBLAS_ORDER order, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,                \
            CBLAS_DIAG diag, int n, C a, int lda, P x, int incx);                                  \
    void cblas_##p##tbmv(CBLAS_ORDER order, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,                \
            CBLAS_DIAG diag, int n, int k, C a, int lda, P x, int incx);                           \
    void cblas_##p##tbsv(CBLAS_ORDER order, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,                \
            CBLAS_DIAG diag, int n, int k, C a, int lda, P x, int incx);                           \
    void cblas_##p##tpmv(CBLAS_ORDER order, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,                \
            CBLAS_DIAG diag, int n, C ap, P x, int incx);                                          \
    void cblas_##p##tpsv(CBLAS_ORDER order, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,                \
            CBLAS_DIAG diag, int n, C ap, P x, int incx);                                          \
    void cblas_##p##gemm(CBLAS_ORDER order, CBLAS_TRANSPOSE transa, CBLAS_TRANSPOSE transb, int m, \
            int n, int k, V alpha, C a, int lda, C b, int ldb, V beta, P c, int ldc);              \
    void cblas_##p##symm(CBLAS_ORDER order, CBLAS_SIDE side, CBLAS_UPLO uplo, int m, int n,        \
            V alpha, C a, int lda, C b, int ldb, V beta, P c, int ldc);                            \
    void cblas_##p##syrk(CBLAS_ORDER order, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans, int n, int k,  \
            V alpha, C a, int lda, V beta, P c, int ldc);                                          \
    void cblas_##p##syr2k(CBLAS_ORDER order, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans, int n, int k, \
            V alpha, C a, int lda, C b, int ldb, V beta, P c, int ldc);                            \
    void cblas_##p##trmm(CBLAS_ORDER order, CBLAS_SIDE side, CBLAS_UPLO uplo,                      \
            CBLAS_TRANSPOSE transa, CBLAS_DIAG diag, int m, int n, V alpha, C a, int lda, P b,     \
            int ldb);                                                                              \
    void cblas_##p##trsm(CBLAS_ORDER order, CBLAS_SIDE side, CBLAS_UPLO uplo,                      \
            CBLAS_TRANSPOSE transa, CBLAS_DIAG diag, int m, int n, V alpha, C a, int lda, P b,     \
            int ldb);
#define ABX_BLAS_REAL(p, T)                                                                        \
    ABX_BLAS_SHARED(p, T, const T *, T *)                                                          \
    T cblas_##p##dot(int n, const T *x, int incx, const T *y, int incy);                           \
    T cblas_##p##nrm2(int n, const T *x, int incx);                                                \
    T cblas_##p##asum(int n, const T *x, int incx);                                                \
    int cblas_i##p##amax(int n, const T *x, int incx);                                             \
    void cblas_##p##rotg(T *a, T *b, T *c, T *s);                                                  \
    void cblas_##p##rot(int n, T *x, int incx, T *y, int incy, T c, T s);                          \
    void cblas_##p##ger(CBLAS_ORDER order, int m, int n, T alpha, const T *x, int incx,            \
            const T *y, int incy, T *a, int lda);                                                  \
    void cblas_##p##symv(CBLAS_ORDER order, CBLAS_UPLO uplo, int n, T alpha, const T *a, int lda,  \
            const T *x, int incx, T beta, T *y, int incy);                                         \
    void cblas_##p##sbmv(CBLAS_ORDER order, CBLAS_UPLO uplo, int n, int k, T alpha, const T *a,    \
            int lda, const T *x, int incx, T beta, T *y, int incy);                                \
    void cblas_##p##spmv(CBLAS_ORDER order, CBLAS_UPLO uplo, int n, T alpha, const T *ap,          \
            const T *x, int incx, T beta, T *y, int incy);                                         \
    void cblas_##p##syr(CBLAS_ORDER order, CBLAS_UPLO uplo, int n, T alpha, const T *x, int incx,  \
            T *a, int lda);                                                                        \
    void cblas_##p##syr2(CBLAS_ORDER order, CBLAS_UPLO uplo, int n, T alpha, const T *x, int incx, \
            const T *y, int incy, T *a, int lda);
#define ABX_BLAS_COMPLEX(p, T, norm, scale)                                                        \
    ABX_BLAS_SHARED(p, const void *, const void *, void *)                                         \
    void cblas_##p##dotu_sub(int n, const void *x, int incx, const void *y, int incy, void *dot);  \
    void cblas_##p##dotc_sub(int n, const void *x, int incx, const void *y, int incy, void *dot);  \
    T cblas_##norm##nrm2(int n, const void *x, int incx);                                          \
    T cblas_##norm##asum(int n, const void *x, int incx);                                          \
    int cblas_i##p##amax(int n, const void *x, int incx);                                          \
    void cblas_##scale##scal(int n, T alpha, void *x, int incx);                                   \
    void cblas_##p##geru(CBLAS_ORDER order, int m, int n, const void *alpha, const void *x,        \
            int incx, const void *y, int incy, void *a, int lda);                                  \
    void cblas_##p##gerc(CBLAS_ORDER order, int m, int n, const void *alpha, const void *x,        \
            int incx, const void *y, int incy, void *a, int lda);                                  \
    void cblas_##p##hemv(CBLAS_ORDER order, CBLAS_UPLO uplo, int n, const void *alpha,             \
            const void *a, int lda, const void *x, int incx, const void *beta, void *y, int incy); \
    void cblas_##p##hemm(CBLAS_ORDER order, CBLAS_SIDE side, CBLAS_UPLO uplo, int m, int n,        \
            const void *alpha, const void *a, int lda, const void *b, int ldb, const void *beta,   \
            void *c, int ldc);                                                                     \
    void cblas_##p##herk(CBLAS_ORDER order, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans, int n, int k,  \
            T alpha, const void *a, int lda, T beta, void *c, int ldc);
ABX_BLAS_REAL(s, float)
ABX_BLAS_REAL(d, double)
ABX_BLAS_COMPLEX(c, float, sc, cs)
ABX_BLAS_COMPLEX(z, double, dz, zd)
#undef ABX_BLAS_SHARED
#undef ABX_BLAS_REAL
#undef ABX_BLAS_COMPLEX

static inline void catlas_saxpby(
        int n, float alpha, const float *x, int incx, float beta, float *y, int incy)
{
    cblas_saxpby(n, alpha, x, incx, beta, y, incy);
}
static inline void catlas_daxpby(
        int n, double alpha, const double *x, int incx, double beta, double *y, int incy)
{
    cblas_daxpby(n, alpha, x, incx, beta, y, incy);
}
static inline void catlas_sset(int n, float alpha, float *x, int incx)
{
    for (long i = 0; i < n; i++)
        x[i * incx] = alpha;
}
static inline void catlas_dset(int n, double alpha, double *x, int incx)
{
    for (long i = 0; i < n; i++)
        x[i * incx] = alpha;
}

#ifdef __cplusplus
}
#endif
#endif
