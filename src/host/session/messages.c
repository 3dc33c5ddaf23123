/* host: a client's messages: hello, memory chunks, compiles and prepares, and their answers. Runs
 * in the worker, engine's thread. Messages and descriptors are hostile. */
#include "host/session/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void answer(struct abx_session *session, const void *message, size_t bytes, int fd)
{
    int r = session->transport->ops->send(session->transport, message, bytes, fd);
    if (r == -EAGAIN)
        abx_session_kill(session, "it does not read its answers");
    else if (r < 0)
        atomic_store(&session->dead, true); /* it left */
    atomic_fetch_add_explicit(&session->stats->round_trips, 1, memory_order_relaxed);
}

static void refuse(struct abx_session *session, int error, const char *text)
{
    struct abx_message_refused refused = {.type = ABX_MESSAGE_REFUSED, .error = (uint32_t)error};
    snprintf(refused.text, sizeof refused.text, "%s", text);
    answer(session, &refused, sizeof refused, -1);
    abx_session_kill(session, "refused: %s", text);
}

/* ---- hello */

static void set_program(struct abx_session *session, const struct abx_message_hello *hello)
{
    for (unsigned i = 0; i < sizeof session->program - 1 && hello->program[i]; i++) {
        char c = hello->program[i];
        session->program[i] = c > ' ' && c < 127 ? c : '_';
    }
    memcpy(session->stats->program, session->program, sizeof session->program);
    session->pid = hello->pid;
}

static void send_welcome(struct abx_session *session)
{
    struct abx_host *host = session->host;
    const struct abx_device_info *info = &host->info;
    struct abx_message_welcome w = {
            .type = ABX_MESSAGE_WELCOME,
            .version = ABX_WIRE_VERSION,
            .window = (uint64_t)(uintptr_t)session->window,
            .window_bytes = session->window_bytes,
            .memory_cap = host->limits.memory_bytes,
            .recommended_working_set = info->recommended_working_set,
            .max_buffer_length = info->max_buffer_length,
            .registry_id = info->registry_id,
            .unified_memory = info->unified_memory,
            .simd_width = info->simd_width,
            .max_threadgroup_bytes = info->max_threadgroup_bytes,
            .max_threads_per_threadgroup = info->max_threads_per_threadgroup,
            .apple_family = info->apple_family,
            .metal3 = info->metal3,
            .operations = info->operations,
            .compute_units = info->compute_units,
            .mirror_align = info->mirror_align,
            .shader_version = 1,
            .asks_addresses = info->addresses == ABX_ADDRESS_DEVICE,
            .clock_ns = abx_now_ns(),
    };
    memcpy(w.device_name, info->name, sizeof w.device_name);
    memcpy(w.backend, info->backend, sizeof w.backend);
    memcpy(w.tenant, host->tenant, sizeof w.tenant);
    uint64_t own = abx_host_device_cap(host), cap = own ? own : w.memory_cap;
    if (!w.recommended_working_set || w.recommended_working_set > cap)
        w.recommended_working_set = cap;
    if (!w.max_buffer_length || w.max_buffer_length > cap)
        w.max_buffer_length = cap;
    if (session->transport->ops->send(session->transport, &w, sizeof w, -1) < 0)
        atomic_store(&session->dead, true);
    atomic_fetch_add(&session->stats->round_trips, 1);
    session->greeted = true;
}

static void on_hello(struct abx_session *session, const struct abx_message_hello *hello,
        const struct abx_parcel *parcel)
{
    if (session->greeted) {
        abx_session_kill(session, "it said hello twice");
        return;
    }
    if (hello->magic != ABX_WIRE_MAGIC || hello->version != ABX_WIRE_VERSION) {
        char text[160];
        snprintf(text, sizeof text,
                "the guest library speaks version %u of the wire, this host version %u",
                hello->version, ABX_WIRE_VERSION);
        refuse(session, EPROTO, text);
        return;
    }
    set_program(session, hello);
    if (session->transport->ops->greet(session->transport, parcel) < 0) {
        refuse(session, EINVAL, "the guest page is not a sealed memory file of the right size");
        return;
    }
    session->guest = session->transport->guest;
    abx_session_publish(session);
    send_welcome(session);
}

