/* wire, guest side: the transport of containers: the host runtime listens on a unix socket. Runs in
 * the guest's process. See transport.h. */
#include "wire/transport/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int abx_socket_find(char *place, size_t place_bytes)
{
    const char *named = getenv(ABX_SOCKET_ENV);
    if (named && *named) {
        snprintf(place, place_bytes, "%s", named);
        return abx_socket_connect(named);
    }
    snprintf(place, place_bytes, "%s", ABX_SOCKET_PATH);
    int sock = abx_socket_connect(place);
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (sock >= 0 || !runtime || !*runtime)
        return sock;
    char second[108];
    if (snprintf(second, sizeof second, "%s/arcbox/gpu.sock", runtime) >= (int)sizeof second)
        return sock;
    int r = abx_socket_connect(second);
    return r >= 0 ? r : sock;
}

static int connect_socket(struct abx_greeting *greeting, struct abx_transport **ret)
{
    struct abx_transport_socket *t = abx_socket_new(&abx_transport_unix);
    if (!t)
        return -ENOMEM;
    int r = t->sock = abx_socket_find(greeting->place, sizeof greeting->place);
    if (r >= 0)
        r = abx_socket_hello(t, greeting);
    if (r >= 0)
        r = abx_socket_welcome(t, greeting);
    if (r < 0) {
        abx_socket_disconnect(&t->base);
        return r;
    }
    *ret = &t->base;
    return 0;
}

static void doorbell(struct abx_transport *base)
{
    struct abx_transport_socket *t = (struct abx_transport_socket *)base;
    uint64_t one = 1;
    if (abx_transport_host_sleeps(base))
        (void)!write(t->doorbell, &one, sizeof one);
}

const struct abx_transport_ops abx_transport_unix = {
        .name = "unix",
        .same_kernel = true,
        .connect = connect_socket,
        .share = abx_socket_share,
        .adopt = abx_socket_adopt,
        .lend = abx_socket_lend,
        .send = abx_socket_send,
        .receive = abx_socket_receive,
        .doorbell = doorbell,
        .sleep = abx_socket_sleep,
        .wake = abx_socket_wake,
        .alive = abx_socket_alive,
        .abandon = abx_socket_abandon,
        .disconnect = abx_socket_disconnect,
};
