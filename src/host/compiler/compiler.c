/* host: the compiler process: takes requests from workers, answers from memory or disk, or starts a
 * sandboxed child (child.c). It owns the disk cache and never looks into a request beyond
 * its hash, and whether it is a .metallib file. Workers may be in a guest's hands: every request is
 * checked; files are sealed against writing, so that they need no copy. */
#include "host/compiler/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUPERVISOR 3
#define DEFAULT_CPU_SECONDS 60u
#define MAX_CONNECTIONS 512u
#define MAX_JOBS_PER_CONNECTION 65536u
#define MAX_LIBRARY_BYTES (1ull << 30)   /* libraries one connection keeps in memory */
#define MAX_WAITING_BYTES (512ull << 20) /* and what it has asked to be compiled */
#define MAX_UNREAD_BYTES (64u << 20)  /* answers that wait for it to read: more, and it is ended */
#define HASH_SLICE_BYTES (256u << 10) /* a millisecond */
#define WALL_FACTOR 3u                /* a child may take so many times its CPU seconds */
#define LOOK_NS 1000000000u           /* how often children are looked at */

/* A compiled library in memory, for as long as some worker has it. */
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
    uint64_t worker; /* the supervisor's number of it */
    uint32_t target; /* enum abx_shader_target: its pipelines' */
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
    uint32_t target, function, constant_count;
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

static struct connection *connections;
static struct library *libraries;
static struct job *jobs, **jobs_end = &jobs; /* oldest first */
static struct job *looking, **looking_end = &looking;
static uint64_t turn; /* of the loop */
static unsigned running, most_running;
static struct abx_awake_clock awake; /* children's time: what they take while we sleep is not it */

void compiler_log(const char *format, ...)
{
    char line[640], head[32];
    va_list args;
    snprintf(head, sizeof head, "compiler[%d]", (int)getpid());
    va_start(args, format);
    (void)!write(STDERR_FILENO, line, abx_log_line(line, sizeof line, head, format, args));
    va_end(args);
}

/* ---- libraries in memory */

static struct library *library_find(const uint8_t key[32])
{
    struct library *l = libraries;
    while (l && memcmp(l->key, key, 32) != 0)
        l = l->next;
    return l;
}

static void library_unref(struct library *library)
{
    if (!library || --library->references)
        return;
    struct library **at = &libraries;
    while (*at != library)
        at = &(*at)->next;
    *at = library->next;
    guarded_free(library->artifact);
    free(library);
}

/* Takes the artifact over. */
static struct library *library_new(const uint8_t key[32], struct artifact *artifact)
{
    struct library *library = calloc(1, sizeof *library);
    if (!library) {
        guarded_free(artifact);
        return NULL;
    }
    memcpy(library->key, key, 32);
    library->artifact = artifact;
    library->references = 1;
    library->next = libraries;
    libraries = library;
    return library;
}

static bool hold_add(struct connection *c, struct library *library)
{
    uint64_t bytes = library->artifact->blob_bytes;
    struct hold *hold = malloc(sizeof *hold);
    if (!hold || !abx_range_ok(c->library_bytes, bytes, MAX_LIBRARY_BYTES)) {
        free(hold);
        return false;
    }
    *hold = (struct hold){c->holds, library};
    c->holds = hold;
    c->library_bytes += bytes;
    library->references++;
    return true;
}

static struct hold **hold_find(struct connection *c, const uint8_t key[32])
{
    struct hold **at = &c->holds;
    while (*at && memcmp((*at)->library->key, key, 32) != 0)
        at = &(*at)->next;
    return at;
}

static void hold_drop(struct connection *c, struct hold **at)
{
    struct hold *hold = *at;
    *at = hold->next;
    c->library_bytes -= hold->library->artifact->blob_bytes;
    library_unref(hold->library);
    free(hold);
}

/* ---- answers */

/* A peer that does not read loses its connection, in serve_once(): this may be in the middle of a
 * walk over connections' jobs. */
static void send_answer(
        struct connection *c, const struct abx_compiler_answer *a, struct abx_payload *payload)
{
    if (c->broken)
        return;
    if (abx_outbox_send(&c->outbox, c->sock, a, sizeof *a, payload, MAX_UNREAD_BYTES) < 0)
        c->broken = true;
}

