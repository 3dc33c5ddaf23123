/* host: the device and what all its clients share: limits, accounts, loss. Runs in the worker. */
#include "host/session/internal.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Far above any one kernel, short for a person. */
#define MAX_LINES_PER_SECOND 20u /* of a worker's log */
#define BOOKS_STEP (64u << 10)   /* of the account: it is published to all clients each time */

void abx_host_log(struct abx_host *host, const char *format, ...)
{
    char line[640];
    va_list args;
    /* A guest that connects and misbehaves in a loop fills no disk. */
    uint64_t second = abx_now_ns() / 1000000000u, seen = atomic_load(&host->log_second), next;
    do
        next = seen >> 8 == second ? seen + 1 : second << 8;
    while (!atomic_compare_exchange_weak(&host->log_second, &seen, next));
    if (host->quiet || (next & 255) >= MAX_LINES_PER_SECOND) {
        if ((next & 255) == 255)
            atomic_compare_exchange_strong(&host->log_second, &next, next - 1);
        return;
    }
    int n = snprintf(line, sizeof line, "worker[%d] %s: ", (int)getpid(), host->tenant);
    va_start(args, format);
    n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    va_end(args);
    if (n > (int)sizeof line - 2)
        n = (int)sizeof line - 2;
    line[n++] = '\n';
    (void)!write(STDERR_FILENO, line, (size_t)n);
}

void abx_host_set_tenant(
        struct abx_host *host, const char *tenant, const struct abx_control_limits *limits)
{
    snprintf(host->tenant, sizeof host->tenant, "%s", tenant);
    host->limits = *limits;
}

static void device_lost(void *user, const char *text)
{
    struct abx_host *host = user;
    abx_host_log(host, "the device was lost: %s", text);
    abx_host_lost(host, ABX_REASON_LOST, text);
    if (host->device_lost)
        host->device_lost(host);
}

int abx_host_open(const struct abx_host_config *config, struct abx_host **ret)
{
    struct abx_host *host = calloc(1, sizeof *host);
    if (!host)
        return -ENOMEM;
    host->backend = config->backend;
    abx_host_set_tenant(host, config->tenant, &config->limits);
    pthread_mutex_init(&host->lock, NULL);
    host->stats = config->stats;
    host->device_lost = config->device_lost;
    host->compiler_lost = config->compiler_lost;
    host->end_compiler = config->end_compiler;
    int r = 0;
    if (!host->stats) {
        host->own_stats = true;
        host->stats = calloc(1, sizeof *host->stats);
        r = host->stats ? 0 : -ENOMEM;
    }
    struct abx_device_config device = {.events = &abx_host_event_ops,
            .index = config->device,
            .threads = config->limits.threads,
            .lost = device_lost,
            .user = host};
    if (r == 0)
        r = host->backend->device->open(&device, &host->device);
    if (r == 0) {
        host->backend->device->info(host->device, &host->info);
        memcpy(host->stats->device, host->info.name, sizeof host->stats->device);
        if (config->compiler >= 0)
            r = abx_broker_create(host, config->compiler, &host->broker);
    }
    if (r < 0) {
        abx_host_close(host);
        return r;
    }
    *ret = host;
    return 0;
}

void abx_host_set_compiler(struct abx_host *host, int sock)
{
    if (host->broker)
        abx_broker_set_compiler(host->broker, sock);
    else
        close(sock);
}

void abx_host_close(struct abx_host *host)
{
    if (!host)
        return;
    abx_broker_destroy(host->broker);
    if (host->device)
        host->backend->device->close(host->device);
    if (host->own_stats)
        free(host->stats);
    pthread_mutex_destroy(&host->lock);
    free(host);
}

void abx_host_info(struct abx_host *host, struct abx_device_info *ret)
{
    *ret = host->info;
}

/* The memory words of every client's page follow the tenant's accounts. */
static void publish_memory(struct abx_host *host)
{
    uint64_t used = atomic_load(&host->memory_used), device = atomic_load(&host->device_used);
    pthread_mutex_lock(&host->lock);
    for (unsigned i = 0; i < ABX_MAX_CLIENTS; i++) {
        struct abx_session *session = atomic_load(&host->sessions[i]);
        if (!session)
            continue;
        atomic_store(&session->page->memory_used, used);
        atomic_store(&session->page->device_used, device);
    }
    pthread_mutex_unlock(&host->lock);
    atomic_store(&host->stats->memory_used, used + device);
}

static int charge(
        struct abx_session *session, _Atomic uint64_t *account, uint64_t bytes, uint64_t cap)
{
    uint64_t used = atomic_load(account);
    do
        if (!abx_range_ok(used, bytes, cap))
            return -ENOMEM;
    while (!atomic_compare_exchange_weak(account, &used, used + bytes));
    atomic_fetch_add(&session->stats->memory_used, bytes);
    publish_memory(session->host);
    return 0;
}

