/* <Accelerate/Accelerate.h>: BLAS and LAPACK, which are OpenBLAS's, and functions of vectors. */
#include <Accelerate/Accelerate.h>

#include "../check.h"

static void products(void)
{
    float a[2 * 3] = {1, 2, 3, 4, 5, 6}, b[3 * 2] = {1, 0, 0, 1, 1, 1}, c[4] = {100, 100, 100, 100};
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 2, 3, 1, a, 3, b, 2, 0.5f, c, 2);
    CHECK(c[0] == 54 && c[1] == 55 && c[2] == 60 && c[3] == 61);
    vDSP_mmul(a, 1, b, 1, c, 1, 2, 2, 3);
    CHECK(c[0] == 4 && c[1] == 5 && c[2] == 10 && c[3] == 11);
    CHECK(cblas_sdot(3, a, 1, a + 3, 1) == 32 && cblas_isamax(6, a, 1) == 5);
    float turned[6];
    vDSP_mtrans(a, 1, turned, 1, 3, 2);
    CHECK(turned[0] == 1 && turned[1] == 4 && turned[4] == 3 && turned[5] == 6);
    double one[2] = {1, 2}, two[2] = {3, -1}, dot[2];
    cblas_zdotc_sub(1, one, 1, two, 1, dot);
    CHECK(dot[0] == 1 && dot[1] == -7);
    float y[2] = {1, 2};
    catlas_saxpby(2, 2, (float[]){10, 20}, 1, -1, y, 1);
    CHECK(y[0] == 19 && y[1] == 38);
}

static void solutions(void)
{
    __CLPK_integer n = 2, one = 1, pivots[2], info = -1, lwork = 64;
    double a[4] = {2, 1, 1, 3} /* by columns */, b[2] = {3, 5}, work[64], values[2];
    dgesv_(&n, &one, a, &n, pivots, b, &n, &info);
    CHECK(info == 0 && fabs(b[0] - 0.8) < 1e-12 && fabs(b[1] - 1.4) < 1e-12);
    double s[4] = {2, 1, 1, 2};
    dsyev_("N", "U", &n, s, &n, values, work, &lwork, &info);
    CHECK(info == 0 && fabs(values[0] - 1) < 1e-12 && fabs(values[1] - 3) < 1e-12);
}

static void vectors(void)
{
    float a[4] = {1, -2, 3, 4}, b[4] = {2, 4, 8, 16}, c[4], k = 10, low = -1, high = 3, sum;
    vDSP_Length at;
    vDSP_vsub(a, 1, b, 1, c, 1, 4); /* b - a */
    CHECK(c[0] == 1 && c[1] == 6 && c[2] == 5 && c[3] == 12);
    vDSP_vdiv(a, 1, b, 1, c, 1, 4); /* b / a */
    CHECK(c[0] == 2 && c[1] == -2 && c[3] == 4);
    vDSP_vsma(a, 2, &k, b, 2, c, 1, 2);
    CHECK(c[0] == 12 && c[1] == 38);
    vDSP_vclip(a, 1, &low, &high, c, 1, 4);
    CHECK(c[0] == 1 && c[1] == -1 && c[2] == 3 && c[3] == 3);
    vDSP_sve(a, 1, &sum, 4);
    CHECK(sum == 6);
    vDSP_maxvi(a, 1, &sum, &at, 4);
    CHECK(sum == 4 && at == 3);
    vDSP_minvi(a, 1, &sum, &at, 4);
    CHECK(sum == -2 && at == 1);
    int n = 4;
    vvpowf(c, (float[]){2, 3, 2, 0}, b, &n); /* b to the second argument's power */
    CHECK(c[0] == 4 && c[1] == 64 && c[2] == 64 && c[3] == 1);
    double d[2] = {0, 1}, e[2];
    vvexp(e, d, &(int){2});
    CHECK(e[0] == 1 && fabs(e[1] - 2.718281828459045) < 1e-14);
    vDSP_vaddD(d, 1, e, 1, e, 1, 2);
    CHECK(e[0] == 1 && e[1] > 3.7);
}

int main(void)
{
    products();
    solutions();
    vectors();
    puts("ok");
    return 0;
}
