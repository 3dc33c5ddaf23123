/* cli: mux.h. Runs in arcbox-vm, inside the sandbox. Neither the machine nor those at the sockets
 * are believed more than that frames are frames: what comes for a channel waits in a queue with a
 * cap, and who passes it is cut off, so that nobody waits for anybody else. */
#include "cli/vm/mux.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "cli/vm/frames.h"

#define LOOK_MS 5000u    /* it looks at the time so often; twice as much was a pause */
#define SAID_BYTES 4096u /* of what the kernel and the hypervisor say, the end */
/* A window of output in the smallest of frames, and the rest. */
#define QUEUE_CAP (16 * ABX_VM_WINDOW)

enum state { FREE, OPEN, HUNG_UP }; /* hung up: until the machine says that its command has ended */

struct channel {
    enum state state;
    int sock;
    struct abx_vm_reader reader;
    bool whole; /* the reader has a frame that the port had no room for */
    struct abx_string queue;
    size_t sent;
    bool ended; /* what is queued is the rest */
};

struct mux {
    const struct abx_vm_mux_start *start;
    struct channel *channels[ABX_VM_CHANNELS];
    struct abx_vm_reader reader;
    struct abx_vm_writer writer;
    int port, console, signals;    /* port: -1: the hypervisor has ended */
    int clock;                     /* readable when the host's has jumped */
    size_t described;              /* so much of its description has been told to the machine */
    bool begun;                    /* and all of it */
    bool hang_up[ABX_VM_CHANNELS]; /* to be told to the machine */
    bool shutdown, told;
    bool jumped;      /* the clock: to be told to the machine */
    bool over, asked; /* over: in good order; asked: by a signal */
    char said[SAID_BYTES];
    size_t said_bytes;
};

/* ---- channels */

static void open_channel(struct mux *m, unsigned number, int sock)
{
    struct channel *c = m->channels[number];
    if (!c)
        c = m->channels[number] = calloc(1, sizeof *c);
    if (!c) {
        close(sock);
        return;
    }
    fcntl(sock, F_SETFL, O_NONBLOCK);
    c->state = OPEN;
    c->sock = sock;
    c->reader.have = c->sent = 0;
    c->whole = c->ended = false;
    c->queue.length = 0;
}

static void close_channel(struct mux *m, unsigned number, bool machine_knows)
{
    struct channel *c = m->channels[number];
    close(c->sock);
    c->sock = -1;
    c->queue.length = c->sent = 0;
    c->state = machine_knows ? FREE : HUNG_UP;
    m->hang_up[number] |= !machine_knows;
    if (number == 0)
        m->over = true; /* the machine was for its command */
}

