/* shader: a module of AIR with all its pointers in the default address space, as this computer has
 * them and as the code generator expects. Compiler process; the module is the guest's.
 *
 * LLVM's C API cannot give a value another type. But in the module's text an address space is a
 * word that can be left out: `ptr addrspace(1)` becomes `ptr`, and `addrspacecast`, between equal
 * types then, `bitcast`. Names of intrinsics (llvm.memcpy.p3.p1) are put right by the reader. */
#include "shader/air/air.h"

#include <llvm-c/IRReader.h>
#include <ctype.h>
#include <string.h>

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '$' || c == '-';
}

/* Past a quoted name or string that starts at *p; a quote inside is written \22. */
static const char *skip_quoted(const char *p)
{
    const char *end = strchr(p + 1, '"');
    return end ? end + 1 : p + strlen(p);
}

static const char *skip_comment(const char *p)
{
    return p + strcspn(p, "\n");
}

/* Without the ", " or " " before the address space. */
static void drop_separator(struct abx_string *out)
{
    if (out->length && out->data[out->length - 1] == ' ')
        out->length--;
    if (out->length && out->data[out->length - 1] == ',')
        out->length--;
}

static const char *copy_word(struct abx_string *out, const char *p)
{
    static const char space[] = "addrspace(", cast[] = "addrspacecast";
    size_t length = 0;
    while (in_word(p[length]))
        length++;
    if (!strncmp(p, space, strlen(space)) && strchr(p, ')')) {
        drop_separator(out);
        return strchr(p, ')') + 1;
    }
    if (length == strlen(cast) && !memcmp(p, cast, length))
        abx_string_add(out, "bitcast", 7);
    else
        abx_string_add(out, p, length);
    return p + length;
}

static void rewrite(struct abx_string *out, const char *p)
{
    while (*p && !out->failed) {
        const char *start = p;
        if (*p == '"' || *p == ';') {
            p = *p == '"' ? skip_quoted(p) : skip_comment(p);
            abx_string_add(out, start, (size_t)(p - start));
        } else if (in_word(*p)) {
            p = copy_word(out, p);
        } else {
            while (*p && *p != '"' && *p != ';' && !in_word(*p))
                p++;
            abx_string_add(out, start, (size_t)(p - start));
        }
    }
}

int air_retype(struct codegen *g)
{
    struct abx_string out = {0};
    char *text = LLVMPrintModuleToString(g->module), *error = NULL;
    rewrite(&out, text);
    LLVMDisposeMessage(text);
    if (out.failed)
        return -ENOMEM;
    LLVMMemoryBufferRef buffer =
            LLVMCreateMemoryBufferWithMemoryRangeCopy(out.data, out.length, "metallib");
    abx_string_finish(&out);
    LLVMDisposeModule(g->module);
    g->module = NULL;
    if (LLVMParseIRInContext(g->context, buffer, &g->module, &error)) { /* takes the buffer */
        g->module = NULL;
        codegen_fail(g, -EINVAL, "the precompiled function cannot be read: %.800s", error);
        LLVMDisposeMessage(error);
        return -EINVAL;
    }
    return 0;
}
