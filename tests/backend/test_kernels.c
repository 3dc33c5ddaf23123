/* The conformance suite's kernels: what a dispatch must compute, against plain C. */
#include "rig.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct rig rig;

static struct abx_device_memory *buffer(void *p, size_t bytes)
{
    return rig_import(&rig, p, bytes);
}

/* Runs one dispatch with up to four buffers (NULL: not bound). */
static int run(uint32_t kernel, const uint32_t grid[3], const uint32_t group[3], void *p[4],
        const size_t bytes[4], uint32_t group_bytes)
{
    struct abx_pipeline *pipeline = rig_pipeline(&rig, kernel);
    CHECK(pipeline);
    struct abx_device_memory *b[4] = {0};
    struct batch batch;
    batch_init(&batch);
    struct abx_exec_dispatch *d = batch_dispatch(&batch, pipeline, grid, group, 4);
    d->threadgroup_bytes[0] = group_bytes;
    for (int i = 0; i < 4; i++)
        if (p[i]) {
            b[i] = buffer(p[i], bytes[i]);
            d->bindings[i] = (struct abx_exec_binding){b[i], 0, bytes[i]};
        }
    batch_submit(&batch, rig.queue, rig.backend);
    CHECK(batch_wait(&batch) == 0);
    CHECK(batch.submission.result.kernels == 1);
    batch_finish(&batch);
    for (int i = 0; i < 4; i++)
        rig.backend->memory->destroy(b[i]);
    rig.backend->pipeline->destroy(pipeline);
    return 0;
}

#define RUN(kernel, grid, group, ...)                                                              \
    CHECK(run(kernel, grid, group, (void *[4]){__VA_ARGS__}, sizes, 0) == 0)

static int test_add(void)
{
    enum { N = 100003 };
    float *a = malloc(4 * N), *b = malloc(4 * N), *r = calloc(4, N);
    size_t sizes[4] = {4 * N, 4 * N, 4 * N};
    for (int i = 0; i < N; i++)
        a[i] = (float)i, b[i] = (float)(i % 7);
    RUN(0, ((uint32_t[3]){N, 1, 1}), ((uint32_t[3]){256, 1, 1}), a, b, r);
    for (int i = 0; i < N; i++)
        CHECK(r[i] == a[i] + b[i]);
    free(a), free(b), free(r);
    return 0;
}

static int check_place(
        const uint32_t *out, const uint32_t grid[3], const uint32_t full[3], bool barrier)
{
    for (uint32_t z = 0; z < grid[2]; z++)
        for (uint32_t y = 0; y < grid[1]; y++)
            for (uint32_t x = 0; x < grid[0]; x++) {
                uint32_t at[3] = {x, y, z}, lid[3], size[3];
                const uint32_t *o = out + 24 * (x + grid[0] * (y + grid[1] * z));
                for (int d = 0; d < 3; d++) {
                    lid[d] = at[d] % full[d];
                    uint32_t start = at[d] - lid[d];
                    size[d] = grid[d] - start < full[d] ? grid[d] - start : full[d];
                    CHECK(o[d] == lid[d]);
                    CHECK(o[3 + d] == at[d] / full[d]);
                    CHECK(o[6 + d] == size[d]);
                    CHECK(o[9 + d] == full[d]);
                    CHECK(o[12 + d] == (grid[d] + full[d] - 1) / full[d]);
                    CHECK(o[15 + d] == grid[d]);
                }
                uint32_t index = lid[0] + size[0] * (lid[1] + size[1] * lid[2]);
                uint32_t total = size[0] * size[1] * size[2];
                CHECK(o[18] == index && o[19] == index % 32 && o[20] == index / 32);
                CHECK(o[21] == (total + 31) / 32);
                CHECK(o[22] == 1);
                if (barrier)
                    CHECK(o[23] == (total - 1 - index) * 3);
            }
    return 0;
}

