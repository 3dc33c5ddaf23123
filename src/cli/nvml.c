/* cli: NVIDIA's management library, found at run time. Types and numbers are those of nvml.h. */
#include "cli/nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct nvml_device *nvml_device;
struct nvml_memory {
    unsigned long long total, free, used;
};
struct nvml_utilisation {
    unsigned gpu, memory;
};
struct nvml_pci {
    char old_bus[16];
    unsigned domain, bus, device, ids, system_ids;
    char id[32];
};

enum { CLOCK_SM = 1, CLOCK_MEMORY = 2, SENSOR_GPU = 0 };

/* clang-format off */
#define NVML(X) \
    X(init, nvmlInit_v2, (void)) \
    X(shutdown, nvmlShutdown, (void)) \
    X(count, nvmlDeviceGetCount_v2, (unsigned *)) \
    X(device, nvmlDeviceGetHandleByIndex_v2, (unsigned, nvml_device *)) \
    X(name, nvmlDeviceGetName, (nvml_device, char *, unsigned)) \
    X(pci, nvmlDeviceGetPciInfo_v3, (nvml_device, struct nvml_pci *)) \
    X(memory, nvmlDeviceGetMemoryInfo, (nvml_device, struct nvml_memory *)) \
    X(clock, nvmlDeviceGetClockInfo, (nvml_device, int, unsigned *)) \
    X(power, nvmlDeviceGetPowerUsage, (nvml_device, unsigned *)) \
    X(power_limit, nvmlDeviceGetEnforcedPowerLimit, (nvml_device, unsigned *)) \
    X(temperature, nvmlDeviceGetTemperature, (nvml_device, int, unsigned *)) \
    X(utilisation, nvmlDeviceGetUtilizationRates, (nvml_device, struct nvml_utilisation *)) \
    X(throttle, nvmlDeviceGetCurrentClocksThrottleReasons, (nvml_device, unsigned long long *))
/* clang-format on */

struct table {
#define MEMBER(member, symbol, parameters) int(*member) parameters;
    NVML(MEMBER)
#undef MEMBER
};

static bool load(struct table *t)
{
    static const char *const symbols[] = {
#define SYMBOL(member, symbol, parameters) #symbol,
            NVML(SYMBOL)
#undef SYMBOL
    };
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL), **entries = (void **)t;
    for (size_t i = 0; library && i < ABX_ARRAY_SIZE(symbols); i++)
        if (!(entries[i] = dlsym(library, symbols[i])))
            return false;
    return library != NULL;
}

/* What it does not know on this card stays 0. */
static void read_card(const struct table *t, nvml_device device, struct abx_nvml_card *c)
{
    struct nvml_memory memory = {0};
    struct nvml_utilisation busy = {0};
    struct nvml_pci pci = {0};
    unsigned long long throttle = 0;
    (void)t->name(device, c->name, sizeof c->name - 1);
    if (t->pci(device, &pci) == 0)
        snprintf(c->bus, sizeof c->bus, "%.31s", pci.id);
    (void)t->memory(device, &memory);
    (void)t->utilisation(device, &busy);
    (void)t->clock(device, CLOCK_SM, &c->sm_mhz);
    (void)t->clock(device, CLOCK_MEMORY, &c->memory_mhz);
    (void)t->power(device, &c->milliwatts);
    (void)t->power_limit(device, &c->milliwatts_limit);
    (void)t->temperature(device, SENSOR_GPU, &c->celsius);
    (void)t->throttle(device, &throttle);
    c->memory_used = memory.used;
    c->memory_total = memory.total;
    c->busy_percent = busy.gpu;
    c->throttle = throttle;
}

unsigned abx_nvml_read(struct abx_nvml_card cards[ABX_NVML_MAX])
{
    struct table t;
    unsigned count = 0, n = 0;
    if (!load(&t) || t.init())
        return 0;
    if (t.count(&count))
        count = 0;
    for (unsigned i = 0; i < count && n < ABX_NVML_MAX; i++) {
        nvml_device device;
        memset(&cards[n], 0, sizeof cards[n]);
        if (t.device(i, &device) == 0)
            read_card(&t, device, &cards[n++]);
    }
    (void)t.shutdown();
    return n;
}

char *abx_nvml_throttle(uint64_t bits)
{
    /* An idle card, and clocks that somebody set, are no throttling. */
    static const struct {
        uint64_t bit;
        const char *text;
    } reasons[] = {{0x4, "power"}, {0x8, "hardware"}, {0x20, "temperature"},
            {0x40, "temperature (hardware)"}, {0x80, "power brake"}, {0x10, "another card"}};
    struct abx_string s = {0};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(reasons); i++)
        if (bits & reasons[i].bit)
            abx_string_printf(&s, "%s%s", s.length ? ", " : "", reasons[i].text);
    return s.data ? s.data : abx_xstrdup("");
}

char *abx_nvml_line(const struct abx_nvml_card *c)
{
    char *why = abx_nvml_throttle(c->throttle);
    char *line = abx_xprintf("%s: %.0f of %.0f MiB used, %u MHz (memory %u), %.0f of %.0f W, %u "
                             "degrees, %u %% busy%s%s",
            c->name, (double)c->memory_used / 1048576.0, (double)c->memory_total / 1048576.0,
            c->sm_mhz, c->memory_mhz, c->milliwatts / 1000.0, c->milliwatts_limit / 1000.0,
            c->celsius, c->busy_percent, *why ? ", throttled: " : "", why);
    free(why);
    return line;
}

void abx_nvml_json(struct abx_string *s, const struct abx_nvml_card *c)
{
    char *why = abx_nvml_throttle(c->throttle);
    abx_string_printf(s, "{\"name\": ");
    abx_json_string(s, c->name);
    abx_string_printf(s, ", \"bus\": ");
    abx_json_string(s, c->bus);
    abx_string_printf(s,
            ", \"memory_used\": %llu, \"memory_total\": %llu, \"sm_mhz\": %u, \"memory_mhz\": %u, "
            "\"watts\": %.1f, \"watts_limit\": %.1f, \"celsius\": %u, \"busy_percent\": %u, "
            "\"throttled\": ",
            (unsigned long long)c->memory_used, (unsigned long long)c->memory_total, c->sm_mhz,
            c->memory_mhz, c->milliwatts / 1000.0, c->milliwatts_limit / 1000.0, c->celsius,
            c->busy_percent);
    abx_json_string(s, why);
    abx_string_printf(s, "}");
    free(why);
}
