/* cli: a root without overlays: folders that we add files to become folders of links, everything
 * else is bound read-only. Slower to look at and not writable, but needs only bind mounts. */
#include "cli/root.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Binds `from` at a place of its own in the root; *ret_inside is its path as the container sees it.
 */
static int bind_aside(struct assembly *a, int from, char **ret_inside)
{
    char *inside = abx_xprintf("/.arcbox/%u", a->serial++);
    char *to = abx_xprintf("%s%s", a->root->path, inside);
    int r = abx_mkdir_p(to, 0755);
    if (r == 0)
        r = abx_root_bind(from, to);
    free(to);
    if (r == 0)
        *ret_inside = inside;
    else
        free(inside);
    return r;
}

static int link_entry(
        struct assembly *a, int folder, const char *name, const char *child, const char *aside)
{
    char *to = abx_root_upper_path(a, child), *target = abx_xprintf("%s/%s", aside, name);
    char link[PATH_MAX];
    struct stat st;
    int r = 0;
    if (lstat(to, &st) == 0) {
        /* from the other tree, which came first */
    } else if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
               abx_root_has_folder(a->ours, child))
        r = abx_root_farm(a, child);
    else {
        ssize_t n = readlinkat(folder, name, link, sizeof link - 1);
        if (n > 0)
            link[n] = 0;
        r = symlink(n > 0 ? link : target, to) < 0 ? -errno : 0;
    }
    free(target);
    free(to);
    return r;
}

static int link_entries(struct assembly *a, int tree, const char *rel)
{
    char *aside = NULL;
    int fd = abx_inside_open(tree, rel, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    int r = d ? bind_aside(a, fd, &aside) : fd == -EACCES ? 0 : fd < 0 ? fd : -errno;
    for (struct dirent *e; r == 0 && d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char *child = abx_xprintf("%s/%s", rel, e->d_name);
        r = link_entry(a, fd, e->d_name, child, aside);
        free(child);
    }
    if (d)
        closedir(d);
    free(aside);
    return r;
}

int abx_root_farm(struct assembly *a, const char *rel)
{
    char *to = abx_root_upper_path(a, rel);
    int lower = abx_root_folder(a->image, rel), stage = abx_root_folder(a->ours, rel);
    int r = mkdir(to, 0755) < 0 && errno != EEXIST ? -errno : 0;
    if (r == 0 && lower >= 0 && stage >= 0) {
        r = link_entries(a, a->ours, rel);
        if (r == 0)
            r = link_entries(a, a->image, rel);
    } else if (r == 0 && (lower >= 0 || stage >= 0))
        r = abx_root_bind(lower >= 0 ? lower : stage, to);
    if (r < 0 && !a->root->error[0])
        snprintf(a->root->error, sizeof a->root->error, "cannot show %s in the container: %s", rel,
                strerror(-r));
    if (lower >= 0)
        close(lower);
    if (stage >= 0)
        close(stage);
    free(to);
    return r;
}
