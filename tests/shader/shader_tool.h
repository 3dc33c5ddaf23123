/* tests/shader: what shader-tool's parts share. */
#ifndef TESTS_SHADER_TOOL_H
#define TESTS_SHADER_TOOL_H

#include "shader/shader.h"

extern const char *const target_names[]; /* by enum abx_shader_target */
uint32_t find_target(const char *name);  /* 0: none */

struct kernels {
    const struct abx_shader_tools *tools;
    const void *library;
    size_t library_bytes;
    uint32_t target;    /* enum abx_shader_target */
    uint32_t processor; /* of NVIDIA's, as in shader/abi/code.h; 0: none */
    const char *name;   /* of one kernel; NULL: all */
    unsigned every;     /* 1: all; n: only each n-th, and the last */
    int most_alone;     /* of those whose threads meet, so many may run one at a time; -1: all */
    char *const *constants; /* "NAME=VALUE" */
    size_t constant_count;
    const char *folder; /* for the results; NULL: not kept */
    unsigned jobs;
    bool quiet, unset; /* unset: constants without a value stay so; else they are 1 */
};
/* 0 when all of them were generated; says what went wrong with others. */
int specialize_kernels(const struct kernels *k);

#endif
