/* host: private to the supervisor role. One thread; nothing here is locked. */
#ifndef ABX_HOST_SUPERVISOR_INTERNAL_H
#define ABX_HOST_SUPERVISOR_INTERNAL_H

#include "host/control/stats.h"
#include "host/control/outbox.h"
#include "host/control/roles.h"

#include <sys/types.h>

/* One for each tenant that lives with a connection, and for those who ask. */
#define SUPERVISOR_MAX_CONTROLS (ABX_MAX_TENANTS + 64u)
#define SUPERVISOR_MAX_FILES 4096u /* numbers of descriptors are below */
#define SUPERVISOR_MAX_REFUSED 16u

/* What an answer may leave unread: the longest list, of clients of all tenants, fits twice. */
#define SUPERVISOR_MAX_UNREAD (16u << 20)

struct control_connection {
    int sock; /* -1: free */
    struct abx_outbox outbox;
};

struct supervised_client {
    bool used;
    pid_t pid;                  /* of the peer when it connected */
    uint64_t since_ns;          /* CLOCK_REALTIME */
    struct abx_host_page *page; /* ours too, so that a dead worker's clients can be told */
};

struct worker {
    struct worker *next;
    struct tenant *tenant; /* NULL: the spare */
    pid_t pid;
    int sock;
    int log; /* what it says: the read end of its standard error */
    uint64_t log_second;
    uint32_t log_bytes; /* of this second */
    uint64_t number;    /* no other has or had it */
    bool ready;
    bool silent; /* and ended for it */
    struct abx_heartbeat beat;
    bool wants_compiler;      /* its socket to one has closed */
    uint64_t compiler_due_ns; /* not before then it gets another */
    char backend[16];
    unsigned threads, compile_seconds;
    struct abx_worker_stats *stats;
    unsigned client_count;
    struct supervised_client clients[ABX_MAX_CLIENTS];
};

struct tenant {
    struct tenant *next;
    struct abx_control_tenant info; /* name, socket, backend, limits, deaths */
    int listener;                   /* its own socket, or -1: came by the default socket */
    int holder;                     /* control connection it lives with, or -1 */
    /* Who it is that came by the default socket: held, so that the kernel gives its number to
     * nobody else. Its process name space, or the process itself where that is hidden; else -1. */
    int space, process;
    pid_t pid;      /* of `process` */
    bool inherited; /* from a supervisor that died; `process` is who held it, or -1 */
    struct worker *worker;
};

/* A connection that was told why not. 0: none. */
struct refused {
    int sock;
    uint64_t close_ns; /* CLOCK_MONOTONIC */
};

struct supervisor {
    struct refused refused[SUPERVISOR_MAX_REFUSED];
    unsigned refused_next;
    char runtime[ABX_CONTROL_PATH_BYTES];
    char log[ABX_CONTROL_PATH_BYTES];
    char backend[16];
    struct abx_control_limits limits;
    unsigned idle_seconds;
    uint64_t started_ns;    /* CLOCK_REALTIME */
    uint64_t idle_since_ns; /* CLOCK_MONOTONIC; 0: not idle */
    int lock, signals, control, clients;
    bool passed_sockets; /* a service manager listens there, and goes on to */
    int reserve;         /* given up to take a connection when there are no more descriptors */
    struct control_connection controls[SUPERVISOR_MAX_CONTROLS];
    int compiler; /* to the compiler process, or -1 */
    pid_t compiler_pid;
    uint64_t compiler_due_ns; /* not before then the next one is started for who lost this one */
    struct abx_heartbeat compiler_beat;
    struct abx_awake_clock awake;
    uint64_t patience_ns; /* with a worker or compiler that does not answer */
    struct tenant *tenants;
    unsigned tenant_count;
    struct worker *workers; /* the spare and those that serve a tenant */
    uint64_t last_worker;
    uint64_t spare_due_ns; /* when to start the next spare; 0: there is one */
    bool stopping;
};

void supervisor_log(const char *format, ...) ABX_PRINTF(1, 2);
/* Bytes into the log, which starts afresh when it has grown too large. */
void supervisor_write(const char *data, size_t bytes);
uint64_t supervisor_realtime_ns(void);

/* setup.c: 0, or -errno with a message. */
int supervisor_setup(struct supervisor *s, struct abx_string *message);
void supervisor_cleanup(struct supervisor *s);
int supervisor_listen(const char *path, unsigned mode);

/* worker.c */
struct worker *worker_spawn(
        struct supervisor *s, const char *backend, const struct abx_control_limits *limits);
/* The tenant's worker, made or taken from the spare. NULL: could not be started. */
struct worker *worker_of(struct supervisor *s, struct tenant *tenant);
/* Hands a connection to the tenant's worker; `sock` is taken over. */
void worker_add_client(struct supervisor *s, struct tenant *tenant, int sock);
/* Closes `sock` a moment later: one that closes with something unread would take back what was said
 * last. */
void refused_add(struct supervisor *s, int sock);
void refused_close(struct refused *refused);
/* Gives compilers to those that have lost theirs; when the next of them is due (UINT64_MAX: none
 * is). CLOCK_MONOTONIC. */
uint64_t workers_give_compilers(struct supervisor *s, uint64_t now);
void worker_message(struct supervisor *s, struct worker *worker);
/* It does not read or answer what it is sent: whatever holds it up, the next one is not held up. */
void compiler_drop(struct supervisor *s);
/* Something is in its log. */
void worker_said(struct worker *worker);
/* The process `pid` ended. */
/* Whether the kernel ended something of our control group for want of memory since the last call.
 */
bool supervisor_out_of_memory(void);
void worker_reaped(struct supervisor *s, pid_t pid, int status);
void worker_kill(struct supervisor *s, struct worker *worker);

/* beat.c. Asks whom somebody waits for, ends who does not answer. True: to be called
 * again within ABX_BEAT_NS. */
bool beats_look(struct supervisor *s);
void beat_answered(struct supervisor *s, struct abx_heartbeat *beat);
/* The compiler's socket is readable. */
void compiler_message(struct supervisor *s);

/* tenant.c */
struct tenant *tenant_find(struct supervisor *s, const char *name);
int tenant_create(struct supervisor *s, const struct abx_control_request *request, bool own_socket,
        struct tenant **ret, struct abx_string *message);
void tenant_remove(struct supervisor *s, struct tenant *tenant);
/* The tenant of a process that came by the default socket: its container's. NULL: none can be made.
 */
struct tenant *tenant_of_peer(struct supervisor *s, int sock);
/* record.c. Makes again the tenants of a supervisor that died without removing them:
 * their containers may still be there. Those that lived with a connection live with its process. */
void tenants_inherit(struct supervisor *s);
/* Which process holds a tenant that lives with a connection; for a supervisor after this one. */
void tenant_record(struct supervisor *s, const struct tenant *tenant, pid_t holder);
void tenant_forget_record(struct supervisor *s, const struct tenant *tenant);
/* A tenant of the default socket without clients goes away; one that has seen a death stays in the
 * listing for a while. */
void tenant_maybe_drop(struct supervisor *s, struct tenant *tenant);

/* control.c: what a control connection's socket is ready for: one request, or the rest
 * of an answer. False: close it. */
bool control_event(struct supervisor *s, struct control_connection *c);
/* There is no place for it. */
void control_refuse(struct supervisor *s, int sock);

#endif
