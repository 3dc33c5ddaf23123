/* tests/semantics: Metal's math functions as kernels compute them: through the front end and the
 * code generator, on vectors of this machine's width, against the C library's in double. Scalars
 * under safe math, vectors of four under fast math; half over all its values.
 * (tests/shader/math_accuracy.c checks the same functions without fused operations.) */
#include "tests/backend/rig.h"
#include "tests/shader/math_table.h"

#include <stdlib.h>

#define HALVES 65536u
#define COUNT HALVES /* values a dispatch */
#define HALF_BOUND 1.0

static double fma_x(double a, double b)
{
    return fma(a, b, a);
}

/* A row of the tables: one range of one function. */
static const struct row {
    const char *name;
    double (*one)(double);
    double (*two)(double, double);
    float range[4];
    double bound;
} rows[] = {
#define ROW1(name, reference, low, high, bound) {#name, reference, NULL, {low, high, 0, 0}, bound},
#define ROW2(name, reference, a, b, c, d, bound) {#name, NULL, reference, {a, b, c, d}, bound},
        ONE(ROW1) TWO(ROW2){"fma_x", NULL, fma_x, {-100, 100, -100, 100}, 0.51}};

static struct rig rig;
static unsigned failures;
static float x[COUNT], y[COUNT], out[COUNT];
static _Float16 hx[COUNT], hy[COUNT], hout[COUNT];

static bool first_of_its_name(size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!strcmp(rows[k].name, rows[i].name))
            return false;
    return true;
}

static void add_kernel(struct abx_string *text, const struct row *row, const char *type, bool wide)
{
    const char *v = wide ? "4" : "";
    abx_string_printf(text,
            "kernel void %s_%s(device const %s%s *x [[buffer(0)]], "
            "device const %s%s *y [[buffer(1)]], device %s%s *out [[buffer(2)]], "
            "uint i [[thread_position_in_grid]]) { out[i] = %s(x[i]%s); }\n",
            row->name, type, type, v, type, v, type, v, row->name, row->two ? ", y[i]" : "");
}

static int compile(const struct abx_shader_tools *tools, bool wide, struct abx_shader_result *ret)
{
    struct abx_string text = {0};
    struct abx_shader_options options = {.math_mode = wide ? ABX_MATH_FAST : ABX_MATH_SAFE};
    abx_string_printf(&text, "#include <metal_stdlib>\nusing namespace metal;\n"
                             "template <typename T> T fma_x(T x, T y) { return fma(x, y, x); }\n");
    for (size_t i = 0; i < ABX_ARRAY_SIZE(rows); i++)
        if (first_of_its_name(i)) {
            add_kernel(&text, &rows[i], "float", wide);
            add_kernel(&text, &rows[i], "half", wide);
        }
    int rc = abx_shader_compile(tools, text.data, text.length, &options, "", ret);
    if (rc)
        fprintf(stderr, "%s\n", ret->message ? ret->message : strerror(-rc));
    abx_string_finish(&text);
    return rc;
}

static struct abx_pipeline *find_pipeline(const struct abx_shader_tools *tools,
        const struct abx_shader_result *library, const char *name)
{
    const struct abx_shader_library *head = library->blob;
    const struct abx_reflection *r =
            (const void *)((const char *)library->blob + head->reflection_offset);
    struct abx_pipeline *pipeline = NULL;
    for (uint32_t i = 0; i < r->function_count; i++) {
        if (strcmp(abx_reflection_string(r, abx_reflection_functions(r)[i].name), name))
            continue;
        struct abx_shader_result result = {0};
        int rc = abx_shader_specialize(
                tools, ABX_TARGET_HOST, library->blob, library->blob_bytes, i, NULL, 0, &result);
        if (!rc)
            rc = rig.backend->pipeline->create(
                    rig.device, result.blob, result.blob_bytes, &pipeline);
        if (rc)
            fprintf(stderr, "%s: %s\n", name, result.message ? result.message : strerror(-rc));
        free(result.blob), free(result.message);
    }
    return pipeline;
}

static int run(struct abx_pipeline *pipeline, void *a, void *b, void *c, size_t bytes, bool wide)
{
    void *memory[] = {a, b, c};
    struct abx_device_memory *buffers[3];
    struct batch batch;
    batch_init(&batch);
    struct abx_exec_dispatch *d = batch_dispatch(&batch, pipeline,
            (uint32_t[]){COUNT / (wide ? 4 : 1), 1, 1}, (uint32_t[]){256, 1, 1}, 3);
    for (int i = 0; i < 3; i++) {
        buffers[i] = rig_import(&rig, memory[i], bytes);
        d->bindings[i] = (struct abx_exec_binding){buffers[i], 0, bytes};
    }
    batch_submit(&batch, rig.queue, rig.backend);
    int rc = batch_wait(&batch);
    batch_finish(&batch);
    for (int i = 0; i < 3; i++)
        rig.backend->memory->destroy(buffers[i]);
    CHECK(rc == 0);
    return 0;
}

