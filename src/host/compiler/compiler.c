/* host: the compiler process: takes requests from workers, answers from memory or disk, or starts a
 * sandboxed child (child.c). It owns the disk cache and never looks into a request beyond
 * its hash, and whether it is a .metallib file. Workers may be in a guest's hands: every request is
 * checked; files are sealed against writing, so that they need no copy. */
#include "host/compiler/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define SUPERVISOR 3
#define DEFAULT_CPU_SECONDS 60u
#define MAX_CONNECTIONS 512u

static struct connection *connections;

void compiler_log(const char *format, ...)
{
    char line[640], head[32];
    va_list args;
    snprintf(head, sizeof head, "compiler[%d]", (int)getpid());
    va_start(args, format);
    (void)!write(STDERR_FILENO, line, abx_log_line(line, sizeof line, head, format, args));
    va_end(args);
}

/* ---- connections */

/* `r`: what the supervisor says of the worker. */
static void connection_new(int sock, const struct abx_compiler_request *r)
{
    for (struct connection *old = connections; old; old = old->next)
        if (old->worker == r->id)
            old->broken = true; /* it has lost it, or says so: one is all it gets */
    struct connection *c = calloc(1, sizeof *c);
    if (!c) {
        close(sock);
        return;
    }
    fcntl(sock, F_SETFL, O_NONBLOCK);
    c->sock = sock;
    c->worker = r->id;
    c->target = r->target;
    c->processor = r->processor;
    c->cpu_seconds = r->cpu_seconds ? r->cpu_seconds : DEFAULT_CPU_SECONDS;
    c->next = connections;
    connections = c;
}

static void connection_close(struct connection *c)
{
    jobs_leave(c);
    requests_leave(c);
    while (c->holds)
        hold_drop(c, &c->holds);
    abx_outbox_finish(&c->outbox);
    struct connection **at = &connections;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    close(c->sock);
    free(c);
}

static void close_broken(void)
{
    struct connection *next;
    for (struct connection *c = connections; c; c = next) {
        next = c->next;
        if (c->broken)
            connection_close(c);
    }
}

/* False: close the connection. */
static bool on_event(struct connection *c)
{
    if (!abx_outbox_waits(&c->outbox))
        return request_receive(c);
    int r = abx_outbox_flush(&c->outbox, c->sock);
    if (r < 0)
        compiler_log("a worker reads no answers: %s", strerror(-r));
    return r == 0;
}

/* A new worker's socket. False: the supervisor has gone. */
static bool on_supervisor(void)
{
    struct abx_compiler_request r;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    ssize_t n = abx_sock_receive(SUPERVISOR, &r, sizeof r, fds, &fd_count);
    if (n == (ssize_t)sizeof r && r.type == ABX_COMPILER_BEAT && !fd_count) {
        int e = abx_sock_try_send(SUPERVISOR, &r, sizeof r, NULL, 0);
        return e == 0 || e == -EAGAIN;
    }
    if (n != (ssize_t)sizeof r || r.type != ABX_COMPILER_WORKER || !fd_count)
        return false;
    connection_new(fds[0], &r);
    return true;
}

/* ---- the loop */

static bool serve_once(int signals, bool supervised)
{
    struct pollfd p[2 + MAX_CONNECTIONS];
    struct connection *of[2 + MAX_CONNECTIONS];
    unsigned n = 0;
    p[n++] = (struct pollfd){signals, POLLIN, 0};
    p[n++] = (struct pollfd){supervised ? SUPERVISOR : -1, POLLIN, 0};
    for (struct connection *c = connections; c && n < ABX_ARRAY_SIZE(p); c = c->next) {
        of[n] = c;
        p[n++] = (struct pollfd){c->sock, abx_outbox_waits(&c->outbox) ? POLLOUT : POLLIN, 0};
    }
    static bool writing;
    if (poll(p, n, requests_wait() || writing ? 0 : jobs_deadlines()) < 0)
        return true;
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == sizeof info)
        if (info.ssi_signo == SIGTERM)
            return false;
    jobs_reap();
    if (p[1].revents && !on_supervisor())
        return false;
    for (unsigned i = 2; i < n; i++)
        if (p[i].revents && !on_event(of[i]))
            of[i]->broken = true;
    requests_look();
    close_broken();
    jobs_schedule();
    writing = cache_write_some();
    return supervised || connections;
}

int main(int argc, char **argv)
{
    /* --one TARGET PROCESSOR: descriptor 3 is a worker's socket itself (a host runtime inside a
     * program has no supervisor), whose pipelines are for those. */
    bool one = argc == 4 && strcmp(argv[1], "--one") == 0;
    sigset_t set;
    abx_fd_standard();
    if (argc != 1 && !one) {
        fprintf(stderr, "arcbox-compiler is started by arcboxd, not by hand\n");
        return 2;
    }
    if (!one)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_range(SUPERVISOR + 1, ~0u, 0); /* of the program that started us in-process */
    fcntl(SUPERVISOR, F_SETFD, FD_CLOEXEC);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    jobs_open(cpus > 0 ? (unsigned)cpus : 1);
    cache_open();
    child_setup();
    if (one) {
        struct abx_compiler_request r = {
                .target = (uint32_t)atoi(argv[2]), .processor = (uint32_t)atoi(argv[3])};
        connection_new(SUPERVISOR, &r);
    }
    while (serve_once(signals, !one))
        ;
    jobs_kill();
    while (cache_write_some())
        ;
    return 0;
}
