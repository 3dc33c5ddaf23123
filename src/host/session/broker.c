/* host: the requests of all clients to the compiler, and its answers. Runs in the worker: engines
 * queue requests; one thread owns the socket, loads code into the backend and posts to the clients'
 * inboxes. Trusts the compiler; what is in a request is the guest's and only passed on.
 *
 * A compiler that ends is replaced (host->compiler_lost): what was asked and not answered is asked
 * again, after the libraries that are still in use, whose sources are kept for that. */
#include "host/compiler/compiler.h"
#include "host/session/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* Compilers that ended without one answer, after which what waits fails: one of the requests may be
 * what ends them. */
#define MAX_FRUITLESS 8u
#define REQUEST_OVERHEAD 256u /* of one, beside its message */

enum kind { KIND_LIBRARY, KIND_PIPELINE, KIND_RENEW, KIND_DROP };

/* A library the compiler holds for us, or is to. */
struct abx_kept_library {
    struct abx_kept_library *next, **at; /* of broker->kept; at NULL: not in it */
    struct abx_session *session;         /* whose account pays; one reference */
    uint8_t key[32];
    void *source; /* sealed against writing, so it is what was sent first */
    uint64_t bytes;
    bool renewing, dropped;
};

struct request {
    struct request *next;
    enum kind kind;
    struct abx_session *session; /* one reference; NULL: RENEW, DROP */
    uint32_t tag;                /* LIBRARY */
    abx_handle handle;
    struct abx_pipeline_object *pipeline; /* one reference */
    struct abx_kept_library *library;     /* LIBRARY: its own until answered; RENEW */
    int fd;                               /* LIBRARY: the source, until it is sent; or -1 */
    struct abx_compiler_request *message;
    size_t charged; /* to the session: for the message, here and in the compiler */
};

struct list {
    struct request *first, **end;
};

struct abx_broker {
    struct abx_host *host;
    pthread_t thread;
    int bell; /* eventfd: there is something to send, or a new socket */
    int sock; /* the thread's; -1: there is no compiler */
    unsigned fruitless;
    struct abx_heartbeat beat; /* the thread's; only where nobody else asks it */
    struct abx_awake_clock awake;
    uint64_t patience_ns;
    unsigned renewing;    /* the thread's: RENEWs not answered yet; nothing else is sent before */
    pthread_mutex_t lock; /* everything below */
    struct list unsent, sent;
    struct abx_kept_library *kept;
    uint64_t next_id;
    int new_sock; /* -1: none; the thread takes it */
    bool closing;
    bool gone; /* no compiler will come: requests fail at once */
};

static void append(struct list *list, struct request *request)
{
    if (!list->first)
        list->end = &list->first;
    request->next = NULL;
    *list->end = request;
    list->end = &request->next;
}

static void ring(struct abx_broker *broker)
{
    uint64_t one = 1;
    (void)!write(broker->bell, &one, sizeof one);
}

/* ---- libraries */

static void kept_free(struct abx_kept_library *kept)
{
    if (!kept)
        return;
    if (kept->source) {
        abx_contents_free(kept->source, kept->bytes);
        abx_host_uncharge(kept->session, false, kept->bytes);
    }
    abx_session_release(kept->session);
    free(kept);
}

/* The source is the guest's memory, sealed. */
static int kept_new(
        struct abx_session *session, int fd, uint64_t bytes, struct abx_kept_library **ret)
{
    struct abx_kept_library *kept = calloc(1, sizeof *kept);
    int r = kept ? abx_host_charge(session, false, bytes) : -ENOMEM;
    if (r < 0) {
        free(kept);
        return r;
    }
    r = abx_contents_take(fd, bytes, &kept->source);
    if (r < 0) {
        abx_host_uncharge(session, false, bytes);
        free(kept);
        return r;
    }
    kept->bytes = bytes;
    kept->session = session;
    abx_session_retain(session);
    *ret = kept;
    return 0;
}

/* Lock held. */
static void kept_link(struct abx_broker *broker, struct abx_kept_library *kept)
{
    kept->next = broker->kept;
    kept->at = &broker->kept;
    if (kept->next)
        kept->next->at = &kept->next;
    broker->kept = kept;
}

static void kept_unlink(struct abx_kept_library *kept)
{
    *kept->at = kept->next;
    if (kept->next)
        kept->next->at = kept->at;
    kept->at = NULL;
}