/* ---- memory */

static void on_chunk(
        struct abx_session *session, const struct abx_message_chunk *m, struct abx_parcel *parcel)
{
    if (m->chunk == 0 || m->chunk >= ABX_MAX_CHUNKS || session->chunks[m->chunk]) {
        abx_session_kill(session, "it sent the memory chunk %u, which is no free number", m->chunk);
        return;
    }
    struct abx_host_transport *t = session->transport;
    parcel->is_file = m->flags & ABX_CHUNK_FILE;
    parcel->file_offset = m->file_offset;
    bool wrong = m->bytes == 0 || (m->flags & ~ABX_CHUNK_FILE) || (parcel->is_file && parcel->runs);
    int r = wrong ? -EINVAL : t->ops->check(t, parcel, m->bytes);
    struct abx_range *range;
    if (r == 0)
        r = abx_space_map(session, m->address, m->bytes, parcel, &range);
    if (r < 0) {
        abx_session_kill(session, "its memory chunk %u (%llu bytes at %#llx) was refused: %s",
                m->chunk, (unsigned long long)m->bytes, (unsigned long long)m->address,
                strerror(-r));
        return;
    }
    session->chunks[m->chunk] = range;
    atomic_fetch_add_explicit(&session->page->bytes_shared, m->bytes, memory_order_relaxed);
}

/* ---- compiles */

static void send_compiled(struct abx_session *session, const struct abx_inbox_item *item)
{
    struct abx_message_compiled compiled = {.type = ABX_MESSAGE_COMPILED,
            .tag = item->tag,
            .error = item->error,
            .message_bytes = item->message_bytes,
            .reflection_bytes = item->reflection_bytes,
            .cached = item->cached,
            .microseconds = item->microseconds};
    memcpy(compiled.key, item->key, sizeof compiled.key);
    answer(session, &compiled, sizeof compiled, item->fd);
}

static void on_compile(
        struct abx_session *session, const struct abx_message_compile *m, struct abx_parcel *parcel)
{
    struct abx_host_transport *t = session->transport;
    struct abx_inbox_item failed = {.tag = m->tag, .fd = -1};
    bool fits = m->bytes && m->bytes <= ABX_MAX_METALLIB_BYTES;
    int fd = fits ? t->ops->file(t, parcel, m->bytes) : -EINVAL;
    if (m->bytes > ABX_MAX_METALLIB_BYTES)
        failed.error = -EFBIG;
    else if (fd < 0)
        failed.error = -EINVAL;
    else if (atomic_load(&session->compiles_pending) >= ABX_MAX_COMPILES_PENDING)
        failed.error = -EAGAIN;
    else
        failed.error = abx_broker_compile(session, m->tag, m->library, fd, m->bytes);
    if (fd >= 0)
        close(fd);
    if (failed.error)
        send_compiled(session, &failed);
}

static void send_prepared(
        struct abx_session *session, uint32_t tag, const struct abx_pipeline_object *pipeline)
{
    struct abx_message_prepared prepared = {.type = ABX_MESSAGE_PREPARED, .tag = tag};
    if (!pipeline) {
        prepared.error = -ENOENT;
        snprintf(prepared.text, sizeof prepared.text, "there is no such pipeline");
    } else if (atomic_load(&pipeline->state) == ABX_PIPELINE_COMPILING) {
        prepared.error = -ENOMEM; /* it cannot be told later */
    } else {
        prepared.error = atomic_load(&pipeline->state) == ABX_PIPELINE_READY ? 0 : -EINVAL;
        prepared.cached = pipeline->cached;
        prepared.threadgroup_bytes = prepared.error ? 0 : pipeline->static_threadgroup_bytes;
        snprintf(prepared.text, sizeof prepared.text, "%s", pipeline->text ? pipeline->text : "");
    }
    answer(session, &prepared, sizeof prepared, -1);
}

