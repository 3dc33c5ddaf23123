/* cli: users of root's containers. The host's root is nobody in them: a container's users are a
 * range of the host's numbers that no account has, and the host's file systems are mounted once
 * more with their owners' numbers shifted into that range, so that root's files are its root's.
 *
 * Runs in the child of `arcbox run`, which is the host's root until abx_world_enter() returns, and
 * reads nothing of an image. */
#include "cli/sandbox.h"
#include "cli/shift.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* systemd's range for containers, of which the end is left: above what useradd gives out for users'
 * own containers. One of 4095 parts by the container's name, so that two are rarely one another's.
 */
#define RANGE_START 0x60000000ul
#define RANGE_PARTS 4095u
#define RANGE_COUNT 65536ul

struct range {
    unsigned long start, count; /* as this process's own name space numbers them */
};

static unsigned part_of(const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash % RANGE_PARTS;
}

/* False: no need (our root is nobody outside) or no way (it is the only user there is). */
static bool choose(const char *map_path, const char *name, struct range *ret)
{
    void *text = NULL;
    size_t length;
    struct range widest = {0};
    bool is_root = false;
    if (abx_read_file(map_path, 65536, &text, &length) < 0)
        return false;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        unsigned long inside, outside, count;
        if (sscanf(line, "%lu %lu %lu", &inside, &outside, &count) != 3)
            continue;
        is_root |= inside == 0 && outside == 0;
        if (count > widest.count)
            widest = (struct range){inside, count};
    }
    free(text);
    unsigned long start = RANGE_START + RANGE_COUNT * part_of(name);
    if (start >= widest.start && start + RANGE_COUNT <= widest.start + widest.count)
        *ret = (struct range){start, RANGE_COUNT};
    else { /* the upper half of what there is */
        ret->count = widest.count / 2 < RANGE_COUNT ? widest.count / 2 : RANGE_COUNT;
        ret->start = widest.start + widest.count - ret->count;
    }
    return is_root && ret->count && ret->start;
}

static int write_map(pid_t pid, const char *file, const struct range *range)
{
    char *path = abx_xprintf("/proc/%d/%s", (int)pid, file);
    char *text = abx_xprintf("0 %lu %lu\n", range->start, range->count);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : abx_write_all(fd, text, strlen(text));
    if (fd >= 0)
        close(fd);
    free(text);
    free(path);
    return r;
}

/* A user name space with these users: a descriptor. A process has to make it, and ends. */
static int make_user_space(const struct range *users, const struct range *groups)
{
    int ready[2], fd = -1, status;
    char byte = 0;
    if (pipe2(ready, O_CLOEXEC) < 0)
        return -errno;
    pid_t arcbox = getpid(), pid = fork();
    if (pid == 0) {
        if (!abx_process_follow(arcbox))
            _exit(1);
        byte = unshare(CLONE_NEWUSER) == 0 ? 'u' : (char)errno;
        (void)!write(ready[1], &byte, 1);
        for (;;)
            pause();
    }
    int r = pid < 0 ? -errno : read(ready[0], &byte, 1) != 1 ? -EIO : byte != 'u' ? -byte : 0;
    if (r == 0)
        r = write_map(pid, "gid_map", groups);
    if (r == 0)
        r = write_map(pid, "uid_map", users);
    if (r == 0) {
        char *path = abx_xprintf("/proc/%d/ns/user", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : 0;
        free(path);
    }
    if (pid > 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    close(ready[0]);
    close(ready[1]);
    return r < 0 ? r : fd;
}

struct users {
    struct range users, groups;
    int space; /* the name space with these */
};

static bool is_overlay(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC;
}

/* A mount that is covered by another or goes meanwhile; one that another user's FUSE closes even to
 * root, or whose server has died: the container has it no more than root has. */
static bool is_out_of_reach(int error)
{
    return error == ENOENT || error == EINVAL || error == EACCES || error == ENOTCONN ||
           error == EIO || error == ESTALE;
}

/* One mount of the host, without those below it, again below `to`. An overlay cannot be mounted
 * with other owners, and is served with them. Other file systems that know no shifted owners (the
 * kernel's own; in memory, before Linux 6.3) come as they are: root's files are then nobody's. */
static int show(const char *path, const char *to, const struct users *u)
{
    struct abx_owner_shift shift = {(uint32_t)u->users.start, (uint32_t)u->groups.start,
            (uint32_t)u->users.count, (uint32_t)u->groups.count};
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)u->space};
    int tree = open_tree(AT_FDCWD, path,
            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW);
    if (tree < 0)
        return is_out_of_reach(errno) && strcmp(path, "/") != 0 ? 0 : -errno;
    int point = open(to, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int r = point < 0 && !is_out_of_reach(errno) ? -errno : 0;
    if (point >= 0) {
        bool shifted = mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) == 0;
        if (shifted || !is_overlay(tree) || abx_shift_mount(tree, point, &shift) < 0)
            r = abx_tree_attach(tree, point);
        r = r == -ENOENT ? 0 : r; /* removed meanwhile, by whoever else is at work here */
        close(point);
    }
    close(tree);
    return r;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The host's tree at `world`; folders before what is in them. */
static int show_all(const char *scratch, const char *world, const struct users *u)
{
    size_t count, n = strlen(scratch);
    char **mounts = abx_mounts_below("/", &count);
    qsort(mounts, count, sizeof *mounts, by_path);
    int r = show("/", world, u);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (i && strcmp(mounts[i], mounts[i - 1]) == 0)
            continue;
        if (strncmp(mounts[i], scratch, n) == 0 && (!mounts[i][n] || mounts[i][n] == '/'))
            continue;
        char *to = abx_xprintf("%s%s", world, mounts[i]);
        r = show(mounts[i], to, u);
        free(to);
    }
    return r;
}

