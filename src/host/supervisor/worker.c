/* host: starting workers and the compiler, handing them connections, noticing their deaths. Runs in
 * the supervisor. A worker may be in the guest's hands: of what it says only "a client has gone" is
 * acted upon; its statistics are copied as numbers and cleaned text. */
#include "backend/backend.h"
#include "host/supervisor/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/compiler/compiler.h"

#define REFUSED_NS 500000000u
#define LOG_BYTES_PER_SECOND (16u << 10) /* of one worker */
#define COMPILER_AGAIN_NS 1000000000u    /* between two starts, or two sockets of one worker */
#define SPARE_DELAY_NS 100000000u /* the next spare waits until the first client has started up */

extern char **environ;

/* Starts `program` with descriptors 3.. from `fds`; they stay the caller's. log: what it gets as
 * standard output and error, or -1: ours. */
static pid_t spawn(
        const char *program, char *const argv[], const int *fds, unsigned fd_count, int log)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    /* Sources are above the targets (supervisor_fd_high), so no dup2 overwrites one still needed.
     */
    for (unsigned i = 0; i < fd_count; i++)
        posix_spawn_file_actions_adddup2(&actions, fds[i], (int)(3 + i));
    for (int fd = 1; log >= 0 && fd <= 2; fd++)
        posix_spawn_file_actions_adddup2(&actions, log, fd);
    int r = posix_spawn(&pid, program, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return r ? -r : pid;
}

static int high(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 16);
    close(fd);
    return moved < 0 ? -errno : moved;
}

