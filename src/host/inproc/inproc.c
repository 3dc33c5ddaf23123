/* host: the in-process transport: the host runtime inside the guest's program. No isolation at all:
 * the least that the same work can cost, which every other transport is measured against. The ring
 * is drained on the calling thread; one thread of its own serves the socket. The compiler is a
 * child process, as ever. Trusts its program, which can write all of its memory anyway. */
#include "host/session/host.h"
#include "host/transport/socket.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WATCHDOG_NS 100000000l

extern char **environ;

/* The socket of the program's own process image: src/metal looks this up by name. Takes `sock` over
 * on success. *ret_kick(*ret_context) drains the ring. 0 or -errno. */
ABX_EXPORT int abx_inproc_attach(int sock, void (**ret_kick)(void *), void **ret_context);

/* arcbox-compiler: where ARCBOXD lies, beside this library, or ../libexec/arcbox. */
static bool find_compiler(char ret_path[PATH_MAX])
{
    const char *daemon = getenv("ARCBOXD");
    Dl_info self;
    if (daemon && strrchr(daemon, '/')) {
        snprintf(ret_path, PATH_MAX, "%.*s/arcbox-compiler", (int)(strrchr(daemon, '/') - daemon),
                daemon);
        if (access(ret_path, X_OK) == 0)
            return true;
    }
    if (!dladdr((const void *)find_compiler, &self) || !strrchr(self.dli_fname, '/'))
        return false;
    int length = (int)(strrchr(self.dli_fname, '/') - self.dli_fname);
    static const char *const places[] = {"arcbox-compiler", "../libexec/arcbox/arcbox-compiler",
            "../../libexec/arcbox/arcbox-compiler", "../host/arcbox-compiler",
            "../../src/host/arcbox-compiler"};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(places); i++) {
        snprintf(ret_path, PATH_MAX, "%.*s/%s", length, self.dli_fname, places[i]);
        if (access(ret_path, X_OK) == 0)
            return true;
    }
    return false;
}

static uint32_t compiler_target;    /* enum abx_shader_target: the backend's */
static uint32_t compiler_processor; /* the device's, as abx_backend.processor says */
static int compiler_process = -1; /* pidfd: its number may be another's, once the program waited */

