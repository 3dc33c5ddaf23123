/* Each running container holds a control connection: a hundred of them are no limit, and what is
 * refused is refused in words. */
#include "host_attack.h"

#include <sys/resource.h>

int main(void)
{
    static struct abx_control *held[600];
    struct rlimit files;
    struct abx_control *control = daemon_start();
    struct abx_control_daemon d;
    unsigned count = 0;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int r = 0;
    while (count < 600 && r == 0) {
        CHECK(abx_control_connect(false, &held[count], NULL) == 0);
        r = abx_control_ping(held[count++], &d);
    }
    printf("%u connections: %s\n", count, r < 0 ? abx_control_error(held[count - 1]) : "no end");
    CHECK(count > ABX_MAX_TENANTS);
    CHECK(r == 0 || strstr(abx_control_error(held[count - 1]), "too many"));
    while (count)
        abx_control_close(held[--count]);
    CHECK(abx_control_ping(control, &d) == 0);
    daemon_stop(control);
    return 0;
}
