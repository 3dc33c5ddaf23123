/* cli: the folder on a disk that holds a sandbox's private layer while it runs, and removing such
 * trees, whatever a container and its overlays left in them. Runs in `arcbox`, outside. */
#include "cli/run.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_NAMES 16u
#define YOUNG_SECONDS 60               /* made, perhaps not locked yet */
#define UNLOCKED_SECONDS 86400         /* of a release that had no locks: it may run yet */
#define OWNERLESS_SECONDS (30 * 86400) /* of a release whose logs did not say whose they are */

/* ---- removing: what is in a folder of a folder is moved up, so that the depth of a tree costs
 * neither stack nor descriptors. Links are removed, never followed. */

struct removal {
    int top;
    dev_t device;
    unsigned moved;
};

static DIR *open_entry(int parent, const char *name, dev_t device)
{
    struct stat st;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode) ||
            st.st_dev != device)
        return NULL;
    if ((st.st_mode & 0700) != 0700)
        fchmodat(parent, name, 0700, 0); /* overlays leave folders of mode 000 */
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d && fd >= 0)
        close(fd);
    return d;
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Empties one folder of the top and removes it. */
static void remove_entry(struct removal *r, const char *name)
{
    if (unlinkat(r->top, name, 0) == 0 || unlinkat(r->top, name, AT_REMOVEDIR) == 0)
        return;
    DIR *d = open_entry(r->top, name, r->device);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        if (is_dots(e->d_name) || unlinkat(dirfd(d), e->d_name, 0) == 0 ||
                unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR) == 0)
            continue;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
                !(st.st_mode & S_IWUSR))
            fchmodat(dirfd(d), e->d_name, 0700, 0); /* to be moved it is written */
        char moved[64];
        snprintf(moved, sizeof moved, ".arcbox-removed-%d-%u", (int)getpid(), r->moved++);
        (void)!renameat(dirfd(d), e->d_name, r->top, moved);
    }
    if (d)
        closedir(d);
    unlinkat(r->top, name, AT_REMOVEDIR);
}

void abx_remove_tree(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return;
    if (!S_ISDIR(st.st_mode)) {
        unlink(path);
        return;
    }
    DIR *d = open_entry(AT_FDCWD, path, st.st_dev);
    struct removal r = {.top = d ? dirfd(d) : -1, .device = st.st_dev};
    /* As long as there is something new in it: what was moved up. */
    for (unsigned before = UINT_MAX; d && before != r.moved;) {
        before = r.moved;
        rewinddir(d);
        for (struct dirent *e; (e = readdir(d));)
            if (!is_dots(e->d_name))
                remove_entry(&r, e->d_name);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

/* ---- layers: a folder each, and logs beside them, locked while their `arcbox run` lives */

const char *abx_layer_place(void)
{
    static char path[PATH_MAX];
    if (!path[0] && !realpath("/var/tmp", path))
        snprintf(path, sizeof path, "/var/tmp");
    return path;
}

/* Somebody else may have a folder of our name: this user's number in another name space, or malice.
 */
static char *all_layers(void)
{
    char *path = NULL;
    for (unsigned i = 0; i < MAX_NAMES; i++) {
        struct stat st;
        free(path);
        path = i ? abx_xprintf("%s/arcbox-%u.%u", abx_layer_place(), (unsigned)geteuid(), i)
                 : abx_xprintf("%s/arcbox-%u", abx_layer_place(), (unsigned)geteuid());
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            abx_die(ABX_EXIT_OWN, "cannot make %s: %s", path, strerror(errno));
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
                !(st.st_mode & 022))
            return path;
    }
    abx_die(ABX_EXIT_OWN,
            "%s belongs to somebody else or others may write to it: remove it, or ask who made it",
            path);
}

/* False: somebody has it, or may. `lock` is closed. */
static bool is_free(int lock, const struct stat *st, time_t seconds)
{
    bool is_free = time(NULL) - st->st_mtime > seconds &&
                   (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) == 0);
    if (lock >= 0)
        close(lock);
    return is_free;
}

static bool is_left_layer(int layers, const char *name, const struct stat *st)
{
    char *path = abx_xprintf("%s/lock", name);
    int lock = openat(layers, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    free(path);
    return is_free(lock, st, lock >= 0 ? YOUNG_SECONDS : UNLOCKED_SECONDS);
}

/* A log is kept after its container's end, as long as the record that leads to it. */
static bool is_left_log(int layers, const char *folder, const char *name, const struct stat *st)
{
    char link[PATH_MAX], now[PATH_MAX];
    int fd = openat(layers, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (!abx_log_owner(fd, link) || *link != '/')
        return is_free(fd, st, OWNERLESS_SECONDS);
    ssize_t n = readlink(link, now, sizeof now - 1);
    int error = n < 0 ? errno : 0;
    now[n > 0 ? n : 0] = 0;
    char *path = abx_xprintf("%s/%s", folder, name);
    bool kept = n > 0 ? strcmp(now, path) == 0 : error != ENOENT && error != ENOTDIR;
    free(path);
    return is_free(fd, st, YOUNG_SECONDS) && !kept;
}

static bool is_left(int layers, const char *folder, const char *name)
{
    struct stat st;
    if (fstatat(layers, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    return S_ISDIR(st.st_mode)   ? is_left_layer(layers, name, &st)
           : S_ISREG(st.st_mode) ? is_left_log(layers, folder, name, &st)
                                 : false;
}

/* Of those that were killed and whose records are gone too. */
static void sweep(const char *folder)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (is_dots(e->d_name) || !is_left(dirfd(d), folder, e->d_name))
            continue;
        char *path = abx_xprintf("%s/%s", folder, e->d_name);
        abx_remove_tree(path);
        free(path);
    }
    if (d)
        closedir(d);
}

static int lock_layer(const char *path)
{
    char *name = abx_xprintf("%s/lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        fd = -1;
    }
    free(name);
    return fd;
}

char *abx_layer_make(const struct abx_container *c)
{
    char *all = all_layers(), *path = abx_xprintf("%s/%s-XXXXXX", all, c->name);
    char *link = abx_container_file(c, "layer");
    sweep(all);
    /* The root of root's containers, who is not ours, has to pass. The lock stays open. */
    if ((geteuid() == 0 && chmod(all, 0711) < 0) || !mkdtemp(path) || lock_layer(path) < 0 ||
            symlink(path, link) < 0)
        abx_die(ABX_EXIT_OWN, "cannot make %s: %s", path, strerror(errno));
    free(link);
    free(all);
    return path;
}

void abx_layer_forget(const struct abx_container *c)
{
    char path[PATH_MAX];
    if (abx_container_link(c, "layer", path))
        abx_remove_tree(path);
}
