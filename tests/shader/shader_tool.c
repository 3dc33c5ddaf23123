/* Compiles a .metal file the way the compiler process does, prints the diagnostics and what the
 * library says about itself. For tests and for people.
 *
 *   shader-tool [-q] [-m safe|relaxed|fast] [-l MAJOR.MINOR] [-D NAME=VALUE] [-o BLOB]
 *               [-k KERNEL|@LIST]... [-c INDEX=VALUE]... FILE
 *
 * -k generates the machine code of a kernel, of those a file lists one a line, or of all (-k all),
 * and prints the time each took. Function constants are 1 or true unless -c gives another number: a
 * kernel divides by some of them.
 *
 * Exit: 0 compiled, 1 errors in the program, 2 anything else. */
#include "shader/shader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const kinds[] = {"?", "buffer", "threadgroup", "builtin"};
static const char *const accesses[] = {"read", "read_write", "write"};

static void print_function(const struct abx_reflection *r, const struct abx_reflection_function *f)
{
    printf("kernel %s entry=%s threadgroup=%u max_threads=%u required=%u,%u,%u\n",
            abx_reflection_string(r, f->name), abx_reflection_string(r, f->entry),
            f->static_threadgroup_bytes, f->max_threads, f->required_threads[0],
            f->required_threads[1], f->required_threads[2]);
    for (uint32_t i = 0; i < f->argument_count; i++) {
        const struct abx_reflection_argument *a =
                &abx_reflection_arguments(r)[f->first_argument + i];
        printf("  %s %s type=%s", kinds[a->kind & 3], abx_reflection_string(r, a->name),
                abx_reflection_string(r, a->type_name));
        if (a->kind != ABX_ARGUMENT_BUILTIN)
            printf(" index=%u access=%s size=%u align=%u data_type=%u", a->index,
                    accesses[a->access % 3], a->data_size, a->data_alignment, a->data_type);
        printf("\n");
    }
}

static void print_library(const void *blob)
{
    const struct abx_shader_library *h = blob;
    const struct abx_reflection *r = (const void *)((const char *)blob + h->reflection_offset);
    for (uint32_t i = 0; i < r->function_count; i++)
        print_function(r, &abx_reflection_functions(r)[i]);
    for (uint32_t i = 0; i < r->constant_count; i++) {
        const struct abx_reflection_constant *c = &abx_reflection_constants(r)[i];
        printf("constant %s index=%u type=%u size=%u required=%u\n",
                abx_reflection_string(r, c->name), c->index, c->type, c->size, c->required);
    }
}

static int write_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return -errno;
    bool ok = fwrite(data, 1, bytes, file) == bytes;
    return fclose(file) || !ok ? -EIO : 0;
}

/* ---- machine code */

struct wanted {
    char *kernels; /* one a line, each line ended */
    struct {
        uint32_t index;
        int64_t value;
    } constant[64];
    unsigned constants;
};

static bool is_wanted(const struct wanted *w, const char *name)
{
    if (strcmp(w->kernels, "all\n") == 0)
        return true;
    size_t n = strlen(name);
    for (const char *at = w->kernels; *at; at = strchr(at, '\n') + 1)
        if (strncmp(at, name, n) == 0 && at[n] == '\n')
            return true;
    return false;
}

static int add_kernels(struct wanted *w, const char *argument)
{
    void *list = NULL;
    size_t bytes = 0;
    if (argument[0] == '@' && abx_read_file(argument + 1, 1u << 20, &list, &bytes) < 0)
        return -1;
    const char *names = list ? list : argument;
    char *all = NULL;
    int r = asprintf(&all, "%s%.*s\n", w->kernels ? w->kernels : "",
            list ? (int)bytes : (int)strlen(argument), names);
    free(list), free(w->kernels);
    w->kernels = all;
    return r;
}

static void set_constant(const struct wanted *w, const struct abx_reflection_constant *c,
        struct abx_shader_constant *ret)
{
    int64_t n = 1;
    for (unsigned i = 0; i < w->constants; i++)
        if (w->constant[i].index == c->index)
            n = w->constant[i].value;
    float real = (float)n;
    *ret = (struct abx_shader_constant){.index = c->index, .type = c->type};
    memcpy(ret->value, c->type == 3 /* MTLDataTypeFloat */ ? (void *)&real : (void *)&n, 4);
}

