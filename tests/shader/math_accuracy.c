/* Metal's math functions against the C library's in double, in units in the last place, over all
 * exponents and at the edges. The bounds are those of the Metal specification for precise math, or
 * better. The host's rounding must not matter, so the object is built without fused operations. */
#include "math_table.h"

#include <stdio.h>

#define DECLARE1(name, reference, low, high, bound) float probe_##name(float);
#define DECLARE2(name, reference, a, b, c, d, bound) float probe_##name(float, float);
ONE(DECLARE1)
TWO(DECLARE2)
float probe_ldexp(float, int);
float probe_frexp(float, int *);
float probe_nextafter(float, float);
float probe_fract(float);
float probe_sign(float);

static int failures;

static void report(const char *name, double worst, double bound, double x, double y)
{
    if (!(worst <= bound)) {
        printf("%s: %g ulp at %.9g %.9g, allowed %g\n", name, worst, x, y, bound);
        failures++;
    }
}

static void check1(const char *name, float (*f)(float), double (*reference)(double), float low,
        float high, double bound)
{
    double worst = 0, at = 0;
    for (size_t i = 0; i < SAMPLES + ABX_ARRAY_SIZE(edges); i++) {
        float x = i < SAMPLES ? random_float(low, high) : edges[i - SAMPLES];
        double error = ulp_error(f(x), reference(x));
        if (error > worst)
            worst = error, at = x;
    }
    report(name, worst, bound, at, 0);
}

static void check2(const char *name, float (*f)(float, float), double (*reference)(double, double),
        const float range[4], double bound)
{
    double worst = 0, at = 0, and = 0;
    size_t n = ABX_ARRAY_SIZE(edges);
    for (size_t i = 0; i < SAMPLES + n * n; i++) {
        float x = i < SAMPLES ? random_float(range[0], range[1]) : edges[(i - SAMPLES) / n];
        float y = i < SAMPLES ? random_float(range[2], range[3]) : edges[(i - SAMPLES) % n];
        if (!strcmp(name, "powr") && (!(x > 0) || isinf(x) || isnan(y) || isinf(y)))
            continue; /* powr differs from pow there */
        double error = ulp_error(f(x, y), reference(x, y));
        if (error > worst)
            worst = error, at = x, and = y;
    }
    report(name, worst, bound, at, and);
}

static void check_exact(void)
{
    for (size_t i = 0; i < SAMPLES; i++) {
        float x = random_float(0, INFINITY), y = random_float(0, INFINITY);
        int e = (int)(i % 400) - 200, got, want;
        report("ldexp", ulp_error(probe_ldexp(x, e), ldexp(x, e)), 0.51, x, e);
        float mantissa = frexpf(x, &want), ours = probe_frexp(x, &got);
        report("frexp", ours == mantissa && got == want ? 0 : 1, 0, x, want);
        report("nextafter", probe_nextafter(x, y) == nextafterf(x, y) ? 0 : 1, 0, x, y);
    }
    report("fract", probe_fract(-0.25f) == 0.75f && probe_fract(-1e-10f) < 1.0f ? 0 : 1, 0, 0, 0);
    report("sign", probe_sign(-3) == -1 && probe_sign(NAN) == 0 ? 0 : 1, 0, 0, 0);
}

int main(void)
{
#define CHECK1(name, reference, low, high, bound)                                                  \
    check1(#name, probe_##name, reference, low, high, bound);
#define CHECK2(name, reference, a, b, c, d, bound)                                                 \
    check2(#name, probe_##name, reference, (const float[]){a, b, c, d}, bound);
    ONE(CHECK1)
    TWO(CHECK2)
    check_exact();
    return failures != 0;
}
