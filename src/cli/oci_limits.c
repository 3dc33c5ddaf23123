/* cli: limits of an OCI container's GPU work, from `arcbox run` to the hook that makes its tenant:
 * a file in the runtime folder, of a name that cannot be guessed. */
#include "cli/cdi.h"
#include "host/control/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define KEY_DIGITS 32u

/* NULL: not one of our keys. */
static char *path_of(const char *key)
{
    char runtime[ABX_CONTROL_PATH_BYTES];
    if (strlen(key) != KEY_DIGITS || strspn(key, "0123456789abcdef") != KEY_DIGITS ||
            abx_control_runtime_dir(runtime) < 0)
        return NULL;
    return abx_xprintf("%s/limits-%s", runtime, key);
}

char *abx_oci_limits_keep(const struct abx_oci_limits *limits)
{
    uint64_t random[2];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        abx_die(ABX_EXIT_OWN, "no random numbers: %s", strerror(errno));
    char *key = abx_xprintf(
            "%016llx%016llx", (unsigned long long)random[0], (unsigned long long)random[1]);
    char *text = abx_xprintf("%u %llu\n", limits->cpus, (unsigned long long)limits->time_ms);
    free(abx_place_state()); /* makes it */
    char *path = path_of(key);
    int r = path ? abx_write_file(path, text, strlen(text)) : -EINVAL;
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot keep the container's limits: %s", strerror(-r));
    free(path);
    free(text);
    return key;
}

struct abx_oci_limits abx_oci_limits_of(const char *key)
{
    struct abx_oci_limits limits = {0};
    char *path = path_of(key);
    void *text;
    size_t length;
    unsigned cpus;
    unsigned long long time_ms;
    if (path && abx_read_file(path, 256, &text, &length) == 0) {
        if (sscanf(text, "%u %llu", &cpus, &time_ms) == 2)
            limits = (struct abx_oci_limits){cpus, time_ms};
        free(text);
    }
    free(path);
    return limits;
}

void abx_oci_limits_forget(const char *key)
{
    char *path = path_of(key);
    if (path)
        unlink(path);
    free(path);
}
