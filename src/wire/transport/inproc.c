/* wire, guest side: the transport without isolation: the host runtime is a library of this process,
 * which stays loaded, and drains the ring on the calling thread. See transport.h. */
#include "wire/transport/socket.h"

#include <dlfcn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int attach_function(int sock, void (**ret_kick)(void *), void **ret_context);

static int attach(struct abx_transport_socket *t, struct abx_greeting *greeting)
{
    void *library = dlopen("libarcbox-inproc.so", RTLD_NOW | RTLD_LOCAL);
    attach_function *attach_to =
            library ? (attach_function *)dlsym(library, "abx_inproc_attach") : NULL;
    if (!attach_to) {
        greeting->why = "libarcbox-inproc.so is not to be found";
        return -ENOENT;
    }
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pair[0] = abx_fd_high(pair[0]);
    pair[1] = abx_fd_high(pair[1]);
    t->sock = pair[0];
    int r = pair[0] < 0 || pair[1] < 0 ? -EMFILE : abx_socket_hello(t, greeting);
    if (r == 0) {
        r = attach_to(pair[1], &t->kick, &t->kick_context);
        if (r < 0)
            close(pair[1]);
    }
    if (r < 0)
        greeting->why = "the host runtime would not start in this process";
    return r;
}

static int connect_library(struct abx_greeting *greeting, struct abx_transport **ret)
{
    struct abx_transport_socket *t = abx_socket_new(&abx_transport_inproc);
    if (!t)
        return -ENOMEM;
    snprintf(greeting->place, sizeof greeting->place, "%s", t->base.ops->name);
    int r = attach(t, greeting);
    if (r == 0)
        r = abx_socket_welcome(t, greeting);
    if (r < 0) {
        abx_socket_disconnect(&t->base);
        return r;
    }
    *ret = &t->base;
    return 0;
}

static void kick(struct abx_transport *base)
{
    struct abx_transport_socket *t = (struct abx_transport_socket *)base;
    t->kick(t->kick_context);
}

/* The host looks at its socket when it is called. */
static int send_and_kick(struct abx_transport *t, const void *message, size_t bytes,
        const void *payload, size_t payload_bytes)
{
    int r = abx_socket_send(t, message, bytes, payload, payload_bytes);
    if (r == 0)
        kick(t);
    return r;
}

const struct abx_transport_ops abx_transport_inproc = {
        .name = "inproc",
        .same_kernel = true,
        .connect = connect_library,
        .share = abx_socket_share,
        .adopt = abx_socket_adopt,
        .lend = abx_socket_lend,
        .send = send_and_kick,
        .receive = abx_socket_receive,
        .doorbell = kick,
        .sleep = abx_socket_sleep,
        .wake = abx_socket_wake,
        .alive = abx_socket_alive,
        .abandon = abx_socket_abandon,
        .disconnect = abx_socket_disconnect,
};
