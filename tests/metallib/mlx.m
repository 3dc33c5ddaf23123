/* MLX's own compiled library (mlx.metallib, from its macOS package) through Apple's API: kernels of
 * each kind that it has, dispatched as MLX dispatches them, compared with what the processor
 * computes in double. Argument: the library's path. run.sh brings it. */
#include "../metal/program.h"

#include <math.h>

static id<MTLLibrary> library;
static NSString *path;

/* One dispatch being put together. */
struct call {
    id<MTLComputePipelineState> state;
    id<MTLBuffer> buffers[16];
    MTLSize groups, size;
};

static float noise(unsigned i)
{
    unsigned x = i * 2654435761u ^ 0x9e3779b9u;
    x = (x ^ x >> 15) * 2246822519u;
    return (float)(x >> 8) / (float)(1u << 23) - 1;
}

static id<MTLBuffer> noise_of(unsigned count, unsigned seed)
{
    id<MTLBuffer> buffer = [device newBufferWithLength:count * sizeof(float) options:0];
    for (unsigned i = 0; i < count; i++)
        ((float *)buffer.contents)[i] = noise(i + seed * 7919);
    return buffer;
}

static id<MTLBuffer> bytes_of(const void *bytes, size_t length)
{
    return [device newBufferWithBytes:bytes length:length options:0];
}

static id<MTLBuffer> int_of(int value)
{
    return bytes_of(&value, sizeof value);
}

static id<MTLBuffer> long_of(long value)
{
    return bytes_of(&value, sizeof value);
}

static id<MTLBuffer> floats(unsigned count)
{
    return [device newBufferWithLength:count * sizeof(float) options:0];
}

static const float *data_of(id<MTLBuffer> buffer)
{
    return buffer.contents;
}

/* True and false for the constants `yes` and `no`, which 0 ends. */
static id<MTLComputePipelineState> pipeline_with(NSString *name, const int *yes, const int *no)
{
    NSError *error = nil;
    bool values[2] = {false, true};
    MTLFunctionConstantValues *constants = [MTLFunctionConstantValues new];
    for (; yes && *yes; yes++)
        [constants setConstantValue:&values[1] type:MTLDataTypeBool atIndex:(NSUInteger)*yes];
    for (; no && *no; no++)
        [constants setConstantValue:&values[0] type:MTLDataTypeBool atIndex:(NSUInteger)*no];
    id<MTLFunction> function = [library newFunctionWithName:name
                                             constantValues:constants
                                                      error:&error];
    id<MTLComputePipelineState> state =
            function ? [device newComputePipelineStateWithFunction:function error:&error] : nil;
    if (!state)
        fprintf(stderr, "%s: %s\n", name.UTF8String, error.localizedDescription.UTF8String);
    CHECK(state);
    return state;
}

static void dispatch(struct call *call)
{
    CHECK_DONE(run(^(id<MTLComputeCommandEncoder> encoder) {
      [encoder setComputePipelineState:call->state];
      for (NSUInteger i = 0; i < 16; i++)
          if (call->buffers[i])
              [encoder setBuffer:call->buffers[i] offset:0 atIndex:i];
      [encoder dispatchThreadgroups:call->groups threadsPerThreadgroup:call->size];
    }));
}

static void close_to(const char *what, unsigned i, double is, double expected, double tolerance)
{
    if (fabs(is - expected) <= tolerance * (1 + fabs(expected)))
        return;
    fprintf(stderr, "%s[%u] is %.9g, not %.9g\n", what, i, is, expected);
    exit(1);
}

/* ---- elementwise */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void unary(NSString *name, double (*expected)(double), double scale)
{
    const unsigned n = 1000;
    id<MTLBuffer> in = noise_of(n, 1), out = floats(n);
    for (unsigned i = 0; i < n; i++)
        ((float *)in.contents)[i] *= (float)scale;
    struct call c = {.state = pipeline_with(name, NULL, NULL),
            .buffers = {in, out, int_of((int)n)},
            .groups = {8, 1, 1},
            .size = {128, 1, 1}};
    dispatch(&c);
    for (unsigned i = 0; i < n; i++)
        close_to(name.UTF8String, i, data_of(out)[i], expected(data_of(in)[i]), 1e-5);
}

static void test_unary(void)
{
    unary(@"v_Expfloat32float32", exp, 5);
    unary(@"v_Sinfloat32float32", sin, 20);
    unary(@"v_Erffloat32float32", erf, 3);
    unary(@"v_Tanhfloat32float32", tanh, 4);
    unary(@"v_Sigmoidfloat32float32", sigmoid, 6);
    unary(@"v_Expm1float32float32", expm1, 1);
    unary(@"v_Roundfloat32float32", rint, 50);
}