/* powr is pow of positive numbers, nothing else. */
static bool defined(const struct row *row, double a, double b)
{
    return strcmp(row->name, "powr") || (a > 0 && !isinf(a) && !isnan(b) && !isinf(b));
}

static double half_error(_Float16 got, double want)
{
    _Float16 rounded = (_Float16)want;
    if (isnan((float)rounded) || isnan((float)got))
        return isnan((float)rounded) && isnan((float)got) ? 0 : INFINITY;
    if (got == rounded)
        return 0;
    if (isinf((float)got) || isinf((float)rounded))
        return fabs(want) > 65500 && fabs((double)got) > 65500 ? 1 : INFINITY;
    int e;
    frexp(want, &e);
    return fabs((double)got - want) / ldexp(1, (e < -13 ? -13 : e) - 11);
}

static double wanted(const struct row *row, double a, double b)
{
    return row->two ? row->two(a, b) : row->one(a);
}

static void report(
        const struct row *row, const char *type, double worst, double bound, double a, double b)
{
    if (worst <= bound)
        return;
    printf("%s of %s: %g ulp at %.9g %.9g, allowed %g\n", row->name, type, worst, a, b, bound);
    failures++;
}

static void check_float(const struct row *row, struct abx_pipeline *pipeline, bool wide)
{
    const size_t n = ABX_ARRAY_SIZE(edges);
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < COUNT; i++) {
        x[i] = i < n * n ? edges[i / n] : random_float(row->range[0], row->range[1]);
        y[i] = i < n * n ? edges[i % n] : random_float(row->range[2], row->range[3]);
    }
    failures += run(pipeline, x, y, out, sizeof x, wide) != 0;
    for (size_t i = 0; i < COUNT; i++) {
        double error = defined(row, x[i], y[i]) ? ulp_error(out[i], wanted(row, x[i], y[i])) : 0;
        if (!(error <= worst))
            worst = error, at = i;
    }
    report(row, wide ? "float4" : "float", worst, row->bound, x[at], y[at]);
}

static void check_half(const struct row *row, struct abx_pipeline *pipeline, bool wide)
{
    double worst = 0;
    size_t at = 0;
    for (uint32_t i = 0; i < HALVES; i++) {
        uint16_t bits = (uint16_t)i, other = (uint16_t)(i * 40503u >> 4);
        memcpy(&hx[i], &bits, 2), memcpy(&hy[i], &other, 2);
    }
    failures += run(pipeline, hx, hy, hout, sizeof hx, wide) != 0;
    for (size_t i = 0; i < HALVES; i++) {
        double a = (double)hx[i], b = (double)hy[i];
        double error = defined(row, a, b) ? half_error(hout[i], wanted(row, a, b)) : 0;
        if (!(error <= worst))
            worst = error, at = i;
    }
    double bound = row->bound < HALF_BOUND ? row->bound : HALF_BOUND;
    report(row, wide ? "half4" : "half", worst, bound, (double)hx[at], (double)hy[at]);
}

static int check_all(const struct abx_shader_tools *tools, bool wide)
{
    struct abx_shader_result library = {0};
    CHECK(compile(tools, wide, &library) == 0);
    for (size_t i = 0; i < ABX_ARRAY_SIZE(rows); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s_float", rows[i].name);
        struct abx_pipeline *pipeline = find_pipeline(tools, &library, name);
        CHECK(pipeline);
        check_float(&rows[i], pipeline, wide);
        rig.backend->pipeline->destroy(pipeline);
        if (!first_of_its_name(i))
            continue;
        snprintf(name, sizeof name, "%s_half", rows[i].name);
        pipeline = find_pipeline(tools, &library, name);
        CHECK(pipeline);
        check_half(&rows[i], pipeline, wide);
        rig.backend->pipeline->destroy(pipeline);
    }
    free(library.blob), free(library.message);
    return 0;
}

int main(void)
{
    struct abx_shader_tools tools;
    char *message = NULL;
    setenv("ARCBOX_SHADER_FORM", "direct", 1); /* one clang for all, instead of one each */
    if (abx_shader_locate(&tools, &message)) {
        fprintf(stderr, "%s\n", message ? message : "no compiler");
        return 1;
    }
    CHECK(rig_open(&rig, &abx_backend_cpu, 2) == 0);
    CHECK(check_all(&tools, false) == 0 && check_all(&tools, true) == 0);
    rig_close(&rig);
    return failures != 0;
}
