/* host: libraries and pipelines of clients, and the requests to the compiler that make them. Runs
 * in the worker: requests on the engine's thread, answers on one thread of its own, which loads
 * code into the backend and posts to the client's inbox. Trusts the compiler; source, constants and
 * function numbers are the guest's and only passed on. */
#include "host/compiler.h"
#include "host/host_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
    struct request *next;
    uint64_t id;
    struct abx_session *session; /* one reference */
    bool library;
    uint32_t tag; /* library */
    abx_handle handle;
    struct abx_pipeline_object *pipeline; /* one reference */
};

struct abx_broker {
    struct abx_host *host;
    int sock;
    pthread_t thread;
    pthread_mutex_t lock; /* requests, next_id */
    struct request *requests;
    uint64_t next_id;
    bool gone; /* the compiler ended: requests fail at once */
};

/* ---- answers */

void abx_pipeline_fail(struct abx_pipeline_object *pipeline, const char *text, size_t length)
{
    pipeline->text = strndup(text, length);
    atomic_store_explicit(&pipeline->state, ABX_PIPELINE_FAILED, memory_order_release);
}

static void pipeline_answer(struct abx_broker *broker, struct abx_pipeline_object *pipeline,
        const struct abx_compiler_answer *a, const uint8_t *map)
{
    struct abx_host *host = broker->host;
    pipeline->cached = a->cached;
    if (a->error || !map) {
        static const char nothing[] = "the shader compiler said nothing";
        abx_pipeline_fail(pipeline, map && a->message_bytes ? (const char *)map : nothing,
                map && a->message_bytes ? a->message_bytes : sizeof nothing - 1);
        return;
    }
    const uint8_t *object = map + abx_align_up(a->message_bytes, 8);
    int r = host->backend->pipeline->create(
            host->device, object, a->payload_bytes, &pipeline->backend);
    if (r < 0) {
        char text[96];
        int n = snprintf(text, sizeof text, "the compiled code was refused: %s", strerror(-r));
        abx_pipeline_fail(pipeline, text, (size_t)n);
        return;
    }
    pipeline->static_threadgroup_bytes =
            host->backend->pipeline->threadgroup_bytes(pipeline->backend);
    atomic_store_explicit(&pipeline->state, ABX_PIPELINE_READY, memory_order_release);
}

