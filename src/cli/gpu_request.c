/* cli: what --gpu and --gpus ask for, and the tenant that answers it. */
#include "cli/run.h"
#include "host/control/control.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_device(struct abx_gpu_request *gpu, const char *name)
{
    if (!*name)
        abx_die(ABX_EXIT_OWN, "--gpus: an empty device name");
    if (gpu->device_count == ABX_MAX_GPU_DEVICES)
        abx_die(ABX_EXIT_OWN, "--gpus: more than %d devices", ABX_MAX_GPU_DEVICES);
    gpu->devices[gpu->device_count++] = abx_xstrdup(name);
}

static void parse_count(struct abx_gpu_request *gpu, const char *text)
{
    if (strcmp(text, "all") == 0 || strcmp(text, "-1") == 0) {
        gpu->count = 0;
        return;
    }
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || n == 0 || n > 1024)
        abx_die(ABX_EXIT_OWN,
                "--gpus %s: expected all, a number of devices or device=NAME (see: arcbox gpu)",
                text);
    gpu->count = (unsigned)n;
}

/* all | N | count=N | device=A,B | any of these joined by commas, docker's quotes removed. */
void abx_gpu_parse(struct abx_gpu_request *gpu, const char *spec)
{
    char *copy = abx_xstrdup(spec), *rest = copy;
    bool in_devices = false;
    gpu->wanted = true;
    for (char *to = copy, *from = copy;; from++)
        if (*from != '"' && !(*to++ = *from))
            break;
    if (!*copy)
        abx_die(ABX_EXIT_OWN, "--gpus needs all, count=N or device=NAME");
    for (char *word; (word = strsep(&rest, ","));) {
        if (strncmp(word, "count=", 6) == 0) {
            parse_count(gpu, word + 6);
            in_devices = false;
        } else if (strncmp(word, "device=", 7) == 0) {
            add_device(gpu, word + 7);
            in_devices = true;
        } else if (strncmp(word, "capabilities=", 13) == 0 || strncmp(word, "driver=", 7) == 0) {
            in_devices = false; /* docker's; they choose nothing here */
        } else if (in_devices)
            add_device(gpu, word);
        else
            parse_count(gpu, word);
    }
    if (gpu->count && gpu->device_count)
        abx_die(ABX_EXIT_OWN, "--gpus: count= and device= exclude each other");
    free(copy);
}

static bool device_matches(const struct abx_control_device *d, unsigned index, const char *name)
{
    char *end;
    unsigned long n = strtoul(name, &end, 10);
    if (isdigit((unsigned char)*name) && !*end)
        return n == index;
    return strcasecmp(d->backend, name) == 0 || strcasecmp(d->name, name) == 0;
}

static _Noreturn void die_unknown(
        const char *name, const struct abx_control_device *devices, unsigned count)
{
    struct abx_string list = {0};
    for (unsigned i = 0; i < count; i++)
        abx_string_printf(
                &list, "%s%u %s (%s)", i ? ", " : "", i, devices[i].backend, devices[i].name);
    abx_die(ABX_EXIT_OWN, "unknown device '%s'; there %s: %s", name, count == 1 ? "is" : "are",
            count ? list.data : "none");
}

/* Of a backend that finds no device the daemon can say why: it would not make a tenant of it. */
static void die_unusable(struct abx_control *control, const char *name)
{
    struct abx_control_tenant made;
    struct abx_control_limits limits = {0};
    if (strlen(name) < sizeof made.backend &&
            abx_control_tenant_create(control, "", name, 0, &limits, &made) == -ENODEV &&
            strncmp(abx_control_error(control), "device=", 7) == 0)
        abx_die(ABX_EXIT_OWN, "%s", abx_control_error(control));
}

/* The backend the request comes down to; "" for the daemon's default. A tenant has one device. */
static void choose_backend(
        struct abx_control *control, const struct abx_gpu_request *gpu, char backend[16])
{
    backend[0] = 0;
    if (!gpu->device_count && gpu->count <= 1)
        return;
    struct abx_control_device *devices = NULL;
    unsigned count = 0;
    if (abx_control_devices(control, &devices, &count) < 0)
        abx_die(ABX_EXIT_OWN, "cannot list the devices: %s", abx_control_error(control));
    unsigned real = 0;
    for (unsigned i = 0; i < count; i++)
        real += !devices[i].simulated;
    if (gpu->count > real)
        abx_die(ABX_EXIT_OWN, "--gpus: %u devices asked for, %u there", gpu->count, real);
    for (unsigned k = 0; k < gpu->device_count; k++) {
        const struct abx_control_device *found = NULL;
        for (unsigned i = 0; i < count && !found; i++)
            if (device_matches(&devices[i], i, gpu->devices[k]))
                found = &devices[i];
        if (!found && !isdigit((unsigned char)*gpu->devices[k]))
            die_unusable(control, gpu->devices[k]);
        if (!found)
            die_unknown(gpu->devices[k], devices, count);
        if (backend[0] && strcmp(backend, found->backend) != 0)
            abx_die(ABX_EXIT_OWN, "--gpus: a container gets one device; %s and %s were named",
                    backend, found->backend);
        snprintf(backend, 16, "%s", found->backend);
    }
    free(devices);
}

uint64_t abx_gpu_time_limit_ms(void)
{
    const char *text = getenv("ARCBOX_TIME_LIMIT_MS");
    char *end;
    if (!text || !*text)
        return 0;
    unsigned long long ms = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || ms > UINT32_MAX)
        abx_die(ABX_EXIT_OWN, "ARCBOX_TIME_LIMIT_MS=%s: expected a number of milliseconds", text);
    return ms;
}

void abx_gpu_backend(const struct abx_gpu_request *gpu, char ret_backend[16])
{
    struct abx_control *control;
    char *why = NULL;
    int r = abx_control_connect(true, &control, &why);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot reach the host runtime: %s", why ? why : strerror(-r));
    choose_backend(control, gpu, ret_backend);
    abx_control_close(control);
}

struct abx_control *abx_gpu_tenant(
        const struct abx_run *run, const char *name, uint32_t flags, struct abx_control_tenant *ret)
{
    const struct abx_gpu_request *gpu = &run->gpu;
    struct abx_control_limits limits = {
            .threads = run->cpus, .kernel_ns = abx_gpu_time_limit_ms() * 1000000u};
    struct abx_control *control;
    char *why = NULL, backend[16];
    int r = abx_control_connect(true, &control, &why);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot reach the host runtime: %s", why ? why : strerror(-r));
    choose_backend(control, gpu, backend);
    r = abx_control_tenant_create(control, name, backend, flags, &limits, ret);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "no GPU access for the container: %s", abx_control_error(control));
    /* Never silently: a GPU was asked for, and a processor pretends to be one. */
    if (!gpu->device_count && ret->processor)
        abx_say("no GPU that ArcBox can use here: Metal runs on this machine's processor "
                "(--gpus device=%s asks for that)",
                ret->backend);
    return control;
}
