/* arcbox cdi-hook: what a container engine calls while it makes a container (OCI hooks). Runs as
 * the engine's user, in the engine's namespaces (start, end) or the container's mount namespace
 * before its root is entered (attach). Reads the container's state, which the engine wrote, from
 * its input.
 *
 *   start [BACKEND]  the host runtime runs, and the container has a tenant
 *   attach           the tenant's socket appears at /run/arcbox, the loader's cache knows our
 *                    libraries
 *   end              the tenant is removed */
#include "cli/cdi.h"
#include "cli/image.h"
#include "cli/inside.h"
#include "cli/json.h"
#include "cli/run.h"
#include "host/control/control.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_CAP (1u << 20)
#define CONFIG_CAP (16u << 20)

static char *tenant_name(const char *state)
{
    char *id = abx_json_find(state, (const char *const[]){"id", NULL});
    if (!id || !*id)
        abx_die(ABX_EXIT_OWN, "the container's state names no id");
    struct abx_sha256 h;
    uint8_t digest[32];
    char hex[33];
    abx_sha256_init(&h);
    abx_sha256_add(&h, id, strlen(id));
    abx_sha256_finish(&h, digest);
    for (unsigned i = 0; i < 16; i++)
        sprintf(hex + 2 * i, "%02x", digest[i]);
    /* The start is for people; engines may have names as ids, which begin alike. */
    int shown = (int)strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
    char *name = abx_xprintf("oci-%.*s-%s", shown < 12 ? shown : 12, id, hex);
    free(id);
    return name;
}

static char *root_of(const char *state)
{
    char *bundle = abx_json_find(state, (const char *const[]){"bundle", NULL});
    if (!bundle)
        abx_die(ABX_EXIT_OWN, "the container's state names no bundle");
    char *path = abx_xprintf("%s/config.json", bundle);
    void *config;
    size_t length;
    int r = abx_read_file(path, CONFIG_CAP, &config, &length);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot read %s: %s", path, strerror(-r));
    char *root = abx_json_find(config, (const char *const[]){"root", "path", NULL});
    if (!root)
        abx_die(ABX_EXIT_OWN, "%s names no root", path);
    if (*root != '/') {
        char *joined = abx_xprintf("%s/%s", bundle, root);
        free(root);
        root = joined;
    }
    free(config);
    free(path);
    free(bundle);
    return root;
}

static int start(const char *state, const char *name, const char *backend)
{
    char *key =
            abx_json_find(state, (const char *const[]){"annotations", ABX_LIMITS_ANNOTATION, NULL});
    struct abx_oci_limits given = abx_oci_limits_of(key ? key : "");
    struct abx_control_limits limits = {
            .threads = given.cpus, .kernel_ns = given.time_ms * 1000000u};
    free(key);
    struct abx_control *control;
    struct abx_control_tenant tenant;
    char *why = NULL;
    int r = abx_control_connect(true, &control, &why);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot reach the host runtime: %s", why ? why : strerror(-r));
    r = abx_control_tenant_create(control, name, backend, 0, &limits, &tenant);
    if (r < 0 && r != -EEXIST)
        abx_die(ABX_EXIT_OWN, "no GPU access for the container: %s", abx_control_error(control));
    abx_control_close(control);
    return 0;
}

/* A folder that is not mounted from elsewhere: what is in it is the container's own. */
static bool is_own(int root, const char *rel)
{
    struct statx of_root, of_folder;
    int folder = abx_inside_open(root, rel, O_PATH | O_DIRECTORY, 0);
    bool own = folder >= 0 && statx(root, "", AT_EMPTY_PATH, STATX_MNT_ID, &of_root) == 0 &&
               statx(folder, "", AT_EMPTY_PATH, STATX_MNT_ID, &of_folder) == 0 &&
               (of_root.stx_mask & of_folder.stx_mask & STATX_MNT_ID) &&
               of_root.stx_mnt_id == of_folder.stx_mnt_id;
    if (folder >= 0)
        close(folder);
    return own;
}

/* In the file that the image has, when it has one. */
static void renew_cache(int root)
{
    void *data;
    size_t length;
    int old = abx_inside_open(root, "/etc/ld.so.cache", O_PATH, 0);
    if (old < 0)
        return;
    close(old);
    int r = is_own(root, "/etc") ? abx_ldcache_make(root, &data, &length) : -EXDEV;
    if (r == 0) {
        r = abx_inside_put(root, "/etc/ld.so.cache", data, length);
        free(data);
    }
    if (r < 0)
        abx_say("the loader's cache was not renewed: %s", strerror(-r));
}

