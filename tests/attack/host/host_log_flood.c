/* A worker in the guest's hands writes to its standard error without end: the log grows no further
 * than it may. */
#include "host_attack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLOOD (48u << 20)

int main(void)
{
    static char text[65536];
    struct abx_control *control = daemon_start();
    struct abx_control_tenant t;
    struct abx_control_daemon d;
    struct guest g;
    struct stat st;
    char path[64];
    daemon_tenant(control, "loud", "null", NULL, &t);
    guest_open(&g, t.socket);
    snprintf(path, sizeof path, "/proc/%d/fd/2", tenant_named(control, "loud").worker_pid);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return 77; /* only root may play the worker */
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\n';
    for (size_t done = 0; done < FLOOD; done += sizeof text)
        CHECK(abx_write_all(fd, text, sizeof text) == 0);
    close(fd);
    CHECK(abx_control_ping(control, &d) == 0);
    CHECK(stat(d.log, &st) == 0);
    printf("%llu KiB of log\n", (unsigned long long)st.st_size >> 10);
    CHECK(st.st_size < 8 << 20);
    guest_close(&g);
    daemon_stop(control);
    return 0;
}