static int test_place(void)
{
    static const uint32_t shapes[][6] = {{1, 1, 1, 1, 1, 1}, {100, 1, 1, 32, 1, 1},
            {37, 11, 5, 8, 4, 2}, {64, 64, 1, 16, 16, 1}, {7, 3, 9, 3, 3, 3},
            {1000, 1, 1, 1024, 1, 1}, {33, 2, 1, 33, 2, 1}, {5, 70, 2, 2, 32, 2},
            {48, 3, 1, 16, 1, 1}, {12, 40, 1, 4, 8, 1}};
    for (size_t s = 0; s < ABX_ARRAY_SIZE(shapes); s++)
        for (uint32_t k = 1; k <= 2; k++) {
            const uint32_t *grid = shapes[s], *group = shapes[s] + 3;
            size_t bytes = 96ull * grid[0] * grid[1] * grid[2];
            size_t sizes[4] = {bytes};
            uint32_t *out = calloc(1, bytes);
            RUN(k, grid, group, out);
            if (check_place(out, grid, group, k == 2)) {
                fprintf(stderr, "kernel %u, grid %u %u %u, threadgroup %u %u %u\n", k, grid[0],
                        grid[1], grid[2], group[0], group[1], group[2]);
                return 1;
            }
            free(out);
        }
    return 0;
}

static int test_reduce(void)
{
    enum { GROUPS = 300, N = 256 };
    float *in = malloc(4 * GROUPS * N), *out = calloc(4, GROUPS);
    size_t sizes[4] = {4 * GROUPS * N, 4 * GROUPS};
    for (int i = 0; i < GROUPS * N; i++)
        in[i] = (float)(i * 7 % 13);
    RUN(3, ((uint32_t[3]){GROUPS * N, 1, 1}), ((uint32_t[3]){N, 1, 1}), in, out);
    for (int g = 0; g < GROUPS; g++) {
        float sum = 0;
        for (int i = 0; i < N; i++)
            sum += in[g * N + i];
        CHECK(out[g] == sum);
    }
    free(in), free(out);
    return 0;
}

/* What simd_all_of_them must give for lane l of the `count` active ones at v. */
static void expect_simd(const int32_t *v, int count, int l, int32_t e[40])
{
    int quad = l & ~3, quad_end = quad + 4 < count ? quad + 4 : count;
    int64_t product = 1, inclusive = 1;
    memset(e, 0, 160);
    e[1] = e[27] = INT32_MAX, e[2] = INT32_MIN, e[3] = -1, e[33] = INT32_MIN, e[25] = INT32_MIN;
    for (int i = 0; i < count; i++) {
        e[0] += v[i];
        e[1] = v[i] < e[1] ? v[i] : e[1];
        e[2] = v[i] > e[2] ? v[i] : e[2];
        e[3] &= v[i], e[4] |= v[i], e[5] ^= v[i];
        e[6] += i <= l ? v[i] : 0;
        e[7] += i < l ? v[i] : 0;
        e[16] |= (int32_t)((uint32_t)(v[i] & 1) << i);
        e[17] |= v[i] == 7;
        product *= (v[i] & 1) + 1;
        inclusive *= i <= l ? (v[i] & 1) + 1 : 1;
        e[28] += v[i] & 3;
        int32_t half = (int32_t)((float)v[i] * -0.5f);
        e[25] = half > e[25] ? half : e[25];
    }
    e[27] = e[1];
    e[18] = 1;
    e[19] = l == 0;
    e[24] = e[0];
    e[26] = (int32_t)product;
    e[31] = (int32_t)inclusive;
    e[32] = 2 * e[0];
    e[34] = e[7];
    for (int i = quad; i < quad_end; i++) {
        e[20] += v[i];
        e[23] += i <= l ? v[i] : 0;
        e[33] = v[i] > e[33] ? v[i] : e[33];
        e[35] |= (v[i] & 1) << (i - quad);
    }
    e[8] = v[(l * 7 + 3) & 31], e[9] = v[l ^ 5];
    e[10] = l >= 3 ? v[l - 3] : v[l], e[11] = l + 3 < 32 ? v[l + 3] : v[l];
    e[12] = v[(l - 3) & 31], e[13] = v[(l + 3) & 31];
    e[14] = v[9], e[15] = v[0], e[21] = v[l ^ 1], e[22] = v[quad + 2];
    e[29] = l >= 2 ? v[l - 2] : -v[(l + 30) & 31];
    e[30] = l % 8 + 2 < 8 ? v[l + 2] : -v[l - l % 8 + (l + 2) % 8];
}

