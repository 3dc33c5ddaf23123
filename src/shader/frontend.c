/* shader: the front end: Metal source to library blob. Runs in the compiler process (sandboxed, one
 * compile, limited in time and memory by the host); source, options and macros are the guest's.
 *
 *   preprocess   clang -E (left out when the text needs none)
 *   rewrite      rewrite*.c
 *   compile      clang, with the precompiled shim, to unoptimised bitcode
 *   reflect      LLVM's C API reads the records out of the bitcode */
#include "shader/frontend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ARGUMENTS 1024
#define MAX_WRAP_ROUNDS 8 /* each round compiles again; nested conditionals need one each */

static const char *const common_flags[] = {
#include "clang_flags.inc"
};

struct arguments {
    const char *list[MAX_ARGUMENTS];
    size_t count;
    bool full;
};

static void add_argument(struct arguments *a, const char *argument)
{
    if (a->count + 1 < MAX_ARGUMENTS)
        a->list[a->count++] = argument;
    else
        a->full = true;
}

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

static int fail(struct abx_shader_result *result, int error, const char *message)
{
    free(result->message);
    result->message = strdup(message);
    return error;
}

/* ---- preprocessing */

/* The headers that most programs include, all empty; others are left to the preprocessor. */
static const char *const plain_headers[] = {"<metal_stdlib>", "<metal_math>", "<metal_common>",
        "<metal_compute>", "<metal_atomic>", "<metal_matrix>", "<metal_geometric>",
        "<metal_integer>", "<metal_simdgroup>", "<metal_simdgroup_matrix>", "<metal_relational>",
        "<simd/simd.h>"};

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p;
}

static bool starts(const char *p, const char *end, const char *word)
{
    size_t n = strlen(word);
    return (size_t)(end - p) >= n && !memcmp(p, word, n);
}

/* A directive, from its # on, that means the same to the rewriter as to the preprocessor. */
static bool is_plain_directive(const char *p, const char *end)
{
    p = skip_blanks(p + 1, end);
    if (starts(p, end, "pragma unroll") || starts(p, end, "pragma METAL"))
        return true;
    if (!starts(p, end, "include"))
        return false;
    p = skip_blanks(p + strlen("include"), end);
    for (size_t i = 0; i < ABX_ARRAY_SIZE(plain_headers); i++)
        if (starts(p, end, plain_headers[i])) {
            p = skip_blanks(p + strlen(plain_headers[i]), end);
            return p == end || *p == '\r' || starts(p, end, "//");
        }
    return false;
}

/* True when preprocessing would change nothing that the rewriter or clang does not do as well: no
 * macros, no conditions, no joined lines. Saves half the time of a small program. */
static bool is_plain(const struct frontend *f)
{
    if (f->options->macro_bytes || memchr(f->source, '\\', f->source_bytes) ||
            memmem(f->source, f->source_bytes, "__METAL", 7) ||
            memmem(f->source, f->source_bytes, "__HAVE_", 7) ||
            memmem(f->source, f->source_bytes, "_Pragma", 7) ||
            memmem(f->source, f->source_bytes, "%:", 2) || memchr(f->source, 0, f->source_bytes))
        return false;
    const char *p = f->source, *end = f->source + f->source_bytes;
    while (p < end) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        line_end = line_end ? line_end : end;
        p = skip_blanks(p, line_end);
        if (p < line_end && *p == '#' && !is_plain_directive(p, line_end))
            return false;
        /* A directive may also follow a comment on its line. */
        const char *hash = p < line_end ? memchr(p + 1, '#', (size_t)(line_end - p - 1)) : NULL;
        if (hash)
            return false;
        p = line_end + 1;
    }
    return true;
}

static const char *language_macro(const struct abx_shader_options *options, char buffer[64])
{
    uint32_t major = options->language_version >> 16, minor = options->language_version & 0xffff;
    if (!options->language_version || major > 99 || minor > 9)
        return NULL;
    snprintf(buffer, 64, "-D__METAL_VERSION__=%u%u0", major, minor);
    return buffer;
}

