/* arcbox-vm-init: the commands of a virtual machine: each has a channel of the port, arcbox-init
 * in front of it, pipes or a terminal, and windows for what is on its way in and out, so that one
 * that does not read, or is not read, keeps nobody else waiting. */
#include "cli/vm/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHUTDOWN_SECONDS 5 /* for SIGTERM to do */

struct session {
    pid_t pid; /* 0: it does not run yet */
    bool tty, ended, hung_up, input_ended;
    uint32_t code;
    int in, out[2]; /* ours; a terminal's master is in and out[0] */
    char *words;    /* its description, as it comes */
    size_t words_bytes;
    uint8_t *input;
    size_t input_start, input_length;
    size_t on_the_way; /* of the output */
};

static struct {
    struct session *all[ABX_VM_CHANNELS];
    struct abx_vm_reader reader;
    const struct abx_guest_place *place;
    int signals;
    bool has_own, shutdown;
    uint32_t own_code;
} guest;

/* ---- descriptions */

static bool take(const char *line, const char *key, char **ret)
{
    size_t n = strlen(key);
    if (strncmp(line, key, n) != 0)
        return false;
    *ret = (char *)line + n;
    return true;
}

static void append(char ***list, unsigned *count, char *word)
{
    char **more = *count < ABX_GUEST_MAX_WORDS ? realloc(*list, (*count + 2) * sizeof *more) : NULL;
    if (!more)
        return;
    *list = more;
    more[(*count)++] = word;
    more[*count] = NULL;
}

bool abx_guest_describe(struct abx_guest_description *d, char *line)
{
    char *value;
    if (take(line, "env=", &value)) /* the last of a name counts */
        append(&d->environment, &d->variables, value);
    else if (take(line, "arg=", &value))
        append(&d->words, &d->count, value);
    else if (take(line, "tty=", &value))
        d->tty = *value == '1';
    else if (take(line, "size=", &value))
        sscanf(value, "%hu %hu", &d->size.ws_row, &d->size.ws_col);
    else if (take(line, "detached=", &value))
        d->detached = *value == '1';
    else
        return false;
    return true;
}

/* ---- to the outside */

static void put(unsigned channel, uint32_t kind, const void *data, size_t bytes)
{
    if (!abx_vm_put(&abx_guest_out, channel, kind, data, bytes)) {
        abx_guest_push();
        abx_vm_put(&abx_guest_out, channel, kind, data, bytes);
    }
}

static void forget(unsigned channel)
{
    struct session *s = guest.all[channel];
    if (s->in >= 0 && s->in != s->out[0])
        close(s->in);
    for (unsigned i = 0; i < 2; i++)
        if (s->out[i] >= 0)
            close(s->out[i]);
    free(s->words);
    free(s->input);
    free(s);
    guest.all[channel] = NULL;
}

static void fail(unsigned channel, const char *what)
{
    char text[256];
    snprintf(text, sizeof text, "the virtual machine cannot %s: %s", what, strerror(errno));
    put(channel, ABX_VM_FAILED, text, strlen(text));
    forget(channel);
}

/* ---- starting */

static bool make_pipes(struct session *s, int theirs[3])
{
    int pipes[3][2];
    for (unsigned i = 0; i < 3; i++)
        if (pipe2(pipes[i], O_CLOEXEC) < 0)
            return false;
    theirs[0] = pipes[0][0];
    s->in = pipes[0][1];
    for (unsigned i = 1; i < 3; i++) {
        s->out[i - 1] = pipes[i][0];
        theirs[i] = pipes[i][1];
    }
    return true;
}

