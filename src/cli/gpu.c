/* arcbox gpu: the devices, the tenants, and who uses what. */
#include "cli/cli.h"
#include "cli/gpu_top.h"
#include "cli/nvml.h"
#include "host/control/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct view {
    struct abx_control_device *devices;
    struct abx_control_tenant *tenants;
    struct abx_control_client *clients;
    unsigned device_count, tenant_count, client_count;
    struct abx_nvml_card cards[ABX_NVML_MAX];
    unsigned card_count;
};

static double mib(uint64_t bytes)
{
    return (double)bytes / 1048576.0;
}

/* What its dispatches use: all that its device has, unless it was told otherwise. */
static uint32_t threads_of(const struct view *v, const struct abx_control_tenant *t)
{
    for (unsigned i = 0; i < v->device_count && !t->limits.threads; i++)
        if (strcmp(v->devices[i].backend, t->backend) == 0)
            return v->devices[i].threads;
    return t->limits.threads;
}

static void print_tables(const struct view *v)
{
    printf("%-3s %-10s %-40s %-10s %8s  %s\n", "#", "BACKEND", "DEVICE", "MEMORY", "THREADS", "");
    for (unsigned i = 0; i < v->device_count; i++) {
        const struct abx_control_device *d = &v->devices[i];
        printf("%-3u %-10s %-40s %6.0f MiB %8u  %s%s\n", i, d->backend, d->name,
                mib(d->memory_bytes), d->threads, d->is_default ? "default" : "",
                d->simulated ? "executes nothing" : "");
    }
    for (unsigned i = 0; i < v->card_count; i++) {
        char *line = abx_nvml_line(&v->cards[i]);
        printf("%s%s\n", i ? "" : "\n", line);
        free(line);
    }
    if (!v->tenant_count) {
        printf("\nno tenants\n");
        return;
    }
    printf("\n%-20s %-8s %8s %7s %7s %12s %12s  %s\n", "TENANT", "BACKEND", "WORKER", "CLIENTS",
            "THREADS", "MEMORY", "CAP", "WORKERS LOST");
    for (unsigned i = 0; i < v->tenant_count; i++) {
        const struct abx_control_tenant *t = &v->tenants[i];
        printf("%-20s %-8s %8d %7u %7u %8.1f MiB %8.0f MiB  %u%s%s\n", t->name, t->backend,
                t->worker_pid, t->clients, threads_of(v, t), mib(t->memory_used),
                mib(t->limits.memory_bytes), t->worker_deaths, t->last_death[0] ? ": " : "",
                t->last_death);
    }
    if (!v->client_count)
        return;
    printf("\n%-20s %8s %-20s %12s %9s %10s %9s %7s\n", "TENANT", "PROCESS", "PROGRAM", "MEMORY",
            "BUFFERS", "KERNELS", "BUSY", "TRIPS");
    for (unsigned i = 0; i < v->client_count; i++) {
        const struct abx_control_client *c = &v->clients[i];
        printf("%-20s %8d %-20.20s %8.1f MiB %9llu %10llu %7.2f s %7llu\n", c->tenant, c->pid,
                c->program, mib(c->memory_used), (unsigned long long)c->command_buffers,
                (unsigned long long)c->kernels, (double)c->busy_ns / 1e9,
                (unsigned long long)c->round_trips);
    }
}

static void member(struct abx_string *s, const char *name, const char *value)
{
    abx_string_printf(s, "\"%s\": ", name);
    abx_json_string(s, value);
    abx_string_printf(s, ", ");
}

