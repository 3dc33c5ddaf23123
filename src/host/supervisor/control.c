/* host: answers the control protocol. Runs in the supervisor; peers are of the same user. Numbers
 * of clients come out of the workers' statistics: copied once, text cleaned, never believed. */
#include "backend/backend.h"
#include "host/supervisor/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void copy_text(char *to, const char *from, size_t bytes)
{
    memcpy(to, from, bytes);
    to[bytes - 1] = 0;
    for (; *to; to++)
        if (*to < ' ' || *to > '~')
            *to = '?';
}

static bool send_one(struct control_connection *c, const void *message, size_t size)
{
    return abx_outbox_send(&c->outbox, c->sock, message, size, NULL, SUPERVISOR_MAX_UNREAD) == 0;
}

/* False when the peer has gone, or leaves too much unread. */
static bool send_items(struct control_connection *c, const void *items, size_t size, unsigned count)
{
    struct abx_control_reply reply = {.count = count};
    bool ok = send_one(c, &reply, sizeof reply);
    for (unsigned i = 0; ok && i < count; i++)
        ok = send_one(c, (const char *)items + i * size, size);
    return ok;
}

static bool send_error(struct control_connection *c, int error, const char *text)
{
    struct abx_control_reply reply = {.error = error};
    snprintf(reply.text, sizeof reply.text, "%s", text);
    return send_one(c, &reply, sizeof reply);
}

static unsigned count_clients(const struct supervisor *s)
{
    unsigned n = 0;
    for (const struct worker *w = s->workers; w; w = w->next)
        n += w->client_count;
    return n;
}

static bool ping(struct supervisor *s, struct control_connection *c)
{
    struct abx_control_daemon d = {.version = ABX_CONTROL_VERSION,
            .pid = getpid(),
            .release = ABX_VERSION,
            .started_ns = s->started_ns,
            .tenants = s->tenant_count,
            .clients = count_clients(s),
            .idle_seconds = s->idle_seconds};
    memcpy(d.backend, s->backend, sizeof d.backend);
    memcpy(d.log, s->log, sizeof d.log);
    return send_items(c, &d, sizeof d, 1);
}

static void describe_tenant(const struct tenant *t, struct abx_control_tenant *ret)
{
    *ret = t->info;
    ret->processor = abx_backend_find(t->info.backend)->native != NULL;
    if (!t->worker)
        return;
    ret->clients = t->worker->client_count;
    ret->memory_used = atomic_load(&t->worker->stats->memory_used);
    copy_text(ret->device, t->worker->stats->device, sizeof ret->device);
}

static bool create(
        struct supervisor *s, struct control_connection *c, struct abx_control_request *request)
{
    struct abx_string message = {0};
    struct tenant *t;
    struct abx_control_tenant item;
    request->name[sizeof request->name - 1] = request->backend[sizeof request->backend - 1] = 0;
    int r = tenant_create(s, request, true, &t, &message);
    bool ok;
    if (r < 0)
        ok = send_error(c, r, message.data ? message.data : strerror(-r));
    else {
        if (request->flags & ABX_TENANT_HOLD)
            t->holder = c->sock;
        struct ucred peer = {0};
        socklen_t length = sizeof peer;
        getsockopt(c->sock, SOL_SOCKET, SO_PEERCRED, &peer, &length);
        tenant_record(s, t, t->holder >= 0 ? peer.pid : 0);
        describe_tenant(t, &item);
        ok = send_items(c, &item, sizeof item, 1);
    }
    abx_string_finish(&message);
    return ok;
}

static bool remove_one(
        struct supervisor *s, struct control_connection *c, struct abx_control_request *request)
{
    request->name[sizeof request->name - 1] = 0;
    struct tenant *t = tenant_find(s, request->name);
    if (!t) {
        char text[128];
        snprintf(text, sizeof text, "there is no tenant \"%s\"", request->name);
        return send_error(c, -ENOENT, text);
    }
    tenant_remove(s, t);
    return send_items(c, NULL, 0, 0);
}

static bool list_tenants(struct supervisor *s, struct control_connection *c)
{
    struct abx_control_tenant *items = calloc(s->tenant_count + 1, sizeof *items);
    unsigned n = 0;
    if (!items)
        return send_error(c, -ENOMEM, "no memory");
    for (struct tenant *t = s->tenants; t; t = t->next)
        describe_tenant(t, &items[n++]);
    bool ok = send_items(c, items, sizeof *items, n);
    free(items);
    return ok;
}

