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

char **abx_mounts_below(const char *folder, size_t *ret_count)
{
    struct abx_words list = {0};
    size_t n = strcmp(folder, "/") == 0 ? 0 : strlen(folder), length;
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
                abx_words_add(&list, abx_xstrdup(field));
        }
        free(data);
    }
    *ret_count = list.count;
    return list.list;
}
