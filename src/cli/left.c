/* cli: which files a command left in its container's private layer, said in one line at the end:
 * the layer is gone then, and with it what somebody may have computed for hours.
 *
 * The child that assembles the root hands over the layer's folders, opened; they are walked when
 * the container has ended. Names in them are the container's: read, cleaned, never followed. */
#include "cli/left.h"

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
#define MAX_SHOWN 3u
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
    const char *folder; /* the command's working folder */
    unsigned entries, found, here, shown_count;
    char *shown[MAX_SHOWN];
    bool shown_here;
};

/* Below the folder that the command worked in; NULL: elsewhere. */
static const char *below_folder(const struct walk *w, const char *path)
{
    size_t n = strlen(w->folder);
    return n > 1 && strncmp(path, w->folder, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

/* What nobody misses: hidden files, caches, what systems keep for themselves, and our own. */
static bool is_boring(const struct walk *w, const char *path)
{
    static const char *const folders[] = {"/dev/", "/proc/", "/run/", "/sys/", "/tmp/", "/var/",
            "/etc/hosts", "/etc/ld.so.cache", "/etc/resolv.conf"};
    const char *rest = below_folder(w, path);
    for (unsigned i = 0; !rest && i < ABX_ARRAY_SIZE(folders); i++)
        if (strncmp(path, folders[i], strlen(folders[i])) == 0)
            return true;
    rest = rest ? rest : path;
    size_t n = strlen(rest);
    return *rest == '.' || strstr(rest, "/.") || strstr(rest, "__pycache__/") ||
           (n > 4 && strcmp(rest + n - 4, ".pyc") == 0);
}

static void count(struct walk *w, const char *path)
{
    const char *rest = below_folder(w, path);
    bool here = rest != NULL;
    w->found++;
    w->here += here;
    if (here && !w->shown_here) { /* those come first */
        while (w->shown_count)
            free(w->shown[--w->shown_count]);
        w->shown_here = true;
    }
    if (w->shown_count == MAX_SHOWN || here != w->shown_here)
        return;
    char *name = abx_xprintf("%.200s", here ? rest : path);
    for (char *p = name; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    w->shown[w->shown_count++] = name;
}

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
        if (is_boring(w, in)) {
            /* nobody misses it */
        } else if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH)
            walk(w, openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), child,
                    depth + 1, least);
        else if (is_new(w, &st) && st.st_size >= least && !abx_run_mounts(w->run, child))
            count(w, child);
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
    struct walk w = {.left = left, .run = run, .folder = folder};
    if (!left)
        return;
    walk_all(&w);
    if (w.found) {
        struct abx_string text = {0};
        for (unsigned i = 0; i < w.shown_count; i++)
            abx_string_printf(&text, "%s%s", i ? ", " : "", w.shown[i]);
        if (w.found > w.shown_count)
            abx_string_printf(&text, " and %u more", w.found - w.shown_count);
        abx_say("%u %s written in the container's private layer, and gone with it: %s (to keep "
                "such files: %s)",
                w.found, w.found == 1 ? "file was" : "files were", text.data,
                w.here ? "--here, or --mount FOLDER:FOLDER" : "--mount FOLDER:FOLDER");
        abx_string_finish(&text);
    }
    while (w.shown_count)
        free(w.shown[--w.shown_count]);
    for (unsigned i = 0; i < COUNT; i++)
        close(left->fds[i]);
    free(left);
}
