/* arcbox bench: the bridge's figures and the cpu backend's, each beside its baseline from the same
 * run. The probe (bench/) is an ordinary Metal program, run here once through a tenant's socket and
 * once with the host runtime inside the program; the division is the bridge's cost. */
#include "cli/bench.h"
#include "host/control/control.h"

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_CAP (16u << 20)
#define START_ROUNDS 31

void bench_add(struct bench *b, const char *name, const char *unit, double value, double baseline,
        const char *baseline_is, double ratio)
{
    if (isnan(value))
        abx_say("%s could not be measured", name);
    else if (b->count < MAX_RESULTS)
        b->results[b->count++] =
                (struct bench_result){name, unit, baseline_is, value, baseline, ratio};
}

/* ---- running programs */

char *bench_tool(const char *name)
{
    char *built = abx_xprintf("../bench/%s", name), *path = abx_place_tool(built);
    free(built);
    return path ? path : abx_place_tool(name);
}

struct bench_run bench_run(char *const argv[], char *const env[], bool quiet)
{
    struct bench_run r = {.code = -1};
    int out[2];
    size_t length;
    void *text = NULL;
    fflush(NULL);
    if (pipe2(out, O_CLOEXEC) < 0)
        return r;
    uint64_t start = abx_now_ns();
    pid_t pid = fork();
    if (pid == 0) {
        for (; env && *env; env++) {
            char *copy = abx_xstrdup(*env), *equals = strchr(copy, '=');
            if (equals) {
                *equals = 0;
                setenv(copy, equals + 1, 1);
            } else
                unsetenv(copy);
        }
        dup2(out[1], 1);
        if (quiet)
            dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(out[1]);
    if (abx_read_fd(out[0], OUTPUT_CAP, &text, &length) < 0)
        text = abx_xstrdup("");
    close(out[0]);
    int status = 0;
    struct rusage usage = {0};
    while (pid > 0 && wait4(pid, &status, 0, &usage) < 0 && errno == EINTR)
        ;
    r.milliseconds = (double)(abx_now_ns() - start) / 1e6;
    r.output = text;
    r.rss_kib = usage.ru_maxrss;
    r.code = pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    return r;
}

double bench_number(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (strncmp(p, name, n) == 0 && p[n] == ' ')
            return strtod(p + n + 1, NULL);
    return NAN;
}

static double number_within(const char *text, const char *before, const char *after)
{
    for (const char *p = text; (p = strstr(p, before)); p++) {
        char *end;
        double value = strtod(p + strlen(before), &end);
        if (end != p + strlen(before) && strncmp(end, after, strlen(after)) == 0)
            return value;
    }
    return NAN;
}

/* ---- the probe, over both transports */

static char *probe_output(
        struct bench *b, const char *what, const char *socket, const char *backend)
{
    char *argv[] = {b->probe, (char *)what, NULL};
    char *libraries = abx_xprintf("LD_LIBRARY_PATH=%s:%s", b->libraries, b->baseline_libraries);
    char *named = socket ? abx_xprintf("ARCBOX_SOCKET=%s", socket) : NULL;
    char *chosen = abx_xprintf("ARCBOX_BACKEND=%s", backend);
    char *bridged[] = {libraries, named, ABX_TRANSPORT_ENV, NULL};
    char *inside[] = {libraries, ABX_TRANSPORT_ENV "=" ABX_TRANSPORT_BASELINE, chosen, NULL};
    struct bench_run r = bench_run(argv, socket ? bridged : inside, false);
    if (r.code != 0)
        abx_say("the probe ended with %d over %s (%s)", r.code,
                socket ? "the bridge" : ABX_TRANSPORT_BASELINE, what);
    free(libraries);
    free(named);
    free(chosen);
    return r.output ? r.output : abx_xstrdup("");
}

/* more_is_better: the ratio is ours / baseline, so that 1 is "as good" and larger is better. */
static void compare(struct bench *b, const char *name, const char *unit, const char *bridged,
        const char *inside, bool more_is_better)
{
    double value = bench_number(bridged, name), baseline = bench_number(inside, name);
    bench_add(b, name, unit, value, baseline, ABX_TRANSPORT_BASELINE,
            more_is_better ? value / baseline : baseline / value);
}

/* Beside what waking another process costs on this machine at least, measured in turn with it. */
static void compare_to_wake(struct bench *b, const char *bridged)
{
    static const struct {
        const char *name, *ours, *bare;
    } rows[] = {{"sleep_vs_wake_us", "submit_wait_sleep_us", "wake_us"},
            {"sleep_vs_wake_low_us", "submit_wait_sleep_low_us", "wake_low_us"}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(rows); i++) {
        double ours = bench_number(bridged, rows[i].ours),
               bare = bench_number(bridged, rows[i].bare);
        bench_add(b, rows[i].name, "us", ours, bare, "a bare eventfd wake", bare / ours);
    }
}

/* One that executes nothing: what is left is the bridge. */
static struct abx_control_device simulated_device(struct abx_control *control)
{
    struct abx_control_device *devices = NULL, found = {0};
    unsigned count = 0;
    if (abx_control_devices(control, &devices, &count) < 0)
        abx_die(ABX_EXIT_OWN, "cannot list the devices: %s", abx_control_error(control));
    for (unsigned i = 0; i < count && !found.simulated; i++)
        found = devices[i];
    free(devices);
    if (!found.simulated)
        abx_die(ABX_EXIT_OWN, "the host runtime has no device that executes nothing");
    return found;
}

static void measure_probe(struct bench *b)
{
    struct abx_control *control;
    struct abx_control_tenant tenant;
    char *why = NULL;
    int r = abx_control_connect(true, &control, &why);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot reach the host runtime: %s", why ? why : strerror(-r));
    char name[32];
    snprintf(name, sizeof name, "bench-%d", (int)getpid());
    struct abx_control_device nothing = simulated_device(control);
    r = abx_control_tenant_create(control, name, nothing.backend, ABX_TENANT_HOLD, NULL, &tenant);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "no tenant for the probe: %s", abx_control_error(control));
    static const struct {
        const char *what, *name, *unit;
        bool more;
    } probes[] = {{"calls", "async_call_ns", "ns", false},
            {"submit", "submit_wait_spin_us", "us", false},
            {"submit", "submit_wait_sleep_us", "us", false},
            {"commands", "commands_per_s", "1/s", true}, {"send", "message_send_ns", "ns", false}};
    char *bridged = NULL, *inside = NULL;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(probes); i++) {
        if (i == 0 || strcmp(probes[i].what, probes[i - 1].what) != 0) {
            free(bridged);
            free(inside);
            bridged = probe_output(b, probes[i].what, tenant.socket, nothing.backend);
            inside = probe_output(b, probes[i].what, NULL, nothing.backend);
        }
        compare(b, probes[i].name, probes[i].unit, bridged, inside, probes[i].more);
        if (strcmp(probes[i].name, "submit_wait_sleep_us") == 0)
            compare_to_wake(b, bridged);
    }
    free(bridged);
    free(inside);
    bridged = probe_output(b, "bandwidth", tenant.socket, nothing.backend);
    inside = probe_output(b, "bandwidth", NULL, nothing.backend);
    compare(b, "shared_bandwidth", "GB/s", bridged, inside, true);
    double value = bench_number(bridged, "shared_bandwidth"),
           plain = bench_number(bridged, "plain_bandwidth");
    bench_add(b, "shared_vs_private", "GB/s", value, plain, "the program's own memory",
            value / plain);
    free(bridged);
    free(inside);
    abx_control_close(control);
}

