/* Accelerate: LAPACK, as Fortran calls it; OpenBLAS has it. What is not declared here can be
 * declared by the program: OpenBLAS has all of it. */
#ifndef ABX_ACCELERATE_CLAPACK_H
#define ABX_ACCELERATE_CLAPACK_H

#ifdef __cplusplus
extern "C" {
#endif

typedef int __CLPK_integer, __LAPACK_int, __CLPK_logical;
typedef float __CLPK_real;
typedef double __CLPK_doublereal;
typedef struct {
    float r, i;
} __CLPK_complex;
typedef struct {
    double r, i;
} __CLPK_doublecomplex;

#define ABX_LAPACK(p, T)                                                                           \
    int p##gesv_(int *n, int *nrhs, T *a, int *lda, int *ipiv, T *b, int *ldb, int *info);         \
    int p##getrf_(int *m, int *n, T *a, int *lda, int *ipiv, int *info);                           \
    int p##getri_(int *n, T *a, int *lda, int *ipiv, T *work, int *lwork, int *info);              \
    int p##getrs_(                                                                                 \
            char *trans, int *n, int *nrhs, T *a, int *lda, int *ipiv, T *b, int *ldb, int *info); \
    int p##posv_(char *uplo, int *n, int *nrhs, T *a, int *lda, T *b, int *ldb, int *info);        \
    int p##potrf_(char *uplo, int *n, T *a, int *lda, int *info);                                  \
    int p##potri_(char *uplo, int *n, T *a, int *lda, int *info);                                  \
    int p##potrs_(char *uplo, int *n, int *nrhs, T *a, int *lda, T *b, int *ldb, int *info);       \
    int p##geqrf_(int *m, int *n, T *a, int *lda, T *tau, T *work, int *lwork, int *info);         \
    int p##gelqf_(int *m, int *n, T *a, int *lda, T *tau, T *work, int *lwork, int *info);         \
    int p##trtri_(char *uplo, char *diag, int *n, T *a, int *lda, int *info);                      \
    int p##trtrs_(char *uplo, char *trans, char *diag, int *n, int *nrhs, T *a, int *lda, T *b,    \
            int *ldb, int *info);                                                                  \
    int p##gels_(char *trans, int *m, int *n, int *nrhs, T *a, int *lda, T *b, int *ldb, T *work,  \
            int *lwork, int *info);
#define ABX_LAPACK_REAL(p, T)                                                                      \
    int p##orgqr_(int *m, int *n, int *k, T *a, int *lda, T *tau, T *work, int *lwork, int *info); \
    int p##ormqr_(char *side, char *trans, int *m, int *n, int *k, T *a, int *lda, T *tau, T *c,   \
            int *ldc, T *work, int *lwork, int *info);                                             \
    int p##syev_(                                                                                  \
            char *jobz, char *uplo, int *n, T *a, int *lda, T *w, T *work, int *lwork, int *info); \
    int p##syevd_(char *jobz, char *uplo, int *n, T *a, int *lda, T *w, T *work, int *lwork,       \
            int *iwork, int *liwork, int *info);                                                   \
    int p##geev_(char *jobvl, char *jobvr, int *n, T *a, int *lda, T *wr, T *wi, T *vl, int *ldvl, \
            T *vr, int *ldvr, T *work, int *lwork, int *info);                                     \
    int p##gesvd_(char *jobu, char *jobvt, int *m, int *n, T *a, int *lda, T *s, T *u, int *ldu,   \
            T *vt, int *ldvt, T *work, int *lwork, int *info);                                     \
    int p##gesdd_(char *jobz, int *m, int *n, T *a, int *lda, T *s, T *u, int *ldu, T *vt,         \
            int *ldvt, T *work, int *lwork, int *iwork, int *info);
ABX_LAPACK(s, float)
ABX_LAPACK(d, double)
ABX_LAPACK(c, __CLPK_complex)
ABX_LAPACK(z, __CLPK_doublecomplex)
ABX_LAPACK_REAL(s, float)
ABX_LAPACK_REAL(d, double)
#undef ABX_LAPACK
#undef ABX_LAPACK_REAL

#ifdef __cplusplus
}
#endif
#endif
