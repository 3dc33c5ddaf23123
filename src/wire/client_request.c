/* wire, guest side: compiles, prepares and addresses, the only requests that wait for an answer.
 * Runs in the guest's process. One of the waiting threads receives for all of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/client_internal.h"

struct abx_client_request {
    struct abx_client_request *next;
    uint32_t tag, answer_type;
    bool done;
    union abx_message answer;
    struct abx_attachment payload; /* of the answer */
};

/* Lock held. A payload nobody asked for is freed. */
static void deliver(struct abx_client *client, const union abx_message *message, ssize_t length,
        struct abx_attachment payload)
{
    struct abx_client_request *r = NULL;
    if (length >= (ssize_t)(2 * sizeof(uint32_t))) /* `tag` is second in all answers */
        for (r = client->requests; r; r = r->next)
            if (!r->done && r->tag == message->compiled.tag && r->answer_type == message->type)
                break;
    if (!r) {
        free(payload.data);
        return;
    }
    memcpy(&r->answer, message, (size_t)length);
    r->payload = payload;
    r->done = true;
}

/* Lock held on entry and exit, not while it reads. */
static void read_one(struct abx_client *client)
{
    union abx_message message;
    struct abx_attachment payload = {0};
    client->reading = true;
    pthread_mutex_unlock(&client->request_lock);
    memset(&message, 0, sizeof message);
    ssize_t n = abx_client_receive_showing(client, &message, &payload);
    if (n <= 0)
        abx_client_lose(client, "the GPU worker ended");
    pthread_mutex_lock(&client->request_lock);
    client->reading = false;
    if (n > 0)
        deliver(client, &message, n, payload);
    pthread_cond_broadcast(&client->request_done);
}

/* Sends the message (its tag filled in) and waits for the answer. */
static int request(struct abx_client *client, union abx_message *message, size_t bytes,
        const void *payload, size_t payload_bytes, struct abx_client_request *r)
{
    if (abx_client_known_lost(client))
        return -ENODEV;
    pthread_mutex_lock(&client->request_lock);
    r->tag = message->compile.tag = ++client->next_tag;
    r->next = client->requests;
    client->requests = r;
    pthread_mutex_unlock(&client->request_lock);
    struct abx_transport *t = client->transport;
    int error = t->ops->send(t, message, bytes, payload, payload_bytes);
    if (error == -EPIPE || error == -ECONNRESET)
        abx_client_lost(client);
    pthread_mutex_lock(&client->request_lock);
    while (error == 0 && !r->done) {
        if (abx_client_known_lost(client))
            error = -ENODEV;
        else if (client->reading)
            pthread_cond_wait(&client->request_done, &client->request_lock);
        else
            read_one(client);
    }
    struct abx_client_request **at = &client->requests;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    pthread_mutex_unlock(&client->request_lock);
    return error;
}

/* Diagnostics, then the reflection at the next multiple of 8. */
static int read_answer(const struct abx_client_request *r, struct abx_client_compile *ret)
{
    const struct abx_message_compiled *c = &r->answer.compiled;
    const char *data = r->payload.data;
    uint64_t at = abx_align_up(c->message_bytes, 8);
    if (c->message_bytes > r->payload.bytes ||
            (c->reflection_bytes && !abx_range_ok(at, c->reflection_bytes, r->payload.bytes)))
        return -EBADMSG;
    if (c->message_bytes)
        ret->message = strndup(data, c->message_bytes);
    if (!c->reflection_bytes)
        return 0;
    ret->reflection = malloc(c->reflection_bytes);
    if (!ret->reflection)
        return -ENOMEM;
    memcpy(ret->reflection, data + at, c->reflection_bytes);
    return abx_reflection_check(ret->reflection, c->reflection_bytes);
}

void abx_client_compile(struct abx_client *client, abx_handle library, const void *bytes,
        size_t length, struct abx_client_compile *ret)
{
    *ret = (struct abx_client_compile){0};
    if (length > ABX_MAX_METALLIB_BYTES) {
        ret->error = -EFBIG;
        return;
    }
    union abx_message message = {
            .compile = {.type = ABX_MESSAGE_COMPILE, .library = library, .bytes = length}};
    struct abx_client_request r = {.answer_type = ABX_MESSAGE_COMPILED};
    atomic_fetch_add(&client->compile_trips, 1);
    ret->error = request(client, &message, sizeof message.compile, bytes, length, &r);
    if (ret->error < 0)
        return;
    ret->error = r.answer.compiled.error > 0 ? -EBADMSG : r.answer.compiled.error;
    ret->cached = r.answer.compiled.cached;
    memcpy(ret->key, r.answer.compiled.key, sizeof ret->key);
    int error = read_answer(&r, ret);
    free(r.payload.data);
    if (ret->error == 0 && (error < 0 || (library && !ret->reflection)))
        ret->error = error < 0 ? error : -EBADMSG;
    if (ret->error < 0) {
        free(ret->reflection);
        ret->reflection = NULL;
    }
}

int abx_client_prepare(struct abx_client *client, abx_handle pipeline,
        uint32_t *ret_threadgroup_bytes, char text[static 512])
{
    union abx_message message = {.prepare = {.type = ABX_MESSAGE_PREPARE, .pipeline = pipeline}};
    struct abx_client_request r = {.answer_type = ABX_MESSAGE_PREPARED};
    text[0] = 0;
    atomic_fetch_add(&client->prepare_trips, 1);
    abx_client_ring_doorbell(client); /* the pipeline_create may still wait there */
    int error = request(client, &message, sizeof message.prepare, NULL, 0, &r);
    free(r.payload.data);
    if (error < 0)
        return error;
    const struct abx_message_prepared *p = &r.answer.prepared;
    snprintf(text, 512, "%.*s", (int)sizeof p->text, p->text);
    if (p->error == 0)
        *ret_threadgroup_bytes = p->threadgroup_bytes;
    return p->error > 0 ? -EBADMSG : p->error;
}

int abx_client_address(struct abx_client *client, abx_handle buffer, uint64_t *ret)
{
    union abx_message message = {.address = {.type = ABX_MESSAGE_ADDRESS, .buffer = buffer}};
    struct abx_client_request r = {.answer_type = ABX_MESSAGE_ADDRESSED};
    atomic_fetch_add(&client->address_trips, 1);
    abx_client_ring_doorbell(client); /* the buffer_create may still wait there */
    int error = request(client, &message, sizeof message.address, NULL, 0, &r);
    free(r.payload.data);
    if (error < 0)
        return error;
    if (r.answer.addressed.error)
        return r.answer.addressed.error > 0 ? -EBADMSG : r.answer.addressed.error;
    *ret = r.answer.addressed.address;
    return 0;
}