static void print_json(const struct view *v)
{
    struct abx_string s = {0};
    abx_string_printf(&s, "{\"devices\": [");
    for (unsigned i = 0; i < v->device_count; i++) {
        const struct abx_control_device *d = &v->devices[i];
        abx_string_printf(&s, "%s\n  {", i ? "," : "");
        member(&s, "name", d->name);
        member(&s, "backend", d->backend);
        abx_string_printf(&s,
                "\"default\": %s, \"simulated\": %s, \"threads\": %u, \"memory_bytes\": %llu}",
                d->is_default ? "true" : "false", d->simulated ? "true" : "false", d->threads,
                (unsigned long long)d->memory_bytes);
    }
    abx_string_printf(&s, "],\n \"cards\": [");
    for (unsigned i = 0; i < v->card_count; i++) {
        abx_string_printf(&s, "%s\n  ", i ? "," : "");
        abx_nvml_json(&s, &v->cards[i]);
    }
    abx_string_printf(&s, "],\n \"tenants\": [");
    for (unsigned i = 0; i < v->tenant_count; i++) {
        const struct abx_control_tenant *t = &v->tenants[i];
        abx_string_printf(&s, "%s\n  {", i ? "," : "");
        member(&s, "name", t->name);
        member(&s, "backend", t->backend);
        member(&s, "device", t->device);
        member(&s, "last_death", t->last_death);
        abx_string_printf(&s,
                "\"worker_pid\": %d, \"clients\": %u, \"threads\": %u, \"worker_deaths\": %u, "
                "\"memory_used\": %llu, \"memory_cap\": %llu}",
                t->worker_pid, t->clients, threads_of(v, t), t->worker_deaths,
                (unsigned long long)t->memory_used, (unsigned long long)t->limits.memory_bytes);
    }
    abx_string_printf(&s, "],\n \"clients\": [");
    for (unsigned i = 0; i < v->client_count; i++) {
        const struct abx_control_client *c = &v->clients[i];
        abx_string_printf(&s, "%s\n  {", i ? "," : "");
        member(&s, "tenant", c->tenant);
        member(&s, "program", c->program);
        member(&s, "backend", c->backend);
        abx_string_printf(&s,
                "\"pid\": %d, \"waiting\": %u, \"compiling\": %u, \"memory_used\": %llu, "
                "\"command_buffers\": %llu, "
                "\"failed_command_buffers\": %llu, \"commands\": %llu, \"kernels\": %llu, "
                "\"busy_ns\": %llu, \"compiles\": %llu, \"compiles_cached\": %llu, "
                "\"round_trips\": %llu}",
                c->pid, c->waiting, c->compiling, (unsigned long long)c->memory_used,
                (unsigned long long)c->command_buffers,
                (unsigned long long)c->failed_command_buffers, (unsigned long long)c->commands,
                (unsigned long long)c->kernels, (unsigned long long)c->busy_ns,
                (unsigned long long)c->compiles, (unsigned long long)c->compiles_cached,
                (unsigned long long)c->round_trips);
    }
    abx_string_printf(&s, "]}\n");
    fwrite(s.data, 1, s.length, stdout);
    abx_string_finish(&s);
}

static double seconds(struct abx_options *o)
{
    const char *text = abx_options_value(o);
    char *end;
    double n = strtod(text, &end);
    if (!(*text >= '0' && *text <= '9') || *end || !(n >= 0.1 && n <= 86400))
        abx_die(ABX_EXIT_OWN, "%s %s: expected a number, 0.1 or more", o->given, text);
    return n;
}

int abx_do_gpu(int argc, char **argv)
{
    bool json = false;
    struct abx_gpu_top top = {.interval = 1};
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));) {
        if (strcmp(name, "--format") == 0)
            json = abx_option_json(&o);
        else if (strcmp(name, "--interval") == 0)
            top.interval = seconds(&o);
        else if (strcmp(name, "--count") == 0)
            top.count = (unsigned)seconds(&o);
    }
    if (o.count && strcmp(o.words[0], "top") != 0)
        abx_usage(&o);
    if (o.count)
        return abx_gpu_top(&top);
    struct abx_control *control;
    struct view v = {0};
    char *why = NULL;
    int r = abx_control_connect(true, &control, &why);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot reach the host runtime: %s", why ? why : strerror(-r));
    if (abx_control_devices(control, &v.devices, &v.device_count) < 0 ||
            abx_control_tenants(control, &v.tenants, &v.tenant_count) < 0 ||
            abx_control_clients(control, &v.clients, &v.client_count) < 0)
        abx_die(ABX_EXIT_OWN, "the host runtime does not answer: %s", abx_control_error(control));
    v.card_count = abx_nvml_read(v.cards);
    if (json)
        print_json(&v);
    else
        print_tables(&v);
    free(v.devices);
    free(v.tenants);
    free(v.clients);
    abx_control_close(control);
    return 0;
}
