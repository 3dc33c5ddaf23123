/* arcbox attach: as if a detached container had been started in the foreground. What it writes is
 * read from its log. What is typed goes to the arcbox that runs it, over a socket in its record,
 * which only this user reaches, and from there into its terminal or pipe (supervise.c). */
#include "cli/run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Ctrl-P Ctrl-Q, docker's. */
#define LEAVE_FIRST 0x10
#define LEAVE_SECOND 0x11

/* The record's path may be longer than a socket's address: through the opened folder. */
static int open_socket(const struct abx_container *c, struct sockaddr_un *ret, int *ret_folder)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    *ret_folder = open(c->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/input", *ret_folder);
    return *ret_folder < 0 ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

int abx_type_listen(const struct abx_container *c)
{
    struct sockaddr_un address;
    int folder, fd = open_socket(c, &address, &folder);
    if (fd >= 0 && (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
                           listen(fd, 8) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)) {
        close(fd);
        fd = -1;
    }
    if (folder >= 0)
        close(folder);
    return fd;
}

struct attached {
    const struct abx_container *c;
    int log, watch, signals, socket, supervisor;
    off_t at;
    bool terminal, half;        /* half: Ctrl-P was typed */
    char message[ABX_TYPE_CAP]; /* not sent yet: the other end may be slow */
    size_t length;
};

static int reach(const struct abx_container *c, char *ret_greeting)
{
    struct sockaddr_un address;
    struct timeval patience = {.tv_sec = 5};
    int folder, fd = open_socket(c, &address, &folder);
    *ret_greeting = ABX_TYPE_NONE;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (fd >= 0 &&
            (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
                    recv(fd, ret_greeting, 1, 0) != 1 ||
                    (*ret_greeting != ABX_TYPE_TERMINAL && *ret_greeting != ABX_TYPE_PIPE))) {
        close(fd);
        fd = -1;
    }
    if (folder >= 0)
        close(folder);
    return fd;
}

static void tell_size(struct attached *a)
{
    char message[1 + sizeof(struct winsize)] = {ABX_TYPE_SIZE};
    if (a->terminal && a->socket >= 0 && ioctl(0, TIOCGWINSZ, message + 1) == 0)
        (void)!send(a->socket, message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void send_message(struct attached *a)
{
    ssize_t n = a->length ? send(a->socket, a->message, a->length, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0 || (a->length && *a->message == ABX_TYPE_END)) {
        close(a->socket);
        a->socket = -1;
    }
    a->length = 0;
}

/* What is to be sent of what was typed; *ret_leave: no more. */
static size_t without_keys(
        struct attached *a, const char *typed, size_t n, char *to, bool *ret_leave)
{
    size_t length = 0;
    for (size_t i = 0; i < n && !*ret_leave; i++) {
        *ret_leave = a->half && typed[i] == LEAVE_SECOND;
        if (a->half && !*ret_leave)
            to[length++] = LEAVE_FIRST;
        a->half = typed[i] == LEAVE_FIRST;
        if (!a->half && !*ret_leave)
            to[length++] = typed[i];
    }
    return length;
}

/* False: the user leaves. */
static bool take_typed(struct attached *a)
{
    char typed[ABX_TYPE_CAP / 2 - 1];
    bool leave = false;
    ssize_t n = read(0, typed, sizeof typed);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    size_t length = n > 0 ? (size_t)n : 0;
    *a->message = n > 0 ? ABX_TYPE_BYTES : ABX_TYPE_END;
    if (a->terminal)
        length = without_keys(a, typed, length, a->message + 1, &leave);
    else
        memcpy(a->message + 1, typed, length);
    a->length = length || n <= 0 ? 1 + length : 0;
    send_message(a);
    return !leave;
}

/* Ends this program, by way of what gives the terminal back. */
static void take_signal(struct attached *a)
{
    struct signalfd_siginfo info;
    while (read(a->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGWINCH)
            exit(128 + (int)info.ssi_signo);
        tell_size(a);
    }
}

static int take_signals(void)
{
    static const int taken[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(taken); i++)
        sigaddset(&set, taken[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int watch_log(int log)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    char *path = abx_xprintf("/proc/self/fd/%d", log);
    if (fd >= 0 && inotify_add_watch(fd, path, IN_MODIFY) < 0) {
        close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}

enum { SIGNALS, WATCH, INPUT, SINK, END, COUNT };

/* Until it ends (true) or the user leaves. */
static bool follow(struct attached *a)
{
    char events[4096];
    for (;;) {
        struct pollfd p[COUNT] = {[SIGNALS] = {.fd = a->signals, .events = POLLIN},
                [WATCH] = {.fd = a->watch, .events = POLLIN},
                [INPUT] = {.fd = a->socket >= 0 && !a->length ? 0 : -1, .events = POLLIN},
                [SINK] = {.fd = a->length ? a->socket : -1, .events = POLLOUT},
                [END] = {.fd = a->supervisor, .events = POLLIN}};
        if (poll(p, COUNT, a->watch >= 0 ? -1 : 50) < 0 && errno != EINTR)
            return false;
        if (p[WATCH].revents)
            (void)!read(a->watch, events, sizeof events);
        abx_log_copy(a->log, &a->at);
        if (p[END].revents)
            return true;
        if (p[SIGNALS].revents)
            take_signal(a);
        if (p[SINK].revents)
            send_message(a);
        if (p[INPUT].revents && !take_typed(a))
            return false;
    }
}

static void say_how(const struct attached *a, char greeting)
{
    if (!isatty(0))
        return;
    if (greeting == ABX_TYPE_TERMINAL)
        abx_say("attached to '%s'; Ctrl-P Ctrl-Q leaves it running", a->c->name);
    else if (greeting == ABX_TYPE_PIPE)
        abx_say("attached to '%s'; Ctrl-C leaves it running, Ctrl-D ends its input", a->c->name);
    else if (greeting == ABX_TYPE_BUSY)
        abx_say("another `arcbox attach` types into '%s': this one shows what it writes; Ctrl-C "
                "leaves it running",
                a->c->name);
    else
        abx_say("'%s' reads no input (it was started without -i and -t, or its input has ended): "
                "this shows what it writes; Ctrl-C leaves it running",
                a->c->name);
}

static int exit_code_of(const struct abx_container *c)
{
    struct abx_container *now = abx_container_find(c->name);
    int code = now && abx_container_same(now, c) && now->exit_code >= 0 ? now->exit_code : 0;
    abx_container_free(now);
    return code;
}

static struct abx_container *find(char *name, char **words)
{
    struct abx_container *c = abx_container_must(name);
    if (c->running && strcmp(c->kind, "podman") == 0)
        abx_oci_become("attach", words);
    return c;
}

int abx_do_attach(int argc, char **argv)
{
    bool types = true;
    struct abx_options o = abx_options_start(argc, argv);
    for (const char *name; (name = abx_options_next(&o));)
        if (strcmp(name, "--no-stdin") == 0)
            types = !abx_options_bool(&o);
    if (!o.count)
        abx_usage(&o);
    struct abx_container *c = find(o.words[0], argv + 1);
    struct attached a = {.c = c, .supervisor = abx_container_supervisor(c), .socket = -1};
    if (a.supervisor < 0)
        abx_die(ABX_EXIT_OWN, "'%s' has ended (see: arcbox logs %s)", c->name, c->name);
    char greeting = ABX_TYPE_NONE;
    a.log = abx_log_open(c);
    a.at = lseek(a.log, 0, SEEK_END);
    a.watch = watch_log(a.log);
    a.signals = take_signals();
    if (types) {
        a.socket = reach(c, &greeting);
        say_how(&a, greeting);
    }
    a.terminal = a.socket >= 0 && greeting == ABX_TYPE_TERMINAL && isatty(0);
    if (a.terminal)
        abx_supervise_raw();
    tell_size(&a);
    if (follow(&a))
        return exit_code_of(c);
    abx_say("left '%s' running", c->name);
    return 0;
}
