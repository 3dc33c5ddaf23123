/* cli: store.h. The folders are this user's alone. */
#include "cli/vm/store.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/vm/enter.h"
#include "cli/vm/vm.h"

#define WORDS_CAP (4u << 20)
#define FORMAT "arcbox-machine-1" /* the first word */
#define NAME_CAP 63

static char *all_machines(void)
{
    char *data = abx_place_data(), *path = abx_xprintf("%s/machines", data);
    free(data);
    return path;
}

static bool name_ok(const char *name)
{
    size_t n = strlen(name);
    if (!n || n > NAME_CAP || !isalnum((unsigned char)*name))
        return false;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_.-", *p))
            return false;
    return true;
}

/* ---- what is kept */

static void add(struct abx_string *s, const char *word)
{
    abx_string_add(s, word, strlen(word) + 1);
}

static void add_option(struct abx_string *s, const char *name, char *value)
{
    add(s, name);
    add(s, value);
    free(value);
}

static void add_gpu(struct abx_string *s, const struct abx_gpu_request *gpu)
{
    struct abx_string names = {0};
    if (!gpu->wanted)
        return;
    for (unsigned i = 0; i < gpu->device_count; i++)
        abx_string_printf(&names, "%s%s", i ? "," : "device=", gpu->devices[i]);
    add_option(s, "--gpus",
            names.data   ? names.data
            : gpu->count ? abx_xprintf("%u", gpu->count)
                         : abx_xstrdup("all"));
}

/* In quotation marks, each in them twice, as its reader has it. */
static void add_quoted(struct abx_string *s, const char *key, const char *value)
{
    abx_string_printf(s, ",\"%s=", key);
    for (; *value; value++)
        abx_string_printf(s, *value == '"' ? "\"\"" : "%c", *value);
    abx_string_printf(s, "\"");
}

static void add_mount(struct abx_string *s, const struct abx_mount *m)
{
    struct abx_string text = {0};
    abx_string_printf(&text, "type=bind");
    add_quoted(&text, "source", m->source);
    add_quoted(&text, "target", m->target);
    if (m->read_only)
        abx_string_printf(&text, ",readonly");
    add_option(s, "--mount", text.data);
}

/* Paths are whole by now: it is started from any folder. */
static void describe(struct abx_string *s, const struct abx_run *run)
{
    add(s, FORMAT);
    add(s, run->kind == ABX_IMAGE_HOST ? "host" : run->image);
    add_gpu(s, &run->gpu);
    for (unsigned i = 0; i < run->mount_count; i++)
        add_mount(s, &run->mounts[i]);
    for (unsigned i = 0; i < run->env.count; i++)
        add_option(s, "--env", abx_xstrdup(run->env.list[i]));
    if (run->workdir || run->here)
        add_option(s, "--workdir", abx_xstrdup(run->workdir ? run->workdir : run->here));
    if (run->hostname)
        add_option(s, "--hostname", abx_xstrdup(run->hostname));
    if (run->network)
        add_option(s, "--network", abx_xstrdup(run->network));
    if (run->cpus)
        add_option(s, "--cpus", abx_xprintf("%u", run->cpus));
    for (unsigned i = 0; i < run->given_count; i++)
        if (*run->given[i].value)
            add_option(s, run->given[i].name, abx_xstrdup(run->given[i].value));
        else
            add(s, run->given[i].name);
}

/* ---- disks */

static void make_disk(const char *path, uint64_t bytes)
{
    char *mkfs = abx_find_program("mkfs.ext4");
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (!mkfs)
        abx_die(ABX_EXIT_OWN, "mkfs.ext4 is not installed: apt install e2fsprogs");
    if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
        abx_die(ABX_EXIT_OWN, "cannot make %s: %s", path, strerror(errno));
    close(fd);
    const char *const words[] = {mkfs, "-q", "-F", "-m", "0", "-E",
            "lazy_itable_init=1,lazy_journal_init=1,nodiscard", path, NULL};
    if (abx_vm_tool(words, NULL, -1, -1) != 0)
        abx_die(ABX_EXIT_OWN,
                "mkfs.ext4 cannot make a file system in %s; what it said stands above", path);
    free(mkfs);
}

