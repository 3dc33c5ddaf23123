/* bench: ggml's matrix kernels on the cpu backend. ggml's Metal source is the user's to give (it is
 * not ours to carry): argument structures and dispatch sizes are those of ggml-metal. One thread
 * throughout, and results are checked before a figure is believed. */
#include "bench/cpu_bench.h"

#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 2048
#define MV_COLUMNS 4096

/* ggml_metal_kargs_mul_mm and _mul_mv of ggml, 2026. */
struct mul_mm {
    int32_t ne00, ne02;
    uint64_t nb01, nb02, nb03;
    int32_t ne12;
    uint64_t nb10, nb11, nb12, nb13;
    int32_t ne0, ne1;
    int16_t r2, r3;
};

struct mul_mv {
    int32_t ne00, ne01, ne02;
    uint64_t nb00, nb01, nb02, nb03;
    int32_t ne10, ne11, ne12;
    uint64_t nb10, nb11, nb12, nb13;
    int32_t ne0, ne1, nr0;
    int16_t r2, r3;
};

static struct abx_shader_constant constant(uint32_t index, int16_t value)
{
    struct abx_shader_constant c = {.index = index};
    memcpy(c.value, &value, sizeof value);
    return c;
}

static float pseudo_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)(*state >> 20) / 4096.0f - 0.5f;
}

/* ---- OpenBLAS, when it is installed */

typedef void sgemm_fn(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a,
        int lda, const float *b, int ldb, float beta, float *c, int ldc);

struct sgemm {
    sgemm_fn *fn;
    const float *a, *b;
    float *c;
};

static void call_sgemm(void *user)
{
    struct sgemm *s = user;
    enum { ROW_MAJOR = 101, NO = 111, YES = 112 };
    s->fn(ROW_MAJOR, NO, YES, SIZE, SIZE, SIZE, 1, s->b, SIZE, s->a, SIZE, 0, s->c, SIZE);
}

static double measure_blas(struct cpu_bench *b, const float *x, const float *y, float *r)
{
    const char *target = getenv(ABX_TARGET_ENV);
    if (target && !strcmp(target, "x86-64"))
        setenv("OPENBLAS_CORETYPE", "Haswell", 1); /* the same instructions as ours: AVX2 */
    else
        unsetenv("OPENBLAS_CORETYPE"); /* some images ask for an old processor's code */
    void *blas = dlopen("libopenblas.so.0", RTLD_NOW);
    struct sgemm s = {NULL, x, y, r};
    void (*threads)(int) = NULL;
    if (blas) {
        *(void **)&s.fn = dlsym(blas, "cblas_sgemm");
        *(void **)&threads = dlsym(blas, "openblas_set_num_threads");
    }
    if (!s.fn || !threads) {
        fprintf(stderr, "no OpenBLAS to compare with (libopenblas0-pthread)\n");
        return NAN;
    }
    threads(1);
    return cpu_measure_call(b, call_sgemm, &s, 1);
}

/* Half precision in the tiles: 2,048 products of numbers below 1/2, each off by 2^-11 of itself. */
static bool close_to(const char *figure, const float *x, const float *y, const float *r)
{
    for (int i = 0; i < 64; i++) {
        int m = i * 37 % SIZE, n = i * 101 % SIZE;
        double sum = 0;
        for (int k = 0; k < SIZE; k++)
            sum += (double)x[m * SIZE + k] * y[n * SIZE + k];
        if (!(fabs(sum - r[n * SIZE + m]) < 0.02)) {
            fprintf(stderr, "%s is wrong at %d, %d: %g, not %g\n", figure, m, n, r[n * SIZE + m],
                    sum);
            return false;
        }
    }
    return true;
}

/* The weights are floats, or halves; the kernel that of 8x8 matrices, or of tensors, whose
 * threadgroups make 64 x 128 numbers rather than 64 x 32. */