/* The number of kernels that failed, or -1. */
static int generate(const struct wanted *w, const struct abx_shader_result *library)
{
    const struct abx_shader_library *h = library->blob;
    const struct abx_reflection *r =
            (const void *)((const char *)library->blob + h->reflection_offset);
    struct abx_shader_constant *constants = calloc(r->constant_count + 1, sizeof *constants);
    int failed = constants ? 0 : -1, done = 0;
    for (uint32_t i = 0; i < r->constant_count && constants; i++)
        set_constant(w, &abx_reflection_constants(r)[i], &constants[i]);
    for (uint32_t i = 0; i < r->function_count && constants; i++) {
        const char *name = abx_reflection_string(r, abx_reflection_functions(r)[i].name);
        if (!is_wanted(w, name))
            continue;
        struct abx_shader_result result;
        uint64_t start = abx_now_ns();
        int rc = abx_shader_specialize(
                library->blob, library->blob_bytes, i, constants, r->constant_count, &result);
        printf("%s: %s, %.2f s, %zu bytes%s%s\n", name, rc ? "FAILED" : "ok",
                (double)(abx_now_ns() - start) / 1e9, result.blob_bytes, result.message ? ": " : "",
                result.message ? result.message : "");
        failed += rc != 0, done++;
        free(result.blob), free(result.message);
    }
    free(constants);
    return done ? failed : -1;
}

int main(int argc, char **argv)
{
    struct wanted wanted = {0};
    struct abx_shader_options options = {.target = ABX_TARGET_HOST};
    struct abx_string macros = {0};
    const char *output = NULL;
    bool quiet = false;
    for (int c; (c = getopt(argc, argv, "qm:l:D:o:k:c:")) != -1;) {
        unsigned major, minor;
        if (c == 'q')
            quiet = true;
        else if (c == 'm')
            options.math_mode = !strcmp(optarg, "fast")      ? ABX_MATH_FAST
                                : !strcmp(optarg, "relaxed") ? ABX_MATH_RELAXED
                                                             : ABX_MATH_SAFE;
        else if (c == 'l' && sscanf(optarg, "%u.%u", &major, &minor) == 2)
            options.language_version = major << 16 | minor;
        else if (c == 'D')
            abx_string_add(&macros, optarg, strlen(optarg) + 1);
        else if (c == 'o')
            output = optarg;
        else if (c == 'k' && add_kernels(&wanted, optarg) >= 0)
            continue;
        else if (c == 'c' && wanted.constants < ABX_ARRAY_SIZE(wanted.constant) &&
                 sscanf(optarg, "%u=%" SCNd64, &wanted.constant[wanted.constants].index,
                         &wanted.constant[wanted.constants].value) == 2)
            wanted.constants++;
        else
            return 2;
    }
    options.macro_bytes = (uint32_t)macros.length;
    void *source;
    size_t source_bytes;
    if (optind + 1 != argc ||
            abx_read_file(argv[optind], ABX_SHADER_MAX_SOURCE_BYTES, &source, &source_bytes)) {
        fprintf(stderr, "shader-tool: cannot read the source\n");
        return 2;
    }
    struct abx_shader_tools tools;
    struct abx_shader_result result = {0};
    int rc = abx_shader_locate(&tools, &result.message);
    uint64_t start = abx_now_ns();
    if (!rc)
        rc = abx_shader_compile(&tools, source, source_bytes, &options, macros.data, &result);
    if (result.message)
        fputs(result.message, stderr);
    if (!rc && !quiet)
        print_library(result.blob);
    if (!rc && output)
        rc = write_file(output, result.blob, result.blob_bytes);
    if (!rc && wanted.kernels && generate(&wanted, &result) != 0)
        rc = -EINVAL;
    if (getenv("SHADER_TOOL_TIME"))
        fprintf(stderr, "compiled in %.3f s: %d, %zu bytes\n", (double)(abx_now_ns() - start) / 1e9,
                rc, result.blob_bytes);
    free(result.blob), free(result.message), free(source), free(wanted.kernels);
    abx_string_finish(&macros);
    return rc == 0 ? 0 : rc == -EINVAL ? 1 : 2;
}
