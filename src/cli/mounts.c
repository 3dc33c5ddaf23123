/* cli: mount options. Refuses what would hide a folder the system needs. */
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

/* Nothing may be mounted on these or on a folder that holds one of them. */
static const char *const needed[] = {"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64",
        "/libx32", "/proc", "/run", "/run/arcbox", "/sbin", "/sys", "/System", "/tmp", "/usr",
        "/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/sbin",
        "/usr/share", "/usr/local", "/usr/local/bin", "/usr/local/lib", "/var", "/var/lib",
        "/var/run"};
/* Nothing at all may be mounted below these: they are the kernel's, or ours. */
static const char *const closed[] = {"/dev", "/proc", "/sys", "/run/arcbox", "/System"};

static bool is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

static void refuse_hiding(const char *target)
{
    if (strcmp(target, "/") == 0)
        abx_die(ABX_EXIT_OWN, "a mount on / would hide the whole system: name a folder of its own");
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(needed); i++)
        if (strcmp(target, needed[i]) == 0)
            abx_die(ABX_EXIT_OWN,
                    "a mount on %s would hide a system folder: name a folder of its own", target);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(closed); i++)
        if (is_below(target, closed[i]))
            abx_die(ABX_EXIT_OWN, "a mount on %s would hide part of the system folder %s", target,
                    closed[i]);
    size_t length = strlen(target);
    if (strncmp(target, "/usr/lib/", 9) == 0 && length > 10 && strstr(target, "-linux-gnu") &&
            strcmp(strstr(target, "-linux-gnu"), "-linux-gnu") == 0)
        abx_die(ABX_EXIT_OWN, "a mount on %s would hide a system folder", target);
}

static void add(struct abx_run *run, const char *source, const char *target, bool read_only)
{
    if (!*source)
        abx_die(ABX_EXIT_OWN, "the mount on '%s' names no source", target);
    if (target[0] != '/')
        abx_die(ABX_EXIT_OWN, "the mount target '%s' is not an absolute path", target);
    if (run->mount_count == ABX_MAX_MOUNTS)
        abx_die(ABX_EXIT_OWN, "more than %d mounts", ABX_MAX_MOUNTS);
    struct abx_mount *m = &run->mounts[run->mount_count];
    m->source = realpath(source, NULL);
    struct stat st;
    if (!m->source || stat(m->source, &st) < 0)
        abx_die(ABX_EXIT_OWN, "the mount source '%s' cannot be used: %s", source, strerror(errno));
    m->is_folder = S_ISDIR(st.st_mode);
    m->target = abx_path_normal(target);
    m->read_only = read_only;
    refuse_hiding(m->target);
    for (unsigned i = 0; i < run->mount_count; i++)
        if (strcmp(run->mounts[i].target, m->target) == 0)
            abx_die(ABX_EXIT_OWN, "two mounts on %s", m->target);
    run->mount_count++;
}

void abx_mount_add(struct abx_run *run, const char *spec)
{
    if (strncmp(spec, "type=", 5) == 0 || strstr(spec, "source=") || strstr(spec, "src=")) {
        abx_mount_add_long(run, spec);
        return;
    }
    char *copy = abx_xstrdup(spec), *rest = copy;
    char *source = strsep(&rest, ":"), *target = strsep(&rest, ":"), *mode = strsep(&rest, ":");
    if (!target || !*target || rest)
        abx_die(ABX_EXIT_OWN, "the mount '%s' is not HOST:GUEST or HOST:GUEST:ro", spec);
    bool read_only = false;
    for (char *word; mode && (word = strsep(&mode, ","));) {
        if (strcmp(word, "ro") == 0)
            read_only = true;
        else if (strcmp(word, "rw") != 0 && strcmp(word, "z") != 0 && strcmp(word, "Z") != 0)
            abx_die(ABX_EXIT_OWN, "the mount '%s' has the unknown mode '%s': ro or rw", spec, word);
    }
    add(run, source, target, read_only);
    free(copy);
}

void abx_mount_add_long(struct abx_run *run, const char *spec)
{
    char *copy = abx_xstrdup(spec), *rest = copy;
    const char *source = NULL, *target = NULL;
    bool read_only = false;
    for (char *word; (word = strsep(&rest, ","));) {
        char *value = strchr(word, '=');
        if (value)
            *value++ = 0;
        if (strcmp(word, "type") == 0) {
            if (!value || strcmp(value, "bind") != 0)
                abx_die(ABX_EXIT_OWN, "the mount '%s': only type=bind is there", spec);
        } else if (value && (strcmp(word, "source") == 0 || strcmp(word, "src") == 0))
            source = value;
        else if (value && (strcmp(word, "target") == 0 || strcmp(word, "dst") == 0 ||
                                  strcmp(word, "destination") == 0))
            target = value;
        else if (strcmp(word, "readonly") == 0 || strcmp(word, "ro") == 0)
            read_only = !value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
        else
            abx_die(ABX_EXIT_OWN, "the mount '%s' has the unknown part '%s'", spec, word);
    }
    if (!source || !target)
        abx_die(ABX_EXIT_OWN, "the mount '%s' needs source= and target=", spec);
    add(run, source, target, read_only);
    free(copy);
}
