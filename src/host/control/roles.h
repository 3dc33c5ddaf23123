/* host: between the supervisor and the processes it starts. Descriptors and messages; the
 * supervisor trusts a worker only to say that a client has gone. */
#ifndef ABX_HOST_ROLES_H
#define ABX_HOST_ROLES_H

#include "host/control/control.h"

/* Descriptors a role is started with; everything else is closed. */
#define ABX_ROLE_SOCKET 3          /* to the supervisor, SOCK_SEQPACKET */
#define ABX_ROLE_STATS 4           /* worker: struct abx_worker_stats */
#define ABX_ROLE_COMPILER_SOCKET 5 /* worker: to the first compiler */

enum abx_role_type {
    ABX_ROLE_TENANT = 1, /* supervisor -> worker: whom it serves, before any client */
    ABX_ROLE_CLIENT = 2, /* supervisor -> worker, fds: connection, host page */
    ABX_ROLE_READY = 3,  /* worker -> supervisor: sandboxed, device open */
    ABX_ROLE_GONE = 4,   /* worker -> supervisor: the client in `slot` is gone, all of it freed */
    ABX_ROLE_NO_COMPILER = 5, /* worker -> supervisor: its compiler's socket has closed */
    ABX_ROLE_COMPILER = 6,    /* supervisor -> worker, fd: to another compiler */
    ABX_ROLE_BEAT = 7,        /* supervisor -> worker, and back: it is there */
};

struct abx_role_message {
    uint32_t type, slot;
    char tenant[ABX_TENANT_NAME_BYTES];
    struct abx_control_limits limits;
};

/* The worker role: never returns. */
_Noreturn void abx_worker_main(const char *backend, unsigned threads);

#endif
