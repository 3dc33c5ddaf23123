/* shader: from preprocessed Metal to C++ that stock clang takes, token by token, without parsing
 * C++. Runs in the compiler process on hostile text: every step is linear in the text, memory is
 * bounded by the caps below, and whatever is not understood is left for clang to complain about.
 *
 * The rewritten text has the same line breaks as the input, so a line number means the same line in
 * both; columns are mapped back by abx_rewrite_locate(). */
#ifndef ABX_SHADER_REWRITE_REWRITE_H
#define ABX_SHADER_REWRITE_REWRITE_H

#include "base/base.h"

#define ABX_METAL_3_2 (3u << 16 | 2)
#define ABX_METAL_NEWEST (4u << 16) /* what 4.0 adds and is not there is refused by its name */

#define ABX_REWRITE_MAX_TEXT (64u << 20) /* preprocessed text: macros may have multiplied it */
#define ABX_REWRITE_MAX_OUTPUT (128u << 20)
#define ABX_REWRITE_MAX_TOKENS (12u << 20)
#define ABX_REWRITE_MAX_KERNELS 65536u /* as ABX_REFLECTION_MAX_FUNCTIONS */
#define ABX_REWRITE_MAX_CONSTANTS 65536u
#define ABX_REWRITE_MAX_PARAMETERS 128u /* 31 buffers, 31 threadgroup, and the builtins */
#define ABX_REWRITE_MAX_DEPTH 200u      /* namespaces and classes inside one another */
#define ABX_REWRITE_MAX_REFUSALS 20u    /* as clang's own limit on errors */

/* What only the text tells about a kernel's argument. Strings belong to the result. */
struct abx_rewrite_argument {
    const char *name, *type_name;
};

struct abx_rewrite_kernel {
    const char *name; /* what newFunctionWithName: finds */
    uint32_t first_argument, argument_count;
    uint32_t position; /* of its name in the input */
    /* C++ that goes after the text, one line each; see shim/entry.h, shim/record.h. The entry makes
     * the compiler instantiate the kernel, the records only look at its type. */
    const char *entry, *record;
    /* sure.c: its code may turn out not to be makeable; the constants it may reach. */
    bool unsure;
    uint32_t first_constant, constant_end;
    bool visible; /* a [[visible]] function, no kernel: __abx_v_<id> tells which */
};

struct abx_rewrite_constant {
    const char *name;
    uint32_t position;
    bool tested; /* somewhere is_function_constant_defined(name) is asked */
};

/* A function of another kind, of which nothing but its name is in the library. */
struct abx_rewrite_stage {
    const char *name; /* what newFunctionWithName: finds; belongs to the result */
    bool fragment;    /* else a vertex function */
};

/* A use of something that is not supported, found in the text itself. */
struct abx_rewrite_refusal {
    uint32_t position; /* in the input */
    char message[160];
};

struct abx_rewrite_piece;
struct abx_rewrite_edit;

struct abx_rewrite {
    char *text; /* the C++, without the kernels' entries and records; NUL-terminated */
    size_t text_length;

    /* Kernel i's symbol is __abx_k_<i>, its records __abx_i_<i>, __msl_y_<i> and __msl_t_<i>. */
    struct abx_rewrite_kernel *kernels;
    uint32_t kernel_count;
    struct abx_rewrite_argument *arguments;
    uint32_t argument_count;

    /* Constant i's value is the global __msl_f_<i>, whether it was given __msl_d_<i>, its record
     * __msl_c_<i>. */
    struct abx_rewrite_constant *constants;
    uint32_t constant_count;

    struct abx_rewrite_stage *stages;
    uint32_t stage_count;
    bool left_out; /* what has to do with textures: what clang misses may be that */

    struct abx_rewrite_refusal refusals[ABX_REWRITE_MAX_REFUSALS];
    uint32_t refusal_count;

    /* internal: the map back, and what a second round needs */
    struct abx_rewrite_piece *pieces;
    size_t piece_count;
    struct abx_rewrite_edit *edits;
    size_t edit_count, edit_capacity;
    char **strings;
    size_t string_count, string_capacity;
    size_t string_bytes;
};

struct abx_rewrite_options {
    bool relaxed;              /* math mode relaxed or fast */
    bool all;                  /* nothing is left out: what is not supported is refused */
    uint32_t language_version; /* major << 16 | minor, 0: the newest */
};

/* Rewrites `length` bytes at `text` (a NUL must follow them). 0, -E2BIG when a cap is exceeded, or
 * -ENOMEM. The caller finishes *ret_result in every case. */
int abx_rewrite_run(const char *text, size_t length, const struct abx_rewrite_options *options,
        struct abx_rewrite *ret_result);
void abx_rewrite_finish(struct abx_rewrite *result);

/* The input position that output position `at` came from; for inserted text, of the token it was
 * inserted for. */
size_t abx_rewrite_locate(const struct abx_rewrite *result, size_t at);

/* Puts `before` and `after` around the output range [from, to) and builds the text again. -EINVAL
 * when the range does not lie in text taken over from the input. */
int abx_rewrite_wrap(struct abx_rewrite *result, const char *input, size_t length, size_t from,
        size_t to, const char *before, const char *after);
int abx_rewrite_rebuild(struct abx_rewrite *result, const char *input, size_t length);

#endif