static int source_file(const struct abx_kept_library *kept)
{
    int fd = abx_memfd_create("arcbox-source", kept->bytes);
    int r = fd < 0 ? fd : abx_write_all(fd, kept->source, kept->bytes);
    if (r == 0)
        r = abx_memfd_seal(fd);
    if (r < 0 && fd >= 0)
        close(fd);
    return r < 0 ? r : fd;
}

/* ---- answers */

static void request_free(struct request *request)
{
    if (request->kind == KIND_LIBRARY)
        kept_free(request->library);
    if (request->fd >= 0)
        close(request->fd);
    if (request->session) {
        atomic_fetch_sub(&request->session->stats->compiling, 1);
        abx_books_uncharge(request->session, request->charged);
        abx_session_release(request->session);
    }
    free(request->message);
    free(request);
}

/* What the pipeline's answer is; the file is not needed any more. */
static void load_pipeline(
        struct abx_pipeline_object *pipeline, const struct abx_compiler_answer *a, int fd)
{
    size_t bytes = a->offset + abx_align_up(a->message_bytes, 8) + a->payload_bytes;
    uint8_t *map = fd >= 0 ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    abx_pipeline_answer(pipeline, a, map == MAP_FAILED ? NULL : map + a->offset);
    if (map != MAP_FAILED)
        munmap(map, bytes);
}

/* The library that the compiler now holds for us. */
static struct abx_kept_library *keep(
        struct abx_broker *broker, struct request *request, const uint8_t key[32])
{
    struct abx_kept_library *kept = request->library;
    request->library = NULL;
    memcpy(kept->key, key, sizeof kept->key);
    pthread_mutex_lock(&broker->lock);
    kept_link(broker, kept);
    pthread_mutex_unlock(&broker->lock);
    return kept;
}

/* Hands an answer to the client; the request ends, and so does `fd` (or -1). */
static void deliver(struct abx_broker *broker, struct request *request,
        const struct abx_compiler_answer *a, int fd)
{
    struct abx_session *session = request->session;
    struct abx_inbox_item *item = calloc(1, sizeof *item);
    bool library = request->kind == KIND_LIBRARY;
    struct abx_kept_library *kept = NULL;
    if (request->pipeline)
        load_pipeline(request->pipeline, a, fd);
    else if (a->error == 0)
        kept = keep(broker, request, a->key);
    if (item) {
        atomic_fetch_add(&session->stats->compiles, 1);
        atomic_fetch_add(&session->stats->compiles_cached, a->cached);
        *item = (struct abx_inbox_item){.kind = library ? ABX_INBOX_LIBRARY : ABX_INBOX_PIPELINE,
                .tag = request->tag,
                .handle = request->handle,
                .error = a->error,
                .cached = a->cached,
                .microseconds = a->microseconds,
                .message_bytes = a->message_bytes,
                .reflection_bytes = a->payload_bytes,
                .fd = library ? fd : -1,
                .kept = kept,
                .pipeline = request->pipeline};
        memcpy(item->key, a->key, sizeof item->key);
    }
    if (item && abx_session_post(session, item))
        fd = library ? -1 : fd;
    else { /* nobody is there to take it */
        free(item);
        abx_broker_drop(broker, kept);
        if (request->pipeline)
            abx_object_release(&request->pipeline->head);
    }
    if (fd >= 0)
        close(fd);
    request_free(request);
}

static struct request *take(struct abx_broker *broker, uint64_t id)
{
    pthread_mutex_lock(&broker->lock);
    struct request **at = &broker->sent.first;
    while (*at && (*at)->message->id != id)
        at = &(*at)->next;
    struct request *request = *at;
    if (request) {
        *at = request->next;
        if (!*at)
            broker->sent.end = at;
    }
    pthread_mutex_unlock(&broker->lock);
    return request;
}

/* Lock held: the request keeps the library only when it is to end it. */
static void renewal_over(struct request *request)
{
    request->library->renewing = false;
    if (!request->library->dropped)
        request->library = NULL;
}

/* After renewal_over(). */
static void nobody_waits(struct request *request)
{
    if (request->kind == KIND_RENEW)
        kept_free(request->library);
    request_free(request);
}

