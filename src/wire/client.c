/* wire, guest side: connecting, losing the connection, fork, and the report of what really ran.
 * Runs in the guest's process. See client.h for whom it trusts. */
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "wire/client_internal.h"

#define ANSWER_SECONDS 20 /* a host that says nothing for so long never will */

static pthread_mutex_t connect_lock = PTHREAD_MUTEX_INITIALIZER;
static struct abx_client *_Atomic shared; /* the process's connection */
static bool complained;

void abx_client_lose(struct abx_client *client, const char *why)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (atomic_load(&client->gone))
        return;
    pthread_mutex_lock(&lock);
    const char *text =
            client->host && atomic_load(&client->host->lost) ? client->host->lost_text : "";
    if (text[0])
        snprintf(client->gone_text, sizeof client->gone_text, "%.*s",
                (int)sizeof client->host->lost_text, text);
    else
        snprintf(client->gone_text, sizeof client->gone_text, "%s", why);
    atomic_store(&client->gone, ABX_GONE_LOST);
    pthread_mutex_unlock(&lock);
}

bool abx_client_known_lost(const struct abx_client *client)
{
    return atomic_load_explicit(&((struct abx_client *)client)->gone, memory_order_relaxed) ||
           atomic_load_explicit(&client->host->lost, memory_order_acquire);
}

bool abx_client_forked(const struct abx_client *client)
{
    return atomic_load_explicit(&((struct abx_client *)client)->gone, memory_order_relaxed) ==
           ABX_GONE_FORKED;
}

bool abx_client_lost(struct abx_client *client)
{
    if (abx_client_known_lost(client)) {
        abx_client_lose(client, "the GPU worker ended");
        return true;
    }
    struct pollfd p = {.fd = client->sock, .events = POLLRDHUP};
    if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)))
        abx_client_lose(client, "the GPU worker ended");
    return atomic_load(&client->gone) != 0;
}

const char *abx_client_lost_text(struct abx_client *client)
{
    /* The host's page says why before anybody has looked at it. */
    if (client->host && atomic_load(&client->host->lost))
        abx_client_lose(client, "the GPU worker ended");
    return client->gone_text[0] ? client->gone_text : "the GPU worker ended";
}

const struct abx_message_welcome *abx_client_welcome(const struct abx_client *client)
{
    return &client->welcome;
}

struct abx_client *abx_client_peek(void)
{
    return atomic_load(&shared);
}

/* ---- connecting */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int sock = abx_fd_high(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (sock < 0)
        return -errno;
    int r;
    do
        r = connect(sock, (struct sockaddr *)&address, sizeof address);
    while (r < 0 && errno == EINTR);
    if (r < 0) {
        r = -errno;
        close(sock);
        return r;
    }
    return sock;
}

static int connect_somewhere(char *path, size_t path_bytes)
{
    const char *named = getenv(ABX_SOCKET_ENV);
    if (named && *named) {
        snprintf(path, path_bytes, "%s", named);
        return connect_to(path);
    }
    snprintf(path, path_bytes, "%s", ABX_SOCKET_PATH);
    int sock = connect_to(path);
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (sock >= 0 || !runtime || !*runtime)
        return sock;
    char second[108];
    if (snprintf(second, sizeof second, "%s/arcbox/gpu.sock", runtime) >= (int)sizeof second)
        return sock;
    int r = connect_to(second);
    return r >= 0 ? r : sock;
}

