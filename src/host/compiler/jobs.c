/* host: compiles: who waits for each, the child that does it, how long that may take. Compiler
 * process. */
#include "host/compiler/internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_WAITING_BYTES (512ull << 20) /* what a connection has asked to be compiled */
#define WALL_FACTOR 3u                   /* a child may take so many times its CPU seconds */
#define LOOK_NS 1000000000u              /* how often children are looked at */

static struct job *jobs, **jobs_end = &jobs; /* oldest first */
static unsigned running, most_running;
static struct abx_awake_clock awake; /* children's time: what they take while we sleep is not it */

void jobs_open(unsigned most)
{
    most_running = most;
}

bool job_pay(struct job *job, struct connection *c, size_t bytes)
{
    if (!abx_range_ok(c->waiting_bytes, bytes, MAX_WAITING_BYTES))
        return false;
    job->payer = c;
    job->bytes = bytes;
    c->waiting_bytes += bytes;
    return true;
}

void job_free(struct job *job)
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

void job_answer(struct job *job, struct artifact *artifact, int fd, bool cached)
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
        answer_payload(w->connection, w->id, error, payload, library, cached, w->since_ns);
    abx_payload_unref(payload);
    library_unref(library);
}

bool job_wait_for(struct job *job, struct connection *c, uint64_t id, uint64_t start_ns)
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

struct job *job_of(const uint8_t key[32])
{
    struct job *job = jobs;
    while (job && (!job->waiters || memcmp(job->key, key, 32) != 0))
        job = job->next;
    return job;
}

void job_add(struct job *job)
{
    *jobs_end = job;
    jobs_end = &job->next;
}

/* ---- children */

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
            .processor = job->processor,
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
void jobs_schedule(void)
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

/* Of a child that did what it was to do; false: it did not. */
static bool is_done(int status, bool *ret_keep)
{
    static bool said;
    int ended = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    bool lacks = ended == CHILD_NO_CUBIN || ended == CHILD_NO_CUBIN_FOR_NOW;
    if (lacks && !said)
        compiler_log("nvJitLink made no machine code of a kernel, as it may of others: the driver "
                     "assembles it (said once)");
    said |= lacks;
    *ret_keep = ended != CHILD_NO_CUBIN_FOR_NOW;
    return lacks || ended == CHILD_DONE;
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
    bool keep;
    struct artifact *artifact = is_done(status, &keep) && guarded_seal(job->out) == 0
                                        ? artifact_in(job->out, !job->library, &bytes)
                                        : NULL;
    job_unlink(job);
    if (artifact) {
        if (artifact->error == 0 && keep)
            cache_put(job->key, job->out, bytes);
        job_answer(job, artifact, job->out, false);
    } else
        job_failed(job, status, killed);
    close(job->out);
    job_free(job);
}

void jobs_reap(void)
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

int jobs_deadlines(void)
{
    uint64_t now = abx_awake_ns(&awake, 2 * LOOK_NS);
    for (struct job *j = jobs; j; j = j->next)
        if (j->pid && !j->late && now >= j->deadline_ns) {
            j->late = true;
            kill(j->pid, SIGKILL);
        }
    return running ? (int)(LOOK_NS / 1000000u) : -1;
}

void jobs_leave(struct connection *c)
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
}

void jobs_kill(void)
{
    for (struct job *j = jobs; j; j = j->next)
        if (j->pid)
            kill(j->pid, SIGKILL);
}
