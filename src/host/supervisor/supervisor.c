/* host: arcboxd: the supervisor role and the entry of the binary.
 *
 *     arcboxd (supervisor; one a user)      never reads a byte a guest wrote
 *      |- arcboxd --role=worker             one a tenant, sandboxed; one spare waits for the next
 *      `- arcbox-compiler                   one; owns the disk cache
 *          `- a child per compile           sandboxed, with time and memory limits
 *
 * Each role is a fresh process image, so none shares an address-space layout or leftovers of
 * another. The compiler is a file of its own because loading LLVM takes longer than everything else
 * here. */
#include "backend/backend.h"
#include "host/sandbox/sandbox.h"
#include "host/supervisor/internal.h"

#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_IDLE_SECONDS 300u
#define STOP_PATIENCE_NS 1000000000u /* of the compiler, with its own end */
#define LOG_MAX_BYTES (4u << 20)
#define LOG_LOOK_BYTES (64u << 10) /* written between two looks at its size */
#define REPLACED_NS 2000000000u    /* how often an idle daemon looks whether it was replaced */

void supervisor_write(const char *data, size_t bytes)
{
    static uint64_t written;
    struct stat st;
    written += bytes;
    if (written > LOG_LOOK_BYTES) { /* others write to it, too */
        written = 0;
        if (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > LOG_MAX_BYTES)
            (void)!ftruncate(STDERR_FILENO, 0);
    }
    (void)!write(STDERR_FILENO, data, bytes);
}

void supervisor_log(const char *format, ...)
{
    char line[640], stamp[32], head[64];
    struct tm tm;
    time_t now = time(NULL);
    va_list args;
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", localtime_r(&now, &tm));
    snprintf(head, sizeof head, "%s arcboxd[%d]", stamp, (int)getpid());
    va_start(args, format);
    supervisor_write(line, abx_log_line(line, sizeof line, head, format, args));
    va_end(args);
}

/* ---- connections */

/* A connection, or -1. Without a descriptor for it, it is taken and dropped: left where it is, it
 * would wake us for ever. */
static int take_connection(struct supervisor *s, int listener, int flags)
{
    int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | flags);
    if (sock >= 0 || (errno != EMFILE && errno != ENFILE) || s->reserve < 0)
        return sock;
    close(s->reserve);
    sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (sock >= 0)
        close(sock);
    s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    supervisor_log("no descriptor is left for a connection");
    return -1;
}

static void accept_control(struct supervisor *s)
{
    int sock = take_connection(s, s->control, SOCK_NONBLOCK);
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (sock < 0)
        return;
    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.uid != getuid()) {
        close(sock);
        return;
    }
    for (unsigned i = 0; i < SUPERVISOR_MAX_CONTROLS; i++)
        if (s->controls[i].sock < 0) {
            s->controls[i].sock = sock;
            return;
        }
    control_refuse(s, sock);
}

static void close_control(struct supervisor *s, unsigned i)
{
    struct tenant *next;
    for (struct tenant *t = s->tenants; t; t = next) {
        next = t->next;
        if (t->holder == s->controls[i].sock)
            tenant_remove(s, t);
    }
    abx_outbox_finish(&s->controls[i].outbox);
    close(s->controls[i].sock);
    s->controls[i].sock = -1;
}

/* `tenant` NULL: by the default socket. */
static void accept_client(struct supervisor *s, struct tenant *tenant)
{
    int sock = take_connection(s, tenant ? tenant->listener : s->clients, 0);
    if (sock < 0)
        return;
    if (!tenant)
        tenant = tenant_of_peer(s, sock);
    if (tenant)
        worker_add_client(s, tenant, sock);
    else
        close(sock);
}

static void read_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signals, &info, sizeof info) == sizeof info)
        if (info.ssi_signo != SIGCHLD)
            s->stopping = true;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        worker_reaped(s, pid, status);
}

/* ---- the loop */

#define MAX_POLL (4 + SUPERVISOR_MAX_CONTROLS + 4 * ABX_MAX_TENANTS + 16)

struct watched {
    struct pollfd p[MAX_POLL];
    unsigned count;
    bool ready[SUPERVISOR_MAX_FILES]; /* by descriptor */
};

static void watch_for(struct watched *w, int fd, short events)
{
    if (fd >= 0 && w->count < MAX_POLL)
        w->p[w->count++] = (struct pollfd){fd, events, 0};
}

static void watch(struct watched *w, int fd)
{
    watch_for(w, fd, POLLIN);
}

static bool is_ready(const struct watched *w, int fd)
{
    return fd >= 0 && w->ready[fd];
}

