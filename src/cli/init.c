/* arcbox-init: process 1 of a sandbox. Static, so that it runs in any image. Makes the terminal
 * when one was asked for, starts the command, passes signals on, reaps, and ends with the command's
 * status. Runs inside the container, with the container's rights; the host believes nothing from it
 * but the terminal's descriptor.
 *
 *   arcbox-init [-t SOCKET] [-w FOLDER] [-i IGNORED] [-p] [-u UID:GID]
 *               [-r REPORT] [-l LIFE] [-x] -- COMMAND...
 *   arcbox-init -x [-u UID:GID] -C in|out -- PATH    one end of `arcbox cp`
 *   arcbox-init -c             says that it runs, for `arcbox doctor`
 *
 * -u: who the command is; -t: open a terminal and send its master through SOCKET; -i: signals to
 * leave ignored, a mask; -p: there is no process namespace; -l: a pipe whose other end is arcbox's,
 * which may have been killed while bubblewrap was at work, before that followed it. */
#include "cli/copy_stream.h"
#include "cli/program.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Landlock (its newer parts are not in the headers of the systems we build on): what is outside the
 * container cannot be traced, and (Linux 6.12) sent signals or reached through sockets without a
 * file, which belong to a network and not to a container. Nothing here is believed to hold without
 * it. */
static void close_in(int shares_processes, int is_second)
{
    struct {
        uint64_t files, net, scoped;
    } rules = {0, 0, 3};
    /* What enters later is outside the first program's domain, and may send signals to it all the
     * same: nothing else is in reach where processes are not shared. */
    if (is_second && !shares_processes)
        rules.scoped = 1;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u);
    size_t bytes = sizeof rules;
    if (version < 6) {
        /* A rule nobody needs, for the sake of having any. It also forbids mounts. */
        rules.files = 1u << 11; /* MAKE_BLOCK */
        bytes = sizeof rules.files;
    }
    if (version < 1 || (version < 6 && !shares_processes))
        return;
    int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, bytes, 0u);
    if (fd >= 0)
        syscall(SYS_landlock_restrict_self, fd, 0u);
    close(fd);
}

static int report = -1; /* where a detached container says why its command does not run */

static void complain(const char *what, const char *which, int error)
{
    dprintf(report >= 0 ? report : 2, "%s%s%s%s%s\n", report >= 0 ? "" : "arcbox: ", what, which,
            error ? ": " : "", error ? strerror(error) : "");
}

/* Of the command's process. The code follows the words. */
static void give_up(int code)
{
    unsigned char byte = (unsigned char)code;
    if (report >= 0)
        (void)!write(report, &byte, 1);
    _exit(code);
}

static int open_terminal(int socket)
{
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    char name[64];
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
            ptsname_r(master, name, sizeof name) != 0) {
        complain("cannot open a terminal", "", errno);
        _exit(125);
    }
    char byte = 't';
    struct iovec iov = {&byte, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr msg = {.msg_iov = &iov,
            .msg_iovlen = 1,
            .msg_control = &control,
            .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &master, sizeof master);
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0 || sendmsg(socket, &msg, MSG_NOSIGNAL) < 0 || read(socket, &byte, 1) != 1) {
        complain("cannot hand the terminal over", "", errno);
        _exit(125);
    }
    close(socket);
    close(master);
    return slave;
}