static void measure_mul_mm(struct cpu_bench *b, struct cpu_library *l, bool halves, bool tensors)
{
    enum { FC = 700 };
    static const char *const figures[2][2] = {{"cpu_mul_mm_gflops", "cpu_mul_mm_f16_gflops"},
            {"cpu_mul_mm_tensor_gflops", "cpu_mul_mm_tensor_f16_gflops"}};
    const char *figure = figures[tensors][halves];
    const char *kernel = halves ? "kernel_mul_mm_f16_f32" : "kernel_mul_mm_f32_f32";
    if (!cpu_wanted(b, figure))
        return;
    struct abx_shader_constant fc[6] = {constant(FC, 0), constant(FC + 1, 0), constant(FC + 2, 1),
            constant(FC + 3, 1), constant(FC + 4, 1), constant(FC + 5, 1)};
    size_t bytes = sizeof(float) * SIZE * SIZE;
    float *x = aligned_alloc(64, bytes), *y = aligned_alloc(64, bytes),
          *r = aligned_alloc(64, bytes);
    _Float16 *weights = aligned_alloc(64, bytes / 2);
    uint64_t each = halves ? sizeof *weights : sizeof *x;
    uint32_t state = 1;
    for (int i = 0; i < SIZE * SIZE; i++) {
        x[i] = pseudo_random(&state), y[i] = pseudo_random(&state);
        weights[i] = (_Float16)x[i];
    }
    memset(r, 0, bytes);
    struct mul_mm a = {.ne00 = SIZE,
            .ne02 = 1,
            .nb01 = each * SIZE,
            .nb02 = each * SIZE * SIZE,
            .nb03 = each * SIZE * SIZE,
            .ne12 = 1,
            .nb10 = 4,
            .nb11 = 4 * SIZE,
            .nb12 = bytes,
            .nb13 = bytes,
            .ne0 = SIZE,
            .ne1 = SIZE,
            .r2 = 1,
            .r3 = 1};
    struct cpu_dispatch d = {.pipeline = cpu_pipeline(b, l, kernel, fc, 6),
            .grid = {SIZE / (tensors ? 128 : 32) * 32, SIZE / 64 * 4, 1},
            .group = {32, 4, 1},
            .threadgroup_bytes = 4096 + 2048,
            .arguments = &a,
            .argument_bytes = sizeof a,
            .buffer = {halves ? (void *)weights : x, y, r}};
    double ours = cpu_measure(b, &d, 1);
    double flops = 2.0 * SIZE * SIZE * SIZE;
    if (!isnan(ours) && close_to(figure, x, y, r)) {
        double blas = measure_blas(b, x, y, r);
        cpu_report(figure, "GFLOP/s", flops / ours, flops / blas, blas / ours,
                "OpenBLAS sgemm, one thread");
    }
    cpu_pipeline_free(d.pipeline);
    free(weights);
    free(x);
    free(y);
    free(r);
}

/* ---- matrix times vector */

struct stream {
    const uint64_t *data;
    size_t words;
    volatile uint64_t sum;
};

/* Reads as fast as one thread can: many lines in flight. */
static void read_all(void *user)
{
    typedef uint64_t v8 __attribute__((vector_size(64)));
    struct stream *s = user;
    const v8 *p = (const v8 *)s->data;
    v8 a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t i = 0; i < s->words / 8; i += 4)
        a += p[i], b += p[i + 1], c += p[i + 2], d += p[i + 3];
    a += b + c + d;
    s->sum = a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
}

struct weights {
    const char *kernel, *figure;
    int matrix_rows; /* so many that no cache holds the matrix, as with a model's */
    int bits16;      /* _Float16, else q4_0: blocks of 32 in 18 bytes */
    int16_t simdgroups, rows;
    uint32_t threadgroup_bytes;
};

static void fill_weights(const struct weights *w, char *data, size_t bytes)
{
    uint32_t state = 7;
    if (w->bits16) {
        for (size_t i = 0; i < bytes / 2; i++)
            ((_Float16 *)(void *)data)[i] = (_Float16)pseudo_random(&state);
        return;
    }
    for (size_t i = 0; i < bytes; i++)
        data[i] = (char)((state = state * 1664525u + 1013904223u) >> 24);
    for (size_t i = 0; i + 18 <= bytes; i += 18) {
        _Float16 scale = (_Float16)0.125f;
        memcpy(data + i, &scale, 2);
    }
}

static double expected(const struct weights *w, const char *row, const float *v)
{
    double sum = 0;
    for (int k = 0; k < MV_COLUMNS; k++)
        if (w->bits16) {
            sum += (double)((const _Float16 *)(const void *)row)[k] * v[k];
        } else {
            unsigned char q = (unsigned char)row[k / 32 * 18 + 2 + k % 16];
            sum += 0.125 * ((k % 32 < 16 ? q & 15 : q >> 4) - 8) * v[k];
        }
    return sum;
}

