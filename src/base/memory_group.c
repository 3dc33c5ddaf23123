/* base: what memory this process may use: the machine's, or what its control group and those above
 * it allow; and whether the kernel ended something in the group for want of it. Both layouts of
 * control groups. Files of the kernel's own, read with caps. */
#include "base/base.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define FILE_CAP 65536u

/* The path in the line of /proc/self/cgroup that is the memory controller's (v1) or the only one's
 * (v2). */
static bool own_path(bool v2, char path[PATH_MAX])
{
    void *text;
    size_t length;
    bool found = false;
    if (abx_read_file("/proc/self/cgroup", FILE_CAP, &text, &length) < 0)
        return false;
    char *rest = text;
    for (char *line; !found && (line = strsep(&rest, "\n"));) {
        strsep(&line, ":");
        char *controllers = strsep(&line, ":");
        found = line && (v2 ? !*controllers : strcmp(controllers, "memory") == 0);
        if (found)
            snprintf(path, PATH_MAX, "%s", strcmp(line, "/") == 0 ? "" : line);
    }
    free(text);
    return found;
}

bool abx_memory_group(char ret_path[PATH_MAX])
{
    static const struct {
        bool v2;
        const char *top, *mark;
    } layouts[] = {{true, "/sys/fs/cgroup", "memory.events"},
            {false, "/sys/fs/cgroup/memory", "memory.oom_control"}};
    char path[PATH_MAX], mark[PATH_MAX + 64];
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(layouts); i++) {
        if (!own_path(layouts[i].v2, path))
            continue;
        /* In a container the path may be as the host has it, and the group mounted at the top. */
        for (int own = 1; own >= 0; own--) {
            if (snprintf(ret_path, PATH_MAX, "%s%s", layouts[i].top, own ? path : "") >= PATH_MAX)
                continue;
            snprintf(mark, sizeof mark, "%s/%s", ret_path, layouts[i].mark);
            if (access(mark, R_OK) == 0)
                return true;
        }
    }
    return false;
}

static bool read_number(const char *group, const char *file, const char *before, uint64_t *ret)
{
    char path[PATH_MAX + 64];
    void *text;
    size_t length;
    snprintf(path, sizeof path, "%s/%s", group, file);
    if (abx_read_file(path, FILE_CAP, &text, &length) < 0)
        return false;
    char *at = *before ? strstr(text, before) : text, *end;
    at = at ? at + strlen(before) : NULL;
    unsigned long long value = at ? strtoull(at, &end, 10) : 0;
    bool ok = at && end != at;
    free(text);
    if (ok)
        *ret = value;
    return ok;
}

uint64_t abx_memory_limit(void)
{
    struct sysinfo info;
    uint64_t least = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : 8ull << 30,
             one;
    char group[PATH_MAX];
    if (!abx_memory_group(group))
        return least;
    for (;;) {
        if ((read_number(group, "memory.max", "", &one) ||
                    read_number(group, "memory.limit_in_bytes", "", &one)) &&
                one < least)
            least = one;
        char *slash = strrchr(group, '/');
        if (!slash || strcmp(group, "/sys/fs/cgroup") == 0 ||
                strcmp(group, "/sys/fs/cgroup/memory") == 0)
            return least;
        *slash = 0;
    }
}

uint64_t abx_memory_kills(const char *group)
{
    char own[PATH_MAX];
    uint64_t kills = 0;
    if (!group && !abx_memory_group(own))
        return 0;
    group = group ? group : own;
    if (!read_number(group, "memory.events", "oom_kill ", &kills))
        read_number(group, "memory.oom_control", "oom_kill ", &kills);
    return kills;
}