static void fail_all(struct abx_broker *broker, bool for_good)
{
    pthread_mutex_lock(&broker->lock);
    broker->gone |= for_good;
    struct request *lists[2] = {broker->sent.first, broker->unsent.first};
    broker->sent.first = broker->unsent.first = NULL;
    for (int i = 0; i < 2; i++)
        for (struct request *r = lists[i]; r; r = r->next)
            if (r->kind == KIND_RENEW)
                renewal_over(r);
    pthread_mutex_unlock(&broker->lock);
    for (int i = 0; i < 2; i++)
        for (struct request *r = lists[i], *next; r; r = next) {
            struct abx_compiler_answer a = {.error = -EPIPE};
            next = r->next;
            if (r->session)
                deliver(broker, r, &a, -1);
            else
                nobody_waits(r);
        }
}

static int queue_drop(struct abx_broker *broker, const uint8_t key[32]);

/* The new compiler has it, or cannot make it any more: then its pipelines fail, one by one. */
static void renewed(struct abx_broker *broker, struct request *request, bool held)
{
    pthread_mutex_lock(&broker->lock);
    renewal_over(request);
    pthread_mutex_unlock(&broker->lock);
    broker->renewing--;
    if (request->library && held)
        queue_drop(broker, request->library->key);
    nobody_waits(request);
}

/* One answer. False: the compiler has gone. */
static bool receive_one(struct abx_broker *broker)
{
    struct abx_compiler_answer a;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    ssize_t n = abx_sock_receive(broker->sock, &a, sizeof a, fds, &fd_count);
    if (n == -EAGAIN)
        return true;
    if (n <= 0)
        return false;
    broker->beat = (struct abx_heartbeat){.since_ns = broker->awake.awake_ns};
    broker->fruitless = 0;
    struct request *request = n == sizeof a ? take(broker, a.id) : NULL;
    if (request && request->kind == KIND_RENEW)
        renewed(broker, request, a.error == 0);
    else if (request && fd_count)
        deliver(broker, request, &a, fds[--fd_count]);
    else if (request)
        deliver(broker, request, &a, -1);
    while (fd_count)
        close(fds[--fd_count]);
    return true;
}

/* ---- sending. Only the thread takes requests away, so the first one stays while it is sent. */

static struct request *next_to_send(struct abx_broker *broker)
{
    pthread_mutex_lock(&broker->lock);
    struct request *request = broker->sock >= 0 ? broker->unsent.first : NULL;
    if (request && broker->renewing && request->kind != KIND_RENEW)
        request = NULL;
    pthread_mutex_unlock(&broker->lock);
    return request;
}

static void sent_one(struct abx_broker *broker, struct request *request)
{
    pthread_mutex_lock(&broker->lock);
    broker->unsent.first = request->next;
    if (request->kind != KIND_DROP)
        append(&broker->sent, request);
    pthread_mutex_unlock(&broker->lock);
    if (request->kind == KIND_RENEW)
        broker->renewing++;
    else if (request->kind == KIND_DROP)
        request_free(request);
}

/* False: the compiler has gone. */
static bool send_one(struct abx_broker *broker, struct request *request)
{
    int fd = request->fd;
    if (request->library && fd < 0 && (fd = source_file(request->library)) < 0)
        return fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM; /* tried again */
    request->fd = fd;
    int r = abx_sock_try_send(broker->sock, request->message,
            abx_compiler_request_bytes(request->message), &fd, fd >= 0);
    if (r == 0) {
        request->fd = -1;
        if (fd >= 0)
            close(fd);
        sent_one(broker, request);
    }
    return r == 0 || r == -EAGAIN || r == -ETOOMANYREFS;
}

/* ---- a compiler that ended */

static struct request *renewal(struct abx_broker *broker, struct abx_kept_library *kept)
{
    struct request *r = calloc(1, sizeof *r);
    if (r && !(r->message = calloc(1, sizeof *r->message))) {
        free(r);
        r = NULL;
    }
    if (!r)
        return NULL;
    r->kind = KIND_RENEW;
    r->fd = -1;
    r->library = kept;
    r->message->type = ABX_COMPILER_LIBRARY;
    r->message->bytes = kept->bytes;
    r->message->id = ++broker->next_id;
    kept->renewing = true;
    return r;
}

