/* bench: ggml's Metal source, the user's to give (it is not ours to carry), as one text:
 * newLibraryWithSource: has no folder, so what it includes is put in its place, once each; files
 * beside it or one folder up. */
#include "bench/cpu_bench.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILES 64

struct text {
    struct abx_string out;
    char *seen[MAX_FILES];
    unsigned count;
};

static bool add_file(struct text *t, const char *folder, const char *name);

static bool add_included(struct text *t, const char *folder, const char *name)
{
    char up[PATH_MAX];
    snprintf(up, sizeof up, "%s/..", folder);
    return add_file(t, folder, name) || add_file(t, up, name);
}

static bool add_file(struct text *t, const char *folder, const char *name)
{
    char path[PATH_MAX], *real;
    void *data;
    size_t bytes;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path ||
            !(real = realpath(path, NULL)))
        return false;
    for (unsigned i = 0; i < t->count; i++)
        if (!strcmp(t->seen[i], real)) {
            free(real);
            return true;
        }
    if (t->count == MAX_FILES ||
            abx_read_file(real, ABX_SHADER_MAX_SOURCE_BYTES, &data, &bytes) < 0) {
        free(real);
        return false;
    }
    t->seen[t->count++] = real;
    char *own = strdup(real), *slash = strrchr(own, '/');
    *slash = 0;
    for (char *line = data, *next; line; line = next) {
        char included[256];
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        if (sscanf(line, " #include \"%255[^\"]\"", included) != 1 ||
                !add_included(t, own, included))
            abx_string_printf(&t->out, "%s\n", line);
    }
    free(own);
    free(data);
    return true;
}

bool cpu_ggml_source(const char *path, struct abx_string *ret)
{
    struct text t = {0};
    bool found = add_file(&t, ".", path) || add_file(&t, "", path);
    while (t.count)
        free(t.seen[--t.count]);
    if (!found)
        fprintf(stderr, "cannot read %s\n", path);
    /* A text that has its includes in it already says so by this macro. */
    bool embedded = found && !strstr(t.out.data, "__embed_ggml");
    abx_string_printf(ret, "#define GGML_METAL_HAS_BF16 1\n%s",
            embedded ? "#define GGML_METAL_EMBED_LIBRARY 1\n" : "");
    abx_string_add(ret, t.out.data ? t.out.data : "", t.out.length);
    abx_string_finish(&t.out);
    return found && !ret->failed;
}
