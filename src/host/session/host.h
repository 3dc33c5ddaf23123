/* host: executing clients. What the worker, the in-process transport and the fuzzers share: opening
 * a device, taking a client's connection, draining its ring. Knows nothing of processes, sandboxes
 * or the control protocol.
 *
 * Trust: the guest's pages, sockets and records are hostile. The compiler's answers, the backend
 * and the caller are trusted. */
#ifndef ABX_HOST_HOST_H
#define ABX_HOST_HOST_H

#include "backend/backend.h"
#include "host/control/limits.h"
#include "host/control/stats.h"
#include "host/transport/transport.h"
#include "wire/wire.h"

struct abx_host;
struct abx_session;

struct abx_host_config {
    const struct abx_backend *backend;
    unsigned device; /* which of the backend's */
    const char *tenant;
    struct abx_control_limits limits; /* no zeros: abx_control_default_limits() fills them */
    struct abx_worker_stats *stats;   /* NULL: its own */
    int compiler; /* socket to the compiler, now the host's; -1: compiles fail */
    /* The device is gone, and every client knows; may not return. NULL is legal. On a thread of the
     * backend's. */
    void (*device_lost)(struct abx_host *host);
    /* The compiler has ended: abx_host_set_compiler() brings another, once there is one. NULL: none
     * will come. On a thread of the host's. */
    void (*compiler_lost)(struct abx_host *host);
    /* It does not answer, and is to be ended. NULL: somebody else looks after it. As above. */
    void (*end_compiler)(struct abx_host *host);
};

/* Opens the device. 0 or -errno. */
int abx_host_open(const struct abx_host_config *config, struct abx_host **ret);
/* `sock` is the host's from here on. Any thread. */
void abx_host_set_compiler(struct abx_host *host, int sock);
/* Every client ended before. */
void abx_host_close(struct abx_host *host);
void abx_host_info(struct abx_host *host, struct abx_device_info *ret);
/* After this no client is accepted, the tenant's limits included. Any thread. */
void abx_host_set_tenant(
        struct abx_host *host, const char *tenant, const struct abx_control_limits *limits);
/* Ends kernels that have used more processor time than the limit: their command buffers' results
 * say TIMEOUT. Call every 100 ms or so, from one thread. */
void abx_host_watchdog(struct abx_host *host);
/* From a fault handler, so async-signal-safe. A kernel on this thread read at `address`, where
 * there is nothing: true when it reads zeros there from now on, as on GPUs. Not for writes. */
bool abx_host_stray_read(struct abx_host *host, const void *address);
/* From a fault handler, so async-signal-safe: what ran on this thread gets `reason`, every client
 * is told that the device is lost. The caller ends the process. */
void abx_host_lost(struct abx_host *host, enum abx_reason reason, const char *text);
/* One line to standard error. */
void abx_host_log(struct abx_host *host, const char *format, ...) ABX_PRINTF(2, 3);

/* A connection: the transport is the client's from here on, also on failure. slot: unused,
 * < ABX_MAX_CLIENTS. */
int abx_session_create(struct abx_host *host, struct abx_host_transport *transport, unsigned slot,
        struct abx_session **ret);
/* Serves until the client is gone or killed, sleeping when idle. Frees everything but the struct.
 */
void abx_session_serve(struct abx_session *session);
/* Drains the ring now, on the calling thread. Any thread. */
void abx_session_kick(struct abx_session *session);
/* Drops the caller's reference. */
void abx_session_release(struct abx_session *session);

/* For fuzzers and tests: one round of the service loop without sleeping: socket, inbox, ring. False
 * when the client is dead. */
bool abx_session_step(struct abx_session *session);
/* Ends a client that is not being served: what abx_session_serve() does at its end. */
void abx_session_finish(struct abx_session *session);

#endif
