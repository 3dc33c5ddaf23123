/* Linux counts descriptors that are under way in sockets for each user. One container has 3,000 of
 * them, and its neighbours of the same user connect, share memory and compile as before: workers
 * are users of their own, or may go further. */
#include "host_attack.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNDER_WAY 3000
#define EACH 8
#define USER 65534

/* A container that lets them lie; returns when they do. */
static pid_t flood(void)
{
    int ready[2];
    char byte;
    CHECK(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        int pair[2], fds[EACH];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int i = 0; i < EACH; i++)
            fds[i] = STDERR_FILENO;
        for (int i = 0; i < UNDER_WAY; i += EACH) {
            if (i % (EACH * 100) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
                _exit(1);
            if (abx_sock_try_send(pair[0], "", 1, fds, EACH) < 0)
                _exit(1);
        }
        if (write(ready[1], "+", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    CHECK(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    return pid;
}

static void use(const char *path)
{
    static unsigned count;
    char source[128];
    struct guest g;
    guest_open(&g, path);
    snprintf(source, sizeof source, "kernel void k(device int *x [[buffer(0)]]) { x[0] = %u; }\n",
            ++count);
    CHECK(guest_compile(&g, source, HANDLE(10)) == 0);
    guest_pipeline(&g, "k", HANDLE(10), HANDLE(11));
    guest_begin(&g);
    CHECK(guest_run(&g).error == 0);
    guest_close(&g);
}

int main(void)
{
    struct rlimit files;
    if (getuid() == 0) /* root is not counted */
        CHECK(setgroups(0, NULL) == 0 && setresgid(USER, USER, USER) == 0 &&
                setresuid(USER, USER, USER) == 0);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (access(getenv("ARCBOXD"), X_OK) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0 ||
            files.rlim_max < UNDER_WAY + 1024)
        return 77;
    files.rlim_cur = 1024; /* as sessions begin */
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    struct abx_control *control = daemon_start();
    struct abx_control_tenant before, after;
    daemon_tenant(control, "before", "cpu", NULL, &before);
    use(before.socket);
    pid_t pid = flood();
    use(before.socket);
    daemon_tenant(control, "after", "cpu", NULL, &after);
    use(after.socket);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    daemon_stop(control);
    return 0;
}
