/* cli: records of containers, one folder each, locked by the arcbox process that runs it. */
#include "cli/run.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RECORD_CAP 16384
#define YOUNG_SECONDS 60
#define NAME_CAP 63 /* a host name's length: the name becomes one */

static char *folder_of(const char *name)
{
    char *state = abx_place_state();
    char *path = abx_xprintf("%s/containers/%s", state, name);
    free(state);
    return path;
}

char *abx_container_file(const struct abx_container *c, const char *name)
{
    return abx_xprintf("%s/%s", c->folder, name);
}

static bool name_ok(const char *name)
{
    size_t n = strlen(name);
    if (!n || n > NAME_CAP || !isalnum((unsigned char)name[0]))
        return false;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_.-", *p))
            return false;
    return true;
}

static char *made_up_name(void)
{
    static const char *const first[] = {"amber", "bright", "calm", "eager", "fair", "gentle",
            "keen", "lucid", "mellow", "nimble", "quick", "silver", "steady", "swift", "vivid",
            "warm"};
    static const char *const second[] = {"ash", "birch", "brook", "cedar", "cove", "dune", "fern",
            "glade", "heath", "lake", "maple", "moor", "pine", "reef", "river", "vale"};
    uint32_t r = 0;
    (void)!getrandom(&r, sizeof r, 0);
    return abx_xprintf("%s-%s-%04x", first[r % 16], second[(r >> 4) % 16], (r >> 8) & 0xffff);
}

static int take_lock(const char *folder)
{
    char *path = abx_xprintf("%s/lock", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    free(path);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return -EBUSY;
    }
    return fd < 0 ? -errno : fd;
}

/* A folder whose owner was killed leaves a record that says "running": its lock is free. What such
 * a container left is of use to nobody when it was to be removed at its end. */
static void clean_stale(const char *name)
{
    struct abx_container *c = abx_container_find(name);
    if (c && !c->running && c->remove)
        abx_container_forget(c);
    if (c)
        abx_container_free(c);
}

struct abx_container *abx_container_create(const char *wanted)
{
    if (wanted && !name_ok(wanted))
        abx_die(ABX_EXIT_OWN,
                "a container cannot be named '%s': names are letters, digits, '_', '.' and '-', "
                "begin "
                "with a letter or digit, and have at most %d",
                wanted, NAME_CAP);
    for (int attempt = 0; attempt < 8; attempt++) {
        char *name = wanted ? abx_xstrdup(wanted) : made_up_name();
        char *folder = folder_of(name);
        char *parent = abx_xstrdup(folder);
        *strrchr(parent, '/') = 0;
        int r = abx_mkdir_p(parent, 0700);
        free(parent);
        if (r == 0) {
            clean_stale(name);
            r = mkdir(folder, 0700) < 0 ? -errno : take_lock(folder);
        }
        if (r >= 0) {
            struct abx_container *c = abx_xcalloc(1, sizeof *c);
            *c = (struct abx_container){.name = name,
                    .folder = folder,
                    .lock = r,
                    .running = true,
                    .exit_code = -1,
                    .supervisor = (int)getpid(),
                    .remove = true, /* nothing of it is of use if we are killed before it starts */
                    .started = time(NULL)};
            abx_container_save(c);
            return c;
        }
        if (r != -EEXIST)
            abx_die(ABX_EXIT_OWN, "cannot make %s: %s", folder, strerror(-r));
        if (wanted)
            abx_die(ABX_EXIT_OWN,
                    "a container named '%s' is there already (see: arcbox ps -a; arcbox rm %s)",
                    name, name);
        free(folder);
        free(name);
    }
    abx_die(ABX_EXIT_OWN, "found no free container name");
}

int abx_container_save(const struct abx_container *c)
{
    char *path = abx_container_file(c, "record"), *temporary = abx_container_file(c, "record.new");
    FILE *f = fopen(temporary, "we");
    int r = f ? 0 : -errno;
    if (f) {
        fprintf(f,
                "kind=%s\nimage=%s\ncommand=%s\ngpu=%d\nremove=%d\nstays=%d\nsupervisor=%d\ninit=%"
                "d\n"
                "exit_code=%d\nstarted=%lld\nended=%lld\ngroup=%s\nworkdir=%s\nuser=%s\nwhy=%s\n",
                c->kind, c->image, c->command, c->gpu, c->remove, c->stays, c->supervisor, c->init,
                c->exit_code, (long long)c->started, (long long)c->ended, c->group, c->workdir,
                c->user, c->why);
        if (ferror(f))
            r = -EIO;
        if (fclose(f) != 0)
            r = -errno;
        if (r == 0 && rename(temporary, path) < 0)
            r = -errno;
    }
    free(temporary);
    free(path);
    return r;
}