static void send_addressed(
        struct abx_session *session, uint32_t tag, const struct abx_buffer_object *buffer)
{
    struct abx_message_addressed addressed = {.type = ABX_MESSAGE_ADDRESSED, .tag = tag};
    if (!buffer)
        addressed.error = -ENOENT;
    else if (!buffer->memory || atomic_load(&buffer->range->state) != ABX_RANGE_READY)
        addressed.error = -ENOMEM;
    else
        addressed.address =
                session->host->backend->memory->address(buffer->memory) + buffer->offset;
    answer(session, &addressed, sizeof addressed, -1);
}

static void refuse_question(struct abx_session *session, enum abx_inbox_kind kind, uint32_t tag)
{
    if (kind == ABX_INBOX_PREPARE)
        send_prepared(session, tag, NULL);
    else
        send_addressed(session, tag, NULL);
}

/* Answered later, from the inbox: the ring holds the record that makes the object, and may not be
 * read in the middle of one of its own records, where a chunk message is sometimes fetched. */
static void on_question(
        struct abx_session *session, enum abx_inbox_kind kind, uint32_t tag, abx_handle handle)
{
    /* Charged until it is answered. */
    bool paid = abx_books_charge(session, ABX_QUESTION_BYTES) == 0;
    struct abx_inbox_item *item = paid ? calloc(1, sizeof *item) : NULL;
    if (!item) {
        if (paid)
            abx_books_uncharge(session, ABX_QUESTION_BYTES);
        refuse_question(session, kind, tag);
        return;
    }
    item->kind = kind;
    item->tag = tag;
    item->handle = handle;
    item->fd = -1;
    if (!abx_session_post(session, item)) {
        abx_books_uncharge(session, ABX_QUESTION_BYTES);
        free(item);
    }
}

static void prepare(struct abx_session *session, const struct abx_inbox_item *item)
{
    struct abx_pipeline_object *pipeline = (void *)abx_object_find(session, item->handle);
    if (pipeline && pipeline->head.class != ABX_CLASS_PIPELINE)
        pipeline = NULL;
    struct abx_prepare_waiter *waiter = NULL;
    if (pipeline && atomic_load(&pipeline->state) == ABX_PIPELINE_COMPILING &&
            (waiter = malloc(sizeof *waiter))) {
        *waiter = (struct abx_prepare_waiter){pipeline->waiters, item->tag};
        pipeline->waiters = waiter;
    } else {
        abx_books_uncharge(session, ABX_QUESTION_BYTES);
        send_prepared(session, item->tag, pipeline);
    }
}

/* False: its memory is not there yet. */
static bool tell_address(struct abx_session *session, const struct abx_inbox_item *item)
{
    struct abx_buffer_object *buffer = (void *)abx_object_find(session, item->handle);
    if (buffer && buffer->head.class != ABX_CLASS_BUFFER)
        buffer = NULL;
    if (buffer && atomic_load(&buffer->range->state) == ABX_RANGE_IMPORTING)
        return false;
    abx_books_uncharge(session, ABX_QUESTION_BYTES);
    send_addressed(session, item->tag, buffer);
    return true;
}

void abx_session_tell_addresses(struct abx_session *session)
{
    for (struct abx_inbox_item **at = &session->asked, *item; (item = *at);) {
        if (atomic_load(&session->dead))
            abx_books_uncharge(session, ABX_QUESTION_BYTES);
        else if (!tell_address(session, item)) {
            at = &item->next;
            continue;
        }
        *at = item->next;
        free(item);
    }
}

/* Takes the item over. */
static void answer_question(struct abx_session *session, struct abx_inbox_item *item)
{
    if (!atomic_load(&session->dead))
        abx_session_drain_ring(session);
    if (atomic_load(&session->dead))
        abx_books_uncharge(session, ABX_QUESTION_BYTES);
    else if (item->kind == ABX_INBOX_PREPARE)
        prepare(session, item);
    else if (!tell_address(session, item)) {
        item->next = session->asked;
        session->asked = item;
        return;
    }
    free(item);
}