/* The tenant's folder, by the layout control.h promises; the daemon is not asked from in here,
 * where its folder is visible but a daemon must not be started. */
static int attach(const char *name, const char *root)
{
    char runtime[ABX_CONTROL_PATH_BYTES];
    if (abx_control_runtime_dir(runtime) < 0)
        abx_die(ABX_EXIT_OWN, "the runtime folder's path is too long");
    char *folder = abx_xprintf("%s/tenants/%s", runtime, name);
    int inside = abx_inside_root(root);
    if (inside < 0)
        abx_die(ABX_EXIT_OWN, "cannot open the container's root: %s", strerror(-inside));
    char text[256];
    if (abx_image_check(inside, text, sizeof text) < 0)
        abx_die(ABX_EXIT_CANNOT_RUN, "%s", text);
    renew_cache(inside);
    int tree = abx_tree_open(AT_FDCWD, folder, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV);
    if (tree < 0)
        abx_die(ABX_EXIT_OWN, "cannot open %s: %s", folder, strerror(-tree));
    int target = abx_inside_folder(inside, "/run/arcbox");
    if (target < 0)
        abx_die(ABX_EXIT_OWN, "cannot make /run/arcbox in the container: %s", strerror(-target));
    int r = abx_tree_attach(tree, target);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot mount %s in the container: %s", folder, strerror(-r));
    return 0;
}

static int end(const char *name)
{
    struct abx_control *control;
    if (abx_control_connect(false, &control, NULL) < 0)
        return 0;
    abx_control_tenant_remove(control, name);
    abx_control_close(control);
    return 0;
}

/* Who the host knows us as: an engine of an ordinary user runs hooks as root of a name space whose
 * root is that user. */
static unsigned long outside_user(void)
{
    void *text = NULL;
    size_t length;
    unsigned long inside, outside, count, found = geteuid();
    if (abx_read_file("/proc/self/uid_map", 65536, &text, &length) < 0)
        return found;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (sscanf(line, "%lu %lu %lu", &inside, &outside, &count) == 3 && found >= inside &&
                found - inside < count) {
            found = outside + (found - inside);
            break;
        }
    free(text);
    return found;
}

/* The runtime folder of the user whose container it is, where that one's `arcbox` has it: the one
 * in which a host runtime listens, else the first that is there. */
static char *runtime_of_user(void)
{
    unsigned long user = outside_user();
    char *places[] = {abx_xprintf("/run/user/%lu", user),
            user ? abx_xprintf("/tmp/arcbox-%lu", user) : abx_xstrdup("/run/arcbox")};
    char *first = abx_xprintf("%s/arcbox", places[0]);
    char *socket = abx_xprintf("%s/control.sock", first);
    struct stat st;
    bool has_session = stat(places[0], &st) == 0 && st.st_uid == geteuid();
    if (has_session && access(socket, F_OK) < 0) {
        free(socket);
        socket = abx_xprintf("%s/control.sock", places[1]);
        has_session = access(socket, F_OK) < 0;
    }
    free(socket);
    return has_session ? first : places[1];
}

/* The description names at most one variable. Others would come from whoever made the engine pass
 * them. */
static void keep_own_environment(void)
{
    const char *runtime = getenv("ARCBOX_RUNTIME_DIR");
    char *copy = runtime ? abx_xstrdup(runtime) : runtime_of_user();
    clearenv();
    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("ARCBOX_RUNTIME_DIR", copy, 1);
    free(copy);
}

int abx_do_cdi_hook(int argc, char **argv)
{
    void *state;
    size_t length;
    keep_own_environment();
    int r = abx_read_fd(0, STATE_CAP, &state, &length);
    if (r < 0)
        abx_die(ABX_EXIT_OWN, "cannot read the container's state: %s", strerror(-r));
    char *name = tenant_name(state);
    if (argc >= 2 && strcmp(argv[1], "start") == 0)
        return start(state, name, argc > 2 ? argv[2] : "");
    if (argc == 2 && strcmp(argv[1], "attach") == 0)
        return attach(name, root_of(state));
    if (argc == 2 && strcmp(argv[1], "end") == 0)
        return end(name);
    abx_die(ABX_EXIT_OWN, "usage: arcbox cdi-hook start [BACKEND] | attach | end");
}
