/* host: the sandboxed process that does one compile. The child reads hostile source (or bitcode
 * made of it) and runs clang or LLVM on it, so it may be taken over: it has no network, no files
 * but clang's, one memory file to write to, limits on time and memory, and what it writes is
 * checked. */
#include "host/compiler/internal.h"
#include "host/sandbox/sandbox.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CHILD_MEMORY_BYTES (4ull << 30) /* ggml's library needs 0.7 GB */
#define CHILD_FILE_BYTES (512ull << 20)
#define CHILD_TMP_BYTES (256ull << 20) /* a library's precompiled header; ggml's takes 3 MB */
#define CHILD_PROCESSES 64u            /* a clang a core, at most 16, and its own */
#define ASSEMBLE_SECONDS 10            /* NVIDIA's assembler, one kernel; most take 0.02 to 0.5 */
#define CHILD_OUT 3
#define CHILD_NULL 4 /* until it is standard error */

static struct abx_shader_tools tools;
static char *tools_message; /* why there are none */
static int tools_error;
static int null_file = -1;
static bool clang_loaded; /* no program is needed */

void child_setup(void)
{
    null_file = open("/dev/null", O_WRONLY | O_CLOEXEC);
    tools_error = abx_shader_locate(&tools, &tools_message);
    if (tools_error < 0)
        compiler_log("%s", tools_message ? tools_message : strerror(-tools_error));
}

/* Once, in the parent, when it first has to compile source: a run that finds all in the cache never
 * pays for it. */
static void load_clang(void)
{
    static bool tried;
    char path[PATH_MAX];
    const char *given = getenv("ARCBOX_CLANG"), *message;
    if (tried || (given && *given))
        return;
    tried = true;
    if (abx_own_folder(path) < 0 || strlen(path) + sizeof "/arcbox-clang.so" > sizeof path)
        return;
    strcat(path, "/arcbox-clang.so");
    clang_loaded = abx_shader_load_clang(path, &message) == 0;
    if (!clang_loaded)
        compiler_log("compiling takes longer: %s", message);
}

bool artifact_check(const struct artifact *a, size_t bytes)
{
    if (bytes < sizeof *a || a->magic != ARTIFACT_MAGIC || a->error > 0 ||
            a->message_bytes > ABX_SHADER_MAX_MESSAGE_BYTES ||
            a->blob_bytes > ABX_SHADER_MAX_LIBRARY_BYTES)
        return false;
    return bytes >= sizeof *a + abx_align_up(a->message_bytes, 8) + a->blob_bytes &&
           (a->error == 0) == (a->blob_bytes != 0);
}

/* ---- in the child */

static void limit(int what, rlim_t value)
{
    struct rlimit r = {value, value};
    setrlimit(what, &r);
}

struct request {
    struct abx_shader_options options;
    const char *macros, *payload; /* source, or a .metallib file */
    size_t payload_bytes;
};

static bool read_request(const struct child_work *work, struct request *ret)
{
    if (work->request_bytes < sizeof ret->options)
        return false;
    memcpy(&ret->options, work->request, sizeof ret->options);
    uint32_t macro_bytes = ret->options.macro_bytes;
    ret->macros = (const char *)work->request + sizeof ret->options;
    ret->payload_bytes = work->request_bytes - sizeof ret->options;
    /* Each macro ends with a NUL, so the last byte is one. */
    if (macro_bytes > ret->payload_bytes || (macro_bytes && ret->macros[macro_bytes - 1] != 0))
        return false;
    ret->payload = ret->macros + macro_bytes;
    ret->payload_bytes -= macro_bytes;
    return true;
}

/* What is bitcode already needs no clang, and so no files. */
static bool needs_clang(const struct child_work *work)
{
    struct request r;
    if (work->library) {
        const struct abx_shader_library *library = (const void *)artifact_blob(work->library);
        bool needs = library->form == ABX_LIBRARY_HEADER;
        for (uint32_t i = 0; i < work->link_count && !needs; i++) {
            library = work->links[i].library;
            needs = library->form == ABX_LIBRARY_HEADER;
        }
        return needs;
    }
    return !read_request(work, &r) || !abx_is_metallib(r.payload, r.payload_bytes);
}

