/* host: what the compiler process answers to workers. */
#include "host/compiler/internal.h"

#include <stdlib.h>
#include <string.h>

#define MAX_UNREAD_BYTES (64u << 20) /* answers that wait for it to read: more, and it is ended */

void send_answer(
        struct connection *c, const struct abx_compiler_answer *a, struct abx_payload *payload)
{
    if (c->broken)
        return;
    if (abx_outbox_send(&c->outbox, c->sock, a, sizeof *a, payload, MAX_UNREAD_BYTES) < 0)
        c->broken = true;
}

void answer_error(struct connection *c, uint64_t id, int error, const char *text)
{
    struct abx_compiler_answer a = {
            .id = id, .error = error, .message_bytes = (uint32_t)strlen(text)};
    char *copy = strdup(text);
    struct abx_payload *payload =
            copy ? abx_payload_new(copy, a.message_bytes, NULL, 0, free, copy) : NULL;
    if (!payload)
        a.message_bytes = 0;
    send_answer(c, &a, payload);
    abx_payload_unref(payload);
}

static void release_library(void *library)
{
    library_unref(library);
}

struct abx_payload *artifact_payload(struct artifact *artifact, struct library *library, int fd)
{
    const uint8_t *data = artifact_blob(artifact);
    size_t bytes = artifact->blob_bytes;
    if (fd >= 0) {
        struct abx_payload *payload = abx_payload_new_file(fd, artifact->message_bytes, bytes);
        guarded_free(artifact);
        return payload;
    }
    if (library) {
        const struct abx_shader_library *head = (const void *)data;
        data += head->reflection_offset;
        bytes = head->reflection_bytes;
        library->references++;
    }
    return abx_payload_new(artifact_message(artifact), artifact->message_bytes, data, bytes,
            library ? release_library : guarded_free, library ? (void *)library : artifact);
}

void answer_payload(struct connection *c, uint64_t id, int error, struct abx_payload *payload,
        struct library *library, bool cached, uint64_t since_ns)
{
    if (!payload || (library && !hold_add(c, library))) {
        answer_error(c, id, -ENOMEM,
                payload ? "this tenant keeps more compiled libraries than it may" : "no memory");
        return;
    }
    struct abx_compiler_answer a = {.id = id,
            .error = error,
            .cached = cached,
            .microseconds = (uint32_t)((abx_now_ns() - since_ns) / 1000),
            .message_bytes = (uint32_t)payload->text_bytes,
            .payload_bytes = payload->data_bytes,
            .offset = payload->fd >= 0 ? sizeof(struct artifact) : 0};
    if (library)
        memcpy(a.key, library->key, 32);
    bool empty = !a.message_bytes && !a.payload_bytes;
    send_answer(c, &a, empty ? NULL : payload);
}
