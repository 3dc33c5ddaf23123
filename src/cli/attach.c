/* cli: what a sandbox's assembled root gets mounted on it: the mounts that were asked for, file
 * systems in memory, the tenant's folder. Runs in the child that assembles the root. */
#include "cli/sandbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(struct sandbox *s, const char *target, int error)
{
    snprintf(s->error, sizeof s->error, "cannot make the mount target %s in the container: %s",
            target, strerror(-error));
    return error;
}

/* `tree` is closed. */
static int attach(struct sandbox *s, int root, int tree, const char *target, bool is_folder)
{
    int point = tree < 0 ? tree : abx_inside_mount_point(root, target, is_folder);
    int r = point < 0 ? point : abx_tree_attach(tree, point);
    if (point >= 0)
        close(point);
    if (tree >= 0)
        close(tree);
    return r < 0 ? fail(s, target, r) : 0;
}

static int attach_memory(struct sandbox *s, int root)
{
    int r = 0;
    /* A virtual machine's are its own memory. */
    for (unsigned i = 0; r == 0 && !s->vm && i < s->settings.tmpfs_count; i++) {
        const char *mode = s->settings.tmpfs[i].mode;
        int tree = abx_tree_memory_sized(mode ? mode : "1777", s->settings.tmpfs[i].size);
        r = attach(s, root, tree, s->settings.tmpfs[i].target, true);
    }
    return r;
}

/* All that is there so far is read-only, but /tmp and /run, which are shown once more over
 * themselves. The points of what is mounted later are made before. */
static int close_root(struct sandbox *s, const char *path, int root)
{
    static const char *const writable[] = {"/tmp", "/run"};
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY},
                      open = {.attr_clr = MOUNT_ATTR_RDONLY};
    int trees[ABX_ARRAY_SIZE(writable)], r = 0;
    for (unsigned i = 0; i < s->run->mount_count && r >= 0; i++) {
        r = abx_inside_mount_point(root, s->run->mounts[i].target, s->run->mounts[i].is_folder);
        if (r < 0)
            return fail(s, s->run->mounts[i].target, r);
        close(r);
    }
    for (unsigned i = 0; i < s->settings.tmpfs_count && r >= 0; i++) {
        r = abx_inside_mount_point(root, s->settings.tmpfs[i].target, true);
        if (r < 0)
            return fail(s, s->settings.tmpfs[i].target, r);
        close(r);
    }
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(writable); i++) {
        int folder = abx_inside_open(root, writable[i], O_PATH | O_DIRECTORY, 0);
        /* Not what is shown below them: the current folder may be. */
        trees[i] = folder < 0 ? folder
                              : abx_tree_open(folder, "", MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY);
        if (trees[i] >= 0 && mount_setattr(trees[i], "", AT_EMPTY_PATH, &open, sizeof open) < 0)
            r = -errno;
        if (folder >= 0)
            close(folder);
    }
    /* The root is a folder, and no mount: it becomes one. */
    int whole = abx_tree_open(AT_FDCWD, path, MOUNT_ATTR_NODEV);
    if (r >= 0)
        r = whole < 0 ? whole : 0;
    if (r == 0 && mount_setattr(whole, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0)
        r = -errno;
    if (r == 0)
        r = abx_tree_attach(whole, root);
    if (whole >= 0)
        close(whole);
    int closed = r == 0 ? abx_inside_root(path) : r;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(writable); i++)
        r = r == 0 ? attach(s, closed, trees[i], writable[i], true) : r;
    if (closed >= 0)
        close(closed);
    return r < 0 && !s->error[0] ? fail(s, "/", r) : r;
}

int abx_sandbox_attach(struct sandbox *s, const char *path)
{
    int root = abx_inside_root(path);
    int r = s->settings.read_only ? close_root(s, path, root) : 0;
    if (s->settings.read_only) {
        close(root);
        root = abx_inside_root(path);
    }
    if (r == 0)
        r = attach_memory(s, root);
    for (unsigned i = 0; r == 0 && i < s->run->mount_count; i++)
        r = attach(s, root, s->sources[i], s->run->mounts[i].target, s->run->mounts[i].is_folder);
    if (r == 0 && s->socket_tree >= 0)
        r = attach(s, root, s->socket_tree, "/run/arcbox", true);
    close(root);
    return r;
}
