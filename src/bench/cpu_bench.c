/* bench: compiles, dispatches, times; and main. See cpu_bench.h.
 *
 *     arcbox-bench-cpu [--quick] [--ggml FILE] [start of a figure's name] */
#include "bench/cpu_bench.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long one figure is looked for; the machine may be shared, so the least of many runs counts.
 */
#define MEASURE_NS 400000000ull
#define QUICK_NS 60000000ull

static uint64_t no_value(struct abx_event *event)
{
    return 0;
}

static void no_signal(struct abx_event *event, uint64_t value) {}

static bool no_notify(struct abx_event *event, uint64_t value, void (*wake)(void *), void *user)
{
    return true;
}

static const struct abx_event_ops no_events = {no_value, no_signal, no_notify};

struct cpu_library *cpu_compile(struct cpu_bench *b, const char *source, size_t bytes)
{
    /* What Metal does unless told otherwise. */
    struct abx_shader_options options = {.math_mode = ABX_MATH_FAST};
    struct abx_shader_result result = {0};
    int r = abx_shader_compile(&b->tools, source, bytes, &options, NULL, &result);
    if (r < 0)
        fprintf(stderr, "%s", result.message ? result.message : strerror(-r));
    free(result.message);
    struct cpu_library *l = r == 0 ? malloc(sizeof *l) : NULL;
    if (l)
        *l = (struct cpu_library){result.blob, result.blob_bytes};
    return l;
}

void cpu_library_free(struct cpu_library *l)
{
    if (l)
        free(l->blob);
    free(l);
}

struct abx_pipeline *cpu_pipeline(struct cpu_bench *b, const struct cpu_library *l,
        const char *name, const struct abx_shader_constant *constants, uint32_t count)
{
    const struct abx_shader_library *head = l->blob;
    const struct abx_reflection *r = (const void *)((char *)l->blob + head->reflection_offset);
    struct abx_pipeline *pipeline = NULL;
    for (uint32_t i = 0; i < r->function_count; i++) {
        struct abx_shader_result result = {0};
        if (strcmp(abx_reflection_string(r, abx_reflection_functions(r)[i].name), name) != 0)
            continue;
        int e = abx_shader_specialize(
                &b->tools, ABX_TARGET_HOST, l->blob, l->bytes, i, constants, count, &result);
        if (e == 0)
            e = abx_backend_cpu.pipeline->create(
                    b->device, result.blob, result.blob_bytes, &pipeline);
        if (e < 0)
            fprintf(stderr, "%s: %s\n", name, result.message ? result.message : strerror(-e));
        free(result.blob);
        free(result.message);
        return e == 0 ? pipeline : NULL;
    }
    fprintf(stderr, "there is no kernel %s\n", name);
    return NULL;
}

void cpu_pipeline_free(struct abx_pipeline *p)
{
    if (p)
        abx_backend_cpu.pipeline->destroy(p);
}

/* ---- running */

struct run {
    struct abx_submission submission;
    uint32_t done; /* futex */
    int error;
    uint64_t ns;
};

static void run_done(struct abx_submission *s, const struct abx_exec_result *result)
{
    struct run *r = s->user;
    r->error = result->error;
    r->ns = result->end_ns - result->start_ns;
    __atomic_store_n(&r->done, 1, __ATOMIC_SEQ_CST);
    abx_futex_wake(&r->done, 1);
}

static char *write_commands(struct cpu_bench *b, const struct cpu_dispatch *d, unsigned repeat,
        struct abx_device_memory **buffers, size_t *ret_bytes)
{
    struct abx_exec_dispatch *c;
    unsigned first = d->arguments != NULL, count = first + ABX_ARRAY_SIZE(d->buffer);
    size_t head = sizeof *c + count * sizeof c->bindings[0];
    size_t bytes = head + abx_align_up(d->argument_bytes, 8);
    char *commands = calloc(repeat, bytes);
    for (unsigned i = 0; i < repeat; i++) {
        c = (void *)(commands + i * bytes);
        c->head = (struct abx_exec_command){.op = ABX_EXEC_DISPATCH, .bytes = (uint32_t)bytes};
        c->pipeline = d->pipeline;
        memcpy(c->grid, d->grid, sizeof c->grid);
        memcpy(c->threadgroup, d->group, sizeof c->threadgroup);
        c->threadgroup_bytes[0] = d->threadgroup_bytes;
        c->binding_count = count;
        if (first) {
            memcpy((char *)c + head, d->arguments, d->argument_bytes);
            c->bindings[0] = (struct abx_exec_binding){NULL, head, d->argument_bytes};
        }
        for (unsigned k = 0; k < ABX_ARRAY_SIZE(d->buffer); k++)
            c->bindings[first + k].memory = buffers[k];
    }
    *ret_bytes = repeat * bytes;
    return commands;
}

