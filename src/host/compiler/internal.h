/* host: private to the compiler process. One thread; nothing here is locked. */
#ifndef ABX_HOST_COMPILER_INTERNAL_H
#define ABX_HOST_COMPILER_INTERNAL_H

#include "host/compiler/compiler.h"
#include "host/control/outbox.h"

#include <sys/types.h>

/* What a child makes and the disk cache keeps: this head, the message, padding to 8, the blob. */
#define ARTIFACT_MAGIC 0x54524158u /* "XART" */
struct artifact {
    uint32_t magic;
    int32_t error;
    uint64_t message_bytes, blob_bytes;
};

static inline const char *artifact_message(const struct artifact *a)
{
    return (const char *)(a + 1);
}

static inline const uint8_t *artifact_blob(const struct artifact *a)
{
    return (const uint8_t *)(a + 1) + abx_align_up(a->message_bytes, 8);
}

/* True when `bytes` at `a` are a whole artifact within the caps of the shader module. */
bool artifact_check(const struct artifact *a, size_t bytes);

/* ---- memory.c: what children do not inherit: sources and artifacts, of any tenant */
void *guarded_alloc(size_t bytes); /* zeros, or NULL */
void guarded_free(void *p);
/* Whether children started from now on inherit it; NULL is ignored. -errno. */
int guarded_inherit(const void *p, bool inherit);
/* Nobody changes it from here on. -errno: somebody still writes, or it was sealed by others. */
int guarded_seal(int fd);
/* A memory file of at most `cap` bytes, sealed against every change, to be read; the caller's to
 * guarded_free(). -errno. */
int guarded_map(int fd, size_t cap, void **ret_data, size_t *ret_bytes);

/* ---- cache.c: <cache folder>/<2 hex>/<62 hex>. A cache that fails is no error. Large
 * entries are read and written in slices, so that nobody waits for another's. */
#define CACHE_SLICE_BYTES (256u << 10) /* about a millisecond */
void cache_open(void);
/* An entry that is being read; NULL: there is none. */
struct cache_reading *cache_get(const uint8_t key[32]);
/* A slice more. True: done, `reading` is gone, and *ret_fd a sealed memory file that holds an
 * artifact, the caller's, or -1: it was damaged. */
bool cache_read_some(struct cache_reading *reading, int *ret_fd);
void cache_read_stop(struct cache_reading *reading); /* NULL is legal */
/* Keeps what is in the sealed memory file, soon; a small one now. */
void cache_put(const uint8_t key[32], int fd, size_t bytes);
/* A slice more of what is to be kept. True: that was not all. */
bool cache_write_some(void);

/* ---- child.c: one sandboxed process a compile */
struct child_work {
    const struct artifact *library; /* a pipeline's; NULL: a library is to be compiled */
    const void *request;            /* library: options, macros, source */
    size_t request_bytes;
    uint32_t target, processor, function, constant_count;
    const struct abx_shader_constant *constants;
    const struct abx_shader_link *links;
    uint32_t link_count;
    unsigned cpu_seconds;
    unsigned cores; /* that it may use */
    bool verbose;   /* say what the sandbox lacks: the first child does */
};
/* Finds the tools once. The message is kept for every later compile. */
void child_setup(void);
/* What one ends with when it is done. */
enum {
    CHILD_DONE = 0,
    CHILD_NO_CUBIN = 3,         /* there was to be one, and will not be the next time */
    CHILD_NO_CUBIN_FOR_NOW = 4, /* there may be the next time: what it made is not for the disk */
};
/* Starts one; *ret_out is a memory file, yet to be sealed, that the artifact will be in. The
 * process id, or -errno. */
pid_t child_start(const struct child_work *work, int *ret_out);

struct library {
    struct library *next;
    unsigned references; /* of connections' holds and jobs */
    uint8_t key[32];
    struct artifact *artifact;
};

struct hold {
    struct hold *next;
    struct library *library;
};

struct connection {
    struct connection *next;
    int sock;
    uint64_t worker;    /* the supervisor's number of it */
    uint32_t target;    /* enum abx_shader_target: its pipelines' */
    uint32_t processor; /* of that target: machine code is made for it, where it can be; or 0 */
    unsigned cpu_seconds;
    unsigned running, jobs;
    uint64_t looked_turn; /* when it had its slice */
    uint64_t library_bytes;
    uint64_t waiting_bytes; /* of its requests that have no answer yet */
    struct hold *holds;     /* one for each LIBRARY answered and not dropped */
    /* Answers it has not read yet; while there are any, none of its requests is read. */
    struct abx_outbox outbox;
    bool broken; /* has gone, or reads too little: to be closed */
};

