/* bench: what NVIDIA's driver itself does here: the figures beside those of `arcbox-probe device`.
 * No part of ArcBox is in between. Prints "name value" lines. Changes none of the card's settings.
 */
#include "base/base.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef unsigned long long address;

/* clang-format off */
#define DRIVER(X) \
    X(cuInit, (unsigned)) X(cuDeviceGet, (int *, int)) X(cuDeviceGetName, (char *, int, int)) \
    X(cuDriverGetVersion, (int *)) X(cuCtxCreate_v2, (void **, unsigned, int)) \
    X(cuModuleLoadData, (void **, const void *)) \
    X(cuModuleGetFunction, (void **, void *, const char *)) \
    X(cuStreamCreate, (void **, unsigned)) X(cuStreamSynchronize, (void *)) \
    X(cuStreamWriteValue32_v2, (void *, address, uint32_t, unsigned)) \
    X(cuMemAlloc_v2, (address *, size_t)) X(cuMemHostRegister_v2, (void *, size_t, unsigned)) \
    X(cuMemHostAlloc, (void **, size_t, unsigned)) \
    X(cuMemcpyAsync, (address, address, size_t, void *)) \
    X(cuLaunchKernel, (void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, \
        void *, void **, void **))
/* clang-format on */
#define DECLARE(name, parameters) static int(*name) parameters;
DRIVER(DECLARE)
#undef DECLARE

static void must(int result, const char *what)
{
    if (!result)
        return;
    fprintf(stderr, "arcbox-bench-cuda: %s: CUDA error %d\n", what, result);
    exit(1);
}
#define MUST(call) must(call, #call)

/* With as many parameters as kernels of ArcBox's have. */
static const char ptx[] = ".version 7.0\n.target sm_80\n.address_size 64\n"
                          ".visible .entry nothing(.param .align 8 .b8 p[48]) { ret; }\n";
static void *stream, *function;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *samples, unsigned count)
{
    qsort(samples, count, sizeof *samples, compare);
    return samples[count / 2];
}

static void launch(void)
{
    static char parameters[48];
    static size_t bytes = sizeof parameters;
    void *extra[] = {(void *)1, parameters, (void *)2, &bytes, NULL};
    MUST(cuLaunchKernel(function, 1, 1, 1, 32, 1, 1, 0, stream, NULL, extra));
}

static double launch_rate(void)
{
    enum { ROUNDS = 9, COUNT = 20000 };
    double samples[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t start = abx_now_ns();
        for (int i = 0; i < COUNT; i++)
            launch();
        MUST(cuStreamSynchronize(stream));
        samples[r] = COUNT / ((double)(abx_now_ns() - start) / 1e9);
    }
    return median(samples, ROUNDS);
}

/* word: a flag that the stream writes and we look at; NULL: the driver's own wait. */
static double launch_wait(volatile uint32_t *word)
{
    enum { COUNT = 5000 };
    static double samples[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        uint64_t start = abx_now_ns();
        launch();
        if (word) {
            MUST(cuStreamWriteValue32_v2(stream, (address)(uintptr_t)word, i + 1, 0));
            while (*word != i + 1)
                abx_cpu_relax();
        } else
            MUST(cuStreamSynchronize(stream));
        samples[i] = (double)(abx_now_ns() - start) / 1e3;
    }
    return median(samples, COUNT);
}

/* word: as above. */
static double copy_rate(address to, address from, size_t bytes, volatile uint32_t *word)
{
    enum { ROUNDS = 15 };
    double samples[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t start = abx_now_ns();
        uint32_t number = word ? *word + 1 : 0;
        MUST(cuMemcpyAsync(to, from, bytes, stream));
        if (word) {
            MUST(cuStreamWriteValue32_v2(stream, (address)(uintptr_t)word, number, 0));
            while (*word != number)
                abx_cpu_relax();
        } else
            MUST(cuStreamSynchronize(stream));
        samples[r] = (double)bytes / (double)(abx_now_ns() - start);
    }
    return median(samples, ROUNDS);
}

static void measure_copies(volatile uint32_t *word)
{
    const size_t bytes = 256u << 20, private = 1ul << 30;
    address a, b;
    int fd = abx_memfd_create("bench", bytes);
    uint32_t *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || shared == MAP_FAILED)
        exit(1);
    for (uint32_t i = 0; i < bytes / 4; i++)
        shared[i] = i * 2654435761u;
    uint64_t start = abx_now_ns();
    MUST(cuMemHostRegister_v2(shared, bytes, 3));
    printf("register_ms_per_gib %.1f\n", (double)(abx_now_ns() - start) / 1e6 * 4);
    MUST(cuMemAlloc_v2(&a, private));
    MUST(cuMemAlloc_v2(&b, private));
    address host = (address)(uintptr_t)shared;
    printf("copy_in_gbs %.2f\n", copy_rate(a, host, bytes, NULL));
    printf("copy_gbs %.2f\n", copy_rate(b, a, private, NULL));
    printf("copy_out_gbs %.2f\n", copy_rate(host, b, bytes, NULL));
    printf("copy_seen_gbs %.2f\n", copy_rate(b, a, private, word));
}

