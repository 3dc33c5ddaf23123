/* host: the transport of containers. Runs in the worker, which got the socket from the supervisor.
 * See transport.h. */
#include "host/transport/socket.h"

const struct abx_host_transport_ops abx_host_transport_unix = {
        .name = "unix",
        .wait = abx_host_socket_wait,
        .hush = abx_host_socket_hush,
        .interrupt = abx_host_socket_interrupt,
        .receive = abx_host_socket_receive,
        .greet = abx_host_socket_greet,
        .send = abx_host_socket_send,
        .map = abx_host_socket_map,
        .check = abx_host_socket_check,
        .file = abx_host_socket_file,
        .released = abx_host_vm_released,
        .wake = abx_host_socket_wake,
        .tell_lost = abx_host_socket_tell_lost,
        .is_gone = abx_host_socket_is_gone,
        .close = abx_host_socket_close,
};