static size_t read_head(const char *path, char head[ABX_PROGRAM_HEAD + 1])
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, head, ABX_PROGRAM_HEAD);
    if (fd >= 0)
        close(fd);
    head[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

/* A file that is there and whose loader is not: the kernel says that the file is not there. */
static void complain_of_loader(const char *path, const char *loader, int is_script)
{
    const char *musl =
            strstr(loader, "ld-musl") ? " (it was built for musl: build it for glibc)" : "";
    char text[1024];
    snprintf(text, sizeof text, " needs the %s %s, which is not in the container%s",
            is_script ? "interpreter" : "loader", loader, musl);
    complain(path, text, 0);
}

/* Says why `path`, which is there, was not run: the exit code. */
static int explain(const char *path, int error)
{
    char head[ABX_PROGRAM_HEAD + 1], text[256] = " ", loader[512];
    size_t length = read_head(path, head);
    if (error == ENOEXEC && abx_program_is_foreign(head, length, text + 1, sizeof text - 1))
        complain(path, text, 0);
    else if (error == ENOENT && abx_program_loader(head, length, loader, sizeof loader) &&
             access(loader, F_OK) < 0)
        complain_of_loader(path, loader, head[0] == '#');
    else
        complain("cannot run ", path, error);
    return error == ENOENT ? 127 : 126;
}

/* As shells do: a file without a first line that says otherwise is a script for sh. */
static void try_as_script(const char *path, char **command)
{
    char head[ABX_PROGRAM_HEAD + 1], text[256], *words[256] = {"sh", (char *)path};
    size_t length = read_head(path, head), n = 2;
    if (abx_program_is_foreign(head, length, text, sizeof text) || memchr(head, 0, length))
        return;
    for (size_t i = 1; command[i] && n < sizeof words / sizeof *words - 1; i++)
        words[n++] = command[i];
    execv("/bin/sh", words);
    errno = ENOEXEC;
}

/* Returns when it cannot be run: the error. */
static int try_file(const char *path, char **command)
{
    execv(path, command);
    if (errno == ENOEXEC)
        try_as_script(path, command);
    return errno;
}

/* In the folders of $PATH; returns the exit code when nothing was run. */
static int try_path(char **command)
{
    const char *list = getenv("PATH");
    char found[4096] = "", path[4096];
    int error = ENOENT;
    for (const char *folder = list ? list : "/usr/bin:/bin"; folder;) {
        size_t n = strcspn(folder, ":");
        snprintf(path, sizeof path, "%.*s%s%s", (int)n, folder, n ? "/" : "", command[0]);
        int e = try_file(path, command);
        if (!found[0] && access(path, F_OK) == 0) {
            snprintf(found, sizeof found, "%s", path);
            error = e;
        }
        folder = folder[n] ? folder + n + 1 : NULL;
    }
    if (found[0])
        return explain(found, error);
    complain(command[0], ": no such command in the container", 0);
    return 127;
}

static void become(const char *user)
{
    char *colon;
    uid_t uid = (uid_t)strtoul(user, &colon, 10);
    gid_t gid = *colon == ':' ? (gid_t)strtoul(colon + 1, NULL, 10) : 0;
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
        complain("cannot become the user ", user, errno);
        give_up(125);
    }
}

static void run_command(
        char **command, const char *folder, const char *user, int slave, unsigned long ignored)
{
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < 32; s++)
        signal(s, ignored & (1ul << s) ? SIG_IGN : SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (slave >= 0) {
        setsid();
        ioctl(slave, TIOCSCTTY, 0);
        dup2(slave, 0);
        dup2(slave, 1);
        dup2(slave, 2);
    }
    if (user)
        become(user);
    if (folder && chdir(folder) < 0) {
        complain("cannot enter the folder ", folder, errno);
        give_up(125);
    }
    if (!strchr(command[0], '/'))
        give_up(try_path(command));
    int error = try_file(command[0], command);
    give_up(explain(command[0], error));
}

/* Without a process namespace nothing ends with us by itself: what the command left becomes our
 * child, and is ended here. What starts others faster than we end them would go on: as outside. */
static void end_the_rest(void)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (int round = 0; round < 1000; round++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        close(fd);
        if (n <= 0)
            return;
        text[n] = 0;
        for (char *at = text, *end; *at; at = end) {
            long pid = strtol(at, &end, 10);
            if (end == at || *end != ' ') /* each number is followed by one: not cut short */
                break;
            kill((pid_t)pid, SIGKILL);
        }
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        usleep(round < 10 ? 100 : 1000);
    }
}

