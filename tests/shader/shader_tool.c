/* Compiles a .metal file, or takes a .metallib file, the way the compiler process does, prints the
 * diagnostics and what the library says about itself. For tests and for people.
 *
 *   shader-tool [-q] [-m safe|relaxed|fast] [-l MAJOR.MINOR] [-D NAME=VALUE] [-o BLOB] FILE
 *     [--target host|x86-64|aarch64|nvptx]  (any number) generates code for it as well, of
 *     [--kernel NAME]                       one kernel; without, of all
 *     [--every N]                           of each N-th, and the last
 *     [--constant NAME=VALUE]               function constants; others are 1,
 *     [--unset]                             or not set
 *     [--processor N]                       nvptx: with machine code for it (90), by nvJitLink
 *     [--save FOLDER]                       gets the objects, PTX or cubins, and the blobs
 *     [--alone N]                           more than N that run one thread at a time are an error
 *     [-j N]                                kernels at a time
 *
 *   shader-tool --each FOLDER OPTION... FILE...
 *
 * does so with each file in a child of its own, clang once loaded. What is said of the N-th is in
 * FOLDER's N.out and N.err, and its exit status in N.status.
 *
 * SHADER_TOOL_CLANG: the path of arcbox-clang.so, to run clang as the compiler process does, in
 * forks of itself. ARCBOX_SHADER_FORM=direct|staged: see frontend/compile.c.
 *
 * Exit: 0 compiled, 1 errors in the program, 2 anything else. */
#include "shader_tool.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const kinds[] = {"?", "buffer", "threadgroup", "builtin"};
static const char *const accesses[] = {"read", "read_write", "write"};

/* Of structures, arrays and what pointers point to: a line a member. */
static void print_members(const struct abx_reflection *r, uint32_t type, unsigned depth)
{
    const struct abx_reflection_type *t = abx_reflection_types(r) + type - 1;
    if (!type || depth > 10)
        return;
    const struct abx_reflection_member *m = abx_reflection_members(r) + t->first_member;
    for (uint32_t i = 0; i < t->member_count; i++) {
        const struct abx_reflection_type *of = abx_reflection_types(r) + m[i].type - 1;
        printf("%*s.%s offset=%u id=%d data_type=%u size=%u", 2 * (int)depth, "",
                abx_reflection_string(r, m[i].name), m[i].offset, m[i].id, of->data_type, of->size);
        if (of->count)
            printf(" count=%u stride=%u", of->count, of->stride);
        printf("\n");
        print_members(r, m[i].type, depth + 1);
    }
    if (!t->member_count)
        print_members(r, t->element, depth);
}