static void answer_error(struct connection *c, uint64_t id, int error, const char *text)
{
    struct abx_compiler_answer a = {
            .id = id, .error = error, .message_bytes = (uint32_t)strlen(text)};
    char *copy = strdup(text);
    struct abx_payload *payload =
            copy ? abx_payload_new(copy, a.message_bytes, NULL, 0, free, copy) : NULL;
    if (!payload)
        a.message_bytes = 0;
    send_answer(c, &a, payload);
    abx_payload_unref(payload);
}

static uint32_t since(uint64_t start_ns)
{
    return (uint32_t)((abx_now_ns() - start_ns) / 1000);
}

static void release_library(void *library)
{
    library_unref(library);
}

/* What every answer with this artifact carries: of a library its reflection, and the library stays;
 * of a pipeline the file as it is (`fd`, taken over; not of errors). The artifact is taken over. */
static struct abx_payload *artifact_payload(
        struct artifact *artifact, struct library *library, int fd)
{
    const uint8_t *data = artifact_blob(artifact);
    size_t bytes = artifact->blob_bytes;
    if (fd >= 0) {
        struct abx_payload *payload = abx_payload_new_file(fd, artifact->message_bytes, bytes);
        guarded_free(artifact);
        return payload;
    }
    if (library) {
        const struct abx_shader_library *head = (const void *)data;
        data += head->reflection_offset;
        bytes = head->reflection_bytes;
        library->references++;
    }
    return abx_payload_new(artifact_message(artifact), artifact->message_bytes, data, bytes,
            library ? release_library : guarded_free, library ? (void *)library : artifact);
}

/* `library`: the payload's, when it is one. */
static void answer_payload(struct connection *c, uint64_t id, int error,
        struct abx_payload *payload, struct library *library, bool cached, uint32_t microseconds)
{
    if (!payload || (library && !hold_add(c, library))) {
        answer_error(c, id, -ENOMEM,
                payload ? "this tenant keeps more compiled libraries than it may" : "no memory");
        return;
    }
    struct abx_compiler_answer a = {.id = id,
            .error = error,
            .cached = cached,
            .microseconds = microseconds,
            .message_bytes = (uint32_t)payload->text_bytes,
            .payload_bytes = payload->data_bytes,
            .offset = payload->fd >= 0 ? sizeof(struct artifact) : 0};
    if (library)
        memcpy(a.key, library->key, 32);
    bool empty = !a.message_bytes && !a.payload_bytes;
    send_answer(c, &a, empty ? NULL : payload);
}

/* ---- jobs */

/* False: its connection lets too much wait. */
static bool job_pay(struct job *job, struct connection *c, size_t bytes)
{
    if (!abx_range_ok(c->waiting_bytes, bytes, MAX_WAITING_BYTES))
        return false;
    job->payer = c;
    job->bytes = bytes;
    c->waiting_bytes += bytes;
    return true;
}

static void job_free(struct job *job)
{
    if (job->payer)
        job->payer->waiting_bytes -= job->bytes;
    while (job->waiters) {
        struct waiter *next = job->waiters->next;
        job->waiters->connection->jobs--;
        free(job->waiters);
        job->waiters = next;
    }
    library_unref(job->library);
    for (uint32_t i = 0; job->linked && i < job->link_count; i++)
        library_unref(job->linked[i]);
    free(job->linked);
    free(job->links);
    if (job->request)
        munmap((void *)job->request, job->request_bytes);
    if (job->look_up)
        cache_read_stop(job->look_up->reading);
    free(job->look_up);
    free(job->constants);
    free(job);
}

static void job_unlink(struct job *job)
{
    struct job **at = &jobs;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    if (!*at)
        jobs_end = at;
}

static void job_answer_error(struct job *job, int error, const char *text)
{
    for (struct waiter *w = job->waiters; w; w = w->next)
        answer_error(w->connection, w->id, error, text);
}

/* Everybody who waits gets the artifact, which is taken over; `fd`, the file it is in, is not. */
static void job_answer(struct job *job, struct artifact *artifact, int fd, bool cached)
{
    struct library *library = NULL;
    bool is_library = !job->library;
    if (is_library && artifact->error == 0 && !(library = library_new(job->key, artifact))) {
        job_answer_error(job, -ENOMEM, "no memory");
        return;
    }
    int error = artifact->error;
    int file = is_library || error ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    struct abx_payload *payload = artifact_payload(artifact, library, file);
    for (struct waiter *w = job->waiters; w; w = w->next)
        answer_payload(w->connection, w->id, error, payload, library, cached, since(w->since_ns));
    abx_payload_unref(payload);
    library_unref(library);
}

