/* cli: mount options, in docker's and podman's spelling. Refuses what would hide a folder the
 * system needs. */
#include "cli/run.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *abx_path_normal(const char *path)
{
    char *out = abx_xcalloc(strlen(path) + 2, 1);
    size_t length = 0;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && memcmp(p, "..", 2) == 0) {
            while (length && out[--length] != '/')
                ;
        } else if (n && !(n == 1 && *p == '.')) {
            out[length++] = '/';
            memcpy(out + length, p, n);
            length += n;
        }
        p += n;
        p += *p == '/';
    }
    if (!length)
        out[length++] = '/';
    out[length] = 0;
    return out;
}

/* Nothing may be mounted on these, or on a folder that holds one of them: what ArcBox brings is
 * there, or the program's own libraries. `images`: also where an image's owner has the say. */
static const struct {
    const char *path;
    bool images;
} needed[] = {{"/bin", true}, {"/boot", false}, {"/dev", true}, {"/etc", true}, {"/lib", true},
        {"/lib32", true}, {"/lib64", true}, {"/libx32", true}, {"/proc", true}, {"/run", true},
        {"/run/arcbox", true}, {"/sbin", true}, {"/sys", true}, {"/System", true}, {"/tmp", false},
        {"/usr", true}, {"/usr/bin", true}, {"/usr/lib", true}, {"/usr/lib32", true},
        {"/usr/lib64", true}, {"/usr/libexec", true}, {"/usr/sbin", true}, {"/usr/share", true},
        {"/usr/local", false}, {"/usr/local/bin", false}, {"/usr/local/lib", false},
        {"/var", false}, {"/var/lib", false}, {"/var/run", true}};
/* Nothing at all may be mounted below these: they are the kernel's, or ours. */
static const char *const closed[] = {"/dev", "/proc", "/sys", "/run/arcbox", "/System"};

static bool is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

static void refuse_hiding(const char *target, bool image)
{
    if (strcmp(target, "/") == 0)
        abx_die(ABX_EXIT_OWN, "a mount on / would hide the whole system: name a folder of its own");
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(needed); i++)
        if (strcmp(target, needed[i].path) == 0 && (needed[i].images || !image))
            abx_die(ABX_EXIT_OWN,
                    "a mount on %s would hide a system folder: name a folder of its own", target);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(closed); i++)
        if (is_below(target, closed[i]))
            abx_die(ABX_EXIT_OWN, "a mount on %s would hide part of the system folder %s", target,
                    closed[i]);
    size_t length = strlen(target);
    if (strncmp(target, "/usr/lib/", 9) == 0 && length > 10 && strstr(target, "-linux-gnu") &&
            strcmp(strstr(target, "-linux-gnu"), "-linux-gnu") == 0)
        abx_die(ABX_EXIT_OWN, "a mount on %s would hide a system folder: name a folder of its own",
                target);
}

bool abx_run_mounts(const struct abx_run *run, const char *path)
{
    for (unsigned i = 0; i < run->mount_count; i++)
        if (strcmp(run->mounts[i].target, path) == 0 || is_below(path, run->mounts[i].target))
            return true;
    return false;
}

void abx_mount_target_check(const char *target)
{
    refuse_hiding(target, true);
}

char *abx_run_mounted(const struct abx_run *run, const char *command)
{
    char *joined = !strchr(command, '/') ? NULL
                   : *command == '/'     ? abx_xstrdup(command)
                   : run->workdir        ? abx_xprintf("%s/%s", run->workdir, command)
                                         : NULL;
    char *path = joined ? abx_path_normal(joined) : NULL, *found = NULL;
    for (unsigned i = 0; path && !found && i < run->mount_count; i++) {
        const struct abx_mount *m = &run->mounts[i];
        if (strcmp(path, m->target) == 0 || is_below(path, m->target))
            found = abx_xprintf("%s%s", m->source, path + strlen(m->target));
    }
    free(path);
    free(joined);
    return found;
}

void abx_mounts_check(const struct abx_run *run)
{
    for (unsigned i = 0; i < run->mount_count; i++)
        refuse_hiding(run->mounts[i].target, run->kind != ABX_IMAGE_HOST);
}

/* `wanted` has the modes; its strings are not kept. */
static void add(
        struct abx_run *run, const char *source, const char *target, const struct abx_mount *wanted)
{
    if (!*source)
        abx_die(ABX_EXIT_OWN, "the mount on '%s' names no source", target);
    if (target[0] != '/')
        abx_die(ABX_EXIT_OWN, "the mount target '%s' is not an absolute path", target);
    if (run->mount_count == ABX_MAX_MOUNTS)
        abx_die(ABX_EXIT_OWN, "more than %d mounts", ABX_MAX_MOUNTS);
    struct abx_mount *m = &run->mounts[run->mount_count];
    *m = *wanted;
    m->source = realpath(source, NULL);
    struct stat st;
    if (!m->source || stat(m->source, &st) < 0)
        abx_die(ABX_EXIT_OWN, "the mount source '%s' cannot be used: %s%s", source, strerror(errno),
                errno == ENOENT && *source && !strpbrk(source, "/.")
                        ? " (ArcBox has no named volumes: make a folder, and name it)"
                        : "");
    m->is_folder = S_ISDIR(st.st_mode);
    m->is_device = S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode);
    m->target = abx_path_normal(target);
    for (unsigned i = 0; i < run->mount_count; i++)
        if (strcmp(run->mounts[i].target, m->target) == 0)
            abx_die(ABX_EXIT_OWN, "two mounts on %s", m->target);
    run->mount_count++;
}

