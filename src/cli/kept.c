/* cli: folders below /tmp, /var/tmp, /run and /dev/shm that a container of the host's own root sees
 * although those are its own there: where the user works, and where $PATH and the virtual
 * environment lead. Without them another program of the same name would run, and nobody would be
 * told. */
#include "cli/sandbox.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_private(const char *path)
{
    const char *const own[] = {"/tmp", "/run", "/dev/shm", abx_layer_place()};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(own); i++) {
        size_t n = strlen(own[i]);
        if (strncmp(path, own[i], n) == 0 && path[n] == '/' && path[n + 1])
            return true;
    }
    return false;
}

static bool is_kept(const struct sandbox *s, const char *path)
{
    for (unsigned i = 0; i < ABX_MAX_KEPT && s->keep[i]; i++) {
        size_t n = strlen(s->keep[i]);
        if (strncmp(path, s->keep[i], n) == 0 && (path[n] == '/' || !path[n]))
            return true;
    }
    return false;
}

static void keep(struct sandbox *s, const char *path)
{
    struct stat st;
    char *real = *path == '/' ? realpath(path, NULL) : NULL;
    unsigned n = 0;
    while (n < ABX_MAX_KEPT && s->keep[n])
        n++;
    if (real && n < ABX_MAX_KEPT && is_private(real) && !is_kept(s, real) && stat(real, &st) == 0 &&
            S_ISDIR(st.st_mode))
        s->keep[n] = real;
    else
        free(real);
}

/* A folder of programs, with the environment whose folder it is. */
static void keep_programs(struct sandbox *s, const char *folder)
{
    char *mark = abx_xprintf("%s/../pyvenv.cfg", folder), *above = abx_xprintf("%s/..", folder);
    keep(s, access(mark, F_OK) == 0 ? above : folder);
    free(above);
    free(mark);
}

static void keep_path(struct sandbox *s)
{
    const char *list = getenv("PATH");
    char *copy = abx_xstrdup(list ? list : ""), *rest = copy;
    for (char *folder; (folder = strsep(&rest, ":"));)
        keep_programs(s, folder);
    free(copy);
}

/* A program right in /tmp cannot be shown without all of /tmp. */
static void keep_command(struct sandbox *s)
{
    const char *command = s->run->command[0];
    if (*command != '/' || access(command, F_OK) < 0)
        return;
    char *folder = abx_xstrdup(command);
    folder = dirname(folder);
    keep_programs(s, folder);
    if (is_private(command) && !is_private(folder) && !abx_run_mounts(s->run, command))
        abx_say("%s is not seen in the container, which has a %s of its own: show it with "
                "--mount %s:%s",
                command, folder, command, command);
}

void abx_sandbox_keep(struct sandbox *s)
{
    const char *environments[] = {getenv("VIRTUAL_ENV"), getenv("CONDA_PREFIX")};
    keep(s, s->here);
    keep(s, s->folder);
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(environments); i++)
        if (environments[i])
            keep(s, environments[i]);
    keep_path(s);
    keep_command(s);
}