/* "NAME=VALUE\0" strings to -D arguments, in `storage`. */
static int add_macros(const struct frontend *f, struct arguments *a, struct abx_string *storage)
{
    uint32_t bytes = f->options->macro_bytes;
    if (!bytes)
        return 0;
    if (bytes > ABX_SHADER_MAX_MACRO_BYTES || f->macros[bytes - 1])
        return -EINVAL;
    for (uint32_t i = 0; i < bytes; i += (uint32_t)strlen(f->macros + i) + 1) {
        abx_string_printf(storage, "-D%s", f->macros + i);
        abx_string_add(storage, "", 1);
    }
    if (storage->failed)
        return -ENOMEM;
    for (size_t i = 0; i < storage->length; i += strlen(storage->data + i) + 1)
        add_argument(a, storage->data + i);
    return a->full ? -E2BIG : 0;
}

static int preprocess(struct frontend *f, struct abx_shader_result *result)
{
    struct arguments a = {0};
    struct abx_string storage = {0}, input = {0};
    char language[64];
    const char *const flags[] = {f->tools->clang, "-x", "c++", "-std=c++17", "-undef", "-nostdinc",
            "-E", "-fno-color-diagnostics", "-fno-diagnostics-show-line-numbers",
            "-fno-crash-diagnostics", "-Wno-backslash-newline-escape", "-ferror-limit=20",
            "-ivfsoverlay", f->overlay.data, "-isystem", "/msl/include"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(flags); i++)
        add_argument(&a, flags[i]);
    if (language_macro(f->options, language))
        add_argument(&a, language);
    int rc = add_macros(f, &a, &storage);
    if (rc) {
        abx_string_finish(&storage);
        return fail(result, rc, "the compile options' preprocessor macros are malformed");
    }
    const char *const last[] = {"-include", "/msl/shim/macros.h", "-"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(last); i++)
        add_argument(&a, last[i]);
    abx_string_printf(&input, "# 1 \"%s\"\n", SOURCE_NAME);
    abx_string_add(&input, f->source, f->source_bytes);
    struct clang_run run = {
            .input = input.data, .input_bytes = input.length, .output_cap = ABX_REWRITE_MAX_TEXT};
    rc = input.failed ? -ENOMEM : clang_run(&run, f->tools->clang, a.list);
    if (rc == -E2BIG) {
        rc = fail(result, -EINVAL,
                "Compilation failed: \n\nfatal error: the program's macros "
                "expand to more text than is supported\n");
    } else if (rc) {
        rc = fail(result, rc, "cannot run clang 19");
    } else if (run.status) {
        struct abx_string message = {0};
        abx_string_printf(&message, "Compilation failed: \n\n");
        /* Without clang's closing "1 error generated." */
        const char *end = strstr(run.errors.data, " generated.\n");
        while (end && end > run.errors.data && end[-1] != '\n')
            end--;
        abx_string_add(&message, run.errors.data,
                end ? (size_t)(end - run.errors.data) : run.errors.length);
        rc = fail(result, -EINVAL, message.data ? message.data : "");
        abx_string_finish(&message);
    } else {
        f->preprocessed = run.output;
        run.output = (struct abx_string){0};
        f->text = f->preprocessed.data;
        f->text_bytes = f->preprocessed.length;
    }
    clang_run_finish(&run);
    abx_string_finish(&storage);
    abx_string_finish(&input);
    return rc;
}

/* ---- compiling */

static int compile_once(struct frontend *f, struct clang_run *run)
{
    struct arguments a = {0};
    add_argument(&a, f->tools->clang);
    for (size_t i = 0; i < ABX_ARRAY_SIZE(common_flags); i++)
        add_argument(&a, common_flags[i]);
    const char *const flags[] = {"-ivfsoverlay", f->overlay.data, "-include-pch", "/msl/shim.pch",
            "-fno-caret-diagnostics", "-fdiagnostics-print-source-range-info", "-ferror-limit=100",
            "-Wno-duplicate-decl-specifier", "-Wno-unknown-pragmas", "-Wno-c99-designator",
            "-Wno-unused-value", "-Wno-user-defined-literals", "-Wno-unknown-attributes",
            "-Wno-ignored-attributes", "-Wno-undefined-internal", "-Wno-undefined-inline",
            "-Wno-pass-failed", "-c", "-emit-llvm", "-o", "-", "-"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(flags); i++)
        add_argument(&a, flags[i]);
    *run = (struct clang_run){.input = f->rewrite.text,
            .input_bytes = f->rewrite.text_length,
            .output_cap = ABX_SHADER_MAX_LIBRARY_BYTES};
    return clang_run(run, f->tools->clang, a.list);
}

