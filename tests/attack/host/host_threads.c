/* A worker that was taken over makes as many threads as it is allowed, and no more: they are
 * counted for itself alone, also where root started it, whose workers are users of their own. */
#include "host_attack.h"

#include "host/sandbox/sandbox.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOWED 40

static void *wait_for_ever(void *unused)
{
    (void)unused;
    for (;;)
        pause();
    return NULL;
}

/* How many threads start in a process that was limited as a worker is. */
static int most_threads(void)
{
    int counted[2], count = -1;
    CHECK(pipe(counted) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct abx_string lacking = {0};
        pthread_t thread;
        int n = 0;
        abx_sandbox_want_own_user((unsigned)getpid());
        abx_sandbox_basics(100, 1024);
        abx_sandbox_namespaces(&lacking);
        abx_sandbox_max_processes(ALLOWED);
        abx_sandbox_drop_capabilities(&lacking);
        while (n < 10 * ALLOWED && pthread_create(&thread, NULL, wait_for_ever, NULL) == 0)
            n++;
        if (write(counted[1], &n, sizeof n) != sizeof n)
            _exit(1);
        _exit(0);
    }
    CHECK(read(counted[0], &count, sizeof count) == sizeof count);
    waitpid(pid, NULL, 0);
    return count;
}

static unsigned long number_in(int pid, const char *file, const char *label)
{
    char path[64], line[256];
    unsigned long value = ~0ul;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    FILE *f = fopen(path, "r");
    CHECK(f);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, label, strlen(label)) == 0)
            value = strtoul(line + strlen(label), NULL, 10); /* "unlimited" is 0 */
    fclose(f);
    return value;
}

/* Containers may have a few only. */
static bool knows_many_users(void)
{
    unsigned long inside, outside, count;
    FILE *f = fopen("/proc/self/uid_map", "r");
    CHECK(f && fscanf(f, "%lu %lu %lu", &inside, &outside, &count) == 3);
    fclose(f);
    return count > 0x70000000;
}

int main(void)
{
    int n = most_threads();
    fprintf(stderr, "%d threads of %d\n", n, ALLOWED);
    CHECK(n > ALLOWED / 2 && n <= ALLOWED);
    struct abx_control *control = daemon_start();
    struct abx_control_tenant t;
    struct guest g;
    daemon_tenant(control, "tenant", "cpu", NULL, &t);
    guest_open(&g, t.socket);
    int worker = tenant_named(control, "tenant").worker_pid;
    unsigned long limit = number_in(worker, "limits", "Max processes");
    CHECK(limit > 0 && limit < 10000);
    if (getuid() == 0 && knows_many_users())
        CHECK(number_in(worker, "status", "Uid:") > 65535);
    guest_close(&g);
    daemon_stop(control);
    return 0;
}
