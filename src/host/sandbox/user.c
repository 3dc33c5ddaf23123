/* host: a user of its own for a worker: what Linux counts and limits for each
 * user (threads, descriptors that are under way in sockets) is then that process's alone, and it is
 * nobody who owns anything. Root takes a number that no account has; others take one of those that
 * /etc/subuid gives them, through newuidmap. Runs in the process itself, before it has threads. */
#include "host/sandbox/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The last part of the range of which root's containers have the others (src/cli/world.c). */
#define FIRST_USER 0x6fff0000u
#define USERS 65535u

static struct {
    bool wanted, has;
    unsigned user, group; /* 0: there is none */
    uint32_t *go;         /* the helper's: 1 when the name space is there; NULL: root's way */
    pid_t helper;
} own;

/* One of "NAME:FIRST:COUNT" of `path`, from its end: containers use them from the beginning. 0: has
 * none. */
static unsigned subordinate(const char *path, const char *name, unsigned uid, unsigned salt)
{
    void *text;
    size_t length;
    unsigned found = 0;
    if (abx_read_file(path, 1 << 20, &text, &length) < 0)
        return 0;
    char *rest = text;
    for (char *line; !found && (line = strsep(&rest, "\n"));) {
        char *who = strsep(&line, ":");
        unsigned long first, count;
        if (!line || sscanf(line, "%lu:%lu", &first, &count) != 2 || count < 2 ||
                first + count > 0xfffffffe)
            continue;
        char *end;
        bool by_number = strtoul(who, &end, 10) == uid && !*end && *who;
        if (by_number || strcmp(who, name) == 0)
            found = (unsigned)(first + count - 1 - salt % (count / 2));
    }
    free(text);
    return found;
}

static void map_with(const char *program, pid_t pid, unsigned id)
{
    char target[32], number[32], *environment[] = {NULL};
    snprintf(target, sizeof target, "%d", (int)pid);
    snprintf(number, sizeof number, "%u", id);
    pid_t child = fork();
    int status;
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        char *argv[] = {(char *)program, target, number, number, "1", NULL};
        execve(program, argv, environment);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status)
        _exit(1);
}

/* Waits until its parent has its name space, and gives it its numbers: outside of that, and before
 * new privileges are forbidden. */
static void start_helper(void)
{
    pid_t parent = getpid();
    void *shared =
            mmap(NULL, sizeof *own.go, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return;
    own.go = shared;
    own.helper = fork();
    if (own.helper == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
            _exit(1); /* it has ended before that */
        close_range(3, ~0u, 0);
        while (__atomic_load_n(own.go, __ATOMIC_ACQUIRE) == 0)
            abx_futex_wait(own.go, 0, 1000000000);
        map_with("/usr/bin/newgidmap", parent, own.group);
        map_with("/usr/bin/newuidmap", parent, own.user);
        _exit(0);
    }
    if (own.helper < 0)
        own.go = NULL;
}

void abx_sandbox_want_own_user(unsigned salt)
{
    unsigned uid = getuid();
    own.wanted = true;
    if (uid == 0) {
        own.user = own.group = FIRST_USER + salt % USERS;
        return;
    }
    const struct passwd *user = getpwuid(uid);
    const char *name = user ? user->pw_name : "";
    own.user = subordinate("/etc/subuid", name, uid, salt);
    own.group = subordinate("/etc/subgid", name, uid, salt);
    if (own.user && own.group && access("/usr/bin/newuidmap", X_OK) == 0 &&
            access("/usr/bin/newgidmap", X_OK) == 0)
        start_helper();
}

/* Root's: what is asked for from here on is asked by that user; root is kept for a system where it
 * may not make name spaces. */
bool abx_sandbox_user_begin(void)
{
    if (!own.wanted || own.go || !own.user || geteuid() != 0)
        return false;
    if (setgroups(0, NULL) < 0 || setresgid(own.group, own.group, 0) < 0)
        return false;
    if (setresuid(own.user, own.user, 0) < 0) {
        (void)!setresgid(0, 0, 0);
        return false;
    }
    own.has = true;
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* /proc/self is to be its own */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return true;
}

void abx_sandbox_user_root_again(void)
{
    (void)!setresgid((gid_t)-1, 0, (gid_t)-1);
    (void)!setresuid((uid_t)-1, 0, (uid_t)-1);
}

bool abx_sandbox_user_map(void)
{
    int status;
    if (!own.go)
        return false;
    __atomic_store_n(own.go, 1, __ATOMIC_RELEASE);
    abx_futex_wake(own.go, 1);
    own.has = waitpid(own.helper, &status, 0) == own.helper && status == 0;
    munmap(own.go, sizeof *own.go);
    own.go = NULL;
    return own.has;
}

bool abx_sandbox_has_own_user(void)
{
    return own.has;
}

void abx_sandbox_user_end(void)
{
    if (!own.wanted || !own.user)
        return;
    if (setresgid(own.group, own.group, own.group) < 0 ||
            setresuid(own.user, own.user, own.user) < 0)
        return; /* it stays who it was */
    (void)!setgroups(0, NULL);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* the change took it away */
}
