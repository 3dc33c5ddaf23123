/* cli: assembles a container's root file system in the current mount namespace: the image read-only
 * underneath, our guest files beside it, a private writable layer above. Runs in a child of
 * `arcbox run` that holds capabilities only in its own user namespace.
 *
 * A new user namespace locks the mounts it inherits, and the kernel refuses an overlay whose lower
 * folder has locked mounts below it. So the root is not one overlay but one for each of the largest
 * folders without mounts below; the folders between are made in memory. */
#include "cli/run.h"
#include "cli/root.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_SPLIT_ENTRIES 8192 /* of a folder rebuilt entry by entry */
#define MAX_DEPTH 24

static int fail(struct assembly *a, int error, const char *what, const char *path)
{
    if (!a->root->error[0])
        snprintf(a->root->error, sizeof a->root->error, "cannot %s %s: %s", what, path,
                strerror(-error));
    return error;
}

/* The path of `rel` ("" or "/usr/lib") in each tree. */
char *abx_root_lower(const struct assembly *a, const char *rel)
{
    return abx_xprintf("%s%s", a->lower, *rel || *a->lower ? rel : "/");
}

char *abx_root_upper_path(const struct assembly *a, const char *rel)
{
    return abx_xprintf("%s%s", a->root->path, rel);
}

static bool is_below(const char *path, const char *folder)
{
    size_t n = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' && path[n + 1];
}

static bool has_mounts_below(const struct assembly *a, const char *path)
{
    for (size_t i = 0; i < a->mount_count; i++)
        if (is_below(a->mounts[i], path))
            return true;
    return false;
}

