/* host: tenants: who they are, their sockets, their limits. Runs in the supervisor. Names come from
 * the command line of the same user; a peer's container from the kernel. */
#include "backend/backend.h"
#include "host/supervisor/internal.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define MAX_KEPT_DEATHS 16u /* tenants of the default socket that ended after a loss: shown */

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
    if (!limits->memory_bytes) {
        limits->memory_bytes = d->memory_bytes;
        limits->device_bytes = d->device_bytes;
    }
    if (!limits->kernel_ns)
        limits->kernel_ns = d->kernel_ns;
    if (!limits->clients)
        limits->clients = d->clients;
    if (!limits->compile_seconds)
        limits->compile_seconds = d->compile_seconds;
    if (!limits->threads)
        limits->threads = d->threads;
    abx_control_default_limits(limits);
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
    const struct abx_backend *found = abx_backend_find(backend);
    if (!found) {
        abx_string_printf(
                message, "there is no backend \"%.15s\" here (%s)", backend, abx_backend_names());
        return -ENODEV;
    }
    char why[192];
    if (abx_backend_usable(found, why, sizeof why) < 0) {
        abx_string_printf(message, "device=%s: %s", backend, why);
        return -ENODEV;
    }
    char names[ABX_MAX_BACKEND_DEVICES][64];
    unsigned devices = found->probe(names, ABX_MAX_BACKEND_DEVICES);
    if (abx_backend_index(backend) >= devices) {
        abx_string_printf(message, "device=%s: there %s %u of them, from 0 on", backend,
                devices == 1 ? "is" : "are", devices);
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
    t->listener = t->holder = t->space = t->process = -1;
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
    if (tenant->listener >= 0)
        tenant_forget_record(s, tenant);
    close_socket(tenant);
    if (tenant->space >= 0)
        close(tenant->space);
    if (tenant->process >= 0)
        close(tenant->process);
    free(tenant);
}

static bool is_over(const struct tenant *t)
{
    return t->listener < 0 && (!t->worker || t->worker->client_count == 0);
}

void tenant_maybe_drop(struct supervisor *s, struct tenant *tenant)
{
    struct tenant *oldest = NULL;
    unsigned kept = 0;
    if (!is_over(tenant))
        return;
    if (!tenant->info.worker_deaths) {
        tenant_remove(s, tenant);
        return;
    }
    for (struct tenant *t = s->tenants; t; t = t->next) /* newest first */
        if (is_over(t)) {
            kept++;
            oldest = t;
        }
    if (kept > MAX_KEPT_DEATHS)
        tenant_remove(s, oldest);
}

/* ---- who came by the default socket */

struct identity {
    int process; /* pidfd, or -1 where the kernel has none */
    int space;   /* its process name space, one a container; -1: hidden */
    pid_t pid;
    uid_t uid;
};

static void identity_close(struct identity *id)
{
    if (id->process >= 0)
        close(id->process);
    if (id->space >= 0)
        close(id->space);
    id->process = id->space = -1;
}

static int open_process(int sock, pid_t pid)
{
    int fd;
    socklen_t length = sizeof fd;
    /* Of the very process that connected (Linux 6.5); else of who has its number now. */
    if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &fd, &length) == 0)
        return fd;
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool has_ended(int process)
{
    struct pollfd p = {process, POLLIN, 0};
    return process >= 0 && poll(&p, 1, 0) > 0;
}

/* The outermost one inside ours: a container that makes more of them stays one tenant. */
static int container_space(int space)
{
    struct stat ours, st;
    int parent;
    if (space < 0 || stat("/proc/self/ns/pid", &ours) < 0)
        return space;
    while (fstat(space, &st) == 0 && st.st_ino != ours.st_ino &&
            (parent = ioctl(space, NS_GET_PARENT)) >= 0) {
        if (fstat(parent, &st) == 0 && st.st_ino == ours.st_ino) {
            close(parent);
            break;
        }
        close(space);
        space = parent;
    }
    return space;
}

/* Its descriptors are the caller's. False: the peer has gone. */
static bool identify(int sock, struct identity *ret)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    char path[64];
    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return false;
    *ret = (struct identity){open_process(sock, peer.pid), -1, peer.pid, peer.uid};
    snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)peer.pid);
    ret->space = container_space(open(path, O_RDONLY | O_CLOEXEC));
    /* Alive after the look-up by number, so the number was its own. */
    if (!has_ended(ret->process))
        return true;
    identity_close(ret);
    return false;
}

static unsigned long long inode(int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 ? (unsigned long long)st.st_ino : 0;
}

/* Programs of the host itself are one tenant; those of a container another; a process that hides
 * its container (another user's) is its own. */
static struct tenant *find_identity(struct supervisor *s, const struct identity *id)
{
    struct tenant *next;
    for (struct tenant *t = s->tenants; t; t = next) {
        next = t->next;
        if (t->listener >= 0)
            continue;
        if (id->space >= 0 && t->space >= 0 && inode(t->space) == inode(id->space))
            return t;
        if (id->space >= 0 || t->space >= 0)
            continue;
        if (has_ended(t->process)) /* whoever has its number now is somebody else */
            tenant_remove(s, t);
        else if (t->pid == id->pid)
            return t;
    }
    return NULL;
}

struct tenant *tenant_of_peer(struct supervisor *s, int sock)
{
    struct identity id;
    if (!identify(sock, &id))
        return NULL;
    struct tenant *tenant = find_identity(s, &id);
    if (!tenant) {
        struct abx_control_request request = {0};
        struct abx_string message = {0};
        struct stat ours;
        unsigned long long space = inode(id.space);
        if (space && stat("/proc/self/ns/pid", &ours) == 0 && space == ours.st_ino)
            snprintf(request.name, sizeof request.name, "host");
        else if (space)
            snprintf(request.name, sizeof request.name, "pidns-%llu", space);
        else
            snprintf(request.name, sizeof request.name, "uid-%u-pid-%d", (unsigned)id.uid,
                    (int)id.pid);
        if (tenant_create(s, &request, false, &tenant, &message) < 0)
            supervisor_log("no tenant for process %d: %s", (int)id.pid, message.data);
        else {
            tenant->pid = id.pid;
            tenant->process = id.space < 0 ? id.process : -1;
            tenant->space = id.space;
            id.space = -1;
            if (tenant->process >= 0)
                id.process = -1;
        }
        abx_string_finish(&message);
    }
    identity_close(&id);
    return tenant;
}