static unsigned waiting(void)
{
    unsigned n = 0;
    for (struct job *j = jobs; j; j = j->next)
        n += !j->pid;
    return n;
}

/* A child gets what it works on, and nothing of what else is in memory. */
static int show(const struct job *job, bool visible)
{
    int r = 0;
    if (job->request && madvise((void *)job->request, job->request_bytes,
                                visible ? MADV_DOFORK : MADV_DONTFORK) < 0)
        r = -errno;
    if (r == 0 && job->library)
        r = guarded_inherit(job->library->artifact, visible);
    for (uint32_t i = 0; r == 0 && i < job->link_count; i++)
        r = guarded_inherit(job->linked[i]->artifact, visible);
    return r;
}

static void start(struct job *job)
{
    static bool verbose = true;
    struct connection *c = job->waiters->connection;
    struct child_work work = {.library = job->library ? job->library->artifact : NULL,
            .request = job->request,
            .request_bytes = job->request_bytes,
            .target = job->target,
            .function = job->function,
            .constant_count = job->constant_count,
            .constants = job->constants,
            .links = job->links,
            .link_count = job->link_count,
            .cpu_seconds = c->cpu_seconds,
            .cores = most_running / (running + waiting()),
            .verbose = verbose};
    verbose = false;
    pid_t pid = show(job, true);
    if (pid == 0)
        pid = child_start(&work, &job->out);
    show(job, false);
    if (pid < 0) {
        job_answer_error(job, pid, "the shader compiler could not be started");
        job_unlink(job);
        job_free(job);
        return;
    }
    job->pid = pid;
    job->cpu_seconds = c->cpu_seconds;
    job->deadline_ns =
            abx_awake_ns(&awake, 2 * LOOK_NS) + c->cpu_seconds * WALL_FACTOR * 1000000000ull;
    c->running++;
    running++;
}

/* The oldest of those whose worker has the fewest running: one tenant's hundred pipelines do not
 * hold up another's first. */
static void schedule(void)
{
    while (running < most_running) {
        struct job *best = NULL;
        for (struct job *j = jobs; j; j = j->next)
            if (!j->pid &&
                    (!best || j->waiters->connection->running < best->waiters->connection->running))
                best = j;
        if (!best)
            return;
        start(best);
    }
}

/* What is in a sealed file: mapped, not copied, and checked as far as this process reads it: a
 * reflection is read, and checked, by workers, guests and compile children, each in its own time.
 */
static struct artifact *artifact_in(int fd, bool is_library, size_t *ret_bytes)
{
    void *data;
    if (guarded_map(fd, ABX_SHADER_MAX_LIBRARY_BYTES + (1u << 20), &data, ret_bytes) < 0)
        return NULL;
    struct artifact *a = data;
    bool ok = artifact_check(a, *ret_bytes);
    if (ok && a->error == 0 && is_library)
        ok = abx_shader_library_envelope_check(artifact_blob(a), a->blob_bytes) == 0;
    if (ok)
        return a;
    guarded_free(data);
    return NULL;
}

static void job_failed(struct job *job, int status, bool killed)
{
    char text[160];
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (job->late || number == SIGXCPU || (number == SIGKILL && !killed)) {
        job_answer_error(job, -ETIMEDOUT, ABX_SHADER_STOPPED);
        return;
    }
    if (killed) {
        job_answer_error(job, -EINTR,
                "the shader compiler was killed, twice (is the machine out of memory?)");
        return;
    }
    snprintf(text, sizeof text, "the shader compiler crashed (%s %d)", number ? "signal" : "status",
            number ? number : WEXITSTATUS(status));
    compiler_log("%s", text);
    job_answer_error(job, -EIO, ABX_SHADER_CRASHED);
}

/* Of a child: not for its own time, which ends in the same signal, and not by us. */
static bool killed_by_others(const struct job *job, int status, const struct rusage *used)
{
    uint64_t seconds = (uint64_t)used->ru_utime.tv_sec + (uint64_t)used->ru_stime.tv_sec + 1;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !job->late &&
           seconds < job->cpu_seconds;
}

