/* cli: files below a root that may be hostile, and mounts onto them (inside.h). */
#include "cli/inside.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int abx_inside_root(const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int abx_inside_open(int root, const char *rel, int flags, mode_t mode)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
            .mode = flags & O_CREAT ? mode : 0,
            .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    for (;;) { /* -EAGAIN: a name was changed meanwhile, and ".." could have led out */
        int fd = (int)syscall(SYS_openat2, root, *rel ? rel : ".", &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            return fd < 0 ? -errno : fd;
    }
}

/* Opens the folder that `path` is in; *ret_leaf is its last part, in `path`. */
static int open_parent(int root, char *path, bool make, char **ret_leaf)
{
    char *slash = strrchr(path, '/');
    *ret_leaf = slash ? slash + 1 : path;
    if (!slash || slash == path)
        return abx_inside_open(root, "/", O_PATH | O_DIRECTORY, 0);
    *slash = 0;
    int fd = make ? abx_inside_folder(root, path)
                  : abx_inside_open(root, path, O_PATH | O_DIRECTORY, 0);
    *slash = '/';
    return fd;
}

int abx_inside_folder(int root, const char *rel)
{
    int fd = abx_inside_open(root, rel, O_PATH | O_DIRECTORY, 0);
    if (fd != -ENOENT)
        return fd;
    char *path = abx_xstrdup(rel), *leaf;
    int parent = open_parent(root, path, true, &leaf);
    int r = parent < 0 ? parent : mkdirat(parent, leaf, 0755) < 0 && errno != EEXIST ? -errno : 0;
    if (parent >= 0)
        close(parent);
    free(path);
    return r < 0 ? r : abx_inside_open(root, rel, O_PATH | O_DIRECTORY, 0);
}

int abx_inside_mount_point(int root, const char *rel, bool is_folder)
{
    if (is_folder)
        return abx_inside_folder(root, rel);
    struct stat st;
    int fd = abx_inside_open(root, rel, O_PATH, 0);
    if (fd == -ENOENT) {
        char *path = abx_xstrdup(rel), *leaf;
        int parent = open_parent(root, path, true, &leaf);
        int file = parent < 0 ? parent
                              : openat(parent, leaf,
                                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        int r = parent < 0 ? parent : file < 0 && errno != EEXIST ? -errno : 0;
        if (file >= 0)
            close(file);
        if (parent >= 0)
            close(parent);
        free(path);
        fd = r < 0 ? r : abx_inside_open(root, rel, O_PATH, 0);
    }
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        return -EISDIR;
    }
    return fd;
}

int abx_inside_put(int root, const char *rel, const void *data, size_t length)
{
    char *path = abx_xstrdup(rel), *leaf;
    int parent = open_parent(root, path, false, &leaf), fd = -1, r = parent < 0 ? parent : 0;
    char *temporary = abx_xprintf(".arcbox-%d-%s", (int)getpid(), leaf);
    if (r == 0) {
        fd = openat(parent, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        r = fd < 0 ? -errno : abx_write_all(fd, data, length);
    }
    if (fd >= 0)
        close(fd);
    if (r == 0 && renameat(parent, temporary, parent, leaf) < 0)
        r = -errno;
    if (r < 0 && fd >= 0)
        unlinkat(parent, temporary, 0);
    if (parent >= 0)
        close(parent);
    free(temporary);
    free(path);
    return r;
}

int abx_inside_read(int root, const char *rel, size_t cap, void **ret_data, size_t *ret_length)
{
    struct stat st;
    int fd = abx_inside_open(root, rel, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0), r = fd;
    if (fd >= 0) {
        r = fstat(fd, &st) < 0     ? -errno
            : !S_ISREG(st.st_mode) ? -EINVAL
                                   : abx_read_fd(fd, cap, ret_data, ret_length);
        close(fd);
    }
    return r;
}

int abx_tree_open(int folder, const char *source, uint64_t attributes)
{
    struct mount_attr attr = {
            .attr_set = attributes | MOUNT_ATTR_NOSUID, .propagation = MS_PRIVATE};
    unsigned where = *source ? 0 : AT_EMPTY_PATH;
    int fd = open_tree(folder, source,
            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_NO_AUTOMOUNT | where);
    if (fd < 0)
        return -errno;
    if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

int abx_tree_memory(const char *mode)
{
    return abx_tree_memory_sized(mode, NULL);
}

int abx_tree_memory_sized(const char *mode, const char *bytes)
{
    int context = fsopen("tmpfs", FSOPEN_CLOEXEC), tree = -1;
    if (context >= 0 && fsconfig(context, FSCONFIG_SET_STRING, "mode", mode, 0) == 0 &&
            (!bytes || fsconfig(context, FSCONFIG_SET_STRING, "size", bytes, 0) == 0) &&
            fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        tree = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    int r = tree < 0 ? -errno : tree;
    if (context >= 0)
        close(context);
    return r;
}

int abx_tree_attach(int tree, int mount_point)
{
    return move_mount(
                   tree, "", mount_point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
                   ? -errno
                   : 0;
}
