/* host: between a worker (or an in-process host) and the compiler. One SOCK_SEQPACKET socket a
 * worker; requests carry an id, answers come in any order. The compiler trusts no worker: it copies
 * a request's file before it looks at it, computes every cache key itself, and answers pipelines
 * only for libraries the same socket asked for. Workers trust the compiler. */
#ifndef ABX_HOST_COMPILER_H
#define ABX_HOST_COMPILER_H

#include "shader/shader.h"
#include "wire/wire.h"

enum abx_compiler_type {
    ABX_COMPILER_LIBRARY = 1,  /* fd: struct abx_shader_options, macros, source */
    ABX_COMPILER_PIPELINE = 2, /* one function of a library, specialised */
    ABX_COMPILER_DROP = 3,     /* the library is no longer needed; not answered */
    ABX_COMPILER_WORKER = 4,   /* supervisor only: fd: another worker's socket */
};

#define ABX_COMPILER_MAX_CONSTANTS 256u /* as in the pipeline_create record */

struct abx_compiler_request {
    uint32_t type;
    uint32_t cpu_seconds; /* WORKER: the tenant's limit for one compile */
    uint64_t id;
    uint64_t bytes;  /* LIBRARY: of the file */
    uint8_t key[32]; /* PIPELINE, DROP: the library */
    uint32_t function, constant_count;
    struct abx_shader_constant constants[ABX_COMPILER_MAX_CONSTANTS]; /* only those sent */
};
#define ABX_COMPILER_REQUEST_BYTES offsetof(struct abx_compiler_request, constants)

/* fd (absent when both lengths are 0): the message, then, at the next multiple of 8, the payload:
 * a library's reflection or a pipeline's object. Sealed against every change. */
struct abx_compiler_answer {
    uint64_t id;
    int32_t error;
    uint32_t cached, microseconds;
    uint32_t message_bytes;
    uint64_t payload_bytes;
    uint8_t key[32]; /* LIBRARY */
};

#endif
