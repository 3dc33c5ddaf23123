/* cli: endpoint.h. Runs in arcbox-vm, for the machine's own command, and in `arcbox exec` and
 * `arcbox cp`. Believes the machine nothing but bytes to pass on and an exit code. */
#include "cli/vm/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/base.h"
#include "cli/vm/frames.h"

#define PIECE 4096u /* what a pipe that can be written to takes without waiting */

struct endpoint {
    const struct abx_vm_command *command;
    int signals, code;
    bool over, started, input_ended;
    bool deaf; /* the other end hears nothing any more */
    size_t described;
    size_t on_the_way; /* of the input */
    size_t shown;      /* of the frame that is being written out */
    struct abx_vm_reader reader;
    struct abx_vm_writer writer;
    char *why;
};

static const int passed[] = {
        SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH, SIGCHLD};
static struct termios saved;
static bool is_raw;

static void restore_terminal(void)
{
    if (is_raw)
        tcsetattr(0, TCSANOW, &saved);
    is_raw = false;
}

static void make_raw(void)
{
    if (tcgetattr(0, &saved) < 0)
        return;
    struct termios raw = saved;
    cfmakeraw(&raw);
    is_raw = tcsetattr(0, TCSANOW, &raw) == 0;
    atexit(restore_terminal);
}

static void fill(sigset_t *set)
{
    sigemptyset(set);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(passed); i++)
        sigaddset(set, passed[i]);
}