/* Where owners are not shifted, the folders we need are given away. */
static void give_away(const char *folder, const struct range *users, const struct range *groups)
{
    struct stat st;
    if (stat(folder, &st) == 0 && st.st_uid != users->start &&
            chown(folder, (uid_t)users->start, (gid_t)groups->start) < 0) {
        /* Said when it cannot be written. */
    }
}

static void say_when_unshifted(const struct sandbox *s, const struct range *users)
{
    struct stat st;
    struct statfs fs;
    const char *root = s->run->kind == ABX_IMAGE_HOST ? "/" : s->run->image;
    if (stat(root, &st) < 0 || st.st_uid >= RANGE_COUNT || st.st_uid == users->start)
        return;
    bool overlay = statfs(root, &fs) == 0 && fs.f_type == OVERLAYFS_SUPER_MAGIC;
    abx_say("%s lies on %s, which Linux cannot show with other owners: what only root may read or "
            "write is closed to the container; %s",
            root, overlay ? "an overlay (the root of a docker container)" : "a file system",
            overlay ? "give arcbox a /dev/fuse that works, or run it as an ordinary user"
                    : "run arcbox as an ordinary user, or keep what it needs on a disk");
}

/* -1: it is not on one, or cannot be opened. */
static int open_if_overlay(const char *folder)
{
    int fd = open(folder, O_PATH | O_CLOEXEC);
    bool overlay = fd >= 0 && is_overlay(fd);
    if (fd >= 0)
        close(fd);
    int tree = overlay ? abx_tree_open(AT_FDCWD, folder, MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY) : -1;
    return tree < 0 ? -1 : tree;
}

static int make_world(struct sandbox *s, const struct users *u)
{
    char *world = abx_xprintf("%s/world", s->scratch);
    int r = 0;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", s->scratch, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0 ||
            mkdir(world, 0755) < 0)
        r = -errno;
    /* A socket on a served file system is none: nobody listens at the copy. */
    if (r == 0 && s->socket_folder)
        s->socket_tree = open_if_overlay(s->socket_folder);
    if (r == 0)
        r = show_all(s->scratch, world, u);
    if (r == 0 && (chdir(world) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
                          umount2(".", MNT_DETACH) < 0 || chdir("/") < 0))
        r = -errno;
    free(world);
    return r;
}

static int become_its_root(int user_space)
{
    if (setns(user_space, CLONE_NEWUSER) < 0 || setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 ||
            setresuid(0, 0, 0) < 0)
        return -errno;
    /* Changing users took both away. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return unshare(CLONE_NEWNS) < 0 ? -errno : 0;
}

int abx_world_enter(struct sandbox *s)
{
    struct users u;
    if (geteuid() != 0 || !choose("/proc/self/uid_map", s->name, &u.users) ||
            !choose("/proc/self/gid_map", s->name, &u.groups))
        return 0;
    u.space = make_user_space(&u.users, &u.groups);
    int r = u.space < 0 ? u.space : make_world(s, &u);
    if (r == 0) {
        give_away(s->layers, &u.users, &u.groups);
        give_away(s->scratch, &u.users, &u.groups);
        say_when_unshifted(s, &u.users);
        r = abx_sandbox_open_sources(s);
    }
    if (r == 0)
        r = become_its_root(u.space);
    if (u.space >= 0)
        close(u.space);
    return r < 0 ? r : 1;
}