static int compile(struct frontend *f, struct abx_shader_result *result)
{
    struct clang_run run;
    int rc = compile_once(f, &run);
    for (int round = 0; !rc && run.status && round < MAX_WRAP_ROUNDS; round++) {
        if (!wrap_operands(&f->rewrite, f->text, f->text_bytes, run.errors.data))
            break;
        clang_run_finish(&run);
        rc = compile_once(f, &run);
    }
    if (rc == -E2BIG) {
        rc = fail(result, -EINVAL,
                "Compilation failed: \n\nfatal error: the library is larger "
                "than is supported\n");
    } else if (rc) {
        rc = fail(result, rc, "cannot run clang 19");
    } else {
        diagnose(&f->diagnosed, f->map, &f->rewrite, run.errors.data);
        if (!run.status && !f->diagnosed.errors)
            rc = reflect(&run.output, &f->rewrite, f->map, f->options, &f->diagnosed, result);
        else if (!f->diagnosed.errors)
            rc = fail(result, -EIO, run.errors.length ? run.errors.data : "clang 19 crashed");
        else
            rc = -EINVAL;
    }
    clang_run_finish(&run);
    return rc;
}

static void finish_message(struct frontend *f, int rc, struct abx_shader_result *result)
{
    if (result->message || !f->diagnosed.text.length)
        return;
    struct abx_string message = {0};
    abx_string_printf(&message, "%s: \n\n%s",
            rc ? "Compilation failed" : "Compilation succeeded with", f->diagnosed.text.data);
    result->message = message.failed ? NULL : message.data;
}

static int run_frontend(struct frontend *f, struct abx_shader_result *result)
{
    abx_string_printf(&f->overlay, "%s/vfs.yaml", f->tools->shim);
    if (f->overlay.failed)
        return -ENOMEM;
    if (is_plain(f))
        f->text = f->source, f->text_bytes = f->source_bytes;
    else {
        int rc = preprocess(f, result);
        if (rc)
            return rc;
    }
    int rc = abx_rewrite_run(f->text, f->text_bytes, &f->rewrite);
    if (rc == -E2BIG)
        return fail(result, -EINVAL,
                "Compilation failed: \n\nfatal error: the program is too "
                "large or too deeply nested\n");
    if (rc)
        return rc;
    f->map = line_map_create(f->source, f->source_bytes, f->text, f->text_bytes);
    if (!f->map)
        return -ENOMEM;
    if (f->rewrite.refusal_count) {
        diagnose_refusals(&f->diagnosed, f->map, &f->rewrite);
        return -EINVAL;
    }
    return compile(f, result);
}

int abx_shader_compile(const struct abx_shader_tools *tools, const char *source,
        size_t source_bytes, const struct abx_shader_options *options, const char *macros,
        struct abx_shader_result *result)
{
    *result = (struct abx_shader_result){0};
    if (source_bytes > ABX_SHADER_MAX_SOURCE_BYTES)
        return fail(result, -EINVAL,
                "Compilation failed: \n\nfatal error: the source is larger "
                "than is supported\n");
    char *copy = malloc(source_bytes + 1); /* the rewriter wants a NUL behind it */
    if (!copy)
        return -ENOMEM;
    memcpy(copy, source, source_bytes);
    copy[source_bytes] = 0;
    struct frontend f = {.tools = tools,
            .options = options,
            .source = copy,
            .macros = macros,
            .source_bytes = source_bytes};
    int rc = run_frontend(&f, result);
    finish_message(&f, rc, result);
    line_map_destroy(f.map);
    abx_rewrite_finish(&f.rewrite);
    abx_string_finish(&f.diagnosed.text);
    abx_string_finish(&f.preprocessed);
    abx_string_finish(&f.overlay);
    free(copy);
    return rc;
}
