/* shader, private: what the parts of the front end share. Compiler process; the source, clang's
 * output about it and the bitcode made of it are all the guest's doing. */
#ifndef ABX_SHADER_FRONTEND_H
#define ABX_SHADER_FRONTEND_H

#include "shader/rewrite.h"
#include "shader/shader.h"

#include <llvm-c/Target.h>
#include <llvm-c/Types.h>

#define ABX_SHADER_MAX_MACRO_BYTES (64u << 10)
#define ABX_SHADER_MAX_ERRORS 20u /* shown; as Apple's compiler */
#define SOURCE_NAME "program_source"

/* ---- frontend_clang.c: one clang process */
struct clang_run {
    const char *input;
    size_t input_bytes;
    size_t output_cap; /* more output than this ends the process: -E2BIG */
    struct abx_string output, errors;
    int status; /* exit status; 128 + signal */
};
/* 0 once the process has ended, whatever its status; -errno when it could not be run. */
int clang_run(struct clang_run *run, const char *clang, const char *const *arguments);
void clang_run_finish(struct clang_run *run);

/* ---- frontend_lines.c: from the preprocessed text back to the user's files */
struct line_map;
struct place {
    const char *file; /* not NUL-terminated */
    size_t file_bytes;
    uint32_t line, column; /* both from 1 */
    const char *text;      /* the line to show */
    size_t text_bytes;
};
/* `source` is the user's text, `text` what the rewriter read. Both must outlive the map. */
struct line_map *line_map_create(
        const char *source, size_t source_bytes, const char *text, size_t text_bytes);
void line_map_destroy(struct line_map *map);
struct place line_map_find(const struct line_map *map, size_t position);

/* ---- frontend_diag.c: clang's complaints about the rewritten text, in the user's terms */
struct diagnosed {
    unsigned errors, warnings;
    struct abx_string text;
};
/* `errors` is what clang wrote. */
void diagnose(struct diagnosed *d, const struct line_map *map, const struct abx_rewrite *rewrite,
        const char *errors);
void diagnose_refusals(
        struct diagnosed *d, const struct line_map *map, const struct abx_rewrite *rewrite);
/* One error found by ourselves. */
void diagnose_at(
        struct diagnosed *d, const struct line_map *map, size_t position, const char *message);
/* Wraps the operands clang could not bring to one type (?: between an lvalue in an address space
 * and a value). Returns how many were wrapped. */
unsigned wrap_operands(
        struct abx_rewrite *rewrite, const char *text, size_t text_bytes, const char *errors);

/* ---- reflect.c: the bitcode and what the rewriter knows -> library blob */
int reflect(const struct abx_string *bitcode, const struct abx_rewrite *rewrite,
        const struct line_map *map, const struct abx_shader_options *options,
        struct diagnosed *diagnosed, struct abx_shader_result *result);

/* ---- reflect_memory.c: bytes of threadgroup variables that kernel i (__abx_k_<i>) can reach */
int threadgroup_bytes(
        LLVMModuleRef module, LLVMTargetDataRef layout, uint32_t kernel_count, uint32_t *bytes);

#endif