/* ---- products of matrices, by cuBLAS: as MPSMatrixMultiplication's, which are cuBLASLt's */

static struct {
    int (*create)(void **), (*set_stream)(void *, void *);
    int (*multiply)(void *, int, int, int, int, int, const void *, const void *, int, int,
            const void *, int, int, const void *, void *, int, int, int, int);
} blas;

static bool find_blas(void)
{
    static const char *const names[] = {"libcublas.so.13", "libcublas.so.12", NULL};
    void *library = abx_open_cuda_library(names);
    if (!library)
        return false;
    blas.create = (int (*)(void **))dlsym(library, "cublasCreate_v2");
    blas.set_stream = (int (*)(void *, void *))dlsym(library, "cublasSetStream_v2");
    *(void **)&blas.multiply = dlsym(library, "cublasGemmEx");
    return blas.create && blas.set_stream && blas.multiply;
}

/* Between -1 and 1, of either type. */
static void fill_random(uint16_t *words, size_t count, bool half)
{
    for (size_t i = 0; i < count; i++) {
        unsigned r = (unsigned)rand();
        words[i] = (uint16_t)(half ? (r & 0x83ff) | (0x1c00 + (r >> 16 & 7) * 0x0400)
                                   : (r & 0x807f) | (0x3b80 + (r >> 16 & 7) * 0x0080));
    }
}

/* type: cudaDataType, 2 (half) or 14 (bfloat). */
static double product_rate(void *handle, int type)
{
    enum { SIDE = 8192, TIMES = 10, ROUNDS = 9, FLOAT_SUMS = 68, BEST = -1 };
    const size_t count = (size_t)SIDE * SIDE;
    uint16_t *words = malloc(2 * count);
    address matrices[3];
    double samples[ROUNDS];
    float one = 1, zero = 0;
    if (!words)
        exit(1);
    for (int i = 0; i < 3; i++) {
        fill_random(words, count, type == 2);
        MUST(cuMemAlloc_v2(&matrices[i], 2 * count));
        MUST(cuMemcpyAsync(matrices[i], (address)(uintptr_t)words, 2 * count, stream));
        MUST(cuStreamSynchronize(stream));
    }
    free(words);
    for (int r = -2; r < ROUNDS; r++) {
        uint64_t start = abx_now_ns();
        for (int i = 0; i < TIMES; i++)
            must(blas.multiply(handle, 0, 0, SIDE, SIDE, SIDE, &one, (void *)(uintptr_t)matrices[0],
                         type, SIDE, (void *)(uintptr_t)matrices[1], type, SIDE, &zero,
                         (void *)(uintptr_t)matrices[2], type, SIDE, FLOAT_SUMS, BEST),
                    "cublasGemmEx");
        MUST(cuStreamSynchronize(stream));
        if (r >= 0)
            samples[r] = 2.0 * SIDE * SIDE * SIDE * TIMES / (double)(abx_now_ns() - start) / 1e3;
    }
    return median(samples, ROUNDS);
}

static void measure_products(void)
{
    void *handle;
    if (!find_blas() || blas.create(&handle) || blas.set_stream(handle, stream))
        return;
    printf("half_tflops %.1f\n", product_rate(handle, 2));
    printf("bfloat_tflops %.1f\n", product_rate(handle, 14));
}

int main(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW), *context, *module, *word;
    char name[64] = "";
    int device, version = 0;
    if (!library) {
        fprintf(stderr, "arcbox-bench-cuda: there is no NVIDIA driver library (libcuda.so.1)\n");
        return 77;
    }
#define LOOK_UP(f, parameters)                                                                     \
    if (!(f = (int(*) parameters)dlsym(library, #f)))                                              \
        must(-1, "no " #f);
    DRIVER(LOOK_UP)
#undef LOOK_UP
    MUST(cuInit(0));
    MUST(cuDriverGetVersion(&version));
    MUST(cuDeviceGet(&device, 0));
    MUST(cuDeviceGetName(name, sizeof name, device));
    printf("# %s, driver for CUDA %d.%d\n", name, version / 1000, version % 1000 / 10);
    MUST(cuCtxCreate_v2(&context, 1 /* spins */, device));
    MUST(cuStreamCreate(&stream, 1));
    MUST(cuModuleLoadData(&module, ptx));
    MUST(cuModuleGetFunction(&function, module, "nothing"));
    MUST(cuMemHostAlloc(&word, 4096, 3));
    launch_rate(); /* warm */
    printf("launch_synchronise_us %.3f\n", launch_wait(NULL));
    printf("launch_wait_us %.3f\n", launch_wait(word));
    printf("launches_per_s %.0f\n", launch_rate());
    measure_copies(word);
    measure_products();
    return 0;
}
