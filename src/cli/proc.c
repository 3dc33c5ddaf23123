/* cli: whether a container may have a /proc of its own. Runs in the child of `arcbox run`, in its
 * own user and mount namespaces.
 *
 * The kernel refuses a new /proc in a user namespace where parts of the old one are covered, as
 * container engines cover them: it would show what they hide. */
#include "cli/sandbox.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* In namespaces that vanish with the process: the real thing, tried. */
static bool mounts_proc(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS | CLONE_NEWPID) < 0)
            _exit(1);
        pid_t first = fork();
        if (first == 0)
            _exit(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0);
        if (first < 0 || waitpid(first, &status, 0) < 0)
            _exit(1);
        _exit(status != 0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

bool abx_sandbox_has_proc(void)
{
    /* Nothing covered, nothing refused: most systems, and no time spent. systemd's own mount covers
     * a folder that is always empty, which the kernel lets pass. */
    size_t count;
    bool covered = false;
    char **mounts = abx_mounts_below("/proc", &count);
    for (size_t i = 0; i < count; i++) {
        covered |= strcmp(mounts[i], "/proc/sys/fs/binfmt_misc") != 0;
        free(mounts[i]);
    }
    free(mounts);
    return !covered || mounts_proc();
}
