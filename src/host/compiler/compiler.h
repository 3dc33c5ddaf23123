/* host: between a worker (or an in-process host) and the compiler. One SOCK_SEQPACKET socket a
 * worker; requests carry an id, answers come in any order. The compiler trusts no worker: it takes
 * only files that nobody can write to any more, computes every cache key itself, and answers
 * pipelines only for libraries the same socket asked for. Workers trust the compiler. */
#ifndef ABX_HOST_COMPILER_H
#define ABX_HOST_COMPILER_H

#include "shader/shader.h"
#include "wire/wire.h"

enum abx_compiler_type {
    ABX_COMPILER_LIBRARY = 1,  /* fd: struct abx_shader_options, macros, source; sealed */
    ABX_COMPILER_PIPELINE = 2, /* one function of a library, specialised */
    ABX_COMPILER_DROP = 3,     /* the library is no longer needed; not answered */
    ABX_COMPILER_WORKER = 4,   /* supervisor only: fd: another worker's socket */
    ABX_COMPILER_BEAT = 5,     /* answered: it is there; by the supervisor's socket with the same */
};

/* Of a kernel, as in the pipeline_create record, and of the functions it is linked with. */
#define ABX_COMPILER_MAX_CONSTANTS 4096u

/* A function or library that a pipeline is linked with. */
struct abx_compiler_link {
    uint8_t key[32]; /* of its library */
    uint32_t kind;   /* enum abx_link_kind */
    uint32_t function;
    uint32_t first_constant, constant_count; /* among the request's */
};

struct abx_compiler_request {
    uint32_t type;
    uint32_t cpu_seconds; /* WORKER: the tenant's limit for one compile */
    uint64_t id;          /* WORKER: the worker's; a socket it had before is closed */
    uint64_t bytes;       /* LIBRARY: of the file */
    uint8_t key[32];      /* PIPELINE, DROP: the library */
    uint32_t target;      /* WORKER: enum abx_shader_target of its backend */
    uint32_t function;    /* PIPELINE */
    uint32_t constant_count, own_constants; /* the kernel's constants come first */
    uint32_t link_count;
    uint32_t processor; /* WORKER: of its device, as abx_backend.processor says */
    struct abx_shader_constant constants[]; /* then the links */
};
#define ABX_COMPILER_MAX_REQUEST_BYTES                                                             \
    (sizeof(struct abx_compiler_request) +                                                         \
            ABX_COMPILER_MAX_CONSTANTS * sizeof(struct abx_shader_constant) +                      \
            ABX_MAX_LINKS * sizeof(struct abx_compiler_link))

static inline size_t abx_compiler_request_bytes(const struct abx_compiler_request *r)
{
    return sizeof *r + r->constant_count * sizeof(struct abx_shader_constant) +
           r->link_count * sizeof(struct abx_compiler_link);
}
/* The links of a request of that length. */
static inline const struct abx_compiler_link *abx_compiler_links(
        const struct abx_compiler_request *r)
{
    return (const struct abx_compiler_link *)(r->constants + r->constant_count);
}

/* fd (absent when both lengths are 0): at `offset` the message, then, at the next multiple of 8,
 * the payload: a library's reflection or a pipeline's object. Sealed against every change. */
struct abx_compiler_answer {
    uint64_t id;
    int32_t error;
    uint32_t cached, microseconds;
    uint32_t message_bytes;
    uint64_t payload_bytes;
    uint64_t offset; /* of the message in the file, a multiple of 8; 0 for libraries */
    uint8_t key[32]; /* LIBRARY */
};

#endif