static void dispatch(struct supervisor *s, const struct watched *w)
{
    struct worker *next_worker;
    struct tenant *next_tenant;
    for (struct worker *k = s->workers; k; k = next_worker) {
        next_worker = k->next;
        if (is_ready(w, k->log))
            worker_said(k);
        if (is_ready(w, k->sock))
            worker_message(s, k);
    }
    if (is_ready(w, s->compiler))
        compiler_message(s);
    for (struct tenant *t = s->tenants; t; t = next_tenant) {
        next_tenant = t->next;
        if (t->inherited && is_ready(w, t->process))
            tenant_remove(s, t); /* who held it has ended */
        else if (is_ready(w, t->listener))
            accept_client(s, t);
    }
    for (unsigned i = 0; i < SUPERVISOR_MAX_CONTROLS; i++)
        if (is_ready(w, s->controls[i].sock) && !control_event(s, &s->controls[i]))
            close_control(s, i);
    if (is_ready(w, s->clients))
        accept_client(s, NULL);
    if (is_ready(w, s->control))
        accept_control(s);
    if (is_ready(w, s->signals))
        read_signals(s);
}

/* Idle: no tenant with its own socket, no client, nobody asking. */
static bool is_idle(const struct supervisor *s)
{
    for (const struct tenant *t = s->tenants; t; t = t->next)
        if (t->listener >= 0)
            return false;
    for (const struct worker *w = s->workers; w; w = w->next)
        if (w->client_count)
            return false;
    for (unsigned i = 0; i < SUPERVISOR_MAX_CONTROLS; i++)
        if (s->controls[i].sock >= 0)
            return false;
    return true;
}

/* An upgrade: the next command is to meet the new one, not this. */
static bool replaced(void)
{
    static const char suffix[] = " (deleted)";
    char path[PATH_MAX];
    size_t n = abx_own_path(path) == 0 ? strlen(path) : 0;
    return n > sizeof suffix && strcmp(path + n - (sizeof suffix - 1), suffix) == 0;
}

/* What is due now; how long poll may sleep, in ms. */
static int timers(struct supervisor *s)
{
    uint64_t now = abx_now_ns(), next = UINT64_MAX;
    if (s->spare_due_ns && now >= s->spare_due_ns) {
        s->spare_due_ns = 0;
        worker_spawn(s, s->backend, &s->limits);
    } else if (s->spare_due_ns)
        next = s->spare_due_ns;
    if (beats_look(s) && now + ABX_BEAT_NS < next)
        next = now + ABX_BEAT_NS;
    uint64_t compilers = workers_give_compilers(s, now);
    next = compilers < next ? compilers : next;
    for (unsigned i = 0; i < SUPERVISOR_MAX_REFUSED; i++) {
        struct refused *r = &s->refused[i];
        if (r->sock && now >= r->close_ns)
            refused_close(r);
        else if (r->sock && r->close_ns < next)
            next = r->close_ns;
    }
    bool idle = is_idle(s);
    if (idle && replaced()) {
        supervisor_log("another arcboxd has been installed in place of this one");
        s->stopping = true;
        return 0;
    }
    if (idle && now + REPLACED_NS < next)
        next = now + REPLACED_NS;
    if (!idle || !s->idle_seconds)
        s->idle_since_ns = 0;
    else {
        if (!s->idle_since_ns)
            s->idle_since_ns = now;
        uint64_t end = s->idle_since_ns + s->idle_seconds * 1000000000ull;
        if (now >= end) {
            supervisor_log("nobody came for %u s", s->idle_seconds);
            s->stopping = true;
            return 0;
        }
        next = end < next ? end : next;
    }
    return next == UINT64_MAX ? -1 : (int)((next - now) / 1000000u) + 1;
}

static void serve(struct supervisor *s)
{
    static struct watched w;
    for (;;) {
        int timeout = timers(s);
        if (s->stopping)
            return;
        w.count = 0;
        watch(&w, s->signals);
        watch(&w, s->control);
        watch(&w, s->clients);
        watch(&w, s->compiler);
        for (unsigned i = 0; i < SUPERVISOR_MAX_CONTROLS; i++)
            watch_for(&w, s->controls[i].sock,
                    abx_outbox_waits(&s->controls[i].outbox) ? POLLOUT : POLLIN);
        for (const struct tenant *t = s->tenants; t; t = t->next) {
            watch(&w, t->listener);
            watch(&w, t->inherited ? t->process : -1);
        }
        for (const struct worker *k = s->workers; k; k = k->next) {
            watch(&w, k->sock);
            watch(&w, k->log);
        }
        if (poll(w.p, w.count, timeout) <= 0)
            continue;
        memset(w.ready, 0, sizeof w.ready);
        for (unsigned i = 0; i < w.count; i++)
            w.ready[w.p[i].fd] = w.p[i].revents != 0;
        dispatch(s, &w);
    }
}