static int high_pair(int pair[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pair[0] = high(pair[0]);
    pair[1] = high(pair[1]);
    return pair[0] < 0 || pair[1] < 0 ? -EMFILE : 0;
}

/* ---- the compiler: beside this executable; started with the first worker */

static bool beside(char ret_path[PATH_MAX], const char *leaf)
{
    char folder[PATH_MAX];
    if (abx_own_folder(folder) < 0 ||
            snprintf(ret_path, PATH_MAX, "%s/%s", folder, leaf) >= PATH_MAX) {
        snprintf(ret_path, PATH_MAX, "%s", leaf);
        return false;
    }
    return access(ret_path, X_OK) == 0;
}

static void start_compiler(struct supervisor *s)
{
    char program[PATH_MAX];
    int pair[2];
    if (!beside(program, "arcbox-compiler")) {
        supervisor_log("%s is missing: shaders cannot be compiled", program);
        return;
    }
    if (high_pair(pair) < 0)
        return;
    char *argv[] = {program, NULL};
    pid_t pid = spawn(program, argv, &pair[1], 1, -1);
    close(pair[1]);
    if (pid < 0) {
        supervisor_log("%s: %s", program, strerror(-pid));
        close(pair[0]);
        return;
    }
    s->compiler = pair[0];
    s->compiler_pid = pid;
    s->compiler_due_ns = abx_now_ns() + COMPILER_AGAIN_NS;
    s->compiler_beat = (struct abx_heartbeat){0};
}

void compiler_drop(struct supervisor *s)
{
    supervisor_log("the compiler %d does not answer and is ended", (int)s->compiler_pid);
    kill(s->compiler_pid, SIGKILL);
    close(s->compiler);
    s->compiler = -1;
    s->compiler_pid = 0;
    s->compiler_beat = (struct abx_heartbeat){0};
    /* Also when it cannot end yet, and its sockets stay open. */
    for (struct worker *w = s->workers; w; w = w->next) {
        w->wants_compiler = true;
        w->compiler_due_ns = abx_now_ns() + COMPILER_AGAIN_NS;
    }
}

/* A socket to the compiler for one worker: the worker's end. Without a compiler, a dead socket. */
static int compiler_socket(struct supervisor *s, const struct worker *worker)
{
    int pair[2];
    int r = high_pair(pair);
    if (r < 0)
        return r;
    struct abx_compiler_request request = {.type = ABX_COMPILER_WORKER,
            .id = worker->number,
            .target = abx_backend_find(worker->backend)->target,
            .processor = abx_backend_processor(worker->backend),
            .cpu_seconds = worker->compile_seconds};
    for (int i = 0; i < 2; i++) {
        if (s->compiler < 0)
            start_compiler(s);
        if (s->compiler < 0 ||
                abx_sock_try_send(s->compiler, &request, sizeof request, &pair[0], 1) == 0)
            break;
        compiler_drop(s);
    }
    close(pair[0]);
    return pair[1];
}

/* ---- workers */

static int map_stats(struct worker *worker)
{
    int fd = abx_memfd_create("arcbox-stats", sizeof *worker->stats);
    if (fd < 0)
        return fd;
    void *p = mmap(NULL, sizeof *worker->stats, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        close(fd);
        return -ENOMEM;
    }
    worker->stats = p;
    return high(fd);
}

static void worker_free(struct worker *worker)
{
    for (unsigned i = 0; i < ABX_MAX_CLIENTS; i++)
        if (worker->clients[i].page)
            munmap(worker->clients[i].page, sizeof *worker->clients[i].page);
    if (worker->stats)
        munmap(worker->stats, sizeof *worker->stats);
    if (worker->sock >= 0)
        close(worker->sock);
    if (worker->log >= 0)
        worker_said(worker); /* its last words */
    if (worker->log >= 0)
        close(worker->log);
    free(worker);
}

static int open_log(int log[2])
{
    if (pipe2(log, O_CLOEXEC) < 0)
        return -errno;
    log[0] = high(log[0]);
    log[1] = high(log[1]);
    if (log[0] < 0 || log[1] < 0)
        return -EMFILE;
    return fcntl(log[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* As it is for people: it may be a guest that speaks. */
static void clean(char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if ((text[i] < ' ' && text[i] != '\n') || text[i] > '~')
            text[i] = '?';
}

void worker_said(struct worker *worker)
{
    char text[4096], name[32];
    ssize_t n = read(worker->log, text, sizeof text);
    if (n <= 0) {
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        close(worker->log);
        worker->log = -1;
        return;
    }
    uint64_t second = abx_now_ns() / 1000000000u;
    if (second != worker->log_second)
        worker->log_bytes = 0;
    worker->log_second = second;
    if (worker->log_bytes > LOG_BYTES_PER_SECOND)
        return; /* the rest of this second's is dropped */
    worker->log_bytes += (uint32_t)n;
    clean(text, (size_t)n);
    /* Whoever it says it is. */
    if (strncmp(text, "worker[", 7) != 0)
        supervisor_write(
                name, (size_t)snprintf(name, sizeof name, "worker[%d] says: ", (int)worker->pid));
    supervisor_write(text, (size_t)n);
    if (text[n - 1] != '\n')
        supervisor_write("\n", 1);
}

struct worker *worker_spawn(
        struct supervisor *s, const char *backend, const struct abx_control_limits *limits)
{
    struct worker *worker = calloc(1, sizeof *worker);
    int pair[2] = {-1, -1}, log[2] = {-1, -1};
    char backend_argument[32], threads_argument[32];
    if (!worker)
        return NULL;
    snprintf(worker->backend, sizeof worker->backend, "%s", backend);
    worker->number = ++s->last_worker;
    worker->threads = limits->threads;
    worker->compile_seconds = limits->compile_seconds;
    worker->sock = worker->log = -1;
    int stats = map_stats(worker);
    int compiler = compiler_socket(s, worker);
    int r = stats < 0 ? stats : compiler < 0 ? compiler : high_pair(pair);
    if (r == 0)
        r = open_log(log);
    worker->log = log[0];
    if (r == 0) {
        snprintf(backend_argument, sizeof backend_argument, "--backend=%s", backend);
        snprintf(threads_argument, sizeof threads_argument, "--threads=%u", limits->threads);
        char *argv[] = {"arcboxd", "--role=worker", backend_argument, threads_argument, NULL};
        int fds[] = {pair[1], stats, compiler};
        /* This very file, also when another has been installed in its place meanwhile. */
        r = worker->pid = spawn(ABX_OWN_PROGRAM, argv, fds, 3, log[1]);
    }
    if (stats >= 0)
        close(stats);
    if (compiler >= 0)
        close(compiler);
    if (pair[1] >= 0)
        close(pair[1]);
    if (log[1] >= 0)
        close(log[1]);
    worker->sock = pair[0];
    if (r < 0) {
        supervisor_log("a worker could not be started: %s", strerror(-r));
        worker_free(worker);
        return NULL;
    }
    fcntl(worker->sock, F_SETFL, O_NONBLOCK);
    worker->next = s->workers;
    s->workers = worker;
    return worker;
}

static struct worker *find_spare(struct supervisor *s, const struct tenant *tenant)
{
    for (struct worker *w = s->workers; w; w = w->next)
        if (!w->tenant && strcmp(w->backend, tenant->info.backend) == 0 &&
                w->threads == tenant->info.limits.threads &&
                w->compile_seconds == tenant->info.limits.compile_seconds)
            return w;
    return NULL;
}

static bool adopt(struct worker *worker, const struct tenant *tenant)
{
    struct abx_role_message m = {.type = ABX_ROLE_TENANT, .limits = tenant->info.limits};
    memcpy(m.tenant, tenant->info.name, sizeof m.tenant);
    return abx_sock_try_send(worker->sock, &m, sizeof m, NULL, 0) == 0;
}

bool supervisor_out_of_memory(void)
{
    static uint64_t seen;
    uint64_t before = seen;
    seen = abx_memory_kills(NULL);
    return seen > before;
}

static void describe_death(const struct worker *worker, int status, char text[192])
{
    char said[sizeof worker->stats->lost];
    memcpy(said, worker->stats->lost, sizeof said); /* once: it is the worker's memory */
    said[sizeof said - 1] = 0;
    for (char *p = said; *p; p++)
        if (*p < ' ' || *p > '~')
            *p = '?';
    if (said[0])
        snprintf(text, 192, "%s", said);
    else if (worker->silent)
        snprintf(text, 192, "the GPU worker did not answer any more and was ended");
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && supervisor_out_of_memory())
        snprintf(text, 192,
                "the GPU worker was ended for want of memory: its control group may use %llu MiB",
                (unsigned long long)(abx_memory_limit() >> 20));
    else if (WIFSIGNALED(status))
        snprintf(text, 192, "the GPU worker was killed by signal %d (%s)", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
    else
        snprintf(text, 192, "the GPU worker ended with status %d", WEXITSTATUS(status));
}

static void count_death(struct worker *worker, const char text[192])
{
    struct tenant *tenant = worker->tenant;
    supervisor_log("worker %d of tenant %s ended with %u clients: %s", (int)worker->pid,
            tenant->info.name, worker->client_count, text);
    tenant->worker = NULL;
    tenant->info.worker_pid = 0;
    tenant->info.worker_deaths++;
    memcpy(tenant->info.last_death, text, 192);
    worker->tenant = NULL;
    worker->backend[0] = 0; /* no spare any more */
}

/* Of a process that has ended and is not reaped yet; of one that is about to be killed. */
static int status_of(pid_t pid)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
        return SIGKILL;
    return info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
}

/* One that has said why it ends (abx_host_lost()), or is dead and not reaped: its clients know, and
 * those that connect again must not be given to it. */
static void bury_if_ending(struct worker *worker)
{
    char text[192];
    struct pollfd p = {worker->sock, 0, 0};
    bool gone = worker->silent || worker->sock < 0 || (poll(&p, 1, 0) > 0 && p.revents);
    if (!worker->stats->lost[0] && !gone)
        return;
    describe_death(worker, status_of(worker->pid), text);
    count_death(worker, text);
    kill(worker->pid, SIGKILL);
}

struct worker *worker_of(struct supervisor *s, struct tenant *tenant)
{
    if (tenant->worker)
        bury_if_ending(tenant->worker);
    if (tenant->worker)
        return tenant->worker;
    struct worker *worker = find_spare(s, tenant);
    if (worker)
        s->spare_due_ns = abx_now_ns() + SPARE_DELAY_NS;
    if (worker && !adopt(worker, tenant)) { /* dead, and not reaped yet */
        worker_kill(s, worker);
        worker = NULL;
    }
    if (!worker) {
        worker = worker_spawn(s, tenant->info.backend, &tenant->info.limits);
        if (!worker || !adopt(worker, tenant))
            return NULL;
    }
    worker->tenant = tenant;
    tenant->worker = worker;
    tenant->info.worker_pid = worker->pid;
    return worker;
}

void refused_close(struct refused *refused)
{
    char hello[256];
    if (refused->sock <= 0)
        return;
    while (recv(refused->sock, hello, sizeof hello, MSG_DONTWAIT) > 0)
        ; /* descriptors in it are dropped by the kernel */
    close(refused->sock);
    *refused = (struct refused){0};
}

void refused_add(struct supervisor *s, int sock)
{
    unsigned i = s->refused_next++ % SUPERVISOR_MAX_REFUSED;
    refused_close(&s->refused[i]);
    s->refused[i] = (struct refused){sock, abx_now_ns() + REFUSED_NS};
}

/* Says no. */
static void refuse(struct supervisor *s, int sock, int error, const char *text)
{
    struct abx_message_refused refused = {.type = ABX_MESSAGE_REFUSED, .error = (uint32_t)error};
    snprintf(refused.text, sizeof refused.text, "%s", text);
    abx_sock_try_send(sock, &refused, sizeof refused, NULL, 0);
    refused_add(s, sock);
}

/* The host page is made here, so that a worker that dies without a word can be spoken for. */
static int make_page(struct abx_host_page **ret)
{
    int fd = memfd_create("arcbox-host", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    void *p = MAP_FAILED;
    if (ftruncate(fd, sizeof **ret) == 0 &&
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
        p = mmap(NULL, sizeof **ret, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        close(fd);
        return -ENOMEM;
    }
    *ret = p;
    return fd;
}

/* -EPIPE: its worker has just died. */
static int add_client(struct supervisor *s, struct tenant *tenant, int sock)
{
    struct worker *worker = worker_of(s, tenant);
    if (!worker) {
        refuse(s, sock, EAGAIN, "the GPU worker could not be started; see arcboxd.log");
        return 0;
    }
    if (worker->client_count >= tenant->info.limits.clients) {
        refuse(s, sock, EUSERS, "this tenant has as many clients as it may have");
        return 0;
    }
    unsigned slot = 0;
    while (worker->clients[slot].used)
        slot++;
    struct supervised_client *client = &worker->clients[slot];
    struct ucred peer = {0};
    socklen_t length = sizeof peer;
    getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &length);
    int page = make_page(&client->page);
    struct abx_role_message m = {.type = ABX_ROLE_CLIENT, .slot = slot};
    int fds[] = {sock, page};
    int r = page < 0 ? page : abx_sock_try_send(worker->sock, &m, sizeof m, fds, 2);
    if (r < 0) {
        if (page >= 0) {
            munmap(client->page, sizeof *client->page);
            close(page);
        }
        client->page = NULL;
        if (r == -EPIPE || r == -ECONNRESET)
            return -EPIPE;
        refuse(s, sock, EAGAIN, "the GPU worker does not answer");
        if (r == -EAGAIN) /* it reads nothing: what waits for it has the next one */
            kill(worker->pid, SIGKILL);
        return 0;
    }
    close(page);
    close(sock);
    client->used = true;
    client->pid = peer.pid;
    client->since_ns = supervisor_realtime_ns();
    worker->client_count++;
    return 0;
}

void worker_add_client(struct supervisor *s, struct tenant *tenant, int sock)
{
    for (int i = 0; i < 3; i++)
        if (add_client(s, tenant, sock) == 0)
            return;
    refuse(s, sock, EAGAIN, "the GPU worker ends time and again; see arcboxd.log");
}

static void client_gone(struct supervisor *s, struct worker *worker, uint32_t slot)
{
    if (slot >= ABX_MAX_CLIENTS || !worker->clients[slot].used)
        return;
    struct supervised_client *client = &worker->clients[slot];
    munmap(client->page, sizeof *client->page);
    *client = (struct supervised_client){0};
    worker->client_count--;
    struct tenant *tenant = worker->tenant;
    if (tenant && worker->client_count == 0) {
        worker_kill(s, worker); /* with all that they may have left in it */
        tenant_maybe_drop(s, tenant);
    }
}

static void give_compiler(struct supervisor *s, struct worker *worker)
{
    struct abx_role_message m = {.type = ABX_ROLE_COMPILER};
    int sock = compiler_socket(s, worker);
    worker->wants_compiler = false;
    worker->compiler_due_ns = abx_now_ns() + COMPILER_AGAIN_NS;
    if (sock < 0 || abx_sock_try_send(worker->sock, &m, sizeof m, &sock, 1) < 0)
        kill(worker->pid, SIGKILL);
    if (sock >= 0)
        close(sock);
}

uint64_t workers_give_compilers(struct supervisor *s, uint64_t now)
{
    uint64_t next = UINT64_MAX;
    for (struct worker *w = s->workers; w; w = w->next) {
        if (!w->wants_compiler || w->sock < 0)
            continue;
        uint64_t due = w->compiler_due_ns;
        if (s->compiler < 0 && s->compiler_due_ns > due)
            due = s->compiler_due_ns;
        if (due <= now)
            give_compiler(s, w);
        else if (due < next)
            next = due;
    }
    return next;
}

void worker_message(struct supervisor *s, struct worker *worker)
{
    struct abx_role_message m;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    ssize_t n = abx_sock_receive(worker->sock, &m, sizeof m, fds, &fd_count);
    while (n > 0 && fd_count)
        close(fds[--fd_count]);
    if (n == sizeof m && m.type == ABX_ROLE_READY)
        worker->ready = true;
    else if (n == sizeof m && m.type == ABX_ROLE_GONE)
        client_gone(s, worker, m.slot);
    else if (n == sizeof m && m.type == ABX_ROLE_NO_COMPILER)
        worker->wants_compiler = true;
    else if (n == sizeof m && m.type == ABX_ROLE_BEAT)
        beat_answered(s, &worker->beat);
    else if (n != -EAGAIN) { /* its death is reaped; until then nothing more is read */
        close(worker->sock);
        worker->sock = -1;
        kill(worker->pid, SIGKILL);
    }
}

void worker_kill(struct supervisor *s, struct worker *worker)
{
    if (worker->tenant) {
        worker->tenant->worker = NULL;
        worker->tenant->info.worker_pid = 0;
        worker->tenant = NULL;
    }
    worker->backend[0] = 0; /* no spare any more */
    kill(worker->pid, SIGKILL);
}

/* ---- deaths */

/* What the worker would have said itself: see abx_host_lost(). */
static void tell_client(struct abx_host_page *page, const char *text)
{
    if (!atomic_load(&page->lost)) {
        snprintf(page->lost_text, sizeof page->lost_text, "%s", text);
        atomic_store(&page->lost, ABX_REASON_LOST);
    }
    atomic_fetch_add(&page->lost_wake, 1);
    abx_futex_wake((const uint32_t *)&page->lost_wake, INT32_MAX);
    abx_futex_wake((const uint32_t *)&page->ring_head, INT32_MAX);
    for (unsigned i = 0; i < ABX_MAX_QUEUES; i++)
        abx_futex_wake((const uint32_t *)&page->completed[i], INT32_MAX);
}

static void worker_died(struct supervisor *s, struct worker *worker, int status)
{
    char text[192];
    describe_death(worker, status, text);
    for (unsigned i = 0; i < ABX_MAX_CLIENTS; i++)
        if (worker->clients[i].used)
            tell_client(worker->clients[i].page, text);
    struct tenant *tenant = worker->tenant;
    if (tenant) {
        count_death(worker, text);
        tenant_maybe_drop(s, tenant);
    } else if (worker->backend[0] && !s->stopping) {
        supervisor_log("the spare worker %d ended: %s", (int)worker->pid, text);
        s->spare_due_ns = abx_now_ns() + 10000000000u; /* do not spin on a broken system */
    }
    struct worker **at = &s->workers;
    while (*at != worker)
        at = &(*at)->next;
    *at = worker->next;
    worker_free(worker);
}

void worker_reaped(struct supervisor *s, pid_t pid, int status)
{
    if (s->compiler_pid && pid == s->compiler_pid) {
        if (!s->stopping)
            supervisor_log("the compiler %d ended with status %#x; there will be a new one",
                    (int)pid, (unsigned)status);
        close(s->compiler);
        s->compiler = -1;
        s->compiler_pid = 0;
        return;
    }
    for (struct worker *w = s->workers; w; w = w->next)
        if (w->pid == pid) {
            worker_died(s, w, status);
            return;
        }
}
