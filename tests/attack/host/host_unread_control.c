/* A control connection that asks and reads nothing holds nobody up; one that reads late gets all.
 * What would wait for it without end is dropped with it. */
#include "host_attack.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TENANTS 200u
#define CONNECTIONS 8

static int dial(void)
{
    char path[ABX_CONTROL_PATH_BYTES + 16];
    CHECK(abx_control_runtime_dir(path) == 0);
    strcat(path, "/control.sock");
    return guest_dial(path);
}

static unsigned ask_all(int sock, uint32_t type, unsigned times)
{
    struct abx_control_request r = {.type = type, .version = ABX_CONTROL_VERSION};
    unsigned sent = 0;
    fcntl(sock, F_SETFL, O_NONBLOCK);
    for (unsigned i = 0; i < times; i++) {
        struct pollfd p = {sock, POLLOUT, 0};
        if (poll(&p, 1, 200) <= 0 || send(sock, &r, sizeof r, MSG_NOSIGNAL) < 0)
            break;
        sent++;
    }
    return sent;
}

static void read_list(int sock)
{
    struct abx_control_reply reply;
    struct abx_control_tenant item;
    fcntl(sock, F_SETFL, 0);
    CHECK(recv(sock, &reply, sizeof reply, 0) == sizeof reply && reply.count == TENANTS);
    for (unsigned i = 0; i < reply.count; i++)
        CHECK(recv(sock, &item, sizeof item, 0) == sizeof item);
}

int main(void)
{
    struct abx_control *control = daemon_start();
    struct abx_control_tenant t;
    struct abx_control_daemon d;
    int late = dial(), socks[CONNECTIONS];
    char name[32];
    for (unsigned i = 0; i < TENANTS; i++) {
        snprintf(name, sizeof name, "t%u", i);
        daemon_tenant(control, name, "null", NULL, &t);
    }
    CHECK(ask_all(late, ABX_CONTROL_TENANTS, 1) == 1);
    for (int i = 0; i < CONNECTIONS; i++) {
        socks[i] = dial();
        ask_all(socks[i], ABX_CONTROL_TENANTS, 1000);
        CHECK(abx_control_ping(control, &d) == 0);
    }
    /* Nobody of them has a place on the daemon's time: with a second each this took too long. */
    CHECK(abx_control_ping(control, &d) == 0);
    read_list(late);
    for (int i = 0; i < CONNECTIONS; i++)
        close(socks[i]);
    close(late);
    daemon_stop(control);
    return 0;
}