/* Hands an answer to the client; the request ends, `fd` (or -1) is the item's. */
static void deliver(struct abx_broker *broker, struct request *request,
        const struct abx_compiler_answer *a, int fd)
{
    struct abx_session *session = request->session;
    struct abx_inbox_item *item = calloc(1, sizeof *item);
    if (request->pipeline) {
        size_t bytes = abx_align_up(a->message_bytes, 8) + a->payload_bytes;
        void *map = fd >= 0 ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
        pipeline_answer(broker, request->pipeline, a, map == MAP_FAILED ? NULL : map);
        if (map != MAP_FAILED)
            munmap(map, bytes);
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    atomic_fetch_add(&session->stats->compiles, 1);
    atomic_fetch_add(&session->stats->compiles_cached, a->cached);
    if (item) {
        item->library = request->library;
        item->tag = request->tag;
        item->handle = request->handle;
        item->error = a->error;
        item->cached = a->cached;
        item->microseconds = a->microseconds;
        item->message_bytes = a->message_bytes;
        item->reflection_bytes = a->payload_bytes;
        memcpy(item->key, a->key, sizeof item->key);
        item->fd = fd;
        item->pipeline = request->pipeline;
        abx_session_post(session, item);
    } else {
        if (fd >= 0)
            close(fd);
        if (request->pipeline)
            abx_object_release(&request->pipeline->head);
    }
    abx_session_release(session);
    free(request);
}

static struct request *take(struct abx_broker *broker, uint64_t id)
{
    pthread_mutex_lock(&broker->lock);
    struct request **at = &broker->requests;
    while (*at && (*at)->id != id)
        at = &(*at)->next;
    struct request *request = *at;
    if (request)
        *at = request->next;
    pthread_mutex_unlock(&broker->lock);
    return request;
}

static void fail_all(struct abx_broker *broker)
{
    pthread_mutex_lock(&broker->lock);
    broker->gone = true;
    struct request *request = broker->requests;
    broker->requests = NULL;
    pthread_mutex_unlock(&broker->lock);
    while (request) {
        struct request *next = request->next;
        struct abx_compiler_answer a = {.error = -EPIPE};
        deliver(broker, request, &a, -1);
        request = next;
    }
}

static void *answers(void *argument)
{
    struct abx_broker *broker = argument;
    for (;;) {
        struct abx_compiler_answer a;
        int fds[ABX_SOCK_MAX_FDS];
        unsigned fd_count = 0;
        ssize_t n = abx_sock_receive(broker->sock, &a, sizeof a, fds, &fd_count);
        if (n <= 0)
            break;
        struct request *request = n == sizeof a ? take(broker, a.id) : NULL;
        if (request && fd_count)
            deliver(broker, request, &a, fds[--fd_count]);
        else if (request)
            deliver(broker, request, &a, -1);
        while (fd_count)
            close(fds[--fd_count]);
    }
    fail_all(broker);
    return NULL;
}

/* ---- requests */

int abx_broker_create(struct abx_host *host, int sock, struct abx_broker **ret)
{
    struct abx_broker *broker = calloc(1, sizeof *broker);
    if (!broker)
        return -ENOMEM;
    broker->host = host;
    broker->sock = sock;
    pthread_mutex_init(&broker->lock, NULL);
    int r = -pthread_create(&broker->thread, NULL, answers, broker);
    if (r < 0) {
        free(broker);
        return r;
    }
    *ret = broker;
    return 0;
}

void abx_broker_destroy(struct abx_broker *broker)
{
    if (!broker)
        return;
    shutdown(broker->sock, SHUT_RDWR);
    pthread_join(broker->thread, NULL);
    close(broker->sock);
    pthread_mutex_destroy(&broker->lock);
    free(broker);
}

/* Sends a request and remembers who asked. On failure nothing is remembered or retained. */
static int send_request(struct abx_broker *broker, struct abx_compiler_request *message,
        const struct request *who, int fd)
{
    struct request *request = malloc(sizeof *request);
    if (!request)
        return -ENOMEM;
    *request = *who;
    abx_session_retain(request->session);
    if (request->pipeline)
        abx_object_retain(&request->pipeline->head);
    pthread_mutex_lock(&broker->lock);
    int r = broker->gone ? -EPIPE : 0;
    if (r == 0) {
        message->id = request->id = ++broker->next_id;
        request->next = broker->requests;
        broker->requests = request;
    }
    pthread_mutex_unlock(&broker->lock);
    if (r == 0) {
        r = abx_sock_send(broker->sock, message, abx_compiler_request_bytes(message), &fd, fd >= 0);
        /* The answering thread may have failed it meanwhile: then it is gone from the list. */
        if (r == 0 || !take(broker, request->id))
            return 0;
    }
    if (request->pipeline)
        abx_object_release(&request->pipeline->head);
    abx_session_release(request->session);
    free(request);
    return r;
}

int abx_broker_compile(
        struct abx_session *session, uint32_t tag, abx_handle library, int fd, uint64_t bytes)
{
    struct abx_broker *broker = session->host->broker;
    if (!broker)
        return -ENOSYS;
    struct abx_compiler_request message = {.type = ABX_COMPILER_LIBRARY, .bytes = bytes};
    struct request who = {.session = session, .library = true, .tag = tag, .handle = library};
    atomic_fetch_add(&session->compiles_pending, 1);
    int r = send_request(broker, &message, &who, fd);
    if (r < 0)
        atomic_fetch_sub(&session->compiles_pending, 1);
    return r;
}

/* ---- libraries */

static void drop(struct abx_broker *broker, const uint8_t key[32])
{
    struct abx_compiler_request message = {.type = ABX_COMPILER_DROP};
    memcpy(message.key, key, sizeof message.key);
    abx_sock_send(broker->sock, &message, sizeof message, NULL, 0);
}

void abx_library_add(struct abx_session *session, struct abx_inbox_item *item)
{
    /* Handle 0: the guest only wanted to know whether it compiles. */
    if (!item->handle || atomic_load(&session->dead)) {
        drop(session->host->broker, item->key);
        return;
    }
    size_t bytes = abx_align_up(item->message_bytes, 8) + item->reflection_bytes;
    void *map = item->fd >= 0 ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, item->fd, 0) : MAP_FAILED;
    const void *reflection =
            map == MAP_FAILED ? NULL : (uint8_t *)map + abx_align_up(item->message_bytes, 8);
    if (!reflection || abx_reflection_check(reflection, item->reflection_bytes) < 0) {
        if (map != MAP_FAILED)
            munmap(map, bytes);
        drop(session->host->broker, item->key);
        item->error = -EBADMSG;
        return;
    }
    struct abx_library_object *library =
            abx_object_create(session, item->handle, ABX_CLASS_LIBRARY, sizeof *library);
    if (!library) {
        munmap(map, bytes);
        drop(session->host->broker, item->key);
        return;
    }
    memcpy(library->key, item->key, sizeof library->key);
    library->map = map;
    library->map_bytes = bytes;
    library->reflection = reflection;
}

