/* arcbox-vm: runs a command in a virtual machine as if it were the command itself: its input,
 * output, signals, terminal and exit code are those of this process. It is what a container of
 * `arcbox run --vm` has in place of the command, in a sandbox whose files are the hypervisor's and,
 * below ROOT, all that the machine sees:
 *
 *   arcbox-vm -q QEMU -k KERNEL -i VM-INIT -I INIT -R ROOT -n HOSTNAME [-c CPUS] [-m MEMORY-MIB]
 *             [-g GPU-FD] [-l LISTENER-FD] [-N FORWARDS] [-d DISK-FD] [-t TEMPLATE-FD] [-K] [-r]
 *             [-s SHM-BYTES]
 *             [-U LIMIT]... [-T "OPTIONS FOLDER"]... [-M MOUNT]... --
 * INIT'S WORDS
 *
 *   arcbox-vm -S ...     the machine stays without a command, until SIGTERM
 *   arcbox-vm -P ...     whether such a machine gets to its first process: 0
 *   arcbox-vm -W FD ...  writes a template of such a machine to the file: 0
 *
 * A child passes frames between the machine, this process and those that come to LISTENER-FD
 * (mux.c). */
#include "cli/left_summary.h"
#include "cli/vm/endpoint.h"
#include "cli/vm/machine.h"
#include "cli/vm/mux.h"
#include "cli/vm/template.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define EXIT_OWN 125
/* Of machines that do nothing but start: a busy system that emulates may take half of it. */
#define BARE_SECONDS 60

/* The machine, until it ends. */
static bool look_after(const struct abx_machine *m, int first)
{
    struct abx_vm_mux_start start = {.first = first, .listener = m->listener, .silent = m->bare};
    struct abx_string description = {0};
    int r = m->from >= 0 ? abx_template_start(m, &start.hypervisor)
                         : abx_machine_start(m, &start.hypervisor);
    if (r == 0)
        abx_machine_describe(m, environ, &description);
    if (description.failed) {
        abx_machine_end(&start.hypervisor);
        r = -ENOMEM;
    }
    if (r < 0) {
        fprintf(stderr, "arcbox: cannot start the virtual machine: %s\n", strerror(-r));
        return false;
    }
    start.description = &description;
    bool good = abx_vm_mux(&start);
    abx_string_finish(&description);
    return good;
}

static int stay(const struct abx_machine *m)
{
    abx_vm_block_signals();
    if (m->bare)
        alarm(BARE_SECONDS); /* and with this process goes the machine */
    return look_after(m, -1) ? 0 : EXIT_OWN;
}

static int write_template(const struct abx_machine *m)
{
    alarm(BARE_SECONDS);
    return abx_template_make(m, m->to) < 0 ? EXIT_OWN : 0;
}

static struct abx_left_summary left;

static void note_left(const char *path)
{
    if (*path == '/' && !abx_left_is_boring(&left, path))
        abx_left_count(&left, path);
}

/* arcbox-init's words begin with it. */
static const char *folder_of(const struct abx_machine *m)
{
    return m->command[0] && m->command[1] ? m->command[1] : "/";
}

static int run_command(const struct abx_machine *m)
{
    int pair[2];
    abx_vm_block_signals();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return EXIT_OWN;
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        return EXIT_OWN;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pair[0]);
        if (getppid() != parent)
            _exit(EXIT_OWN);
        setsid(); /* keys of the terminal are for the machine's command */
        _exit(look_after(m, pair[1]) ? 0 : EXIT_OWN);
    }
    close(pair[1]);
    if (m->gpu >= 0)
        close(m->gpu);
    if (m->listener >= 0)
        close(m->listener);
    char *why = NULL;
    struct abx_vm_command command = {.sock = pair[0], .tty = m->tty, .left = note_left};
    left.folder = folder_of(m);
    int code = abx_vm_endpoint(&command, &why);
    char *text = abx_left_text(&left);
    if (why || text)
        fprintf(stderr, "arcbox: %s\n", why ? why : text);
    free(text);
    close(pair[0]); /* which ends the machine; what there is to say of it is said first */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return code < 0 ? EXIT_OWN : code;
}

/* Where an option's word goes that is taken as it is, or as a number. NULL: it is another one. */
static const char **text_of(struct abx_machine *m, int option)
{
    switch (option) {
    case 'q':
        return &m->qemu;
    case 'k':
        return &m->kernel;
    case 'i':
        return &m->init;
    case 'I':
        return &m->inner;
    case 'R':
        return &m->root;
    case 'n':
        return &m->hostname;
    case 'N':
        return &m->forwards;
    case 's':
        return &m->shm_bytes;
    case 'U':
        return &m->limits[m->limit_count++];
    case 'T':
        return &m->memory[m->memory_count++];
    case 'M':
        return &m->mounts[m->mount_count++];
    default:
        return NULL;
    }
}

static int *number_of(struct abx_machine *m, int option)
{
    switch (option) {
    case 'g':
        return &m->gpu;
    case 'l':
        return &m->listener;
    case 'd':
        return &m->disk;
    case 't':
        return &m->from;
    case 'W':
        return &m->to;
    default:
        return NULL;
    }
}

static int read_options(int argc, char **argv, struct abx_machine *m)
{
    for (int option;
            (option = getopt(argc, argv, "+q:k:i:I:R:n:c:m:g:l:N:d:s:t:U:T:W:KrPSM:")) != -1;) {
        const char **text = text_of(m, option);
        int *number = number_of(m, option);
        if (text)
            *text = optarg;
        else if (number)
            *number = atoi(optarg);
        else if (option == 'c')
            m->cpus = (unsigned)atoi(optarg);
        else if (option == 'm')
            m->memory_mib = (unsigned)atoi(optarg);
        else if (option == 'K')
            m->kvm = true;
        else if (option == 'r')
            m->read_only = true;
        else if (option == 'S')
            m->stays = true;
        else if (option != 'P')
            return -EINVAL;
        m->bare |= option == 'P' || option == 'W';
    }
    m->command = argv + optind;
    return m->qemu && m->kernel && m->init && m->inner && m->root ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
    struct abx_machine m = {.gpu = -1,
            .listener = -1,
            .disk = -1,
            .from = -1,
            .to = -1,
            .cpus = 1,
            .memory_mib = ABX_VM_DEFAULT_MEMORY_MIB};
    abx_fd_standard();
    m.mounts = calloc((size_t)argc, sizeof *m.mounts);
    m.limits = calloc((size_t)argc, sizeof *m.limits);
    m.memory = calloc((size_t)argc, sizeof *m.memory);
    if (!m.mounts || !m.limits || !m.memory)
        return EXIT_OWN;
    if (read_options(argc, argv, &m) < 0) {
        fprintf(stderr, "arcbox-vm: it is started by arcbox run --vm\n");
        return EXIT_OWN;
    }
    m.tty = isatty(0) && isatty(1);
    if (m.listener >= 0)
        fcntl(m.listener, F_SETFD, FD_CLOEXEC);
    if (m.to >= 0)
        return write_template(&m);
    return m.stays || m.bare ? stay(&m) : run_command(&m);
}
