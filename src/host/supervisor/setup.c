/* host: the supervisor's folder, lock, sockets and log. */
#include "host/supervisor/internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LOG_MAX_BYTES (4u << 20) /* an older log is started afresh */

uint64_t supervisor_realtime_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The folder is where every right comes from: ours alone, and no link. */
static int own_folder(const char *path, mode_t mode)
{
    struct stat st;
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return -errno;
    if (lstat(path, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode) || st.st_uid != getuid())
        return -EPERM;
    if ((st.st_mode & 0777) != mode && chmod(path, mode) < 0)
        return -errno;
    return 0;
}

static int join(char ret_path[ABX_CONTROL_PATH_BYTES], const char *folder, const char *leaf)
{
    int n = snprintf(ret_path, ABX_CONTROL_PATH_BYTES, "%s/%s", folder, leaf);
    return n < (int)ABX_CONTROL_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

int supervisor_listen(const char *path, unsigned mode)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0)
        return -errno;
    unlink(path); /* a leftover: the lock says that nobody listens */
    if (bind(sock, (struct sockaddr *)&address, sizeof address) < 0 || chmod(path, mode) < 0 ||
            listen(sock, 64) < 0) {
        int r = -errno;
        close(sock);
        return r;
    }
    return sock;
}

static int take_lock(struct supervisor *s)
{
    char path[ABX_CONTROL_PATH_BYTES];
    int r = join(path, s->runtime, "lock");
    if (r < 0)
        return r;
    s->lock = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock < 0)
        return -errno;
    return flock(s->lock, LOCK_EX | LOCK_NB) < 0 ? -EALREADY : 0;
}

static int open_log(struct supervisor *s)
{
    int r = join(s->log, s->runtime, "arcboxd.log");
    if (r < 0)
        return r;
    int fd = open(s->log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_size > LOG_MAX_BYTES)
        (void)!ftruncate(fd, 0);
    dup2(fd, STDERR_FILENO);
    dup2(fd, STDOUT_FILENO);
    close(fd);
    return 0;
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* The socket that a service manager listens on for us at that path (its protocol: LISTEN_PID,
 * LISTEN_FDS, from 3 on), or -1. It stays when we end. */
static int passed_socket(const char *path)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (!pid || !count || atoi(pid) != (int)getpid())
        return -1;
    for (int fd = 3; fd < 3 + atoi(count) && fd < 16; fd++) {
        struct sockaddr_un address = {0};
        socklen_t length = sizeof address - 1;
        int type = 0;
        socklen_t size = sizeof type;
        if (getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
                address.sun_family == AF_UNIX && strcmp(address.sun_path, path) == 0 &&
                getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET) {
            fcntl(fd, F_SETFD, FD_CLOEXEC);
            fcntl(fd, F_SETFL, O_NONBLOCK);
            return fd;
        }
    }
    return -1;
}

static int listen_at(struct supervisor *s, const char *path, unsigned mode)
{
    int passed = passed_socket(path);
    s->passed_sockets |= passed >= 0;
    return passed >= 0 ? passed : supervisor_listen(path, mode);
}

static int open_sockets(struct supervisor *s)
{
    char path[ABX_CONTROL_PATH_BYTES];
    int r = join(path, s->runtime, "tenants");
    if (r == 0)
        r = own_folder(path, 0711);
    if (r == 0)
        r = join(path, s->runtime, "private");
    if (r == 0)
        r = own_folder(path, 0700);
    /* Programs of any user of a container may connect; the folder keeps others of the host out. */
    if (r == 0)
        r = join(path, s->runtime, "private/gpu.sock");
    if (r == 0)
        r = s->clients = listen_at(s, path, 0666);
    if (r >= 0)
        r = join(path, s->runtime, "gpu.sock");
    if (r >= 0) {
        unlink(path);
        r = symlink("private/gpu.sock", path) < 0 ? -errno : 0;
    }
    if (r >= 0)
        r = join(path, s->runtime, "control.sock");
    if (r >= 0)
        r = s->control = listen_at(s, path, 0600);
    unsetenv("LISTEN_PID"); /* nobody else's */
    unsetenv("LISTEN_FDS");
    return r < 0 ? r : 0;
}

int supervisor_setup(struct supervisor *s, struct abx_string *message)
{
    int r = abx_control_runtime_dir(s->runtime);
    const char *what = "the runtime folder";
    if (r == 0) {
        what = s->runtime;
        /* Searched, not read, by engines' hooks that are root of a container only: those mount its
         * tenant's folder, whose name has the container's id. All else in it keeps others out. */
        r = own_folder(s->runtime, 0711);
    }
    if (r == 0) {
        what = "the lock file";
        r = take_lock(s);
    }
    if (r == 0) {
        what = "the log file";
        r = open_log(s);
    }
    if (r == 0) {
        what = "signals";
        r = s->signals = open_signals();
    }
    if (r >= 0) {
        what = "the sockets";
        r = open_sockets(s);
    }
    if (r == -EPERM)
        abx_string_printf(message, "%s belongs to somebody else, or is no folder", what);
    else if (r < 0)
        abx_string_printf(message, "%s: %s", what, strerror(-r));
    return r < 0 ? r : 0;
}

void supervisor_cleanup(struct supervisor *s)
{
    static const char *const leaves[] = {"control.sock", "gpu.sock", "private/gpu.sock"};
    char path[ABX_CONTROL_PATH_BYTES];
    for (unsigned i = 0; !s->passed_sockets && i < ABX_ARRAY_SIZE(leaves); i++)
        if (join(path, s->runtime, leaves[i]) == 0)
            unlink(path);
}