void abx_library_destroy(struct abx_library_object *library)
{
    drop(library->head.session->host->broker, library->key);
    munmap(library->map, library->map_bytes);
    free(library);
}

/* ---- pipelines */

/* What validating a dispatch needs of the function's reflection. */
static void describe(struct abx_pipeline_object *pipeline, const struct abx_reflection *r,
        const struct abx_reflection_function *f)
{
    const struct abx_reflection_argument *a = abx_reflection_arguments(r) + f->first_argument;
    const struct abx_device_info *info = &pipeline->head.session->host->info;
    for (uint32_t i = 0; i < f->argument_count; i++)
        if (a[i].kind == ABX_ARGUMENT_BUFFER && a[i].index < ABX_MAX_BUFFER_BINDINGS)
            pipeline->buffers_used |= 1u << a[i].index;
    pipeline->binding_count =
            pipeline->buffers_used ? 32 - (uint32_t)__builtin_clz(pipeline->buffers_used) : 0;
    pipeline->max_threads = info->max_threads_per_threadgroup;
    if (f->max_threads && f->max_threads < pipeline->max_threads)
        pipeline->max_threads = f->max_threads;
    memcpy(pipeline->required_threads, f->required_threads, sizeof pipeline->required_threads);
}

void abx_constants_read(
        struct abx_shader_constant *to, const struct abx_wire_constant *from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        to[i].index = from[i].index;
        to[i].type = from[i].type;
        memcpy(to[i].value, &from[i].value_low, 8);
        memcpy(to[i].value + 8, &from[i].value_high, 8);
    }
}

void abx_pipeline_request(
        struct abx_pipeline_object *pipeline, struct abx_compiler_request *message)
{
    struct abx_session *session = pipeline->head.session;
    struct request who = {.session = session, .pipeline = pipeline};
    static const char text[] = "the shader compiler is gone";
    message->type = ABX_COMPILER_PIPELINE;
    if (send_request(session->host->broker, message, &who, -1) < 0)
        abx_pipeline_fail(pipeline, text, sizeof text - 1);
}

struct abx_pipeline_object *abx_pipeline_new(struct abx_session *session, abx_handle handle,
        struct abx_library_object *library, uint32_t function)
{
    const struct abx_reflection *reflection = library->reflection;
    const struct abx_reflection_function *f = abx_reflection_functions(reflection) + function;
    if (function >= reflection->function_count || f->kind != ABX_FUNCTION_KERNEL) {
        abx_session_kill(
                session, "it made a pipeline of function %u, which is no kernel", function);
        return NULL;
    }
    struct abx_pipeline_object *pipeline =
            abx_object_create(session, handle, ABX_CLASS_PIPELINE, sizeof *pipeline);
    if (pipeline) {
        atomic_init(&pipeline->state, ABX_PIPELINE_COMPILING);
        describe(pipeline, reflection, f);
    }
    return pipeline;
}

void abx_pipeline_create(struct abx_session *session, abx_handle handle,
        struct abx_library_object *library, const struct abx_rec_pipeline_create *r)
{
    struct abx_pipeline_object *pipeline = abx_pipeline_new(session, handle, library, r->function);
    size_t bytes = r->constant_count * sizeof(struct abx_shader_constant);
    struct abx_compiler_request *message = pipeline ? calloc(1, sizeof *message + bytes) : NULL;
    static const char text[] = "no memory";
    if (message) {
        message->function = r->function;
        message->constant_count = message->own_constants = r->constant_count;
        memcpy(message->key, library->key, sizeof message->key);
        abx_constants_read(message->constants, r->constants, r->constant_count);
        abx_pipeline_request(pipeline, message);
        free(message);
    } else if (pipeline)
        abx_pipeline_fail(pipeline, text, sizeof text - 1);
}

void abx_pipeline_destroy(struct abx_pipeline_object *pipeline)
{
    while (pipeline->waiters) {
        struct abx_prepare_waiter *waiter = pipeline->waiters;
        pipeline->waiters = waiter->next;
        free(waiter);
    }
    if (pipeline->backend)
        pipeline->head.session->host->backend->pipeline->destroy(pipeline->backend);
    free(pipeline->text);
    free(pipeline);
}