static void stop(struct supervisor *s)
{
    supervisor_log("stopping");
    while (s->tenants)
        tenant_remove(s, s->tenants);
    for (struct worker *w = s->workers; w; w = w->next)
        kill(w->pid, SIGKILL);
    if (s->compiler_pid)
        kill(s->compiler_pid, SIGTERM);
    int status;
    pid_t pid;
    uint64_t until = abx_now_ns() + STOP_PATIENCE_NS;
    while ((pid = waitpid(-1, &status, WNOHANG)) >= 0) {
        if (pid > 0)
            worker_reaped(s, pid, status);
        else if (s->compiler_pid && abx_now_ns() >= until)
            kill(s->compiler_pid, SIGKILL); /* its children end with it */
        if (pid == 0)
            nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    supervisor_cleanup(s);
    supervisor_log("stopped");
}

/* ---- start */

static void say(int ready_fd, const char *text)
{
    if (ready_fd >= 0)
        (void)!write(ready_fd, text, strlen(text));
    else
        dprintf(STDERR_FILENO, "arcboxd: %s\n", text);
}

/* Another daemon holds the lock: it may be starting, too. */
static bool other_is_ready(void)
{
    for (int i = 0; i < 500; i++) {
        struct abx_control *control;
        if (abx_control_connect(false, &control, NULL) == 0) {
            abx_control_close(control);
            return true;
        }
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    return false;
}

/* For all connections there may be: many systems begin with fewer. */
static void allow_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    rlim_t most = files.rlim_max < SUPERVISOR_MAX_FILES ? files.rlim_max : SUPERVISOR_MAX_FILES;
    files.rlim_cur = most;
    setrlimit(RLIMIT_NOFILE, &files);
}

static int run(struct supervisor *s, int ready_fd)
{
    struct abx_string message = {0};
    if (abx_sandbox_probe(&message) < 0) {
        say(ready_fd, message.data);
        return 1;
    }
    allow_files();
    s->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int r = supervisor_setup(s, &message);
    if (r == -EALREADY && ready_fd >= 0 && other_is_ready()) {
        say(ready_fd, "+");
        return 0;
    }
    if (r < 0) {
        say(ready_fd, r == -EALREADY ? "another arcboxd is running" : message.data);
        return 1;
    }
    supervisor_log("arcboxd %s, backend %s, in %s", ABX_VERSION, s->backend, s->runtime);
    tenants_inherit(s);
    if (ready_fd >= 0) {
        say(ready_fd, "+");
        close(ready_fd);
    }
    s->spare_due_ns = abx_now_ns();
    serve(s);
    stop(s);
    return 0;
}

/* Detached from the terminal and session of whoever started it. */
static void daemonise(void)
{
    pid_t pid = fork();
    if (pid > 0)
        _exit(0);
    setsid();
    (void)!chdir("/");
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    close(null);
}

static const char usage[] =
        "usage: arcboxd [--daemon] [--backend NAME] [--idle SECONDS] [--memory BYTES]\n"
        "               [--time-limit MS] [--clients N] [--compile-seconds N] [--threads N]\n"
        "               [--patience SECONDS] [--allow-weak-sandbox]\n"
        "The arcbox command starts it by itself. --idle 0: never stop. Backends: see arcbox gpu.\n"
        "ARCBOX_BACKEND, ARCBOX_IDLE_SECONDS, ARCBOX_MEMORY_BYTES, ARCBOX_TIME_LIMIT_MS and\n"
        "ARCBOX_COMPILE_SECONDS, ARCBOX_PATIENCE_SECONDS, and ARCBOX_CPUS for --threads, give the\n"
        "same to a daemon that is started on first use.\n"
        "--allow-weak-sandbox, and ARCBOX_ALLOW_WEAK_SANDBOX=1: runs where the system allows no "
        "name\n"
        "spaces; what takes over a compile or a worker can then do what this user can.\n"
        "--time-limit: processor time that one kernel may use, 10000 by default.\n"
        "--patience: a worker or compiler that has stopped is replaced after so long; 30.\n";

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long v = strtoull(text, &end, 10);
    if (*end || end == text) {
        fprintf(stderr, "arcboxd: \"%s\" is not a number\n", text);
        exit(2);
    }
    return v;
}

/* Numbers that the environment and the command line give, each to a field of the supervisor. */
#define FIELD(name) offsetof(struct supervisor, name), sizeof((struct supervisor *)NULL)->name
static const struct setting {
    const char *option, *variable; /* NULL: no variable */
    size_t offset, bytes;
    uint64_t unit; /* what 1 is in the field */
} settings[] = {{"idle", "ARCBOX_IDLE_SECONDS", FIELD(idle_seconds), 1},
        {"memory", "ARCBOX_MEMORY_BYTES", FIELD(limits.memory_bytes), 1},
        {"time-limit", "ARCBOX_TIME_LIMIT_MS", FIELD(limits.kernel_ns), 1000000},
        {"clients", NULL, FIELD(limits.clients), 1},
        {"compile-seconds", "ARCBOX_COMPILE_SECONDS", FIELD(limits.compile_seconds), 1},
        {"threads", "ARCBOX_CPUS", FIELD(limits.threads), 1},
        /* Its variable is every process's: abx_patience_ns(). */
        {"patience", NULL, FIELD(patience_ns), 1000000000}};