static void test_binary(void)
{
    const unsigned n = 1024;
    id<MTLBuffer> a = noise_of(n, 2), b = noise_of(n, 3), out = floats(n);
    for (unsigned i = 0; i < n; i++)
        ((float *)a.contents)[i] = fabsf(((float *)a.contents)[i]) + 0.1f;
    struct call c = {
            .buffers = {a, b, out, int_of((int)n)}, .groups = {8, 1, 1}, .size = {128, 1, 1}};
    c.state = pipeline_with(@"vv_Powerfloat32", NULL, NULL);
    dispatch(&c);
    for (unsigned i = 0; i < n; i++)
        close_to("power", i, data_of(out)[i], pow(data_of(a)[i], data_of(b)[i]), 1e-5);
    c.state = pipeline_with(@"vv_LogAddExpfloat32", NULL, NULL);
    dispatch(&c);
    for (unsigned i = 0; i < n; i++)
        close_to("logaddexp", i, data_of(out)[i], log(exp(data_of(a)[i]) + exp(data_of(b)[i])),
                1e-5);
}

/* ---- whole rows */

static void test_reduce(void)
{
    const unsigned n = 5000;
    id<MTLBuffer> in = noise_of(n, 4), out = floats(1);
    struct call c = {.state = pipeline_with(@"all_reduce_sumfloat32", NULL, NULL),
            .buffers = {in, out, long_of(n), long_of(n)},
            .groups = {1, 1, 1},
            .size = {256, 1, 1}};
    double sum = 0, most = -2;
    for (unsigned i = 0; i < n; i++) {
        sum += data_of(in)[i];
        most = fmax(most, data_of(in)[i]);
    }
    dispatch(&c);
    close_to("sum", 0, data_of(out)[0], sum, 1e-4);
    c.state = pipeline_with(@"all_reduce_maxfloat32", NULL, NULL);
    dispatch(&c);
    close_to("max", 0, data_of(out)[0], most, 0);
}

static void test_softmax(void)
{
    const unsigned n = 1000, rows = 3;
    id<MTLBuffer> in = noise_of(n * rows, 5), out = floats(n * rows);
    struct call c = {.state = pipeline_with(@"block_softmax_float32", NULL, NULL),
            .buffers = {in, out, int_of((int)n)},
            .groups = {rows, 1, 1},
            .size = {256, 1, 1}}; /* four elements a thread */
    dispatch(&c);
    for (unsigned r = 0; r < rows; r++) {
        const float *x = data_of(in) + r * n;
        double sum = 0;
        for (unsigned i = 0; i < n; i++)
            sum += exp(x[i]);
        for (unsigned i = 0; i < n; i++)
            close_to("softmax", r * n + i, data_of(out)[r * n + i], exp(x[i]) / sum, 1e-6);
    }
}

static void test_rms(void)
{
    const unsigned n = 1000, rows = 2;
    const float epsilon = 1e-5f;
    id<MTLBuffer> in = noise_of(n * rows, 6), weights = noise_of(n, 7), out = floats(n * rows);
    struct call c = {.state = pipeline_with(@"rmsfloat32", (int[]){20, 0}, NULL),
            .buffers = {in, weights, out, bytes_of(&epsilon, 4), int_of((int)n), int_of(1)},
            .groups = {rows, 1, 1},
            .size = {256, 1, 1}};
    dispatch(&c);
    for (unsigned r = 0; r < rows; r++) {
        const float *x = data_of(in) + r * n;
        double sum = 0;
        for (unsigned i = 0; i < n; i++)
            sum += (double)x[i] * x[i];
        for (unsigned i = 0; i < n; i++)
            close_to("rms", r * n + i, data_of(out)[r * n + i],
                    x[i] / sqrt(sum / n + epsilon) * data_of(weights)[i], 1e-5);
    }
}

static void test_scan(void)
{
    const unsigned n = 3000;
    id<MTLBuffer> in = noise_of(n, 8), out = floats(n);
    struct call c = {
            .state = pipeline_with(@"contig_scan_inclusive_sum_float32_float32", NULL, NULL),
            .buffers = {in, out, long_of(n)},
            .groups = {1, 1, 1},
            .size = {256, 1, 1}};
    double sum = 0;
    dispatch(&c);
    for (unsigned i = 0; i < n; i++) {
        sum += data_of(in)[i];
        close_to("scan", i, data_of(out)[i], sum, 1e-4);
    }
}

