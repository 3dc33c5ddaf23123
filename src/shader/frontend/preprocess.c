/* shader: the front end's first step: the user's macros and conditions, through clang -E; left out
 * when the text needs none. Compiler process; source, options and macros are the guest's. */
#include "shader/frontend/frontend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool frontend_is_plain(const struct frontend *f)
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

/* NAME, NAME=VALUE or NAME(PARAMETERS)=VALUE. An empty one would make clang take its next argument
 * for a name. */
static bool is_macro(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$");
    return n && (*text < '0' || *text > '9') &&
           (text[n] == 0 || text[n] == '=' || (text[n] == '(' && strchr(text + n, ')')));
}

/* "NAME=VALUE\0" strings to -D arguments, in `storage`. */
static int add_macros(
        const struct frontend *f, struct clang_arguments *a, struct abx_string *storage)
{
    uint32_t bytes = f->options->macro_bytes;
    if (!bytes)
        return 0;
    if (bytes > ABX_SHADER_MAX_MACRO_BYTES || f->macros[bytes - 1])
        return -EINVAL;
    for (uint32_t i = 0; i < bytes; i += (uint32_t)strlen(f->macros + i) + 1) {
        if (!is_macro(f->macros + i))
            return -EINVAL;
        abx_string_printf(storage, "-D%s", f->macros + i);
        abx_string_add(storage, "", 1);
    }
    if (storage->failed)
        return -ENOMEM;
    for (size_t i = 0; i < storage->length; i += strlen(storage->data + i) + 1)
        clang_argument(a, storage->data + i);
    return a->full ? -E2BIG : 0;
}

/* clang -E, and what its arguments point to. */
struct preprocessor {
    struct clang_arguments arguments;
    struct abx_string overlay, macros, input;
    char language[64];
};

/* -EINVAL: the macros are none. */
static int set_arguments(struct preprocessor *p, const struct frontend *f)
{
    struct clang_arguments *a = &p->arguments;
    abx_string_printf(&p->overlay, "%s/preprocess.yaml", f->tools->shim);
    const char *const flags[] = {f->tools->clang, "-x", "c++", "-std=c++17", "-undef", "-nostdinc",
            "-E", "-fno-color-diagnostics", "-fno-diagnostics-show-line-numbers",
            "-fno-crash-diagnostics", "-Xclang", "-disable-pragma-debug-crash",
            "-Wno-backslash-newline-escape", "-ferror-limit=20", "-ivfsoverlay", p->overlay.data,
            "-isystem", "/msl/include"};
    static const char *const last[] = {"-include", "/msl/shim/macros.h", "-"};
    for (size_t i = 0; i < ABX_ARRAY_SIZE(flags); i++)
        clang_argument(a, flags[i]);
    if (f->options->math_mode == ABX_MATH_FAST)
        clang_argument(a, "-D__FAST_MATH__=1");
    if (language_macro(f->options, p->language))
        clang_argument(a, p->language);
    int rc = add_macros(f, a, &p->macros);
    for (size_t i = 0; i < ABX_ARRAY_SIZE(last); i++)
        clang_argument(a, last[i]);
    return rc;
}

/* What clang said goes to the user, without its closing "1 error generated." */
static void take_messages(struct frontend *f, const struct clang_run *run)
{
    const char *said = run->errors.data, *end = strstr(said, " generated.\n");
    while (end && end > said && end[-1] != '\n')
        end--;
    abx_string_add(&f->diagnosed.text, said, end ? (size_t)(end - said) : run->errors.length);
    f->diagnosed.preprocessing = f->diagnosed.text.length;
}

/* The preprocessed text becomes what is rewritten. */
static int take_text(struct frontend *f, struct clang_run *run)
{
    if (run->status)
        return -EINVAL; /* errors of the program, which take_messages() has */
    f->preprocessed = run->output;
    run->output = (struct abx_string){0};
    f->text = f->preprocessed.data;
    f->text_bytes = f->preprocessed.length;
    return 0;
}

static int run_preprocessor(
        struct preprocessor *p, struct frontend *f, struct abx_shader_result *result)
{
    const char *failure;
    abx_string_printf(&p->input, "# 1 \"%s\"\n", SOURCE_NAME);
    abx_string_add(&p->input, f->source, f->source_bytes);
    struct clang_run run = {.arguments = p->arguments.list,
            .input = p->input.data,
            .input_bytes = p->input.length,
            .output_cap = ABX_REWRITE_MAX_TEXT};
    int rc = p->input.failed || p->overlay.failed ? -ENOMEM : clang_run(&run, 1);
    if (rc == -E2BIG) {
        rc = frontend_fail(result, -EINVAL,
                "Compilation failed: \n\nfatal error: the program's macros "
                "expand to more text than is supported\n");
    } else if (rc) {
        rc = frontend_fail(result, rc, "cannot run clang 19");
    } else if ((rc = clang_failure(&run, &failure))) {
        frontend_fail(result, rc, failure);
    } else {
        take_messages(f, &run);
        rc = take_text(f, &run);
    }
    clang_run_finish(&run);
    return rc;
}

int frontend_preprocess(struct frontend *f, struct abx_shader_result *result)
{
    struct preprocessor p = {0};
    int rc = set_arguments(&p, f);
    if (rc)
        frontend_fail(result, rc,
                "Compilation failed: \n\nfatal error: the compile options' preprocessor macros are "
                "malformed\n");
    else
        rc = run_preprocessor(&p, f, result);
    abx_string_finish(&p.macros);
    abx_string_finish(&p.input);
    abx_string_finish(&p.overlay);
    return rc;
}