#undef FIELD

/* What is more than its field can hold is as much as that can. */
static void set(struct supervisor *s, const struct setting *setting, const char *text)
{
    uint64_t value = number(text), most = setting->bytes == 8 ? UINT64_MAX : UINT32_MAX;
    value = value > most / setting->unit ? most : value * setting->unit;
    uint32_t narrow = (uint32_t)value;
    memcpy((char *)s + setting->offset, setting->bytes == 8 ? (void *)&value : (void *)&narrow,
            setting->bytes);
}

static void from_environment(struct supervisor *s)
{
    const char *text;
    if ((text = getenv("ARCBOX_BACKEND")) && *text)
        snprintf(s->backend, sizeof s->backend, "%s", text);
    for (size_t i = 0; i < ABX_ARRAY_SIZE(settings); i++)
        if (settings[i].variable && (text = getenv(settings[i].variable)) && *text)
            set(s, &settings[i], text);
}

/* False: *text says why there is none. */
static bool choose_backend(struct supervisor *s, char text[256])
{
    char why[192];
    const struct abx_backend *backend = abx_backend_find(s->backend);
    if (!backend)
        snprintf(text, 256, "there is no such backend (%s)", abx_backend_names());
    else if (abx_backend_usable(backend, why, sizeof why) < 0)
        snprintf(text, 256, "--backend %s: %s", backend->name, why);
    else {
        if (!abx_backend_index(s->backend))
            snprintf(s->backend, sizeof s->backend, "%s", backend->name);
        return true;
    }
    return false;
}

struct start {
    const char *role; /* NULL: the supervisor itself */
    bool daemon;
    int ready_fd;
};

/* -1: go on; else what to exit with. */
static int read_options(struct supervisor *s, struct start *start, int argc, char **argv)
{
    enum { FIRST = 256 }; /* of the settings, behind all letters */
    static const struct option others[] = {{"daemon", no_argument, NULL, 'd'},
            {"ready-fd", required_argument, NULL, 'r'}, {"role", required_argument, NULL, 'R'},
            {"backend", required_argument, NULL, 'b'},
            {"allow-weak-sandbox", no_argument, NULL, 'w'}, {"help", no_argument, NULL, 'h'},
            {"version", no_argument, NULL, 'v'}};
    struct option options[ABX_ARRAY_SIZE(settings) + ABX_ARRAY_SIZE(others) + 1] = {0};
    int c;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(settings); i++)
        options[i] = (struct option){settings[i].option, required_argument, NULL, FIRST + (int)i};
    memcpy(options + ABX_ARRAY_SIZE(settings), others, sizeof others);
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c >= FIRST)
            set(s, &settings[c - FIRST], optarg);
        else if (c == 'd')
            start->daemon = true;
        else if (c == 'r')
            start->ready_fd = (int)number(optarg);
        else if (c == 'R')
            start->role = optarg;
        else if (c == 'b')
            snprintf(s->backend, sizeof s->backend, "%s", optarg);
        else if (c == 'w')
            setenv(ABX_WEAK_SANDBOX_ENV, "1", 1);
        else if (c == 'v')
            return puts("arcboxd " ABX_VERSION) < 0;
        else {
            fputs(usage, c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 2;
        }
    }
    return -1;
}

int main(int argc, char **argv)
{
    static struct supervisor s;
    struct start start = {.ready_fd = -1};
    char text[256];
    abx_fd_standard();
    s.idle_seconds = DEFAULT_IDLE_SECONDS;
    s.patience_ns = abx_patience_ns();
    s.compiler = s.lock = s.reserve = -1;
    from_environment(&s);
    int code = read_options(&s, &start, argc, argv);
    if (code >= 0)
        return code;
    if (start.role && strcmp(start.role, "worker") == 0)
        abx_worker_main(s.backend, s.limits.threads);
    if (start.role || optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    if (!choose_backend(&s, text)) {
        say(start.ready_fd, text);
        return 2;
    }
    abx_control_default_limits(&s.limits);
    for (unsigned i = 0; i < SUPERVISOR_MAX_CONTROLS; i++)
        s.controls[i].sock = -1;
    if (start.daemon)
        daemonise();
    s.started_ns = supervisor_realtime_ns();
    (void)supervisor_out_of_memory(); /* what was before us */
    return run(&s, start.ready_fd);
}
