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
    if (info->ssi_code == SI_KERNEL && master < 0 && !s->detached && number != SIGHUP)
        return;
    if (s->init > 0)
        kill(s->init, number);
    else
        kill(s->pid, SIGTERM);
}

static bool copy_bytes(int from, int to)
{
    char bytes[16384];
    ssize_t n = read(from, bytes, sizeof bytes);
    if (n <= 0)
        return n < 0 && (errno == EINTR || errno == EAGAIN);
    return abx_write_all(to, bytes, (size_t)n) == 0;
}

static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The rest of the output, after the container is gone. */
static void drain(int master, int output)
{
    struct pollfd p = {.fd = master, .events = POLLIN};
    while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN) && copy_bytes(master, output))
        ;
}

int abx_supervise(struct abx_supervised *s)
{
    sigset_t set;
    sigemptyset(&set);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(passed_on); i++)
        sigaddset(&set, passed_on[i]);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), master = -1, status = 0;
    int output = s->detached ? s->output : 1;
    enum { SIGNALS, HANDOVER, MASTER, INPUT, COUNT };
    struct pollfd p[COUNT] = {[SIGNALS] = {.fd = signals, .events = POLLIN},
            [HANDOVER] = {.fd = s->terminal, .events = POLLIN},
            [MASTER] = {.fd = -1, .events = POLLIN},
            [INPUT] = {.fd = -1, .events = POLLIN}};
    for (;;) {
        pid_t done = waitpid(s->pid, &status, WNOHANG);
        if (done == s->pid || (done < 0 && errno != EINTR))
            break;
        if (poll(p, COUNT, -1) < 0 && errno != EINTR)
            break;
        struct signalfd_siginfo info;
        while (read(signals, &info, sizeof info) == sizeof info)
            pass_signal(s, &info, master);
        if (p[HANDOVER].revents) {
            master = take_terminal(s);
            p[HANDOVER].fd = -1;
            p[MASTER].fd = master;
            p[INPUT].fd = s->detached ? -1 : 0;
            continue;
        }
        if (p[MASTER].revents && !copy_bytes(master, output))
            p[MASTER].fd = p[INPUT].fd = -1;
        if (p[INPUT].revents && !copy_bytes(0, master))
            p[INPUT].fd = -1;
    }
    if (master >= 0) {
        drain(master, output);
        close(master);
    }
    restore_terminal();
    close(signals);
    return exit_code(status);
}
