/* Whatever holds up the compiler holds up the supervisor never: a worker that restarts time and
 * again needs a socket to it each time. */
#include "host_attack.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESTARTS 320 /* more than a socket holds messages */

static void restart(struct abx_control *control, const char *name)
{
    struct guest g;
    struct abx_control_tenant t = tenant_named(control, name);
    guest_open(&g, t.socket);
    t = tenant_named(control, name);
    CHECK(t.worker_pid > 0);
    kill(t.worker_pid, SIGKILL);
    CHECK(guest_is_dead(&g));
    guest_close(&g);
}

int main(void)
{
    struct abx_control *control = daemon_start();
    struct abx_control_tenant t;
    struct guest g;
    daemon_tenant(control, "hostile", "null", NULL, &t);
    restart(control, "hostile");
    int daemon = daemon_pid();
    CHECK(daemon > 0);
    int compiler = child_of(daemon, "arcbox-compiler");
    CHECK(compiler > 0 && kill(compiler, SIGSTOP) == 0);
    for (int i = 0; i < RESTARTS; i++)
        restart(control, "hostile");
    daemon_tenant(control, "other", "null", NULL, &t);
    guest_open(&g, t.socket);
    CHECK(guest_compile(&g, "kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }\n",
                  HANDLE(10)) == 0);
    guest_close(&g);
    daemon_stop(control);
    return 0;
}
