/* cli: the mount points below a folder, from /proc/self/mountinfo. */
#include "cli/run.h"

#include <stdlib.h>
#include <string.h>

#define MOUNTINFO_CAP (16u << 20)

/* "\040" and its like, in place. */
static void unescape(char *text)
{
    char *to = text;
    for (char *p = text; *p;) {
        if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] && p[3]) {
            *to++ = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
            p += 4;
        } else
            *to++ = *p++;
    }
    *to = 0;
}

static void add(char ***list, size_t *count, const char *path)
{
    char **more = realloc(*list, (*count + 1) * sizeof *more);
    if (!more)
        abx_die(ABX_EXIT_OWN, "out of memory");
    *list = more;
    more[(*count)++] = abx_xstrdup(path);
}

char **abx_mounts_below(const char *folder, size_t *ret_count)
{
    char **list = NULL;
    size_t count = 0, n = strcmp(folder, "/") == 0 ? 0 : strlen(folder), length;
    void *data;
    if (abx_read_file("/proc/self/mountinfo", MOUNTINFO_CAP, &data, &length) == 0) {
        char *rest = data;
        for (char *line; (line = strsep(&rest, "\n"));) {
            char *field = NULL; /* the fifth */
            for (int i = 0; i < 5 && line; i++)
                field = strsep(&line, " ");
            if (!field || !line)
                continue;
            unescape(field);
            if (strncmp(field, folder, n) == 0 && field[n] == '/' && field[n + 1])
                add(&list, &count, field);
        }
        free(data);
    }
    *ret_count = count;
    return list;
}