static void job_over(struct job *job, int status, const struct rusage *used)
{
    size_t bytes;
    bool killed = killed_by_others(job, status, used);
    running--;
    if (job->waiters)
        job->waiters->connection->running--;
    if (killed && !job->again && job->waiters) { /* a machine out of memory, or a person */
        compiler_log("a compile was killed and is tried again");
        job->again = true;
        job->pid = 0;
        close(job->out);
        return;
    }
    struct artifact *artifact = status == 0 && guarded_seal(job->out) == 0
                                        ? artifact_in(job->out, !job->library, &bytes)
                                        : NULL;
    job_unlink(job);
    if (artifact) {
        if (artifact->error == 0)
            cache_put(job->key, job->out, bytes);
        job_answer(job, artifact, job->out, false);
    } else
        job_failed(job, status, killed);
    close(job->out);
    job_free(job);
}

static void reap(void)
{
    int status;
    struct rusage used;
    pid_t pid;
    while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0) {
        struct job *job = jobs;
        while (job && job->pid != pid)
            job = job->next;
        if (job)
            job_over(job, status, &used);
    }
}

/* Kills what is late; when to look again, in ms. */
static int deadlines(void)
{
    uint64_t now = abx_awake_ns(&awake, 2 * LOOK_NS);
    for (struct job *j = jobs; j; j = j->next)
        if (j->pid && !j->late && now >= j->deadline_ns) {
            j->late = true;
            kill(j->pid, SIGKILL);
        }
    return running ? (int)(LOOK_NS / 1000000u) : -1;
}

/* ---- requests */

static void hash_begin(struct abx_sha256 *h, const char *kind)
{
    const char *version = abx_shader_version();
    abx_sha256_init(h);
    abx_sha256_add(h, kind, strlen(kind) + 1);
    abx_sha256_add(h, version, strlen(version) + 1);
}

static void key_of(uint8_t ret_key[32], const char *kind, const void *a, size_t a_bytes,
        const void *b, size_t b_bytes)
{
    struct abx_sha256 h;
    hash_begin(&h, kind);
    abx_sha256_add(&h, a, a_bytes);
    abx_sha256_add(&h, b, b_bytes);
    abx_sha256_finish(&h, ret_key);
}

static bool wait_for(struct job *job, struct connection *c, uint64_t id, uint64_t start_ns)
{
    struct waiter *w = malloc(sizeof *w);
    if (!w)
        return false;
    *w = (struct waiter){job->waiters ? job->waiters->next : NULL, c, id, start_ns};
    if (job->waiters)
        job->waiters->next = w;
    else
        job->waiters = w;
    c->jobs++;
    return true;
}

/* One that is under way, or a new one. `job` has its inputs and is taken over. */
static void submit_compile(struct connection *c, struct job *job, uint64_t id, uint64_t start_ns)
{
    struct job *same = jobs;
    while (same && (!same->waiters || memcmp(same->key, job->key, 32) != 0))
        same = same->next;
    if (c->jobs >= MAX_JOBS_PER_CONNECTION || !wait_for(same ? same : job, c, id, start_ns)) {
        answer_error(c, id, -ENOMEM, "too many compiles are waiting");
        job_free(job);
    } else if (same)
        job_free(job);
    else {
        *jobs_end = job;
        jobs_end = &job->next;
    }
}

/* From what the disk had, in a sealed file (taken over), or -1. */
static void submit_read(
        struct connection *c, struct job *job, int fd, uint64_t id, uint64_t start_ns)
{
    size_t bytes;
    struct artifact *artifact = fd < 0 ? NULL : artifact_in(fd, !job->library, &bytes);
    if (artifact && artifact->error == 0 && wait_for(job, c, id, start_ns)) {
        job_answer(job, artifact, fd, true);
        job_free(job);
    } else {
        guarded_free(artifact);
        submit_compile(c, job, id, start_ns);
    }
    if (fd >= 0)
        close(fd);
}

static void look_up_later(struct job *job, struct look_up *l)
{
    job->look_up = l;
    *looking_end = job;
    looking_end = &job->next;
}

/* From memory, disk, or a compile. */
static void submit(struct connection *c, struct job *job, uint64_t id, uint64_t start_ns)
{
    int fd;
    struct library *known = job->library ? NULL : library_find(job->key);
    if (known) {
        struct abx_payload *payload = artifact_payload(known->artifact, known, -1);
        answer_payload(c, id, known->artifact->error, payload, known, true, since(start_ns));
        abx_payload_unref(payload);
        job_free(job);
        return;
    }
    struct cache_reading *reading = cache_get(job->key);
    struct look_up *l = reading ? malloc(sizeof *l) : NULL;
    if (!l) {
        cache_read_stop(reading);
        submit_compile(c, job, id, start_ns);
    } else if (cache_read_some(reading, &fd)) {
        free(l);
        submit_read(c, job, fd, id, start_ns);
    } else {
        l->connection = c;
        l->id = id;
        l->since_ns = start_ns;
        l->reading = reading;
        look_up_later(job, l);
    }
}

