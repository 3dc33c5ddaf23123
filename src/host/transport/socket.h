/* host: transports over a unix socket that carries descriptors. See transport.h. */
#ifndef ABX_HOST_TRANSPORT_SOCKET_H
#define ABX_HOST_TRANSPORT_SOCKET_H

#include <stdatomic.h>

#include "host/transport/transport.h"

extern const struct abx_host_transport_ops abx_host_transport_unix;

struct abx_host_socket {
    struct abx_host_transport base;
    int sock, doorbell, page_fd;
    /* Of a client in a virtual machine: its RAM, and who wakes it. -1: a process of this one. */
    int ram;
    _Atomic int call;
    uint64_t ram_bytes;
};

/* As abx_host_transport_open(), for transports whose structure is that above. */
int abx_host_socket_open(const struct abx_host_transport_ops *ops, int sock, int host_page,
        struct abx_host_transport **ret);

/* vm.c: the same where memory is pieces of a virtual machine's RAM. */
/* Both descriptors are taken over. */
int abx_host_vm_begin(struct abx_host_socket *t, int ram, int call);
/* Reads a list of pieces out of a file, which stays the caller's. */
int abx_host_vm_runs(struct abx_host_socket *t, int fd, struct abx_parcel *ret);
int abx_host_vm_check(const struct abx_parcel *parcel, uint64_t bytes);
int abx_host_vm_map(
        struct abx_host_socket *t, const struct abx_parcel *parcel, void *at, uint64_t bytes);
void abx_host_vm_released(struct abx_host_transport *t, uint64_t address);
int abx_host_vm_greet(struct abx_host_socket *t, const struct abx_parcel *parcel);

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
