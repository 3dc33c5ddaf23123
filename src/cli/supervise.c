/* cli: the outside of a running sandbox: signals and terminal bytes go in, output comes out, until
 * it ends. Runs in the `arcbox run` process. */
#include "cli/run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static const int passed_on[] = {
        SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT, SIGCHLD, SIGWINCH};
static sigset_t before;
static unsigned long ignored_before;

static struct termios saved;
static bool raw;

static void restore_terminal(void)
{
    if (raw)
        tcsetattr(0, TCSANOW, &saved);
    raw = false;
}

void abx_supervise_raw(void)
{
    if (!isatty(0) || tcgetattr(0, &saved) < 0)
        return;
    struct termios t = saved;
    cfmakeraw(&t);
    raw = tcsetattr(0, TCSANOW, &t) == 0;
    atexit(restore_terminal);
}

void abx_supervise_prepare(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(passed_on); i++) {
        struct sigaction old;
        sigaddset(&set, passed_on[i]);
        if (sigaction(passed_on[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN) {
            ignored_before |= 1ul << passed_on[i];
            signal(passed_on[i], SIG_DFL); /* an ignored signal never reaches a signalfd */
        }
    }
    ignored_before &= ~(1ul << SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &before);
}

void abx_supervise_child(void)
{
    signal(SIGXFSZ, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

unsigned long abx_supervise_ignored(void)
{
    return ignored_before;
}

static void resize(int master)
{
    struct winsize size;
    if (ioctl(0, TIOCGWINSZ, &size) == 0)
        ioctl(master, TIOCSWINSZ, &size);
}

void abx_supervise_terminal(struct abx_supervised *s)
{
    char byte;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned count = 0;
    ssize_t n = abx_sock_receive(s->terminal, &byte, 1, fds, &count);
    while (count > 1)
        close(fds[--count]);
    if (n != 1 || count != 1)
        return;
    resize(fds[0]);
    fcntl(fds[0], F_SETFL, fcntl(fds[0], F_GETFL) | O_NONBLOCK); /* whoever does not read it */
    if (!s->detached)
        abx_supervise_raw();
    (void)!write(s->terminal, &byte, 1);
    s->master = fds[0];
}

/* What the terminal key already sent to the whole process group must not be sent again. */
static void pass_signal(struct abx_supervised *s, const struct signalfd_siginfo *info, int master)
{
    int number = (int)info->ssi_signo;
    if (number == SIGCHLD)
        return;
    if (number == SIGWINCH || number == SIGCONT) {
        if (master >= 0) {
            if (number == SIGCONT && !s->detached)
                abx_supervise_raw();
            resize(master);
        }
        return;
    }
    if (ignored_before & (1ul << number))
        return;
    if (info->ssi_code == SI_KERNEL && master < 0 && !s->detached && !s->own_session &&
            number != SIGHUP)
        return;
    if (s->init_fd >= 0)
        abx_process_signal(s->init_fd, number);
    else /* our child, and not waited for yet */
        kill(s->pid, s->init == s->pid ? number : SIGTERM);
}

/* ---- bytes */

#define BLOCK 16384

struct flow {
    struct abx_supervised *s;
    int source;          /* of the input: ours, or the socket of an `arcbox attach`; or -1 */
    char pending[BLOCK]; /* of the input: the command may not read it, and we must go on */
    size_t start, length;
};

static bool again(ssize_t n)
{
    return n < 0 && (errno == EINTR || errno == EAGAIN);
}

/* One block of what the container wrote; false at its end. */
static bool take_output(struct flow *f, int from, unsigned stream)
{
    char bytes[BLOCK];
    ssize_t n = read(from, bytes, sizeof bytes);
    if (n <= 0)
        return again(n);
    return (f->s->log >= 0 ? abx_log_append(f->s->log, stream, bytes, (size_t)n)
                           : abx_write_all((int)stream, bytes, (size_t)n)) == 0;
}

static int sink_of(const struct flow *f)
{
    return f->s->in >= 0 ? f->s->in : f->s->master;
}

/* There will be no more input. */
static void end_input(struct flow *f)
{
    if (f->s->in >= 0)
        close(f->s->in);
    if (f->source > 0)
        close(f->source);
    f->s->in = f->source = -1;
    f->length = 0;
}

/* `arcbox attach` has gone: another may come. */
static void end_typing(struct flow *f)
{
    close(f->source);
    f->source = -1;
}

static void hear_typing(struct flow *f)
{
    ssize_t n = recv(f->source, f->pending, ABX_TYPE_CAP, MSG_DONTWAIT);
    struct winsize size;
    if (again(n))
        return;
    if (n <= 0)
        end_typing(f);
    else if (*f->pending == ABX_TYPE_BYTES) {
        f->start = 1;
        f->length = (size_t)n - 1;
    } else if (*f->pending == ABX_TYPE_SIZE && n == 1 + sizeof size && f->s->master >= 0) {
        memcpy(&size, f->pending + 1, sizeof size);
        ioctl(f->s->master, TIOCSWINSZ, &size);
    } else if (*f->pending == ABX_TYPE_END && f->s->in >= 0)
        end_input(f);
}

static void take_input(struct flow *f)
{
    if (f->source != 0) {
        hear_typing(f);
        return;
    }
    ssize_t n = read(0, f->pending, sizeof f->pending);
    if (n > 0) {
        f->start = 0;
        f->length = (size_t)n;
    } else if (!again(n))
        end_input(f);
}

/* Into a pipe or terminal that may be full. */
static void pass_input(struct flow *f)
{
    ssize_t n = write(sink_of(f), f->pending + f->start, f->length);
    if (n < 0 && !again(n))
        end_input(f);
    else if (n > 0) {
        f->start += (size_t)n;
        f->length -= (size_t)n;
    }
}

/* One at a time. */
static void let_type(struct flow *f)
{
    int fd = accept4(f->s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    char greeting = f->source >= 0      ? ABX_TYPE_BUSY
                    : f->s->master >= 0 ? ABX_TYPE_TERMINAL
                    : f->s->in >= 0     ? ABX_TYPE_PIPE
                                        : ABX_TYPE_NONE;
    if (send(fd, &greeting, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 &&
            (greeting == ABX_TYPE_TERMINAL || greeting == ABX_TYPE_PIPE))
        f->source = fd;
    else
        close(fd);
}

/* The rest of the output, after the container is gone. */
static void drain(struct flow *f)
{
    const int from[] = {f->s->master, f->s->out[0], f->s->out[1]};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(from); i++) {
        struct pollfd p = {.fd = from[i], .events = POLLIN};
        while (from[i] >= 0 && poll(&p, 1, 0) > 0 && (p.revents & POLLIN) &&
                take_output(f, from[i], i == 2 ? 2 : 1))
            ;
        if (from[i] >= 0)
            close(from[i]);
    }
}

int abx_exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

enum { SIGNALS, HANDOVER, MASTER, OUT, ERR, INPUT, SINK, LISTENER, COUNT };

static void move_bytes(struct flow *f, struct pollfd *p)
{
    if (p[HANDOVER].revents) {
        abx_supervise_terminal(f->s);
        p[HANDOVER].fd = -1;
        p[MASTER].fd = f->s->master;
        f->source = f->s->detached ? -1 : 0;
        return;
    }
    if (p[MASTER].revents && !take_output(f, f->s->master, 1)) {
        p[MASTER].fd = -1;
        end_input(f);
    }
    for (unsigned i = OUT; i <= ERR; i++)
        if (p[i].revents && !take_output(f, p[i].fd, i == OUT ? 1 : 2))
            p[i].fd = -1;
    if (p[LISTENER].revents)
        let_type(f);
    if (p[SINK].revents && f->length)
        pass_input(f);
    else if (p[INPUT].revents && f->source >= 0 && !f->length)
        take_input(f);
}

/* Either something to read, or room for what was read. */
static void choose_input(const struct flow *f, struct pollfd *p)
{
    p[INPUT].fd = f->length ? -1 : f->source;
    p[SINK].fd = f->length ? sink_of(f) : -1;
    p[LISTENER].fd = p[HANDOVER].fd >= 0 ? -1 : f->s->listener;
}

/* Milliseconds until its time is over; -1: it has all there is. */
static int time_left(const struct abx_supervised *s, uint64_t start)
{
    uint64_t end = start + (uint64_t)s->ttl_seconds * 1000000000u, now = abx_now_ns();
    return !s->ttl_seconds ? -1 : now >= end ? 0 : (int)((end - now + 999999) / 1000000);
}

static void end_outright(struct abx_supervised *s)
{
    abx_say("its %u s are over", s->ttl_seconds);
    s->ttl_seconds = 0;
    if (s->init_fd < 0 || abx_process_signal(s->init_fd, SIGKILL) < 0)
        kill(s->pid, SIGKILL);
}

int abx_supervise(struct abx_supervised *s)
{
    uint64_t start = abx_now_ns();
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(passed_on); i++)
        sigaddset(&set, passed_on[i]);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), status = 0;
    struct flow f = {.s = s, .source = s->in >= 0 && !s->detached ? 0 : -1};
    struct pollfd p[COUNT] = {[SIGNALS] = {.fd = signals, .events = POLLIN},
            [HANDOVER] = {.fd = s->master < 0 ? s->terminal : -1, .events = POLLIN},
            [MASTER] = {.fd = s->master, .events = POLLIN},
            [OUT] = {.fd = s->out[0], .events = POLLIN},
            [ERR] = {.fd = s->out[1], .events = POLLIN},
            [INPUT] = {.fd = -1, .events = POLLIN},
            [SINK] = {.fd = -1, .events = POLLOUT},
            [LISTENER] = {.fd = -1, .events = POLLIN}};
    if (s->in >= 0 || s->log >= 0)
        signal(SIGPIPE, SIG_IGN);
    for (;;) {
        pid_t done = waitpid(s->pid, &status, WNOHANG);
        if (done == s->pid || (done < 0 && errno != EINTR))
            break;
        choose_input(&f, p);
        if (poll(p, COUNT, time_left(s, start)) < 0) {
            if (errno != EINTR)
                break;
            continue;
        }
        if (time_left(s, start) == 0)
            end_outright(s);
        struct signalfd_siginfo info;
        while (read(signals, &info, sizeof info) == sizeof info)
            pass_signal(s, &info, s->master);
        move_bytes(&f, p);
    }
    drain(&f);
    if (s->in >= 0)
        close(s->in);
    restore_terminal();
    close(signals);
    return abx_exit_code(status);
}