/* ---- starting things */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

static double start_time(char *const argv[], char *const env[], long *ret_rss)
{
    double times[START_ROUNDS];
    bench_run(argv, env, true); /* warms the caches */
    for (unsigned i = 0; i < START_ROUNDS; i++) {
        struct bench_run r = bench_run(argv, env, true);
        free(r.output);
        if (r.code != 0)
            return NAN;
        times[i] = r.milliseconds;
        if (ret_rss)
            *ret_rss = r.rss_kib;
    }
    return median(times, START_ROUNDS);
}

static void measure_load(struct bench *b)
{
    char *with = bench_tool("arcbox-empty-linked"), *without = bench_tool("arcbox-empty");
    if (!with || !without) {
        abx_say("guest_load_ms could not be measured: the empty programs are missing");
        return;
    }
    char *env[] = {abx_xprintf("LD_LIBRARY_PATH=%s", b->libraries), NULL};
    long rss_with = 0, rss_without = 0;
    double loaded = start_time((char *[]){with, NULL}, env, &rss_with);
    double plain = start_time((char *[]){without, NULL}, env, &rss_without);
    bench_add(b, "guest_load_ms", "ms", loaded - plain, plain, "an empty program's whole run",
            loaded / plain);
    bench_add(b, "guest_rss_mb", "MB", (double)(rss_with - rss_without) / 1000,
            (double)rss_without / 1000, "an empty program", (double)rss_with / (double)rss_without);
}