/* Shuffles from lanes that are not active are undefined: those words are not looked at. */
static bool defined(int word, int count)
{
    bool shuffle =
            (word >= 8 && word <= 14) || word == 21 || word == 22 || word == 29 || word == 30;
    return count == 32 || !shuffle;
}

static int test_simd(void)
{
    enum { N = 32 * 5 + 11 };
    int32_t in[N + 32], *out = calloc(40 * 4, N);
    size_t sizes[4] = {sizeof in, 160 * N};
    for (int i = 0; i < N + 32; i++)
        in[i] = i * 37 % 101 + (i == 40) * 300;
    RUN(4, ((uint32_t[3]){N, 1, 1}), ((uint32_t[3]){64, 1, 1}), in, out);
    for (int i = 0; i < N; i++) {
        int first = i & ~31, count = N - first < 32 ? N - first : 32;
        int32_t e[40];
        expect_simd(in + first, count, i & 31, e);
        for (int w = 0; w < 36; w++)
            if (defined(w, count) && out[40 * i + w] != e[w]) {
                fprintf(stderr, "simd word %d, thread %d: %d, not %d\n", w, i, out[40 * i + w],
                        e[w]);
                return 1;
            }
    }
    free(out);
    return 0;
}

static int test_simd_divergent(void)
{
    enum { N = 96 };
    int32_t in[N], out[2 * N];
    size_t sizes[4] = {sizeof in, sizeof out};
    for (int i = 0; i < N; i++)
        in[i] = i * 13 % 29;
    RUN(5, ((uint32_t[3]){N, 1, 1}), ((uint32_t[3]){96, 1, 1}), in, out);
    for (int i = 0; i < N; i++) {
        int first = i & ~31, sum = 0, third = 0, max = -1;
        for (int k = 0; k < 32; k++) {
            int v = in[first + k];
            sum += v;
            if (k % 3 == 0)
                third += v;
            else if (v > max)
                max = v;
        }
        CHECK(out[2 * i] == ((i & 31) % 3 == 0 ? third : max));
        CHECK(out[2 * i + 1] == sum);
    }
    return 0;
}

static int test_matrix(void)
{
    float a[64], c[64], expected[64];
    _Float16 b[64];
    size_t sizes[4] = {sizeof a, sizeof b, sizeof c};
    for (int i = 0; i < 64; i++)
        a[i] = (float)(i % 9) - 3, b[i] = (_Float16)(i % 7), c[i] = (float)i;
    for (int r = 0; r < 8; r++)
        for (int k = 0; k < 8; k++) {
            expected[r * 8 + k] = c[r * 8 + k];
            for (int n = 0; n < 8; n++)
                expected[r * 8 + k] += a[r * 8 + n] * (float)b[k * 8 + n];
        }
    RUN(6, ((uint32_t[3]){32, 1, 1}), ((uint32_t[3]){32, 1, 1}), a, b, c);
    CHECK(memcmp(c, expected, sizeof c) == 0);
    return 0;
}

static int test_constants(void)
{
    int32_t out[8];
    size_t sizes[4] = {sizeof out};
    float gain = 2.5f;
    int32_t mode = 7;
    const uint32_t eight[3] = {8, 1, 1};
    rig.constant_count = 1;
    rig.constant[0] = (struct abx_shader_constant){.index = 1, .type = 3};
    memcpy(rig.constant[0].value, &gain, 4);
    RUN(7, eight, eight, out);
    CHECK(out[3] == 110);
    rig.constant_count = 2;
    rig.constant[1] = (struct abx_shader_constant){.index = 0, .type = 29};
    memcpy(rig.constant[1].value, &mode, 4);
    RUN(7, eight, eight, out);
    CHECK(out[3] == 17);
    rig.constant_count = 1; /* without `gain`: 0 */
    rig.constant[0] = rig.constant[1];
    RUN(7, eight, eight, out);
    CHECK(out[3] == 7);
    rig.constant_count = 0; /* `gain` is required */
    fprintf(stderr, "(expected) ");
    CHECK(rig_pipeline(&rig, 7) == NULL);
    fprintf(stderr, "(expected) ");
    CHECK(rig_pipeline(&rig, 63) == NULL);
    return 0;
}

