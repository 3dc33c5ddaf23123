/* shader: the front end: Metal source to library blob. Runs in the compiler process (sandboxed, one
 * compile, limited in time and memory by the host); source, options and macros are the guest's.
 *
 *   preprocess   preprocess.c
 *   rewrite      rewrite*.c
 *   compile      compile.c: clang, with the precompiled shim
 *   reflect      reflect.c: LLVM's C API reads the records out of the bitcode */
#include "shader/frontend/frontend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int frontend_fail(struct abx_shader_result *result, int error, const char *message)
{
    free(result->message);
    result->message = strdup(message);
    return error;
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

static int refuse_version(uint32_t version, struct abx_shader_result *result)
{
    char text[160];
    snprintf(text, sizeof text,
            "Compilation failed: \n\nerror: language version %u.%u is not supported yet; the "
            "newest is 4.0\n",
            version >> 16, version & 0xffff);
    return frontend_fail(result, -EINVAL, text);
}

static int rewrite_and_compile(struct frontend *f, bool all, struct abx_shader_result *result)
{
    struct abx_rewrite_options options = {.relaxed = f->options->math_mode != ABX_MATH_SAFE,
            .all = all,
            .language_version = f->options->language_version};
    int rc = abx_rewrite_run(f->text, f->text_bytes, &options, &f->rewrite);
    if (rc == -E2BIG)
        return frontend_fail(result, -EINVAL,
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
    return frontend_compile(f, result);
}

static int run_frontend(struct frontend *f, struct abx_shader_result *result)
{
    if (f->options->language_version > ABX_METAL_NEWEST)
        return refuse_version(f->options->language_version, result);
    abx_string_printf(&f->overlay, "%s/vfs.yaml", f->tools->shim);
    if (f->overlay.failed)
        return -ENOMEM;
    if (frontend_is_plain(f))
        f->text = f->source, f->text_bytes = f->source_bytes;
    else {
        int rc = frontend_preprocess(f, result);
        if (rc)
            return rc;
    }
    int rc = rewrite_and_compile(f, false, result);
    if (rc != -EINVAL || !f->rewrite.left_out)
        return rc;
    /* Something of what was left out was needed: now it is said where it stands. */
    free(result->message);
    *result = (struct abx_shader_result){0};
    line_map_destroy(f->map);
    f->map = NULL;
    abx_rewrite_finish(&f->rewrite);
    frontend_forget(f);
    return rewrite_and_compile(f, true, result);
}
int abx_shader_compile(const struct abx_shader_tools *tools, const char *source,
        size_t source_bytes, const struct abx_shader_options *options, const char *macros,
        struct abx_shader_result *result)
{
    *result = (struct abx_shader_result){0};
    if (source_bytes > ABX_SHADER_MAX_SOURCE_BYTES)
        return frontend_fail(result, -EINVAL,
                "Compilation failed: \n\nfatal error: the source is larger "
                "than is supported\n");
    char *copy = malloc(source_bytes + 1); /* the rewriter wants a NUL behind it */
    if (!copy)
        return -ENOMEM;
    memcpy(copy, source, source_bytes);
    copy[source_bytes] = 0;
    /* A byte order mark is not at the start of what clang is given. */
    if (source_bytes >= 3 && !memcmp(copy, "\xef\xbb\xbf", 3))
        memset(copy, ' ', 3);
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
