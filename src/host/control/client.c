/* host: the client side of the control protocol, for the `arcbox` command and tests. Runs in their
 * process; trusts the supervisor it reaches through a folder only this user can write. */
#include "host/control/control.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TIMEOUT_MS 30000 /* a daemon that is not ready by then never will be */
#define ANSWER_TIMEOUT_MS 5000
/* Until its workers have ended, on a machine that does much else. */
#define SHUTDOWN_TIMEOUT_MS 30000

extern char **environ;

struct abx_control {
    int sock;
    char text[256];
};

int abx_control_runtime_dir(char ret_path[ABX_CONTROL_PATH_BYTES])
{
    const char *own = getenv("ARCBOX_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
    int n;
    if (own && *own && *own != '/')
        return -EINVAL;
    if (own && *own)
        n = snprintf(ret_path, ABX_CONTROL_PATH_BYTES, "%s", own);
    else if (xdg && *xdg == '/')
        n = snprintf(ret_path, ABX_CONTROL_PATH_BYTES, "%s/arcbox", xdg);
    else if (getuid() == 0)
        n = snprintf(ret_path, ABX_CONTROL_PATH_BYTES, "/run/arcbox");
    else
        n = snprintf(ret_path, ABX_CONTROL_PATH_BYTES, "/tmp/arcbox-%u", (unsigned)getuid());
    /* Room for "/tenants/<name>/gpu.sock" is the supervisor's to check. */
    return n < (int)ABX_CONTROL_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

static int path_in_runtime(const char *leaf, char ret_path[ABX_CONTROL_PATH_BYTES])
{
    char dir[ABX_CONTROL_PATH_BYTES];
    int r = abx_control_runtime_dir(dir);
    if (r < 0)
        return r;
    int n = snprintf(ret_path, ABX_CONTROL_PATH_BYTES, "%.107s/%s", dir, leaf);
    return n < (int)ABX_CONTROL_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

int abx_control_default_socket(char ret_path[ABX_CONTROL_PATH_BYTES])
{
    return path_in_runtime("gpu.sock", ret_path);
}

static ABX_PRINTF(2, 3) void set_message(char **ret_message, const char *format, ...)
{
    if (!ret_message)
        return;
    va_list args;
    va_start(args, format);
    if (vasprintf(ret_message, format, args) < 0)
        *ret_message = NULL;
    va_end(args);
}

/* Others must not be able to put a socket there: /tmp/arcbox-UID is anybody's to make. -EPERM: it
 * is not ours alone. */
static int check_folder(void)
{
    char dir[ABX_CONTROL_PATH_BYTES];
    struct stat st;
    int r = abx_control_runtime_dir(dir);
    if (r < 0)
        return r;
    if (lstat(dir, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) && st.st_uid == geteuid() ? 0 : -EPERM;
}

/* A connected socket, or -errno (-ENOENT, -ECONNREFUSED: nobody listens). */
static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int r = path_in_runtime("control.sock", address.sun_path);
    if (r == 0)
        r = check_folder();
    if (r < 0)
        return r;
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return -errno;
    if (connect(sock, (struct sockaddr *)&address, sizeof address) < 0) {
        r = -errno;
        close(sock);
        return r;
    }
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.uid != geteuid()) {
        close(sock);
        return -EPERM;
    }
    return sock;
}

static bool runnable(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* Where arcboxd is: an installed tree, a build folder, PATH. */
static int find_daemon(char ret_path[4096])
{
    const char *own = getenv("ARCBOXD");
    if (own && *own) {
        snprintf(ret_path, 4096, "%s", own);
        return runnable(ret_path) ? 0 : -ENOENT;
    }
    char self[PATH_MAX];
    if (abx_own_folder(self) == 0) {
        static const char *const places[] = {"arcboxd", "../libexec/arcbox/arcboxd",
                "../host/arcboxd", "../../src/host/arcboxd"};
        for (unsigned i = 0; i < ABX_ARRAY_SIZE(places); i++) {
            if (snprintf(ret_path, 4096, "%s/%s", self, places[i]) < 4096 && runnable(ret_path))
                return 0;
        }
    }
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t length = strcspn(path, ":");
        snprintf(ret_path, 4096, "%.*s/arcboxd", (int)length, path);
        if (length && runnable(ret_path))
            return 0;
        path += length + (path[length] == ':');
    }
    return -ENOENT;
}

/* Runs `arcboxd --daemon --ready-fd 3`; ready when it writes a byte, failed when it writes words.
 */
static int start_daemon(char **ret_message)
{
    char program[4096], words[512];
    int pipe_fds[2], status;
    if (find_daemon(program) < 0) {
        set_message(ret_message,
                "arcboxd was not found (looked in ARCBOXD, beside this program, PATH)");
        return -ENOENT;
    }
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return -errno;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    /* dup2 onto itself would keep close-on-exec; posix_spawn clears it in that case. */
    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 3);
    char *argv[] = {program, "--daemon", "--ready-fd", "3", NULL};
    pid_t pid;
    int r = -posix_spawn(&pid, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_fds[1]);
    ssize_t n = 0;
    if (r == 0) {
        struct pollfd p = {pipe_fds[0], POLLIN, 0};
        bool said = poll(&p, 1, START_TIMEOUT_MS) > 0;
        if (said)
            n = read(pipe_fds[0], words, sizeof words - 1);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (n <= 0 || words[0] != '+') {
            words[n > 0 ? n : 0] = 0;
            set_message(ret_message, "%s did not start: %s", program,
                    words[0] ? words
                    : said   ? "it ended without saying why"
                             : "it was not ready within 30 seconds");
            r = -EIO;
        }
    } else
        set_message(ret_message, "%s: %s", program, strerror(-r));
    close(pipe_fds[0]);
    return r;
}

int abx_control_connect(bool start, struct abx_control **ret, char **ret_message)
{
    int sock = dial();
    if ((sock == -ENOENT || sock == -ECONNREFUSED) && start) {
        int r = start_daemon(ret_message);
        if (r < 0)
            return r;
        sock = dial();
    }
    if (sock < 0) {
        sock = sock == -ECONNREFUSED ? -ENOENT : sock;
        set_message(ret_message,
                sock == -ENOENT ? "the arcbox daemon is not running"
                : sock == -EPERM
                        ? "the runtime folder, or the daemon in it, belongs to somebody else"
                : sock == -EINVAL ? "ARCBOX_RUNTIME_DIR is no absolute path"
                                  : "%s",
                strerror(-sock));
        return sock;
    }
    struct abx_control *control = calloc(1, sizeof *control);
    if (!control) {
        close(sock);
        return -ENOMEM;
    }
    control->sock = sock;
    *ret = control;
    return 0;
}

void abx_control_close(struct abx_control *control)
{
    if (!control)
        return;
    close(control->sock);
    free(control);
}

int abx_control_fd(struct abx_control *control)
{
    return control->sock;
}

const char *abx_control_error(struct abx_control *control)
{
    return control->text;
}

static int receive(struct abx_control *control, void *to, size_t length)
{
    int fds[ABX_SOCK_MAX_FDS];
    unsigned fd_count;
    struct pollfd p = {control->sock, POLLIN, 0};
    if (poll(&p, 1, ANSWER_TIMEOUT_MS) <= 0) {
        snprintf(control->text, sizeof control->text, "the arcbox daemon does not answer");
        return -ETIMEDOUT;
    }
    ssize_t n = abx_sock_receive(control->sock, to, length, fds, &fd_count);
    while (n >= 0 && fd_count)
        close(fds[--fd_count]);
    if (n == (ssize_t)length)
        return 0;
    snprintf(control->text, sizeof control->text, "%s",
            n > 0 ? "the arcbox daemon is of another version" : "the arcbox daemon went away");
    return n < 0 ? (int)n : n ? -EPROTO : -ECONNRESET;
}

/* One request; its answers, each `size` bytes, in *ret_items (malloc()ed, NULL when none). */
static int ask(struct abx_control *control, struct abx_control_request *request, size_t size,
        void **ret_items, unsigned *ret_count)
{
    control->text[0] = 0;
    request->version = ABX_CONTROL_VERSION;
    struct abx_control_reply reply;
    int r = abx_sock_send(control->sock, request, sizeof *request, NULL, 0);
    if (r < 0) {
        snprintf(control->text, sizeof control->text, "the arcbox daemon went away");
        return r;
    }
    r = receive(control, &reply, sizeof reply);
    if (r < 0)
        return r;
    reply.text[sizeof reply.text - 1] = 0;
    if (reply.error) {
        snprintf(control->text, sizeof control->text, "%s", reply.text);
        return reply.error;
    }
    char *items = reply.count ? calloc(reply.count, size) : NULL;
    if (reply.count && !items)
        return -ENOMEM;
    for (unsigned i = 0; i < reply.count; i++)
        if ((r = receive(control, items + i * size, size)) < 0) {
            free(items);
            return r;
        }
    *ret_items = items;
    *ret_count = reply.count;
    return 0;
}

static int ask_one(
        struct abx_control *control, struct abx_control_request *request, void *ret, size_t size)
{
    void *items;
    unsigned count;
    int r = ask(control, request, size, &items, &count);
    if (r < 0)
        return r;
    if (count == 1)
        memcpy(ret, items, size);
    free(items);
    return count == 1 ? 0 : -EPROTO;
}

int abx_control_ping(struct abx_control *control, struct abx_control_daemon *ret)
{
    struct abx_control_request request = {.type = ABX_CONTROL_PING};
    return ask_one(control, &request, ret, sizeof *ret);
}

static int set_name(struct abx_control *control, char *to, size_t capacity, const char *from)
{
    if ((size_t)snprintf(to, capacity, "%s", from ? from : "") < capacity)
        return 0;
    snprintf(control->text, sizeof control->text, "the name %.60s... is too long", from);
    return -ENAMETOOLONG;
}

int abx_control_tenant_create(struct abx_control *control, const char *name, const char *backend,
        uint32_t flags, const struct abx_control_limits *limits, struct abx_control_tenant *ret)
{
    struct abx_control_request request = {.type = ABX_CONTROL_TENANT_CREATE, .flags = flags};
    int r = set_name(control, request.name, sizeof request.name, name);
    if (r == 0)
        r = set_name(control, request.backend, sizeof request.backend, backend);
    if (r < 0)
        return r;
    if (limits)
        request.limits = *limits;
    return ask_one(control, &request, ret, sizeof *ret);
}

int abx_control_tenant_remove(struct abx_control *control, const char *name)
{
    struct abx_control_request request = {.type = ABX_CONTROL_TENANT_REMOVE};
    void *items;
    unsigned count;
    int r = set_name(control, request.name, sizeof request.name, name);
    return r < 0 ? r : ask(control, &request, 1, &items, &count);
}

int abx_control_tenants(
        struct abx_control *control, struct abx_control_tenant **ret, unsigned *ret_count)
{
    struct abx_control_request request = {.type = ABX_CONTROL_TENANTS};
    return ask(control, &request, sizeof **ret, (void **)ret, ret_count);
}

int abx_control_clients(
        struct abx_control *control, struct abx_control_client **ret, unsigned *ret_count)
{
    struct abx_control_request request = {.type = ABX_CONTROL_CLIENTS};
    return ask(control, &request, sizeof **ret, (void **)ret, ret_count);
}

int abx_control_devices(
        struct abx_control *control, struct abx_control_device **ret, unsigned *ret_count)
{
    struct abx_control_request request = {.type = ABX_CONTROL_DEVICES};
    return ask(control, &request, sizeof **ret, (void **)ret, ret_count);
}

int abx_control_shutdown(struct abx_control *control)
{
    struct abx_control_request request = {.type = ABX_CONTROL_SHUTDOWN};
    void *items;
    unsigned count;
    char byte;
    int r = ask(control, &request, 1, &items, &count);
    if (r < 0)
        return r;
    struct pollfd p = {control->sock, POLLIN, 0};
    if (poll(&p, 1, SHUTDOWN_TIMEOUT_MS) <= 0 || recv(control->sock, &byte, 1, 0) > 0)
        return -ETIMEDOUT;
    return 0;
}
