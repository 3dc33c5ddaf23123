/* tests/cli: NVIDIA's management library, of a machine with two cards. */
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define OF(device) ((unsigned)(size_t)(device))

EXPORT int nvmlInit_v2(void)
{
    return 0;
}
EXPORT int nvmlShutdown(void)
{
    return 0;
}
EXPORT int nvmlDeviceGetCount_v2(unsigned *n)
{
    return *n = 2, 0;
}
EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **ret)
{
    return *ret = (void *)(size_t)(i + 1), 0;
}
EXPORT int nvmlDeviceGetName(void *d, char *to, unsigned bytes)
{
    return snprintf(to, bytes, "Fake GPU %u", OF(d)), 0;
}
EXPORT int nvmlDeviceGetPciInfo_v3(void *d, char *info)
{
    return snprintf(info + 36, 32, "0000:0%u:00.0", OF(d)), 0;
}
EXPORT int nvmlDeviceGetMemoryInfo(void *d, unsigned long long *m)
{
    m[0] = 64ull << 30, m[2] = (unsigned long long)OF(d) << 30, m[1] = m[0] - m[2];
    return 0;
}
EXPORT int nvmlDeviceGetClockInfo(void *d, int which, unsigned *ret)
{
    return *ret = which == 1 ? 1500 : 3200, 0;
}
EXPORT int nvmlDeviceGetPowerUsage(void *d, unsigned *ret)
{
    return *ret = 123400, 0;
}
EXPORT int nvmlDeviceGetEnforcedPowerLimit(void *d, unsigned *ret)
{
    return *ret = 700000, 0;
}
EXPORT int nvmlDeviceGetTemperature(void *d, int which, unsigned *ret)
{
    return *ret = 41, 0;
}
/* One that this card does not know. */
EXPORT int nvmlDeviceGetUtilizationRates(void *d, unsigned *ret)
{
    return 3;
}
EXPORT int nvmlDeviceGetCurrentClocksThrottleReasons(void *d, unsigned long long *ret)
{
    return *ret = OF(d) == 2 ? 0x24 : 1, 0; /* power and temperature; idle */
}
