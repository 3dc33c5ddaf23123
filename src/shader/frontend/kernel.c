/* shader: a library's precompiled header on disk for clang, and one kernel of it as a module.
 * Compiler process. The header was made from guest source by a clang that the source may have taken
 * over: reading it is as dangerous as reading the source, and happens in the same sandbox. */
#include "shader/frontend/frontend.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_OVERLAY_BYTES (1u << 20)

/* ---- the files
 *
 * clang sees no files but those of an overlay, so the header needs one of its own: the shim's, with
 * absolute paths (it is in another folder) and one more line. */

static int write_overlay(const struct precompiled *p, const char *shim)
{
    static const char relative[] = "\"overlay-relative\": \"true\"", roots[] = "\"roots\": [";
    static const char contents[] = "\"external-contents\": \"";
    struct abx_string path = {0}, to = {0};
    void *text;
    size_t bytes;
    abx_string_printf(&path, "%s/vfs.yaml", shim);
    int rc = path.failed ? -ENOMEM : abx_read_file(path.data, MAX_OVERLAY_BYTES, &text, &bytes);
    abx_string_finish(&path);
    if (rc)
        return rc;
    const char *at = strstr(text, relative), *next = at ? strstr(at, roots) : NULL;
    if (!next) {
        free(text);
        return -EBADMSG;
    }
    abx_string_add(&to, text, (size_t)(at - (const char *)text));
    abx_string_printf(&to, "\"overlay-relative\": \"false\"");
    at += strlen(relative);
    next += strlen(roots);
    abx_string_add(&to, at, (size_t)(next - at));
    abx_string_printf(&to,
            " {\"type\": \"file\", \"name\": \"" LIBRARY_PCH "\", \"external-contents\": \"%s\"},",
            p->path);
    for (at = next; (next = strstr(at, contents)); at = next) {
        next += strlen(contents);
        abx_string_add(&to, at, (size_t)(next - at));
        abx_string_printf(&to, "%s/", shim);
    }
    abx_string_add(&to, at, strlen(at));
    rc = to.failed ? -ENOMEM : abx_write_file(p->overlay, to.data, to.length);
    abx_string_finish(&to);
    free(text);
    return rc;
}

int precompiled_open(struct precompiled *p, const struct abx_shader_tools *tools,
        const void *header, size_t bytes)
{
    const char *folder = getenv("TMPDIR");
    if (snprintf(p->folder, sizeof(p->folder), "%s/arcbox-shader-XXXXXX",
                folder && *folder ? folder : "/tmp") >= (int)sizeof(p->folder))
        return -ENAMETOOLONG;
    if (!mkdtemp(p->folder)) {
        p->folder[0] = 0;
        return -errno;
    }
    snprintf(p->path, sizeof(p->path), "%s/library.pch", p->folder);
    snprintf(p->overlay, sizeof(p->overlay), "%s/vfs.yaml", p->folder);
    int rc = abx_write_file(p->path, header, bytes);
    return rc ? rc : write_overlay(p, tools->shim);
}

void precompiled_close(struct precompiled *p)
{
    if (!p->folder[0])
        return;
    unlink(p->path);
    unlink(p->overlay);
    rmdir(p->folder);
    p->folder[0] = 0;
}

/* ---- one kernel */

static const char *entry_of(const struct abx_shader_library *library, uint32_t function)
{
    const char *at = (const char *)library + library->entries_offset;
    const char *end = at + library->entries_bytes; /* ends with a NUL: abx_shader_library_check() */
    for (; function && at < end; function--)
        at += strlen(at) + 1;
    return at < end ? at : NULL;
}

int frontend_kernel(const struct abx_shader_tools *tools, const struct abx_shader_library *library,
        const uint32_t *functions, uint32_t count, struct abx_string *ret_bitcode,
        struct abx_string *message)
{
    struct precompiled header = {0};
    struct clang_arguments arguments;
    struct abx_string text = {0};
    for (uint32_t i = 0; i < count; i++) {
        const char *entry = entry_of(library, functions[i]);
        if (!entry || !tools) {
            abx_string_printf(message, "the library has no function %u", functions[i]);
            abx_string_finish(&text);
            return -EBADMSG;
        }
        abx_string_printf(&text, "# %u \"" ENTRY_NAME "\"\n%s\n", functions[i] + 1, entry);
    }
    int rc = precompiled_open(
            &header, tools, (const char *)library + library->code_offset, library->code_bytes);
    clang_compile_arguments(&arguments, tools->clang, header.overlay, LIBRARY_PCH);
    clang_emit_bitcode(&arguments);
    abx_string_add(&text, "\n", 1);
    struct clang_run run = {.arguments = arguments.list,
            .input = text.data,
            .input_bytes = text.length,
            .output_cap = ABX_SHADER_MAX_LIBRARY_BYTES};
    rc = rc ? rc : text.failed ? -ENOMEM : clang_run(&run, 1);
    if (rc)
        abx_string_printf(message, "clang 19 could not compile the kernel: %s", strerror(-rc));
    else if (run.status) {
        /* The same text went through when the library was made. */
        const char *failure = NULL;
        rc = clang_failure(&run, &failure);
        if (!rc)
            abx_string_printf(message, "clang 19 failed at a kernel it had checked: ");
        abx_string_printf(message, "%s", rc ? failure : run.errors.data);
        rc = rc ? rc : -EIO;
    } else {
        *ret_bitcode = run.output;
        run.output = (struct abx_string){0};
    }
    clang_run_finish(&run);
    precompiled_close(&header);
    abx_string_finish(&text);
    return rc;
}
