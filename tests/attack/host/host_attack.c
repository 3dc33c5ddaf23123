/* See host_attack.h. */
#include "host_attack.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void compiler_start(struct compiler *c)
{
    char program[4096];
    int pair[2];
    const char *arcboxd = getenv("ARCBOXD");
    CHECK(arcboxd);
    snprintf(program, sizeof program, "%s", arcboxd);
    snprintf(strrchr(program, '/') + 1, 32, "arcbox-compiler");
    daemon_folder_make(true);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    c->supervisor = fcntl(pair[0], F_DUPFD_CLOEXEC, 16);
    close(pair[0]);
    c->pid = fork();
    if (c->pid == 0) {
        int theirs = fcntl(pair[1], F_DUPFD, 16);
        dup2(theirs, 3);
        close(theirs);
        execl(program, program, NULL);
        _exit(127);
    }
    close(pair[1]);
    CHECK(c->pid > 0);
}

void compiler_stop(struct compiler *c)
{
    int status;
    close(c->supervisor);
    kill(c->pid, SIGKILL);
    CHECK(waitpid(c->pid, &status, 0) == c->pid);
    CHECK(daemon_folder_remove());
}

int compiler_worker(struct compiler *c)
{
    static uint64_t workers;
    struct abx_compiler_request r = {.type = ABX_COMPILER_WORKER,
            .id = ++workers,
            .target = ABX_TARGET_HOST,
            .cpu_seconds = 30};
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK(abx_sock_send(c->supervisor, &r, sizeof r, &pair[1], 1) == 0);
    close(pair[1]);
    return pair[0];
}

static int send_patiently(int sock, const void *data, size_t bytes, int fd, int patience_ms)
{
    struct pollfd p = {sock, POLLOUT, 0};
    if (poll(&p, 1, patience_ms) <= 0)
        return -EAGAIN;
    return abx_sock_send(sock, data, bytes, &fd, fd >= 0);
}

int compiler_ask(int worker, uint64_t id)
{
    struct abx_compiler_request r = {.type = ABX_COMPILER_PIPELINE, .id = id};
    return send_patiently(worker, &r, sizeof r, -1, 1000);
}

int compiler_ask_library(
        int worker, uint64_t id, const char *source, size_t padding_bytes, bool sealed)
{
    static const char blanks[65536] = {[0 ... 65535] = ' '};
    struct abx_shader_options options = {.math_mode = ABX_MATH_FAST};
    struct abx_compiler_request r = {.type = ABX_COMPILER_LIBRARY,
            .id = id,
            .bytes = sizeof options + strlen(source) + padding_bytes};
    int fd = abx_memfd_create("source", r.bytes);
    CHECK(fd >= 0 && abx_write_all(fd, &options, sizeof options) == 0);
    CHECK(abx_write_all(fd, source, strlen(source)) == 0);
    for (size_t left = padding_bytes; left;) {
        size_t n = left < sizeof blanks ? left : sizeof blanks;
        CHECK(abx_write_all(fd, blanks, n) == 0);
        left -= n;
    }
    if (sealed)
        CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
    int e = send_patiently(worker, &r, sizeof r, fd, ATTACK_PATIENCE_MS);
    close(fd);
    return e;
}

bool compiler_answer(int worker, struct abx_compiler_answer *ret)
{
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count = 0;
    struct pollfd p = {worker, POLLIN, 0};
    if (poll(&p, 1, ATTACK_PATIENCE_MS) <= 0)
        return false;
    ssize_t n = abx_sock_receive(worker, ret, sizeof *ret, fds, &fd_count);
    while (n > 0 && fd_count)
        close(fds[--fd_count]);
    return n == (ssize_t)sizeof *ret;
}

uint64_t resident_bytes(int pid)
{
    char path[64];
    unsigned long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    CHECK(fscanf(file, "%*u %lu", &pages) == 1);
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool is_child(const char *name, int parent, const char *what)
{
    char path[300], text[512] = "";
    int ppid = 0;
    snprintf(path, sizeof path, "/proc/%s/stat", name);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    if (fscanf(file, "%*d (%*[^)]) %*c %d", &ppid) != 1)
        ppid = 0;
    fclose(file);
    snprintf(path, sizeof path, "/proc/%s/cmdline", name);
    file = ppid == parent ? fopen(path, "r") : NULL;
    if (!file)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    for (size_t i = 0; i < n; i++)
        text[i] = text[i] ? text[i] : ' ';
    return strstr(text, what) != NULL;
}

int child_of(int parent, const char *what)
{
    int found = 0;
    DIR *dir = opendir("/proc");
    struct dirent *d;
    CHECK(dir);
    while (!found && (d = readdir(dir)))
        if (atoi(d->d_name) && is_child(d->d_name, parent, what))
            found = atoi(d->d_name);
    closedir(dir);
    return found;
}

uint64_t spent_ns(clockid_t clock)
{
    struct timespec t;
    CHECK(clock_gettime(clock, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