/* Renewals first, then what was not answered, in its order. What is dropped is not renewed. */
static void requeue(struct abx_broker *broker)
{
    struct list all = {0};
    pthread_mutex_lock(&broker->lock);
    struct request *lists[2] = {broker->sent.first, broker->unsent.first}, *old = NULL;
    for (int i = 0; i < 2; i++)
        for (struct request *r = lists[i]; r; r = r->next)
            if (r->kind == KIND_RENEW)
                renewal_over(r);
    for (struct abx_kept_library *kept = broker->kept; kept; kept = kept->next) {
        struct request *r = renewal(broker, kept);
        if (r)
            append(&all, r);
    }
    for (int i = 0; i < 2; i++)
        for (struct request *r = lists[i], *next; r; r = next) {
            next = r->next;
            if (r->session)
                append(&all, r);
            else {
                r->next = old;
                old = r;
            }
        }
    broker->unsent = all;
    broker->sent.first = NULL;
    pthread_mutex_unlock(&broker->lock);
    broker->renewing = 0;
    for (struct request *next; old; old = next) {
        next = old->next;
        nobody_waits(old);
    }
}

static void lost(struct abx_broker *broker)
{
    close(broker->sock);
    broker->sock = -1;
    broker->beat = (struct abx_heartbeat){0};
    bool for_good = !broker->host->compiler_lost;
    if (for_good || ++broker->fruitless >= MAX_FRUITLESS)
        fail_all(broker, for_good);
    requeue(broker);
    if (!for_good)
        broker->host->compiler_lost(broker->host);
}

/* True: to be called again within ABX_BEAT_NS. */
static bool look_at_compiler(struct abx_broker *broker)
{
    struct abx_compiler_request question = {.type = ABX_COMPILER_BEAT};
    abx_awake_ns(&broker->awake, 2 * ABX_BEAT_NS);
    if (!broker->host->end_compiler || broker->sock < 0 || !broker->sent.first)
        return false; /* somebody else does, or nobody waits */
    switch (abx_heartbeat_look(&broker->beat, broker->awake.awake_ns, broker->patience_ns)) {
    case ABX_BEAT_ASK:
        abx_sock_try_send(broker->sock, &question, sizeof question, NULL, 0);
        broker->beat = (struct abx_heartbeat){.asked = true, .since_ns = broker->awake.awake_ns};
        break;
    case ABX_BEAT_LOST:
        broker->host->end_compiler(broker->host);
        lost(broker);
        break;
    case ABX_BEAT_REST:
        break;
    }
    return true;
}

/* ---- the thread */

static void look_around(struct abx_broker *broker, bool *ret_closing)
{
    uint64_t count;
    (void)!read(broker->bell, &count, sizeof count);
    pthread_mutex_lock(&broker->lock);
    int next = broker->new_sock;
    broker->new_sock = -1;
    *ret_closing = broker->closing;
    pthread_mutex_unlock(&broker->lock);
    if (next < 0)
        return;
    if (broker->sock >= 0) { /* given up by who gave it to us: it may be unable to end */
        close(broker->sock);
        requeue(broker);
    }
    broker->sock = next;
}

static void *broker_thread(void *argument)
{
    struct abx_broker *broker = argument;
    bool closing = false;
    look_around(broker, &closing);
    while (!closing) {
        struct request *request = next_to_send(broker);
        short events = POLLIN | (request ? POLLOUT : 0);
        struct pollfd p[2] = {{broker->bell, POLLIN, 0}, {broker->sock, events, 0}};
        int timeout = look_at_compiler(broker) ? (int)(ABX_BEAT_NS / 1000000u) : -1;
        p[1].fd = broker->sock;
        if (poll(p, 2, timeout) < 0)
            continue;
        bool alive = true;
        if (p[1].revents & (POLLIN | POLLHUP | POLLERR))
            alive = receive_one(broker);
        if (alive && request && (p[1].revents & POLLOUT))
            alive = send_one(broker, request);
        if (!alive)
            lost(broker);
        if (p[0].revents)
            look_around(broker, &closing);
    }
    fail_all(broker, true);
    return NULL;
}

/* ---- for the engines */

static int enqueue(struct abx_broker *broker, struct request *request)
{
    pthread_mutex_lock(&broker->lock);
    int r = broker->gone ? -EPIPE : 0;
    if (r == 0) {
        request->message->id = ++broker->next_id;
        append(&broker->unsent, request);
    }
    pthread_mutex_unlock(&broker->lock);
    if (r == 0)
        ring(broker);
    return r;
}

