/* shader: runs clang as a child of the compiler process: text in through a pipe, output and
 * complaints out through pipes. The child inherits the compiler process's sandbox and limits; what
 * it prints is capped here. */
#include "shader/frontend/frontend.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES 65536
#define MAX_ERROR_BYTES (4u << 20) /* of a clang's complaints, most of them not shown */

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

/* ---- arguments */

static const char *const common_flags[] = {
#include "shader/frontend/clang_flags.inc"
};

void clang_argument(struct clang_arguments *a, const char *argument)
{
    if (a->count + 1 < CLANG_MAX_ARGUMENTS) {
        a->list[a->count++] = argument;
        a->list[a->count] = NULL;
    } else {
        a->full = true;
    }
}

static void add_all(struct clang_arguments *a, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        clang_argument(a, list[i]);
}

void clang_compile_arguments(
        struct clang_arguments *ret, const char *clang, const char *overlay, const char *pch)
{
    const char *const flags[] = {"-ivfsoverlay", overlay, "-include-pch", pch,
            "-fno-caret-diagnostics", "-fdiagnostics-print-source-range-info", "-ferror-limit=100",
            "-Wno-duplicate-decl-specifier", "-Wno-unknown-pragmas", "-Wno-c99-designator",
            "-Wno-unused-value", "-Wno-user-defined-literals", "-Wno-unknown-attributes",
            "-Wno-ignored-attributes", "-Wno-undefined-internal", "-Wno-undefined-inline",
            "-Wno-pass-failed", "-Wno-overloaded-shift-op-parentheses", "-Wno-invalid-offsetof",
            "-Wno-unknown-warning-option",
            /* What C++20 and later find old is not old in Metal. */
            "-Wno-deprecated-volatile", "-Wno-deprecated-enum-enum-conversion",
            "-Wno-deprecated-enum-float-conversion", "-Wno-deprecated-anon-enum-enum-conversion",
            "-Wno-deprecated-array-compare", "-Wno-deprecated-comma-subscript",
            "-Wno-deprecated-this-capture", "-Wno-ambiguous-reversed-operator", "-Wunused-variable",
            "-Wuninitialized", "-Wsometimes-uninitialized", "-Werror=vla-cxx-extension"};
    ret->count = 0;
    ret->full = false;
    clang_argument(ret, clang);
    add_all(ret, common_flags, ABX_ARRAY_SIZE(common_flags));
    add_all(ret, flags, ABX_ARRAY_SIZE(flags));
}

void clang_emit_bitcode(struct clang_arguments *a)
{
    static const char *const flags[] = {"-c", "-emit-llvm", "-o", "-", "-"};
    add_all(a, flags, ABX_ARRAY_SIZE(flags));
}

void clang_emit_header(struct clang_arguments *a)
{
    static const char *const flags[] = {
            "-x", "c++-header", "-Xclang", "-fno-pch-timestamp", "-o", "-", "-"};
    add_all(a, flags, ABX_ARRAY_SIZE(flags));
}

/* ---- processes */

typedef int clang_main(unsigned count, const char *const *arguments);

static clang_main *loaded; /* instead of the program */

int abx_shader_load_clang(const char *path, const char **ret_message)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void (*prepare)(void) = library ? (void (*)(void))dlsym(library, "arcbox_clang_prepare") : NULL;
    clang_main *run = library ? (clang_main *)dlsym(library, "arcbox_clang_main") : NULL;
    if (!prepare || !run) {
        *ret_message = dlerror();
        return -ENOENT;
    }
    prepare();
    loaded = run;
    return 0;
}

static int fork_loaded(pid_t *ret_pid, const char *const *arguments, int in, int out, int err)
{
    unsigned count = 0;
    while (arguments[count])
        count++;
    *ret_pid = fork();
    if (*ret_pid)
        return *ret_pid < 0 ? -errno : 0;
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
        _exit(126);
    /* Other clangs' pipes must not stay open here. Linux has close_range() since 5.9. */
    if (close_range(STDERR_FILENO + 1, ~0u, 0) < 0)
        for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
            close(fd);
    _exit(loaded(count, arguments));
}

