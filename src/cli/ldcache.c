/* cli: the dynamic loader's cache of a container's root, so that libraries we add are found by
 * name. Runs in the child that assembles the root, with capabilities in its own user namespace. */
#include "cli/root.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CACHE_CAP (64u << 20)
#define WORK_FOLDER "/run/arcbox"

static void limit(int what, rlim_t value)
{
    struct rlimit r = {value, value};
    setrlimit((__rlimit_resource_t)what, &r);
}

/* It reads an image's files, which may be made to harm it: nobody's rights, in the image alone.
 * Where there is one user only (an ordinary one's name space), that user's. */
static void give_up_rights(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}, {0}};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit(RLIMIT_CPU, 30);
    limit(RLIMIT_FSIZE, CACHE_CAP);
    limit(RLIMIT_AS, 1u << 30);
    limit(RLIMIT_CORE, 0);
    if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
            setresuid(65534, 65534, 65534) < 0) {
        /* One user only. */
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) < 0)
        _exit(126);
}

/* The host's own ldconfig (a static program) is opened before chroot: nothing of the image runs. */
static int run_ldconfig(int root)
{
    /* Ubuntu's ldconfig is a script around the program. */
    static const char *const programs[] = {
            "/sbin/ldconfig.real", "/sbin/ldconfig", "/usr/sbin/ldconfig"};
    int program = -1;
    for (size_t i = 0; i < ABX_ARRAY_SIZE(programs) && program < 0; i++)
        program = open(programs[i], O_RDONLY | O_CLOEXEC);
    if (program < 0)
        return -ENOENT;
    pid_t pid = fork();
    if (pid < 0) {
        int r = -errno;
        close(program);
        return r;
    }
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        if (fchdir(root) < 0 || chroot(".") < 0)
            _exit(126);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        give_up_rights();
        char *argv[] = {"ldconfig", "-X", "-i", "-C", WORK_FOLDER "/cache", NULL};
        char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
        fexecve(program, argv, env);
        _exit(127);
    }
    close(program);
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int abx_ldcache_make(int root, void **ret_data, size_t *ret_length)
{
    int tree = abx_tree_memory("0777"),
        point = tree < 0 ? tree : abx_inside_folder(root, WORK_FOLDER);
    int r = point < 0 ? point : abx_tree_attach(tree, point);
    if (r == 0) {
        char *attached = abx_xprintf("/proc/self/fd/%d", tree);
        r = run_ldconfig(root);
        if (r == 0)
            r = abx_inside_read(tree, "cache", CACHE_CAP, ret_data, ret_length);
        if (umount2(attached, MNT_DETACH) < 0 && r == 0) {
            r = -errno;
            free(*ret_data);
        }
        free(attached);
    }
    if (point >= 0)
        close(point);
    if (tree >= 0)
        close(tree);
    return r;
}

/* What the cache depends on: the image's own cache and our tree's folder of libraries. */
static bool cache_key(struct assembly *a, char hex[65])
{
    struct abx_sha256 h;
    abx_sha256_init(&h);
    struct stat st;
    int own = abx_inside_open(a->image, "/etc/ld.so.cache", O_PATH, 0);
    bool ok = own >= 0 && fstat(own, &st) == 0;
    if (own >= 0)
        close(own);
    if (!ok)
        return false;
    const uint64_t image[] = {(uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size,
            (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec, a->without_overlay};
    abx_sha256_add(&h, image, sizeof image);
    abx_sha256_add(&h, a->lower, strlen(a->lower) + 1);
    abx_sha256_add(&h, a->stage, strlen(a->stage) + 1);
    static const char *const folders[] = {"/usr/lib", "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu", "/etc/ld.so.conf.d"};
    for (unsigned i = 0; i < ABX_ARRAY_SIZE(folders); i++) {
        char *path = abx_xprintf("%s%s", a->stage, folders[i]);
        uint64_t stage[2] = {0};
        if (stat(path, &st) == 0) {
            stage[0] = (uint64_t)st.st_mtim.tv_sec;
            stage[1] = (uint64_t)st.st_mtim.tv_nsec;
        }
        abx_sha256_add(&h, stage, sizeof stage);
        free(path);
    }
    uint8_t digest[32];
    abx_sha256_finish(&h, digest);
    for (unsigned i = 0; i < 32; i++)
        sprintf(hex + 2 * i, "%02x", digest[i]);
    return true;
}

/* For the next time. */
static int keep(const char *folder, const char *cached, const void *data, size_t length)
{
    char *temporary = abx_xprintf("%s.%d", cached, (int)getpid());
    int r = abx_mkdir_p(folder, 0700);
    if (r == 0)
        r = abx_write_file(temporary, data, length);
    if (r == 0 && rename(temporary, cached) < 0)
        r = -errno;
    if (r < 0)
        unlink(temporary);
    free(temporary);
    return r;
}

void abx_root_ldcache(struct assembly *a)
{
    char hex[65];
    if (!cache_key(a, hex))
        return;
    char *folder = abx_xprintf("%s/ldcache", a->root->cache);
    char *cached = abx_xprintf("%s/%.32s", folder, hex);
    void *data;
    size_t length;
    int root = abx_inside_root(a->root->path), r = abx_read_file(cached, CACHE_CAP, &data, &length);
    if (r < 0) {
        r = abx_ldcache_make(root, &data, &length);
        int kept = r < 0 ? r : keep(folder, cached, data, length);
        if (r == 0 && kept < 0 && !a->root->notice[0])
            snprintf(a->root->notice, sizeof a->root->notice,
                    "cannot keep the loader's cache (%s): each start takes longer",
                    strerror(-kept));
    }
    if (r == 0) {
        r = abx_inside_put(root, "/etc/ld.so.cache", data, length);
        free(data);
    }
    close(root);
    if (r < 0 && !a->root->notice[0])
        snprintf(a->root->notice, sizeof a->root->notice,
                "the loader's cache was not renewed (%s): programs that look libraries up with "
                "ldconfig will not see Metal's",
                strerror(-r));
    free(cached);
    free(folder);
}