static void measure_start(struct bench *b)
{
    double ours = start_time((char *[]){b->self, "run", "--gpu", "host", "true", NULL}, NULL, NULL);
    double plain = start_time((char *[]){"true", NULL}, NULL, NULL);
    bench_add(b, "run_start_ms", "ms", ours - plain, plain, "true alone", ours / plain);
}

/* ---- the training */

static double train_seconds(const char *output)
{
    return number_within(output, "s (", " s an epoch");
}

static char *train_once(struct bench *b, const char *folder, const char *how)
{
    char *data = abx_xprintf("%s/data:/data", folder);
    bool isolated = strcmp(how, ABX_TRANSPORT_BASELINE) != 0;
    char *path = abx_xprintf("LD_LIBRARY_PATH=%s", b->baseline_libraries);
    char *bridged[] = {b->self, "run", "--gpu", "--mount", data, "-w", (char *)folder, "host",
            "python3", "train.py", NULL};
    char *inside[] = {b->self, "run", "--gpu", "--mount", data, "-w", (char *)folder, "-e",
            ABX_TRANSPORT_ENV "=" ABX_TRANSPORT_BASELINE, "-e", path, "host", "python3", "train.py",
            NULL};
    char *direct[] = {b->self, "run", "--mount", data, "-w", (char *)folder, "-e", "DEV=CPU", "-e",
            "CC=/usr/lib/llvm-19/bin/clang", "host", "python3", "train.py", NULL};
    struct bench_run r = bench_run(strcmp(how, "direct") == 0 ? direct
                                   : !isolated                ? inside
                                                              : bridged,
            NULL, false);
    if (r.code != 0)
        abx_say("the training (%s) ended with %d", how, r.code);
    free(data);
    free(path);
    return r.output ? r.output : abx_xstrdup("");
}

char *bench_digits(void)
{
    char *folder = abx_place_tool("../../../examples/digits");
    char *check[] = {"python3", "-c", "import tinygrad, numpy", NULL};
    struct bench_run has = bench_run(check, NULL, true);
    free(has.output);
    if (!folder || has.code != 0) {
        abx_say("train was not measured: it needs examples/digits and a python3 with tinygrad "
                "(`make demo` makes one: . .venv/bin/activate)");
        free(folder);
        return NULL;
    }
    char *data = abx_xprintf("%s/data", folder);
    abx_mkdir_p(data, 0755);
    free(data);
    return folder;
}

