/* host: what a supervisor leaves for the next one, should it die: the tenants with sockets of their
 * own, one file each in <runtime>/private, which only this user can write. Runs in the supervisor.
 */
#include "host/supervisor/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RECORD_MAGIC 0x31544241u /* "ABT1" */
#define SUFFIX ".tenant"

struct record {
    uint32_t magic, version;
    struct abx_control_request request;
    int32_t holder;        /* process of the connection it lives with; 0: none */
    uint64_t holder_start; /* when it began, as the kernel counts: its number may be given again */
};

static bool record_path(const struct supervisor *s, const char *name, char path[256])
{
    return snprintf(path, 256, "%.107s/private/%.63s" SUFFIX, s->runtime, name) < 256;
}

/* Field 22 of /proc/PID/stat; 0: it has gone. */
static uint64_t start_of(pid_t pid)
{
    char path[64], text[1024];
    unsigned long long start = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    char *p = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p && sscanf(p, "%llu", &start) == 1 ? start : 0;
}

void tenant_record(struct supervisor *s, const struct tenant *tenant, pid_t holder)
{
    char path[256], fresh[264];
    struct record r = {.magic = RECORD_MAGIC,
            .version = ABX_CONTROL_VERSION,
            .request = {.limits = tenant->info.limits,
                    .flags = tenant->holder >= 0 || (tenant->inherited && tenant->process >= 0)
                                     ? ABX_TENANT_HOLD
                                     : 0},
            .holder = holder,
            .holder_start = holder ? start_of(holder) : 0};
    memcpy(r.request.name, tenant->info.name, sizeof r.request.name);
    memcpy(r.request.backend, tenant->info.backend, sizeof r.request.backend);
    if (!record_path(s, tenant->info.name, path))
        return;
    /* Whole or not at all: the one before may be the only one there is. */
    snprintf(fresh, sizeof fresh, "%s.new", path);
    int e = abx_write_file(fresh, &r, sizeof r);
    if (e == 0 && rename(fresh, path) < 0)
        e = -errno;
    if (e < 0)
        unlink(fresh);
    if (e < 0)
        supervisor_log("the tenant %s is not recorded: %s", tenant->info.name, strerror(errno));
}

void tenant_forget_record(struct supervisor *s, const struct tenant *tenant)
{
    char path[256];
    if (record_path(s, tenant->info.name, path))
        unlink(path);
}

/* Who held it lives, or nobody had to. */
static bool holder_lives(const struct record *r, int *ret_process)
{
    *ret_process = -1;
    if (!(r->request.flags & ABX_TENANT_HOLD))
        return true;
    int process = r->holder ? (int)syscall(SYS_pidfd_open, r->holder, 0) : -1;
    if (process >= 0 && start_of(r->holder) == r->holder_start) {
        *ret_process = process;
        return true;
    }
    if (process >= 0)
        close(process);
    return false;
}

static void inherit(struct supervisor *s, const struct record *r)
{
    struct abx_string message = {0};
    struct tenant *t;
    int process;
    bool lives = holder_lives(r, &process);
    int error = tenant_create(s, &r->request, true, &t, &message);
    if (error < 0) {
        supervisor_log("the tenant %s of the daemon before is lost: %s", r->request.name,
                message.data ? message.data : strerror(-error));
        if (process >= 0)
            close(process);
    } else if (lives) {
        t->inherited = true;
        t->process = process;
        t->pid = r->holder;
        supervisor_log("the tenant %s of the daemon before goes on", t->info.name);
        tenant_record(s, t, r->holder);
    } else {
        supervisor_log("the tenant %s of the daemon before has ended with it", t->info.name);
        tenant_remove(s, t); /* and its folder, and record */
    }
    abx_string_finish(&message);
}

static bool read_record(int folder, const char *name, struct record *ret)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool ok = fd >= 0 && abx_read_all(fd, ret, sizeof *ret) == 0 && ret->magic == RECORD_MAGIC &&
              ret->version == ABX_CONTROL_VERSION;
    if (fd >= 0)
        close(fd);
    ret->request.name[sizeof ret->request.name - 1] = 0;
    ret->request.backend[sizeof ret->request.backend - 1] = 0;
    return ok;
}

void tenants_inherit(struct supervisor *s)
{
    static struct record records[ABX_MAX_TENANTS]; /* all first: each is written anew */
    unsigned count = 0;
    char path[256];
    snprintf(path, sizeof path, "%.107s/private", s->runtime);
    DIR *dir = opendir(path);
    struct dirent *d;
    while (dir && (d = readdir(dir))) {
        size_t n = strlen(d->d_name), suffix = sizeof SUFFIX - 1;
        if (n <= suffix || strcmp(d->d_name + n - suffix, SUFFIX) != 0)
            continue;
        if (count < ABX_MAX_TENANTS && read_record(dirfd(dir), d->d_name, &records[count]))
            count++;
        else
            unlinkat(dirfd(dir), d->d_name, 0);
    }
    if (dir)
        closedir(dir);
    for (unsigned i = 0; i < count; i++)
        inherit(s, &records[i]);
}