void abx_vm_block_signals(void)
{
    sigset_t set;
    fill(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

bool abx_vm_size(char ret[32])
{
    struct winsize size;
    if (ioctl(0, TIOCGWINSZ, &size) < 0)
        return false;
    snprintf(ret, 32, "%hu %hu", size.ws_row, size.ws_col);
    return true;
}

/* ---- from the machine */

static int stream_of(const struct endpoint *e)
{
    return e->reader.head.kind == ABX_VM_ERR ? 2 : 1;
}

static bool is_output(const struct endpoint *e)
{
    uint32_t kind = e->reader.have >= sizeof e->reader.head ? e->reader.head.kind : 0;
    return kind == ABX_VM_OUT || kind == ABX_VM_ERR;
}

/* A piece of the frame of output that has come; nobody may be reading it: as for the command
 * itself, that is its own affair. */
static void show(struct endpoint *e)
{
    uint32_t bytes = e->reader.head.bytes;
    size_t left = bytes - e->shown;
    ssize_t n = write(stream_of(e), e->reader.data + e->shown, left < PIECE ? left : PIECE);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    e->shown = n < 0 ? bytes : e->shown + (size_t)n;
    if (e->shown < bytes)
        return;
    abx_vm_put(&e->writer, 0, ABX_VM_TAKEN, &bytes, sizeof bytes);
    e->shown = 0;
    abx_vm_next(&e->reader);
}

static char *text_of(const struct abx_vm_reader *r)
{
    char *text = strndup((const char *)r->data, r->head.bytes);
    for (char *p = text; p && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    return text;
}

static void send_size(struct endpoint *e)
{
    struct winsize size;
    if (e->command->tty && ioctl(0, TIOCGWINSZ, &size) == 0)
        abx_vm_put(&e->writer, 0, ABX_VM_SIZE, &size, sizeof size);
}

static void hear_of_left(const struct endpoint *e)
{
    const char *at = (const char *)e->reader.data, *end = at + e->reader.head.bytes;
    for (const char *next; e->command->left && at < end; at = next) {
        next = memchr(at, 0, (size_t)(end - at));
        if (!next++)
            return; /* not the machine's own init */
        e->command->left(at);
    }
}

static void hear(struct endpoint *e)
{
    uint32_t number = abx_vm_number(&e->reader);
    switch (e->reader.head.kind) {
    case ABX_VM_STARTED:
        e->started = true;
        if (e->command->detached)
            e->over = true;
        break;
    case ABX_VM_TAKEN:
        e->on_the_way -= number < e->on_the_way ? number : e->on_the_way;
        break;
    case ABX_VM_LEFT:
        hear_of_left(e);
        break;
    case ABX_VM_FAILED:
        e->why = text_of(&e->reader);
        e->over = true;
        break;
    case ABX_VM_EXIT:
        e->code = (int)(number & 255);
        e->over = true;
        break;
    default:
        break;
    }
    abx_vm_next(&e->reader);
}

/* ---- to the machine */

static void pass_signal(struct endpoint *e)
{
    struct signalfd_siginfo info;
    while (read(e->signals, &info, sizeof info) == sizeof info) {
        uint32_t number = info.ssi_signo;
        if (number == SIGCHLD || e->command->ignored >> number & 1)
            continue;
        if (number == SIGWINCH)
            send_size(e);
        else if (e->started)
            abx_vm_put(&e->writer, 0, ABX_VM_SIGNAL, &number, sizeof number);
        else { /* there is no command yet that could hear it */
            e->code = 128 + (int)number;
            e->over = true;
        }
    }
}

static bool wants_input(const struct endpoint *e)
{
    return e->started && !e->input_ended && abx_vm_has_room(&e->writer) &&
           e->on_the_way + ABX_VM_FRAME_MAX <= ABX_VM_WINDOW;
}

static void take_input(struct endpoint *e)
{
    uint8_t bytes[ABX_VM_FRAME_MAX];
    ssize_t n = read(0, bytes, sizeof bytes);
    if (n > 0) {
        abx_vm_put(&e->writer, 0, ABX_VM_IN, bytes, (size_t)n);
        e->on_the_way += (size_t)n;
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        abx_vm_put(&e->writer, 0, ABX_VM_IN_END, NULL, 0);
        e->input_ended = true;
    }
}

static void describe(struct endpoint *e)
{
    const struct abx_vm_command *c = e->command;
    while (!e->deaf && c->description && e->described < c->bytes && abx_vm_has_room(&e->writer)) {
        size_t left = c->bytes - e->described,
               n = left < ABX_VM_FRAME_MAX ? left : ABX_VM_FRAME_MAX;
        abx_vm_put(&e->writer, 0, ABX_VM_WORDS, c->description + e->described, n);
        e->described += n;
        if (e->described == c->bytes)
            abx_vm_put(&e->writer, 0, ABX_VM_RUN, NULL, 0);
    }
}

/* ---- the loop */

/* False: the other end has gone. */
static bool step(struct endpoint *e)
{
    int sock = e->command->sock;
    describe(e);
    bool full = e->reader.have && is_output(e) && /* a whole frame, which is being written out */
                e->reader.have == sizeof e->reader.head + e->reader.head.bytes;
    bool silent = full && !e->writer.length; /* not to be told of its end again and again */
    struct pollfd p[] = {
            {silent ? -1 : sock, (short)((full ? 0 : POLLIN) | (e->writer.length ? POLLOUT : 0)),
                    0},
            {e->signals, POLLIN, 0}, {wants_input(e) ? 0 : -1, POLLIN, 0},
            {full ? stream_of(e) : -1, POLLOUT, 0}};
    if (poll(p, ABX_ARRAY_SIZE(p), -1) < 0)
        return errno == EINTR;
    if (p[3].revents)
        show(e);
    int n = 0;
    while (!full && !e->over && (n = abx_vm_read(sock, &e->reader)) > 0) {
        if (is_output(e))
            break;
        hear(e);
    }
    if (n < 0)
        return false;
    if (p[1].revents)
        pass_signal(e);
    if (p[2].revents)
        take_input(e);
    if (!e->over && abx_vm_flush(sock, &e->writer) < 0) {
        e->writer.length = 0; /* nobody listens; what was said before that is still to be read */
        e->deaf = e->input_ended = true;
    }
    return true;
}

int abx_vm_endpoint(const struct abx_vm_command *command, char **ret_why)
{
    struct endpoint *e = calloc(1, sizeof *e);
    sigset_t set;
    if (!e)
        return -ENOMEM;
    e->command = command;
    e->code = 125;
    e->input_ended = command->detached;
    fill(&set);
    e->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    fcntl(command->sock, F_SETFL, O_NONBLOCK);
    if (command->tty)
        make_raw();
    bool there = true;
    while (!e->over && there)
        there = step(e);
    restore_terminal();
    close(e->signals);
    int code = e->over ? e->code : -EPIPE;
    if (ret_why)
        *ret_why = e->why;
    else
        free(e->why);
    free(e);
    return code;
}