static void measure_train(struct bench *b)
{
    char *folder = bench_digits();
    if (!folder)
        return;
    free(train_once(b, folder, "bridge")); /* fills the shader cache */
    char *bridged = train_once(b, folder, "bridge"),
         *inside = train_once(b, folder, ABX_TRANSPORT_BASELINE),
         *direct = train_once(b, folder, "direct");
    double ours = train_seconds(bridged), baseline = train_seconds(inside);
    bench_add(b, "train", "s/epoch", ours, baseline, ABX_TRANSPORT_BASELINE, baseline / ours);
    double other = train_seconds(direct);
    bench_add(b, "train_cpu", "s/epoch", ours, other, "tinygrad's CPU device", other / ours);
    double waits = number_within(bridged, "encoding, ", " waiting"),
           buffers = number_within(bridged, "kernels in ", " command buffers");
    bench_add(b, "round_trips_encode", "trips",
            number_within(bridged, "round trips: ", " encoding"),
            number_within(inside, "round trips: ", " encoding"), ABX_TRANSPORT_BASELINE, NAN);
    bench_add(b, "round_trips_wait", "trips a command buffer", waits / buffers,
            number_within(inside, "encoding, ", " waiting") /
                    number_within(inside, "kernels in ", " command buffers"),
            ABX_TRANSPORT_BASELINE, NAN);
    free(bridged);
    free(inside);
    free(direct);
    free(folder);
}

/* ---- the cpu backend by itself, measured by a program that holds the compiler */

/* One line a figure: name, unit, value, baseline, ratio, what the baseline is; tabs between. The
 * names go on pointing into `text`, which is therefore kept. */
static void add_lines(struct bench *b, char *text)
{
    for (char *line = text, *next; line && *line; line = next) {
        char *field[6];
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        for (unsigned i = 0; i < ABX_ARRAY_SIZE(field); i++)
            field[i] = i + 1 < ABX_ARRAY_SIZE(field) ? strsep(&line, "\t") : line;
        if (field[5])
            bench_add(b, field[0], field[1], strtod(field[2], NULL), strtod(field[3], NULL),
                    field[5], strtod(field[4], NULL));
    }
}

static void measure_cpu(struct bench *b, const char *ggml)
{
    char *program = bench_tool("arcbox-bench-cpu");
    if (!program) {
        abx_say("the cpu backend was not measured: arcbox-bench-cpu is missing: build again");
        return;
    }
    char *argv[5] = {program};
    unsigned n = 1;
    if (b->quick)
        argv[n++] = (char *)"--quick";
    if (ggml) {
        argv[n++] = (char *)"--ggml";
        argv[n++] = (char *)ggml;
    }
    struct bench_run r = bench_run(argv, NULL, false);
    if (r.code != 0)
        abx_say("arcbox-bench-cpu ended with %d", r.code);
    if (r.output)
        add_lines(b, r.output);
    free(program);
}

/* ---- output */

static void print_number(struct abx_string *s, double value)
{
    if (isnan(value) || isinf(value))
        abx_string_printf(s, "null");
    else
        abx_string_printf(s, "%.6g", value);
}

static void print_json(const struct bench *b)
{
    struct abx_string s = {0};
    abx_string_printf(&s, "{");
    for (unsigned i = 0; i < b->count; i++) {
        const struct bench_result *r = &b->results[i];
        abx_string_printf(&s, "%s\n  \"%s\": {\"value\": ", i ? "," : "", r->name);
        print_number(&s, r->value);
        abx_string_printf(&s, ", \"unit\": \"%s\", \"baseline\": ", r->unit);
        print_number(&s, r->baseline);
        abx_string_printf(&s, ", \"ratio\": ");
        print_number(&s, r->ratio);
        abx_string_printf(&s, "}");
    }
    abx_string_printf(&s, "\n}\n");
    fwrite(s.data, 1, s.length, stdout);
    abx_string_finish(&s);
}

