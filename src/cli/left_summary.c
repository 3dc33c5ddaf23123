/* cli: left_summary.h. Names are the container's: cleaned where they are shown. */
#include "cli/left_summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Below the folder that the command worked in; NULL: elsewhere. */
static const char *below_folder(const struct abx_left_summary *s, const char *path)
{
    size_t n = strlen(s->folder);
    return n > 1 && strncmp(path, s->folder, n) == 0 && path[n] == '/' ? path + n + 1 : NULL;
}

bool abx_left_is_boring(const struct abx_left_summary *s, const char *path)
{
    static const char *const folders[] = {"/dev/", "/proc/", "/run/", "/sys/", "/tmp/", "/var/",
            "/etc/hosts", "/etc/ld.so.cache", "/etc/resolv.conf"};
    const char *rest = below_folder(s, path);
    for (unsigned i = 0; !rest && i < ABX_ARRAY_SIZE(folders); i++)
        if (strncmp(path, folders[i], strlen(folders[i])) == 0)
            return true;
    rest = rest ? rest : path;
    size_t n = strlen(rest);
    return *rest == '.' || strstr(rest, "/.") || strstr(rest, "__pycache__/") ||
           (n > 4 && strcmp(rest + n - 4, ".pyc") == 0);
}

void abx_left_count(struct abx_left_summary *s, const char *path)
{
    const char *rest = below_folder(s, path);
    bool here = rest != NULL;
    s->found++;
    s->here += here;
    if (here && !s->shown_here) { /* those come first */
        while (s->shown_count)
            free(s->shown[--s->shown_count]);
        s->shown_here = true;
    }
    if (s->shown_count == ABX_LEFT_SHOWN || here != s->shown_here)
        return;
    char *name = strndup(here ? rest : path, 200);
    for (char *p = name; p && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    if (name)
        s->shown[s->shown_count++] = name;
}

char *abx_left_text(struct abx_left_summary *s)
{
    struct abx_string text = {0};
    if (s->found)
        abx_string_printf(&text,
                "%u %s written in the container's private layer, and gone with it: ", s->found,
                s->found == 1 ? "file was" : "files were");
    for (unsigned i = 0; i < s->shown_count; i++)
        abx_string_printf(&text, "%s%s", i ? ", " : "", s->shown[i]);
    if (s->found > s->shown_count)
        abx_string_printf(&text, " and %u more", s->found - s->shown_count);
    if (s->found)
        abx_string_printf(&text, " (to keep such files: %s)",
                s->here ? "--here, or --mount FOLDER:FOLDER" : "--mount FOLDER:FOLDER");
    while (s->shown_count)
        free(s->shown[--s->shown_count]);
    return text.data;
}