static struct request *request_new(
        enum kind kind, struct abx_session *session, const struct abx_compiler_request *message)
{
    struct request *r = calloc(1, sizeof *r);
    size_t bytes = abx_compiler_request_bytes(message), charged = 2 * (bytes + REQUEST_OVERHEAD);
    if (session && abx_books_charge(session, charged) < 0) {
        free(r);
        return NULL;
    }
    if (r && !(r->message = malloc(bytes))) {
        free(r);
        r = NULL;
    }
    if (!r) {
        if (session)
            abx_books_uncharge(session, charged);
        return NULL;
    }
    r->charged = session ? charged : 0;
    memcpy(r->message, message, bytes);
    r->kind = kind;
    r->fd = -1;
    r->session = session;
    if (session) {
        atomic_fetch_add(&session->stats->compiling, 1);
        abx_session_retain(session);
    }
    return r;
}

int abx_broker_compile(
        struct abx_session *session, uint32_t tag, abx_handle library, int fd, uint64_t bytes)
{
    struct abx_broker *broker = session->host->broker;
    if (!broker)
        return -ENOSYS;
    struct abx_compiler_request message = {.type = ABX_COMPILER_LIBRARY, .bytes = bytes};
    struct request *request = request_new(KIND_LIBRARY, session, &message);
    if (!request)
        return -ENOMEM;
    request->tag = tag;
    request->handle = library;
    atomic_fetch_add(&session->compiles_pending, 1);
    int r = kept_new(session, fd, bytes, &request->library);
    request->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* without one more it is copied */
    if (r == 0)
        r = enqueue(broker, request);
    if (r < 0) {
        atomic_fetch_sub(&session->compiles_pending, 1);
        request_free(request);
    }
    return r;
}

int abx_broker_pipeline(
        struct abx_pipeline_object *pipeline, const struct abx_compiler_request *message)
{
    struct abx_session *session = pipeline->head.session;
    struct request *request = request_new(KIND_PIPELINE, session, message);
    if (!request)
        return -ENOMEM;
    request->pipeline = pipeline;
    abx_object_retain(&pipeline->head);
    int r = enqueue(session->host->broker, request);
    if (r < 0) {
        abx_object_release(&pipeline->head);
        request_free(request);
    }
    return r;
}

static int queue_drop(struct abx_broker *broker, const uint8_t key[32])
{
    struct abx_compiler_request message = {.type = ABX_COMPILER_DROP};
    memcpy(message.key, key, sizeof message.key);
    struct request *request = request_new(KIND_DROP, NULL, &message);
    int r = request ? enqueue(broker, request) : -ENOMEM;
    if (r < 0 && request)
        request_free(request);
    return r;
}

void abx_broker_drop(struct abx_broker *broker, struct abx_kept_library *kept)
{
    if (!kept)
        return;
    pthread_mutex_lock(&broker->lock);
    kept_unlink(kept);
    bool renewing = kept->renewing;
    kept->dropped = true; /* who renews it ends it */
    pthread_mutex_unlock(&broker->lock);
    if (renewing)
        return;
    queue_drop(broker, kept->key);
    kept_free(kept);
}

int abx_broker_create(struct abx_host *host, int sock, struct abx_broker **ret)
{
    struct abx_broker *broker = calloc(1, sizeof *broker);
    if (!broker)
        return -ENOMEM;
    broker->host = host;
    broker->sock = -1;
    broker->new_sock = sock;
    broker->patience_ns = abx_patience_ns();
    fcntl(sock, F_SETFL, O_NONBLOCK);
    pthread_mutex_init(&broker->lock, NULL);
    broker->bell = abx_fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    int r = broker->bell < 0 ? -errno
                             : -pthread_create(&broker->thread, NULL, broker_thread, broker);
    if (r < 0) {
        if (broker->bell >= 0)
            close(broker->bell);
        free(broker);
        return r;
    }
    *ret = broker;
    return 0;
}

void abx_broker_set_compiler(struct abx_broker *broker, int sock)
{
    fcntl(sock, F_SETFL, O_NONBLOCK);
    pthread_mutex_lock(&broker->lock);
    if (broker->new_sock >= 0)
        close(broker->new_sock);
    broker->new_sock = sock;
    pthread_mutex_unlock(&broker->lock);
    ring(broker);
}

void abx_broker_destroy(struct abx_broker *broker)
{
    if (!broker)
        return;
    pthread_mutex_lock(&broker->lock);
    broker->closing = true;
    pthread_mutex_unlock(&broker->lock);
    ring(broker);
    pthread_join(broker->thread, NULL);
    if (broker->sock >= 0)
        close(broker->sock);
    close(broker->bell);
    pthread_mutex_destroy(&broker->lock);
    free(broker);
}
