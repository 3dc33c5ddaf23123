/* host: the worker role. One process a tenant: gives up its rights, then serves that tenant's
 * clients, one thread each. On the cpu backend guest code runs natively in here, so this process is
 * the blast radius: what it can reach is what a hostile guest can reach. It trusts the supervisor's
 * and the compiler's sockets and nothing else. */
#include "host/session/host.h"
#include "host/control/roles.h"
#include "host/sandbox/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#define WATCHDOG_MS 50
/* One a client, one a queue, those of the device, and our own. */
#define MAX_THREADS 4608
/* Descriptors: a client holds 3 and chunks' files are closed once mapped. */
#define MAX_FILES 1024
/* Of a user that others are too: so many descriptors all of them may have under way before this
 * worker's answers fail. Containers are allowed fewer (src/cli/settings.c). */
#define MAX_FILES_SHARED (1 << 20)

static struct abx_host *host;               /* for the fault handler */
static const struct abx_native_ops *native; /* of its backend; or NULL */

/* ---- faults. In guest code on a backend thread: its command buffer is over. Elsewhere, by a bug
 * of ours or because a kernel wrote there: the process is over. */

static const char *fault_name(int number)
{
    switch (number) {
    case SIGSEGV:
        return "touched memory outside its buffers";
    case SIGBUS:
        return "touched memory that is not there";
    case SIGFPE:
        return "divided an integer by zero";
    case SIGILL:
        return "executed an illegal instruction";
    default:
        return "aborted";
    }
}

static void append(char *text, size_t capacity, const char *more)
{
    size_t n = strlen(text);
    for (; *more && n < capacity - 1; more++)
        text[n++] = *more;
    text[n] = 0;
}