static void print_function(const struct abx_reflection *r, const struct abx_reflection_function *f)
{
    printf("%s %s entry=%s max_threads=%u required=%u,%u,%u\n",
            f->kind == ABX_FUNCTION_VISIBLE ? "visible" : "kernel",
            abx_reflection_string(r, f->name), abx_reflection_string(r, f->entry), f->max_threads,
            f->required_threads[0], f->required_threads[1], f->required_threads[2]);
    for (uint32_t i = 0; i < f->argument_count; i++) {
        const struct abx_reflection_argument *a =
                &abx_reflection_arguments(r)[f->first_argument + i];
        printf("  %s %s type=%s", kinds[a->kind & 3], abx_reflection_string(r, a->name),
                abx_reflection_string(r, a->type_name));
        if (a->kind != ABX_ARGUMENT_BUILTIN)
            printf(" index=%u access=%s size=%u align=%u data_type=%u", a->index,
                    accesses[a->access % 3], a->data_size, a->data_alignment, a->data_type);
        printf("\n");
        print_members(r, a->type, 2);
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

struct invocation {
    struct abx_shader_options options;
    struct abx_string macros;
    struct kernels kernels;
    struct abx_shader_tools tools;
    uint32_t targets[8], target_count;
    const char *output, *each;
    bool quiet;
};

static bool read_options(struct invocation *v, int argc, char **argv)
{
    static const struct option longs[] = {{"target", 1, 0, 't'}, {"kernel", 1, 0, 'k'},
            {"every", 1, 0, 'e'}, {"constant", 1, 0, 'c'}, {"save", 1, 0, 's'},
            {"processor", 1, 0, 'p'}, {"unset", 0, 0, 'u'}, {"alone", 1, 0, 'a'},
            {"each", 1, 0, 'f'}, {0}};
    char **constants = calloc((size_t)argc, sizeof(char *));
    v->kernels = (struct kernels){.constants = constants, .jobs = 1, .every = 1, .most_alone = -1};
    for (int c; (c = getopt_long(argc, argv, "qm:l:D:o:j:", longs, NULL)) != -1;) {
        unsigned major, minor;
        if (c == 'q')
            v->quiet = true;
        else if (c == 'm')
            v->options.math_mode = !strcmp(optarg, "fast")      ? ABX_MATH_FAST
                                   : !strcmp(optarg, "relaxed") ? ABX_MATH_RELAXED
                                                                : ABX_MATH_SAFE;
        else if (c == 'l' && sscanf(optarg, "%u.%u", &major, &minor) == 2)
            v->options.language_version = major << 16 | minor;
        else if (c == 'D')
            abx_string_add(&v->macros, optarg, strlen(optarg) + 1);
        else if (c == 'o')
            v->output = optarg;
        else if (c == 't' && find_target(optarg) && v->target_count < ABX_ARRAY_SIZE(v->targets))
            v->targets[v->target_count++] = find_target(optarg);
        else if (c == 'k')
            v->kernels.name = optarg;
        else if (c == 'e' && atoi(optarg) > 0)
            v->kernels.every = (unsigned)atoi(optarg);
        else if (c == 'c')
            constants[v->kernels.constant_count++] = optarg;
        else if (c == 's')
            v->kernels.folder = optarg;
        else if (c == 'a')
            v->kernels.most_alone = atoi(optarg);
        else if (c == 'p' && atoi(optarg) > 0)
            v->kernels.processor = (uint32_t)atoi(optarg);
        else if (c == 'u')
            v->kernels.unset = true;
        else if (c == 'j' && atoi(optarg) > 0)
            v->kernels.jobs = (unsigned)atoi(optarg);
        else if (c == 'f')
            v->each = optarg;
        else
            return false;
    }
    v->options.macro_bytes = (uint32_t)v->macros.length;
    v->kernels.tools = &v->tools, v->kernels.quiet = v->quiet;
    return v->each ? optind < argc : optind + 1 == argc;
}

/* The exit status. */
static int compile_file(struct invocation *v, const char *path)
{
    void *source;
    size_t source_bytes;
    if (abx_read_file(path, ABX_SHADER_MAX_LIBRARY_BYTES, &source, &source_bytes)) {
        fprintf(stderr, "shader-tool: cannot read the source\n");
        return 2;
    }
    struct abx_shader_result result = {0};
    bool metallib = abx_is_metallib(source, source_bytes);
    int rc = metallib ? 0 : abx_shader_locate(&v->tools, &result.message);
    uint64_t start = abx_now_ns();
    if (metallib)
        rc = abx_air_compile(source, source_bytes, &v->options, &result);
    else if (!rc)
        rc = abx_shader_compile(
                &v->tools, source, source_bytes, &v->options, v->macros.data, &result);
    if (result.message)
        fputs(result.message, stderr);
    if (!rc && !v->quiet)
        print_library(result.blob);
    if (!rc && v->output)
        rc = abx_write_file(v->output, result.blob, result.blob_bytes);
    if (getenv("SHADER_TOOL_TIME"))
        fprintf(stderr, "compiled in %.3f s: %d, %zu bytes\n", (double)(abx_now_ns() - start) / 1e9,
                rc, result.blob_bytes);
    v->kernels.library = result.blob, v->kernels.library_bytes = result.blob_bytes;
    for (uint32_t i = 0; !rc && i < v->target_count; i++) {
        v->kernels.target = v->targets[i];
        rc = specialize_kernels(&v->kernels);
    }
    free(result.blob), free(result.message), free(source);
    return rc == 0 ? 0 : rc == -EINVAL ? 1 : 2;
}

static int compile_each(struct invocation *v, int count, char **files)
{
    for (int i = 0; i < count; i++) {
        char path[4096], text[16];
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            snprintf(path, sizeof path, "%s/%d.out", v->each, i);
            bool good = freopen(path, "w", stdout);
            snprintf(path, sizeof path, "%s/%d.err", v->each, i);
            good = good && freopen(path, "w", stderr);
            exit(good ? compile_file(v, files[i]) : 2);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            return 2;
        snprintf(path, sizeof path, "%s/%d.status", v->each, i);
        snprintf(text, sizeof text, "%d",
                WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
        if (abx_write_file(path, text, strlen(text)))
            return 2;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct invocation v;
    const char *clang = getenv("SHADER_TOOL_CLANG"), *message;
    if (!read_options(&v, argc, argv)) {
        fprintf(stderr, "shader-tool: wrong arguments, or not one file\n");
        return 2;
    }
    if (clang && *clang && abx_shader_load_clang(clang, &message)) {
        fprintf(stderr, "shader-tool: %s\n", message);
        return 2;
    }
    if (v.kernels.processor && !*abx_shader_assembler()) {
        fprintf(stderr, "shader-tool: nvJitLink is not installed\n");
        return 2;
    }
    int status = v.each ? compile_each(&v, argc - optind, argv + optind)
                        : compile_file(&v, argv[optind]);
    free((void *)v.kernels.constants);
    abx_string_finish(&v.macros);
    return status;
}
