/* cli: processes that are known by a number in a record or in a message. The number may be another
 * process's by the time it is used: each is held by a descriptor (pidfd) first, and what says that
 * it is the right one is looked at after that. */
#include "cli/run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STAT_CAP 65536u

static int parent_of(int pid)
{
    char path[64];
    void *text;
    size_t length;
    int parent = -1;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (abx_read_file(path, STAT_CAP, &text, &length) < 0)
        return -1;
    const char *after = strrchr(text, ')'); /* the program's name may hold anything */
    if (after)
        sscanf(after + 1, " %*c %d", &parent);
    free(text);
    return parent;
}

static int hold(int pid)
{
    int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (fd < 0)
        errno = ESRCH;
    return fd; /* close-on-exec, as all pidfds */
}

static int keep_if(int pidfd, bool right)
{
    if (right && !abx_process_ended(pidfd, 0))
        return pidfd;
    close(pidfd);
    errno = ESRCH;
    return -1;
}

/* The lock is held by the process that the record names. */
static bool is_still(const struct abx_container *c, int init)
{
    struct abx_container *now = abx_container_find(c->name);
    bool same = now && now->running && (!init || now->init == init) && abx_container_same(now, c);
    abx_container_free(now);
    return same;
}

int abx_container_supervisor(const struct abx_container *c)
{
    int fd = c->running ? hold(c->supervisor) : hold(0);
    return fd < 0 ? fd : keep_if(fd, is_still(c, 0));
}

bool abx_container_same(const struct abx_container *a, const struct abx_container *b)
{
    return a->supervisor == b->supervisor && a->started == b->started;
}

int abx_container_init(const struct abx_container *c)
{
    int fd = c->running ? hold(c->init) : hold(0);
    if (fd < 0)
        return fd;
    int sandbox = parent_of(c->init);
    return keep_if(fd, sandbox > 1 && parent_of(sandbox) == c->supervisor && is_still(c, c->init));
}

int abx_process_below(int pid, pid_t parent)
{
    int fd = hold(pid);
    return fd < 0 ? fd : keep_if(fd, parent_of(pid) == parent);
}

bool abx_process_follow(pid_t parent)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == parent;
}

bool abx_process_ended(int pidfd, int milliseconds)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int n;
    while ((n = poll(&p, 1, milliseconds)) < 0 && errno == EINTR)
        ;
    return n != 0;
}

int abx_process_signal(int pidfd, int number)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
}