static void give_up_rights(const struct child_work *work, struct abx_string *lacking)
{
    const char *program[] = {"/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", tools.clang,
            tools.shim, tools.pch, NULL};
    const char *library[] = {tools.shim, tools.pch, NULL};
    if (null_file < 0 || dup2(null_file, CHILD_NULL) < 0)
        _exit(126);
    abx_sandbox_basics(CHILD_NULL + 1, 64);
    limit(RLIMIT_CPU, work->cpu_seconds);
#ifndef __SANITIZE_ADDRESS__ /* its shadow alone is larger */
    limit(RLIMIT_AS, CHILD_MEMORY_BYTES);
#endif
    limit(RLIMIT_FSIZE, CHILD_FILE_BYTES);
    abx_sandbox_max_processes(CHILD_PROCESSES);
    abx_sandbox_expendable();
    if (needs_clang(work))
        abx_sandbox_only(clang_loaded ? library : program, CHILD_TMP_BYTES, lacking);
    else
        abx_sandbox_empty_root(lacking);
    abx_sandbox_drop_capabilities(lacking);
    if (lacking->length && work->verbose)
        compiler_log("this system does not allow compiles: %s", lacking->data);
    /* The log is not for what it says from here on. */
    if (dup2(CHILD_NULL, 1) < 0 || dup2(CHILD_NULL, 2) < 0 || close(CHILD_NULL) < 0)
        _exit(126);
    int r = needs_clang(work) ? abx_sandbox_compiler_calls() : abx_sandbox_codegen_calls();
    if (r < 0)
        _exit(126);
}

static int compile(const struct child_work *work, struct abx_shader_result *result)
{
    struct request r;
    if (!read_request(work, &r)) {
        result->message = strdup("the compile request is malformed");
        return -EINVAL;
    }
    if (abx_is_metallib(r.payload, r.payload_bytes))
        return abx_air_compile(r.payload, r.payload_bytes, &r.options, result);
    if (tools_error < 0) {
        result->message = tools_message;
        return tools_error;
    }
    tools.cores = work->cores;
    return abx_shader_compile(&tools, r.payload, r.payload_bytes, &r.options, r.macros, result);
}

/* Another child made them. */
static bool libraries_ok(const struct child_work *work)
{
    int r = abx_shader_library_check(artifact_blob(work->library), work->library->blob_bytes);
    for (uint32_t i = 0; r == 0 && i < work->link_count; i++)
        r = abx_shader_library_check(work->links[i].library, work->links[i].library_bytes);
    return r == 0;
}

static int specialize(const struct child_work *work, struct abx_shader_result *result)
{
    if (!libraries_ok(work)) {
        result->message = strdup("the compiled library is damaged");
        return -EBADMSG;
    }
    if (needs_clang(work) && tools_error < 0) {
        result->message = tools_message;
        return tools_error;
    }
    return abx_shader_link(&tools, work->target, artifact_blob(work->library),
            work->library->blob_bytes, work->function, work->constants, work->constant_count,
            work->links, work->link_count, result);
}

static int refuse(const struct abx_string *lacking, struct abx_shader_result *result)
{
    struct abx_string message = {0};
    abx_sandbox_refusal(&message, lacking);
    result->message = message.data;
    return -EPERM;
}

