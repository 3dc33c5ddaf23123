/* arcbox bench: how long ggml's Metal library (about 700 kernels) takes from its source to its
 * first kernel's end, through Metal: with nothing cached, and again. The host runtime is one of our
 * own, with a cache folder that was empty; the baseline is the same with the host runtime inside
 * the program. */
#include "cli/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Small, without function constants, and does nothing when its arguments are zeros. */
#define KERNEL "kernel_arange_f32"

static bool write_source(const char *ggml, const char *path)
{
    char *program = bench_tool("arcbox-bench-cpu");
    if (!program) {
        abx_say("arcbox-bench-cpu is missing: build again");
        return false;
    }
    char *argv[] = {program, "--print-ggml", (char *)ggml, NULL};
    struct bench_run r = bench_run(argv, NULL, false);
    int e = r.code == 0 && r.output ? abx_write_file(path, r.output, strlen(r.output)) : -EIO;
    if (e < 0)
        abx_say("%s: %s", path, strerror(-e));
    free(r.output);
    free(program);
    return e == 0;
}

static char *compile_once(struct bench *b, const char *folder, const char *source, bool bridged)
{
    char *state = abx_xprintf("ARCBOX_RUNTIME_DIR=%s/state", folder);
    char *cache = abx_xprintf("ARCBOX_CACHE_DIR=%s/cache-%s", folder, bridged ? "a" : "b");
    char *libraries = abx_xprintf("LD_LIBRARY_PATH=%s:%s", b->libraries, b->baseline_libraries);
    char *mount = abx_xprintf("%s:%s", folder, folder),
         *probe = abx_xprintf("%s:%s", b->probe, b->probe);
    char *outside[] = {b->self, "run", "--gpu", "-v", mount, "-v", probe, "host", b->probe,
            "compile", (char *)source, KERNEL, NULL};
    char *inside[] = {b->probe, "compile", (char *)source, KERNEL, NULL};
    char *outside_env[] = {state, cache, NULL};
    char *inside_env[] = {cache, libraries, ABX_TRANSPORT_ENV "=" ABX_TRANSPORT_BASELINE,
            "ARCBOX_BACKEND=" ABX_BACKEND_PROCESSOR, NULL};
    struct bench_run r =
            bridged ? bench_run(outside, outside_env, true) : bench_run(inside, inside_env, true);
    if (r.code != 0)
        abx_say("compiling ggml's library (%s) ended with %d",
                bridged ? "the bridge" : ABX_TRANSPORT_BASELINE, r.code);
    free(state);
    free(cache);
    free(libraries);
    free(mount);
    free(probe);
    return r.output ? r.output : abx_xstrdup("");
}

static void measure(struct bench *b, const char *folder, const char *source)
{
    static const char *const names[] = {"compile_first_s", "compile_warm_ms"};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(names); i++) {
        char *bridged = compile_once(b, folder, source, true),
             *inside = compile_once(b, folder, source, false);
        double scale = i ? 1000 : 1, value = bench_number(bridged, "compile_s") * scale,
               baseline = bench_number(inside, "compile_s") * scale;
        bench_add(b, names[i], i ? "ms" : "s", value, baseline, ABX_TRANSPORT_BASELINE,
                baseline / value);
        free(bridged);
        free(inside);
    }
    char *state = abx_xprintf("ARCBOX_RUNTIME_DIR=%s/state", folder);
    char *stop[] = {b->self, "daemon", "stop", NULL}, *env[] = {state, NULL};
    free(bench_run(stop, env, true).output);
    free(state);
}

void bench_compile(struct bench *b, const char *ggml)
{
    char folder[] = "/tmp/arcbox-bench-XXXXXX";
    if (!ggml) {
        abx_say("compile_first_s and compile_warm_ms need ggml's Metal source: arcbox bench --ggml "
                ".../ggml-metal.metal");
        return;
    }
    if (!mkdtemp(folder)) {
        abx_say("%s: %s", folder, strerror(errno));
        return;
    }
    char *source = abx_xprintf("%s/ggml.metal", folder);
    if (write_source(ggml, source))
        measure(b, folder, source);
    char *remove[] = {"rm", "-rf", folder, NULL};
    free(bench_run(remove, NULL, true).output);
    free(source);
}
