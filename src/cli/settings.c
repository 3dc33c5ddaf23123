/* cli: docker's options as a sandbox takes them (settings.h). Runs in the `arcbox run` process. */
#include "cli/settings.h"
#include "cli/inside.h"

#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSWD_CAP (4u << 20)
#define LEAST_MEMORY (6ull << 20) /* docker's */

/* What a sandbox cannot do: said, not ignored. */
static void refuse(const struct abx_run *run)
{
    static const struct {
        const char *name, *why;
    } refused[] = {
            {"--publish", "the network of `host` and of folders is the host's: what a program "
                          "listens on is reached without it"},
            {"--pull", "`host` and folders are fetched from nowhere: it is for OCI images"},
            {"--platform", "`host` and folders are what they are: it is for OCI images"}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(refused); i++)
        if (abx_run_given(run, refused[i].name, NULL) &&
                !(strcmp(refused[i].name, "--publish") == 0 ? run->vm : run->reference != NULL))
            abx_die(ABX_EXIT_OWN, "%s cannot be used here: %s", refused[i].name, refused[i].why);
}

uint64_t abx_size_parse(const char *option, const char *text)
{
    static const char units[] = "bkmgt";
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, tolower((unsigned char)*end)) : units;
    size_t rest = *end ? strlen(end + 1) : 0;
    bool ok = isdigit((unsigned char)*text) && unit && n &&
              (!rest || strcasecmp(end + 1, "b") == 0 || strcasecmp(end + 1, "ib") == 0);
    unsigned shift = ok ? (unsigned)(unit - units) * 10 : 0;
    if (!ok || n > UINT64_MAX >> shift || n << shift > INT64_MAX)
        abx_die(ABX_EXIT_OWN, "%s %s: expected a size, as 512m or 2g", option, text);
    return n << shift;
}

/* ---- --user */

/* The line of `name` (a name, or a number when `number` is) in a file of users or groups; fields
 * are separated by colons. NULL: none. The caller's to free(). */
static char *find_line(char *text, const char *name)
{
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        const char *third = strchr(line, ':');
        third = third ? strchr(third + 1, ':') : NULL;
        size_t n = strcspn(line, ":");
        if (!third)
            continue;
        third++;
        if ((strlen(name) == n && strncmp(line, name, n) == 0) ||
                (strlen(name) == strcspn(third, ":") && strncmp(third, name, strlen(name)) == 0))
            return abx_xstrdup(line);
    }
    return NULL;
}

static char *look_up(const struct abx_run *run, const char *file, const char *name)
{
    void *text;
    size_t length;
    char *line = NULL;
    int root = abx_inside_root(run->kind == ABX_IMAGE_HOST ? "/" : run->image);
    if (root >= 0 && abx_inside_read(root, file, PASSWD_CAP, &text, &length) == 0) {
        line = find_line(text, name);
        free(text);
    }
    if (root >= 0)
        close(root);
    return line;
}

/* The field of that number of a line, from 0; "" when there are fewer. */
static char *field(const char *line, unsigned number)
{
    for (; number && line; number--) {
        line = strchr(line, ':');
        line = line ? line + 1 : NULL;
    }
    char *copy = line ? strndup(line, strcspn(line, ":")) : abx_xstrdup("");
    if (!copy)
        abx_die(ABX_EXIT_OWN, "out of memory");
    return copy;
}

static bool parse_id(const char *text, unsigned *ret)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || n > 0x7fffffff)
        return false;
    *ret = (unsigned)n;
    return true;
}

static void read_user(const struct abx_run *run, struct abx_settings *s, const char *given)
{
    char *name = abx_xstrdup(given), *group = strchr(name, ':');
    if (group)
        *group++ = 0;
    char *line = look_up(run, "/etc/passwd", name);
    if (line && parse_id(field(line, 2), &s->uid)) {
        if (!parse_id(field(line, 3), &s->gid))
            s->gid = s->uid;
        s->home = field(line, 5);
    } else if (parse_id(name, &s->uid))
        s->gid = 0; /* docker's */
    else
        abx_die(ABX_EXIT_OWN, "--user %s: the image knows no user of that name", given);
    free(line);
    line = group ? look_up(run, "/etc/group", group) : NULL;
    if (group && !(line ? parse_id(field(line, 2), &s->gid) : parse_id(group, &s->gid)))
        abx_die(ABX_EXIT_OWN, "--user %s: the image knows no group of that name", given);
    s->has_user = true;
    free(line);
    free(name);
}

/* ---- --tmpfs, --ulimit */

static void read_tmpfs(struct abx_settings *s, const char *given)
{
    char *copy = abx_xstrdup(given), *rest = copy, *target = strsep(&rest, ":");
    if (s->tmpfs_count == ABX_MAX_TMPFS)
        abx_die(ABX_EXIT_OWN, "more than %d --tmpfs", ABX_MAX_TMPFS);
    if (*target != '/')
        abx_die(ABX_EXIT_OWN, "--tmpfs %s: expected an absolute path", given);
    s->tmpfs[s->tmpfs_count].target = abx_path_normal(target);
    abx_mount_target_check(s->tmpfs[s->tmpfs_count].target);
    for (char *word; (word = strsep(&rest, ","));) {
        if (strncmp(word, "size=", 5) == 0)
            s->tmpfs[s->tmpfs_count].size = abx_xprintf(
                    "%llu", (unsigned long long)abx_size_parse("--tmpfs size", word + 5));
        else if (strncmp(word, "mode=", 5) == 0 && word[5] &&
                 strspn(word + 5, "01234567") == strlen(word + 5) && strlen(word + 5) <= 5)
            s->tmpfs[s->tmpfs_count].mode = abx_xstrdup(word + 5);
        else if (*word && strcmp(word, "rw") != 0 && strcmp(word, "nosuid") != 0 &&
                 strcmp(word, "nodev") != 0)
            abx_die(ABX_EXIT_OWN, "--tmpfs %s: '%s' is neither size= nor mode=", given, word);
    }
    s->tmpfs_count++;
    free(copy);
}