static void test_argmax(void)
{
    const unsigned n = 2000;
    id<MTLBuffer> in = noise_of(n, 9), out = floats(1);
    struct call c = {.state = pipeline_with(@"argmax_float32", NULL, NULL),
            .buffers = {in, out, int_of(1), long_of(1), long_of(1), long_of(0), long_of(1),
                    long_of(n)},
            .groups = {1, 1, 1},
            .size = {128, 1, 1}};
    unsigned best = 0;
    for (unsigned i = 0; i < n; i++)
        if (data_of(in)[i] > data_of(in)[best])
            best = i;
    dispatch(&c);
    CHECK(*(const unsigned *)out.contents == best);
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void test_sort(void)
{
    const unsigned n = 500;
    id<MTLBuffer> in = noise_of(n, 10), out = floats(n);
    struct call c = {.state = pipeline_with(@"c_block_sort_float32_float32_bn128_tn4", NULL, NULL),
            .buffers = {in, out, int_of((int)n), int_of(1), int_of(1), int_of((int)n),
                    int_of((int)n)},
            .groups = {1, 1, 1},
            .size = {128, 1, 1}};
    float *expected = malloc(n * sizeof *expected);
    memcpy(expected, in.contents, n * sizeof *expected);
    qsort(expected, n, sizeof *expected, by_value);
    dispatch(&c);
    CHECK(!memcmp(expected, out.contents, n * sizeof *expected));
    free(expected);
}

/* ---- products */

struct gemm {
    int m, n, k, lda, ldb, ldd, tiles_n, tiles_m;
    long batch_a, batch_b, batch_d;
    int swizzle, steps, batch_dimensions;
};

static void gemm(
        NSString *name, int m, int n, int k, int block_m, int block_n, int block_k, MTLSize group)
{
    int align[4], loose[8] = {10, 100, 110}, yes = 0, no = 3;
    const int sizes[3][2] = {{m, block_m}, {n, block_n}, {k, block_k}};
    for (int i = 0; i < 3; i++)
        if (sizes[i][0] % sizes[i][1])
            loose[no++] = 200 + i;
        else
            align[yes++] = 200 + i;
    align[yes] = loose[no] = 0;
    struct gemm p = {m, n, k, k, n, n, (n + block_n - 1) / block_n, (m + block_m - 1) / block_m,
            m * k, k * n, m * n, 0, k / block_k, 1};
    id<MTLBuffer> a = noise_of((unsigned)(m * k), 11), b = noise_of((unsigned)(k * n), 12);
    id<MTLBuffer> d = floats((unsigned)(m * n));
    struct call c = {.state = pipeline_with(name, align, loose),
            .buffers = {[0] = a, [1] = b, [3] = d, [4] = bytes_of(&p, sizeof p)},
            .groups = {(NSUInteger)p.tiles_n, (NSUInteger)p.tiles_m, 1},
            .size = group};
    dispatch(&c);
    for (int i = 0; i < m * n; i++) {
        double sum = 0;
        for (int j = 0; j < k; j++)
            sum += (double)data_of(a)[i / n * k + j] * data_of(b)[j * n + i % n];
        close_to(name.UTF8String, (unsigned)i, data_of(d)[i], sum, 1e-4);
    }
}

static void test_gemm(void)
{
    gemm(@"steel_gemm_fused_nn_float32_float32_bm64_bn64_bk16_wm2_wn2", 128, 64, 48, 64, 64, 16,
            MTLSizeMake(32, 2, 2));
    gemm(@"steel_gemm_fused_nn_float32_float32_bm32_bn32_bk16_wm2_wn2", 50, 45, 37, 32, 32, 16,
            MTLSizeMake(32, 2, 2));
}

static void test_gemv(void)
{
    const int rows = 100, columns = 200;
    id<MTLBuffer> matrix = noise_of(20000, 13), vector = noise_of(200, 14), out = floats(100);
    struct call c = {
            .state = pipeline_with(@"gemv_float32_bm4_bn1_sm1_sn32_tm4_tn4_nc0_axpby0", NULL, NULL),
            .buffers = {[0] = matrix,
                    [1] = vector,
                    [3] = out,
                    [4] = int_of(columns),
                    [5] = int_of(rows),
                    [6] = int_of(columns),
                    [9] = int_of(1),
                    [10] = int_of(1),
                    [11] = long_of(0),
                    [12] = long_of(0)},
            .groups = {7, 1, 1},
            .size = {32, 1, 4}};
    dispatch(&c);
    for (int r = 0; r < rows; r++) {
        double sum = 0;
        for (int i = 0; i < columns; i++)
            sum += (double)data_of(matrix)[r * columns + i] * data_of(vector)[i];
        close_to("gemv", (unsigned)r, data_of(out)[r], sum, 1e-5);
    }
}

/* Four-bit weights, 64 of a scale and a bias. */
static void test_quantized(void)
{
    const int columns = 512, rows = 16, groups = rows * columns / 64;
    id<MTLBuffer> w = [device newBufferWithLength:(NSUInteger)(rows * columns / 2) options:0];
    id<MTLBuffer> scales = noise_of((unsigned)groups, 15), biases = noise_of((unsigned)groups, 16);
    id<MTLBuffer> x = noise_of((unsigned)columns, 17), y = floats((unsigned)rows);
    unsigned char *packed = w.contents;
    for (int i = 0; i < rows * columns / 2; i++)
        packed[i] = (unsigned char)(noise((unsigned)i) * 1000);
    struct call c = {.state = pipeline_with(
                             @"affine_qmv_fast_float_gs_64_b_4_batch_0_pr_0_hgs_0_r_4", NULL, NULL),
            .buffers = {w, scales, biases, x, y, int_of(columns), int_of(rows)},
            .groups = {1, (NSUInteger)rows / 8, 1},
            .size = {32, 2, 1}};
    dispatch(&c);
    for (int r = 0; r < rows; r++) {
        double sum = 0;
        for (int i = 0; i < columns; i++) {
            int at = r * columns + i, q = packed[at / 2] >> (at % 2 * 4) & 15;
            sum += ((double)q * data_of(scales)[at / 64] + data_of(biases)[at / 64]) *
                   data_of(x)[i];
        }
        close_to("quantized", (unsigned)r, data_of(y)[r], sum, 1e-4);
    }
}

static void test_attention(void)
{
    enum { heads = 2, keys = 70, width = 64 };
    const float scale = 0.125f;
    id<MTLBuffer> q = noise_of(heads * width, 18), k = noise_of(heads * keys * width, 19);
    id<MTLBuffer> v = noise_of(heads * keys * width, 20), out = floats(heads * width);
    struct call c = {.state = pipeline_with(
                             @"sdpa_vector_float_64_64", NULL, (int[]){20, 21, 22, 23, 24, 25, 0}),
            .buffers = {q, k, v, out, int_of(1), int_of(keys), long_of(keys * width),
                    long_of(width), long_of(keys * width), long_of(width), bytes_of(&scale, 4)},
            .groups = {heads, 1, 1},
            .size = {1024, 1, 1}};
    dispatch(&c);
    for (int h = 0; h < heads; h++) {
        double weight[keys], sum = 0;
        for (int j = 0; j < keys; j++) {
            double dot = 0;
            for (int i = 0; i < width; i++)
                dot += (double)data_of(q)[h * width + i] * data_of(k)[(h * keys + j) * width + i];
            sum += weight[j] = exp(dot * (double)scale);
        }
        for (int i = 0; i < width; i++) {
            double expected = 0;
            for (int j = 0; j < keys; j++)
                expected += weight[j] / sum * data_of(v)[(h * keys + j) * width + i];
            close_to("attention", (unsigned)i, data_of(out)[h * width + i], expected, 1e-5);
        }
    }
}

/* ---- the library */

static void test_load(void)
{
    NSError *error = nil;
    library = [device newLibraryWithFile:path error:&error];
    if (!library)
        fprintf(stderr, "%s\n", error.localizedDescription.UTF8String);
    CHECK(library && library.functionNames.count > 10000);
}

int main(int argc, char **argv)
{
    const struct test tests[] = {{"load", test_load}, {"unary", test_unary},
            {"binary", test_binary}, {"reduce", test_reduce}, {"softmax", test_softmax},
            {"rms", test_rms}, {"scan", test_scan}, {"argmax", test_argmax}, {"sort", test_sort},
            {"gemm", test_gemm}, {"gemv", test_gemv}, {"quantized", test_quantized},
            {"attention", test_attention}};
    CHECK(argc == 2);
    @autoreleasepool {
        path = [NSString stringWithUTF8String:argv[1]];
    }
    return run_tests(tests, sizeof tests / sizeof *tests);
}
