/* shader: runs clang as a child of the compiler process: text in through a pipe, output and
 * complaints out through pipes, no files. The child inherits the compiler process's sandbox and
 * limits; what it prints is capped here. */
#include "shader/frontend.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES 65536

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

static int spawn(pid_t *ret_pid, const char *clang, const char *const *arguments, int in[2],
        int out[2], int err[2])
{
    /* Messages in English, no colours, no crash reports; nothing of ours for hostile text to see.
     */
    static char *const environment[] = {"LC_ALL=C", "PATH=/usr/bin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc)
        return -rc;
    rc = posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    rc = rc ? rc
            : posix_spawn(ret_pid, clang, &actions, NULL, (char *const *)arguments, environment);
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

static int feed(int *fd, const struct clang_run *run, size_t *written)
{
    ssize_t n = write(*fd, run->input + *written, run->input_bytes - *written);
    if (n > 0)
        *written += (size_t)n;
    bool stop = n < 0 && errno != EINTR && errno != EAGAIN; /* it may end without reading all */
    if (stop || *written == run->input_bytes) {
        close(*fd);
        *fd = -1;
    }
    return 0;
}

static int exchange(struct clang_run *run, int *in, int *out, int *err)
{
    size_t written = 0;
    if (!run->input_bytes) {
        close(*in);
        *in = -1;
    }
    while (*in >= 0 || *out >= 0 || *err >= 0) {
        struct pollfd fds[] = {{*in, POLLOUT, 0}, {*out, POLLIN, 0}, {*err, POLLIN, 0}};
        if (poll(fds, 3, -1) < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        int rc = 0;
        if (*in >= 0 && fds[0].revents)
            rc = feed(in, run, &written);
        if (!rc && *out >= 0 && fds[1].revents)
            rc = drain(out, &run->output, run->output_cap, true);
        if (!rc && *err >= 0 && fds[2].revents)
            rc = drain(err, &run->errors, ABX_SHADER_MAX_MESSAGE_BYTES, false);
        if (rc)
            return rc;
    }
    return 0;
}

int clang_run(struct clang_run *run, const char *clang, const char *const *arguments)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    pid_t pid = -1;
    int rc = 0;
    signal(SIGPIPE, SIG_IGN); /* a child that stops reading is not our end */
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
        rc = -errno;
    if (!rc)
        rc = spawn(&pid, clang, arguments, in, out, err);
    if (!rc) {
        close(in[0]), close(out[1]), close(err[1]);
        in[0] = out[1] = err[1] = -1;
        fcntl(in[1], F_SETFL, O_NONBLOCK);
        rc = exchange(run, &in[1], &out[0], &err[0]);
        int status = 0;
        if (rc)
            kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        run->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    close_pair(in), close_pair(out), close_pair(err);
    /* So that both can be taken as C strings. */
    abx_string_add(&run->output, "", 0);
    abx_string_add(&run->errors, "", 0);
    return rc;
}

void clang_run_finish(struct clang_run *run)
{
    abx_string_finish(&run->output);
    abx_string_finish(&run->errors);
}
