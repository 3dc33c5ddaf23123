/* Fuzzes the control socket: what a command may say to the supervisor, in any order, by several
 * connections, read or not. Workers are stood in for. With libFuzzer (-Dfuzzers=true) it searches;
 * as an ordinary test it replays good conversations and mutations of them, made from a fixed seed:
 *     fuzz_control [COUNT [folder to write seeds to]]
 *
 * Input: blocks of {u8 connection and whether it reads, u8 what else happens, u16 bytes, message}.
 * After each run no tenant is left. */
#include "fuzz_random.h"
#include "host/supervisor/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONNECTIONS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- what the supervisor's other files do */

void supervisor_log(const char *format, ...)
{
    (void)format;
}

uint64_t supervisor_realtime_ns(void)
{
    return 1;
}

int supervisor_listen(const char *path, unsigned mode)
{
    (void)mode;
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

void worker_kill(struct supervisor *s, struct worker *worker)
{
    (void)s;
    worker->tenant->worker = NULL;
    worker->tenant = NULL;
}

void refused_add(struct supervisor *s, int sock)
{
    (void)s;
    close(sock);
}

/* ---- one run */

static struct supervisor s;
static struct abx_worker_stats stats = {.device = "a device\x01 \xff"};
static struct worker worker = {.backend = "cpu", .stats = &stats, .client_count = 2};

static void open_supervisor(void)
{
    char path[] = "/tmp/arcbox-fuzz-XXXXXX", sub[ABX_CONTROL_PATH_BYTES];
    if (!mkdtemp(path))
        abort();
    snprintf(s.runtime, sizeof s.runtime, "%s", path);
    snprintf(sub, sizeof sub, "%s/private", path);
    mkdir(sub, 0700);
    snprintf(sub, sizeof sub, "%s/tenants", path);
    mkdir(sub, 0700);
    strcpy(s.backend, "cpu");
    abx_control_default_limits(&s.limits);
    s.workers = &worker;
    worker.clients[1].used = worker.clients[7].used = true;
    memset(stats.clients[7].program, 'x', sizeof stats.clients[7].program);
}

/* What a worker and its clients do meanwhile. */
static void happen(uint8_t what)
{
    struct tenant *t = s.tenants;
    for (unsigned i = what >> 4; t && i; i--)
        t = t->next;
    if ((what & 3) == 1 && t && !worker.tenant) {
        worker.tenant = t;
        t->worker = &worker;
    } else if ((what & 3) == 2 && worker.tenant)
        worker_kill(&s, &worker);
    else if ((what & 3) == 3 && t)
        tenant_maybe_drop(&s, t);
}

static void close_connection(struct control_connection *c)
{
    struct tenant *next;
    for (struct tenant *t = s.tenants; t; t = next) {
        next = t->next;
        if (t->holder == c->sock)
            tenant_remove(&s, t);
    }
    abx_outbox_finish(&c->outbox);
    close(c->sock);
    c->sock = -1;
}

static void speak(struct control_connection *c, int *peer, uint8_t how, const void *p, size_t bytes)
{
    static uint8_t reply[4096];
    if (c->sock < 0) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
            return;
        c->sock = pair[0];
        if (*peer >= 0)
            close(*peer);
        *peer = pair[1];
    }
    int fds[2] = {STDERR_FILENO, STDERR_FILENO};
    abx_sock_try_send(*peer, p, bytes, fds, how & 4 ? 2 : 0);
    if (!control_event(&s, c))
        close_connection(c);
    while (!(how & 8) && recv(*peer, reply, sizeof reply, MSG_DONTWAIT) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int peers[CONNECTIONS] = {-1, -1, -1};
    if (!s.runtime[0])
        open_supervisor();
    for (unsigned i = 0; i < CONNECTIONS; i++)
        s.controls[i].sock = -1;
    for (size_t at = 0; at + 4 <= size;) {
        uint16_t bytes;
        memcpy(&bytes, data + at + 2, 2);
        if (bytes > size - at - 4)
            bytes = (uint16_t)(size - at - 4);
        unsigned i = data[at] % 4 % CONNECTIONS;
        speak(&s.controls[i], &peers[i], data[at], data + at + 4, bytes);
        happen(data[at + 1]);
        at += 4u + bytes;
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        if (s.controls[i].sock >= 0)
            close_connection(&s.controls[i]);
        if (peers[i] >= 0)
            close(peers[i]);
    }
    while (s.tenants)
        tenant_remove(&s, s.tenants);
    if (s.tenant_count || worker.tenant)
        abort();
    s.stopping = false;
    return 0;
}

#ifndef ABX_LIBFUZZER
/* ---- replay */

static uint64_t seed = FUZZ_SEED;

static uint32_t next(uint32_t below)
{
    return fuzz_random_below(&seed, below);
}

static size_t conversation(uint8_t *to)
{
    static const char *const names[] = {"a", "b.c", "", "../x", ".", "a/b", "tenant-1"};
    static const char *const backends[] = {"cpu", "null", "", "metal", "xxxxxxxxxxxxxxx"};
    size_t n = 0;
    for (unsigned i = 1 + next(8); i--;) {
        struct abx_control_request r = {.type = 1 + next(8),
                .version = next(16) ? ABX_CONTROL_VERSION : next(4),
                .flags = next(2)};
        if (next(2))
            r.type = ABX_CONTROL_TENANT_CREATE;
        snprintf(r.name, sizeof r.name, "%s", names[next(7)]);
        snprintf(r.backend, sizeof r.backend, "%s", backends[next(5)]);
        r.limits.clients = next(3) * 100;
        r.limits.threads = next(3) * 1000;
        uint16_t bytes = sizeof r;
        to[n] = (uint8_t)next(8);
        to[n + 1] = (uint8_t)next(256);
        memcpy(to + n + 2, &bytes, 2);
        memcpy(to + n + 4, &r, sizeof r);
        n += 4 + sizeof r;
    }
    return n;
}

static void mutate(uint8_t *data, size_t size)
{
    for (unsigned i = next(6); i--;) {
        uint64_t number = next(2) ? UINT64_MAX >> next(64) : next(300);
        size_t at = next((uint32_t)size - 8);
        memcpy(data + at, &number, 1u << next(4));
    }
}

int main(int argc, char **argv)
{
    static uint8_t data[65536];
    char command[ABX_CONTROL_PATH_BYTES + 16];
    const char *share = getenv("FUZZ_SHARE"); /* of the count: where each takes much longer */
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    count /= share && atoi(share) > 0 ? (unsigned long)atoi(share) : 1;
    for (unsigned i = 0; argc > 2 && i < 100; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%u", argv[2], i);
        if (abx_write_file(path, data, conversation(data)) < 0)
            return 1;
    }
    for (unsigned long i = 0; i < count; i++) {
        size_t size = conversation(data);
        if (i % 4)
            mutate(data, size);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%lu conversations\n", count);
    snprintf(command, sizeof command, "rm -rf %s", s.runtime);
    return count && system(command) ? 1 : 0;
}
#endif
