/* More containers than the daemon has places for come by the default socket, crash their workers
 * and end: the next one is served. And none multiplies itself by name spaces of its own. */
#include "host_attack.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define CRASHES (ABX_MAX_TENANTS + 20)

static struct abx_control *control;
static int opened[2]; /* pipe: the container has a connection */

static void crash_worker(void)
{
    struct abx_control_tenant *all;
    unsigned count;
    CHECK(abx_control_tenants(control, &all, &count) == 0);
    for (unsigned i = 0; i < count; i++)
        if (all[i].clients && all[i].worker_pid)
            kill(all[i].worker_pid, SIGKILL);
    free(all);
}

static int crash(void)
{
    struct guest g;
    char path[ABX_CONTROL_PATH_BYTES];
    CHECK(abx_control_default_socket(path) == 0);
    guest_open(&g, path);
    if (write(opened[1], "+", 1) != 1)
        return 1;
    return guest_is_dead(&g) ? 0 : 1;
}

/* In a process name space of its own. */
static int in_container(int (*what)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWPID | (getuid() ? CLONE_NEWUSER : 0)) < 0)
            _exit(write(opened[1], "-", 1) == 1 ? 77 : 1);
        pid = fork();
        if (pid == 0)
            _exit(what());
        _exit(waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    char byte;
    if (what == crash && read(opened[0], &byte, 1) == 1)
        crash_worker(); /* from outside, where its number is known */
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static unsigned count_tenants(void)
{
    struct abx_control_daemon d;
    CHECK(abx_control_ping(control, &d) == 0);
    return d.tenants;
}

static int nested(void)
{
    struct guest g;
    char path[ABX_CONTROL_PATH_BYTES];
    CHECK(abx_control_default_socket(path) == 0);
    guest_open(&g, path);
    unsigned before = count_tenants();
    int status, r = 0;
    pid_t pid = fork();
    if (pid == 0) {
        struct guest inner;
        if (unshare(CLONE_NEWPID) < 0)
            _exit(77);
        pid = fork();
        if (pid == 0) {
            guest_open(&inner, path);
            _exit(count_tenants() == before ? 0 : 1);
        }
        waitpid(pid, &status, 0);
        _exit(WEXITSTATUS(status));
    }
    waitpid(pid, &status, 0);
    r = WEXITSTATUS(status);
    guest_close(&g);
    return r;
}

int main(void)
{
    setenv("ARCBOX_BACKEND", "null", 1);
    CHECK(pipe(opened) == 0);
    control = daemon_start();
    for (unsigned i = 0; i < CRASHES; i++) {
        int r = in_container(crash);
        if (r == 77)
            return 77;
        CHECK(r == 0);
    }
    CHECK(count_tenants() < 32);
    if (getuid() == 0)
        CHECK(in_container(nested) == 0);
    daemon_stop(control);
    return 0;
}
