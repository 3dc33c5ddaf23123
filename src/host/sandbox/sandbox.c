/* host: name spaces, an empty file system, no capabilities. Runs in workers and compile children,
 * before they read hostile bytes. Where the system forbids a step (nested containers) the caller
 * ends, unless it was told to go on: it logs what was lacking then. Landlock is a second wall where
 * the kernel has it, and seccomp (calls.c) is never optional. */
#include "host/sandbox/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static void limit(int what, rlim_t value)
{
    struct rlimit r = {value, value};
    setrlimit(what, &r);
}

void abx_sandbox_basics(unsigned first_fd, unsigned max_files)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    limit(RLIMIT_CORE, 0);
    abx_sandbox_max_files(max_files);
    syscall(SYS_close_range, first_fd, ~0u, 0);
    umask(077);
}

static bool wall_missing;

static void note(struct abx_string *lacking, const char *what)
{
    abx_string_printf(lacking, "%s%s (%s)", lacking->length ? ", " : "", what, strerror(errno));
}

static void lack(struct abx_string *lacking, const char *what)
{
    wall_missing = true;
    note(lacking, what);
}

bool abx_sandbox_refuses(void)
{
    const char *allowed = getenv(ABX_WEAK_SANDBOX_ENV);
    return wall_missing && !(allowed && strcmp(allowed, "1") == 0);
}

void abx_sandbox_refusal(struct abx_string *ret, const struct abx_string *lacking)
{
    abx_string_printf(ret,
            "this system allows no sandbox for GPU work: %s (see: arcbox "
            "doctor; " ABX_WEAK_SANDBOX_ENV
            "=1 goes on without, and programs can then reach what this user can)",
            lacking->data ? lacking->data : "");
}

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return ok;
}

/* Set once this process has a mount name space of its own: without one, mounting would change the
 * machine's. */
static bool own_mounts;
static bool own_users;
/* Root's rights are needed for the mounts yet; its own user it becomes with its capabilities'
 * end. */
static bool owner_waits;

#define SPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

/* In a fresh user name space: we are who we were. */
static void map_ids(unsigned uid, unsigned gid, struct abx_string *lacking)
{
    char map[64];
    /* Not possible any more once dumpable is 0. */
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%u %u 1", uid, uid);
    if (!write_file("/proc/self/uid_map", map))
        note(lacking, "user id map");
    snprintf(map, sizeof map, "%u %u 1", gid, gid);
    write_file("/proc/self/gid_map", map);
}

void abx_sandbox_namespaces(struct abx_string *lacking)
{
    bool left_root = abx_sandbox_user_begin();
    unsigned uid = geteuid(), gid = getegid();
    if (unshare(CLONE_NEWUSER | SPACES) == 0) {
        own_mounts = own_users = true;
        if (abx_sandbox_user_map())
            abx_sandbox_user_end();
        else {
            map_ids(uid, gid, lacking);
            if (left_root)
                abx_sandbox_user_end();
        }
    } else {
        note(lacking, "own user name space");
        if (left_root)
            abx_sandbox_user_root_again();
        own_mounts = unshare(SPACES) == 0; /* root's */
        if (!own_mounts)
            lack(lacking, "own mount and network name spaces");
        owner_waits = left_root;
    }
    prctl(PR_SET_DUMPABLE, 0);
}

pid_t abx_sandbox_fork(struct abx_string *lacking)
{
    unsigned uid = getuid(), gid = getgid();
    pid_t pid =
            (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER | CLONE_NEWPID | SPACES, 0, 0, 0, 0);
    if (pid == 0) {
        own_mounts = own_users = true;
        map_ids(uid, gid, lacking);
    }
    if (pid >= 0)
        return pid;
    int error = errno;
    pid = (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWPID | SPACES, 0, 0, 0, 0); /* root's */
    if (pid == 0) {
        own_mounts = true;
        errno = error;
        note(lacking, "own user name space");
    }
    if (pid >= 0)
        return pid;
    pid = fork();
    if (pid == 0) {
        errno = error;
        lack(lacking, "own user and process name spaces");
        own_mounts = unshare(SPACES) == 0;
        if (!own_mounts)
            lack(lacking, "own mount and network name spaces");
    }
    return pid < 0 ? -errno : pid;
}

void abx_sandbox_max_processes(unsigned count)
{
    struct utsname system;
    unsigned major, minor;
    if (own_users && uname(&system) == 0 && sscanf(system.release, "%u.%u", &major, &minor) == 2 &&
            (major > 5 || (major == 5 && minor >= 14)))
        limit(RLIMIT_NPROC, count);
}

void abx_sandbox_max_files(unsigned count)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) == 0)
        limit(RLIMIT_NOFILE, count < now.rlim_max ? count : now.rlim_max);
}

void abx_sandbox_expendable(void)
{
    write_file("/proc/self/oom_score_adj", "1000");
}

/* A fresh tmpfs becomes the root; the old one is at "/old" until leave_old_root(). */
static int new_root(uint64_t bytes, unsigned mode)
{
    char options[64];
    if (!own_mounts)
        return -EPERM;
    snprintf(options, sizeof options, "size=%llu,mode=%o", (unsigned long long)bytes, mode);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, options) < 0 ||
            mkdir("/tmp/old", 0700) < 0 || chdir("/tmp") < 0 ||
            syscall(SYS_pivot_root, ".", "old") < 0 || chdir("/") < 0)
        return -errno;
    return 0;
}

