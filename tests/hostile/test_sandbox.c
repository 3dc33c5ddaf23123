/* What a clang that a shader has taken over can reach: nothing of the host's. taken_clang.c stands
 * in for it ($TAKEN_CLANG), in the real compiler's sandbox. */
#include "guest.h"

#include <dirent.h>
#include <unistd.h>

static bool log_says(const char *text)
{
    char path[128];
    void *log;
    size_t bytes;
    snprintf(path, sizeof path, "%s/run/arcboxd.log", daemon_folder);
    CHECK(abx_read_file(path, 16 << 20, &log, &bytes) == 0);
    bool found = strstr(log, text);
    if (found)
        fprintf(stderr, "%s\n", strstr(log, text));
    free(log);
    return found;
}

/* Processes of this program's name left anywhere. */
static unsigned count_taken(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc");
    CHECK(dir);
    for (struct dirent *d; (d = readdir(dir));) {
        char path[300], name[64] = "";
        snprintf(path, sizeof path, "/proc/%s/comm", d->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(name, sizeof name, file))
            count += strncmp(name, "taken_clang", 11) == 0;
        if (file)
            fclose(file);
    }
    closedir(dir);
    return count;
}

int main(void)
{
    struct abx_control_tenant tenant;
    struct guest guest;
    char source[4096];
    CHECK(getenv("TAKEN_CLANG"));
    setenv("ARCBOX_CLANG", getenv("TAKEN_CLANG"), 1);
    struct abx_control *control = daemon_start();
    daemon_tenant(control, "taken", "null", NULL, &tenant);
    guest_open(&guest, tenant.socket);
    snprintf(source, sizeof source,
            "kernel void k(device int *x) { x[0] = 1; }\n// path: %s/cache\n// path: %s/run\n"
            "// path: %s\n// path: %s\n",
            daemon_folder, daemon_folder, tenant.socket, getenv("ARCBOXD"));
    int r = guest_compile(&guest, source, HANDLE(10));
    fprintf(stderr, "%d: %s\n", r, guest.text);
    CHECK(r == -EINVAL && strstr(guest.text, "that was all"));
    bool confined = !log_says("this system does not allow compiles");
    if (confined) {
        CHECK(!strstr(guest.text, "could"));
        for (int i = 0; i < 100 && count_taken(); i++)
            usleep(50000);
        CHECK(count_taken() == 0);
    } else
        fprintf(stderr, "no name spaces here: only its end is checked\n");
    guest_close(&guest);
    daemon_stop(control);
    return 0;
}