int abx_machine_take_disk(const struct abx_machine_kept *m)
{
    char *path = abx_xprintf("%s/disk", m->folder);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        abx_die(ABX_EXIT_OWN, "cannot open %s: %s", path, strerror(errno));
    free(path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    close(fd);
    return -EBUSY;
}

/* ---- machines */

static char *making;

static void clean_up(void)
{
    if (making)
        abx_remove_tree(making);
}

void abx_machine_keep(const char *name, const struct abx_run *run, uint64_t disk_bytes)
{
    char *all = all_machines(), *folder = abx_xprintf("%s/%s", all, name);
    making = abx_xprintf("%s/.%s-XXXXXX", all, name);
    if (!name_ok(name))
        abx_die(ABX_EXIT_OWN,
                "a machine cannot be named '%s': names are letters, digits, '_', '.' and '-', "
                "begin "
                "with a letter or digit, and have at most %d",
                name, NAME_CAP);
    if (access(folder, F_OK) == 0)
        abx_die(ABX_EXIT_OWN,
                "a machine named '%s' is there already (see: arcbox machine ls; arcbox machine rm "
                "%s)",
                name, name);
    int r = abx_mkdir_p(all, 0700);
    if (r < 0 || !mkdtemp(making))
        abx_die(ABX_EXIT_OWN, "cannot make a folder in %s: %s", all, strerror(r < 0 ? -r : errno));
    atexit(clean_up);
    struct abx_string s = {0};
    char *words = abx_xprintf("%s/words", making), *disk = abx_xprintf("%s/disk", making);
    describe(&s, run);
    r = s.failed ? -ENOMEM : abx_write_file(words, s.data, s.length);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot write %s: %s", words, strerror(-r));
    make_disk(disk, disk_bytes);
    if (rename(making, folder) < 0)
        abx_die(ABX_EXIT_OWN, "cannot make %s: %s", folder, strerror(errno));
    making = NULL;
    abx_string_finish(&s);
    free(words);
    free(disk);
    free(folder);
    free(all);
}

static bool read_words(struct abx_machine_kept *m)
{
    char *path = abx_xprintf("%s/words", m->folder);
    void *data;
    size_t length;
    int r = abx_read_file(path, WORDS_CAP, &data, &length);
    free(path);
    if (r < 0)
        return false;
    const char *end = (char *)data + length;
    unsigned count = 0;
    m->words = abx_xcalloc(length + 1, sizeof *m->words);
    for (char *at = data; at < end; at += strlen(at) + 1, count++) {
        if (count == 0 && strcmp(at, FORMAT) != 0)
            return false;
        if (count == 1)
            m->image = at;
        else if (count > 1)
            m->words[m->word_count++] = at;
    }
    return m->image;
}

struct abx_machine_kept *abx_machine_find(const char *name)
{
    struct stat st;
    if (!name_ok(name))
        return NULL;
    char *all = all_machines();
    struct abx_machine_kept *m = abx_xcalloc(1, sizeof *m);
    m->name = abx_xstrdup(name);
    m->folder = abx_xprintf("%s/%s", all, name);
    char *disk = abx_xprintf("%s/disk", m->folder);
    bool there = stat(disk, &st) == 0;
    if (there && !read_words(m))
        abx_die(ABX_EXIT_OWN,
                "the machine '%s' was made by another version of ArcBox: its files are in %s; "
                "remove that folder, and make it again",
                name, m->folder);
    m->disk_bytes = there ? (uint64_t)st.st_size : 0;
    m->used_bytes = there ? (uint64_t)st.st_blocks * 512 : 0;
    free(disk);
    free(all);
    if (there)
        return m;
    abx_machine_free(m);
    return NULL;
}

struct abx_machine_kept *abx_machine_must(const char *name)
{
    struct abx_machine_kept *m = abx_machine_find(name);
    if (!m)
        abx_die(ABX_EXIT_OWN, "no machine named '%s' (see: arcbox machine ls)", name);
    return m;
}

void abx_machine_free(struct abx_machine_kept *m)
{
    free(m->name);
    free(m->folder);
    free(m->words);
    free(m);
}

static int by_name(const void *a, const void *b)
{
    const struct abx_machine_kept *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

struct abx_machine_kept **abx_machine_list(void)
{
    char *all = all_machines();
    struct abx_machine_kept **list = abx_xcalloc(1, sizeof(void *));
    uint32_t count = 0, capacity = 1;
    DIR *d = opendir(all);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct abx_machine_kept *m = e->d_name[0] == '.' ? NULL : abx_machine_find(e->d_name);
        if (!m)
            continue;
        abx_xgrow((void **)&list, &capacity, count + 2, sizeof *list);
        list[count++] = m;
        list[count] = NULL;
    }
    if (d)
        closedir(d);
    qsort(list, count, sizeof(void *), by_name);
    free(all);
    return list;
}

void abx_machine_drop(const struct abx_machine_kept *m)
{
    struct abx_container *c = abx_container_find(m->name);
    if (c && !c->running && abx_vm_is(c))
        abx_container_forget(c);
    abx_container_free(c);
    abx_remove_tree(m->folder);
}

struct abx_container *abx_machine_running(const struct abx_machine_kept *m)
{
    struct abx_container *c = abx_container_find(m->name);
    if (c && c->running && c->stays)
        return c;
    abx_container_free(c);
    return NULL;
}

void abx_machine_must_run(const char *name)
{
    struct abx_machine_kept *m = abx_machine_must(name);
    struct abx_container *c = abx_machine_running(m);
    if (!c)
        abx_die(ABX_EXIT_OWN, "the machine '%s' does not run: arcbox machine start %s", name, name);
    abx_container_free(c);
    abx_machine_free(m);
}