/* ---- reading */

static void dispatch(struct abx_session *session, const union abx_message *m, size_t bytes,
        struct abx_parcel *parcel)
{
    if (!session->greeted && m->type != ABX_MESSAGE_HELLO) {
        abx_session_kill(session, "its first message is not a hello");
        return;
    }
    if (m->type == ABX_MESSAGE_HELLO && bytes == sizeof m->hello)
        on_hello(session, &m->hello, parcel);
    else if (m->type == ABX_MESSAGE_CHUNK && bytes == sizeof m->chunk)
        on_chunk(session, &m->chunk, parcel);
    else if (m->type == ABX_MESSAGE_COMPILE && bytes == sizeof m->compile)
        on_compile(session, &m->compile, parcel);
    else if (m->type == ABX_MESSAGE_PREPARE && bytes == sizeof m->prepare)
        on_question(session, ABX_INBOX_PREPARE, m->prepare.tag, m->prepare.pipeline);
    else if (m->type == ABX_MESSAGE_ADDRESS && bytes == sizeof m->address)
        on_question(session, ABX_INBOX_ADDRESS, m->address.tag, m->address.buffer);
    else
        abx_session_kill(session, "it sent a message of type %u and %zu bytes", m->type, bytes);
}

void abx_session_drain_socket(struct abx_session *session)
{
    while (!atomic_load(&session->dead)) {
        union abx_message message;
        struct abx_parcel parcel;
        memset(&message, 0, sizeof message);
        ssize_t n = session->transport->ops->receive(session->transport, &message, &parcel);
        if (n == -EAGAIN)
            return;
        if (n < (ssize_t)sizeof message.type) {
            if (n > 0 || n == -EMSGSIZE)
                abx_session_kill(session, "it sent a message of an impossible size");
            else
                atomic_store(&session->dead, true); /* it left */
        } else
            dispatch(session, &message, (size_t)n, &parcel);
        abx_parcel_drop(&parcel);
    }
}

/* ---- the inbox: what other threads finished for this client */

bool abx_session_post(struct abx_session *session, struct abx_inbox_item *item)
{
    pthread_mutex_lock(&session->inbox_lock);
    bool there = session->transport;
    if (there) {
        item->next = atomic_load(&session->inbox);
        atomic_store(&session->inbox, item);
        abx_session_wake(session);
    }
    pthread_mutex_unlock(&session->inbox_lock);
    return there;
}

static void pipeline_over(struct abx_session *session, struct abx_pipeline_object *pipeline)
{
    while (pipeline->waiters) {
        struct abx_prepare_waiter *waiter = pipeline->waiters;
        pipeline->waiters = waiter->next;
        if (!atomic_load(&session->dead))
            send_prepared(session, waiter->tag, pipeline);
        abx_books_uncharge(session, ABX_QUESTION_BYTES);
        free(waiter);
    }
    abx_queues_pump(session);
}

void abx_session_drain_inbox(struct abx_session *session)
{
    pthread_mutex_lock(&session->inbox_lock);
    struct abx_inbox_item *item = atomic_exchange(&session->inbox, NULL);
    pthread_mutex_unlock(&session->inbox_lock);
    struct abx_inbox_item *first = NULL; /* oldest first */
    while (item) {
        struct abx_inbox_item *next = item->next;
        item->next = first;
        first = item;
        item = next;
    }
    while ((item = first)) {
        first = item->next;
        if (item->kind == ABX_INBOX_PREPARE || item->kind == ABX_INBOX_ADDRESS) {
            answer_question(session, item);
            continue;
        }
        if (item->kind == ABX_INBOX_LIBRARY) {
            atomic_fetch_sub(&session->compiles_pending, 1);
            if (item->error == 0)
                abx_library_add(session, item);
            if (!atomic_load(&session->dead))
                send_compiled(session, item);
        } else
            pipeline_over(session, item->pipeline);
        if (item->pipeline)
            abx_object_release(&item->pipeline->head);
        if (item->fd >= 0)
            close(item->fd);
        free(item);
    }
}
