/* wire, guest side: connecting, losing the connection, fork, and the report of what really ran.
 * Runs in the guest's process. See client.h for whom it trusts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wire/client_internal.h"

/* Recursive: a host inside this process forks while it is connected to, to ask a driver. */
#define UNLOCKED PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP
static pthread_mutex_t connect_lock = UNLOCKED;
static struct abx_client *_Atomic shared; /* the process's connection */
static bool complained;

#define LOST "the device was lost: "

void abx_client_lose(struct abx_client *client, const char *why)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (atomic_load(&client->gone))
        return;
    pthread_mutex_lock(&lock);
    const char *text =
            client->host && atomic_load(&client->host->lost) ? client->host->lost_text : "";
    if (text[0])
        snprintf(client->gone_text, sizeof client->gone_text, LOST "%.*s",
                (int)sizeof client->host->lost_text, text);
    else
        snprintf(client->gone_text, sizeof client->gone_text, LOST "%s", why);
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
    if (!client->transport->ops->alive(client->transport))
        abx_client_lose(client, "the GPU worker ended");
    return atomic_load(&client->gone) != 0;
}

const char *abx_client_lost_text(struct abx_client *client)
{
    /* The host's page says why before anybody has looked at it. */
    if (client->host && atomic_load(&client->host->lost))
        abx_client_lose(client, "the GPU worker ended");
    return client->gone_text[0] ? client->gone_text : LOST "the GPU worker ended";
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

/* Takes the answer to hello, or fails with the reason in *ret_why, which is static or in it. */
static int check_answer(struct abx_greeting *greeting, const char **ret_why)
{
    union abx_message *answer = &greeting->answer;
    ssize_t n = greeting->answer_bytes;
    *ret_why = "its answer makes no sense";
    if (n == -EAGAIN || n == -EWOULDBLOCK) {
        *ret_why = "it does not answer";
        return -ETIMEDOUT;
    }
    if (n <= 0) {
        *ret_why = n ? strerror((int)-n) : "it closed the connection";
        return n ? (int)n : -ECONNRESET;
    }
    if (answer->type == ABX_MESSAGE_REFUSED && n >= (ssize_t)sizeof answer->refused) {
        answer->refused.text[sizeof answer->refused.text - 1] = 0;
        *ret_why = answer->refused.text;
        return -ECONNREFUSED;
    }
    if (answer->type != ABX_MESSAGE_WELCOME || n < (ssize_t)sizeof answer->welcome)
        return -EPROTO;
    if (answer->welcome.version != ABX_WIRE_VERSION) {
        *ret_why = "it speaks another version of the protocol: use the same ArcBox on both sides";
        return -EPROTO;
    }
    return 0;
}

static void client_discard(struct abx_client *client)
{
    if (client->transport)
        client->transport->ops->disconnect(client->transport);
    free(client->committed_ns);
    free(client->memory); /* nothing was allocated yet */
    free(client->arenas);
    free(client);
}

static struct abx_client *client_new(void)
{
    struct abx_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
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

static const struct abx_transport_ops *find_transport(const char *name)
{
    for (unsigned i = 0; (!name || !*name) && i < abx_transport_count; i++)
        if (abx_transports[i]->offered && abx_transports[i]->offered())
            return abx_transports[i];
    if (!name || !*name)
        return abx_transports[0];
    for (unsigned i = 0; i < abx_transport_count; i++)
        if (!strcmp(name, abx_transports[i]->name))
            return abx_transports[i];
    return NULL;
}

static void explain_transport(struct abx_greeting *greeting, const char *name)
{
    static char text[128]; /* connect_lock is held */
    size_t n = (size_t)snprintf(text, sizeof text, "the transports are");
    for (unsigned i = 0; i < abx_transport_count && n < sizeof text; i++)
        n += (size_t)snprintf(
                text + n, sizeof text - n, "%s \"%s\"", i ? "," : "", abx_transports[i]->name);
    snprintf(greeting->place, sizeof greeting->place, ABX_TRANSPORT_ENV "=%.64s", name);
    greeting->why = text;
}

static int take_connection(struct abx_client *client, const struct abx_greeting *greeting,
        uint64_t before_ns, uint64_t after_ns)
{
    client->guest = client->transport->guest;
    client->host = client->transport->host;
    client->welcome = greeting->answer.welcome;
    if (!client->guest || !client->host)
        return -EPROTO;
    if (client->transport->ops->same_kernel)
        return 0;
    client->committed_ns = calloc(ABX_MAX_RESULTS, sizeof *client->committed_ns);
    abx_clock_start(&client->clock, before_ns, client->welcome.clock_ns, after_ns);
    return client->committed_ns ? 0 : -ENOMEM;
}

/* One attempt. -ECONNRESET and -EPIPE: who accepted the connection went before it answered. */
static int client_attempt(
        struct abx_client *client, struct abx_greeting *greeting, const char **ret_why)
{
    const char *name = getenv(ABX_TRANSPORT_ENV);
    const struct abx_transport_ops *ops = find_transport(name);
    if (!ops) {
        explain_transport(greeting, name);
        *ret_why = greeting->why;
        return -EINVAL;
    }
    greeting->hello = (struct abx_message_hello){.type = ABX_MESSAGE_HELLO,
            .magic = ABX_WIRE_MAGIC,
            .version = ABX_WIRE_VERSION,
            .pid = (uint32_t)getpid()};
    snprintf(greeting->hello.program, sizeof greeting->hello.program, "%s",
            program_invocation_short_name);
    uint64_t before = abx_now_ns();
    int r = ops->connect(greeting, &client->transport);
    *ret_why = greeting->why;
    if (r < 0)
        return r;
    uint64_t after = abx_now_ns();
    r = check_answer(greeting, ret_why);
    return r < 0 ? r : take_connection(client, greeting, before, after);
}

static struct abx_client *client_connect(void)
{
    for (int attempt = 0;; attempt++) {
        struct abx_client *client = client_new();
        if (!client)
            return NULL;
        struct abx_greeting greeting = {0};
        const char *why = NULL;
        int r = client_attempt(client, &greeting, &why);
        if (r == 0)
            return client;
        client_discard(client);
        /* After a worker died its successor takes a moment. */
        if ((r == -ECONNRESET || r == -EPIPE) && attempt < 5) {
            nanosleep(&(struct timespec){.tv_nsec = 20000000l << attempt}, NULL);
            continue;
        }
        complain(greeting.place, why ? why : strerror(-r));
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
                LOST "the object was made before fork(): a child process must make its own device");
        atomic_store(&client->gone, ABX_GONE_FORKED);
        client->transport->ops->abandon(client->transport);
    }
    complained = false;
    connect_lock = (pthread_mutex_t)UNLOCKED; /* whose it was has another number now */
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