/* Removes it from its list. */
static void looking_unlink(struct job **at)
{
    struct job *job = *at;
    *at = job->next;
    if (!*at)
        looking_end = at;
    job->next = NULL;
}

/* False: there is more. */
static bool hash_slice(struct job *job, struct look_up *l)
{
    size_t left = job->request_bytes - l->done;
    size_t slice = left < HASH_SLICE_BYTES ? left : HASH_SLICE_BYTES;
    abx_sha256_add(&l->hash, job->request + l->done, slice);
    l->done += slice;
    return slice == left;
}

/* One slice for each connection that has something to hash or to read. */
static void look_some(void)
{
    turn++;
    for (struct job **at = &looking; *at;) {
        struct job *job = *at;
        struct look_up *l = job->look_up;
        bool hashing = !l->reading, had_its_turn = l->connection->looked_turn == turn;
        int fd = -1;
        l->connection->looked_turn = turn;
        if (had_its_turn || !(hashing ? hash_slice(job, l) : cache_read_some(l->reading, &fd))) {
            at = &job->next;
            continue;
        }
        looking_unlink(at);
        job->look_up = NULL;
        if (hashing) {
            abx_sha256_finish(&l->hash, job->key);
            submit(l->connection, job, l->id, l->since_ns);
        } else
            submit_read(l->connection, job, fd, l->id, l->since_ns);
        free(l);
    }
}

static int map_request(struct job *job, int fd, size_t bytes)
{
    /* No writer is left: what is hashed is what a child compiles. */
    int r = abx_memfd_check_sealed(fd, bytes);
    if (r < 0)
        return r;
    void *p = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    job->request = p;
    job->request_bytes = bytes;
    return madvise(p, bytes, MADV_DONTFORK) < 0 ? -errno : 0;
}

static void on_library(struct connection *c, const struct abx_compiler_request *r, int fd)
{
    struct job *job = calloc(1, sizeof *job);
    int error = !job                                           ? -ENOMEM
                : fd < 0                                       ? -EBADF
                : r->bytes > ABX_MAX_METALLIB_BYTES            ? -EFBIG
                : r->bytes < sizeof(struct abx_shader_options) ? -EINVAL
                : !job_pay(job, c, sizeof *job + r->bytes)     ? -EAGAIN
                                                               : map_request(job, fd, r->bytes);
    struct look_up *l = error == 0 ? malloc(sizeof *l) : NULL;
    if (error == 0 && !l)
        error = -ENOMEM;
    if (error < 0) {
        answer_error(c, r->id, error, strerror(-error));
        if (job)
            job_free(job);
        return;
    }
    l->connection = c;
    l->id = r->id;
    l->since_ns = abx_now_ns();
    l->reading = NULL;
    l->done = 0;
    hash_begin(&l->hash, "library");
    look_up_later(job, l);
}

/* Its libraries, all of which the connection must hold, and its constants. */
static int fill_links(struct job *job, struct connection *c, const struct abx_compiler_request *r)
{
    const struct abx_compiler_link *from = abx_compiler_links(r);
    job->linked = calloc(r->link_count + 1, sizeof(struct library *));
    job->links = calloc(r->link_count + 1, sizeof *job->links);
    if (!job->linked || !job->links)
        return -ENOMEM;
    for (uint32_t i = 0; i < r->link_count; i++) {
        struct hold *hold = *hold_find(c, from[i].key);
        if (!hold ||
                !abx_range_ok(from[i].first_constant, from[i].constant_count, r->constant_count))
            return -ENOENT;
        job->linked[i] = hold->library;
        hold->library->references++;
        job->link_count++;
        const struct artifact *artifact = hold->library->artifact;
        job->links[i] = (struct abx_shader_link){.library = artifact_blob(artifact),
                .library_bytes = artifact->blob_bytes,
                .kind = from[i].kind,
                .function = from[i].function,
                .constants = job->constants + from[i].first_constant,
                .constant_count = from[i].constant_count};
    }
    return 0;
}

