/* cli: a control group of its own for a container, where this user may make one: root anywhere,
 * others where a service manager has delegated the group they are in (systemd's user sessions) or
 * the one above it. Both layouts of groups. */
#include "cli/settings.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int put(const char *group, const char *file, const char *text)
{
    char *path = abx_xprintf("%s/%s", group, file);
    FILE *f = fopen(path, "we");
    int r = f ? 0 : -errno;
    if (f && fputs(text, f) < 0)
        r = -EIO;
    if (f && fclose(f) != 0)
        r = -errno;
    free(path);
    return r;
}

static bool has(const char *group, const char *file)
{
    char *path = abx_xprintf("%s/%s", group, file);
    bool there = access(path, W_OK) == 0;
    free(path);
    return there;
}

/* 0 when the new group has the limits. */
static int set_limits(const char *group, uint64_t memory, unsigned cpus)
{
    char *bytes = abx_xprintf("%llu", (unsigned long long)memory);
    char *quota = abx_xprintf("%u 100000", cpus * 100000u);
    int r = 0;
    if (memory)
        r = put(group, has(group, "memory.max") ? "memory.max" : "memory.limit_in_bytes", bytes);
    if (r == 0 && memory && has(group, "memory.swap.max"))
        r = put(group, "memory.swap.max", "0");
    if (cpus && has(group, "cpu.max"))
        put(group, "cpu.max", quota); /* else its GPU work alone is limited */
    if (r == 0 && (!has(group, "cgroup.procs") || (!memory && !has(group, "cpu.max"))))
        r = -EACCES;
    free(quota);
    free(bytes);
    return r;
}

char *abx_group_make(const char *name, uint64_t memory, unsigned cpus, const char **ret_why)
{
    char above[PATH_MAX];
    *ret_why = "this system has no control groups for memory";
    if (!abx_memory_group(above))
        return NULL;
    for (unsigned i = 0; i < 2; i++) {
        char *group = abx_xprintf("%s/arcbox-%s-%d", above, name, (int)getpid());
        if (i == 0)
            put(above, "cgroup.subtree_control", memory ? "+memory" : "+cpu");
        if (mkdir(group, 0755) == 0 && set_limits(group, memory, cpus) == 0)
            return group;
        rmdir(group);
        free(group);
        char *slash = strrchr(above, '/');
        if (!slash || slash == above)
            break;
        *slash = 0;
    }
    *ret_why = "this user may make no control group here (in a session of systemd's: systemd-run "
               "--user --scope -p Delegate=yes arcbox ...)";
    return NULL;
}

int abx_group_add(const char *group, pid_t pid)
{
    char *text = abx_xprintf("%d", (int)pid);
    int r = put(group, "cgroup.procs", text);
    free(text);
    return r;
}

void abx_group_remove(const char *group)
{
    for (unsigned i = 0; i < 100 && rmdir(group) < 0 && errno == EBUSY; i++)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}
