/* arcbox-vm: runs a command in a virtual machine as if it were the command itself: its input,
 * output, signals, terminal and exit code are those of this process. It is what a container of
 * `arcbox run --vm` has in place of the command, in a sandbox whose files are the hypervisor's and,
 * below ROOT, all that the machine sees:
 *
 *   arcbox-vm -q QEMU -k KERNEL -i VM-INIT -I INIT -R ROOT -w FOLDER -n HOSTNAME [-u UID:GID]
 *             [-c CPUS] [-m MEMORY-MIB] [-g GPU-FD] [-K] [-r] [-M MOUNT]... -- COMMAND...
 *
 *   arcbox-vm -P ...     whether such a machine gets to its first process: 0
 *
 * It believes the machine nothing but bytes to pass on and an exit code. */
#include "cli/vm/frames.h"
#include "cli/vm/machine.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

#define EXIT_OWN 125
#define PROBE_SECONDS 10
#define SAID_BYTES 4096u /* of what the kernel and the hypervisor say, the end */

struct run {
    pid_t pid;
    int port, console, signals, code;
    bool over, started, input_ended;
    size_t on_the_way; /* of the input */
    struct abx_vm_reader reader;
    struct abx_vm_writer writer;
    char said[SAID_BYTES];
    size_t said_bytes;
};

static struct termios saved;

static void restore_terminal(void)
{
    tcsetattr(0, TCSANOW, &saved);
}

/* ---- from the machine */

static void show(int fd, const void *data, size_t bytes)
{
    if (abx_write_all(fd, data, bytes) < 0) {
        /* Nobody reads it: as for the command itself, that is its own affair. */
    }
}

static void hear(struct run *r)
{
    uint32_t number = 0;
    if (r->reader.head.bytes >= sizeof number)
        memcpy(&number, r->reader.data, sizeof number);
    switch (r->reader.head.kind) {
    case ABX_VM_STARTED:
        r->started = true;
        break;
    case ABX_VM_OUT:
        show(1, r->reader.data, r->reader.head.bytes);
        break;
    case ABX_VM_ERR:
        show(2, r->reader.data, r->reader.head.bytes);
        break;
    case ABX_VM_TAKEN:
        r->on_the_way -= number < r->on_the_way ? number : r->on_the_way;
        break;
    case ABX_VM_FAILED:
        fprintf(stderr, "arcbox: %.*s\n", (int)r->reader.head.bytes, (char *)r->reader.data);
        r->over = true;
        break;
    case ABX_VM_EXIT:
        r->code = (int)(number & 255);
        r->over = true;
        break;
    default:
        break;
    }
    abx_vm_next(&r->reader);
}

static void listen_to_console(struct run *r)
{
    char text[1024];
    ssize_t n;
    while ((n = read(r->console, text, sizeof text)) > 0) {
        size_t keep = sizeof r->said - (size_t)n;
        if (r->said_bytes > keep) {
            memmove(r->said, r->said + r->said_bytes - keep, keep);
            r->said_bytes = keep;
        }
        memcpy(r->said + r->said_bytes, text, (size_t)n);
        r->said_bytes += (size_t)n;
    }
    if (n == 0) {
        close(r->console);
        r->console = -1;
    }
}

/* ---- to the machine */

static void send_size(struct run *r)
{
    struct winsize size;
    if (ioctl(0, TIOCGWINSZ, &size) == 0)
        abx_vm_put(&r->writer, ABX_VM_SIZE, &size, sizeof size);
}

static void pass_signal(struct run *r)
{
    struct signalfd_siginfo info;
    while (read(r->signals, &info, sizeof info) == sizeof info) {
        uint32_t number = info.ssi_signo;
        if (number == SIGCHLD)
            continue;
        if (number == SIGWINCH)
            send_size(r);
        else if (r->started)
            abx_vm_put(&r->writer, ABX_VM_SIGNAL, &number, sizeof number);
        else { /* there is no command yet that could hear it */
            r->code = 128 + (int)number;
            r->over = true;
        }
    }
}

static bool wants_input(const struct run *r)
{
    return r->started && !r->input_ended && abx_vm_has_room(&r->writer) &&
           r->on_the_way + ABX_VM_FRAME_MAX <= ABX_VM_INPUT_WINDOW;
}

static void take_input(struct run *r)
{
    uint8_t bytes[ABX_VM_FRAME_MAX];
    ssize_t n = read(0, bytes, sizeof bytes);
    if (n > 0) {
        abx_vm_put(&r->writer, ABX_VM_IN, bytes, (size_t)n);
        r->on_the_way += (size_t)n;
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        abx_vm_put(&r->writer, ABX_VM_IN_END, NULL, 0);
        r->input_ended = true;
    }
}