static int fill_pipeline(
        struct job *job, struct connection *c, const struct abx_compiler_request *r)
{
    struct hold *hold = *hold_find(c, r->key);
    size_t bytes = r->constant_count * sizeof(struct abx_shader_constant);
    if (!hold)
        return -ENOENT;
    if (!job_pay(job, c,
                sizeof *job + abx_compiler_request_bytes(r) +
                        r->link_count * (sizeof *job->links + sizeof *job->linked)))
        return -EAGAIN;
    job->library = hold->library;
    hold->library->references++;
    if (!(job->constants = malloc(bytes + 1)))
        return -ENOMEM;
    memcpy(job->constants, r->constants, bytes);
    job->constant_count = r->own_constants;
    job->target = c->target;
    job->function = r->function;
    return fill_links(job, c, r);
}

static void on_pipeline(struct connection *c, const struct abx_compiler_request *r)
{
    struct job *job = calloc(1, sizeof *job);
    int error = job ? fill_pipeline(job, c, r) : -ENOMEM;
    if (error < 0) {
        answer_error(c, r->id, error,
                error == -ENOENT   ? "the pipeline's library is not known"
                : error == -EAGAIN ? "too many compiles are waiting"
                                   : "no memory");
        if (job)
            job_free(job);
        return;
    }
    uint8_t head[48];
    memcpy(head, r->key, 32);
    memcpy(head + 32, &r->function, 4);
    memcpy(head + 36, &r->own_constants, 4);
    memcpy(head + 40, &r->constant_count, 4);
    memcpy(head + 44, &c->target, 4);
    key_of(job->key, "pipeline", head, sizeof head, r->constants,
            abx_compiler_request_bytes(r) - sizeof *r);
    submit(c, job, r->id, abx_now_ns());
}

static bool well_formed(const struct abx_compiler_request *r, ssize_t n)
{
    return n >= (ssize_t)sizeof *r && r->constant_count <= ABX_COMPILER_MAX_CONSTANTS &&
           r->link_count <= ABX_MAX_LINKS && r->own_constants <= r->constant_count &&
           n == (ssize_t)abx_compiler_request_bytes(r);
}

/* False: close the connection. */
static bool on_request(struct connection *c)
{
    static union { /* one thread; too large for a stack */
        struct abx_compiler_request request;
        uint8_t bytes[ABX_COMPILER_MAX_REQUEST_BYTES];
    } message;
    const struct abx_compiler_request *r = &message.request;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    ssize_t n = abx_sock_receive(c->sock, &message, sizeof message, fds, &fd_count);
    if (n <= 0)
        return n == -EAGAIN;
    bool ok = well_formed(r, n);
    if (ok && r->type == ABX_COMPILER_LIBRARY)
        on_library(c, r, fd_count ? fds[0] : -1);
    else if (ok && r->type == ABX_COMPILER_PIPELINE)
        on_pipeline(c, r);
    else if (ok && r->type == ABX_COMPILER_DROP) {
        struct hold **at = hold_find(c, r->key);
        if (*at)
            hold_drop(c, at);
    } else if (ok && r->type == ABX_COMPILER_BEAT) {
        struct abx_compiler_answer a = {.id = r->id};
        send_answer(c, &a, NULL);
    } else
        ok = false;
    while (fd_count)
        close(fds[--fd_count]);
    return ok;
}

/* ---- connections */

static void connection_new(int sock, uint64_t worker, uint32_t target, unsigned cpu_seconds)
{
    for (struct connection *old = connections; old; old = old->next)
        if (old->worker == worker)
            old->broken = true; /* it has lost it, or says so: one is all it gets */
    struct connection *c = calloc(1, sizeof *c);
    if (!c) {
        close(sock);
        return;
    }
    fcntl(sock, F_SETFL, O_NONBLOCK);
    c->sock = sock;
    c->worker = worker;
    c->target = target;
    c->cpu_seconds = cpu_seconds ? cpu_seconds : DEFAULT_CPU_SECONDS;
    c->next = connections;
    connections = c;
}