static void accept_one(struct mux *m)
{
    int sock = accept4(m->start->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (sock < 0)
        return;
    for (unsigned i = 1; i < ABX_VM_CHANNELS; i++)
        if (!m->channels[i] || m->channels[i]->state == FREE) {
            open_channel(m, i, sock);
            return;
        }
    static const char full[] = "it runs as many commands as it can";
    struct abx_vm_writer w = {0};
    abx_vm_put(&w, 0, ABX_VM_FAILED, full, sizeof full - 1);
    abx_vm_flush(sock, &w);
    close(sock);
}

/* ---- from the machine */

static void queue_frame(struct mux *m, unsigned number)
{
    struct channel *c = m->channels[number];
    const struct abx_vm_head *head = &m->reader.head;
    bool last = head->kind == ABX_VM_EXIT || head->kind == ABX_VM_FAILED;
    if (c->state == HUNG_UP && last)
        c->state = FREE;
    if (c->state != OPEN || c->ended)
        return;
    if (c->sent) {
        memmove(c->queue.data, c->queue.data + c->sent, c->queue.length - c->sent);
        c->queue.length -= c->sent;
        c->sent = 0;
    }
    abx_string_add(&c->queue, head, sizeof *head);
    abx_string_add(&c->queue, m->reader.data, head->bytes);
    c->ended = last;
    if (c->queue.failed || c->queue.length > QUEUE_CAP)
        close_channel(m, number, last);
}

static void hear(struct mux *m)
{
    unsigned number = m->reader.head.channel;
    if (number == ABX_VM_MACHINE && m->reader.head.kind == ABX_VM_EXIT)
        m->over = true;
    else if (number == ABX_VM_MACHINE && m->reader.head.kind == ABX_VM_FAILED) {
        fprintf(stderr, "arcbox: %.*s\n", (int)m->reader.head.bytes, (char *)m->reader.data);
        m->over = m->asked = true;
    } else if (number < ABX_VM_CHANNELS && m->channels[number])
        queue_frame(m, number);
    abx_vm_next(&m->reader);
}

static void listen_to_console(struct mux *m)
{
    char text[1024];
    ssize_t n;
    while ((n = read(m->console, text, sizeof text)) > 0) {
        size_t keep = sizeof m->said - (size_t)n;
        if (m->said_bytes > keep) {
            memmove(m->said, m->said + m->said_bytes - keep, keep);
            m->said_bytes = keep;
        }
        memcpy(m->said + m->said_bytes, text, (size_t)n);
        m->said_bytes += (size_t)n;
    }
    if (n == 0) {
        close(m->console);
        m->console = -1;
    }
}

/* ---- to the machine */

/* False: the socket's other end has gone, or speaks no frames. */
static bool take_from(struct mux *m, unsigned number)
{
    struct channel *c = m->channels[number];
    while (m->begun && (c->whole || abx_vm_has_room(&m->writer))) {
        int n = c->whole ? 1 : abx_vm_read(c->sock, &c->reader);
        if (n <= 0)
            return n == 0;
        c->whole = !abx_vm_put(
                &m->writer, number, c->reader.head.kind, c->reader.data, c->reader.head.bytes);
        if (c->whole)
            return true;
        abx_vm_next(&c->reader);
    }
    return true;
}

static bool give_to(struct channel *c)
{
    while (c->sent < c->queue.length) {
        ssize_t n = send(c->sock, c->queue.data + c->sent, c->queue.length - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        c->sent += (size_t)n;
    }
    return true;
}

/* Before all else. */
static void describe(struct mux *m)
{
    const struct abx_string *s = m->start->description;
    while (m->described < s->length) {
        size_t left = s->length - m->described;
        size_t piece = left < ABX_VM_FRAME_MAX ? left : ABX_VM_FRAME_MAX;
        if (!abx_vm_put(&m->writer, ABX_VM_MACHINE, ABX_VM_MAKE_UP, s->data + m->described, piece))
            return;
        m->described += piece;
    }
    m->begun = abx_vm_put(&m->writer, ABX_VM_MACHINE, ABX_VM_BEGIN, NULL, 0);
}

/* A machine's clock goes on from where it was while its host slept, was set, or did not run it:
 * what emulates a clock's counter may lose all that is longer than 20 s. */
static void tell_time(struct mux *m)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct abx_vm_clock clock = {now.tv_sec, now.tv_nsec};
    m->jumped = !abx_vm_put(&m->writer, ABX_VM_MACHINE, ABX_VM_CLOCK, &clock, sizeof clock);
}

static void tell(struct mux *m)
{
    if (!m->begun)
        describe(m);
    if (!m->begun)
        return;
    for (unsigned i = 0; i < ABX_VM_CHANNELS; i++)
        if (m->hang_up[i] && abx_vm_put(&m->writer, i, ABX_VM_HANGUP, NULL, 0))
            m->hang_up[i] = false;
    if (m->shutdown && !m->told)
        m->told = abx_vm_put(&m->writer, ABX_VM_MACHINE, ABX_VM_SHUTDOWN, NULL, 0);
    if (m->jumped)
        tell_time(m);
}

static int open_clock(void)
{
    const struct itimerspec never = {.it_value.tv_sec = 8000000000}; /* in 2223 */
    int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd >= 0)
        timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
    return fd;
}

static void hear_clock(struct mux *m)
{
    uint64_t expired;
    m->jumped |= read(m->clock, &expired, sizeof expired) < 0 && errno == ECANCELED;
}

static void hear_signal(struct mux *m)
{
    struct signalfd_siginfo info;
    while (read(m->signals, &info, sizeof info) == sizeof info)
        m->shutdown = true;
}

/* ---- the loop */