/* Async-signal-safe. status: CHILD_*. */
_Noreturn static void child_end(int error, const struct abx_shader_result *result, int status)
{
    static const uint64_t padding;
    struct artifact a = {.magic = ARTIFACT_MAGIC,
            .error = error > 0 ? -EIO : error,
            .message_bytes = result->message ? strlen(result->message) : 0,
            .blob_bytes = error == 0 ? result->blob_bytes : 0};
    if (a.message_bytes > ABX_SHADER_MAX_MESSAGE_BYTES)
        a.message_bytes = ABX_SHADER_MAX_MESSAGE_BYTES;
    if (error == 0 && !result->blob_bytes)
        a.error = -EIO;
    size_t pad = abx_align_up(a.message_bytes, 8) - a.message_bytes;
    int r = abx_write_all(CHILD_OUT, &a, sizeof a);
    if (r == 0)
        r = abx_write_all(CHILD_OUT, result->message, a.message_bytes);
    if (r == 0)
        r = abx_write_all(CHILD_OUT, &padding, pad);
    if (r == 0)
        r = abx_write_all(CHILD_OUT, result->blob, a.blob_bytes);
    _exit(r < 0 ? 125 : status);
}

/* ---- machine code for NVIDIA's processors, beside the PTX, which does as well: whatever its
 * assembler does (runs on and on, out of memory, crashes), the child ends with that. */

static struct abx_shader_result without; /* machine code */

/* The processor's time is much the same the next time; the wall's tells of other work. */
static void give_up(int number)
{
    child_end(0, &without, number == SIGALRM ? CHILD_NO_CUBIN_FOR_NOW : CHILD_NO_CUBIN);
}

/* Half of the time that is left, at most ASSEMBLE_SECONDS of the processor's. */
static void set_clocks(unsigned cpu_seconds)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    long left = ((long)cpu_seconds - used.tv_sec) / 2;
    long most = left < 1 ? 1 : left < ASSEMBLE_SECONDS ? left : ASSEMBLE_SECONDS;
    struct itimerval cpu = {.it_value.tv_sec = most}, wall = {.it_value.tv_sec = 2 * most};
    setitimer(ITIMER_PROF, &cpu, NULL);
    setitimer(ITIMER_REAL, &wall, NULL);
}

static void on_trouble(void (*handler)(int))
{
    static const int numbers[] = {
            SIGPROF, SIGALRM, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGXCPU};
    static char stack[64 << 10]; /* the other one may be full */
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < ABX_ARRAY_SIZE(numbers); i++)
        sigaction(numbers[i], &action, NULL);
}

/* The child's status. */
static int assemble(const struct child_work *work, struct abx_shader_result *result)
{
    struct abx_shader_result with = *result;
    without = *result;
    on_trouble(give_up);
    set_clocks(work->cpu_seconds);
    int r = abx_shader_assemble(
            work->processor, result->blob, result->blob_bytes, &with.blob, &with.blob_bytes);
    on_trouble(SIG_IGN); /* the clocks; none of the others comes by itself */
    if (r < 0)
        return CHILD_NO_CUBIN;
    *result = with;
    return CHILD_DONE;
}

_Noreturn static void child_main(const struct child_work *work, struct abx_string *lacking)
{
    struct abx_shader_result result = {0};
    int status = CHILD_DONE;
    give_up_rights(work, lacking);
    int r = abx_sandbox_refuses() ? refuse(lacking, &result)
            : work->library       ? specialize(work, &result)
                                  : compile(work, &result);
    if (r == 0 && work->processor)
        status = assemble(work, &result);
    child_end(r, &result, status);
}

/* ---- in the parent */

pid_t child_start(const struct child_work *work, int *ret_out)
{
    int out = memfd_create("arcbox-artifact", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (out < 0)
        return -errno;
    if (tools_error < 0) { /* installed meanwhile? */
        free(tools_message);
        tools_message = NULL;
        tools_error = abx_shader_locate(&tools, &tools_message);
    }
    if (tools_error == 0 && needs_clang(work))
        load_clang();
    struct abx_string lacking = {0};
    pid_t pid = abx_sandbox_fork(&lacking);
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (dup2(out, CHILD_OUT) < 0)
            _exit(127);
        fcntl(CHILD_OUT, F_SETFD, FD_CLOEXEC); /* not clang's */
        child_main(work, &lacking);
    }
    if (pid < 0) {
        close(out);
        return pid;
    }
    *ret_out = out;
    return pid;
}
