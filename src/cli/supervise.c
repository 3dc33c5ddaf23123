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

static void make_raw(void)
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

static int take_terminal(struct abx_supervised *s)
{
    char byte;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned count = 0;
    ssize_t n = abx_sock_receive(s->terminal, &byte, 1, fds, &count);
    while (count > 1)
        close(fds[--count]);
    if (n != 1 || count != 1)
        return -1;
    resize(fds[0]);
    if (!s->detached)
        make_raw();
    (void)!write(s->terminal, &byte, 1);
    return fds[0];
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
                make_raw();
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
    int master;
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

/* Our input, into a pipe that may be full. False: there will be no more. */
static bool pass_input(struct flow *f)
{
    if (!f->length) {
        ssize_t n = read(0, f->pending, sizeof f->pending);
        if (n <= 0)
            return again(n);
        f->start = 0;
        f->length = (size_t)n;
    }
    ssize_t n = write(f->s->in, f->pending + f->start, f->length);
    if (n < 0)
        return again(n);
    f->start += (size_t)n;
    f->length -= (size_t)n;
    return true;
}

static bool type_input(struct flow *f)
{
    char bytes[BLOCK];
    ssize_t n = read(0, bytes, sizeof bytes);
    return n <= 0 ? again(n) : abx_write_all(f->master, bytes, (size_t)n) == 0;
}

/* The rest of the output, after the container is gone. */
static void drain(struct flow *f)
{
    const int from[] = {f->master, f->s->out[0], f->s->out[1]};
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

enum { SIGNALS, HANDOVER, MASTER, OUT, ERR, INPUT, SINK, COUNT };

static void stop_input(struct flow *f, struct pollfd *p)
{
    if (f->s->in >= 0)
        close(f->s->in);
    f->s->in = p[INPUT].fd = p[SINK].fd = -1;
}

static void move_bytes(struct flow *f, struct pollfd *p)
{
    if (p[HANDOVER].revents) {
        f->master = take_terminal(f->s);
        p[HANDOVER].fd = -1;
        p[MASTER].fd = f->master;
        p[INPUT].fd = f->s->detached ? -1 : 0;
        return;
    }
    if (p[MASTER].revents && !take_output(f, f->master, 1))
        p[MASTER].fd = p[INPUT].fd = -1;
    for (unsigned i = OUT; i <= ERR; i++)
        if (p[i].revents && !take_output(f, p[i].fd, i == OUT ? 1 : 2))
            p[i].fd = -1;
    if (f->s->in < 0) {
        if (p[INPUT].revents && !type_input(f))
            p[INPUT].fd = -1;
        return;
    }
    if ((p[INPUT].revents || p[SINK].revents) && !pass_input(f))
        stop_input(f, p);
    else { /* either something to read, or room for what was read */
        p[INPUT].fd = f->length ? -1 : 0;
        p[SINK].fd = f->length ? f->s->in : -1;
    }
}

int abx_supervise(struct abx_supervised *s)
{
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(passed_on); i++)
        sigaddset(&set, passed_on[i]);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), status = 0;
    struct flow f = {.s = s, .master = -1};
    struct pollfd p[COUNT] = {[SIGNALS] = {.fd = signals, .events = POLLIN},
            [HANDOVER] = {.fd = s->terminal, .events = POLLIN},
            [MASTER] = {.fd = -1, .events = POLLIN},
            [OUT] = {.fd = s->out[0], .events = POLLIN},
            [ERR] = {.fd = s->out[1], .events = POLLIN},
            [INPUT] = {.fd = s->in >= 0 ? 0 : -1, .events = POLLIN},
            [SINK] = {.fd = -1, .events = POLLOUT}};
    if (s->in >= 0)
        signal(SIGPIPE, SIG_IGN);
    for (;;) {
        pid_t done = waitpid(s->pid, &status, WNOHANG);
        if (done == s->pid || (done < 0 && errno != EINTR))
            break;
        if (poll(p, COUNT, -1) < 0) {
            if (errno != EINTR)
                break;
            continue;
        }
        struct signalfd_siginfo info;
        while (read(signals, &info, sizeof info) == sizeof info)
            pass_signal(s, &info, f.master);
        move_bytes(&f, p);
    }
    drain(&f);
    if (s->in >= 0)
        close(s->in);
    restore_terminal();
    close(signals);
    return abx_exit_code(status);
}
