/* bench: the cpu backend's figures, measured on the backend itself: no guest, no bridge. A program
 * of its own (arcbox-bench-cpu), because it holds the compiler, which `arcbox` does not. Prints a
 * line a figure: name, unit, value, baseline, ratio, what the baseline is; tab-separated. */
#ifndef ABX_BENCH_CPU_BENCH_H
#define ABX_BENCH_CPU_BENCH_H

#include "backend/backend.h"
#include "shader/shader.h"

struct cpu_bench {
    struct abx_device *device; /* one thread: the queue's own */
    struct abx_queue *queue;
    struct abx_shader_tools tools;
    bool quick;
    const char *only; /* figures whose names begin so; NULL: all */
};

struct cpu_library {
    void *blob;
    size_t bytes;
};

/* One dispatch to be measured. */
struct cpu_dispatch {
    struct abx_pipeline *pipeline;
    uint32_t grid[3], group[3]; /* threads */
    uint32_t threadgroup_bytes;
    const void *arguments; /* bytes bound at 0, unless NULL */
    size_t argument_bytes;
    void *buffer[4]; /* bound from 0 on, behind the arguments */
};

/* NULL, after saying why, when it does not compile. */
struct cpu_library *cpu_compile(struct cpu_bench *b, const char *source, size_t bytes);
void cpu_library_free(struct cpu_library *l);
struct abx_pipeline *cpu_pipeline(struct cpu_bench *b, const struct cpu_library *l,
        const char *name, const struct abx_shader_constant *constants, uint32_t count);
void cpu_pipeline_free(struct abx_pipeline *p);
/* Nanoseconds of one dispatch: the least of many runs of `repeat` dispatches each. NAN: failed. */
double cpu_measure(struct cpu_bench *b, const struct cpu_dispatch *d, unsigned repeat);
/* The same for a C function, for baselines. */
double cpu_measure_call(struct cpu_bench *b, void (*call)(void *), void *user, unsigned repeat);
bool cpu_wanted(const struct cpu_bench *b, const char *name);
/* ratio: better than the baseline when above 1. */
void cpu_report(const char *name, const char *unit, double value, double baseline, double ratio,
        const char *baseline_is);

/* ggml's Metal library as one text, from its .metal file. False, after saying so, when it cannot be
 * read. */
bool cpu_ggml_source(const char *path, struct abx_string *ret);

void cpu_bench_threads(struct cpu_bench *b); /* barriers, dispatches, small threadgroups */
void cpu_bench_loops(struct cpu_bench *b);   /* elementwise, against C */
void cpu_bench_matrix(struct cpu_bench *b, const char *ggml);

#endif
