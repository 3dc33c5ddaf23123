/* base: this process's own file, and lines for its log. */
#include "base/base.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int abx_own_path(char ret_path[PATH_MAX])
{
    char path[PATH_MAX];
    ssize_t n = readlink(ABX_OWN_PROGRAM, path, sizeof path);
    if (n < 0)
        return -errno;
    if (n == 0 || n == sizeof path)
        return -ENAMETOOLONG;
    memcpy(ret_path, path, (size_t)n);
    ret_path[n] = 0;
    return 0;
}

int abx_own_folder(char ret_path[PATH_MAX])
{
    char path[PATH_MAX];
    int r = abx_own_path(path);
    char *slash = r == 0 ? strrchr(path, '/') : NULL;
    if (!slash)
        return r < 0 ? r : -ENOENT;
    *slash = 0;
    memcpy(ret_path, path, (size_t)(slash - path) + 1);
    return 0;
}

uint64_t abx_crowded_until;

/* Threads that meet here may lose what one of them counts: the next gap is counted, then. */
void abx_lost_processor(uint64_t before, uint64_t now)
{
    static uint64_t since, lost;
    uint64_t sum = now - before;
    if (now - __atomic_load_n(&since, __ATOMIC_RELAXED) < ABX_CROWDED_NS)
        sum += __atomic_load_n(&lost, __ATOMIC_RELAXED);
    else
        __atomic_store_n(&since, now, __ATOMIC_RELAXED);
    __atomic_store_n(&lost, sum, __ATOMIC_RELAXED);
    if (sum > ABX_CROWDED_LOST_NS)
        __atomic_store_n(&abx_crowded_until, now + ABX_CROWDED_NS, __ATOMIC_RELAXED);
}

unsigned abx_processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

uint32_t abx_longest_look(bool own)
{
    if (abx_processors() < ABX_LOOK_CPUS)
        return ABX_LOOK_NS;
    return own ? ABX_LOOK_DEVICE_NS : ABX_LOOK_LONG_NS;
}

/* struct sched_attr's beginning, which not every C library has. */
struct slices {
    uint32_t bytes, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};
#define SHORT_SLICE_NS 100000u /* the shortest */

void abx_short_slices(void)
{
    struct slices s = {.bytes = sizeof s};
    if (syscall(SYS_sched_getattr, 0, &s, sizeof s, 0) < 0 || s.policy != 0)
        return;
    s.bytes = sizeof s;
    s.runtime = SHORT_SLICE_NS;
    (void)!syscall(SYS_sched_setattr, 0, &s, 0);
}

size_t abx_log_line(
        char *to, size_t capacity, const char *head, const char *format, va_list arguments)
{
    int n = snprintf(to, capacity - 1, "%s: ", head);
    if (n < (int)capacity - 1)
        n += vsnprintf(to + n, capacity - 1 - (size_t)n, format, arguments);
    if (n > (int)capacity - 2)
        n = (int)capacity - 2;
    to[n] = '\n';
    to[n + 1] = 0;
    return (size_t)n + 1;
}