static bool make_terminal(struct session *s, const struct winsize *size, int theirs[3])
{
    char name[64];
    s->in = s->out[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (s->in < 0 || unlockpt(s->in) < 0 || ptsname_r(s->in, name, sizeof name) != 0 ||
            (theirs[0] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
        return false;
    ioctl(s->in, TIOCSWINSZ, size);
    theirs[1] = theirs[2] = theirs[0];
    return true;
}

static bool make_streams(struct session *s, const struct abx_guest_description *d, int theirs[3])
{
    if (d->detached) {
        theirs[0] = theirs[1] = theirs[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
        return theirs[0] >= 0;
    }
    if (!(s->tty ? make_terminal(s, &d->size, theirs) : make_pipes(s, theirs)))
        return false;
    fcntl(s->in, F_SETFL, O_NONBLOCK);
    for (unsigned i = 0; i < 2; i++)
        if (s->out[i] >= 0)
            fcntl(s->out[i], F_SETFL, O_NONBLOCK);
    return true;
}

/* Those of `d` in place of those of the same names. */
static char **environment_of(const struct abx_guest_description *d)
{
    char **all = NULL;
    unsigned count = 0;
    for (char **e = guest.place->environment; e && *e; e++) {
        size_t name = strcspn(*e, "=");
        bool replaced = false;
        for (unsigned i = 0; i < d->variables && !replaced; i++)
            replaced = strncmp(*e, d->environment[i], name) == 0 && d->environment[i][name] == '=';
        if (!replaced)
            append(&all, &count, *e);
    }
    for (unsigned i = 0; i < d->variables; i++)
        append(&all, &count, d->environment[i]);
    return all;
}

static _Noreturn void become_command(
        const struct abx_guest_description *d, char **environment, const int theirs[3])
{
    sigset_t none;
    char **line = calloc(d->count + 2, sizeof *line);
    if (!line)
        _exit(125);
    line[0] = (char *)"arcbox-init";
    memcpy(line + 1, d->words, d->count * sizeof *line);
    setsid();
    if (d->tty)
        ioctl(theirs[0], TIOCSCTTY, 0);
    for (int i = 0; i < 3; i++)
        dup2(theirs[i], i);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (unsigned i = 0; i < guest.place->limit_count; i++)
        setrlimit((__rlimit_resource_t)guest.place->limits[i].which, &guest.place->limits[i].limit);
    syscall(SYS_execveat, guest.place->init, "", line, environment, AT_EMPTY_PATH);
    fprintf(stderr, "arcbox: the virtual machine cannot start arcbox-init: %s\n", strerror(errno));
    _exit(125);
}

static void start(unsigned channel, const struct abx_guest_description *d)
{
    struct session *s = guest.all[channel];
    int theirs[3] = {-1, -1, -1};
    struct timespec now;
    s->tty = d->tty;
    s->input = malloc(ABX_VM_WINDOW);
    if (!s->input || !make_streams(s, d, theirs)) {
        fail(channel, "open pipes or a terminal");
        return;
    }
    char **environment = environment_of(d);
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    s->pid = fork();
    if (s->pid == 0)
        become_command(d, environment, theirs);
    bool started = s->pid > 0;
    s->hung_up |= d->detached; /* and it is not to be ended for that */
    for (unsigned i = 0; i < 3; i++)
        if (i == 0 || theirs[i] != theirs[0])
            close(theirs[i]);
    free(environment);
    if (started)
        put(channel, ABX_VM_STARTED, &ns, sizeof ns);
    else
        fail(channel, "start a process");
}

static void start_described(unsigned channel)
{
    struct session *s = guest.all[channel];
    struct abx_guest_description d = {0};
    for (size_t at = 0; at < s->words_bytes; at += strlen(s->words + at) + 1)
        abx_guest_describe(&d, s->words + at);
    if (d.count)
        start(channel, &d);
    else {
        errno = EINVAL;
        fail(channel, "start a command");
    }
    free(d.environment);
    free(d.words);
}

/* ---- input */

static void end_input(struct session *s)
{
    if (s->in >= 0 && !s->tty)
        close(s->in);
    if (!s->tty)
        s->in = -1;
}

static void give_input(unsigned channel)
{
    struct session *s = guest.all[channel];
    uint32_t taken = 0;
    while (s->input_length && s->in >= 0) {
        ssize_t n = write(s->in, s->input + s->input_start, s->input_length);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) { /* it reads no more: what comes is thrown away */
            end_input(s);
            break;
        }
        s->input_start += (size_t)n;
        s->input_length -= (size_t)n;
        taken += (uint32_t)n;
    }
    if (s->in < 0) {
        taken += (uint32_t)s->input_length;
        s->input_length = 0;
    }
    if (taken)
        put(channel, ABX_VM_TAKEN, &taken, sizeof taken);
    if (s->input_ended && !s->input_length)
        end_input(s);
}

static void add_input(struct session *s, const uint8_t *data, size_t bytes)
{
    if (!s->input || bytes > ABX_VM_WINDOW - s->input_length)
        return;
    memmove(s->input, s->input + s->input_start, s->input_length);
    s->input_start = 0;
    memcpy(s->input + s->input_length, data, bytes);
    s->input_length += bytes;
}

static void add_words(struct session *s, const uint8_t *data, size_t bytes)
{
    char *more = bytes <= ABX_VM_WORDS_CAP - s->words_bytes
                         ? realloc(s->words, s->words_bytes + bytes + 1)
                         : NULL;
    if (!more)
        return;
    memcpy(more + s->words_bytes, data, bytes);
    s->words = more;
    s->words_bytes += bytes;
    more[s->words_bytes] = 0;
}

/* Nobody waits for it any more: it and what it started ends, as a container's does. */
static void hang_up(unsigned channel)
{
    struct session *s = guest.all[channel];
    if (!s->pid) {
        put(channel, ABX_VM_EXIT, &(uint32_t){125}, sizeof(uint32_t));
        forget(channel);
        return;
    }
    if (s->hung_up) /* it was started for nobody to wait for */
        return;
    s->hung_up = true;
    kill(-s->pid, SIGKILL);
    kill(s->pid, SIGKILL);
}

static struct session *make_session(unsigned channel)
{
    struct session *s = guest.all[channel] = calloc(1, sizeof *s);
    if (s)
        s->in = s->out[0] = s->out[1] = -1;
    return s;
}

static void set_clock(const void *data, size_t bytes)
{
    struct abx_vm_clock clock;
    if (bytes != sizeof clock)
        return;
    memcpy(&clock, data, sizeof clock);
    clock_settime(CLOCK_REALTIME, &(struct timespec){clock.seconds, (long)clock.nanoseconds});
}

static void hear(void)
{
    const struct abx_vm_head *head = &guest.reader.head;
    const uint8_t *data = guest.reader.data;
    unsigned channel = head->channel;
    if (channel == ABX_VM_MACHINE && head->kind == ABX_VM_SHUTDOWN)
        guest.shutdown = true;
    if (channel == ABX_VM_MACHINE && head->kind == ABX_VM_CLOCK)
        set_clock(data, head->bytes);
    if (channel >= ABX_VM_CHANNELS)
        return;
    struct session *s = guest.all[channel];
    if (!s && head->kind == ABX_VM_HANGUP) /* before it had said anything, or after its end */
        put(channel, ABX_VM_EXIT, &(uint32_t){125}, sizeof(uint32_t));
    if (!s && head->kind == ABX_VM_WORDS)
        s = make_session(channel);
    if (!s)
        return;
    uint32_t number = abx_vm_number(&guest.reader);
    if (head->kind == ABX_VM_WORDS && !s->pid)
        add_words(s, data, head->bytes);
    else if (head->kind == ABX_VM_RUN && !s->pid)
        start_described(channel);
    else if (head->kind == ABX_VM_IN)
        add_input(s, data, head->bytes);
    else if (head->kind == ABX_VM_IN_END)
        s->input_ended = true;
    else if (head->kind == ABX_VM_SIGNAL && s->pid && !s->ended)
        kill(s->pid, (int)number);
    else if (head->kind == ABX_VM_SIZE && head->bytes == sizeof(struct winsize) && s->tty)
        ioctl(s->in, TIOCSWINSZ, data);
    else if (head->kind == ABX_VM_TAKEN)
        s->on_the_way -= number < s->on_the_way ? number : s->on_the_way;
    else if (head->kind == ABX_VM_HANGUP)
        hang_up(channel);
}

/* ---- output */

static bool may_write(const struct session *s)
{
    return s->hung_up || s->on_the_way + ABX_VM_FRAME_MAX <= ABX_VM_WINDOW;
}

/* False: there is none now. Closes the stream at its end. */
static bool take_output(unsigned channel, unsigned i)
{
    static uint8_t bytes[ABX_VM_FRAME_MAX];
    struct session *s = guest.all[channel];
    ssize_t n = s->out[i] < 0 ? 0 : read(s->out[i], bytes, sizeof bytes);
    if (n > 0 && !s->hung_up) {
        put(channel, i == 0 ? ABX_VM_OUT : ABX_VM_ERR, bytes, (size_t)n);
        s->on_the_way += (size_t)n;
    } else if (s->out[i] >= 0 && (n == 0 || (n < 0 && errno != EAGAIN))) {
        if (!s->tty)
            close(s->out[i]);
        s->out[i] = -1;
        if (s->tty) {
            close(s->in);
            s->in = -1;
        }
    }
    return n > 0;
}

/* What it wrote before its end goes out before that; what it left running may write on, and is not
 * heard any more. */
static void end_when_read(unsigned channel)
{
    struct session *s = guest.all[channel];
    for (unsigned i = 0; i < 2; i++)
        while (may_write(s) && abx_vm_has_room(&abx_guest_out))
            if (!take_output(channel, i))
                break;
    if (!may_write(s) || !abx_vm_has_room(&abx_guest_out))
        return; /* later */
    uint32_t code = s->code;
    if (channel == 0 && guest.has_own)
        return; /* that is told last */
    put(channel, ABX_VM_EXIT, &code, sizeof code);
    forget(channel);
}

static void reap(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (unsigned i = 0; i < ABX_VM_CHANNELS; i++)
            if (guest.all[i] && guest.all[i]->pid == pid) {
                guest.all[i]->ended = true;
                guest.all[i]->code = WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status)
                                                       : 128u + (uint32_t)WTERMSIG(status);
            }
}

/* ---- the loop */

enum { PORT, SIGNALS, FIRST };

static void watch(struct pollfd *p)
{
    bool room = abx_vm_has_room(&abx_guest_out);
    p[PORT] = (struct pollfd){
            abx_guest_port, (short)(POLLIN | (abx_guest_out.length ? POLLOUT : 0)), 0};
    p[SIGNALS] = (struct pollfd){guest.signals, POLLIN, 0};
    for (unsigned i = 0; i < ABX_VM_CHANNELS; i++) {
        struct pollfd *at = p + FIRST + 3 * i;
        const struct session *s = guest.all[i];
        bool reads = s && room && may_write(s);
        at[0] = (struct pollfd){reads ? s->out[0] : -1, POLLIN, 0};
        at[1] = (struct pollfd){reads ? s->out[1] : -1, POLLIN, 0};
        at[2] = (struct pollfd){s && s->input_length ? s->in : -1, POLLOUT, 0};
    }
}

static void serve_session(unsigned channel, const struct pollfd *at)
{
    struct session *s = guest.all[channel];
    for (unsigned i = 0; i < 2; i++)
        if (at[i].revents && may_write(s) && abx_vm_has_room(&abx_guest_out))
            take_output(channel, i);
    if (s->ended)
        end_when_read(channel);
    else
        give_input(channel);
}

static void step(int milliseconds)
{
    static struct pollfd p[FIRST + 3 * ABX_VM_CHANNELS];
    struct signalfd_siginfo info;
    watch(p);
    if (poll(p, sizeof p / sizeof *p, milliseconds) < 0)
        return;
    while (abx_vm_read(abx_guest_port, &guest.reader) > 0) {
        hear();
        abx_vm_next(&guest.reader);
    }
    if (p[SIGNALS].revents && read(guest.signals, &info, sizeof info) > 0)
        reap();
    for (unsigned i = 0; i < ABX_VM_CHANNELS; i++)
        if (guest.all[i])
            serve_session(i, p + FIRST + 3 * i);
    if (abx_vm_flush(abx_guest_port, &abx_guest_out) < 0)
        reboot(RB_POWER_OFF); /* nobody is there any more */
}

static bool any_left(void)
{
    for (unsigned i = guest.has_own; i < ABX_VM_CHANNELS; i++)
        if (guest.all[i])
            return true;
    return false;
}

/* What the machine's own command left running ends with it, as in a container; nobody's last words
 * get lost. A machine that is shut down asks first. */
static void end_all(void)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    now = start;
    if (!guest.has_own)
        for (kill(-1, SIGTERM); any_left() && now.tv_sec - start.tv_sec < SHUTDOWN_SECONDS;) {
            step(100);
            clock_gettime(CLOCK_MONOTONIC, &now);
        }
    kill(-1, SIGKILL);
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        step(any_left() ? 100 : 0);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (any_left() && now.tv_sec - start.tv_sec < SHUTDOWN_SECONDS);
}

uint32_t abx_guest_serve(
        const struct abx_guest_description *own, const struct abx_guest_place *place)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    guest.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    guest.has_own = own;
    guest.place = place;
    if (own && !make_session(0))
        abx_guest_give_up("the virtual machine has no memory for its command");
    if (own) {
        start(0, own);
        if (!guest.all[0])
            abx_guest_finish(); /* and has said why */
    }
    const struct session *mine = own ? guest.all[0] : NULL;
    while (!(mine ? mine->ended : guest.shutdown))
        step(-1);
    end_all();
    if (!mine)
        return 0;
    for (bool more = true; more;) { /* what its pipes still hold */
        abx_guest_push();
        guest.all[0]->on_the_way = 0; /* nobody is kept waiting by it now */
        more = take_output(0, 0);
        more |= take_output(0, 1);
    }
    return mine->code;
}
