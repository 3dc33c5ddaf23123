/* bench: what threads cost on the cpu backend: a barrier, a dispatch, a threadgroup of one. */
#include "bench/cpu_bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BARRIERS 64
#define THREADS 256
#define GROUPS 64
#define SINGLES 65536u

static const char source[] =
        "#include <metal_stdlib>\nusing namespace metal;\n"
        "kernel void barriers(device float *out [[buffer(0)]],\n"
        "        uint t [[thread_index_in_threadgroup]], uint g [[thread_position_in_grid]])\n"
        "{\n"
        "    threadgroup float a[512];\n"
        "    a[t] = t;\n"
        "    for (int i = 0; i < 64; i++) {\n"
        "        threadgroup_barrier(mem_flags::mem_threadgroup);\n"
        "        a[(i & 1 ? 0 : 256) + t] = a[(i & 1 ? 256 : 0) + (t ^ 32)] + 1.0f;\n"
        "    }\n"
        "    out[g] = a[t];\n"
        "}\n"
        "kernel void nothing(device uint *out [[buffer(0)]], uint g [[thread_position_in_grid]])\n"
        "{ out[g] = g; }\n";

/* The general form, a coroutine a thread, is what a compiler without lanes would do. */
static struct abx_pipeline *one_a_thread(struct cpu_bench *b, struct cpu_library *l)
{
    setenv("ARCBOX_CODEGEN_FORM", "scalar", 1);
    struct abx_pipeline *p = cpu_pipeline(b, l, "barriers", NULL, 0);
    unsetenv("ARCBOX_CODEGEN_FORM");
    return p;
}

void cpu_bench_threads(struct cpu_bench *b)
{
    if (!cpu_wanted(b, "barrier_ns") && !cpu_wanted(b, "cpu_dispatch_ns") &&
            !cpu_wanted(b, "cpu_single_group_ns"))
        return;
    struct cpu_library *l = cpu_compile(b, source, strlen(source));
    if (!l)
        return;
    float *out = calloc(SINGLES, sizeof *out);
    struct cpu_dispatch d = {
            .grid = {THREADS * GROUPS, 1, 1}, .group = {THREADS, 1, 1}, .buffer = {out}};
    double per = 1.0 / ((double)BARRIERS * THREADS * GROUPS);
    d.pipeline = cpu_pipeline(b, l, "barriers", NULL, 0);
    double ours = cpu_measure(b, &d, 1) * per;
    cpu_pipeline_free(d.pipeline);
    d.pipeline = one_a_thread(b, l);
    double other = cpu_measure(b, &d, 1) * per;
    cpu_pipeline_free(d.pipeline);
    cpu_report("barrier_ns", "ns a thread", ours, other, other / ours, "a coroutine a thread");

    d.pipeline = cpu_pipeline(b, l, "nothing", NULL, 0);
    d.grid[0] = d.group[0] = 1;
    double dispatch = cpu_measure(b, &d, 1000);
    cpu_report("cpu_dispatch_ns", "ns", dispatch, NAN, NAN, "");
    d.grid[0] = SINGLES;
    double single = cpu_measure(b, &d, 1) / SINGLES;
    d.group[0] = 256;
    double full = cpu_measure(b, &d, 1) / SINGLES;
    cpu_report("cpu_single_group_ns", "ns a threadgroup", single, full, full / single,
            "a thread of a threadgroup of 256");
    cpu_pipeline_free(d.pipeline);
    free(out);
    cpu_library_free(l);
}
