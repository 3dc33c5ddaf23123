/* host: which transport serves the clients that the supervisor hands over. */
#include "host/transport/socket.h"

int abx_host_transport_open(int sock, int host_page, struct abx_host_transport **ret)
{
    return abx_host_socket_open(&abx_host_transport_unix, sock, host_page, ret);
}