/* ---- the loop */

static void serve(struct run *r)
{
    while (!r->over) {
        struct pollfd p[] = {{r->port, (short)(POLLIN | (r->writer.length ? POLLOUT : 0)), 0},
                {r->signals, POLLIN, 0}, {r->console, POLLIN, 0},
                {wants_input(r) ? 0 : -1, POLLIN, 0}};
        if (poll(p, ABX_ARRAY_SIZE(p), -1) < 0)
            continue;
        int n = 0;
        while (!r->over && (n = abx_vm_read(r->port, &r->reader)) > 0)
            hear(r);
        if (p[2].revents)
            listen_to_console(r);
        if (n < 0 || (!r->over && abx_vm_flush(r->port, &r->writer) < 0))
            return; /* the hypervisor has ended */
        if (p[1].revents)
            pass_signal(r);
        if (p[3].revents)
            take_input(r);
    }
}

/* One line, and below it what was said last, which tells why. */
static void say_why(struct run *r)
{
    if (r->console >= 0)
        listen_to_console(r);
    fprintf(stderr, "arcbox: the virtual machine ended by itself%s\n",
            r->said_bytes ? ", having said:" : "");
    if (r->said_bytes)
        show(2, r->said, r->said_bytes);
}

static int run_machine(const struct abx_machine *m)
{
    static struct run r;
    sigset_t set;
    static const int passed[] = {
            SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH, SIGCHLD};
    sigemptyset(&set);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(passed); i++)
        sigaddset(&set, passed[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    r.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    int initrd = abx_machine_initrd(m, environ);
    r.pid = initrd < 0 ? initrd : abx_machine_start(m, initrd, &r.port, &r.console);
    if (r.pid < 0) {
        fprintf(stderr, "arcbox: cannot start the virtual machine: %s\n", strerror(-r.pid));
        return EXIT_OWN;
    }
    close(initrd);
    if (m->tty && tcgetattr(0, &saved) == 0) {
        struct termios raw = saved;
        cfmakeraw(&raw);
        tcsetattr(0, TCSANOW, &raw);
        atexit(restore_terminal);
        send_size(&r);
    }
    r.code = EXIT_OWN;
    if (m->probe)
        alarm(PROBE_SECONDS); /* and with this process goes the machine */
    serve(&r);
    if (!r.over && !m->probe)
        say_why(&r);
    kill(r.pid, SIGKILL);
    waitpid(r.pid, NULL, 0);
    return r.code;
}

static int read_options(int argc, char **argv, struct abx_machine *m)
{
    for (int option; (option = getopt(argc, argv, "+q:k:i:I:R:w:n:u:c:m:g:KrPM:")) != -1;) {
        switch (option) {
        case 'q':
            m->qemu = optarg;
            break;
        case 'k':
            m->kernel = optarg;
            break;
        case 'i':
            m->init = optarg;
            break;
        case 'I':
            m->inner = optarg;
            break;
        case 'R':
            m->root = optarg;
            break;
        case 'w':
            m->folder = optarg;
            break;
        case 'n':
            m->hostname = optarg;
            break;
        case 'u':
            m->user = optarg;
            break;
        case 'c':
            m->cpus = (unsigned)atoi(optarg);
            break;
        case 'm':
            m->memory_mib = (unsigned)atoi(optarg);
            break;
        case 'g':
            m->gpu = atoi(optarg);
            break;
        case 'r':
            m->read_only = true;
            break;
        case 'P':
            m->probe = true;
            break;
        case 'M':
            m->mounts[m->mount_count++] = optarg;
            break;
        case 'K':
            m->kvm = true;
            break;
        default:
            return -EINVAL;
        }
    }
    m->command = argv + optind;
    return m->qemu && m->kernel && m->init && m->inner && m->root && *m->command ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
    struct abx_machine m = {
            .gpu = -1, .cpus = 1, .memory_mib = ABX_VM_DEFAULT_MEMORY_MIB, .folder = "/"};
    abx_fd_standard();
    m.mounts = calloc((size_t)argc, sizeof *m.mounts);
    if (!m.mounts)
        return EXIT_OWN;
    if (read_options(argc, argv, &m) < 0) {
        fprintf(stderr, "arcbox-vm: it is started by arcbox run --vm\n");
        return EXIT_OWN;
    }
    m.tty = isatty(0) && isatty(1);
    return run_machine(&m);
}