int abx_root_folder(int tree, const char *rel)
{
    return tree < 0 ? -ENOENT
                    : abx_inside_open(tree, *rel ? rel : "/", O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
}

bool abx_root_has_folder(int tree, const char *rel)
{
    int fd = abx_root_folder(tree, rel);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void copy_attributes(int from, const char *to)
{
    struct stat st;
    if (fstat(from, &st) < 0)
        return;
    if (chown(to, st.st_uid, st.st_gid) < 0) {
        /* An ordinary user's namespace maps one user: the folder is then that user's. */
    }
    chmod(to, st.st_mode & 07777);
}

/* A path as an overlay option: separators escaped. */
static void add_escaped(struct abx_string *s, const char *path)
{
    for (; *path; path++) {
        if (strchr(":,\\", *path))
            abx_string_add(s, "\\", 1);
        abx_string_add(s, path, 1);
    }
}

/* `lower` and `stage` are opened folders, or negative. */
static int mount_overlay(int lower, int stage, const char *to, const char *upper, const char *work)
{
    struct abx_string data = {0};
    abx_string_printf(&data, "lowerdir=");
    if (lower >= 0)
        abx_string_printf(&data, "/proc/self/fd/%d%s", lower, stage >= 0 ? ":" : "");
    if (stage >= 0)
        abx_string_printf(&data, "/proc/self/fd/%d", stage);
    abx_string_printf(&data, ",upperdir=");
    add_escaped(&data, upper);
    abx_string_printf(&data, ",workdir=");
    add_escaped(&data, work);
    abx_string_printf(&data, ",userxattr");
    int r = data.failed ? -ENOMEM : 0;
    if (r == 0 && mount("overlay", to, "overlay", MS_NODEV | MS_NOSUID, data.data) < 0)
        r = -errno;
    abx_string_finish(&data);
    return r;
}

int abx_root_bind(int from, const char *to)
{
    int tree = abx_tree_open(from, "", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
    int point = tree < 0 ? -1 : open(to, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int r = tree < 0 ? tree : point < 0 ? -errno : abx_tree_attach(tree, point);
    if (point >= 0)
        close(point);
    if (tree >= 0)
        close(tree);
    return r;
}

/* Removed since it was listed: what the kernel then says of it depends on the call. */
static bool is_gone(int folder)
{
    struct stat st;
    return folder < 0 || (fstat(folder, &st) == 0 && st.st_nlink == 0);
}

static bool is_same(int a, int b)
{
    struct stat x, y;
    return a >= 0 && b >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

/* Shows the image's folder, with a layer or, where the kernel makes none of it, without. What
 * others mount and unmount meanwhile (podman, in its storage) is looked at again: a descriptor of a
 * mount that is gone can no longer be shown. */
static int show_folder(struct assembly *a, const char *rel, int *lower, int stage, const char *to,
        const char *upper, const char *work)
{
    for (int tries = 0;; tries++) {
        int r = mount_overlay(*lower, stage, to, upper, work);
        if (r < 0 && *lower >= 0 && stage < 0)
            r = abx_root_bind(*lower, to);
        if (r == 0 || stage >= 0)
            return r;
        int now = abx_root_folder(a->image, rel);
        bool changed = !is_same(now, *lower);
        if (*lower >= 0)
            close(*lower);
        *lower = now;
        if (is_gone(now)) {
            rmdir(to);
            return 0;
        }
        if (!changed || tries == 3)
            return r;
    }
}

/* One folder with nothing mounted below it. */
int abx_root_overlay(struct assembly *a, const char *rel)
{
    char *to = abx_root_upper_path(a, rel);
    int stage = abx_root_folder(a->ours, rel), lower = abx_root_folder(a->image, rel);
    char *upper = abx_xprintf("%s/%u", a->upper, a->serial);
    char *work = abx_xprintf("%s/%u", a->work, a->serial);
    abx_string_printf(&a->root->names, "%u %s\n", a->serial, rel);
    a->serial++;
    int r = mkdir(upper, 0755) < 0 || mkdir(work, 0755) < 0 ? -errno : 0;
    if (mkdir(to, 0755) < 0 && errno != EEXIST)
        r = -errno;
    if (r == 0) {
        if (lower >= 0)
            copy_attributes(lower, upper);
        r = show_folder(a, rel, &lower, stage, to, upper, work);
    }
    if (r < 0)
        fail(a, r, "put a writable layer over", rel);
    if (lower >= 0)
        close(lower);
    if (stage >= 0)
        close(stage);
    free(work);
    free(upper);
    free(to);
    return r;
}

static int place_file(int folder, const char *name, const char *to)
{
    struct stat st;
    int from = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0)
        return 0;
    int fd = fstat(from, &st) < 0 || !S_ISREG(st.st_mode) /* changed meanwhile */
                     ? -1
                     : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    int r = fd < 0 && errno != EEXIST ? -errno : 0;
    if (fd >= 0) {
        close(fd);
        if (abx_root_bind(from, to) < 0)
            unlink(to); /* what cannot be shown is left out */
    }
    close(from);
    return r;
}

/* An entry that is no folder: copied when it is a link, else bound. */
static int place_entry(int folder, const char *name, const struct stat *st, const char *to)
{
    if (S_ISREG(st->st_mode))
        return place_file(folder, name, to);
    if (!S_ISLNK(st->st_mode))
        return 0; /* sockets and devices of the host stay outside */
    char target[PATH_MAX];
    ssize_t n = readlinkat(folder, name, target, sizeof target - 1);
    if (n < 0)
        return 0;
    target[n] = 0;
    return symlink(target, to) < 0 && errno != EEXIST ? -errno : 0;
}

static int folder_at(struct assembly *a, const char *rel, unsigned depth);

static int split_tree(struct assembly *a, int tree, const char *rel, unsigned depth)
{
    int fd = abx_inside_open(tree, *rel ? rel : "/", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (fd == -EACCES || (fd == -ENOENT && *rel))
        return 0; /* nothing the user could read, or removed meanwhile */
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    int r = d ? 0 : fd < 0 ? fd : -errno;
    unsigned entries = 0;
    for (struct dirent *e; r == 0 && d && (e = readdir(d));) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (++entries > MAX_SPLIT_ENTRIES) {
            r = fail(a, -E2BIG, "split the folder", rel);
            break;
        }
        char *child = abx_xprintf("%s/%s", rel, e->d_name);
        char *to = abx_root_upper_path(a, child);
        r = S_ISDIR(st.st_mode) ? folder_at(a, child, depth + 1)
                                : place_entry(fd, e->d_name, &st, to);
        free(to);
        free(child);
    }
    if (d)
        closedir(d);
    return r;
}

static int make_temporary(const char *path)
{
    return mkdir(path, 0755) < 0 || chmod(path, 01777) < 0 ? -errno : 0;
}

/* Private folders, and those the sandbox mounts. They are there before anything of the image's,
 * which may have links of these names. */
static int make_own_folders(struct assembly *a)
{
    static const char *const own[] = {"/proc", "/dev", "/sys", "/run", "/tmp", "/.arcbox"};
    int r = 0;
    for (unsigned i = 0; r == 0 && i < ABX_ARRAY_SIZE(own) - !a->without_overlay; i++) {
        char *to = abx_root_upper_path(a, own[i]);
        r = strcmp(own[i], "/tmp") == 0 ? make_temporary(to) : mkdir(to, 0755) < 0 ? -errno : 0;
        if (r < 0)
            fail(a, r, "make", to);
        free(to);
    }
    return r;
}

/* The path of the folder that all layers are in, where the image shows it, or NULL: the container
 * gets one of its own, as it gets a /tmp. What others left there is nothing to it and would cost an
 * overlay each, and an overlay must not contain its own upper folder. */
static const char *layers_in_image(const struct assembly *a)
{
    return is_below(a->all_layers, a->lower) ? a->all_layers + strlen(a->lower) : NULL;
}

/* Not the image's. */
static bool is_private(const struct assembly *a, const char *rel)
{
    const char *layers = layers_in_image(a);
    return layers && strcmp(rel, layers) == 0;
}

/* In memory or on the disk, as the layers are. */
static int cover_layers(struct assembly *a)
{
    const char *rel = layers_in_image(a);
    char *to = rel ? abx_root_upper_path(a, rel) : NULL;
    char *own = abx_xprintf("%s/temporary", a->on_disk ? a->root->layers : a->root->scratch);
    struct stat st;
    int r = 0;
    if (to && lstat(to, &st) == 0 && S_ISDIR(st.st_mode)) {
        r = make_temporary(own);
        int tree = r < 0 ? r : abx_tree_open(AT_FDCWD, own, MOUNT_ATTR_NODEV);
        int point = open(to, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        r = tree < 0 ? tree : point < 0 ? -errno : abx_tree_attach(tree, point);
        if (point >= 0)
            close(point);
        if (tree >= 0)
            close(tree);
    }
    if (r < 0)
        fail(a, r, "make", to);
    free(own);
    free(to);
    return r;
}

/* A folder that has mounts below: made in memory, from what is in both trees. */
static int split(struct assembly *a, const char *rel, const char *to, unsigned depth)
{
    int lower = abx_root_folder(a->image, rel), r = 0;
    if (*rel && mkdir(to, 0755) < 0)
        r = fail(a, -errno, "make", to);
    if (lower >= 0) {
        if (*rel)
            copy_attributes(lower, to);
        close(lower);
        if (r == 0)
            r = split_tree(a, a->image, rel, depth);
    }
    if (r == 0 && abx_root_has_folder(a->ours, rel))
        r = split_tree(a, a->ours, rel, depth);
    return r;
}

/* Where our tree is part of the image (installed below /usr, with the host's root as the image),
 * the kernel stacks it on no folder that it is in. */
static bool holds_stage(const struct assembly *a, const char *rel, const char *lower)
{
    return a->stage && is_below(a->stage, lower) && abx_root_has_folder(a->ours, rel);
}

static int folder_at(struct assembly *a, const char *rel, unsigned depth)
{
    char *to = abx_root_upper_path(a, rel), *lower = abx_root_lower(a, rel);
    int r = 0;
    struct stat st;
    if (*rel && lstat(to, &st) == 0) {
        /* done already, from the other tree */
    } else if (is_private(a, rel)) {
        r = mkdir(to, 0755) < 0 ? -errno : 0; /* covered later */
    } else if (*rel && !has_mounts_below(a, lower) && !holds_stage(a, rel, lower)) {
        r = a->make_folder(a, rel);
        if (r == -EACCES || r == -EPERM || r == -ENOENT)
            r = a->overlay_works ? 0 : r; /* not readable for this user: left empty */
        else if (r == 0)
            a->overlay_works = true;
    } else if (depth >= MAX_DEPTH)
        r = fail(a, -ELOOP, "split the folder", lower);
    else
        r = split(a, rel, to, depth);
    free(lower);
    free(to);
    return r;
}

/* The writable layers live in memory where that works for us: kernels before 6.6 give no user.*
 * attributes to such files, and without them an overlay cannot replace a folder it removed. */
static int make_scratch(struct assembly *a)
{
    const char *scratch = a->root->scratch;
    if (mount("tmpfs", scratch, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
        return fail(a, -errno, "mount a private layer on", scratch);
    char *probe = abx_xprintf("%s/probe", scratch);
    int r = mkdir(probe, 0700) < 0 ? -errno : 0;
    bool attributes = r == 0 && setxattr(probe, "user.overlay.probe", "y", 1, 0) == 0;
    rmdir(probe);
    free(probe);
    a->root->path = abx_xprintf("%s/root", scratch);
    if (r < 0 || mkdir(a->root->path, 0755) < 0)
        return fail(a, r < 0 ? r : -errno, "make", a->root->path);
    a->on_disk = !attributes || getenv("ARCBOX_LAYER_ON_DISK");
    const char *layers = a->on_disk ? a->root->layers : scratch;
    a->root->upper = a->upper = abx_xprintf("%s/upper", layers);
    a->work = abx_xprintf("%s/work", layers);
    if (mkdir(a->upper, 0755) < 0 || mkdir(a->work, 0755) < 0)
        return fail(a, -errno, "make", a->upper);
    return 0;
}

/* Without memory that can be a layer, and without overlays, nothing is mounted over the folder that
 * all layers are in: those around it are split, as if it were a mount. */
static void split_around_layers(struct assembly *a)
{
    if (!layers_in_image(a))
        return;
    char **more = realloc(a->mounts, (a->mount_count + 1) * sizeof *more);
    if (!more)
        abx_die(ABX_EXIT_OWN, "out of memory");
    a->mounts = more;
    more[a->mount_count++] = abx_xstrdup(a->all_layers);
}

static int assemble(struct assembly *a)
{
    int r = make_own_folders(a);
    if (a->without_overlay || a->on_disk)
        split_around_layers(a);
    if (r == 0)
        r = folder_at(a, "", 0);
    if (r == 0)
        r = cover_layers(a);
    for (unsigned i = 0; r == 0 && a->root->keep && a->root->keep[i]; i++) {
        const char *rel = a->root->keep[i];
        char *to = abx_root_upper_path(a, rel);
        struct stat st;
        if (lstat(to, &st) < 0) { /* below /tmp or /run: its parents are not in the root yet */
            r = abx_mkdir_p(to, 0755);
            if (r == 0)
                r = a->make_folder(a, rel);
        }
        free(to);
    }
    return r;
}

int abx_root_assemble(struct abx_root *root)
{
    struct assembly a = {.root = root, .stage = root->stage, .make_folder = abx_root_overlay};
    root->error[0] = root->notice[0] = 0;
    root->writable = true;
    a.lower = strcmp(root->image_root, "/") == 0 ? "" : root->image_root;
    a.all_layers = abx_layer_place();
    a.mounts = abx_mounts_below(root->image_root, &a.mount_count);
    a.image = abx_inside_root(root->image_root);
    a.ours = root->stage ? abx_inside_root(root->stage) : -1;
    if (a.image < 0 || (root->stage && a.ours < 0))
        return fail(&a, a.image < 0 ? a.image : a.ours, "open",
                a.image < 0 ? root->image_root : root->stage);
    int r = make_scratch(&a);
    if (r == 0)
        r = getenv("ARCBOX_NO_OVERLAY") ? -ENODEV : assemble(&a);
    /* -ELOOP: overlays upon overlays, more than the kernel stacks, below one folder of several. */
    if (r < 0 && a.upper && (!a.overlay_works || r == -ELOOP)) {
        /* No overlay here (or not for us): links into the image, without a writable layer. */
        snprintf(root->notice, sizeof root->notice,
                "no overlay file system here (%s): the container's root is read-only, except /tmp, "
                "/var/tmp, /run and mounts",
                root->error[0] ? root->error : "turned off");
        root->error[0] = 0;
        umount2(root->scratch, MNT_DETACH);
        a.make_folder = abx_root_farm;
        a.serial = 0;
        a.without_overlay = true;
        root->writable = false;
        r = make_scratch(&a);
        if (r == 0)
            r = assemble(&a);
    }
    if (r == 0 && root->stage)
        abx_root_ldcache(&a);
    return r;
}
