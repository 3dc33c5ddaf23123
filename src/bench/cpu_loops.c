/* bench: elementwise kernels beside the same loops in C, compiled here and now by the same clang
 * with -O3 -march=native. */
#include "bench/cpu_bench.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CACHE_ELEMENTS (32u << 10)  /* 2 x 128 KiB: a core's second-level cache */
#define MEMORY_ELEMENTS (24u << 20) /* 2 x 96 MiB: more than any cache */

/* Both languages: BODY reads x and y and assigns y. */
#define SAXPY "y = 1.5f * x + y;"
#define POLYNOMIAL                                                                                 \
    "float p = 0.1f; p = p * x + 0.2f; p = p * x + 0.3f; p = p * x + 0.4f; p = p * x + 0.5f;"      \
    "p = p * x + 0.6f; p = p * x + 0.7f; y = x > 0.25f ? p : y * 0.5f;"
#define GELU "y = 0.5f * x * (1.0f + tanh(0.79788456f * x * (1.0f + 0.044715f * x * x)));"

#define KERNEL(name, body)                                                                         \
    "kernel void " name "(device const float *a [[buffer(0)]], device float *b [[buffer(1)]],\n"   \
    "        uint i [[thread_position_in_grid]])\n"                                                \
    "{ float x = a[i], y = b[i]; " body " b[i] = y; }\n"
#define LOOP(name, body)                                                                           \
    "void " name "(const float *restrict a, float *restrict b, unsigned long n)\n"                 \
    "{ for (unsigned long i = 0; i < n; i++) { float x = a[i], y = b[i]; " body " b[i] = y; } }\n"

static const char metal[] =
        "#include <metal_stdlib>\nusing namespace metal;\n" KERNEL("saxpy", SAXPY)
                KERNEL("polynomial", POLYNOMIAL)
                        KERNEL("gelu", GELU) "kernel void saxpy4(device const float4 *a "
                                             "[[buffer(0)]], device float4 *b [[buffer(1)]],\n"
                                             "        uint i [[thread_position_in_grid]])\n"
                                             "{ b[i] = 1.5f * a[i] + b[i]; }\n";
static const char c[] = "#include <math.h>\n#define tanh tanhf\n" LOOP("saxpy", SAXPY)
        LOOP("polynomial", POLYNOMIAL) LOOP("gelu", GELU) LOOP("saxpy4", SAXPY);

typedef void loop_fn(const float *a, float *b, unsigned long n);

struct loop {
    loop_fn *fn;
    float *a, *b;
    unsigned long n;
};

static void call_loop(void *user)
{
    struct loop *l = user;
    l->fn(l->a, l->b, l->n);
}

/* The C loops as a shared object. */
static void *open_loops(struct cpu_bench *b)
{
    char folder[] = "/tmp/arcbox-bench-XXXXXX", source[64], object[64];
    if (!mkdtemp(folder))
        return NULL;
    snprintf(source, sizeof source, "%s/loops.c", folder);
    snprintf(object, sizeof object, "%s/loops.so", folder);
    FILE *f = fopen(source, "w");
    void *handle = NULL;
    if (f) {
        fputs(c, f);
        fclose(f);
        pid_t pid = fork();
        if (pid == 0) {
            execlp(b->tools.clang, b->tools.clang, "-O3", "-march=native", "-ffp-contract=fast",
                    "-shared", "-fPIC", source, "-o", object, "-lm", NULL);
            _exit(127);
        }
        int status;
        if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
            handle = dlopen(object, RTLD_NOW);
    }
    unlink(source);
    unlink(object);
    rmdir(folder);
    return handle;
}

static void measure(struct cpu_bench *b, struct cpu_library *l, void *loops, const char *name,
        unsigned n, const char *where)
{
    char title[64];
    snprintf(title, sizeof title, "cpu_%s_%s", name, where);
    if (!cpu_wanted(b, title))
        return;
    float *x = aligned_alloc(64, n * sizeof *x), *y = aligned_alloc(64, n * sizeof *y);
    for (unsigned i = 0; i < n; i++)
        x[i] = (float)(i % 1000) * 1e-3f - 0.5f, y[i] = 0.25f;
    unsigned wide = strcmp(name, "saxpy4") == 0 ? 4 : 1;
    struct cpu_dispatch d = {.pipeline = cpu_pipeline(b, l, name, NULL, 0),
            .grid = {n / wide, 1, 1},
            .group = {256, 1, 1},
            .buffer = {x, y}};
    struct loop loop = {NULL, x, y, n};
    *(void **)&loop.fn = dlsym(loops, name);
    unsigned repeat = n == CACHE_ELEMENTS ? 8 : 1;
    double ours = NAN, other = NAN;
    if (d.pipeline && loop.fn) {
        ours = cpu_measure(b, &d, repeat);
        other = cpu_measure_call(b, call_loop, &loop, repeat);
    }
    cpu_report(title, "ns/element", ours / n, other / n, other / ours, "the loop in C, -O3");
    cpu_pipeline_free(d.pipeline);
    free(x);
    free(y);
}

void cpu_bench_loops(struct cpu_bench *b)
{
    static const char *const names[] = {"saxpy", "saxpy4", "polynomial", "gelu"};
    struct cpu_library *l = cpu_compile(b, metal, strlen(metal));
    void *loops = open_loops(b);
    if (!l || !loops)
        fprintf(stderr, "elementwise figures were not measured: %s\n",
                l ? "clang cannot compile C here" : "the kernels do not compile");
    for (size_t i = 0; i < ABX_ARRAY_SIZE(names) && l && loops; i++) {
        measure(b, l, loops, names[i], CACHE_ELEMENTS, "cache");
        measure(b, l, loops, names[i], MEMORY_ELEMENTS, "memory");
    }
    if (loops)
        dlclose(loops);
    cpu_library_free(l);
}