static rlim_t read_limit(const char *given, const char *text)
{
    char *end;
    if (strcmp(text, "unlimited") == 0 || strcmp(text, "-1") == 0)
        return RLIM_INFINITY;
    unsigned long long n = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end)
        abx_die(ABX_EXIT_OWN, "--ulimit %s: '%s' is not a number", given, text);
    return n;
}

static void read_ulimit(struct abx_settings *s, const char *given)
{
    static const struct {
        const char *name;
        int which;
    } known[] = {{"as", RLIMIT_AS}, {"core", RLIMIT_CORE}, {"cpu", RLIMIT_CPU},
            {"data", RLIMIT_DATA}, {"fsize", RLIMIT_FSIZE}, {"memlock", RLIMIT_MEMLOCK},
            {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE}, {"nofile", RLIMIT_NOFILE},
            {"nproc", RLIMIT_NPROC}, {"rss", RLIMIT_RSS}, {"rtprio", RLIMIT_RTPRIO},
            {"sigpending", RLIMIT_SIGPENDING}, {"stack", RLIMIT_STACK}};
    char *copy = abx_xstrdup(given), *soft = strchr(copy, '=');
    if (!soft)
        abx_die(ABX_EXIT_OWN, "--ulimit %s: expected NAME=SOFT or NAME=SOFT:HARD", given);
    *soft++ = 0;
    char *hard = strchr(soft, ':');
    if (hard)
        *hard++ = 0;
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(known); i++) {
        if (strcmp(copy, known[i].name) != 0)
            continue;
        struct rlimit l = {read_limit(given, soft), read_limit(given, hard ? hard : soft)}, now;
        if (s->ulimit_count == ABX_MAX_ULIMITS)
            abx_die(ABX_EXIT_OWN, "more than %d --ulimit", ABX_MAX_ULIMITS);
        if (l.rlim_cur > l.rlim_max)
            abx_die(ABX_EXIT_OWN, "--ulimit %s: the soft limit is above the hard one", given);
        if (geteuid() != 0 && getrlimit((__rlimit_resource_t)known[i].which, &now) == 0 &&
                l.rlim_max > now.rlim_max)
            abx_die(ABX_EXIT_OWN, "--ulimit %s: this user's own limit is lower (%llu)", given,
                    (unsigned long long)now.rlim_max);
        s->ulimits[s->ulimit_count].which = known[i].which;
        s->ulimits[s->ulimit_count++].limit = l;
        free(copy);
        return;
    }
    abx_die(ABX_EXIT_OWN, "--ulimit %s: no limit is called '%s'", given, copy);
}

/* Linux counts the descriptors that are under way in sockets for each user, and compares all of
 * them with the limit of who sends one more. What a container leaves there reaches this limit;
 * ArcBox's own processes, and the user's outside, go on. A container of root's is a user of its
 * own. */
static int leave_files_to_others(const struct abx_settings *s)
{
    struct rlimit files;
    for (unsigned i = 0; i < s->ulimit_count; i++)
        if (s->ulimits[i].which == RLIMIT_NOFILE)
            return 0;
    if (geteuid() == 0 || getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_max == RLIM_INFINITY)
        return 0;
    files.rlim_max -= files.rlim_max / 8;
    if (files.rlim_cur > files.rlim_max)
        files.rlim_cur = files.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &files) < 0 ? -errno : 0;
}

int abx_settings_limit(const struct abx_settings *s)
{
    int r = leave_files_to_others(s);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < s->ulimit_count; i++)
        if (setrlimit((__rlimit_resource_t)s->ulimits[i].which, &s->ulimits[i].limit) < 0)
            return -errno;
    return 0;
}

void abx_settings_read(const struct abx_run *run, struct abx_settings *ret)
{
    struct abx_settings s = {0};
    const char *value;
    unsigned at = 0;
    refuse(run);
    if (!run->vm && run->network && !run->no_network && strcmp(run->network, "host") != 0)
        abx_die(ABX_EXIT_OWN, "--network %s: `host` and folders have the host's network, or none",
                run->network);
    if ((value = abx_run_given(run, "--user", NULL)))
        read_user(run, &s, value);
    if ((value = abx_run_given(run, "--memory", NULL)))
        s.memory = abx_size_parse("--memory", value);
    if (s.memory && s.memory < LEAST_MEMORY)
        abx_die(ABX_EXIT_OWN, "--memory %s: give it 6m at least, which a container needs to start",
                abx_run_given(run, "--memory", NULL));
    if ((value = abx_run_given(run, "--shm-size", NULL)))
        s.shm_bytes = abx_size_parse("--shm-size", value);
    s.read_only = abx_run_given(run, "--read-only", NULL);
    for (at = 0; (value = abx_run_given(run, "--tmpfs", &at));)
        read_tmpfs(&s, value);
    for (at = 0; (value = abx_run_given(run, "--ulimit", &at));)
        read_ulimit(&s, value);
    for (at = 0; (value = abx_run_given(run, "--add-host", &at));)
        if (!strchr(value, ':') || *value == ':' || strpbrk(value, " \t\n"))
            abx_die(ABX_EXIT_OWN, "--add-host %s: expected NAME:ADDRESS", value);
    for (at = 0; (value = abx_run_given(run, "--dns", &at));)
        if (!*value || strspn(value, "0123456789abcdefABCDEF.:%") != strlen(value))
            abx_die(ABX_EXIT_OWN, "--dns %s: expected an address", value);
    *ret = s;
}