static int spawn(pid_t *ret_pid, const char *const *arguments, int in, int out, int err)
{
    /* Messages in English, no colours, no crash reports; nothing of ours for hostile text to see.
     */
    static char *const environment[] = {"LC_ALL=C", "PATH=/usr/bin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc)
        return -rc;
    rc = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    rc = rc ? rc
            : posix_spawn(
                      ret_pid, arguments[0], &actions, NULL, (char *const *)arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

/* Reads what there is; closes *fd at the end. Beyond `cap` bytes it fails, or drops them. */
static int drain(int *fd, struct abx_string *to, size_t cap, bool fail)
{
    char buffer[READ_BYTES];
    ssize_t n = read(*fd, buffer, sizeof(buffer));
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    if (n == 0) {
        close(*fd);
        *fd = -1;
        return 0;
    }
    if (to->length + (size_t)n > cap) {
        if (fail)
            return -E2BIG;
        n = to->length < cap ? (ssize_t)(cap - to->length) : 0;
    }
    abx_string_add(to, buffer, (size_t)n);
    return to->failed ? -ENOMEM : 0;
}

static void feed(struct clang_run *run)
{
    ssize_t n = write(run->in, run->input + run->written, run->input_bytes - run->written);
    if (n > 0)
        run->written += (size_t)n;
    bool stop = n < 0 && errno != EINTR && errno != EAGAIN; /* it may end without reading all */
    if (stop || run->written == run->input_bytes) {
        close(run->in);
        run->in = -1;
    }
}

static int exchange_one(struct clang_run *run, const struct pollfd fds[3])
{
    int rc = 0;
    if (run->in >= 0 && fds[0].revents)
        feed(run);
    if (run->out >= 0 && fds[1].revents)
        rc = drain(&run->out, &run->output, run->output_cap, true);
    if (!rc && run->err >= 0 && fds[2].revents)
        rc = drain(&run->err, &run->errors, MAX_ERROR_BYTES, false);
    return rc;
}

/* Until every one has closed its end. */
static int exchange(struct clang_run *runs, unsigned count)
{
    for (;;) {
        struct pollfd fds[3 * CLANG_MAX_RUNS];
        bool open = false;
        for (unsigned i = 0; i < count; i++) {
            fds[3 * i] = (struct pollfd){runs[i].in, POLLOUT, 0};
            fds[3 * i + 1] = (struct pollfd){runs[i].out, POLLIN, 0};
            fds[3 * i + 2] = (struct pollfd){runs[i].err, POLLIN, 0};
            open |= runs[i].in >= 0 || runs[i].out >= 0 || runs[i].err >= 0;
        }
        if (!open)
            return 0;
        if (poll(fds, 3 * count, -1) < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        for (unsigned i = 0; i < count; i++) {
            int rc = exchange_one(&runs[i], fds + 3 * i);
            if (rc)
                return rc;
        }
    }
}

static int start(struct clang_run *run)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    pid_t pid = -1;
    int rc = 0;
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
        rc = -errno;
    if (!rc)
        rc = (loaded ? fork_loaded : spawn)(&pid, run->arguments, in[0], out[1], err[1]);
    if (!rc) {
        fcntl(in[1], F_SETFL, O_NONBLOCK);
        run->pid = pid;
        run->in = in[1], run->out = out[0], run->err = err[0];
        in[1] = out[0] = err[0] = -1;
        if (!run->input_bytes) {
            close(run->in);
            run->in = -1;
        }
    }
    close_pair(in), close_pair(out), close_pair(err);
    return rc;
}

static void end(struct clang_run *run, bool kill_it)
{
    int ends[] = {run->in, run->out, run->err}, status = 0;
    for (int i = 0; i < 3; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    run->in = run->out = run->err = -1;
    if (run->pid > 0) {
        if (kill_it)
            kill(run->pid, SIGKILL);
        while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
            ;
        run->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        run->pid = 0;
    }
    /* So that both can be taken as C strings. */
    abx_string_add(&run->output, "", 0);
    abx_string_add(&run->errors, "", 0);
}

int clang_run(struct clang_run *runs, unsigned count)
{
    int rc = count <= CLANG_MAX_RUNS ? 0 : -EINVAL;
    signal(SIGPIPE, SIG_IGN); /* a child that stops reading is not our end */
    for (unsigned i = 0; i < count; i++)
        runs[i].pid = 0, runs[i].in = runs[i].out = runs[i].err = -1;
    for (unsigned i = 0; !rc && i < count; i++)
        rc = start(&runs[i]);
    if (!rc)
        rc = exchange(runs, count);
    for (unsigned i = 0; i < count; i++)
        end(&runs[i], rc != 0);
    return rc;
}

int clang_failure(const struct clang_run *run, const char **ret_message)
{
    bool crashed = run->status > 128 || strstr(run->errors.data, "PLEASE submit a bug report");
    if (!crashed)
        return 0;
    bool stopped = run->status == 128 + SIGXCPU || run->status == 128 + SIGKILL ||
                   strstr(run->errors.data, "out of memory") ||
                   strstr(run->errors.data, "std::bad_alloc");
    *ret_message = stopped ? ABX_SHADER_STOPPED : ABX_SHADER_CRASHED;
    return stopped ? -ETIMEDOUT : -EIO;
}

void clang_run_finish(struct clang_run *run)
{
    abx_string_finish(&run->output);
    abx_string_finish(&run->errors);
}
