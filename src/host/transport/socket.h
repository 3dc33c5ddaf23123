/* host: transports over a unix socket that carries descriptors. See transport.h. */
#ifndef ABX_HOST_TRANSPORT_SOCKET_H
#define ABX_HOST_TRANSPORT_SOCKET_H

#include "host/transport/transport.h"

extern const struct abx_host_transport_ops abx_host_transport_unix;

struct abx_host_socket {
    struct abx_host_transport base;
    int sock, doorbell, page_fd;
};

/* As abx_host_transport_open(), for transports whose structure is that above. */
int abx_host_socket_open(const struct abx_host_transport_ops *ops, int sock, int host_page,
        struct abx_host_transport **ret);

/* The operations. */
unsigned abx_host_socket_wait(struct abx_host_transport *t, int timeout_ms);
void abx_host_socket_hush(struct abx_host_transport *t);
void abx_host_socket_interrupt(struct abx_host_transport *t);
ssize_t abx_host_socket_receive(
        struct abx_host_transport *t, union abx_message *message, struct abx_parcel *ret_parcel);
int abx_host_socket_greet(struct abx_host_transport *t, const struct abx_parcel *parcel);
int abx_host_socket_send(struct abx_host_transport *t, const void *message, size_t bytes, int fd);
int abx_host_socket_map(
        struct abx_host_transport *t, const struct abx_parcel *parcel, void *at, uint64_t bytes);
int abx_host_socket_check(
        struct abx_host_transport *t, const struct abx_parcel *parcel, uint64_t bytes);
int abx_host_socket_file(struct abx_host_transport *t, struct abx_parcel *parcel, uint64_t bytes);
void abx_host_socket_wake(struct abx_host_transport *t, const _Atomic uint64_t *word);
void abx_host_socket_tell_lost(struct abx_host_transport *t);
bool abx_host_socket_is_gone(struct abx_host_transport *t);
void abx_host_socket_close(struct abx_host_transport *t);

#endif