static int test_divide(void)
{
    int32_t a[64], b[64], o[256];
    size_t sizes[4] = {sizeof a, sizeof b, sizeof o};
    for (int i = 0; i < 64; i++)
        a[i] = i % 2 ? INT32_MIN : i * 77 - 900, b[i] = i % 9 - 4;
    RUN(8, ((uint32_t[3]){64, 1, 1}), ((uint32_t[3]){32, 1, 1}), a, b, o);
    for (int i = 0; i < 64; i++) {
        CHECK(o[4 * i + 3] == (int32_t)((uint32_t)a[i] << (b[i] & 31)));
        if (b[i] == 0 || (b[i] == -1 && a[i] == INT32_MIN))
            continue; /* undefined, but no trap */
        CHECK(o[4 * i] == a[i] / b[i] && o[4 * i + 1] == a[i] % b[i]);
        CHECK(o[4 * i + 2] == (int32_t)((uint32_t)a[i] / (uint32_t)b[i]));
    }
    return 0;
}

static int test_histogram(void)
{
    enum { N = 10007 };
    uint32_t *in = malloc(4 * N), bins[16] = {0}, expected[16] = {0};
    size_t sizes[4] = {4 * N, sizeof bins};
    for (uint32_t i = 0; i < N; i++)
        in[i] = i * i % 23, expected[in[i] & 15]++;
    CHECK(run(10, (uint32_t[3]){N, 1, 1}, (uint32_t[3]){128, 1, 1}, (void *[4]){in, bins}, sizes,
                  64) == 0);
    CHECK(memcmp(bins, expected, sizeof bins) == 0);
    free(in);
    return 0;
}

static int test_gemm(void)
{
    enum { N = 96 };
    float *a = malloc(4 * N * N), *b = malloc(4 * N * N), *c = calloc(4, N * N);
    int32_t n = N;
    size_t sizes[4] = {4 * N * N, 4 * N * N, 4 * N * N, 4};
    for (int i = 0; i < N * N; i++)
        a[i] = (float)(i % 11), b[i] = (float)(i % 5);
    RUN(11, ((uint32_t[3]){N, N / 2, 1}), ((uint32_t[3]){32, 4, 1}), c, a, b, &n);
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) {
            float s = 0;
            for (int k = 0; k < N; k++)
                s += a[y * N + k] * b[k * N + x];
            CHECK(c[y * N + x] == s);
        }
    free(a), free(b), free(c);
    return 0;
}

static int32_t wander(int v, uint32_t i)
{
    int steps = 0, seen[8], sum = 0;
    for (int k = 0; k < 8; k++)
        seen[k] = k * v;
    while (v != 1 && steps < 200) {
        if (v <= 0)
            break;
        v = v & 1 ? 3 * v + 1 : v / 2;
        seen[v & 7] += steps;
        if (steps == 17 && (i & 3) == 2) {
            steps += 1000;
            continue;
        }
        steps++;
    }
    for (int k = 0; k < 8; k++)
        sum = (int)((unsigned)sum * 31u) + seen[k];
    sum += i % 5 == 0 ? 3 : 0;
    if (i % 5 == 3)
        sum ^= 0x55;
    if (i % 5 >= 3)
        sum -= 7;
    return sum + steps;
}

static int test_wander(void)
{
    enum { N = 777 };
    int32_t in[N], out[N + 1];
    uint32_t n = N;
    size_t sizes[4] = {sizeof in, sizeof out, 4};
    for (int i = 0; i < N; i++)
        in[i] = i * 31 % 97 - 2;
    out[N] = 12345;
    RUN(12, ((uint32_t[3]){N + 23, 1, 1}), ((uint32_t[3]){64, 1, 1}), in, out, &n);
    for (int i = 0; i < N; i++)
        CHECK(out[i] == wander(in[i], (uint32_t)i));
    CHECK(out[N] == 12345);
    return 0;
}