static int send_hello(struct abx_client *client)
{
    int fd = abx_memfd_create("arcbox-guest", sizeof(struct abx_guest_page));
    if (fd < 0)
        return fd;
    client->guest =
            mmap(NULL, sizeof(struct abx_guest_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (client->guest == MAP_FAILED) {
        client->guest = NULL;
        close(fd);
        return -errno;
    }
    struct abx_message_hello hello = {.type = ABX_MESSAGE_HELLO,
            .magic = ABX_WIRE_MAGIC,
            .version = ABX_WIRE_VERSION,
            .pid = (uint32_t)getpid()};
    snprintf(hello.program, sizeof hello.program, "%s", program_invocation_short_name);
    int r = abx_sock_send(client->sock, &hello, sizeof hello, &fd, 1);
    close(fd);
    return r;
}

/* Takes the answer to hello; *ret_why is static or in `refused`. */
static int receive_welcome(
        struct abx_client *client, struct abx_message_refused *refused, const char **ret_why)
{
    union abx_message message;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    struct timeval patience = {.tv_sec = ANSWER_SECONDS}, for_ever = {0};
    setsockopt(client->sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssize_t n = abx_sock_receive(client->sock, &message, sizeof message, fds, &fd_count);
    setsockopt(client->sock, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof for_ever);
    int r = -EPROTO;
    *ret_why = "its answer makes no sense";
    if (n == -EAGAIN || n == -EWOULDBLOCK) {
        r = -ETIMEDOUT;
        *ret_why = "it does not answer";
    } else if (n <= 0) {
        r = n ? (int)n : -ECONNRESET;
        *ret_why = n ? strerror((int)-n) : "it closed the connection";
    } else if (message.type == ABX_MESSAGE_REFUSED && n >= (ssize_t)sizeof message.refused) {
        *refused = message.refused;
        refused->text[sizeof refused->text - 1] = 0;
        *ret_why = refused->text;
        r = -ECONNREFUSED;
    } else if (message.type == ABX_MESSAGE_WELCOME && n >= (ssize_t)sizeof message.welcome &&
               message.welcome.version != ABX_WIRE_VERSION) {
        *ret_why = "it speaks another version of the protocol: use the same ArcBox on both sides";
    } else if (message.type == ABX_MESSAGE_WELCOME && n >= (ssize_t)sizeof message.welcome &&
               fd_count == 2) {
        void *page = mmap(NULL, sizeof(struct abx_host_page), PROT_READ, MAP_SHARED, fds[0], 0);
        if (page != MAP_FAILED) {
            client->host = page;
            client->welcome = message.welcome;
            client->doorbell = fds[1];
            close(fds[0]);
            return 0;
        }
        r = -errno;
    }
    for (unsigned i = 0; i < fd_count; i++)
        close(fds[i]);
    return r;
}

/* inproc: the host runtime as a library of this process. The library stays loaded. */
static int attach_inproc(struct abx_client *client, const char **ret_why)
{
    void *library = dlopen("libarcbox-inproc.so", RTLD_NOW | RTLD_LOCAL);
    int (*attach)(int, void (**)(void *), void **) =
            library ? (int (*)(int, void (**)(void *), void **))dlsym(library, "abx_inproc_attach")
                    : NULL;
    if (!attach) {
        *ret_why = "libarcbox-inproc.so is not to be found";
        return -ENOENT;
    }
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pair[0] = abx_fd_high(pair[0]);
    pair[1] = abx_fd_high(pair[1]);
    client->sock = pair[0];
    int r = pair[0] < 0 || pair[1] < 0 ? -EMFILE : send_hello(client);
    if (r == 0) {
        r = attach(pair[1], &client->kick, &client->kick_context);
        if (r < 0)
            close(pair[1]);
    }
    if (r < 0)
        *ret_why = "the host runtime would not start in this process";
    return r;
}

static void client_discard(struct abx_client *client)
{
    if (client->sock >= 0)
        close(client->sock);
    if (client->doorbell >= 0)
        close(client->doorbell);
    if (client->guest)
        munmap(client->guest, sizeof *client->guest);
    if (client->host)
        munmap((void *)client->host, sizeof *client->host);
    free(client->memory); /* nothing was allocated yet */
    free(client->arenas);
    free(client);
}

static struct abx_client *client_new(void)
{
    struct abx_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->sock = client->doorbell = -1;
    pthread_mutex_init(&client->ring_lock, NULL);
    pthread_mutex_init(&client->handle_lock, NULL);
    pthread_mutex_init(&client->event_lock, NULL);
    pthread_mutex_init(&client->request_lock, NULL);
    pthread_cond_init(&client->request_done, NULL);
    if (abx_client_memory_create(client) < 0 || abx_client_arenas_create(client) < 0) {
        client_discard(client);
        return NULL;
    }
    return client;
}

static void complain(const char *place, const char *why)
{
    if (!complained)
        fprintf(stderr,
                "arcbox: no GPU: %s: %s. Start the program with `arcbox run --gpu`, or "
                "set " ABX_SOCKET_ENV ".\n",
                place, why);
    complained = true;
}

/* One attempt. -ECONNRESET and -EPIPE: who accepted the connection went before it answered. */
static int client_attempt(struct abx_client *client, char *place, size_t place_bytes,
        struct abx_message_refused *refused, const char **ret_why)
{
    const char *transport = getenv(ABX_TRANSPORT_ENV);
    int r;
    if (!transport || !*transport || !strcmp(transport, "unix")) {
        client->sock = r = connect_somewhere(place, place_bytes);
        if (r >= 0)
            r = send_hello(client);
    } else if (!strcmp(transport, "inproc")) {
        r = attach_inproc(client, ret_why);
    } else {
        snprintf(place, place_bytes, ABX_TRANSPORT_ENV "=%.64s", transport);
        *ret_why = "the transports are \"unix\" and \"inproc\"";
        r = -EINVAL;
    }
    return r < 0 ? r : receive_welcome(client, refused, ret_why);
}

static struct abx_client *client_connect(void)
{
    for (int attempt = 0;; attempt++) {
        struct abx_client *client = client_new();
        if (!client)
            return NULL;
        char place[128] = "inproc";
        struct abx_message_refused refused;
        const char *why = NULL;
        int r = client_attempt(client, place, sizeof place, &refused, &why);
        if (r == 0)
            return client;
        client_discard(client);
        /* After a worker died its successor takes a moment. */
        if ((r == -ECONNRESET || r == -EPIPE) && attempt < 5) {
            nanosleep(&(struct timespec){.tv_nsec = 20000000l << attempt}, NULL);
            continue;
        }
        complain(place, why ? why : strerror(-r));
        return NULL;
    }
}

/* ---- fork: the child must neither use nor keep open what is the parent's. */

static void before_fork(void)
{
    pthread_mutex_lock(&connect_lock);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&connect_lock);
}

static void after_fork_child(void)
{
    struct abx_client *client = atomic_exchange(&shared, NULL);
    if (client) {
        snprintf(client->gone_text, sizeof client->gone_text,
                "the object was made before fork(): a child process must make its own device");
        atomic_store(&client->gone, ABX_GONE_FORKED);
        close(client->sock);
        close(client->doorbell);
        client->sock = client->doorbell = -1;
    }
    complained = false;
    pthread_mutex_unlock(&connect_lock);
}

static void report(void)
{
    char line[320];
    struct abx_client *client = abx_client_peek();
    /* Programs that fork helpers to compile: those have nothing to tell. */
    if (client && atomic_load(&client->host->command_buffers) &&
            abx_report_line(line, sizeof line) > 0)
        fprintf(stderr, "arcbox: %s\n", line);
}

/* Once a process, when it first connects. */
static void watch_process(void)
{
    static bool watched;
    if (watched)
        return;
    watched = true;
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    const char *wanted = getenv("ARCBOX_REPORT");
    if (wanted && !strcmp(wanted, "1"))
        atexit(report);
}

struct abx_client *abx_client_get(void)
{
    struct abx_client *client = atomic_load_explicit(&shared, memory_order_acquire);
    if (client && !abx_client_lost(client)) /* rarely asked: a system call is fine */
        return client;
    pthread_mutex_lock(&connect_lock);
    client = atomic_load(&shared);
    if (!client || abx_client_known_lost(client)) { /* a lost one is left to its objects */
        watch_process();
        client = client_connect();
        atomic_store(&shared, client);
    }
    pthread_mutex_unlock(&connect_lock);
    return client;
}

/* ---- what really happened */

void abx_client_counters(struct abx_client *client, struct abx_client_counters *ret)
{
    ret->encode_trips = atomic_load(&client->encode_trips);
    ret->wait_trips = atomic_load(&client->wait_trips);
    ret->wait_sleeps = atomic_load(&client->wait_sleeps);
    ret->compile_trips = atomic_load(&client->compile_trips);
    ret->prepare_trips = atomic_load(&client->prepare_trips);
    ret->address_trips = atomic_load(&client->address_trips);
    pthread_mutex_lock(&client->ring_lock);
    ret->commits = client->commits;
    pthread_mutex_unlock(&client->ring_lock);
}

size_t abx_report_line(char *text, size_t capacity)
{
    struct abx_client *client = abx_client_peek();
    if (!client) {
        if (capacity)
            text[0] = 0;
        return 0;
    }
    struct abx_client_counters c;
    abx_client_counters(client, &c);
    const struct abx_host_page *host = client->host;
    int n = snprintf(text, capacity,
            "%.63s (backend %.15s): %llu kernels in %llu command buffers, %.1f MB shared, "
            "round trips: %llu encoding, %llu waiting, %llu compiling",
            client->welcome.device_name, client->welcome.backend,
            (unsigned long long)atomic_load(&host->kernels),
            (unsigned long long)atomic_load(&host->command_buffers),
            (double)atomic_load(&host->bytes_shared) / 1e6, (unsigned long long)c.encode_trips,
            (unsigned long long)c.wait_trips,
            (unsigned long long)(c.compile_trips + c.prepare_trips + c.address_trips));
    return n < 0 ? 0 : (size_t)n;
}
