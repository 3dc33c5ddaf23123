/* cli: entering a container that runs, for `arcbox exec` and `arcbox cp`.
 *
 *   arcbox exec       the user's process: relays bytes and signals (supervise.c)
 *    `- waiter        joins the container's name spaces; is in its process space no member itself
 *        `- arcbox-init -x     gives every right up that the first program has not; then the
 * command
 *
 * What the container must not get: this program's files and memory. Before a process is seen by the
 * container it is not dumpable, and its program is arcbox-init in a sealed file of memory: a
 * container that reaches /proc/PID/exe holds a copy. Of descriptors it gets the three pipes and,
 * for a terminal, a socket; no folder, no file of ours. Limits come first, then name spaces, then
 * users, then rights: each step still needs what the next takes away. */
#include "cli/join.h"
#include "cli/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_CAP 65536u
#define ENVIRONMENT_CAP (4u << 20)
#define PROGRAM_CAP (64u << 20)
#define LAST_CAPABILITY 63u

/* Of the container's first process, read before anything is entered. */
struct rights {
    unsigned long long inheritable, permitted, effective, bounding, ambient;
    unsigned uid, gid;
    bool no_new_privileges, filtered;
};

struct entry {
    const struct abx_container *c;
    const struct abx_join *join;
    pid_t caller;
    int init; /* its pidfd */
    int program, sync[2], text[2];
    int spaces; /* CLONE_NEW*: those that are not our own */
    bool from_root;
    struct rights rights;
    struct rlimit limits[RLIM_NLIMITS];
    char **env;
};

/* ---- what is known of it from outside */

static bool field(const char *status, const char *name, int base, unsigned long long *ret)
{
    const char *at = strstr(status, name);
    char *end;
    if (!at)
        return false;
    at += strlen(name);
    *ret = strtoull(at, &end, base);
    return end != at;
}

static int read_rights(int pid, struct rights *ret)
{
    char path[64];
    void *text;
    size_t length;
    unsigned long long uid = 0, gid = 0, nnp = 0, seccomp = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    int r = abx_read_file(path, STATUS_CAP, &text, &length);
    if (r < 0)
        return r;
    bool ok = field(text, "\nCapInh:\t", 16, &ret->inheritable) &&
              field(text, "\nCapPrm:\t", 16, &ret->permitted) &&
              field(text, "\nCapEff:\t", 16, &ret->effective) &&
              field(text, "\nCapBnd:\t", 16, &ret->bounding) &&
              field(text, "\nCapAmb:\t", 16, &ret->ambient) && field(text, "\nUid:\t", 10, &uid) &&
              field(text, "\nGid:\t", 10, &gid) && field(text, "\nNoNewPrivs:\t", 10, &nnp) &&
              field(text, "\nSeccomp:\t", 10, &seccomp);
    free(text);
    ret->uid = (unsigned)uid;
    ret->gid = (unsigned)gid;
    ret->no_new_privileges = nnp == 1;
    ret->filtered = seccomp == 2;
    return ok ? 0 : -EIO;
}

/* The container's variables as its first process was given them. That one could have written over
 * them: they go back in, and nowhere else. */
static char **read_environment(int pid, char *const *added)
{
    char path[64];
    void *text = NULL;
    size_t length = 0;
    uint32_t count = 0, capacity = 64;
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    if (abx_read_file(path, ENVIRONMENT_CAP, &text, &length) < 0)
        length = 0;
    char **env = abx_xcalloc(capacity, sizeof *env);
    for (size_t at = 0; at < length; at += strlen((char *)text + at) + 1) {
        abx_xgrow((void **)&env, &capacity, count + 1, sizeof *env);
        env[count++] = (char *)text + at;
    }
    for (; added && *added; added++) {
        size_t name = strcspn(*added, "="), i = 0;
        while (i < count && (strncmp(env[i], *added, name) != 0 || env[i][name] != '='))
            i++;
        abx_xgrow((void **)&env, &capacity, count + 1, sizeof *env);
        count += i == count;
        env[i] = *added;
    }
    env[count] = NULL;
    return env;
}