static int test_narrow(void)
{
    int32_t out[2 * 3 * 4 * 8] = {0};
    size_t sizes[4] = {sizeof out};
    RUN(13, ((uint32_t[3]){6, 3, 4}), ((uint32_t[3]){3, 1, 1}), out);
    for (int i = 0; i < (int)ABX_ARRAY_SIZE(out); i++)
        CHECK(out[i] == 1100 + i % 8);
    return 0;
}

static int test_ring(void)
{
    enum { N = 40, ROUNDS = 7 };
    uint32_t out[N], value[N], rounds = ROUNDS;
    size_t sizes[4] = {sizeof out, sizeof rounds};
    RUN(14, ((uint32_t[3]){N, 1, 1}), ((uint32_t[3]){N, 1, 1}), out, &rounds);
    for (uint32_t t = 0; t < N; t++)
        value[t] = t;
    for (uint32_t k = 0; k < ROUNDS; k++) {
        uint32_t next[N];
        for (uint32_t t = 0; t < N; t++)
            next[(t + 1) % N] = value[t] * 3 + k;
        memcpy(value, next, sizeof value);
    }
    CHECK(memcmp(out, value, sizeof out) == 0);
    return 0;
}

static int test_unaligned(void)
{
    enum { N = 64 };
    static float in[9 * N], out[1001 + 9 * N];
    size_t sizes[4] = {sizeof in, sizeof out};
    for (int i = 0; i < 9 * N; i++)
        in[i] = (float)i;
    RUN(15, ((uint32_t[3]){N, 1, 1}), ((uint32_t[3]){32, 1, 1}), in, out);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 6; k++) {
            CHECK(k > 3 || out[5 * i + k] == 2 * in[5 * i + k]);
            CHECK(out[1001 + 9 * i + k] == in[9 * i + k]);
        }
    return 0;
}

static int test_scattered(void)
{
    int16_t in[65], out[64] = {0}, expected[64] = {0};
    int8_t bytes[64], to[64] = {0}, expected_to[64] = {0};
    size_t sizes[4] = {sizeof in, sizeof bytes, sizeof out, sizeof to};
    for (int i = 0; i < 65; i++)
        in[i] = (int16_t)(i * 501);
    for (int i = 0; i < 64; i++)
        bytes[i] = (int8_t)(i * 5);
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t from = (i * 37 + 11) % 64;
        if (i % 3 == 1)
            continue;
        expected[from] = (int16_t)(in[from + 1] + bytes[63 - from]);
        expected_to[63 - from] = (int8_t)(bytes[from] - 1);
    }
    RUN(16, ((uint32_t[3]){64, 1, 1}), ((uint32_t[3]){64, 1, 1}), in, bytes, out, to);
    CHECK(memcmp(out, expected, sizeof out) == 0 && memcmp(to, expected_to, sizeof to) == 0);
    return 0;
}

int main(int argc, char **argv)
{
    static int (*const tests[])(void) = {test_add, test_place, test_reduce, test_simd,
            test_simd_divergent, test_matrix, test_constants, test_divide, test_histogram,
            test_gemm, test_wander, test_narrow, test_ring, test_unaligned, test_scattered};
    static const char *const names[] = {"add", "place", "reduce", "simd", "simd_divergent",
            "matrix", "constants", "divide", "histogram", "gemm", "wander", "narrow", "ring",
            "unaligned", "scattered"};
    int failed = 0;
    rig.bitcode = argc > 1 ? argv[1] : "kernels.bc";
    CHECK(rig_open(&rig, rig_suite_backend, 3) == 0);
    for (size_t i = 0; i < ABX_ARRAY_SIZE(tests); i++) {
        if (argc > 2 && strcmp(argv[2], names[i]))
            continue;
        uint64_t start = abx_now_ns();
        int bad = tests[i]();
        printf("%s %s (%.1f ms)\n", bad ? "not ok" : "ok", names[i],
                (double)(abx_now_ns() - start) / 1e6);
        failed |= bad;
    }
    rig_close(&rig);
    return failed;
}