static uint64_t run_once(struct cpu_bench *b, char *commands, size_t bytes)
{
    struct run r = {.submission = {.commands = (void *)commands, .bytes = bytes, .done = run_done}};
    r.submission.user = &r;
    abx_backend_cpu.queue->submit(b->queue, &r.submission);
    while (!__atomic_load_n(&r.done, __ATOMIC_SEQ_CST))
        abx_futex_wait(&r.done, 0, -1);
    return r.error ? 0 : r.ns;
}

/* This backend imports at once. */
static void imported(void *user, int error) {}

double cpu_measure(struct cpu_bench *b, const struct cpu_dispatch *d, unsigned repeat)
{
    struct abx_device_memory *buffers[ABX_ARRAY_SIZE(d->buffer)] = {0};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(d->buffer) && d->pipeline; i++)
        if (d->buffer[i]) /* lengths are the host's to check, not the backend's */
            abx_backend_cpu.memory->import(b->device, d->buffer[i], 1, imported, NULL, &buffers[i]);
    size_t bytes;
    char *commands = write_commands(b, d, repeat, buffers, &bytes);
    double best = NAN;
    uint64_t end = abx_now_ns() + (b->quick ? QUICK_NS : MEASURE_NS);
    for (int i = 0; d->pipeline && (i < 3 || abx_now_ns() < end); i++) {
        uint64_t ns = run_once(b, commands, bytes);
        if (ns == 0) {
            fprintf(stderr, "a dispatch failed\n");
            best = NAN;
            break;
        }
        if (!(best <= (double)ns / repeat))
            best = (double)ns / repeat;
    }
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(d->buffer); i++)
        abx_backend_cpu.memory->destroy(buffers[i]);
    free(commands);
    return best;
}

double cpu_measure_call(struct cpu_bench *b, void (*call)(void *), void *user, unsigned repeat)
{
    double best = NAN;
    uint64_t end = abx_now_ns() + (b->quick ? QUICK_NS : MEASURE_NS);
    for (int i = 0; i < 3 || abx_now_ns() < end; i++) {
        uint64_t start = abx_now_ns();
        for (unsigned k = 0; k < repeat; k++)
            call(user);
        double ns = (double)(abx_now_ns() - start) / repeat;
        if (!(best <= ns))
            best = ns;
    }
    return best;
}

bool cpu_wanted(const struct cpu_bench *b, const char *name)
{
    return !b->only || strncmp(name, b->only, strlen(b->only)) == 0;
}

void cpu_report(const char *name, const char *unit, double value, double baseline, double ratio,
        const char *baseline_is)
{
    printf("%s\t%s\t%.6g\t%.6g\t%.6g\t%s\n", name, unit, value, baseline, ratio, baseline_is);
    fflush(stdout);
}

/* For the probe, which compiles it through Metal. */
static int print_ggml(const char *path)
{
    struct abx_string source = {0};
    bool ok = cpu_ggml_source(path, &source) &&
              fwrite(source.data, 1, source.length, stdout) == source.length;
    abx_string_finish(&source);
    return ok && !fflush(stdout) ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct cpu_bench b = {0};
    const char *ggml = NULL;
    char *message = NULL;
    unsigned threads = 1;
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--quick"))
            b.quick = true;
        else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
            threads = (unsigned)atoi(argv[++i]); /* baselines have one */
        else if (!strcmp(argv[i], "--ggml") && i + 1 < argc)
            ggml = argv[++i];
        else if (!strcmp(argv[i], "--print-ggml") && i + 1 < argc)
            return print_ggml(argv[i + 1]);
        else
            b.only = argv[i];
    if (abx_shader_locate(&b.tools, &message) < 0) {
        fprintf(stderr, "%s\n", message ? message : "the shader compiler is missing");
        return 1;
    }
    struct abx_device_config config = {.events = &no_events, .threads = threads};
    if (abx_backend_cpu.device->open(&config, &b.device) < 0 ||
            abx_backend_cpu.queue->create(b.device, &b.queue) < 0)
        return 1;
    cpu_bench_threads(&b);
    cpu_bench_loops(&b);
    cpu_bench_matrix(&b, ggml);
    abx_backend_cpu.queue->destroy(b.queue);
    abx_backend_cpu.device->close(b.device);
    return 0;
}