enum { PORT, CONSOLE, SIGNALS, LISTENER, CLOCK, FIRST };

static void watch(struct mux *m, struct pollfd *p)
{
    bool room = m->begun && abx_vm_has_room(&m->writer);
    p[PORT] = (struct pollfd){m->port, (short)(POLLIN | (m->writer.length ? POLLOUT : 0)), 0};
    p[CONSOLE] = (struct pollfd){m->console, POLLIN, 0};
    p[SIGNALS] = (struct pollfd){m->signals, POLLIN, 0};
    p[LISTENER] = (struct pollfd){m->start->listener, POLLIN, 0};
    p[CLOCK] = (struct pollfd){m->clock, POLLIN, 0};
    for (unsigned i = 0; i < ABX_VM_CHANNELS; i++) {
        const struct channel *c = m->channels[i];
        bool open = c && c->state == OPEN, to_send = open && c->sent < c->queue.length;
        bool reads = open && !c->ended && room;
        p[FIRST + i] = (struct pollfd){reads || to_send ? c->sock : -1,
                (short)((reads ? POLLIN : 0) | (to_send ? POLLOUT : 0)), 0};
    }
}

static void serve_channel(struct mux *m, unsigned number, short events)
{
    struct channel *c = m->channels[number];
    if (!c || c->state != OPEN)
        return;
    if (!give_to(c))
        close_channel(m, number, c->ended);
    else if (c->ended && c->sent == c->queue.length)
        close_channel(m, number, true);
    else if (events & (POLLIN | POLLHUP | POLLERR) && !c->ended && !take_from(m, number))
        close_channel(m, number, false);
}

/* False: the hypervisor has ended. */
static bool use_port(struct mux *m)
{
    int n = 0;
    while (!m->over && (n = abx_vm_read(m->port, &m->reader)) > 0)
        hear(m);
    if (m->over || (n == 0 && abx_vm_flush(m->port, &m->writer) == 0))
        return true;
    m->port = -1;
    return false;
}

/* In good order: what it said last may not have been read yet. */
static bool own_has_ended(const struct mux *m)
{
    return m->channels[0] && m->channels[0]->state == OPEN && m->channels[0]->ended;
}

static void serve(struct mux *m)
{
    struct pollfd p[FIRST + ABX_VM_CHANNELS];
    while (!m->over) {
        tell(m);
        watch(m, p);
        uint64_t before = abx_now_ns();
        int n = poll(p, ABX_ARRAY_SIZE(p), (int)LOOK_MS);
        m->jumped |= abx_now_ns() - before > LOOK_MS * 2000000ull;
        if (n < 0)
            continue;
        if (m->port >= 0 && !use_port(m) && !own_has_ended(m))
            return;
        if (p[CONSOLE].revents)
            listen_to_console(m);
        if (p[SIGNALS].revents)
            hear_signal(m);
        if (p[CLOCK].revents)
            hear_clock(m);
        if (p[LISTENER].revents)
            accept_one(m);
        for (unsigned i = 0; i < ABX_VM_CHANNELS; i++)
            serve_channel(m, i, p[FIRST + i].revents);
    }
}

/* One line, and below it what was said last, which tells why. */
static void say_why(struct mux *m)
{
    if (m->console >= 0)
        listen_to_console(m);
    fprintf(stderr, "arcbox: the virtual machine ended by itself%s\n",
            m->said_bytes ? ", having said:" : "");
    if (m->said_bytes && abx_write_all(2, m->said, m->said_bytes) < 0) {
        /* Nobody reads it. */
    }
}

bool abx_vm_mux(const struct abx_vm_mux_start *start)
{
    static struct mux m;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    m.start = start;
    m.port = start->hypervisor.port;
    m.console = start->hypervisor.console;
    m.clock = open_clock();
    m.signals = start->first >= 0 ? -1 : signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (start->first >= 0)
        open_channel(&m, 0, start->first);
    serve(&m);
    if (!m.over && !start->silent)
        say_why(&m);
    struct abx_hypervisor hypervisor = start->hypervisor;
    hypervisor.console = m.console;
    abx_machine_end(&hypervisor);
    return m.over && !m.asked;
}
