/* wire: how a compile request starts. The guest writes it, the host checks it and hands it to the
 * compiler; it is part of the cache key. */
#ifndef ABX_WIRE_COMPILE_H
#define ABX_WIRE_COMPILE_H

#include "base/base.h"

#include <string.h>

/* As MTLMathMode. */
enum abx_shader_math { ABX_MATH_SAFE = 0, ABX_MATH_RELAXED = 1, ABX_MATH_FAST = 2 };

/* Fixed layout. After it come the macros, then the source, or a .metallib file that Apple's
 * compiler made, to the request's end. What machine the code will be for is the host's business. */
struct abx_shader_options {
    uint32_t math_mode;         /* enum abx_shader_math */
    uint32_t language_version;  /* as MTLLanguageVersion (major << 16 | minor), 0: newest */
    uint32_t optimize_for_size; /* MTLLibraryOptimizationLevelSize */
    uint32_t preserve_invariance;
    uint32_t reserved;    /* 0 */
    uint32_t macro_bytes; /* macros: "NAME=VALUE\0" strings, concatenated */
};

/* True for what can only be a .metallib file: no source begins so. Its header has this length. */
#define ABX_METALLIB_HEADER_BYTES 88u
static inline bool abx_is_metallib(const void *data, size_t bytes)
{
    return bytes >= ABX_METALLIB_HEADER_BYTES && !memcmp(data, "MTLB", 4) &&
           memchr(data, 0, ABX_METALLIB_HEADER_BYTES);
}

#endif
