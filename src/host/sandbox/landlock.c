/* host: Landlock, the second wall around files: rules that hold whatever is mounted where. Runs in
 * workers and compile children while they give up rights. */
#include "host/sandbox/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of the systems we build on. */
struct ruleset {
    uint64_t files, net, scoped;
};
#define FILES_1 ((1ull << 13) - 1) /* Linux 5.13 */
#define FILES_REFER (1ull << 13)
#define FILES_TRUNCATE (1ull << 14)
#define FILES_IOCTL (1ull << 15)
#define NET_ALL 3ull
#define SCOPE_ALL 3ull /* abstract sockets, signals */

#define READ                                                                                       \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* What can be said of a file that is no folder. */
#define OF_FILES                                                                                   \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |   \
            FILES_TRUNCATE | FILES_IOCTL)

static void allow(int ruleset, const char *path, uint64_t access)
{
    struct stat st;
    struct landlock_path_beneath_attr rule = {
            .allowed_access = access, .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    if (rule.parent_fd < 0)
        return; /* not there */
    if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed_access &= OF_FILES;
    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
}

static void restrict_to(const char *const *paths, const char *const *devices)
{
    long version = syscall(
            SYS_landlock_create_ruleset, NULL, 0, (unsigned)LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return;
    struct ruleset r = {.files = FILES_1 | (version >= 2 ? FILES_REFER : 0) |
                                 (version >= 3 ? FILES_TRUNCATE : 0) |
                                 (version >= 5 ? FILES_IOCTL : 0),
            .net = version >= 4 ? NET_ALL : 0,
            .scoped = version >= 6 ? SCOPE_ALL : 0};
    size_t bytes = sizeof r.files * (version >= 6 ? 3 : version >= 4 ? 2 : 1);
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &r, bytes, 0u);
    if (ruleset < 0)
        return;
    if (paths) {
        for (; *paths; paths++)
            allow(ruleset, *paths, READ & r.files);
        allow(ruleset, "/tmp", r.files);
        allow(ruleset, "/dev/null", r.files);
    }
    for (; devices && *devices; devices++)
        allow(ruleset, *devices,
                (READ | LANDLOCK_ACCESS_FS_WRITE_FILE | FILES_TRUNCATE | FILES_IOCTL) & r.files);
    syscall(SYS_landlock_restrict_self, ruleset, 0);
    close(ruleset);
}

void abx_sandbox_landlock(const char *const *paths)
{
    restrict_to(paths, NULL);
}

void abx_sandbox_landlock_devices(const char *const *devices)
{
    restrict_to(NULL, devices);
}
