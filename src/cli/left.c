/* cli: which files a command left in its container's private layer, said in one line at the end:
 * the layer is gone then, and with it what somebody may have computed for hours.
 *
 * The child that assembles the root hands over the layer's folders, opened; they are walked when
 * the container has ended. Names in them are the container's: read, cleaned, never followed. */
#include "cli/left.h"
#include "cli/left_summary.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ENTRIES 50000u /* looked at */
#define MAX_DEPTH 32u
#define NAMES_CAP (4u << 20)

enum { UPPER, ROOT, NAMES, COUNT };

void abx_left_hand_over(int sock, const char *upper, const char *root, const char *names)
{
    int fds[COUNT] = {open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
            open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
            memfd_create("arcbox-layer", MFD_CLOEXEC)};
    if (fds[UPPER] >= 0 && fds[ROOT] >= 0 && fds[NAMES] >= 0 &&
            abx_write_all(fds[NAMES], names, strlen(names)) == 0)
        abx_sock_send(sock, "l", 1, fds, COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

struct abx_left {
    int fds[COUNT];
    struct timespec since; /* by the clock that files are dated with */
};

struct abx_left *abx_left_receive(int sock)
{
    char byte;
    int fds[ABX_SOCK_MAX_FDS];
    unsigned count = 0;
    struct stat st;
    ssize_t n = abx_sock_receive(sock, &byte, 1, fds, &count);
    if (n == 1 && count == COUNT && fstat(fds[NAMES], &st) == 0) {
        struct abx_left *l = abx_xcalloc(1, sizeof *l);
        memcpy(l->fds, fds, sizeof l->fds);
        l->since = st.st_mtim;
        return l;
    }
    while (n > 0 && count)
        close(fds[--count]);
    return NULL;
}

struct walk {
    const struct abx_left *left;
    const struct abx_run *run;
    unsigned entries;
    struct abx_left_summary summary;
};

static bool is_new(const struct walk *w, const struct stat *st)
{
    const struct timespec *since = &w->left->since;
    return S_ISREG(st->st_mode) &&
           (st->st_ctim.tv_sec > since->tv_sec ||
                   (st->st_ctim.tv_sec == since->tv_sec && st->st_ctim.tv_nsec >= since->tv_nsec));
}

/* `fd` is closed. */
static void walk(struct walk *w, int fd, const char *path, unsigned depth, off_t least)
{
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d && fd >= 0)
        close(fd);
    for (struct dirent *e; d && w->entries < MAX_ENTRIES && (e = readdir(d));) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        w->entries++;
        char *child = abx_xprintf("%s/%s", path, e->d_name);
        char *in = S_ISDIR(st.st_mode) ? abx_xprintf("%s/", child) : abx_xstrdup(child);
        if (abx_left_is_boring(&w->summary, in)) {
            /* nobody misses it */
        } else if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH)
            walk(w, openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), child,
                    depth + 1, least);
        else if (is_new(w, &st) && st.st_size >= least && !abx_run_mounts(w->run, child))
            abx_left_count(&w->summary, child);
        free(in);
        free(child);
    }
    if (d)
        closedir(d);
}

/* Lines "NUMBER PATH": which folder each of the upper's numbered ones lies over. */
static void walk_all(struct walk *w)
{
    void *names;
    size_t length;
    const int *fds = w->left->fds;
    /* Empty ones in there may be what files of the host were mounted on. */
    walk(w, fcntl(fds[ROOT], F_DUPFD_CLOEXEC, 3), "", 0, 1);
    if (lseek(fds[NAMES], 0, SEEK_SET) < 0 ||
            abx_read_fd(fds[NAMES], NAMES_CAP, &names, &length) < 0)
        return;
    char *rest = names;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *path = strchr(line, ' ');
        if (!path)
            continue;
        *path++ = 0;
        walk(w, openat(fds[UPPER], line, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), path, 0,
                0);
    }
    free(names);
}

void abx_left_say(struct abx_left *left, const struct abx_run *run, const char *folder)
{
    struct walk w = {.left = left, .run = run, .summary = {.folder = folder}};
    if (!left)
        return;
    walk_all(&w);
    char *text = abx_left_text(&w.summary);
    if (text)
        abx_say("%s", text);
    free(text);
    for (unsigned i = 0; i < COUNT; i++)
        close(left->fds[i]);
    free(left);
}