struct waiter {
    struct waiter *next;
    struct connection *connection;
    uint64_t id, since_ns;
};

/* A request on its way to a key, and an entry of the cache on its way here: slice by slice, one a
 * connection and turn, so that nobody waits for another's large one. */
struct look_up {
    struct connection *connection;
    uint64_t id, since_ns;
    struct cache_reading *reading; /* NULL: it is hashed */
    size_t done;
    struct abx_sha256 hash;
};

struct job {
    struct job *next;
    uint8_t key[32];
    struct waiter *waiters;  /* the first one's connection pays */
    struct library *library; /* a pipeline's */
    struct library **linked; /* of each link, a reference each */
    struct abx_shader_link *links;
    uint32_t link_count;
    /* The guest's file, mapped: sealed, so it is what was hashed. Children see it as show() says.
     */
    const uint8_t *request;
    size_t request_bytes;
    struct look_up *look_up; /* until it is known whether it is to be compiled */
    uint32_t target, processor, function, constant_count;
    struct abx_shader_constant *constants;
    struct connection *payer; /* whose waiting_bytes count it; NULL: it has gone */
    size_t bytes;
    pid_t pid; /* 0: waits */
    unsigned cpu_seconds;
    int out;
    uint64_t deadline_ns; /* by the awake clock */
    bool late;
    bool again; /* its child was killed by others, and this is the second */
};

/* ---- libraries.c: compiled libraries in memory, for as long as some worker has them */
struct library *library_find(const uint8_t key[32]); /* NULL: it is not there */
/* Takes the artifact over. One reference, the caller's; NULL: no memory. */
struct library *library_new(const uint8_t key[32], struct artifact *artifact);
void library_unref(struct library *library); /* NULL is legal */
/* False: the connection keeps more than it may, or there is no memory. */
bool hold_add(struct connection *c, struct library *library);
struct hold **hold_find(struct connection *c, const uint8_t key[32]); /* *ret NULL: it has none */
void hold_drop(struct connection *c, struct hold **at);
/* What is in a sealed file: mapped, not copied, and checked as far as this process reads it: a
 * reflection is read, and checked, by workers, guests and compile children, each in its own time.
 * NULL: it is none. The caller's to guarded_free(). */
struct artifact *artifact_in(int fd, bool is_library, size_t *ret_bytes);

/* ---- answers.c. A peer that does not read is marked as broken, and closed in the loop: an answer
 * may be sent in the middle of a walk over connections' jobs. */
void send_answer(
        struct connection *c, const struct abx_compiler_answer *a, struct abx_payload *payload);
void answer_error(struct connection *c, uint64_t id, int error, const char *text);
/* What every answer with this artifact carries: of a library its reflection, and the library stays;
 * of a pipeline the file as it is (`fd`, taken over; not of errors). The artifact is taken over. */
struct abx_payload *artifact_payload(struct artifact *artifact, struct library *library, int fd);
/* `library`: the payload's, when it is one. */
void answer_payload(struct connection *c, uint64_t id, int error, struct abx_payload *payload,
        struct library *library, bool cached, uint64_t since_ns);

/* ---- jobs.c */
void jobs_open(unsigned most); /* children at a time, at least 1 */
/* Charges the job to the connection. False: that lets too much wait. */
bool job_pay(struct job *job, struct connection *c, size_t bytes);
void job_free(struct job *job); /* which is in no list */
/* One more that waits for it. False: no memory. */
bool job_wait_for(struct job *job, struct connection *c, uint64_t id, uint64_t start_ns);
/* Everybody who waits gets the artifact, which is taken over; `fd`, the file it is in, is not. */
void job_answer(struct job *job, struct artifact *artifact, int fd, bool cached);
struct job *job_of(const uint8_t key[32]); /* one that somebody waits for; NULL: there is none */
void job_add(struct job *job);             /* to be compiled; taken over */
void jobs_schedule(void);                  /* starts as many as may run */
void jobs_reap(void);                      /* answers those whose children have ended */
int jobs_deadlines(void);              /* kills what is late; when to look again, in ms, or -1 */
void jobs_leave(struct connection *c); /* what nobody else waits for ends */
void jobs_kill(void);

/* ---- requests.c */
bool request_receive(struct connection *c); /* false: close the connection */
bool requests_wait(void);                   /* for requests_look() */
/* One slice for each connection that has something to hash or to read. */
void requests_look(void);
void requests_leave(struct connection *c);

void compiler_log(const char *format, ...) ABX_PRINTF(1, 2);

#endif
