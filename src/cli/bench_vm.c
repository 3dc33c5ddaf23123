/* arcbox bench --vm: what a virtual machine costs: its start, and the probe in it, each beside a
 * container. Where the machine is emulated, so is the probe: `arcbox doctor` says whether it is. */
#include "cli/bench.h"
#include "cli/run.h"
#include "host/control/control.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STARTS 3

static double start_ms(struct bench *b, const char *kind, char *variable)
{
    double best = NAN;
    char *argv[] = {b->self, "run", (char *)kind, "host", "true", NULL}, *env[] = {variable, NULL};
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
    char *argv[] = {b->self, "run", (char *)kind, "--gpus", "device=" ABX_BACKEND_SIMULATED,
            "--mount", mount, "-w", "/", "host", "/opt/arcbox-probe", "calls", "submit", "commands",
            "bandwidth", "buffer", NULL};
    char *env[] = {NULL};
    struct bench_run r = bench_run(argv, env, true);
    if (r.code != 0)
        abx_say("the probe ended with %d (%s)", r.code, kind);
    free(mount);
    return r.output ? r.output : abx_xstrdup("");
}

/* ---- the training: what the device worked for it. The program's own time is the emulated
 * Python's, where the machine is emulated. */

#define TENANT "arcbox-bench-train"

/* Seconds, of all programs of the tenant, as far as they have been told. */
static double busy_seconds(void)
{
    struct abx_control *control = NULL;
    struct abx_control_client *clients = NULL;
    unsigned count = 0;
    double seconds = 0;
    if (abx_control_connect(false, &control, NULL) < 0)
        return 0;
    if (abx_control_clients(control, &clients, &count) == 0)
        for (unsigned i = 0; i < count; i++)
            if (strcmp(clients[i].tenant, TENANT) == 0)
                seconds += (double)clients[i].busy_ns / 1e9;
    free(clients);
    abx_control_close(control);
    return seconds;
}

static double train(struct bench *b, const char *folder, const char *kind)
{
    char *data = abx_xprintf("%s/data:/data", folder);
    char *argv[] = {b->self, "run", "--name", TENANT, (char *)kind, "--gpu", "--mount", data, "-w",
            (char *)folder, "-e", "EPOCHS=2", "host", "python3", "train.py", NULL};
    double most = 0;
    int status = 0;
    fflush(NULL);
    pid_t pid = fork(), ended = 0;
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, 1);
        dup2(null, 2);
        execv(argv[0], argv);
        _exit(127);
    }
    while (pid > 0 && ended == 0) {
        double now = busy_seconds();
        most = now > most ? now : most;
        usleep(20000);
        ended = waitpid(pid, &status, WNOHANG);
    }
    free(data);
    /* 1: so few epochs do not make it as good as it wants to be. */
    if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
        abx_say("the training (%s) ended with %d", kind, abx_exit_code(status));
    return most > 0 ? most : NAN;
}

static void measure_train(struct bench *b)
{
    char *folder = bench_digits();
    if (!folder)
        return;
    double plain = train(b, folder, "--vm=false"), again = train(b, folder, "--vm=false");
    double vm = train(b, folder, "--vm");
    plain = again < plain ? again : plain; /* the first compiles */
    bench_add(b, "vm_train", "s of GPU time", vm, plain, "a container", plain / vm);
    free(folder);
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
            {"vm_commands_per_s", "commands_per_s", "1/s", true},
            {"vm_buffer_first_ms", "buffer_first_ms", "ms a GiB", false},
            {"vm_buffer_again_ms", "buffer_again_ms", "ms a GiB", false}};
    static const char *const machine = "--vm", *const container = "--vm=false";
    static char boots[] = "ARCBOX_VM_TEMPLATES=0";
    double vm = start_ms(b, machine, NULL), plain = start_ms(b, container, NULL);
    double boot = start_ms(b, machine, boots);
    bench_add(b, "vm_start_ms", "ms", vm, plain, "a container", plain / vm);
    bench_add(b, "vm_boot_ms", "ms, no template", boot, plain, "a container", plain / boot);
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
    if (!b->quick)
        measure_train(b);
}