/* arcbox-init, in memory that nobody can change: -1 when it cannot be made. */
static int copy_program(void)
{
    char *path = abx_place_init();
    void *data;
    size_t length;
    int fd = -1;
    if (path && abx_read_file(path, PROGRAM_CAP, &data, &length) == 0) {
        fd = memfd_create("arcbox-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd >= 0 &&
                (abx_write_all(fd, data, length) < 0 ||
                        fcntl(fd, F_ADD_SEALS,
                                F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)) {
            close(fd);
            fd = -1;
        }
        free(data);
    }
    free(path);
    return fd;
}

static const struct {
    const char *name;
    int flag;
} spaces[] = {{"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS}, {"pid", CLONE_NEWPID},
        {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET},
        {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME}};

static int other_spaces(int pid)
{
    int flags = 0;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(spaces); i++) {
        struct stat own, theirs;
        char *here = abx_xprintf("/proc/self/ns/%s", spaces[i].name);
        char *there = abx_xprintf("/proc/%d/ns/%s", pid, spaces[i].name);
        if (stat(here, &own) == 0 && stat(there, &theirs) == 0 && own.st_ino != theirs.st_ino)
            flags |= spaces[i].flag;
        free(there);
        free(here);
    }
    return flags;
}

bool abx_join_shares_processes(const struct abx_container *c)
{
    return !(other_spaces(c->init) & CLONE_NEWPID);
}

/* ---- in the waiter */

static _Noreturn void stop(const struct entry *e, const char *what, int error)
{
    char *text = abx_xprintf("cannot enter '%s' (%s): %s", e->c->name, what, strerror(error));
    (void)!write(e->text[1], text, strlen(text));
    _exit(ABX_EXIT_OWN);
}

/* As low as the first program's, or lower where ours are. */
static void take_limits(const struct entry *e)
{
    for (int i = 0; i < RLIM_NLIMITS; i++) {
        struct rlimit l = e->limits[i], own;
        if (getrlimit((__rlimit_resource_t)i, &own) == 0 && l.rlim_max > own.rlim_max)
            l.rlim_max = own.rlim_max;
        if (l.rlim_cur > l.rlim_max)
            l.rlim_cur = l.rlim_max;
        if (setrlimit((__rlimit_resource_t)i, &l) < 0)
            stop(e, "limits", errno);
    }
}

/* The pipes become 0 to 2; the socket of a terminal, the program and the ways to report stay until
 * exec, all else goes. */
static void take_streams(struct entry *e)
{
    int streams[3] = {e->join->in, e->join->out, e->join->err};
    for (int i = 0; i < 3; i++)
        streams[i] = fcntl(streams[i], F_DUPFD_CLOEXEC, 64);
    for (int i = 0; i < 3; i++)
        if (streams[i] < 0 || dup2(streams[i], i) < 0)
            stop(e, "its streams", errno);
    if (syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        stop(e, "descriptors", errno);
    if (e->join->terminal >= 0)
        fcntl(e->join->terminal, F_SETFD, 0);
}

static void give_up_rights(const struct entry *e)
{
    const struct rights *r = &e->rights;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    for (unsigned i = 0; i <= LAST_CAPABILITY; i++)
        if (!(r->bounding >> i & 1) && prctl(PR_CAPBSET_READ, i) == 1 &&
                prctl(PR_CAPBSET_DROP, i) < 0)
            stop(e, "rights", errno);
    for (unsigned i = 0; i < 2; i++)
        sets[i] = (struct __user_cap_data_struct){(uint32_t)(r->effective >> 32 * i),
                (uint32_t)(r->permitted >> 32 * i), (uint32_t)(r->inheritable >> 32 * i)};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
            syscall(SYS_capset, &head, sets) < 0)
        stop(e, "rights", errno);
    for (unsigned i = 0; i <= LAST_CAPABILITY; i++)
        if (r->ambient >> i & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
            stop(e, "rights", errno);
    if (abx_sandbox_filter() < 0)
        stop(e, "system call filter", errno);
}

static _Noreturn void become_init(struct entry *e)
{
    char *words[64] = {"arcbox-init", "-x"};
    size_t n = 2;
    for (char *const *w = e->join->words; *w; w++)
        n++;
    char **line = n < ABX_ARRAY_SIZE(words) ? words : abx_xcalloc(n + 1, sizeof *line);
    line[0] = "arcbox-init";
    line[1] = "-x";
    for (size_t i = 2; i < n; i++)
        line[i] = e->join->words[i - 2];
    setsid(); /* the terminal of who called stays theirs */
    take_limits(e);
    give_up_rights(e);
    if (!e->join->detached)
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* changes of users take it away */
    syscall(SYS_execveat, e->program, "", line, e->env, AT_EMPTY_PATH);
    stop(e, "arcbox-init", errno);
}

static _Noreturn void waiter(struct entry *e)
{
    int status;
    if (!e->join->detached && !abx_process_follow(e->caller))
        _exit(ABX_EXIT_OWN);
    /* From the moment on when it can be seen: no tracing, no /proc/PID/exe, no /proc/PID/fd. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        stop(e, "itself", errno);
    take_streams(e);
    if (e->c->group[0] && abx_group_add(e->c->group, getpid()) < 0)
        stop(e, "control group", errno);
    if (setns(e->init, e->spaces) < 0)
        stop(e, "name spaces", errno);
    if (e->spaces & CLONE_NEWUSER && e->from_root &&
            (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
        stop(e, "users", errno);
    if (chdir("/") < 0)
        stop(e, "its root", errno);
    if (!e->join->detached && !abx_process_follow(e->caller))
        _exit(ABX_EXIT_OWN);
    pid_t pid = fork();
    if (pid < 0)
        stop(e, "a process", errno);
    if (pid == 0)
        become_init(e);
    (void)!write(e->sync[1], &pid, sizeof pid);
    syscall(SYS_close_range, 0, ~0u, 0); /* others wait for the ends of these pipes */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(abx_exit_code(status));
}

/* What has to be known of the container before it is entered. */
static int look(struct entry *e, int *ret_init)
{
    const struct abx_container *c = e->c;
    int r = *ret_init = abx_container_init(c);
    if (r < 0)
        return -ESRCH;
    e->program = copy_program();
    e->spaces = other_spaces(c->init);
    e->env = read_environment(c->init, e->join->env);
    r = e->program < 0 ? -ENOENT : read_rights(c->init, &e->rights);
    for (int i = 0; r == 0 && i < RLIM_NLIMITS; i++)
        if (prlimit(c->init, (__rlimit_resource_t)i, NULL, &e->limits[i]) < 0)
            r = -errno;
    if (r == 0 && (!e->rights.no_new_privileges || !e->rights.filtered ||
                          !(e->spaces & CLONE_NEWUSER) || !(e->spaces & CLONE_NEWNS)))
        r = -EPERM;                                /* not what we made */
    if (r == 0 && abx_process_ended(*ret_init, 0)) /* what was read was another's */
        r = -ESRCH;
    return r;
}

/* What the waiter says: nothing, and the number of arcbox-init's process, when all went well. */
static int hear(struct entry *e, pid_t waiting, int *ret_init, char *ret_text, size_t capacity)
{
    pid_t init = 0;
    int status;
    close(e->sync[1]);
    close(e->text[1]);
    ssize_t n = read(e->text[0], ret_text, capacity - 1);
    if (n <= 0 && read(e->sync[0], &init, sizeof init) != sizeof init)
        n = snprintf(ret_text, capacity, "cannot enter '%s'", e->c->name);
    close(e->sync[0]);
    close(e->text[0]);
    if (n <= 0) {
        *ret_init = init;
        return 0;
    }
    ret_text[(size_t)n < capacity ? (size_t)n : capacity - 1] = 0;
    while (waitpid(waiting, &status, 0) < 0 && errno == EINTR)
        ;
    return -EPERM;
}

pid_t abx_join_start(const struct abx_container *c, const struct abx_join *join, int *ret_init,
        char *ret_text, size_t capacity)
{
    struct entry e = {
            .c = c, .join = join, .from_root = geteuid() == 0, .program = -1, .caller = getpid()};
    int r = look(&e, &e.init);
    if (r == 0 && (pipe2(e.sync, O_CLOEXEC) < 0 || pipe2(e.text, O_CLOEXEC) < 0))
        r = -errno;
    pid_t pid = r == 0 ? fork() : -1;
    if (r == 0 && pid < 0)
        r = -errno;
    if (pid == 0) {
        close(e.sync[0]);
        close(e.text[0]);
        waiter(&e);
    }
    if (e.init >= 0)
        close(e.init);
    if (e.program >= 0)
        close(e.program);
    if (r == 0)
        r = hear(&e, pid, ret_init, ret_text, capacity);
    else if (r == -ESRCH)
        snprintf(ret_text, capacity, "'%s' has ended", c->name);
    else
        snprintf(ret_text, capacity, "cannot enter '%s': %s", c->name, strerror(-r));
    return r < 0 ? r : pid;
}