static void print_table(const struct bench *b)
{
    printf("%-26s %12s %-22s %12s %8s  %s\n", "NAME", "VALUE", "UNIT", "BASELINE", "RATIO",
            "BASELINE IS");
    for (unsigned i = 0; i < b->count; i++) {
        const struct bench_result *r = &b->results[i];
        char baseline[32] = "-", ratio[32] = "-";
        if (!isnan(r->baseline))
            snprintf(baseline, sizeof baseline, "%.6g", r->baseline);
        if (!isnan(r->ratio) && !isinf(r->ratio))
            snprintf(ratio, sizeof ratio, "%.3f", r->ratio);
        printf("%-26s %12.6g %-22s %12s %8s  %s\n", r->name, r->value, r->unit, baseline, ratio,
                r->baseline_is);
    }
}

static void find_parts(struct bench *b)
{
    b->self = abx_place_self();
    char *stage = abx_place_guest_root();
    b->probe = bench_tool("arcbox-probe");
    if (!stage || !b->probe)
        abx_die(ABX_EXIT_OWN, "the guest library or arcbox-probe is missing: build again");
#if defined(__x86_64__)
    b->libraries = abx_xprintf("%s/usr/lib/x86_64-linux-gnu", stage);
#else
    b->libraries = abx_xprintf("%s/usr/lib/aarch64-linux-gnu", stage);
#endif
    b->baseline_libraries = abx_place_tool("../host");
    if (!b->baseline_libraries)
        b->baseline_libraries = abx_place_tool("../lib/arcbox");
    if (!b->baseline_libraries)
        b->baseline_libraries = abx_xstrdup("");
    free(stage);
}

/* Which of the parts is measured: they take minutes, of a person who waits. */
static void step(struct bench *b, const char *what)
{
    unsigned parts = b->quick ? 5 : 6;
    if (!isatty(2))
        return;
    if (what)
        fprintf(stderr, "\r\033[K%u of %u: %s ...", ++b->step, parts, what);
    else
        fprintf(stderr, "\r\033[K");
}

static void measure_all(struct bench *b, const char *ggml)
{
    step(b, "calls, command buffers and memory, through the bridge and without");
    measure_probe(b);
    step(b, "loading the guest library");
    measure_load(b);
    step(b, "starting containers");
    measure_start(b);
    step(b, "kernels");
    measure_cpu(b, ggml);
    step(b, ggml ? "compiling ggml's library" : "compiling");
    bench_compile(b, ggml);
    if (!b->quick) {
        step(b, "training");
        measure_train(b);
    }
    step(b, NULL);
}

int abx_do_bench(int argc, char **argv)
{
    struct bench b = {0};
    bool json = false, vm = false;
    const char *ggml = NULL, *backend = ABX_BACKEND_PROCESSOR;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));) {
        if (strcmp(name, "--format") == 0)
            json = abx_option_json(&o);
        else if (strcmp(name, "--quick") == 0)
            b.quick = abx_options_bool(&o);
        else if (strcmp(name, "--vm") == 0)
            vm = abx_options_bool(&o);
        else if (strcmp(name, "--backend") == 0)
            backend = abx_options_value(&o);
        else if (strcmp(name, "--ggml") == 0)
            ggml = abx_options_value(&o);
    }
    if (ggml && access(ggml, R_OK) < 0)
        abx_die(ABX_EXIT_OWN, "--ggml %s: %s", ggml, strerror(errno));
    bool driver = strcmp(backend, ABX_BACKEND_DRIVER) == 0;
    if (!driver && strcmp(backend, ABX_BACKEND_PROCESSOR) != 0)
        abx_die(ABX_EXIT_OWN, "--backend %s: %s or %s can be measured", backend,
                ABX_BACKEND_PROCESSOR, ABX_BACKEND_DRIVER);
    if (driver && (vm || ggml || b.quick))
        abx_die(ABX_EXIT_OWN, "--backend %s goes with none of --vm, --ggml and --quick", backend);
    find_parts(&b);
    if (vm)
        bench_vm(&b);
    else if (driver)
        bench_driver(&b);
    else
        measure_all(&b, ggml);
    if (json)
        print_json(&b);
    else
        print_table(&b);
    return b.count ? 0 : ABX_EXIT_OWN;
}
