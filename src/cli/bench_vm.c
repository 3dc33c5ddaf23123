/* arcbox bench --vm: what a virtual machine costs: its start, and the probe in it, each beside a
 * container. Where the machine is emulated, so is the probe: `arcbox doctor` says whether it is. */
#include "cli/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STARTS 3

static double start_ms(struct bench *b, const char *kind)
{
    double best = NAN;
    char *argv[] = {b->self, "run", (char *)kind, "host", "true", NULL}, *env[] = {NULL};
    for (unsigned i = 0; i < STARTS; i++) {
        struct bench_run r = bench_run(argv, env, true);
        free(r.output);
        if (r.code == 0 && !(r.milliseconds >= best))
            best = r.milliseconds;
    }
    return best;
}

/* What the probe prints, on the device that executes nothing. */
static char *probe_in(struct bench *b, const char *kind)
{
    char *mount = abx_xprintf("%s:/opt/arcbox-probe:ro", b->probe);
    char *argv[] = {b->self, "run", (char *)kind, "--gpus", "device=null", "--mount", mount, "-w",
            "/", "host", "/opt/arcbox-probe", "calls", "submit", "commands", "bandwidth", NULL};
    char *env[] = {NULL};
    struct bench_run r = bench_run(argv, env, true);
    if (r.code != 0)
        abx_say("the probe ended with %d (%s)", r.code, kind);
    free(mount);
    return r.output ? r.output : abx_xstrdup("");
}

void bench_vm(struct bench *b)
{
    static const struct {
        const char *name, *ours, *unit;
        bool more;
    } rows[] = {{"vm_call_ns", "async_call_ns", "ns", false},
            {"vm_submit_wait_spin_us", "submit_wait_spin_us", "us", false},
            {"vm_submit_wait_us", "submit_wait_sleep_us", "us", false},
            {"vm_submit_wait_low_us", "submit_wait_sleep_low_us", "us", false},
            {"vm_commands_per_s", "commands_per_s", "1/s", true}};
    static const char *const machine = "--vm", *const container = "--vm=false";
    double vm = start_ms(b, machine), plain = start_ms(b, container);
    bench_add(b, "vm_start_ms", "ms", vm, plain, "a container", plain / vm);
    char *inside = probe_in(b, machine), *beside = probe_in(b, container);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(rows); i++) {
        double value = bench_number(inside, rows[i].ours),
               baseline = bench_number(beside, rows[i].ours);
        bench_add(b, rows[i].name, rows[i].unit, value, baseline, "a container",
                rows[i].more ? value / baseline : baseline / value);
    }
    double shared = bench_number(inside, "shared_bandwidth"),
           own = bench_number(inside, "plain_bandwidth");
    bench_add(b, "vm_shared_vs_private", "GB/s", shared, own, "the program's own memory, in the VM",
            shared / own);
    free(inside);
    free(beside);
}