void abx_mount_bind(struct abx_run *run, const char *source, const char *target, bool read_only)
{
    add(run, source, target, &(struct abx_mount){.read_only = read_only});
}

/* Modes that say what is so here anyway: consistency is Docker Desktop's, and every mount is
 * recursive and private. */
static bool means_nothing(const char *mode)
{
    static const char *const modes[] = {"", "rw", "cached", "delegated", "consistent", "default",
            "rbind", "rprivate", "private"};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(modes); i++)
        if (strcmp(mode, modes[i]) == 0)
            return true;
    return false;
}

void abx_volume_add(struct abx_run *run, const char *spec)
{
    char *copy = abx_xstrdup(spec), *rest = copy;
    char *source = strsep(&rest, ":"), *target = strsep(&rest, ":"), *mode = strsep(&rest, ":");
    struct abx_mount wanted = {0};
    if (!target || !*target || rest)
        abx_die(ABX_EXIT_OWN,
                "the mount '%s' is not HOST:GUEST or HOST:GUEST:ro (a path with ':' needs --mount "
                "type=bind,source=...,target=...)",
                spec);
    for (char *word; mode && (word = strsep(&mode, ","));) {
        if (strcmp(word, "ro") == 0)
            wanted.read_only = true;
        else if (strcmp(word, "z") == 0 || strcmp(word, "Z") == 0)
            wanted.relabel = *word;
        else if (!means_nothing(word))
            abx_die(ABX_EXIT_OWN, "the mount '%s' has the unknown mode '%s': ro or rw", spec, word);
    }
    add(run, source, target, &wanted);
    free(copy);
}

/* ---- type=bind,source=...,target=...: one record of comma separated values, each of which may be
 * in quotation marks ("" inside stands for one) */

/* The next value, unquoted in place; NULL at the end. */
static char *next_value(char **rest, const char *spec)
{
    char *word = *rest, *to = word, *from = word;
    if (!word)
        return NULL;
    if (*from != '"')
        return strsep(rest, ",");
    for (from++; *from && (from[0] != '"' || from[1] == '"'); from++) {
        from += from[0] == '"';
        *to++ = *from;
    }
    if (*from != '"' || (from[1] && from[1] != ','))
        abx_die(ABX_EXIT_OWN, "the mount '%s' has an odd number of quotation marks", spec);
    *rest = from[1] ? from + 2 : NULL;
    *to = 0;
    return word;
}

static bool is_true(const char *value)
{
    return !value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

static bool is(const char *word, const char *a, const char *b, const char *c)
{
    return strcmp(word, a) == 0 || (b && strcmp(word, b) == 0) || (c && strcmp(word, c) == 0);
}

static void add_long(struct abx_run *run, const char *spec)
{
    char *copy = abx_xstrdup(spec), *rest = copy;
    const char *source = NULL, *target = NULL;
    struct abx_mount wanted = {0};
    for (char *word; (word = next_value(&rest, spec));) {
        char *value = strchr(word, '=');
        if (value)
            *value++ = 0;
        if (strcmp(word, "type") == 0) {
            if (!value || strcmp(value, "bind") != 0)
                abx_die(ABX_EXIT_OWN,
                        "the mount '%s': only type=bind is supported (a file system in memory: "
                        "--tmpfs FOLDER)",
                        spec);
        } else if (value && is(word, "source", "src", NULL))
            source = value;
        else if (value && is(word, "target", "dst", "destination"))
            target = value;
        else if (is(word, "readonly", "ro", NULL))
            wanted.read_only = is_true(value);
        else if (value && strcmp(word, "relabel") == 0 && is(value, "shared", "private", NULL))
            wanted.relabel = *value == 's' ? 'z' : 'Z';
        else if (is(word, "Z", "z", NULL) && !value)
            wanted.relabel = *word;
        else if (!means_nothing(!value                                              ? word
                                : is(word, "consistency", "bind-propagation", NULL) ? value
                                                                                    : "?"))
            abx_die(ABX_EXIT_OWN, "the mount '%s' has the unknown part '%s'", spec, word);
    }
    if (!source || !target)
        abx_die(ABX_EXIT_OWN, "the mount '%s' needs source= and target=", spec);
    add(run, source, target, &wanted);
    free(copy);
}

/* A word of the long form stands at the start of one; a path may hold any of them. */
void abx_mount_add(struct abx_run *run, const char *spec)
{
    static const char *const words[] = {"type=", "source=", "src=", "target=", "dst=",
            "destination=", "readonly,", "ro,", "consistency=", "bind-propagation=", "relabel="};
    const char *start = *spec == '"' ? spec + 1 : spec;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(words); i++)
        if (strncmp(start, words[i], strlen(words[i])) == 0) {
            add_long(run, spec);
            return;
        }
    abx_volume_add(run, spec);
}
