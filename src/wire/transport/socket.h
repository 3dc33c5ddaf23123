/* wire, guest side: transports whose messages go through a unix socket that carries descriptors,
 * and whose shared memory is memory files. See transport.h. */
#ifndef ABX_WIRE_TRANSPORT_SOCKET_H
#define ABX_WIRE_TRANSPORT_SOCKET_H

#include "wire/transport/transport.h"

extern const struct abx_transport_ops abx_transport_unix, abx_transport_inproc;

struct abx_transport_socket {
    struct abx_transport base;
    int sock, doorbell;
    /* The host is a library of this process, and drains the ring when it is called. */
    void (*kick)(void *context);
    void *kick_context;
};

/* Not connected: both descriptors are -1. NULL: no memory. */
struct abx_transport_socket *abx_socket_new(const struct abx_transport_ops *ops);
/* A socket connected to `path`, or -errno. */
int abx_socket_connect(const char *path);
/* Where the host runtime listens; `place` is where it was looked for. A socket, or -errno. */
int abx_socket_find(char *place, size_t place_bytes);
/* Makes the guest page and says hello, then takes the answer, with the host page and the bell. */
int abx_socket_hello(struct abx_transport_socket *t, const struct abx_greeting *greeting);
int abx_socket_welcome(struct abx_transport_socket *t, struct abx_greeting *greeting);

/* The operations. */
int abx_socket_share(
        struct abx_transport *t, const struct abx_message_chunk *chunk, struct abx_shared *memory);
int abx_socket_adopt(
        struct abx_transport *t, const struct abx_message_chunk *chunk, struct abx_shared *memory);
int abx_socket_lend(struct abx_transport *t, const struct abx_message_chunk *chunk, int fd);
int abx_socket_send(struct abx_transport *t, const void *message, size_t bytes, const void *payload,
        size_t payload_bytes);
ssize_t abx_socket_receive(struct abx_transport *t, union abx_message *message,
        struct abx_attachment *ret_payload, int timeout_ms);
void abx_socket_sleep(
        struct abx_transport *t, const _Atomic uint64_t *word, uint64_t expected, int64_t limit_ns);
void abx_socket_wake(struct abx_transport *t, const _Atomic uint64_t *word);
bool abx_socket_alive(struct abx_transport *t);
void abx_socket_abandon(struct abx_transport *t);
void abx_socket_disconnect(struct abx_transport *t);

#endif
