/* The supervisor dies. The next one serves the containers that are still there, at the sockets they
 * have, and ends those whose holders are gone. */
#include "host_attack.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void kill_daemon(void)
{
    int pid = daemon_pid();
    CHECK(pid > 0);
    CHECK(pid > 0 && kill(pid, SIGKILL) == 0);
    for (int i = 0; i < 1000 && kill(pid, 0) == 0; i++)
        usleep(10000);
}

static void use(const char *path)
{
    struct guest g;
    guest_open(&g, path);
    guest_begin(&g);
    CHECK(guest_run(&g).error == 0);
    guest_close(&g);
}

/* A command that holds a tenant, and lives. */
static pid_t hold(const char *name)
{
    int ready[2];
    char byte;
    CHECK(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct abx_control *control;
        struct abx_control_tenant t;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (abx_control_connect(false, &control, NULL) < 0 ||
                abx_control_tenant_create(control, name, "null", ABX_TENANT_HOLD, NULL, &t) < 0 ||
                write(ready[1], "+", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    return pid;
}

int main(void)
{
    struct abx_control *control = daemon_start(), *next;
    struct abx_control_limits limits = {.memory_bytes = 123u << 20};
    struct abx_control_tenant t, held, gone;
    struct guest g;
    daemon_tenant(control, "container", "null", &limits, &t);
    pid_t holder = hold("held"), dead = hold("gone");
    held = tenant_named(control, "held");
    gone = tenant_named(control, "gone");
    guest_open(&g, t.socket);
    kill_daemon();
    kill(dead, SIGKILL);
    waitpid(dead, NULL, 0);
    CHECK(abx_control_connect(true, &next, NULL) == 0);
    use(t.socket);
    kill_daemon(); /* and the one after */
    CHECK(abx_control_connect(true, &next, NULL) == 0);
    use(t.socket);
    CHECK(tenant_named(next, "container").limits.memory_bytes == 123u << 20);
    use(held.socket);
    CHECK(!tenant_named(next, "gone").name[0] && access(gone.socket, F_OK) < 0);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    for (int i = 0; i < ATTACK_PATIENCE_MS / 10 && tenant_named(next, "held").name[0]; i++)
        usleep(10000);
    CHECK(!tenant_named(next, "held").name[0]);
    guest_close(&g);
    abx_control_close(control);
    daemon_stop(next);
    return 0;
}
