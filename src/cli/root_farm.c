/* cli: a root without overlays: folders that we add files to become folders of links, everything
 * else is bound read-only. Slower to look at and not writable, but needs only bind mounts. */
#include "cli/root.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_folder(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Binds `from` at a place of its own in the root; *ret_inside is its path as the container sees it.
 */
static int bind_aside(struct assembly *a, const char *from, char **ret_inside)
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

static int link_entries(struct assembly *a, const char *tree, const char *rel)
{
    char *path = abx_xprintf("%s%s", tree, rel), *aside = NULL;
    DIR *d = opendir(path);
    int r = d ? bind_aside(a, path, &aside) : errno == EACCES ? 0 : -errno;
    for (struct dirent *e; r == 0 && d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char *child = abx_xprintf("%s/%s", rel, e->d_name);
        char *to = abx_root_upper_path(a, child);
        char *mine = abx_xprintf("%s%s", tree, child);
        char *theirs = abx_xprintf("%s%s", a->stage, child);
        struct stat st;
        if (lstat(to, &st) == 0) {
            /* from the other tree, which came first */
        } else if (is_folder(mine) && is_folder(theirs)) {
            r = abx_root_farm(a, child);
        } else {
            char *target = abx_xprintf("%s/%s", aside, e->d_name);
            char link[PATH_MAX];
            ssize_t n = readlink(mine, link, sizeof link - 1);
            if (n > 0)
                link[n] = 0;
            if (symlink(n > 0 ? link : target, to) < 0)
                r = -errno;
            free(target);
        }
        free(theirs);
        free(mine);
        free(to);
        free(child);
    }
    if (d)
        closedir(d);
    free(aside);
    free(path);
    return r;
}

int abx_root_farm(struct assembly *a, const char *rel)
{
    char *lower = abx_root_lower(a, rel), *to = abx_root_upper_path(a, rel);
    char *stage = a->stage ? abx_xprintf("%s%s", a->stage, rel) : NULL;
    bool both = stage && is_folder(stage) && is_folder(lower);
    const char *only = is_folder(lower) ? lower : stage;
    int r = mkdir(to, 0755) < 0 && errno != EEXIST ? -errno : 0;
    if (r == 0 && both) {
        r = link_entries(a, a->stage, rel);
        if (r == 0)
            r = link_entries(a, a->lower, rel);
    } else if (r == 0 && only)
        r = abx_root_bind(only, to);
    if (r < 0 && !a->root->error[0])
        snprintf(a->root->error, sizeof a->root->error, "cannot show %s in the container: %s",
                only ? only : rel, strerror(-r));
    free(stage);
    free(to);
    free(lower);
    return r;
}