static void append_hex(char *text, size_t capacity, uint64_t value)
{
    char digits[19] = "0x";
    for (int i = 0; i < 16; i++)
        digits[2 + i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    digits[18] = 0;
    append(text, capacity, digits);
}

/* Of a SIGSEGV: it was a load. Where that cannot be told, no. */
static bool was_read(const void *context)
{
#ifdef __x86_64__
    enum { WRITE = 2, FETCH = 16 };
    const ucontext_t *c = context;
    return !(c->uc_mcontext.gregs[REG_ERR] & (WRITE | FETCH));
#else
    (void)context;
    return false;
#endif
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    if (number == SIGSEGV && info->si_code == SEGV_ACCERR && was_read(context) &&
            abx_host_stray_read(host, info->si_addr))
        return;
    if (number != SIGABRT && native)
        native->fault(info, context); /* does not return when a kernel did it */
    static volatile int once;
    static char text[192];
    /* Other threads that fault meanwhile wait for the end. */
    if (__atomic_exchange_n(&once, 1, __ATOMIC_SEQ_CST))
        for (;;)
            poll(NULL, 0, 1000); /* pause() is not among a worker's system calls */
    append(text, sizeof text, "the GPU worker crashed: it ");
    append(text, sizeof text, fault_name(number));
    if (number == SIGSEGV || number == SIGBUS) {
        append(text, sizeof text, " at ");
        append_hex(text, sizeof text, (uint64_t)(uintptr_t)info->si_addr);
    }
    abx_host_lost(host, ABX_REASON_FAULT, text);
    append(text, sizeof text, "\n");
    (void)!write(STDERR_FILENO, text, strlen(text));
    _exit(ABX_EXIT_FAULT);
}

static void on_stop(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    native->stop(context);
}

static void catch_faults(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(signals); i++)
        sigaction(signals[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    if (!native)
        return;
    action.sa_sigaction = on_stop;
    action.sa_flags |= SA_RESTART;
    sigaction(SIGUSR1, &action, NULL);
    native->use_signal(SIGUSR1);
}

/* ---- clients */

struct served {
    struct abx_session *session;
    uint32_t slot;
};

static void *serve(void *argument)
{
    struct served *served = argument;
    struct abx_role_message gone = {.type = ABX_ROLE_GONE, .slot = served->slot};
    abx_session_serve(served->session);
    abx_session_release(served->session);
    free(served);
    abx_sock_send(ABX_ROLE_SOCKET, &gone, sizeof gone, NULL, 0);
    return NULL;
}

static void accept_client(uint32_t slot, int sock, int page)
{
    struct abx_role_message gone = {.type = ABX_ROLE_GONE, .slot = slot};
    struct served *served = malloc(sizeof *served);
    struct abx_host_transport *transport;
    pthread_t thread;
    int r = abx_host_transport_open(sock, page, &transport);
    if (r == 0 && !served) {
        transport->ops->close(transport);
        r = -ENOMEM;
    }
    if (r == 0)
        r = abx_session_create(host, transport, slot, &served->session);
    if (r == 0) {
        served->slot = slot;
        r = -pthread_create(&thread, NULL, serve, served);
        if (r == 0) {
            pthread_detach(thread);
            return;
        }
        abx_session_finish(served->session);
        abx_session_release(served->session);
    }
    abx_host_log(host, "a client could not be taken: %s", strerror(-r));
    free(served);
    abx_sock_send(ABX_ROLE_SOCKET, &gone, sizeof gone, NULL, 0);
}

static void compiler_lost(struct abx_host *lost_by)
{
    (void)lost_by;
    struct abx_role_message m = {.type = ABX_ROLE_NO_COMPILER};
    abx_sock_send(ABX_ROLE_SOCKET, &m, sizeof m, NULL, 0);
}

/* One message of the supervisor. False: it has gone. */
static bool supervisor_message(void)
{
    struct abx_role_message m;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    ssize_t n = abx_sock_receive(ABX_ROLE_SOCKET, &m, sizeof m, fds, &fd_count);
    if (n != sizeof m)
        return false;
    if (m.type == ABX_ROLE_TENANT)
        abx_host_set_tenant(host, m.tenant, &m.limits);
    else if (m.type == ABX_ROLE_CLIENT && fd_count == 2) {
        accept_client(m.slot, fds[0], fds[1]);
        return true;
    } else if (m.type == ABX_ROLE_COMPILER && fd_count == 1) {
        abx_host_set_compiler(host, fds[0]);
        return true;
    } else if (m.type == ABX_ROLE_BEAT)
        abx_sock_send(ABX_ROLE_SOCKET, &m, sizeof m, NULL, 0);
    while (fd_count)
        close(fds[--fd_count]);
    return true;
}

_Noreturn static void die(const char *what, int error)
{
    fprintf(stderr, "worker[%d]: %s: %s\n", (int)getpid(), what, strerror(-error));
    exit(1);
}

static struct abx_worker_stats *map_stats(void)
{
    void *p = mmap(NULL, sizeof(struct abx_worker_stats), PROT_READ | PROT_WRITE, MAP_SHARED,
            ABX_ROLE_STATS, 0);
    if (p == MAP_FAILED)
        die("statistics", -errno);
    close(ABX_ROLE_STATS);
    return p;
}

static void prepare(const struct abx_backend *backend)
{
    char why[192];
    if (!backend->prepare || backend->prepare(why, sizeof why) == 0)
        return;
    fprintf(stderr, "worker[%d]: %s\n", (int)getpid(), why);
    exit(1);
}

#define MAX_BACKEND_CALLS 64u

static int keep_calls(const struct abx_backend *backend)
{
    struct abx_sandbox_call calls[MAX_BACKEND_CALLS + 1] = {{0}};
    const struct abx_backend_call *from = backend->calls;
    for (unsigned i = 0; from && from[i].why && i < MAX_BACKEND_CALLS; i++)
        calls[i] = (struct abx_sandbox_call){from[i].number, from[i].why};
    return abx_sandbox_worker_calls(calls);
}

/* The next client gets another worker, and that opens the device again. */
static void device_lost(struct abx_host *lost)
{
    _exit(ABX_EXIT_FAULT);
}

_Noreturn void abx_worker_main(const char *backend, unsigned threads)
{
    struct abx_string lacking = {0};
    struct abx_host_config config = {.backend = abx_backend_find(backend),
            .device = abx_backend_index(backend),
            .tenant = "(none yet)",
            .limits.threads = threads,
            .compiler = ABX_ROLE_COMPILER_SOCKET,
            .device_lost = device_lost,
            .compiler_lost = compiler_lost};
    if (!config.backend)
        die(backend, -ENODEV);
    native = config.backend->native;
    abx_control_default_limits(&config.limits);
    config.stats = map_stats();
    prepare(config.backend);
    /* First the rights that only a process of one thread can give up, then the device, whose
     * threads inherit that; then the system calls, for all threads. No guest byte before that. */
    abx_sandbox_want_own_user((unsigned)getpid());
    abx_sandbox_basics(ABX_ROLE_COMPILER_SOCKET + 1, MAX_FILES_SHARED);
    abx_sandbox_namespaces(&lacking);
    if (abx_sandbox_has_own_user())
        abx_sandbox_max_files(MAX_FILES);
    abx_sandbox_max_processes(MAX_THREADS);
    if (config.backend->files)
        abx_sandbox_only_devices(config.backend->files, &lacking);
    else
        abx_sandbox_empty_root(&lacking);
    abx_sandbox_drop_capabilities(&lacking);
    if (abx_sandbox_refuses()) {
        fprintf(stderr, "worker[%d]: ends: this system does not allow: %s\n", (int)getpid(),
                lacking.data);
        exit(1);
    }
    catch_faults();
    /* Drivers name their threads, which is a file of this process's. */
    abx_sandbox_dumpable(config.backend->files != NULL);
    int r = abx_host_open(&config, &host);
    if (r < 0)
        die("opening the device", r);
    abx_sandbox_dumpable(false);
    r = keep_calls(config.backend);
    if (r < 0)
        die("limiting system calls", r);
    if (lacking.length)
        abx_host_log(host, "this system does not allow: %s", lacking.data);
    abx_string_finish(&lacking);
    struct abx_role_message ready = {.type = ABX_ROLE_READY};
    abx_sock_send(ABX_ROLE_SOCKET, &ready, sizeof ready, NULL, 0);
    struct pollfd p = {ABX_ROLE_SOCKET, POLLIN, 0};
    bool served = false;
    for (;;) {
        int n = poll(&p, 1, served ? WATCHDOG_MS : -1);
        if (n > 0 && !supervisor_message())
            _exit(0);
        served |= n > 0;
        abx_host_watchdog(host);
    }
}