void abx_container_free(struct abx_container *c)
{
    if (!c)
        return;
    if (c->lock >= 0)
        close(c->lock);
    free(c->name);
    free(c->folder);
    free(c);
}

bool abx_container_link(const struct abx_container *c, const char *file, char ret[PATH_MAX])
{
    char *link = abx_container_file(c, file);
    ssize_t n = readlink(link, ret, PATH_MAX - 1);
    free(link);
    ret[n > 0 ? n : 0] = 0;
    return n > 0;
}

void abx_container_forget(const struct abx_container *c)
{
    char log[PATH_MAX];
    if (abx_container_link(c, "log", log))
        unlink(log);
    abx_layer_forget(c);
    abx_remove_tree(c->folder);
}

void abx_container_close(struct abx_container *c, bool forget)
{
    if (forget)
        abx_container_forget(c);
    abx_container_free(c);
}

static void copy_text(char *to, size_t capacity, const char *from)
{
    snprintf(to, capacity, "%s", from);
}

static void parse_record(struct abx_container *c, char *text)
{
    for (char *line; (line = strsep(&text, "\n"));) {
        char *value = strchr(line, '=');
        if (!value)
            continue;
        *value++ = 0;
        if (strcmp(line, "kind") == 0)
            copy_text(c->kind, sizeof c->kind, value);
        else if (strcmp(line, "image") == 0)
            copy_text(c->image, sizeof c->image, value);
        else if (strcmp(line, "command") == 0)
            copy_text(c->command, sizeof c->command, value);
        else if (strcmp(line, "gpu") == 0)
            c->gpu = atoi(value);
        else if (strcmp(line, "remove") == 0)
            c->remove = atoi(value);
        else if (strcmp(line, "stays") == 0)
            c->stays = atoi(value);
        else if (strcmp(line, "supervisor") == 0)
            c->supervisor = atoi(value);
        else if (strcmp(line, "init") == 0)
            c->init = atoi(value);
        else if (strcmp(line, "exit_code") == 0)
            c->exit_code = atoi(value);
        else if (strcmp(line, "started") == 0)
            c->started = atoll(value);
        else if (strcmp(line, "ended") == 0)
            c->ended = atoll(value);
        else if (strcmp(line, "group") == 0)
            copy_text(c->group, sizeof c->group, value);
        else if (strcmp(line, "workdir") == 0)
            copy_text(c->workdir, sizeof c->workdir, value);
        else if (strcmp(line, "user") == 0)
            copy_text(c->user, sizeof c->user, value);
        else if (strcmp(line, "why") == 0)
            copy_text(c->why, sizeof c->why, value);
    }
}

struct abx_container *abx_container_find(const char *name)
{
    if (!name_ok(name))
        return NULL;
    char *folder = folder_of(name);
    if (access(folder, F_OK) < 0) {
        free(folder);
        return NULL;
    }
    struct abx_container *c = abx_xcalloc(1, sizeof *c);
    *c = (struct abx_container){
            .name = abx_xstrdup(name), .folder = folder, .lock = -1, .exit_code = -1};
    char *path = abx_container_file(c, "record");
    void *text;
    size_t length;
    struct stat st;
    if (abx_read_file(path, RECORD_CAP, &text, &length) == 0) {
        parse_record(c, text);
        free(text);
    } else if (stat(folder, &st) == 0) { /* killed before it could say more; or only just made */
        c->started = st.st_mtime;
        c->remove = time(NULL) - st.st_mtime > YOUNG_SECONDS;
    }
    free(path);
    int lock = take_lock(folder);
    c->running = lock == -EBUSY;
    if (lock >= 0)
        close(lock);
    /* podman's containers outlive an arcbox that was killed. */
    if (lock >= 0 && strcmp(c->kind, "podman") == 0 && c->exit_code < 0)
        c->running = abx_oci_runs(name);
    return c;
}

struct abx_container *abx_container_must(const char *name)
{
    struct abx_container *c = abx_container_find(name);
    if (!c)
        abx_die(ABX_EXIT_OWN, "no container named '%s' (see: arcbox ps -a)", name);
    return c;
}

static int by_name(const void *a, const void *b)
{
    const struct abx_container *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

struct abx_container **abx_container_list(void)
{
    char *state = abx_place_state(), *path = abx_xprintf("%s/containers", state);
    struct abx_container **list = abx_xcalloc(1, sizeof *list);
    uint32_t count = 0, capacity = 1;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct abx_container *c = e->d_name[0] == '.' ? NULL : abx_container_find(e->d_name);
        if (!c)
            continue;
        if (!c->running && c->remove) {
            abx_container_close(c, true);
            continue;
        }
        abx_xgrow((void **)&list, &capacity, count + 1, sizeof *list);
        list[count++] = c;
        list[count] = NULL;
    }
    if (d)
        closedir(d);
    qsort(list, count, sizeof *list, by_name);
    free(path);
    free(state);
    return list;
}
