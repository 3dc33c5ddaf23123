/* cli: starts the server of a shifted file system and mounts it; see shift.h. Runs in the child of
 * `arcbox run` that is the host's root. */
#include "cli/shift.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/run.h"

#define SERVER_FILES 65536u /* what a container may have open of it */
#define FUSE 3
#define TREE 4
#define TALK 5

/* Of root only what its file system asks for: no mounts, no devices, no processes. */
static int keep_rights_over_files(void)
{
    static const int kept[] = {
            CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID};
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(kept); i++)
        data[0].effective |= 1u << kept[i];
    data[0].permitted = data[0].effective;
    for (int c = 0; c <= 63; c++)
        prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int empty_root(void)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=4096,mode=500") < 0 ||
            chdir("/tmp") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
            umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return -errno;
    return 0;
}

/* talk: told 0 once all is given up, or why not; says a byte when the mount is there: before that
 * the kernel has no requests. */
_Noreturn static void server(
        int fuse, int tree, int talk, pid_t arcbox, const struct abx_owner_shift *shift)
{
    const int from[] = {fuse, tree, talk};
    struct rlimit files = {SERVER_FILES, SERVER_FILES};
    char byte;
    if (!abx_process_follow(arcbox))
        _exit(1);
    setsid(); /* the terminal's signals are the container's */
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int r = null < 0 ? -errno : empty_root();
    setrlimit(RLIMIT_NOFILE, &files);
    for (int fd = 0; r == 0 && fd <= 2; fd++) /* whoever reads those waits for the container only */
        r = dup2(null, fd) < 0 ? -errno : 0;
    for (int i = 0; r == 0 && i < 3; i++) /* first out of the way */
        r = dup2(from[i], FUSE + 100 + i) < 0 ? -errno : 0;
    for (int i = 0; r == 0 && i < 3; i++)
        r = dup2(FUSE + 100 + i, FUSE + i) < 0 ? -errno : 0;
    if (r == 0) {
        talk = TALK;
        close_range(TALK + 1, ~0u, 0);
        r = keep_rights_over_files();
    }
    if (write(talk, &r, sizeof r) != sizeof r || r < 0 || read(talk, &byte, 1) != 1)
        _exit(1);
    close(TALK);
    abx_shift_serve(FUSE, TREE, shift);
}

/* A socket that tells it to begin, or -errno. */
static int start_server(int fuse, int tree, const struct abx_owner_shift *shift)
{
    int talk[2], r;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk) < 0)
        return -errno;
    pid_t arcbox = getpid(), pid = fork();
    if (pid == 0) {
        close(talk[0]);
        server(fuse, tree, talk[1], arcbox, shift);
    }
    r = pid < 0 ? -errno : 0;
    close(talk[1]);
    if (r == 0 && read(talk[0], &r, sizeof r) != sizeof r)
        r = -EIO;
    if (r < 0)
        close(talk[0]);
    return r < 0 ? r : talk[0];
}

int abx_shift_mount(int tree, int point, const struct abx_owner_shift *shift)
{
    struct statvfs s;
    int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0 || fstatvfs(tree, &s) < 0) {
        int r = -errno;
        if (fuse >= 0)
            close(fuse);
        return r;
    }
    int talk = start_server(fuse, tree, shift), r = talk < 0 ? talk : 0;
    char *options = abx_xprintf(
            "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", fuse);
    char *to = abx_xprintf("/proc/self/fd/%d", point);
    unsigned long flags = MS_NOSUID | (s.f_flag & ST_RDONLY ? MS_RDONLY : 0) |
                          (s.f_flag & ST_NODEV ? MS_NODEV : 0) |
                          (s.f_flag & ST_NOEXEC ? MS_NOEXEC : 0);
    if (r == 0 && mount("overlay", to, "fuse.arcbox", flags, options) < 0)
        r = -errno;
    if (r == 0 && send(talk, "", 1, MSG_NOSIGNAL) != 1)
        r = -errno;
    if (talk >= 0)
        close(talk);
    free(to);
    free(options);
    close(fuse);
    return r;
}
