/* shader: what a pipeline's code begins with, for whatever it is: the code generator (compiler
 * process) writes it, backends (worker process) read it. What follows is the target's own: kernel.h
 * for processors, nvptx.h for NVIDIA's GPUs.
 *
 * The blob was made from guest source; the worker checks everything it reads from it. */
#ifndef ABX_SHADER_ABI_CODE_H
#define ABX_SHADER_ABI_CODE_H

#include "base/base.h"
#include "wire/limits.h"

/* What code is for. A library is for all of them. */
enum abx_shader_target {
    ABX_TARGET_HOST = 1, /* this machine's CPU */
    /* NVIDIA's GPUs, all of them. One processor of theirs has a number, where it is known: ten
     * times its compute capability, 90 for 9.0; 0: it is not. */
    ABX_TARGET_NVPTX = 2,
    ABX_TARGET_X86_64 = 3,
    ABX_TARGET_AARCH64 = 4,
};

#define ABX_CODE_MAGIC 0x4f435841u /* "AXCO" */
#define ABX_CODE_VERSION 4u

struct abx_code {
    uint32_t magic, version;
    uint32_t target;                   /* enum abx_shader_target: whose the body is */
    uint32_t static_threadgroup_bytes; /* <= ABX_MAX_THREADGROUP_BYTES */
    uint32_t max_threads;              /* in a threadgroup */
    uint32_t private_bytes;            /* of a thread, in memory: arrays, spilled values */
    uint64_t body_offset, body_bytes;  /* 8-byte aligned; to the blob's end */
};

static inline int abx_code_check(const void *blob, size_t bytes)
{
    const struct abx_code *c = blob;
    if (bytes < sizeof *c || c->magic != ABX_CODE_MAGIC || c->version != ABX_CODE_VERSION)
        return -EBADMSG;
    if (c->static_threadgroup_bytes > ABX_MAX_THREADGROUP_BYTES || c->max_threads == 0 ||
            c->max_threads > ABX_MAX_THREADS_PER_THREADGROUP)
        return -EBADMSG;
    if (c->body_offset % 8 || c->body_offset < sizeof *c ||
            !abx_range_ok(c->body_offset, c->body_bytes, bytes))
        return -EBADMSG;
    return 0;
}

/* Of a checked blob. */
static inline const void *abx_code_body(const struct abx_code *code)
{
    return (const char *)code + code->body_offset;
}

#endif
