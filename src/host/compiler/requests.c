/* host: requests of workers, from a message to an answer out of memory, from the disk, or to a
 * compile (jobs.c). Work in proportion to a request (its hash, an entry of the cache) is done in
 * slices. Compiler process. */
#include "host/compiler/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_JOBS_PER_CONNECTION 65536u
#define HASH_SLICE_BYTES (256u << 10) /* a millisecond */

static struct job *looking, **looking_end = &looking;
static uint64_t turn; /* of looking */

static void hash_begin(struct abx_sha256 *h, const char *kind)
{
    const char *version = abx_shader_version();
    abx_sha256_init(h);
    abx_sha256_add(h, kind, strlen(kind) + 1);
    abx_sha256_add(h, version, strlen(version) + 1);
}

/* Where machine code can be made, what makes it counts: another one's, or PTX alone, is not found
 * any more when that changes. */
static void pipeline_key(struct job *job, const struct abx_compiler_request *r)
{
    const uint32_t numbers[] = {
            r->function, r->own_constants, r->constant_count, job->target, job->processor};
    const char *assembler = job->processor ? abx_shader_assembler() : "";
    struct abx_sha256 h;
    hash_begin(&h, "pipeline");
    abx_sha256_add(&h, r->key, sizeof r->key);
    abx_sha256_add(&h, numbers, sizeof numbers);
    abx_sha256_add(&h, assembler, strlen(assembler) + 1);
    abx_sha256_add(&h, r->constants, abx_compiler_request_bytes(r) - sizeof *r);
    abx_sha256_finish(&h, job->key);
}

/* One that is under way, or a new one. `job` has its inputs and is taken over. */
static void submit_compile(struct connection *c, struct job *job, uint64_t id, uint64_t start_ns)
{
    struct job *same = job_of(job->key);
    if (c->jobs >= MAX_JOBS_PER_CONNECTION || !job_wait_for(same ? same : job, c, id, start_ns)) {
        answer_error(c, id, -ENOMEM, "too many compiles are waiting");
        job_free(job);
    } else if (same)
        job_free(job);
    else
        job_add(job);
}

/* From what the disk had, in a sealed file (taken over), or -1. */
static void submit_read(
        struct connection *c, struct job *job, int fd, uint64_t id, uint64_t start_ns)
{
    size_t bytes;
    struct artifact *artifact = fd < 0 ? NULL : artifact_in(fd, !job->library, &bytes);
    if (artifact && artifact->error == 0 && job_wait_for(job, c, id, start_ns)) {
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
        answer_payload(c, id, known->artifact->error, payload, known, true, start_ns);
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

void requests_look(void)
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
    if (c->target == ABX_TARGET_NVPTX && c->processor && *abx_shader_assembler())
        job->processor = c->processor;
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
    pipeline_key(job, r);
    submit(c, job, r->id, abx_now_ns());
}

static bool well_formed(const struct abx_compiler_request *r, ssize_t n)
{
    return n >= (ssize_t)sizeof *r && r->constant_count <= ABX_COMPILER_MAX_CONSTANTS &&
           r->link_count <= ABX_MAX_LINKS && r->own_constants <= r->constant_count &&
           n == (ssize_t)abx_compiler_request_bytes(r);
}

bool request_receive(struct connection *c)
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

bool requests_wait(void)
{
    return looking;
}

void requests_leave(struct connection *c)
{
    for (struct job **at = &looking; *at;) {
        struct job *job = *at;
        if (job->look_up->connection != c) {
            at = &job->next;
            continue;
        }
        looking_unlink(at);
        job_free(job);
    }
}
