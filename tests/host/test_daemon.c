/* The daemon's own life: many start it at once and one runs; it ends when idle but not while a
 * tenant or a client is there; it refuses a runtime folder that is not its own; it survives the
 * loss of its spare worker and of its compiler. */
#include "guest.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define STARTERS 6

static void stop(void)
{
    struct abx_control *control;
    CHECK(abx_control_connect(false, &control, NULL) == 0);
    CHECK(abx_control_shutdown(control) == 0);
    abx_control_close(control);
}

static void check_race(void)
{
    int pids[2], status, first = 0;
    CHECK(pipe(pids) == 0);
    daemon_folder_make(true);
    for (int i = 0; i < STARTERS; i++)
        if (fork() == 0) {
            struct abx_control *control;
            char *message = NULL;
            if (abx_control_connect(true, &control, &message) < 0) {
                fprintf(stderr, "%s\n", message);
                _exit(1);
            }
            int pid = daemon_pid();
            _exit(write(pids[1], &pid, sizeof pid) == sizeof pid ? 0 : 1);
        }
    for (int i = 0; i < STARTERS; i++) {
        int pid;
        CHECK(wait(&status) > 0 && status == 0);
        CHECK(read(pids[0], &pid, sizeof pid) == sizeof pid && pid > 0);
        CHECK(!first || pid == first);
        first = pid;
    }
    stop();
    CHECK(kill(first, 0) < 0 || waitpid(first, NULL, 0) < 0);
    close(pids[0]);
    close(pids[1]);
    CHECK(daemon_folder_remove());
}

static bool gone_within(int pid, int seconds)
{
    for (int i = 0; i < seconds * 100; i++) {
        if (kill(pid, 0) < 0)
            return true;
        usleep(10000);
    }
    return false;
}

static void check_idle(void)
{
    struct abx_control *control;
    struct abx_control_tenant t;
    char path[ABX_CONTROL_PATH_BYTES];
    struct guest g;
    daemon_folder_make(true);
    setenv("ARCBOX_IDLE_SECONDS", "1", 1);
    CHECK(abx_control_connect(true, &control, NULL) == 0);
    daemon_tenant(control, "kept", "null", NULL, &t);
    abx_control_close(control);
    int pid = daemon_pid();
    CHECK(pid > 0 && !gone_within(pid, 2)); /* a tenant is there */
    CHECK(abx_control_default_socket(path) == 0);
    guest_open(&g, path);
    CHECK(abx_control_connect(false, &control, NULL) == 0);
    CHECK(abx_control_tenant_remove(control, "kept") == 0);
    abx_control_close(control);
    CHECK(!gone_within(pid, 2)); /* a client is there */
    guest_close(&g);
    CHECK(gone_within(pid, 10));
    CHECK(access(path, F_OK) < 0);
    /* And starts again. */
    CHECK(abx_control_connect(true, &control, NULL) == 0);
    abx_control_close(control);
    stop();
    unsetenv("ARCBOX_IDLE_SECONDS");
    CHECK(daemon_folder_remove());
}

static void check_folder(void)
{
    struct abx_control *control;
    char *message = NULL, path[128];
    daemon_folder_make(true);
    snprintf(path, sizeof path, "%s/run", daemon_folder);
    CHECK(symlink("/tmp", path) == 0); /* somebody else's choice of place */
    CHECK(abx_control_connect(true, &control, &message) < 0);
    CHECK(message && strstr(message, "belongs to somebody else"));
    free(message);
    message = NULL;
    CHECK(unlink(path) == 0 && mkdir(path, 0777) == 0 && chmod(path, 0777) == 0);
    CHECK(abx_control_connect(true, &control, &message) == 0); /* ours: made private */
    struct stat st;
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0711);
    static const struct {
        const char *leaf;
        unsigned mode;
    } parts[] = {{"tenants", 0711}, {"private", 0700}, {"control.sock", 0600},
            {"arcboxd.log", 0600}, {"lock", 0600}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(parts); i++) {
        char part[200];
        snprintf(part, sizeof part, "%s/%s", path, parts[i].leaf);
        CHECK(stat(part, &st) == 0 && (st.st_mode & 0777) == parts[i].mode);
    }
    CHECK(abx_control_shutdown(control) == 0);
    abx_control_close(control);
    setenv("ARCBOXD", "/nowhere/arcboxd", 1);
    CHECK(abx_control_connect(true, &control, &message) == -ENOENT && strstr(message, "arcboxd"));
    free(message);
    CHECK(daemon_folder_remove());
}

/* Kills every child of the daemon whose command line has `what` in it. */
static unsigned kill_children(int parent, const char *what)
{
    DIR *dir = opendir("/proc");
    struct dirent *d;
    unsigned killed = 0;
    CHECK(dir);
    while ((d = readdir(dir))) {
        char path[300], text[512] = "";
        int pid = atoi(d->d_name), ppid = 0;
        snprintf(path, sizeof path, "/proc/%s/stat", d->d_name);
        FILE *file = pid ? fopen(path, "r") : NULL;
        if (!file)
            continue;
        if (fscanf(file, "%*d (%*[^)]) %*c %d", &ppid) != 1)
            ppid = 0;
        fclose(file);
        snprintf(path, sizeof path, "/proc/%s/cmdline", d->d_name);
        file = ppid == parent ? fopen(path, "r") : NULL;
        if (!file)
            continue;
        size_t n = fread(text, 1, sizeof text - 1, file);
        fclose(file);
        for (size_t i = 0; i < n; i++)
            text[i] = text[i] ? text[i] : ' ';
        if (strstr(text, what)) {
            kill(pid, SIGKILL);
            killed++;
        }
    }
    closedir(dir);
    return killed;
}

static void check_losses(void)
{
    static const char source[] = "kernel void k(device int *x [[buffer(0)]]) { x[0] = 1; }\n";
    struct abx_control *control;
    struct abx_control_tenant t;
    struct guest g;
    daemon_folder_make(true);
    CHECK(abx_control_connect(true, &control, NULL) == 0);
    int pid = daemon_pid();
    for (int i = 0; i < 500 && !kill_children(pid, "role=worker"); i++)
        usleep(10000); /* the spare */
    usleep(100000);    /* until it is dead */
    daemon_tenant(control, "first", "cpu", NULL, &t);
    guest_open(&g, t.socket);
    CHECK(guest_compile(&g, source, HANDLE(10)) == 0);
    /* The next compiler is found by those who run. */
    CHECK(kill_children(pid, "arcbox-compiler") == 1);
    CHECK(guest_compile(&g, source, HANDLE(11)) == 0);
    guest_begin(&g);
    CHECK(guest_run(&g).error == 0);
    guest_close(&g);
    /* And by the next worker. */
    daemon_tenant(control, "second", "null", NULL, &t);
    guest_open(&g, t.socket);
    CHECK(guest_compile(&g, source, HANDLE(10)) == 0);
    guest_close(&g);
    daemon_tenant(control, "third", "cpu", NULL, &t);
    guest_open(&g, t.socket);
    CHECK(guest_compile(&g, source, HANDLE(10)) == 0);
    guest_close(&g);
    CHECK(abx_control_shutdown(control) == 0);
    abx_control_close(control);
    CHECK(daemon_folder_remove());
}

int main(int argc, char **argv)
{
    const struct check_case cases[] = {
            CASE(check_race),
            CASE(check_idle),
            CASE(check_losses),
            CASE(check_folder),
    };
    return check_run(argc, argv, CHECK_SUITE(cases, .seconds = 60));
}