/* One end of `arcbox cp`. */
static int copy(const char *direction, const char *path)
{
    char text[512];
    int r = strcmp(direction, "in") == 0 ? abx_copy_receive(0, path, text, sizeof text)
                                         : abx_copy_send(1, path, text, sizeof text);
    if (r < 0)
        complain(text[0] ? text : strerror(-r), "", 0);
    return r < 0 ? 125 : 0;
}

/* A signal from the terminal reached the command too (same process group): passing it on would make
 * it two. From outside our process namespace the sender's number is 0. */
static int must_pass_on(const siginfo_t *info)
{
    switch (info->si_signo) {
    case SIGCHLD:
    case SIGTTIN:
    case SIGTTOU:
    case SIGTSTP:
        return 0;
    default:
        return info->si_code != SI_KERNEL;
    }
}

struct request {
    int socket, life, shares_processes, is_second, is_check;
    const char *folder, *user, *direction;
    unsigned long ignored;
};

/* 0, or -1 for what nobody of ours says. */
static int read_options(int argc, char **argv, struct request *r)
{
    for (int option; (option = getopt(argc, argv, "+t:w:i:pcu:r:l:xC:")) != -1;) {
        if (option == 't')
            r->socket = atoi(optarg);
        else if (option == 'w')
            r->folder = optarg;
        else if (option == 'i')
            r->ignored = strtoul(optarg, NULL, 16);
        else if (option == 'p')
            r->shares_processes = 1;
        else if (option == 'u')
            r->user = optarg;
        else if (option == 'l')
            r->life = atoi(optarg);
        else if (option == 'r')
            report = atoi(optarg);
        else if (option == 'x')
            r->is_second = 1;
        else if (option == 'C')
            r->direction = optarg;
        else if (option == 'c')
            r->is_check = 1;
        else
            return -1;
    }
    return optind < argc || r->is_check ? 0 : -1;
}

/* Until the command ends: its exit code. */
static int look_after(const struct request *r, pid_t child, int has_terminal)
{
    sigset_t all;
    sigfillset(&all);
    for (;;) {
        siginfo_t info;
        int s = sigwaitinfo(&all, &info);
        if (s > 0 && must_pass_on(&info))
            kill(has_terminal && s != SIGKILL ? -child : child, s);
        if (s > 0 && s != SIGCHLD)
            continue;
        int status;
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
            if (pid == child) {
                if (getpid() != 1 && !r->is_second)
                    end_the_rest();
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            }
    }
}

static int start_command(const struct request *r, char **command)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (getpid() != 1 && !r->is_second)
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    int slave = r->socket >= 0 ? open_terminal(r->socket) : -1;
    pid_t child = fork();
    if (child < 0) {
        complain("cannot start the command", "", errno);
        return 125;
    }
    if (child == 0) {
        if (getppid() != 1)
            prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (report >= 0)
            fcntl(report, F_SETFD, FD_CLOEXEC);
        run_command(command, r->folder, r->user, slave, r->ignored);
    }
    if (slave >= 0)
        close(slave);
    if (report >= 0)
        close(report);
    return look_after(r, child, slave >= 0);
}

/* False: whoever asked for this container has ended. */
static int is_wanted(int life)
{
    struct pollfd p = {life, POLLIN, 0};
    int ended = life >= 0 && poll(&p, 1, 0) > 0;
    close(life);
    return !ended;
}

int main(int argc, char **argv)
{
    struct request r = {.socket = -1, .life = -1};
    if (read_options(argc, argv, &r) < 0)
        return 125;
    if (r.is_check)
        return puts("started") < 0;
    if (!is_wanted(r.life))
        return 125;
    close_in(r.shares_processes, r.is_second);
    /* The caller's session may hold keys: of network file systems, of browsers. */
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    if (!r.direction)
        return start_command(&r, argv + optind);
    if (r.user)
        become(r.user);
    return copy(r.direction, argv[optind]);
}
