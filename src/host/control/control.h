/* host: the control protocol between the `arcbox` command and the supervisor (`arcboxd`).
 *
 * One SOCK_SEQPACKET unix socket, <runtime folder>/control.sock, for the same user only (checked by
 * SO_PEERCRED). A request is one struct abx_control_request; its answer is one struct
 * abx_control_reply followed by `count` messages, each one struct of the kind asked for. Both sides
 * are one build: a version that differs is refused, nothing is negotiated.
 *
 * The functions below are client.c: linked by the command line and by tests. They run in
 * the caller's process and trust the supervisor. Not thread-safe: one connection, one thread. */
#ifndef ABX_HOST_CONTROL_H
#define ABX_HOST_CONTROL_H

#include "base/base.h"
#include "host/control/limits.h"

#define ABX_CONTROL_VERSION 3u
#define ABX_CONTROL_PATH_BYTES 108u /* as sockaddr_un */

enum abx_control_type {
    ABX_CONTROL_PING = 1,          /* answer: one abx_control_daemon */
    ABX_CONTROL_TENANT_CREATE = 2, /* answer: one abx_control_tenant */
    ABX_CONTROL_TENANT_REMOVE = 3, /* kills its worker; answer: nothing more */
    ABX_CONTROL_TENANTS = 4,       /* answer: count abx_control_tenant */
    ABX_CONTROL_CLIENTS = 5,       /* answer: count abx_control_client */
    ABX_CONTROL_DEVICES = 6,       /* answer: count abx_control_device */
    ABX_CONTROL_SHUTDOWN = 7,      /* answered, then the daemon ends */
};

/* TENANT_CREATE flags. */
#define ABX_TENANT_HOLD 1u /* removed when the control connection (every copy of its fd) closes */

struct abx_control_request {
    uint32_t type, version;
    char name[ABX_TENANT_NAME_BYTES]; /* TENANT_CREATE ("" makes one up), TENANT_REMOVE */
    char backend[16]; /* TENANT_CREATE: see abx_control_devices(); "" for the daemon's default */
    uint32_t flags;
    uint32_t reserved;
    struct abx_control_limits limits; /* TENANT_CREATE */
};

struct abx_control_reply {
    int32_t error;  /* 0 or negative errno */
    uint32_t count; /* messages that follow */
    char text[248]; /* why, in words, when error is not 0 */
};

struct abx_control_daemon {
    uint32_t version; /* ABX_CONTROL_VERSION */
    int32_t pid;
    char release[32];    /* ABX_VERSION */
    char backend[16];    /* of tenants that name none */
    uint64_t started_ns; /* CLOCK_REALTIME */
    uint32_t tenants, clients;
    uint32_t idle_seconds; /* ends itself after so long without tenants and clients; 0: never */
    uint32_t reserved;
    char log[ABX_CONTROL_PATH_BYTES];
};

struct abx_control_tenant {
    char name[ABX_TENANT_NAME_BYTES];
    /* Its own client socket; with ABX_TENANT_HOLD anywhere, else <runtime>/tenants/NAME/gpu.sock.
     * Mount the folder into the container at /run/arcbox. "" for tenants that came by the default
     * socket. */
    char socket[ABX_CONTROL_PATH_BYTES];
    char backend[16], device[64];
    struct abx_control_limits limits;
    int32_t worker_pid; /* 0 while it has none (before its first client) */
    uint32_t clients;
    uint32_t worker_deaths; /* workers lost to faults, time-outs or kills so far */
    uint32_t processor;     /* 1: its kernels run on this machine's processor, not on a GPU */
    uint64_t memory_used;
    uint64_t since_ns;    /* CLOCK_REALTIME of its creation */
    char last_death[192]; /* why the last worker ended, "" if none did */
};

/* Numbers are the worker's own (it runs guest code natively on cpu): shown, never decided upon. */
struct abx_control_client {
    char tenant[ABX_TENANT_NAME_BYTES];
    char device[64], backend[16];
    char program[64];                    /* as it calls itself; printable characters only */
    int32_t pid;                         /* as the host sees it */
    uint32_t queues, waiting, compiling; /* command buffers, compiles that have not ended */
    uint32_t reserved;
    uint64_t since_ns;    /* CLOCK_REALTIME of its connection */
    uint64_t memory_used; /* bytes */
    uint64_t command_buffers, failed_command_buffers, commands, kernels;
    uint64_t busy_ns;                   /* time the device executed for it */
    uint64_t compiles, compiles_cached; /* libraries and pipelines */
    uint64_t round_trips;               /* requests answered over the socket, hello included */
};

struct abx_control_device {
    char name[64], backend[16];
    uint32_t is_default; /* what tenants get that name no backend */
    uint32_t simulated;  /* 1: it executes nothing */
    uint32_t threads, reserved;
    uint64_t memory_bytes;
};

/* ---- the client side */
struct abx_control;

/* The runtime folder: $XDG_RUNTIME_DIR/arcbox, /run/arcbox for root, else /tmp/arcbox-UID;
 * ARCBOX_RUNTIME_DIR overrides. Not created here. */
int abx_control_runtime_dir(char ret_path[ABX_CONTROL_PATH_BYTES]);
/* The socket of clients that belong to no created tenant: <runtime>/gpu.sock. */
int abx_control_default_socket(char ret_path[ABX_CONTROL_PATH_BYTES]);

/* Connects. start: when no daemon runs, spawns one (ARCBOXD, else beside this executable, else
 * ../libexec/arcbox, ../src/host in a build folder, else PATH) and waits until it is ready.
 * -ENOENT: no daemon (and start is false), or no arcboxd was found. *ret_message (may be NULL;
 * malloc()ed, written on failure only) says why. */
int abx_control_connect(bool start, struct abx_control **ret, char **ret_message);
void abx_control_close(struct abx_control *control); /* NULL is legal */
/* The socket: close-on-exec; hand a dup without it to the process that must keep a tenant held. */
int abx_control_fd(struct abx_control *control);
/* Why the last call failed, in words; valid until the next call. */
const char *abx_control_error(struct abx_control *control);

/* Each is one round trip: 0 or -errno. */
int abx_control_ping(struct abx_control *control, struct abx_control_daemon *ret);
/* limits: NULL for the defaults. -EEXIST: the name is taken. */
int abx_control_tenant_create(struct abx_control *control, const char *name, const char *backend,
        uint32_t flags, const struct abx_control_limits *limits, struct abx_control_tenant *ret);
int abx_control_tenant_remove(struct abx_control *control, const char *name);
/* The caller frees *ret (NULL when there are none). */
int abx_control_tenants(
        struct abx_control *control, struct abx_control_tenant **ret, unsigned *ret_count);
int abx_control_clients(
        struct abx_control *control, struct abx_control_client **ret, unsigned *ret_count);
int abx_control_devices(
        struct abx_control *control, struct abx_control_device **ret, unsigned *ret_count);
/* Returns when the daemon is gone (its sockets removed), or -ETIMEDOUT after 5 s. */
int abx_control_shutdown(struct abx_control *control);

#endif