static void measure_mul_mv(struct cpu_bench *b, struct cpu_library *l, const struct weights *w)
{
    enum { FC = 600 };
    if (!cpu_wanted(b, w->figure))
        return;
    struct abx_shader_constant fc[5] = {constant(FC, w->simdgroups), constant(FC + 1, 1),
            constant(FC + 2, 1), constant(FC + 3, 1), constant(FC + 4, 1)};
    size_t row = w->bits16 ? 2 * MV_COLUMNS : MV_COLUMNS / 32 * 18,
           bytes = row * (size_t)w->matrix_rows;
    char *data = aligned_alloc(64, bytes);
    float *v = aligned_alloc(64, 4 * MV_COLUMNS),
          *r = aligned_alloc(64, 4 * (size_t)w->matrix_rows);
    uint32_t state = 3;
    fill_weights(w, data, bytes);
    for (int i = 0; i < MV_COLUMNS; i++)
        v[i] = pseudo_random(&state);
    struct mul_mv a = {.ne00 = MV_COLUMNS,
            .ne01 = w->matrix_rows,
            .ne02 = 1,
            .nb00 = w->bits16 ? 2 : 18,
            .nb01 = row,
            .nb02 = bytes,
            .nb03 = bytes,
            .ne10 = MV_COLUMNS,
            .ne11 = 1,
            .ne12 = 1,
            .nb10 = 4,
            .nb11 = 4 * MV_COLUMNS,
            .nb12 = 4 * MV_COLUMNS,
            .nb13 = 4 * MV_COLUMNS,
            .ne0 = w->matrix_rows,
            .ne1 = 1,
            .nr0 = w->rows,
            .r2 = 1,
            .r3 = 1};
    uint32_t rows = (uint32_t)(w->bits16 ? w->rows : w->rows * w->simdgroups);
    struct cpu_dispatch d = {.pipeline = cpu_pipeline(b, l, w->kernel, fc, 5),
            .grid = {(uint32_t)w->matrix_rows / rows * 32, (uint32_t)w->simdgroups, 1},
            .group = {32, (uint32_t)w->simdgroups, 1},
            .threadgroup_bytes = w->threadgroup_bytes,
            .arguments = &a,
            .argument_bytes = sizeof a,
            .buffer = {data, v, r}};
    double ours = cpu_measure(b, &d, 1);
    bool right = !isnan(ours);
    for (int i = 0; i < 64 && right; i++) {
        int at = i * 127 % w->matrix_rows;
        double e = expected(w, data + at * row, v);
        right = fabs(e - r[at]) < 0.01 + 1e-3 * fabs(e);
        if (!right)
            fprintf(stderr, "%s is wrong at %d: %g, not %g\n", w->kernel, at, r[at], e);
    }
    struct stream s = {(const void *)data, bytes / 8, 0};
    double memory = cpu_measure_call(b, read_all, &s, 1), size = (double)bytes;
    if (right)
        cpu_report(w->figure, "GB/s", size / ours, size / memory, memory / ours,
                "reading the same bytes, one thread");
    cpu_pipeline_free(d.pipeline);
    free(data);
    free(v);
    free(r);
}

/* With the macro that ggml's host program sets where a GPU has Metal 4's tensors. */
static void measure_tensors(struct cpu_bench *b, const struct abx_string *source)
{
    static const char macro[] = "GGML_METAL_HAS_TENSOR";
    if (!cpu_wanted(b, "cpu_mul_mm_tensor_gflops") || !strstr(source->data, macro))
        return;
    struct abx_string text = {0};
    abx_string_printf(&text, "#define %s 1\n", macro);
    abx_string_add(&text, source->data, source->length);
    struct cpu_library *l = text.failed ? NULL : cpu_compile(b, text.data, text.length);
    abx_string_finish(&text);
    if (l) {
        measure_mul_mm(b, l, false, true);
        measure_mul_mm(b, l, true, true);
    }
    cpu_library_free(l);
}

void cpu_bench_matrix(struct cpu_bench *b, const char *ggml)
{
    static const struct weights weights[] = {
            {"kernel_mul_mv_q4_0_f32", "cpu_mul_mv_q4_0_gbs", 32768, 0, 2, 4, 0},
            {"kernel_mul_mv_f16_f32_4", "cpu_mul_mv_f16_gbs", 8192, 1, 4, 2, 256},
            {"kernel_mul_mv_f16_f32", "cpu_mul_mv_f16_scalar_gbs", 8192, 1, 4, 2, 256}};
    if (!ggml) {
        fprintf(stderr, "cpu_mul_mm_*gflops and cpu_mul_mv_*_gbs need ggml's Metal source: "
                        "arcbox bench --ggml .../ggml-metal.metal\n");
        return;
    }
    struct abx_string source = {0};
    if (!cpu_ggml_source(ggml, &source)) {
        abx_string_finish(&source);
        return;
    }
    struct cpu_library *l = cpu_compile(b, source.data, source.length);
    if (l) {
        measure_mul_mm(b, l, false, false);
        measure_mul_mm(b, l, true, false);
        for (size_t i = 0; i < ABX_ARRAY_SIZE(weights); i++)
            measure_mul_mv(b, l, &weights[i]);
    }
    cpu_library_free(l);
    measure_tensors(b, &source);
    abx_string_finish(&source);
}
