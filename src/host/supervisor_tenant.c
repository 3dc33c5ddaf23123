/* host: tenants: who they are, their sockets, their limits. Runs in the supervisor. Names come from
 * the command line of the same user; a peer's container from the kernel. */
#include "host/supervisor_internal.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct tenant *tenant_find(struct supervisor *s, const char *name)
{
    struct tenant *t = s->tenants;
    while (t && strcmp(t->info.name, name) != 0)
        t = t->next;
    return t;
}

static bool name_ok(const char *name)
{
    if (!isalnum((unsigned char)name[0]))
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
            return false;
    return true;
}

static bool known_backend(const char *name)
{
    return strcmp(name, "cpu") == 0 || strcmp(name, "null") == 0;
}

/* <runtime>/tenants/NAME/gpu.sock; of one that lives with a connection, whose name is easily
 * guessed, <runtime>/private/NAME/gpu.sock */
static int open_socket(struct supervisor *s, struct tenant *t, bool held)
{
    char folder[ABX_CONTROL_PATH_BYTES];
    int n = snprintf(folder, sizeof folder, "%.90s/%s/%.63s", s->runtime,
            held ? "private" : "tenants", t->info.name);
    if (n >= (int)sizeof folder - 9)
        return -ENAMETOOLONG;
    /* Mounted into a container whose users may be any. From outside, others reach it only in
     * `tenants`, if they know a container's id. */
    if (mkdir(folder, 0755) < 0 && errno != EEXIST)
        return -errno;
    chmod(folder, 0755);
    snprintf(t->info.socket, sizeof t->info.socket, "%.98s/gpu.sock", folder);
    t->listener = supervisor_listen(t->info.socket, 0666);
    return t->listener < 0 ? t->listener : 0;
}

static void close_socket(struct tenant *t)
{
    if (t->listener < 0)
        return;
    close(t->listener);
    unlink(t->info.socket);
    *strrchr(t->info.socket, '/') = 0;
    rmdir(t->info.socket);
}

static void fill_limits(struct supervisor *s, struct abx_control_limits *limits)
{
    const struct abx_control_limits *d = &s->limits;
    if (!limits->memory_bytes)
        limits->memory_bytes = d->memory_bytes;
    if (!limits->command_buffer_ns)
        limits->command_buffer_ns = d->command_buffer_ns;
    if (!limits->clients)
        limits->clients = d->clients;
    if (!limits->compile_seconds)
        limits->compile_seconds = d->compile_seconds;
    if (!limits->threads)
        limits->threads = d->threads;
    abx_host_default_limits(limits);
}

int tenant_create(struct supervisor *s, const struct abx_control_request *request, bool own_socket,
        struct tenant **ret, struct abx_string *message)
{
    static unsigned made_up;
    char name[ABX_TENANT_NAME_BYTES];
    snprintf(name, sizeof name, "%.63s", request->name);
    while (!name[0] || (!request->name[0] && tenant_find(s, name)))
        snprintf(name, sizeof name, "tenant-%u", ++made_up);
    const char *backend = request->backend[0] ? request->backend : s->backend;
    if (!name_ok(name)) {
        abx_string_printf(message, "\"%s\" is no tenant name (letters, digits, _ . -)", name);
        return -EINVAL;
    }
    if (!known_backend(backend)) {
        abx_string_printf(message, "there is no backend \"%.15s\" here (cpu, null)", backend);
        return -ENODEV;
    }
    if (tenant_find(s, name)) {
        abx_string_printf(message, "a tenant \"%s\" exists already", name);
        return -EEXIST;
    }
    struct tenant *t = s->tenant_count < ABX_MAX_TENANTS ? calloc(1, sizeof *t) : NULL;
    if (!t) {
        abx_string_printf(message, "there are %u tenants already", s->tenant_count);
        return -ENOMEM;
    }
    t->listener = t->holder = -1;
    memcpy(t->info.name, name, sizeof name);
    snprintf(t->info.backend, sizeof t->info.backend, "%.15s", backend);
    t->info.limits = request->limits;
    fill_limits(s, &t->info.limits);
    t->info.since_ns = supervisor_realtime_ns();
    int r = own_socket ? open_socket(s, t, request->flags & ABX_TENANT_HOLD) : 0;
    if (r < 0) {
        abx_string_printf(message, "the tenant's socket: %s", strerror(-r));
        free(t);
        return r;
    }
    t->next = s->tenants;
    s->tenants = t;
    s->tenant_count++;
    *ret = t;
    return 0;
}

void tenant_remove(struct supervisor *s, struct tenant *tenant)
{
    struct tenant **at = &s->tenants;
    while (*at != tenant)
        at = &(*at)->next;
    *at = tenant->next;
    s->tenant_count--;
    if (tenant->worker)
        worker_kill(s, tenant->worker);
    close_socket(tenant);
    free(tenant);
}

void tenant_maybe_drop(struct supervisor *s, struct tenant *tenant)
{
    /* A name that has seen a death stays in the listing until the daemon ends. */
    if (tenant->listener < 0 && !tenant->info.worker_deaths &&
            (!tenant->worker || tenant->worker->client_count == 0))
        tenant_remove(s, tenant);
}

/* The inode of a process's pid name space: one a container. */
static unsigned long long pid_space(pid_t pid)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)pid);
    return stat(path, &st) == 0 ? (unsigned long long)st.st_ino : 0;
}

struct tenant *tenant_of_peer(struct supervisor *s, int sock)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return NULL;
    struct abx_control_request request = {0};
    /* Programs of the host itself are one tenant; those of a container another; a process that
     * hides its container (another user's) is its own. */
    unsigned long long space = pid_space(peer.pid);
    if (space && space == pid_space(getpid()))
        snprintf(request.name, sizeof request.name, "host");
    else if (space)
        snprintf(request.name, sizeof request.name, "pidns-%llu", space);
    else
        snprintf(request.name, sizeof request.name, "uid-%u-pid-%d", (unsigned)peer.uid,
                (int)peer.pid);
    struct tenant *tenant = tenant_find(s, request.name);
    struct abx_string message = {0};
    if (!tenant && tenant_create(s, &request, false, &tenant, &message) < 0)
        supervisor_log("no tenant for process %d: %s", (int)peer.pid, message.data);
    abx_string_finish(&message);
    return tenant;
}