static void describe_client(const struct worker *w, unsigned slot, struct abx_control_client *ret)
{
    const struct abx_client_stats *from = &w->stats->clients[slot];
    memcpy(ret->tenant, w->tenant->info.name, sizeof ret->tenant);
    memcpy(ret->backend, w->backend, sizeof ret->backend);
    copy_text(ret->device, w->stats->device, sizeof ret->device);
    copy_text(ret->program, from->program, sizeof ret->program);
    ret->pid = w->clients[slot].pid;
    ret->since_ns = w->clients[slot].since_ns;
    ret->queues = atomic_load(&from->queues);
    ret->waiting = atomic_load(&from->waiting);
    ret->compiling = atomic_load(&from->compiling);
    ret->memory_used = atomic_load(&from->memory_used);
    ret->command_buffers = atomic_load(&from->command_buffers);
    ret->failed_command_buffers = atomic_load(&from->failed_command_buffers);
    ret->commands = atomic_load(&from->commands);
    ret->kernels = atomic_load(&from->kernels);
    ret->busy_ns = atomic_load(&from->busy_ns);
    ret->compiles = atomic_load(&from->compiles);
    ret->compiles_cached = atomic_load(&from->compiles_cached);
    ret->round_trips = atomic_load(&from->round_trips);
}

static bool list_clients(struct supervisor *s, struct control_connection *c)
{
    struct abx_control_client *items = calloc(count_clients(s) + 1, sizeof *items);
    unsigned n = 0;
    if (!items)
        return send_error(c, -ENOMEM, "no memory");
    for (const struct worker *w = s->workers; w; w = w->next)
        for (unsigned slot = 0; w->tenant && slot < ABX_MAX_CLIENTS; slot++)
            if (w->clients[slot].used)
                describe_client(w, slot, &items[n++]);
    bool ok = send_items(c, items, sizeof *items, n);
    free(items);
    return ok;
}

#define MAX_DEVICES 32u

static void describe_device(const struct supervisor *s, const struct abx_backend *backend,
        const char *name, unsigned index, struct abx_control_device *ret)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    snprintf(ret->name, sizeof ret->name, "%.63s", name);
    if (index)
        snprintf(ret->backend, sizeof ret->backend, "%.8s:%u", backend->name, index);
    else
        snprintf(ret->backend, sizeof ret->backend, "%s", backend->name);
    ret->simulated = backend->simulated;
    ret->is_default = strcmp(ret->backend, s->backend) == 0;
    ret->memory_bytes = s->limits.memory_bytes;
    ret->threads = s->limits.threads ? s->limits.threads : (uint32_t)(cpus > 0 ? cpus : 1);
}

static bool list_devices(struct supervisor *s, struct control_connection *c)
{
    struct abx_control_device items[MAX_DEVICES] = {0};
    unsigned count = 0;
    for (const struct abx_backend *const *b = abx_backends; *b; b++) {
        char names[MAX_DEVICES][64];
        unsigned found = (*b)->probe(names, MAX_DEVICES - count);
        for (unsigned i = 0; i < found; i++)
            describe_device(s, *b, names[i], i, &items[count++]);
    }
    return send_items(c, items, sizeof items[0], count);
}

static bool request(struct supervisor *s, struct control_connection *c)
{
    struct abx_control_request request;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    ssize_t n = abx_sock_receive(c->sock, &request, sizeof request, fds, &fd_count);
    while (n > 0 && fd_count)
        close(fds[--fd_count]);
    if (n == -EAGAIN)
        return true;
    if (n != sizeof request)
        return false;
    if (request.version != ABX_CONTROL_VERSION)
        return send_error(c, -EPROTO, "this daemon is of another version; restart it");
    switch ((enum abx_control_type)request.type) {
    case ABX_CONTROL_PING:
        return ping(s, c);
    case ABX_CONTROL_TENANT_CREATE:
        return create(s, c, &request);
    case ABX_CONTROL_TENANT_REMOVE:
        return remove_one(s, c, &request);
    case ABX_CONTROL_TENANTS:
        return list_tenants(s, c);
    case ABX_CONTROL_CLIENTS:
        return list_clients(s, c);
    case ABX_CONTROL_DEVICES:
        return list_devices(s, c);
    case ABX_CONTROL_SHUTDOWN:
        s->stopping = true;
        return send_items(c, NULL, 0, 0);
    }
    return send_error(c, -EINVAL, "no such request");
}

bool control_event(struct supervisor *s, struct control_connection *c)
{
    if (abx_outbox_waits(&c->outbox))
        return abx_outbox_flush(&c->outbox, c->sock) == 0;
    return request(s, c);
}

void control_refuse(struct supervisor *s, int sock)
{
    struct abx_control_reply reply = {.error = -EUSERS,
            .text = "too many commands speak to the arcbox daemon; try again when some have ended"};
    abx_sock_try_send(sock, &reply, sizeof reply, NULL, 0);
    refused_add(s, sock);
}
