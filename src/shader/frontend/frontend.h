/* shader, private: what the parts of the front end share. Compiler process; the source, clang's
 * output about it and the bitcode made of it are all the guest's doing. */
#ifndef ABX_SHADER_FRONTEND_FRONTEND_H
#define ABX_SHADER_FRONTEND_FRONTEND_H

#include "shader/rewrite/rewrite.h"
#include "shader/shader.h"

#define ABX_SHADER_MAX_MACRO_BYTES (64u << 10)
#define ABX_SHADER_MAX_ERRORS 20u /* shown; as Apple's compiler */
#define SOURCE_NAME "program_source"

/* Names that clang sees (build_shim.py's overlay), and that its complaints begin with. */
#define SHIM_PCH "/msl/shim.pch"
#define LIBRARY_PCH "/msl/library.pch"
#define ENTRY_NAME "<entry>"

/* ---- clang.c: clang processes */
#define CLANG_MAX_ARGUMENTS 1024
struct clang_arguments {
    const char *list[CLANG_MAX_ARGUMENTS];
    size_t count;
    bool full;
};
/* `argument` must outlive the list. */
void clang_argument(struct clang_arguments *a, const char *argument);
/* What every compilation is given, `pch` being one of the names above; then what it is to make of
 * its input. */
void clang_compile_arguments(
        struct clang_arguments *ret, const char *clang, const char *overlay, const char *pch);
void clang_emit_bitcode(struct clang_arguments *a);
void clang_emit_header(struct clang_arguments *a);

#define CLANG_MAX_RUNS 16u
struct clang_run {
    const char *const *arguments; /* the first is the program */
    const char *input;
    size_t input_bytes;
    size_t output_cap; /* more output than this ends the process: -E2BIG */
    struct abx_string output, errors;
    int status; /* exit status; 128 + signal */
    /* while it runs */
    int pid, in, out, err;
    size_t written;
};
/* Runs `count` <= CLANG_MAX_RUNS beside each other. 0 once all have ended, whatever their status;
 * -errno when one could not be run or wrote too much: then all are ended. */
int clang_run(struct clang_run *runs, unsigned count);
/* 0 when it ended of its own will: then what it wrote is about the program. -ETIMEDOUT, -EIO: a
 * limit, or a crash, whose traces are not for the user; with the message that is. */
int clang_failure(const struct clang_run *run, const char **ret_message);
void clang_run_finish(struct clang_run *run);

/* ---- frontend.c */
struct diagnosed {
    unsigned errors, warnings;
    size_t preprocessing; /* bytes of the text that the preprocessor said */
    struct abx_string text;
};
struct frontend {
    const struct abx_shader_tools *tools;
    const struct abx_shader_options *options;
    const char *source, *macros;
    size_t source_bytes;
    struct abx_string overlay; /* -ivfsoverlay's value */
    struct abx_string preprocessed;
    const char *text; /* what is rewritten: the preprocessed text or the source itself */
    size_t text_bytes;
    struct abx_rewrite rewrite;
    struct line_map *map;
    struct diagnosed diagnosed;
};
/* Sets the message; returns `error`. */
int frontend_fail(struct abx_shader_result *result, int error, const char *message);

/* ---- preprocess.c */
/* True when preprocessing would change nothing that the rewriter or clang does not do as well: no
 * macros, no conditions, no joined lines. Saves half the time of a small program. */
bool frontend_is_plain(const struct frontend *f);
int frontend_preprocess(struct frontend *f, struct abx_shader_result *result);

/* ---- compile.c: the rewritten text to a library blob */
int frontend_compile(struct frontend *f, struct abx_shader_result *result);
/* What an abandoned try said is said again. */
void frontend_forget(struct frontend *f);

/* ---- kernel.c */
/* A precompiled header where clang finds it, as LIBRARY_PCH, under `overlay`. */
struct precompiled {
    char folder[128], path[160], overlay[160];
};
/* To be closed in every case. */
int precompiled_open(struct precompiled *p, const struct abx_shader_tools *tools,
        const void *header, size_t bytes);
void precompiled_close(struct precompiled *p);
/* The module with the entries of some functions of an ABX_LIBRARY_HEADER library. What the library
 * defines for others (functions that are not inline) is always in it. */
int frontend_kernel(const struct abx_shader_tools *tools, const struct abx_shader_library *library,
        const uint32_t *functions, uint32_t count, struct abx_string *ret_bitcode,
        struct abx_string *message);

/* ---- lines.c: from the preprocessed text back to the user's files */
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

/* ---- diag.c: clang's complaints about the rewritten text, in the user's terms */
/* `errors` is what clang wrote. What was said before is not said again. */
void diagnose(struct diagnosed *d, const struct line_map *map, const struct abx_rewrite *rewrite,
        const char *errors);
void diagnose_refusals(
        struct diagnosed *d, const struct line_map *map, const struct abx_rewrite *rewrite);
/* One error found by ourselves. */
void diagnose_at(
        struct diagnosed *d, const struct line_map *map, size_t position, const char *message);
/* Amends the text where Metal takes what clang complained of. Returns how many places. */
unsigned amend_text(
        struct abx_rewrite *rewrite, const char *text, size_t text_bytes, const char *errors);

/* ---- reflect.c: the bitcode of the records and what the rewriter knows -> library blob */
struct library_code {
    uint32_t form; /* enum abx_library_form */
    const void *data;
    size_t bytes;
    const char *entries;
    size_t entry_bytes;
};
int reflect(const struct abx_string *records, const struct library_code *code,
        const struct abx_rewrite *rewrite, const struct line_map *map,
        const struct abx_shader_options *options, struct diagnosed *diagnosed,
        struct abx_shader_result *result);

#endif