static int leave_old_root(void)
{
    if (umount2("/old", MNT_DETACH) < 0 || rmdir("/old") < 0 ||
            mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) <
                    0)
        return -errno;
    return 0;
}

void abx_sandbox_empty_root(struct abx_string *lacking)
{
    int r = new_root(4096, 0500);
    if (r == 0)
        r = leave_old_root();
    if (r < 0) {
        errno = -r;
        lack(lacking, "empty file system");
    }
    abx_sandbox_landlock(NULL);
}

static void make_parents(char *path)
{
    for (char *p = path + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0755);
        *p = '/';
    }
}

/* Shows one folder, file or link of the old root. */
static int show_as(const char *path, bool writable)
{
    char old[4096], here[4096], link[4096];
    struct stat st;
    if (!*path) /* of a clang that is not there */
        return 0;
    if (snprintf(old, sizeof old, "/old%s", path) >= (int)sizeof old)
        return -ENAMETOOLONG;
    if (lstat(old, &st) < 0)
        return 0;
    snprintf(here, sizeof here, "%s", path);
    struct stat there;
    if (lstat(here, &there) == 0)
        return 0; /* inside a folder shown before */
    make_parents(here);
    if (S_ISLNK(st.st_mode)) { /* /lib -> usr/lib */
        ssize_t n = readlink(old, link, sizeof link - 1);
        if (n < 0)
            return -errno;
        link[n] = 0;
        return symlink(link, here) < 0 && errno != EEXIST ? -errno : 0;
    }
    if (S_ISDIR(st.st_mode)) {
        if (mkdir(here, 0755) < 0 && errno != EEXIST)
            return -errno;
    } else {
        int fd = open(here, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0)
            return -errno;
        close(fd);
    }
    /* With what is mounted below: without it the kernel refuses, when that is locked. */
    if (mount(old, here, NULL, MS_BIND | MS_REC, NULL) < 0)
        return -errno;
    /* Adds to the flags that it has: some may be locked in a user name space. */
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
    if (!writable)
        attr.attr_set |= MOUNT_ATTR_RDONLY;
    if (S_ISCHR(st.st_mode))
        attr.attr_set &= ~(uint64_t)MOUNT_ATTR_NODEV;
    return mount_setattr(AT_FDCWD, here, AT_RECURSIVE, &attr, sizeof attr) < 0 ? -errno : 0;
}

static int show(const char *path)
{
    return show_as(path, false);
}

void abx_sandbox_only(const char *const *paths, uint64_t tmp_bytes, struct abx_string *lacking)
{
    const char *const *shown = paths;
    char options[64];
    snprintf(options, sizeof options, "size=%llu,mode=700", (unsigned long long)tmp_bytes);
    int r = new_root(1 << 20, 0755);
    /* Before the paths: ArcBox itself may lie in /tmp. */
    if (r == 0 && (mkdir("/tmp", 0700) < 0 ||
                          mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, options) < 0))
        r = -errno;
    for (; r == 0 && *paths; paths++)
        r = show(*paths);
    /* Compilers open /dev/null. */
    if (r == 0)
        r = show("/dev/null");
    if (r == 0)
        r = leave_old_root();
    if (r < 0) {
        errno = -r;
        lack(lacking, "file system of only what clang needs");
    }
    abx_sandbox_landlock(shown);
}

/* And what a link of one name, as /proc/self is, leads to: that may be written, by who owns it. */
static int show_linked(const char *path)
{
    char name[64], target[4096];
    int r = show(path);
    ssize_t n = r == 0 ? readlink(path, name, sizeof name - 1) : -1;
    const char *leaf = strrchr(path, '/');
    if (n <= 0)
        return r;
    name[n] = 0;
    snprintf(target, sizeof target, "%.*s/%s", (int)(leaf - path), path, name);
    return strchr(name, '/') ? 0 : show_as(target, true);
}

void abx_sandbox_dumpable(bool is)
{
    prctl(PR_SET_DUMPABLE, is ? 1 : 0);
}

void abx_sandbox_only_devices(const char *const *devices, struct abx_string *lacking)
{
    int r = new_root(1 << 20, 0755);
    for (const char *const *d = devices; r == 0 && *d; d++)
        r = show_linked(*d);
    if (r == 0)
        r = leave_old_root();
    if (r < 0) {
        errno = -r;
        lack(lacking, "file system of only the device");
    }
    abx_sandbox_landlock_devices(devices);
}

int abx_sandbox_probe(struct abx_string *ret_message)
{
    int words[2], status;
    char text[512];
    if (pipe2(words, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        struct abx_string lacking = {0}, message = {0};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        abx_sandbox_namespaces(&lacking);
        abx_sandbox_empty_root(&lacking);
        abx_sandbox_drop_capabilities(&lacking);
        bool refuses = abx_sandbox_refuses();
        abx_sandbox_refusal(&message, &lacking);
        if (refuses)
            abx_write_all(words[1], message.data, message.length);
        _exit(refuses);
    }
    close(words[1]);
    ssize_t n = pid < 0 ? -1 : read(words[0], text, sizeof text);
    close(words[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (n > 0)
        abx_string_add(ret_message, text, (size_t)n);
    return n > 0 ? -EPERM : 0;
}

void abx_sandbox_drop_capabilities(struct abx_string *lacking)
{
    if (owner_waits)
        abx_sandbox_user_end();
    for (int c = 0; c <= 63; c++)
        prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}, {0}};
    if (syscall(SYS_capset, &head, none) < 0)
        lack(lacking, "dropping capabilities");
}
