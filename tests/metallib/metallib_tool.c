/* Makes code of the functions of a .metallib file, as the compiler process does, and says which
 * fail and why. For tests and for people.
 *
 *   metallib-tool [-n STEP] [-f FIRST] [-v VALUE] [-e EXPECTED] [-t TARGET] FILE [FUNCTION...]
 *
 * Without names: every STEPth function from FIRST on. Function constants are set to VALUE
 * (1). TARGET: a number of enum abx_shader_target.
 * Functions that take more threadgroup memory than Metal allows are counted by themselves: no
 * device makes pipelines of those. Exit: 0 when of the others all but EXPECTED (0) were made, 1
 * otherwise, 2: the file cannot be used. */
#include "shader/shader.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUNCTION_SECONDS 60u /* of processor time, for one function */
#define TOO_LARGE 3          /* exit status */

struct run {
    const void *blob;
    size_t bytes;
    const struct abx_reflection *reflection;
    int value;
    uint32_t target;
    unsigned made, failed, large;
};

static unsigned constants_of(const struct run *run, uint32_t function,
        struct abx_shader_constant constants[ABX_SHADER_MAX_CONSTANTS])
{
    const struct abx_reflection_function *f = &abx_reflection_functions(run->reflection)[function];
    const struct abx_reflection_constant *c =
            abx_reflection_constants(run->reflection) + f->first_constant;
    for (uint32_t i = 0; i < f->constant_count; i++) {
        constants[i] = (struct abx_shader_constant){.index = c[i].index, .type = c[i].type};
        constants[i].value[0] = (uint8_t)run->value;
    }
    return f->constant_count;
}

/* In a process of its own: LLVM may crash. */
_Noreturn static void make(const struct run *run, uint32_t function)
{
    static struct abx_shader_constant constants[ABX_SHADER_MAX_CONSTANTS];
    struct rlimit limit = {FUNCTION_SECONDS, FUNCTION_SECONDS};
    struct abx_shader_result result;
    setrlimit(RLIMIT_CPU, &limit);
    unsigned count = constants_of(run, function, constants);
    int rc = abx_shader_specialize(
            NULL, run->target, run->blob, run->bytes, function, constants, count, &result);
    if (rc < 0 && result.message &&
            strstr(result.message, "exceeds the maximum threadgroup memory"))
        _exit(TOO_LARGE);
    if (rc < 0)
        printf("%s", result.message ? result.message : strerror(-rc));
    fflush(stdout);
    _exit(rc < 0);
}

static void check(struct run *run, uint32_t function)
{
    const struct abx_reflection_function *f = &abx_reflection_functions(run->reflection)[function];
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        make(run, function);
    waitpid(pid, &status, 0);
    if (status == 0) {
        run->made++;
        return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == TOO_LARGE) {
        run->large++;
        return;
    }
    run->failed++;
    if (WIFSIGNALED(status))
        printf("signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    printf("  ^ %u %s\n", function, abx_reflection_string(run->reflection, f->name));
}

static bool check_named(struct run *run, const char *name)
{
    const struct abx_reflection_function *f = abx_reflection_functions(run->reflection);
    for (uint32_t i = 0; i < run->reflection->function_count; i++)
        if (!strcmp(abx_reflection_string(run->reflection, f[i].name), name)) {
            check(run, i);
            return true;
        }
    fprintf(stderr, "metallib-tool: no function \"%s\"\n", name);
    return false;
}

static bool open_library(struct run *run, const char *path)
{
    struct abx_shader_options options = {0};
    struct abx_shader_result result = {0};
    void *data;
    size_t bytes;
    int rc = abx_read_file(path, ABX_SHADER_MAX_LIBRARY_BYTES, &data, &bytes);
    if (rc == 0)
        rc = abx_air_compile(data, bytes, &options, &result);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", path, result.message ? result.message : strerror(-rc));
        free(result.message);
        return false;
    }
    const struct abx_shader_library *head = result.blob;
    free(data);
    run->blob = result.blob;
    run->bytes = result.blob_bytes;
    run->reflection = (const void *)((const char *)result.blob + head->reflection_offset);
    return true;
}

int main(int argc, char **argv)
{
    struct run run = {.value = 1, .target = ABX_TARGET_HOST};
    unsigned step = 1, first = 0, expected = 0;
    for (int c; (c = getopt(argc, argv, "n:f:v:e:t:")) != -1;) {
        if (c == 'n')
            step = (unsigned)atoi(optarg);
        else if (c == 'f')
            first = (unsigned)atoi(optarg);
        else if (c == 'v')
            run.value = atoi(optarg);
        else if (c == 'e')
            expected = (unsigned)atoi(optarg);
        else if (c == 't')
            run.target = (uint32_t)atoi(optarg);
        else
            return 2;
    }
    if (optind >= argc || !step || !open_library(&run, argv[optind]))
        return 2;
    bool found = true;
    for (int i = optind + 1; i < argc; i++)
        found &= check_named(&run, argv[i]);
    if (optind + 1 == argc)
        for (uint32_t i = first; i < run.reflection->function_count; i += step)
            check(&run, i);
    printf("%u made, %u failed, %u beyond Metal's limits, of %u functions\n", run.made, run.failed,
            run.large, run.reflection->function_count);
    return found && run.failed == expected ? 0 : 1;
}