/* Its jobs lose it; those nobody else waits for end. */
static void connection_close(struct connection *c)
{
    struct job *next;
    for (struct job *j = jobs; j; j = next) {
        next = j->next;
        if (j->payer == c)
            j->payer = NULL;
        bool paid = j->waiters && j->waiters->connection == c && j->pid;
        for (struct waiter **at = &j->waiters; *at;) {
            struct waiter *w = *at;
            if (w->connection == c) {
                *at = w->next;
                free(w);
            } else
                at = &w->next;
        }
        if (paid && j->waiters)
            j->waiters->connection->running++;
        if (j->waiters)
            continue;
        if (j->pid)
            kill(j->pid, SIGKILL); /* reaped, and freed, later */
        else {
            job_unlink(j);
            job_free(j);
        }
    }
    for (struct job **at = &looking; *at;) {
        struct job *job = *at;
        if (job->look_up->connection != c) {
            at = &job->next;
            continue;
        }
        looking_unlink(at);
        job_free(job);
    }
    while (c->holds)
        hold_drop(c, &c->holds);
    abx_outbox_finish(&c->outbox);
    struct connection **at = &connections;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    close(c->sock);
    free(c);
}

static void close_broken(void)
{
    struct connection *next;
    for (struct connection *c = connections; c; c = next) {
        next = c->next;
        if (c->broken)
            connection_close(c);
    }
}

/* False: close the connection. */
static bool on_event(struct connection *c)
{
    if (!abx_outbox_waits(&c->outbox))
        return on_request(c);
    int r = abx_outbox_flush(&c->outbox, c->sock);
    if (r < 0)
        compiler_log("a worker reads no answers: %s", strerror(-r));
    return r == 0;
}

/* A new worker's socket. False: the supervisor has gone. */
static bool on_supervisor(void)
{
    struct abx_compiler_request r;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    ssize_t n = abx_sock_receive(SUPERVISOR, &r, sizeof r, fds, &fd_count);
    if (n == (ssize_t)sizeof r && r.type == ABX_COMPILER_BEAT && !fd_count) {
        int e = abx_sock_try_send(SUPERVISOR, &r, sizeof r, NULL, 0);
        return e == 0 || e == -EAGAIN;
    }
    if (n != (ssize_t)sizeof r || r.type != ABX_COMPILER_WORKER || !fd_count)
        return false;
    connection_new(fds[0], r.id, r.target, r.cpu_seconds);
    return true;
}

/* ---- the loop */

static bool serve_once(int signals, bool supervised)
{
    struct pollfd p[2 + MAX_CONNECTIONS];
    struct connection *of[2 + MAX_CONNECTIONS];
    unsigned n = 0;
    p[n++] = (struct pollfd){signals, POLLIN, 0};
    p[n++] = (struct pollfd){supervised ? SUPERVISOR : -1, POLLIN, 0};
    for (struct connection *c = connections; c && n < ABX_ARRAY_SIZE(p); c = c->next) {
        of[n] = c;
        p[n++] = (struct pollfd){c->sock, abx_outbox_waits(&c->outbox) ? POLLOUT : POLLIN, 0};
    }
    static bool writing;
    if (poll(p, n, looking || writing ? 0 : deadlines()) < 0)
        return true;
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == sizeof info)
        if (info.ssi_signo == SIGTERM)
            return false;
    reap();
    if (p[1].revents && !on_supervisor())
        return false;
    for (unsigned i = 2; i < n; i++)
        if (p[i].revents && !on_event(of[i]))
            of[i]->broken = true;
    look_some();
    close_broken();
    schedule();
    writing = cache_write_some();
    return supervised || connections;
}

int main(int argc, char **argv)
{
    /* --one TARGET: descriptor 3 is a worker's socket itself (a host runtime inside a program has
     * no supervisor), whose pipelines are for that target. */
    bool one = argc == 3 && strcmp(argv[1], "--one") == 0;
    sigset_t set;
    abx_fd_standard();
    if (argc != 1 && !one) {
        fprintf(stderr, "arcbox-compiler is started by arcboxd, not by hand\n");
        return 2;
    }
    if (!one)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_range(SUPERVISOR + 1, ~0u, 0); /* of the program that started us in-process */
    fcntl(SUPERVISOR, F_SETFD, FD_CLOEXEC);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    most_running = cpus > 0 ? (unsigned)cpus : 1;
    cache_open();
    child_setup();
    if (one)
        connection_new(SUPERVISOR, 0, (uint32_t)atoi(argv[2]), DEFAULT_CPU_SECONDS);
    while (serve_once(signals, !one))
        ;
    for (struct job *j = jobs; j; j = j->next)
        if (j->pid)
            kill(j->pid, SIGKILL);
    while (cache_write_some())
        ;
    return 0;
}