/* Our end of a socket to a compiler of our own, or -1: compiles fail, the rest works. */
static int start_compiler(void)
{
    char program[PATH_MAX];
    int pair[2];
    pid_t pid;
    if (!find_compiler(program)) {
        fprintf(stderr, "arcbox: arcbox-compiler was not found; set ARCBOXD\n");
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    pair[0] = abx_fd_high(pair[0]);
    pair[1] = abx_fd_high(pair[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pair[1], 3);
    char target[16], processor[16];
    snprintf(target, sizeof target, "%u", compiler_target);
    snprintf(processor, sizeof processor, "%u", compiler_processor);
    char *argv[] = {program, "--one", target, processor, NULL};
    int r = posix_spawn(&pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pair[1]);
    if (r) {
        close(pair[0]);
        return -1;
    }
    if (compiler_process >= 0)
        close(compiler_process);
    compiler_process = abx_fd_high((int)syscall(SYS_pidfd_open, pid, 0));
    return pair[0]; /* when it closes, the compiler ends */
}

static void end_compiler(struct abx_host *host)
{
    (void)host;
    if (compiler_process >= 0)
        syscall(SYS_pidfd_send_signal, compiler_process, SIGKILL, NULL, 0);
}

static void compiler_lost(struct abx_host *host)
{
    int sock = start_compiler();
    if (sock >= 0)
        abx_host_set_compiler(host, sock);
}

/* As between two processes, but that the program's threads drain the ring. */
static const struct abx_host_transport_ops library_ops = {
        .name = "inproc",
        .guest_drains = true,
        .wait = abx_host_socket_wait,
        .hush = abx_host_socket_hush,
        .interrupt = abx_host_socket_interrupt,
        .receive = abx_host_socket_receive,
        .greet = abx_host_socket_greet,
        .send = abx_host_socket_send,
        .map = abx_host_socket_map,
        .check = abx_host_socket_check,
        .file = abx_host_socket_file,
        .wake = abx_host_socket_wake,
        .tell_lost = abx_host_socket_tell_lost,
        .is_gone = abx_host_socket_is_gone,
        .close = abx_host_socket_close,
};

static void *serve(void *argument)
{
    struct abx_session *session = argument;
    sigset_t all;
    sigfillset(&all); /* the program's signals are for the program's threads */
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    abx_session_serve(session);
    return NULL; /* the session stays: a late kick finds it dead */
}

static void kick(void *context)
{
    abx_session_kick(context);
}

static const struct abx_native_ops *native; /* of the backend; set before signals can come */

static void on_stop(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    native->stop(context);
}

/* One of the real-time signals that the program does not use. 0: there is none, and kernels are not
 * interrupted. */
static int take_signal(void)
{
    struct sigaction old,
            action = {.sa_sigaction = on_stop, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigfillset(&action.sa_mask);
    for (int number = SIGRTMAX - 1; number > SIGRTMIN; number--)
        if (sigaction(number, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) &&
                old.sa_handler == SIG_DFL && sigaction(number, &action, NULL) == 0)
            return number;
    return 0;
}

static void *watch(void *host)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    for (;;) {
        nanosleep(&(struct timespec){0, WATCHDOG_NS}, NULL);
        abx_host_watchdog(host);
    }
    return NULL;
}

/* One device a process, as one worker a tenant. */
static int get_host(struct abx_host **ret)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct abx_host *host;
    static pid_t owner; /* a child of fork() has none of our threads */
    int r = 0;
    pthread_mutex_lock(&lock);
    if (!host || owner != getpid()) {
        struct abx_host_config config = {.backend = abx_backend_find(getenv("ARCBOX_BACKEND")),
                .device = abx_backend_index(getenv("ARCBOX_BACKEND")),
                .tenant = "inproc"};
        const char *memory = getenv("ARCBOX_MEMORY_BYTES");
        if (memory)
            config.limits.memory_bytes = strtoull(memory, NULL, 10);
        compiler_target = config.backend ? config.backend->target : 0;
        compiler_processor = abx_backend_processor(getenv("ARCBOX_BACKEND"));
        config.compiler = config.backend ? start_compiler() : -1;
        config.compiler_lost = compiler_lost;
        config.end_compiler = end_compiler;
        const char *limit = getenv("ARCBOX_TIME_LIMIT_MS");
        if (limit)
            config.limits.kernel_ns = strtoull(limit, NULL, 10) * 1000000u;
        native = config.backend ? config.backend->native : NULL;
        if (native)
            native->use_signal(take_signal());
        abx_control_default_limits(&config.limits);
        r = config.backend ? abx_host_open(&config, &host) : -ENODEV;
        pthread_t thread;
        if (r == 0 && native && pthread_create(&thread, NULL, watch, host) == 0)
            pthread_detach(thread);
        owner = getpid();
    }
    *ret = host;
    pthread_mutex_unlock(&lock);
    return r;
}

static int free_slot(void)
{
    static _Atomic unsigned next;
    unsigned slot = atomic_fetch_add(&next, 1);
    return slot < ABX_MAX_CLIENTS ? (int)slot : -EUSERS;
}

int abx_inproc_attach(int sock, void (**ret_kick)(void *), void **ret_context)
{
    struct abx_host *host;
    struct abx_session *session;
    pthread_t thread;
    int r = get_host(&host);
    int slot = r < 0 ? r : free_slot();
    if (slot < 0)
        return slot;
    /* On failure the caller still owns `sock`, but abx_session_create() may have closed its own. */
    int ours = fcntl(sock, F_DUPFD_CLOEXEC, 3);
    struct abx_host_transport *transport;
    r = ours < 0 ? -errno : abx_host_socket_open(&library_ops, ours, -1, &transport);
    if (r == 0)
        r = abx_session_create(host, transport, (unsigned)slot, &session);
    if (r < 0)
        return r;
    r = -pthread_create(&thread, NULL, serve, session);
    if (r < 0) {
        abx_session_finish(session);
        abx_session_release(session);
        return r;
    }
    pthread_detach(thread);
    close(sock);
    *ret_kick = kick;
    *ret_context = session;
    return 0;
}
