/* cli: where things are: our own parts, this user's state and cache folders, other programs. */
#include "cli/cli.h"
#include "host/control/control.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder this binary is in; the build folder's layout is <build>/src/cli/arcbox. */
static char *own_folder(void)
{
    char path[PATH_MAX];
    return abx_own_folder(path) == 0 ? abx_xstrdup(path) : NULL;
}

char *abx_place_self(void)
{
    char path[PATH_MAX];
    int r = abx_own_path(path);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot find this program's own path: %s", strerror(-r));
    return abx_xstrdup(path);
}

/* `variable` (may be NULL) names the place outright. */
static char *find_part(const char *variable, const char *in_build, const char *installed)
{
    const char *named = variable ? getenv(variable) : NULL;
    if (named && *named)
        return access(named, R_OK) == 0 ? realpath(named, NULL) : NULL;
    char *here = own_folder();
    if (!here)
        return NULL;
    char *found = NULL;
    const char *const tries[] = {in_build, installed};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(tries) && !found; i++) {
        char *path = abx_xprintf("%s/%s", here, tries[i]);
        found = realpath(path, NULL);
        free(path);
    }
    free(here);
    return found;
}

char *abx_place_guest_root(void)
{
    return find_part("ARCBOX_GUEST_ROOT", "../../guest-root", "../lib/arcbox/guest-root");
}

char *abx_place_init(void)
{
    return find_part("ARCBOX_INIT", "arcbox-init", "../lib/arcbox/arcbox-init");
}

char *abx_place_device(void)
{
    return find_part(NULL, "../vmm/arcbox-vmm", "../lib/arcbox/arcbox-vmm");
}

char *abx_place_tool(const char *name)
{
    char *in_build = abx_xprintf("%s", name), *installed = abx_xprintf("../lib/arcbox/%s", name);
    char *found = find_part(NULL, in_build, installed);
    free(in_build);
    free(installed);
    return found;
}

char *abx_place_page(const char *name)
{
    char *in_build = abx_xprintf("../../docs/%s", name);
    char *installed = abx_xprintf("../share/doc/arcbox/%s", name);
    char *found = find_part(NULL, in_build, installed);
    free(in_build);
    free(installed);
    return found;
}

int abx_mkdir_p(const char *path, mode_t mode)
{
    char *copy = abx_xstrdup(path);
    int first = 0; /* why a folder above is not there, if it is not */
    for (char *p = copy + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            if (mkdir(copy, mode | 0111) < 0 && errno != EEXIST && !first)
                first = -errno;
            *p = '/';
        }
    int r = mkdir(copy, mode) < 0 && errno != EEXIST ? -errno : 0;
    free(copy);
    return r == -ENOENT && first ? first : r;
}

/* Others must not be able to plant files in it: it is this user's and nobody else can write. */
static char *private_folder(char *path)
{
    struct stat st;
    int r = abx_mkdir_p(path, 0700);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot make the folder %s: %s", path, strerror(-r));
    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
            (st.st_mode & 022))
        abx_die(ABX_EXIT_OWN,
                "%s belongs to somebody else or others may write to it: choose another "
                "(ARCBOX_RUNTIME_DIR, XDG_RUNTIME_DIR, XDG_CACHE_HOME, XDG_DATA_HOME)",
                path);
    return path;
}

/* The host runtime's folder: a container's record and its tenant are never in two places. */
char *abx_place_state(void)
{
    char path[ABX_CONTROL_PATH_BYTES];
    int r = abx_control_runtime_dir(path);
    if (r == -EINVAL)
        abx_die(ABX_EXIT_OWN,
                "ARCBOX_RUNTIME_DIR %s: give an absolute path, which is the same in "
                "every folder",
                getenv("ARCBOX_RUNTIME_DIR"));
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "the runtime folder's path is too long (ARCBOX_RUNTIME_DIR, "
                              "XDG_RUNTIME_DIR)");
    return private_folder(abx_xstrdup(path));
}

char *abx_place_cache(void)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache == '/')
        return private_folder(abx_xprintf("%s/arcbox", cache));
    if (home && *home == '/' && access(home, W_OK) == 0)
        return private_folder(abx_xprintf("%s/.cache/arcbox", home));
    char *state = abx_place_state();
    char *path = private_folder(abx_xprintf("%s/cache", state));
    free(state);
    return path;
}

char *abx_place_data(void)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (data && *data == '/')
        return private_folder(abx_xprintf("%s/arcbox", data));
    if (home && *home == '/' && access(home, W_OK) == 0)
        return private_folder(abx_xprintf("%s/.local/share/arcbox", home));
    abx_die(ABX_EXIT_OWN, "there is no folder for what is kept: set HOME, or XDG_DATA_HOME");
}

char *abx_find_program(const char *name)
{
    const char *path = getenv("PATH");
    char *list = abx_xprintf("%s:/usr/sbin:/sbin", path ? path : "/usr/bin:/bin");
    char *found = NULL, *rest = list;
    for (char *folder; !found && (folder = strsep(&rest, ":"));) {
        if (!*folder)
            continue;
        char *file = abx_xprintf("%s/%s", folder, name);
        if (access(file, X_OK) == 0)
            found = file;
        else
            free(file);
    }
    free(list);
    return found;
}
