/* A worker that the kernel ends for want of memory: who asks is told that, and how much there is,
 * and not only of a signal. In a control group of its own, so only where root may make one. */
#include "host_attack.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define SKIPPED 77
#define GROUP_BYTES (160u << 20)
#define BUFFER_BYTES (512u << 20)

static char group[PATH_MAX];

static bool put(const char *file, const char *text)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", group, file);
    FILE *f = fopen(path, "we");
    bool ok = f && fputs(text, f) >= 0;
    return f ? fclose(f) == 0 && ok : false;
}

/* Beside or below the one that this process is in; it goes in. */
static bool enter_group(void)
{
    char above[PATH_MAX], number[32];
    if (!abx_memory_group(above))
        return false;
    snprintf(group, sizeof group, "%.4000s/out-of-memory-%d", above, (int)getpid());
    snprintf(number, sizeof number, "%u", GROUP_BYTES);
    if (mkdir(group, 0755) < 0)
        return false;
    bool ok = (put("memory.max", number) && put("memory.swap.max", "0")) ||
              put("memory.limit_in_bytes", number);
    snprintf(number, sizeof number, "%d", (int)getpid());
    if (ok && put("cgroup.procs", number))
        return true;
    rmdir(group);
    return false;
}

static void leave_group(void)
{
    char number[32], *slash = strrchr(group, '/');
    *slash = 0;
    snprintf(number, sizeof number, "%d", (int)getpid());
    put("cgroup.procs", number);
    *slash = '/';
    for (unsigned i = 0; i < 100 && rmdir(group) < 0; i++)
        usleep(20000);
}

int main(void)
{
    struct abx_control_limits limits = {.memory_bytes = 1ull << 30};
    struct abx_control_tenant tenant;
    struct guest g;
    if (!enter_group()) {
        printf("SKIP: no control group for memory can be made here\n");
        return SKIPPED;
    }
    struct abx_control *control = daemon_start();
    daemon_tenant(control, "hungry", "cpu", &limits, &tenant);
    guest_open(&g, tenant.socket);
    GUEST_PUSH(&g, buffer_create_private, HANDLE(21), 1ull << 30, BUFFER_BYTES);
    struct abx_encoder *e = guest_begin(&g);
    abx_encode_blit_begin(e);
    abx_encode_fill_buffer(e, HANDLE(21), 0, BUFFER_BYTES, 7);
    abx_encode_encoder_end(e);
    guest_commit(&g, 0);
    CHECK(guest_is_dead(&g));
    tenant = tenant_named(control, "hungry");
    for (unsigned i = 0; i < 500 && !tenant.worker_deaths; i++) {
        usleep(20000);
        tenant = tenant_named(control, "hungry");
    }
    printf("%s\n", tenant.last_death);
    CHECK(strstr(tenant.last_death, "for want of memory: its control group may use 160 MiB"));
    guest_close(&g);
    daemon_stop(control);
    leave_group();
    return 0;
}