uint64_t abx_host_device_cap(const struct abx_host *host)
{
    uint64_t all = host->info.unified_memory ? 0 : host->info.recommended_working_set;
    return host->limits.device_bytes < all ? host->limits.device_bytes : all;
}

int abx_host_charge(struct abx_session *session, bool on_device, uint64_t bytes)
{
    struct abx_host *host = session->host;
    uint64_t own = on_device ? abx_host_device_cap(host) : 0;
    return own ? charge(session, &host->device_used, bytes, own)
               : charge(session, &host->memory_used, bytes, host->limits.memory_bytes);
}

int abx_host_charge_spare(struct abx_session *session, uint64_t bytes)
{
    struct abx_host *host = session->host;
    uint64_t own = abx_host_device_cap(host);
    return own ? charge(session, &host->device_used, bytes, own / 2)
               : charge(session, &host->memory_used, bytes, host->limits.memory_bytes / 2);
}

int abx_books_charge(struct abx_session *session, uint64_t bytes)
{
    uint64_t cap = session->host->limits.memory_bytes;
    uint64_t books = atomic_fetch_add(&session->books, bytes) + bytes;
    uint64_t charged = atomic_load(&session->books_charged);
    if (books <= charged)
        return 0;
    uint64_t step = abx_align_up(books - charged, BOOKS_STEP);
    if (charge(session, &session->host->memory_used, step, cap + cap / 128) < 0) {
        atomic_fetch_sub(&session->books, bytes);
        return -ENOMEM;
    }
    atomic_fetch_add(&session->books_charged, step);
    return 0;
}

static void settle(struct abx_session *session, uint64_t slack)
{
    uint64_t charged = atomic_load(&session->books_charged), keep;
    do {
        keep = abx_align_up(atomic_load(&session->books), BOOKS_STEP);
        if (charged <= keep + slack)
            return;
    } while (!atomic_compare_exchange_weak(&session->books_charged, &charged, keep));
    abx_host_uncharge(session, false, charged - keep);
}

void abx_books_uncharge(struct abx_session *session, uint64_t bytes)
{
    atomic_fetch_sub(&session->books, bytes);
    settle(session, 4 * BOOKS_STEP);
}

void abx_books_settle(struct abx_session *session)
{
    settle(session, 0);
}

void abx_host_uncharge(struct abx_session *session, bool on_device, uint64_t bytes)
{
    struct abx_host *host = session->host;
    bool own = on_device && abx_host_device_cap(host);
    atomic_fetch_sub(own ? &host->device_used : &host->memory_used, bytes);
    /* What outlives the client (a compile under way) may not be taken off the next one's. */
    if (atomic_load(&host->sessions[session->slot]) == session)
        atomic_fetch_sub(&session->stats->memory_used, bytes);
    publish_memory(session->host);
}

/* ---- loss of the device. Async-signal-safe: atomics, futex, write. */

static void fail_running(struct abx_host_submission *s, enum abx_reason reason)
{
    struct abx_result *result = &s->queue->head.session->page->results[s->result_slot];
    result->error = ABX_EXEC_PAGE_FAULT;
    result->error_reason = reason;
    result->end_ns = abx_now_ns();
}

static void lose_client(struct abx_session *session, enum abx_reason reason, const char *text)
{
    struct abx_host_page *page = session->page;
    size_t n = strlen(text);
    memcpy(page->lost_text, text, n < sizeof page->lost_text ? n : sizeof page->lost_text - 1);
    atomic_store(&page->lost, reason);
    session->transport->ops->tell_lost(session->transport);
}

static void lose_everyone(struct abx_host *host, enum abx_reason reason, const char *text)
{
    size_t n = strlen(text);
    memcpy(host->stats->lost, text,
            n < sizeof host->stats->lost ? n : sizeof host->stats->lost - 1);
    for (unsigned i = 0; i < ABX_MAX_CLIENTS; i++) {
        struct abx_session *session = atomic_load(&host->sessions[i]);
        if (session)
            lose_client(session, reason, text);
    }
}

bool abx_host_stray_read(struct abx_host *host, const void *address)
{
    struct abx_submission *running =
            host->backend->native ? host->backend->native->running() : NULL;
    const struct abx_host_submission *s = running ? running->user : NULL;
    return s && abx_space_read_zeros(s->queue->head.session, address);
}

void abx_host_lost(struct abx_host *host, enum abx_reason reason, const char *text)
{
    /* Which kernel faulted is known when this thread was running one; every other command buffer in
     * flight keeps the "lost" that its result was filled with when it was accepted. */
    struct abx_submission *running =
            host->backend->native ? host->backend->native->running() : NULL;
    if (running)
        fail_running(running->user, reason);
    lose_everyone(host, reason, text);
}

void abx_host_watchdog(struct abx_host *host)
{
    host->backend->device->watchdog(host->device, host->limits.kernel_ns);
}
